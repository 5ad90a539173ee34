"""Runs carried by this machine: so many at a time, each in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.experiment.capacity import available_memory
from listen2lab.experiment.machine import this_machine
from listen2lab.experiment.runner import child_environment, execute
from listen2lab.study.records import Spec

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from listen2lab.experiment.inputs import Inputs
    from listen2lab.experiment.machine import Machine
    from listen2lab.study.folder import RunFolder, StudyFolder
    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["LocalBackend", "make_spec", "run_here"]


class LocalBackend:
    """Runs on this machine (see `listen2lab.experiment.scheduler.Backend`).

    Parameters
    ----------
    plan, inputs, python
        See `listen2lab.experiment.run_study.start`.
    """

    def __init__(self, plan: Plan, inputs: Inputs, python: str | None) -> None:
        self.plan, self.inputs, self.python = plan, inputs, python
        inputs.prepare(plan)
        self.machine = this_machine(python, inputs.environment)
        self._slots: list[_Slot] | None = None

    def slots(self, label: Callable[[Machine], str]) -> list[_Slot]:
        """Return a slot for each of the plan's jobs."""
        if self._slots is None:
            name = label(self.machine)
            self._slots = [_Slot(self, name) for _ in range(self.plan.jobs)]
        return self._slots

    def close(self) -> None:
        """Have nothing to close."""


class _Slot:
    """One run at a time on this machine (see `listen2lab.experiment.scheduler.WorkerSlot`)."""

    def __init__(self, backend: LocalBackend, machine: str) -> None:
        self._backend = backend
        self.machine = machine

    def is_there(self) -> bool:
        return True

    def available(self) -> int:
        return available_memory()

    def carry(
        self,
        study: StudyFolder,
        run: Run,
        on_sample: Callable[[Sample], None],
        stop: threading.Event,
    ) -> RunRecord | None:
        local = self._backend
        return run_here(
            study, run, local.plan, local.inputs, python=local.python, machine=self.machine,
            on_sample=on_sample, stop=stop,
        )  # fmt: skip


def run_here(
    study: StudyFolder,
    run: Run,
    plan: Plan,
    inputs: Inputs,
    *,
    python: str | None,
    machine: str,
    on_sample: Callable[[Sample], None],
    stop: threading.Event,
) -> RunRecord:
    """Do one run of a study in a fresh process of this machine."""
    folder = study.run(run.key)
    folder.prepare(make_spec(study, folder, run, plan, inputs))
    return execute(
        folder,
        python=run.level.python or python,
        memory_limit=plan.memory_limit,
        step_timeout=plan.step_timeout,
        environment=child_environment(inputs.environment),
        machine=machine,
        on_sample=on_sample,
        stop=stop,
    )


def make_spec(study: StudyFolder, folder: RunFolder, run: Run, plan: Plan, inputs: Inputs) -> Spec:
    """Return everything that a worker needs to know of a run."""
    experiment = run.experiment
    return Spec(
        workload=inputs.workload(
            run, plan, study.kept_from(folder, pickle=inputs.pickle is not None)
        ),
        warmup=experiment.warmup,
        steps=experiment.steps,
        sample_every=plan.sample_every(experiment),
        phases=experiment.phases,
        traced=run.traced,
    )
