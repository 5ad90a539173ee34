"""One synthesis by plain ONNX Runtime in a fresh process, measured: ``python -m`` this module.

It is given a JSON object and prints one: memory is of this process alone, so nothing else may be
imported here. One thread, the runtime's own defaults otherwise, as the app has them.
"""

from __future__ import annotations

import json
import os
import sys
import time

__all__ = ["run_graph"]


def run_graph(
    model: str,
    tokens: list[int],
    *,
    speaker: int | None = None,
    samples_to: str | None = None,
    scales: tuple[float, float, float] = (0.0, 1.0, 0.0),
) -> dict[str, float]:
    """Load a voice's graph and speak once.

    Parameters
    ----------
    model
        The ``.onnx`` file, with Piper's inputs.
    tokens
        What is spoken.
    speaker
        The number that a voice of several speakers takes as well.
    samples_to
        Where the samples are written, a ``.npy`` file, after everything was measured.
    scales
        Noise, length and noise of durations: without noise, so that two graphs can be compared.

    Returns
    -------
    dict of str to float
        ``samples``; resident bytes when ``loaded``, at the ``end`` and at the ``peak``; and
        ``load_s`` and ``cpu_s``, user and system time of the loading and of the speaking.
    """
    import numpy as np  # a child of its own imports them
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    began = time.process_time()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load_s = time.process_time() - began
    given = [
        np.array([tokens], np.int64),
        np.array([len(tokens)], np.int64),
        np.array(scales, np.float32),
        np.array([speaker or 0], np.int64),
    ]
    names = [each.name for each in session.get_inputs()]
    feed = dict(zip(names, given, strict=False))
    loaded = _resident()
    began = time.process_time()
    (audio,) = session.run([session.get_outputs()[0].name], feed)
    cpu_s = time.process_time() - began
    end, peak = _resident(), _peak()
    if samples_to is not None:
        np.save(samples_to, audio.reshape(-1))
    return {
        "samples": audio.size,
        "loaded": loaded,
        "end": end,
        "peak": peak,
        "load_s": load_s,
        "cpu_s": cpu_s,
    }


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import psutil  # where there is no /proc

        return int(psutil.Process().memory_info().rss)


def _peak() -> int:
    try:
        # not getrusage, which on Linux begins with what the parent had
        with open("/proc/self/status", "rb") as file:
            line = next(line for line in file if line.startswith(b"VmHWM"))
            return int(line.split()[1]) * 1024
    except OSError:
        import resource  # where there is no /proc

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(run_graph(**json.loads(sys.argv[1]))))
