"""The runs of a study that are left: who may take which, and when."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from listen2lab.errors import StudyError
from listen2lab.experiment.capacity import fits
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listen2lab.experiment.capacity import Expectation
    from listen2lab.experiment.machine import Machine
    from listen2lab.notice import Value
    from listen2lab.study.folder import StudyFolder
    from listen2lab.study.plan import Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["MOST_LOSSES", "Backend", "Scheduler", "WorkerSlot"]

MOST_LOSSES = 3
"""A run that was lost so many times with its worker is not tried again: it may be the cause."""

_LOOK_SECONDS = 1.0
# How often a slot that has to wait looks whether there is memory now.


class WorkerSlot(Protocol):
    """Where one run at a time can go: a thread of this machine, or of a Dask worker."""

    @property
    def machine(self) -> str:
        """The label of the machine it is on."""

    def is_there(self) -> bool:
        """Tell whether it still takes runs."""

    def available(self) -> int:
        """Return the bytes that are available on its machine now."""

    def carry(
        self,
        study: StudyFolder,
        run: Run,
        on_sample: Callable[[Sample], None],
        stop: threading.Event,
    ) -> RunRecord | None:
        """Do a run in a fresh process, into the study."""


class Backend(Protocol):
    """What brings runs to machines: this one, or those of a Dask cluster."""

    @property
    def machine(self) -> Machine:
        """The machine whose facts stand for the study."""

    def slots(self, label: Callable[[Machine], str]) -> Sequence[WorkerSlot]:
        """Return the slots there are now; raise a `StudyError` when there will be none."""

    def close(self) -> None:
        """Let go of what it holds."""


class Scheduler:
    """The runs that are left, in order.

    A block (every condition once) stays on the machine that began it, so that machines of
    different levels meet all conditions alike and a contrast is not one of machines. Order is
    kept: a run that has to wait for memory is not overtaken on its machine.

    Parameters
    ----------
    runs
        What is left, in the order of the schedule.
    jobs
        Runs at a time on one machine.
    expectation
        What a run will need.
    begun
        Machines of the blocks that were begun before, by ``(experiment, repeat)``.
    notify
        Gets what the user should know: ``run-lost`` and ``run-given-up`` (``run``, ``machine``,
        ``times``), ``runs-alone`` (``run``, ``machine``, ``expected`` and ``available`` bytes).
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        jobs: int,
        expectation: Expectation,
        begun: Mapping[tuple[str, int], str] | None = None,
        notify: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.given_up: list[str] = []
        self._left = list(runs)
        self._position = {run.key: n for n, run in enumerate(runs)}
        self._jobs = jobs
        self._expectation = expectation
        self._notify = notify
        self._changed = threading.Condition()
        self._under_way: dict[str, tuple[Run, str]] = {}
        self._held: dict[str, int] = {}
        self._losses: dict[str, int] = {}
        self._blocks = dict(begun or {})

    def take(self, slot: WorkerSlot) -> Run | None:
        """Wait until a run may start in a slot."""
        while slot.is_there() and not self.is_over():
            # Asked before the list is locked: the answer may come over a network.
            free = slot.available() if self._wants_room(slot.machine) else 0
            with self._changed:
                if not self.stop.is_set() and slot.is_there():
                    run = self._next(slot.machine, free)
                    if run is not None:
                        return run
                self._changed.wait(_LOOK_SECONDS)
        return None

    def held(self, run: Run, size: int) -> None:
        """Hear what a run under way holds now."""
        self._held[run.key] = size

    def end(self, run: Run, result: RunRecord) -> None:
        """Hear how a run has ended."""
        with self._changed:
            self._expectation.learn(run, result)
            self._drop(run)

    def give_back(self, run: Run) -> None:
        """Take back a run that was lost with its slot."""
        with self._changed:
            if run.key not in self._under_way:
                return
            machine = self._drop(run)
            lost = self._losses[run.key] = self._losses.get(run.key, 0) + 1
            is_over = lost >= MOST_LOSSES
            code = "run-given-up" if is_over else "run-lost"
            self._notify(Notice(code, {"run": run.key, "machine": machine, "times": lost}))
            if is_over:
                self.given_up.append(run.key)
                return
            self._left.append(run)
            self._left.sort(key=lambda item: self._position[item.key])

    def keep_to(self, machines: set[str]) -> None:
        """Let others go on with the blocks of machines that are gone."""
        with self._changed:
            self._blocks = {k: m for k, m in self._blocks.items() if m in machines}

    def fail(self, error: BaseException) -> None:
        """Stop everything because of an error; the first one counts."""
        with self._changed:
            self.error = self.error or error
            self.stop.set()
            self._changed.notify_all()

    def is_over(self) -> bool:
        """Tell whether nothing is left and nothing under way, or all was stopped."""
        return self.stop.is_set() or not (self._left or self._under_way)

    def wait(self, seconds: float) -> None:
        """Wait for a change, at most so long."""
        with self._changed:
            if not self.is_over():
                self._changed.wait(seconds)

    def raise_error(self) -> None:
        """Raise what stopped the list, or what it had to give up."""
        if self.error is not None:
            raise self.error
        if self.given_up:
            raise StudyError(
                f"{len(self.given_up)} runs were lost {MOST_LOSSES} times with their workers "
                f"({', '.join(self.given_up[:3])}, ...); every other run is kept; look why the "
                "workers die (memory?), then go on with --resume"
            )

    def _wants_room(self, machine: str) -> bool:
        """Tell whether the next run hangs on how much memory a machine has."""
        with self._changed:
            run, beside = self._first_for(machine), self._on(machine)
            if run is None or len(beside) >= self._jobs:
                return False
            return not beside or self._expectation.of(run) is not None

    def _next(self, machine: str, available: int) -> Run | None:
        """Take the next run for a machine, if it may start now; the list is locked."""
        run = self._first_for(machine)
        beside = self._on(machine)
        if run is None or len(beside) >= self._jobs:
            return None
        expected = self._expectation.of(run)
        others = [(self._expectation.of(other), self._held.get(other.key, 0)) for other in beside]
        if not fits(expected, others, available):
            if beside:
                return None
            if expected is not None:
                room: dict[str, Value] = {"expected": expected, "available": available}
                self._notify(Notice("runs-alone", {"run": run.key, "machine": machine, **room}))
        self._left.remove(run)
        self._under_way[run.key] = (run, machine)
        if not run.traced:
            self._blocks.setdefault(_block(run), machine)
        return run

    def _first_for(self, machine: str) -> Run | None:
        return next(
            (
                run
                for run in self._left
                if run.traced or self._blocks.get(_block(run), machine) == machine
            ),
            None,
        )

    def _on(self, machine: str) -> list[Run]:
        return [run for run, where in self._under_way.values() if where == machine]

    def _drop(self, run: Run) -> str:
        _, machine = self._under_way.pop(run.key)
        self._held.pop(run.key, None)
        self._changed.notify_all()
        return machine


def _block(run: Run) -> tuple[str, int]:
    return run.experiment.name, run.repeat
