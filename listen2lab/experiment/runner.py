"""The parent's side of one run: start the worker, watch it from outside, say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from listen2lab.errors import InputError, RunStoppedError, StudyError
from listen2lab.experiment import worker
from listen2lab.notice import Notice
from listen2lab.probes.process import outside
from listen2lab.study.records import RunOutcome, RunRecord, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO

    from listen2lab.notice import Value
    from listen2lab.study.folder import RunFolder

__all__ = ["child_environment", "execute", "fixed_environment"]

_POLL_SECONDS = 0.02
# Reading the child's counters takes some 30 µs, so polling costs it nothing it could feel.
_RUN = "LISTEN2LAB_RUN"
# The variable by which processes of a run are found that left its session.
_HAS_PROC = Path("/proc/self/environ").exists()
_INEXACT = 16 * 2**20
# Bytes by which the kernel's counters may be off: each core keeps a share of its own.
_OUTPUT_KEPT = 64 * 1024  # bytes kept of what a run prints, from each end of it
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every run gets.

    One thread for numerical libraries (each thread would bring buffers of its own), a fixed hash
    seed, and no allocator setting or ``PYTHON*`` variable that happens to be set in this shell.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "PYTHON", "GLIBC_TUNABLES", "LD_PRELOAD"))
    }
    return {**kept, **fixed_environment(extra)}


def fixed_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that are set for every run, whatever this shell says."""
    return {
        **dict.fromkeys(_THREADS, "1"),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def execute(
    run: RunFolder,
    *,
    python: str | None = None,
    memory_limit: int | None = None,
    step_timeout: float = 600.0,
    environment: Mapping[str, str] | None = None,
    machine: str | None = None,
    on_sample: Callable[[Sample], None] | None = None,
    stop: threading.Event | None = None,
) -> RunRecord:
    """Run one prepared folder in a fresh process, to its end or to a limit.

    `memory_limit` is in bytes of anonymous memory (the footprint's nearest pair), as a phone
    counts; a peak between two looks counts too: the kernel keeps it. After `step_timeout` seconds
    without a new sample the run is killed as hung. When `stop` is set, it is killed and has no
    result.
    """
    token = uuid.uuid4().hex
    given = dict(environment) if environment is not None else child_environment()
    command = [python or sys.executable, str(Path(worker.__file__)), str(run.spec_path)]
    began, stalled = time.monotonic(), _stalled_seconds()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**given, _RUN: token},
            start_new_session=True,  # Ctrl-C is for the parent; a kill takes grandchildren along
        )
    except OSError as error:
        raise InputError(f"cannot start {command[0]}: {error.strerror}") from error
    assert child.stdout is not None
    output = _Output(child.stdout)
    watch = _Watch(child.pid, run, memory_limit, on_sample)
    try:
        killed = _wait(child, watch, step_timeout, stop or threading.Event())
    finally:
        _kill_group(child)
        left_behind = _kill_marked(token)
        output.finish()
    watch.look()
    run.write_output(output.text())
    end = killed or _ending(child.returncode, watch, output)
    result = RunRecord(
        outcome=end.outcome,
        why=end.why,
        message=end.message,
        status=end.status if end.status is not None else child.returncode,
        signal=end.signal,
        wall_s=round(time.monotonic() - began, 3),
        pressure_s=_since(stalled),
        peak_rss=watch.peak_rss,
        last_step=watch.last_step,
        machine=machine,
        left_behind=left_behind,
    )
    run.write_result(result)
    return result


def _stalled_seconds() -> float | None:
    """Return the seconds since boot in which something waited for memory; None if unknown."""
    try:
        text = Path("/proc/pressure/memory").read_text(encoding="ascii")
        return int(text.splitlines()[0].rpartition("total=")[2]) / 1e6
    except (OSError, ValueError, IndexError):
        return None  # no Linux, no such accounting, or hidden from this container


def _since(stalled: float | None) -> float | None:
    now = _stalled_seconds()
    return None if stalled is None or now is None else round(now - stalled, 3)


class _End(NamedTuple):
    """How a run ended; see `RunRecord`."""

    outcome: RunOutcome
    why: Notice | None = None
    message: str | None = None
    signal: str | None = None
    status: int | None = None
    """Of the command that a run followed; None: the run's own."""


_SAMPLES = msgspec.json.Decoder(Sample)


