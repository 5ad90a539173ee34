"""Conduct a study: every run of a plan, each in a fresh process, into one folder."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from listen2lab.experiment import facts
from listen2lab.experiment.catalog import HYPOTHESES
from listen2lab.experiment.design import Plan, Run, schedule
from listen2lab.experiment.inputs import Inputs, reopen
from listen2lab.experiment.runner import child_environment, execute
from listen2lab.experiment.store import RunFolder, StudyFolder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Progress", "make_spec", "resume", "start"]


class Progress(Protocol):
    """Who wants to know how a study goes: a bar in a terminal or a notebook."""

    def begin(self, total: int, done: int) -> None:
        """Hear that there are ``total`` runs, of which ``done`` were there before."""

    def sample(self, run: Run, line: dict[str, Any]) -> None:
        """Hear of a line that a run has written."""

    def end(self, run: Run, result: dict[str, Any]) -> None:
        """Hear how a run has ended."""


def start(
    plan: Plan,
    inputs: Inputs,
    path: Path,
    *,
    command: str,
    python: str | None = None,
    progress: Progress | None = None,
) -> StudyFolder:
    """Run a plan into a new study.

    Parameters
    ----------
    plan
        What to run.
    inputs
        What is read and spoken with.
    path
        The study's folder, new or empty.
    command
        The command that does the same again, for the manifest.
    python
        Another interpreter for the workers.
    progress
        Told of every sample and every end.

    Returns
    -------
    StudyFolder
        The study, complete; its lock is released.

    Raises
    ------
    StudyError
        The folder cannot be used or written.
    KeyboardInterrupt
        Ctrl-C: the run under way is killed, what it measured stays, `resume` completes the study.
    """
    study = StudyFolder(path)
    manifest = {
        "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "python": python,
        "plan": plan.to_json(),
        "hypotheses": {name: asdict(each) for name, each in HYPOTHESES.items()},
        "inputs": inputs.described(),
        **facts.collect(python, inputs.environment),
    }
    study.create(manifest, list(inputs.paragraphs))
    return _run_all(study, plan, inputs, python, progress)


def resume(path: Path, *, progress: Progress | None = None) -> StudyFolder:
    """Run what a study still lacks.

    Parameters
    ----------
    path
        A study that was interrupted.
    progress
        As in `start`.

    Returns
    -------
    StudyFolder
        The study, complete.

    Raises
    ------
    StudyError
        This is no study, another process is writing it, or the models are not the same any more.
    """
    study = StudyFolder(path)
    manifest = study.manifest()
    inputs = reopen(manifest["inputs"], study.paragraphs())
    study.acquire()
    plan = Plan.from_json(manifest["plan"])
    return _run_all(study, plan, inputs, manifest["python"], progress)


def _run_all(
    study: StudyFolder, plan: Plan, inputs: Inputs, python: str | None, progress: Progress | None
) -> StudyFolder:
    """Run what has no result yet, ``plan.jobs`` at a time, and release the study's lock."""
    teller = _Teller(progress)
    stop = threading.Event()

    def conduct_one(run: Run) -> None:
        if stop.is_set():
            return
        folder = study.run(run.key)
        folder.prepare(make_spec(study, folder, run, plan, inputs))
        result = execute(
            folder,
            python=run.level.python or python,
            memory_limit=plan.memory_limit,
            step_timeout=plan.step_timeout,
            environment=child_environment(inputs.environment),
            on_sample=partial(teller.sample, run),
            stop=stop,
        )
        teller.end(run, result)

    try:
        runs = schedule(plan)
        left = [run for run in runs if study.run(run.key).result() is None]
        teller.begin(len(runs), len(runs) - len(left))
        with ThreadPoolExecutor(plan.jobs, thread_name_prefix="run") as pool:
            try:
                for future in as_completed([pool.submit(conduct_one, run) for run in left]):
                    future.result()
            except BaseException:  # Ctrl-C as well: what is under way is killed, not waited for
                stop.set()
                raise
    finally:
        study.release()
    return study


class _Teller:
    """Tells the progress of several runs, one at a time."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def begin(self, total: int, done: int) -> None:
        if self._progress is not None:
            self._progress.begin(total, done)

    def sample(self, run: Run, line: dict[str, Any]) -> None:
        if self._progress is not None:
            with self._lock:
                self._progress.sample(run, line)

    def end(self, run: Run, result: dict[str, Any]) -> None:
        if self._progress is not None:
            with self._lock:
                self._progress.end(run, result)


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
