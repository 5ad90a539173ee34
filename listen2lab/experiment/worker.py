"""The child process: one run of one condition, from ``spec.json`` to whole lines of samples.

It imports the standard library and the workload, nothing else of weight: what it weighs itself is
in all that it measures. It can run under another interpreter, whose environment holds only
the workload's packages (started by path, it makes this package importable by itself).

Phases of a run, each a sample or more: ``start`` (nothing loaded yet), ``import`` (the workload's
code and libraries), ``setup`` (models loaded), ``warmup`` and ``step`` (one line each), ``end``
(collected and trimmed), the experiment's own phases if it has any (collected; ``trimmed`` also
trimmed), ``released`` (after teardown, collected and trimmed). ``error`` ends a run that raised.
"""

from __future__ import annotations

import os

try:  # before anything else is loaded: what bare Python weighs
    with open("/proc/self/statm", "rb") as _file:
        _pages = [int(_word) for _word in _file.read().split()]
    _BARE: int | None = (_pages[1] - _pages[2]) * os.sysconf("SC_PAGE_SIZE")
except OSError:
    _BARE = None

import errno
import gc
import json
import signal
import sys
import time
from contextlib import nullcontext, suppress
from functools import partial

if __name__ == "__main__" and not __package__:  # started by path, under another interpreter
    import importlib.util

    _home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _spec = importlib.util.spec_from_file_location(
        "listen2lab", os.path.join(_home, "__init__.py"), submodule_search_locations=[_home]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["listen2lab"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["listen2lab"])
    sys.path.pop(0)  # the folder of this file: its names would shadow the workload's

from listen2lab.probes.process import Meter
from listen2lab.probes.readings import AccountProbe
from listen2lab.probes.tree import TreeProbe
from listen2lab.workload import load_file, load_functions, plain, plain_components, plain_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from listen2lab.probes.objects import ObjectsProbe
    from listen2lab.workload import Workload

__all__ = ["EXIT_CANNOT_WRITE", "EXIT_ERROR", "main"]

EXIT_ERROR = 3
"""Exit status of a run that raised: the ``error`` line of its samples says what."""

EXIT_CANNOT_WRITE = 4
"""Exit status of a run whose samples could not be written: it is no result of the workload."""

_STDERR = 2
_NO_ROOM = 4 * 1024 * 1024  # bytes
_LONGEST_TRACEBACK = 4000  # its end says what was raised
_SNAPSHOT_SECONDS = 0.015
# memray looks at the heap every 10 ms: a traced step rests this long, so that one look falls
# after its end and the heap's curve has a point that belongs to the step.


class _Run:
    """One run: where its lines go, and how a sample is read."""

    def __init__(self, spec: dict[str, Any], folder: str) -> None:
        self.spec = spec
        self.folder = folder
        self.meter = Meter()
        own = 0 if _BARE is None else self.meter.read(walk=False).get("anonymous", 0) - _BARE
        self.account = AccountProbe(instrument=max(0, own))
        self.tree = TreeProbe()
        self.began = time.perf_counter()
        self.lines = self._open("steps.jsonl")
        self.log: int | None = None
        self.objects: ObjectsProbe | None = None  # traced runs only
        self.marks: list[tuple[str, float]] = []  # moments of a traced run, by the clock

    def _open(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        fd = os.open(f"{self.folder}/{name}", flags, 0o644)
        # Where a workload has closed its output, nothing that it prints may end up in here.
        low = []
        while fd <= _STDERR:
            low.append(fd)
            fd = os.dup(fd)
        for each in low:
            os.close(each)
        return fd

    def write(self, phase: str, **values: Any) -> None:
        """Append one line in one write, so that a kill leaves whole lines."""
        line = {
            "phase": phase,
            "t": round(time.perf_counter() - self.began, 6),
            "cpu_total_s": round(time.process_time(), 6),
            **values,
        }
        try:
            text = json.dumps(line, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
            data = text.encode()
        except (TypeError, ValueError):  # what only a workload says: half characters, infinities
            text = json.dumps(plain(line), separators=(",", ":"), allow_nan=False)
            data = text.encode()
        _write_all(self.lines, data + b"\n")

    def write_event(self, text: str) -> None:
        """Append one line to the log of events, which the workload writes in the app's grammar."""
        if self.log is None:
            self.log = self._open("events.log")
        _write_all(self.log, text.encode("utf-8", "backslashreplace") + b"\n")

    def settle(self, phase: str, workload: Workload | None = None, *, trim: bool = False) -> None:
        """Collect, maybe trim, and write what is held between steps."""
        found = gc.collect()
        trimmed = trim and self.meter.trim()
        held = plain_components(workload.components()) if workload is not None else {}
        self.mark(phase)
        sample = self.meter.read()
        blocks = workload is not None and phase != "setup"
        reading = self.account.read(sample, level=True, engine=blocks)
        self.write(
            phase, **sample, **_named(reading), gc_found=found, trimmed=trimmed, components=held
        )
        if self.objects is not None:
            self.objects.phase(phase, workload)
        self.meter.reset_peak()

    def mark(self, name: str) -> None:
        """Rest in a traced run, so that memray looks at the heap once, and note the moment."""
        if self.spec["traced"]:
            time.sleep(_SNAPSHOT_SECONDS)
            self.marks.append((name, time.time()))

    def steps(self, workload: Workload) -> None:
        """Step, and read a sample after each (or after every ``sample_every``)."""
        spec, meter = self.spec, self.meter
        warmup, every = int(spec["warmup"]), int(spec["sample_every"])
        total = warmup + int(spec["steps"])
        step, size_of, traced = workload.step, workload.size, bool(spec["traced"])
        since, largest, summed, facts = 0, None, 0.0, None
        meter.reset_peak()
        self.tree.begin()
        clock, cpu = time.perf_counter(), time.process_time()
        own = os.getpid()
        for i in range(total):
            facts = step(i)
            if os.getpid() != own:
                os._exit(0)  # a fork of the workload's must not go on as a second run
            size = plain_number(size_of(i), f"size({i})")
            if size is not None:
                largest = size if largest is None else max(largest, size)
                summed += size
            since += 1
            if since < every and i + 1 not in (warmup, total):
                continue
            wall_s, cpu_s = time.perf_counter() - clock, time.process_time() - cpu
            self.tree.end()
            in_use = meter.in_use()
            is_last = self.objects is not None and i + 1 == total
            found = self.objects.collect() if self.objects and is_last else gc.collect()
            freed = in_use - meter.in_use()
            blocks = sys.getallocatedblocks()  # before readings come, which take some themselves
            self.mark(f"step {i}")
            sample = meter.read(walk=False)
            values: dict[str, Any] = {
                "step": i,
                "steps": since,
                "wall_s": round(wall_s, 6),
                "cpu_s": round(cpu_s, 6),
                **sample,
                **_named(self.account.read(sample)),
                "gc_found": found,
                "gc_freed": freed,
                "python_blocks": blocks,
                **({} if traced else self.tree.read()),  # a trace would hold each file's name
                "components": plain_components(workload.components()),
            }
            if largest is not None:
                values["size"], values["size_sum"] = largest, summed
            if facts:
                values["facts"] = plain(dict(facts))
            if traced:
                values["epoch_s"] = time.time()
            self.write("warmup" if i < warmup else "step", **values)
            since, largest, summed = 0, None, 0.0
            meter.reset_peak()
            self.tree.begin()
            clock, cpu = time.perf_counter(), time.process_time()


def main(spec_path: str) -> int:
    """Run one spec to its end."""
    _die_with_parent()
    with open(spec_path, "rb") as file:
        spec = json.load(file)
    folder = os.path.dirname(os.path.abspath(spec_path))
    run = _Run(spec, folder)
    if spec["workload"]["kind"] in ("command", "process"):
        return _guarded(run, lambda: _follow(run))
    run.settle("start")
    run.write(
        "meter",
        gaps={**run.meter.gaps, **run.account.gaps},
        python=sys.version.split()[0],
        pid=os.getpid(),
    )
    if not spec["traced"]:
        return _guarded(run, lambda: _run(run, nullcontext))
    from listen2lab.probes import tracing as heap  # a plain run does not load memray
    from listen2lab.probes.objects import ObjectsProbe  # nor this

    run.objects = ObjectsProbe(folder)
    capture = f"{folder}/heap.bin"
    small = spec["workload"]["kind"] in ("file", "functions")  # the pipeline's are few and short
    recording = partial(heap.recording, capture, small_objects=small)
    status = _guarded(run, lambda: _run(run, recording))
    if os.path.exists(capture):  # the workload may not even have been loaded
        run.objects.write()
        is_whole = heap.write_reduced(capture, f"{folder}/heap.json", run.marks)
        disk = os.statvfs(folder)
        if not is_whole and disk.f_bavail * disk.f_frsize < _NO_ROOM:
            print("no space left for memray's capture", file=sys.stderr, flush=True)
            os.remove(f"{folder}/heap.json")
            return EXIT_CANNOT_WRITE
    return status


def _follow(run: _Run) -> None:
    """Follow a command, or a process that runs, from outside."""
    from listen2lab.experiment.follower import follow  # a plain run does not need it

    status = follow(run.spec["workload"], run.spec, run.write, _die_with_parent)
    run.write("released" if status is None else "error", facts={"status": status or 0})


def _guarded(run: _Run, body: Callable[[], None]) -> int:
    """Turn whatever the workload raises into an ``error`` line and a status."""
    try:
        body()
    except BaseException as error:  # noqa: BLE001 - a workload may also call sys.exit
        import traceback  # only when something is wrong

        with suppress(Exception):  # its text may be anything, and the output may be closed
            text = "".join(traceback.format_exception(error))
            print(plain(text[-_LONGEST_TRACEBACK:]), file=sys.stderr, flush=True)
        run.write("error", error=plain(_words(error)), type=plain(type(error).__name__))
        return EXIT_ERROR
    return 0


def _words(error: BaseException) -> str:
    """Return an exception's text; it may be long, and raise an exception of its own."""
    try:
        return f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    except Exception as second:  # noqa: BLE001 - whatever its text is made by
        return f"(its text raised {type(second).__name__})"


def _run(run: _Run, recording: Callable[[], AbstractContextManager[Any]]) -> None:
    """Go through the phases; ``recording`` is open from the setup on, when libraries are there."""
    workload = _load(run)
    if run.objects is not None:
        run.objects.belongs_to(workload)
    run.settle("import")
    # Collecting after each step would look at every object of every library again and again, 10 ms
    # a step. What exists by now stays anyway; what setup and steps make is looked at.
    gc.freeze()
    with recording():
        workload.setup()
        run.settle("setup", workload)
        run.steps(workload)
        run.settle("end", workload, trim=True)
        for phase in run.spec.get("phases", ()):
            if phase != "trimmed":
                workload.enter(phase)
            run.settle(phase, workload, trim=phase == "trimmed")
        gc.unfreeze()
        workload.teardown()
        del workload
        run.settle("released", trim=True)


def _load(run: _Run) -> Workload:
    described = run.spec["workload"]
    if described["kind"] == "file":
        return load_file(described["path"])
    if described["kind"] == "functions":
        return load_functions(f"{run.folder}/{described['path']}")
    from listen2lab.models.voices import RecognizerFiles, VoiceFiles
    from listen2lab.pipeline.knobs import knobs_from  # the workload's own weight
    from listen2lab.pipeline.listen2 import Listen2
    from listen2lab.pipeline.planted import Planted

    with open(f"{run.folder}/{described['paragraphs']}", "rb") as file:
        book = json.load(file)
    pipeline = Listen2(
        [book[k] for k in described["order"]],
        voice=VoiceFiles(**described["voice"]),
        recognizer=RecognizerFiles(**described["recognizer"]),
        knobs=knobs_from(described["knobs"]),
        log=run.write_event,
        resident=run.meter.resident,
        scratch=run.folder,
        account=lambda: run.account.parts(run.meter.read(walk=False)),
    )
    return Planted(pipeline, described["fault"]) if "fault" in described else pipeline


def _named(reading: dict[str, Any]) -> dict[str, Any]:
    return {f"account.{name}": value for name, value in reading.items()}


def _write_all(fd: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        is_closed = error.errno == errno.EBADF  # by the workload: its own doing, and its result
        with suppress(Exception):
            print("the workload closed the lab's files" if is_closed else error, file=sys.stderr)
            sys.stderr.flush()
        os._exit(EXIT_ERROR if is_closed else EXIT_CANNOT_WRITE)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, so that none is left measuring.

    One that has died before it was asked for has closed the other end of our output by then.
    """
    import ctypes  # the meter loads it anyway
    import select

    pr_set_pdeathsig = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        output = select.poll()
        output.register(1, 0)
        if any(event & select.POLLERR for _, event in output.poll(0)):
            os._exit(EXIT_ERROR)


if __name__ == "__main__":
    # What a workload starts afresh imports the main module again: the workload's, and not this.
    sys.modules["__main__"] = type(sys)("__main__")
    sys.exit(main(sys.argv[1]))