class _Watch:
    """What the parent sees of a run while it goes."""

    def __init__(
        self,
        pid: int,
        run: RunFolder,
        limit: int | None,
        on_sample: Callable[[Sample], None] | None,
    ) -> None:
        self.pid = pid
        self.limit = limit
        self.peak_rss = 0
        self.last_step: int | None = None
        self.error: Sample | None = None
        self.is_over = False
        self.held = 0
        self.changed = time.monotonic()
        self._peak = 0
        self._file = 0
        self._path = run.steps_path
        self._on_sample = on_sample
        self._read = 0
        self._rest = b""

    def over_limit(self) -> int | None:
        """Return the footprint if it is, or was since the last step, over the limit."""
        seen = outside(self.pid)
        rss = seen.get("rss", 0)
        anonymous = seen.get("anonymous", rss) + seen.get("shared", 0)  # none of it can be dropped
        peak = max(seen.get("peak", 0), rss)
        self.peak_rss = max(self.peak_rss, peak)
        # File pages that were there at the peak may be gone by now, at the end of a process all of
        # them: the most since the worker last reset its peak is taken off.
        if peak < self._peak - _INEXACT:
            self._file = 0
        self._peak, self._file = peak, max(self._file, rss - anonymous)
        footprint = max(max(anonymous, peak - self._file) + seen.get("swap", 0), self.held)
        return footprint if self.limit is not None and footprint > self.limit else None

    def look(self) -> None:
        """Read the lines that are new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read(os.fstat(file.fileno()).st_size - self._read)
        except FileNotFoundError:
            return
        if not new:
            return
        self._read += len(new)
        self.changed = time.monotonic()
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            try:
                sample = _SAMPLES.decode(line)
            except (ValueError, RecursionError):
                continue  # it is said when the run is read
            self.peak_rss = max(self.peak_rss, int(sample.peak or sample.rss or 0))
            # What a run follows from outside is no part of its own process.
            self.held = int(sum(x or 0 for x in (sample.anonymous, sample.shared, sample.swap)))
            if sample.step is not None:
                self.last_step = int(sample.step)
            if sample.phase == "error":
                self.error = sample
            self.is_over = sample.phase == "released"
            if self._on_sample is not None:
                self._on_sample(sample)


def _wait(
    child: subprocess.Popen[bytes], watch: _Watch, timeout: float, stop: threading.Event
) -> _End | None:
    """Wait for the end; return how the run ended if it was killed from here."""
    while child.poll() is None:
        if stop.is_set():
            raise RunStoppedError("the study was interrupted; the run is killed, its samples stay")
        footprint = watch.over_limit()
        watch.look()
        if footprint is not None:
            over: dict[str, Value] = {"footprint": footprint, "limit": watch.limit}
            why = Notice("over-limit", {**over, "step": watch.last_step})
            return _End("killed", why, None, "SIGKILL")
        if time.monotonic() - watch.changed > timeout:
            why = Notice("no-sample", {"seconds": timeout, "step": watch.last_step})
            return _End("timed-out", why, None, "SIGKILL")
        time.sleep(_POLL_SECONDS)
    return None


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill the run and whatever it has started."""
    # It may be gone already; on macOS a group of zombies alone gives a permission error.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _kill_marked(token: str) -> int:
    """Kill what a run has started and what left its session; return how many they were.

    They are known by a variable in their environment, which only Linux shows.
    """
    mark = f"{_RUN}={token}".encode()
    ended = 0
    for pid in filter(str.isdigit, os.listdir("/proc") if _HAS_PROC else ()):  # noqa: PTH208
        with contextlib.suppress(OSError):  # somebody else's, or gone by now
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(int(pid), signal.SIGKILL)
                ended += 1
    return ended


def _ending(status: int, watch: _Watch, output: _Output) -> _End:
    """Return how a run ended by itself."""
    followed = None if watch.error is None else (watch.error.facts or {}).get("status")
    if isinstance(followed, (int, float)):  # that of the command which the run followed
        status = int(followed)
    elif status == worker.EXIT_CANNOT_WRITE:
        raise StudyError(
            f"the run could not write its samples: {output.last_line()}; what was measured before "
            "is kept; free some room or make the folder writable, then go on with --resume"
        )
    elif status == worker.EXIT_ERROR and watch.error is not None:
        return _End("crashed", Notice("raised", {"type": watch.error.type}), watch.error.error)
    if status == 0 and watch.is_over:
        return _End("complete")
    if status == 0:
        return _End("crashed", Notice("ended-early"))
    if status < 0:
        name = _signal_name(-status)
        return _End("crashed", Notice("signal", {"name": name}), None, name, status)
    why = Notice("status", {"status": status})
    return _End("crashed", why, output.last_line() or None, None, status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal, which has no name
        return f"signal {number}"


class _Output:
    """Reads what a run prints, and keeps its beginning and its end, however much it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        while data := os.read(self._stream.fileno(), 65536):
            room = _OUTPUT_KEPT - len(self._head)
            self._head += data[:room]
            self._tail += data[room:]
            extra = len(self._tail) - _OUTPUT_KEPT
            if extra > 0:
                del self._tail[:extra]
                self._dropped += extra

    def finish(self) -> None:
        """Wait for the last bytes; a grandchild that left the group cannot hold this up."""
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():
            self._stream.close()

    def text(self) -> bytes:
        """Return what was kept."""
        gap = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)

    def last_line(self) -> str:
        """Return the last line that says something."""
        lines = self.text().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:500] if lines else ""
