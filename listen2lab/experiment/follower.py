"""Follow any program from outside: what its tree of processes holds, step by step or by time.

The worker starts a command and takes each line on its output as the end of a step, or looks at a
tree of processes by time. Either way a reading costs the program nothing; and the worker at most a
hundredth of a core, so that steps that are too quick are read every few.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from contextlib import suppress

from listen2lab.errors import WorkloadError
from listen2lab.probes.tree import Tree, started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["follow"]

_SHARE, _AT_ONCE = 0.008, 0.1
# The share of a core that reading may take, and the seconds of it that a short run may take: in
# a minute it is less than a hundredth, and in a second there are samples enough to be judged.
_READINGS = 200  # of a run that is read by time
_LEAST_SECONDS, _MOST_SECONDS = 0.05, 60.0  # between two of them
_LOOK_SECONDS = 1.0  # how often it is seen whether the tree is over its limit
_CHUNK = 1 << 20
_PATIENCE = 5.0  # seconds from being asked to end to being ended
_SUBREAPER = 36  # prctl: what loses its parent below this process becomes its child

_GAPS = dict.fromkeys(("in_use", "peak", "python_blocks"), "seen-from-outside")


def follow(
    described: dict[str, Any],
    spec: dict[str, Any],
    write: Callable[..., None],
    die_with_parent: Callable[[], None],
) -> int | None:
    """Follow what a spec describes to its end; return None, or the status of a command that failed.

    ``described`` has ``argv`` and ``folder`` of a command, or ``pid`` and ``started`` of a process;
    ``seconds`` where it is read by time, else None; ``limit`` in bytes, or None.
    """
    if "pid" in described:
        pid = int(described["pid"])
        if started(pid) != described["started"]:
            raise WorkloadError(f"there is no process {pid} any more; name one that runs")
        run = _Run(Tree(pid), described, spec, write)
        write("meter", gaps=_GAPS, pid=pid)
        run.by_time(None, lambda: started(pid) == described["started"])  # and no other by now
        run.refuse_nothing()
        return None
    with suppress(OSError, AttributeError):
        import ctypes  # a child of the command's that it leaves behind is followed, too

        ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    tree = Tree(os.getpid(), is_counted=False)
    child = subprocess.Popen(
        described["argv"], cwd=described["folder"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - there is no other thread
    )  # fmt: skip
    run = _Run(tree, described, spec, write)
    write("meter", gaps=_GAPS, pid=child.pid)
    assert child.stdout is not None
    try:
        if described["seconds"] is None:
            is_over = run.by_line(child.stdout.fileno())
        else:
            is_over = run.by_time(child.stdout.fileno(), lambda: True)
        if is_over:
            child.terminate()
        status = child.wait(_PATIENCE)
        if status and not is_over:
            return status
    except subprocess.TimeoutExpired:  # it has closed its output and goes on, or will not end
        child.kill()
    run.refuse_nothing()
    return None


class _Run:
    """One run that is followed: where it is, and how often it may be read."""

    def __init__(
        self,
        tree: Tree,
        described: dict[str, Any],
        spec: dict[str, Any],
        write: Callable[..., None],
    ) -> None:
        self.tree = tree
        self.write = write
        self.warmup, self.steps = int(spec["warmup"]), int(spec["steps"])
        self.every = int(spec["sample_every"])
        self.seconds: float | None = described["seconds"]
        self.limit: int | None = described["limit"]
        self.began = time.monotonic()
        self.lines = 0
        self.last: dict[str, Any] = {}
        self.n_read = 0
        self.n_measured = 0
        self.spent = 0.0
        self.looked = self.began

    def by_line(self, output: int) -> bool:
        """Read after each line, or every few; tell whether all steps were seen."""
        total, seen, due = self.warmup + self.steps, 0, self.every
        while self.lines < total:
            if not select.select([output], [], [], _LOOK_SECONDS)[0]:
                self.look()
                continue
            data = os.read(output, _CHUNK)
            if not data:
                break
            self.lines += data.count(b"\n")
            if self.lines >= due and self.sample(self.lines - 1, self.lines - seen):
                seen = self.lines
                self.pace((time.monotonic() - self.began) / self.lines)
            due = (self.lines // self.every + 1) * self.every
            self.look()
        self.end()
        return self.lines >= total

    def by_time(self, output: int | None, is_alive: Callable[[], bool]) -> bool:
        """Read every so often; tell whether the time was over before the program was."""
        assert self.seconds is not None
        tick = min(max(self.seconds / _READINGS, _LEAST_SECONDS), _MOST_SECONDS)
        total, n, seen = self.warmup + self.seconds, 0, 0
        while (n + self.every) * tick <= total + tick / 2:
            n += self.every
            output = self.drain(output, self.began + n * tick)
            at, since = round(n * tick, 3), round((n - seen) * tick, 3)
            if not is_alive() or not self.sample(at, since):
                self.end()
                return False
            seen = n
            self.pace(tick)
        self.end()
        return True

    def drain(self, output: int | None, until: float) -> int | None:
        """Read on what is printed until a moment, so that nothing waits for a full pipe."""
        while (left := until - time.monotonic()) > 0:
            if output is None:
                time.sleep(min(left, _LOOK_SECONDS))
            elif select.select([output], [], [], min(left, _LOOK_SECONDS))[0]:
                data = os.read(output, _CHUNK)
                self.lines += data.count(b"\n")
                if not data:
                    output = None
            self.look()
        return output

    def sample(self, step: float, steps: float) -> bool:
        """Read and write one sample; tell whether there was anything to read."""
        began = time.thread_time()
        held = self.tree.read()
        if held:
            is_measured = step >= self.warmup
            facts = {"processes": held.pop("processes")}
            phase = "step" if is_measured else "warmup"
            self.write(phase, step=step, steps=steps, **held, facts=facts)
            self.n_measured += is_measured
            self.last = held
        self.n_read += 1
        self.spent += time.thread_time() - began
        return bool(held)

    def pace(self, unit: float) -> None:
        """Read less often where reading takes more than its share; a step takes `unit` seconds."""
        allowed = _AT_ONCE + _SHARE * (time.monotonic() - self.began)
        if self.spent > allowed and self.spent / self.n_read > _SHARE * self.every * unit:
            self.every *= 2

    def look(self) -> None:
        """See whether the tree is over its limit: the parent reads the line, and kills it."""
        if self.limit is None or time.monotonic() - self.looked < _LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        held = self.tree.read()
        held.pop("processes", None)
        if sum(held.get(name, 0) for name in ("anonymous", "shared", "swap")) > self.limit:
            self.write("over", **held)

    def end(self) -> None:
        """Write what is held at the end: as it was last, where all is over."""
        held = self.tree.read() or self.last
        held.pop("processes", None)
        self.write("end", **held)

    def refuse_nothing(self) -> None:
        """Raise where nothing was read behind the warm-up."""
        if self.n_measured:
            return
        if self.seconds is not None:
            raise WorkloadError(
                "it ended before the warm-up was over; sample it for a shorter time"
            )
        if not self.lines:
            raise WorkloadError(
                "it printed no line, and each line is a step; --for 60s samples it by time"
            )
        raise WorkloadError(
            f"it printed {self.lines:,} lines, too few or too fast to be read behind the "
            f"{self.warmup:,} of the warm-up; let it do more, or sample it by time with --for 60s"
        )
