"""Runs carried by this machine: so many at a time, each in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.experiment.capacity import available_memory
from listen2lab.experiment.machines import this_machine
from listen2lab.experiment.runner import child_environment, execute

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from listen2lab.experiment.inputs import Inputs
    from listen2lab.experiment.machines import Machine
    from listen2lab.study.folder import RunFolder, StudyFolder
    from listen2lab.study.plan import Plan, Run

__all__ = ["Local", "make_spec", "run_here"]


class Local:
    """Carries runs on this machine.

    Parameters
    ----------
    plan, inputs, python
        See `listen2lab.experiment.run_study.start`.
    """

    def __init__(self, plan: Plan, inputs: Inputs, python: str | None) -> None:
        self.plan, self.inputs, self.python = plan, inputs, python
        self.machine = this_machine(python, inputs.environment)
        self._places: list[_Thread] | None = None

    def places(self, label: Callable[[Machine], str]) -> list[_Thread]:
        """Return a place for each of the plan's jobs."""
        if self._places is None:
            name = label(self.machine)
            self._places = [_Thread(self, name) for _ in range(self.plan.jobs)]
        return self._places

    def close(self) -> None:
        """Have nothing to close."""


class _Thread:
    """One run at a time on this machine (see `listen2lab.experiment.scheduler.Place`)."""

    def __init__(self, carrier: Local, machine: str) -> None:
        self._carrier = carrier
        self.machine = machine

    def is_there(self) -> bool:
        return True

    def available(self) -> int:
        return available_memory()

    def carry(
        self,
        study: StudyFolder,
        run: Run,
        on_sample: Callable[[dict[str, Any]], None],
        stop: threading.Event,
    ) -> dict[str, Any] | None:
        local = self._carrier
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
    on_sample: Callable[[dict[str, Any]], None],
    stop: threading.Event,
) -> dict[str, Any]:
    """Do one run of a study in a fresh process of this machine.

    Parameters
    ----------
    study, run, plan, inputs
        What is run, and where it is written.
    python
        The worker's interpreter, unless the run's level names one; None: this one.
    machine
        The label of this machine in the study.
    on_sample, stop
        See `listen2lab.experiment.runner.execute`.

    Returns
    -------
    dict
        The run's result.
    """
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


def make_spec(
    study: StudyFolder, folder: RunFolder, run: Run, plan: Plan, inputs: Inputs
) -> dict[str, Any]:
    """Say everything that a worker needs to know of a run.

    Parameters
    ----------
    study, folder
        The study and the run's folder in it.
    run, plan, inputs
        What is run.

    Returns
    -------
    dict
        The content of ``spec.json``.
    """
    experiment = run.experiment
    return {
        "workload": inputs.workload(run, plan, study.paragraphs_from(folder)),
        "warmup": experiment.warmup,
        "steps": experiment.steps,
        "sample_every": plan.sample_every(experiment),
        "phases": list(experiment.phases),
        "traced": run.traced,
    }
