"""Conduct a study: every run of a plan, each in a fresh process, into one folder."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from listen2lab.errors import StudyError
from listen2lab.experiment.capacity import Expectation, first_guess
from listen2lab.experiment.catalog import HYPOTHESES
from listen2lab.experiment.inputs import Inputs, reopen
from listen2lab.experiment.local import Local, make_spec
from listen2lab.experiment.machines import Machines
from listen2lab.experiment.scheduler import JobList
from listen2lab.study.checked import checked_plan, checked_run
from listen2lab.study.folder import StudyFolder
from listen2lab.study.manifest import checked_manifest
from listen2lab.study.plan import schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from listen2lab.experiment.cluster import Cluster
    from listen2lab.experiment.machines import Machine
    from listen2lab.experiment.scheduler import Place
    from listen2lab.study.plan import Plan, Run

__all__ = ["Carrier", "Progress", "make_spec", "refuse_planted", "resume", "start"]

_LOOK_SECONDS = 0.5  # how often it is asked which places there are


class Progress(Protocol):
    """Who wants to know how a study goes: a bar in a terminal or a notebook."""

    def begin(self, total: int, done: int) -> None:
        """Hear that there are ``total`` runs, of which ``done`` were there before."""

    def sample(self, run: Run, line: dict[str, Any]) -> None:
        """Hear of a line that a run has written."""

    def end(self, run: Run, result: dict[str, Any]) -> None:
        """Hear how a run has ended."""


class Carrier(Protocol):
    """What brings runs to a machine: this one, or those of a Dask cluster."""

    @property
    def machine(self) -> Machine:
        """The machine whose facts stand for the study."""

    def places(self, label: Callable[[Machine], str]) -> Sequence[Place]:
        """Return the places there are now; raise a `StudyError` when there will be none."""

    def close(self) -> None:
        """Let go of what it holds."""


def _silent(_sentence: str) -> None:
    """Tell nobody."""


def start(
    plan: Plan,
    inputs: Inputs,
    path: Path,
    *,
    command: str,
    python: str | None = None,
    on: str | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = _silent,
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
    on
        Address of a Dask scheduler whose workers carry the runs; None: this machine does.
    progress
        Told of every sample and every end.
    say
        Told what the user should know besides: a worker that was refused or lost, a run that
        may not fit.

    Returns
    -------
    StudyFolder
        The study, complete; its lock is released.

    Raises
    ------
    StudyError
        The folder cannot be used or written, or the cluster went away.
    InputError
        Nothing at that address can carry the runs; nothing was written.
    KeyboardInterrupt
        Ctrl-C: the run under way is killed, what it measured stays, `resume` completes the study.
    """
    study = StudyFolder(path)
    carrier: Carrier
    if on is None:
        carrier = Local(plan, inputs, python)
    else:
        carrier = _cluster()(on, plan, inputs, python, say=say)
    try:
        manifest = {
            "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            "command": command,
            "python": python,
            "plan": plan.to_json(),
            "hypotheses": {name: asdict(each) for name, each in HYPOTHESES.items()},
            "inputs": inputs.described(),
            **carrier.machine.facts,
            "machines": {},
        }
        study.create(manifest, list(inputs.paragraphs))
        return _run_all(study, plan, inputs, carrier, progress=progress, say=say)
    finally:
        carrier.close()


def resume(
    path: Path,
    *,
    on: str | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = _silent,
) -> StudyFolder:
    """Run what a study still lacks.

    Parameters
    ----------
    path
        A study that was interrupted.
    jobs
        Runs at a time on one machine; None: as the study was begun.
    on, progress, say
        As in `start`; a study that was begun here can be completed on a cluster, and back.

    Returns
    -------
    StudyFolder
        The study, complete.

    Raises
    ------
    StudyError
        This is no study, another process is writing it, the models are not the same any more, or
        the cluster went away.
    InputError
        Nothing at that address can carry the runs.
    """
    study = StudyFolder(path)
    manifest, _ = checked_manifest(study.manifest())
    plan = checked_plan(manifest, path)
    refuse_planted(plan)
    inputs = reopen(manifest["inputs"], study.paragraphs())
    if jobs is not None:
        plan = replace(plan, jobs=jobs)
    python = manifest["python"]
    carrier: Carrier
    if on is None:
        carrier = Local(plan, inputs, python)
    else:
        began_with = manifest.get("versions")
        carrier = _cluster()(on, plan, inputs, python, versions=began_with, say=say)
    try:
        study.acquire()
        return _run_all(study, plan, inputs, carrier, progress=progress, say=say)
    finally:
        carrier.close()


def refuse_planted(plan: Plan) -> None:
    """Refuse a selftest: which fault a level stands for is in no plan.

    Raises
    ------
    StudyError
        It is one.
    """
    if any(item.factor == "fault" for item in plan.experiments):
        raise StudyError(
            "this is a selftest, whose faults no plan holds; nothing was run; "
            "`listen2lab selftest` runs them all again"
        )


def _cluster() -> type[Cluster]:
    from listen2lab.experiment.cluster import Cluster  # noqa: PLC0415 - dask is an extra

    return Cluster


def _run_all(
    study: StudyFolder,
    plan: Plan,
    inputs: Inputs,
    carrier: Carrier,
    *,
    progress: Progress | None,
    say: Callable[[str], None],
) -> StudyFolder:
    """Run what has no result yet, as places and memory allow, and release the study's lock."""
    teller = _Teller(progress)
    crew: dict[Place, threading.Thread] = {}
    jobs: JobList | None = None
    try:
        runs = schedule(plan)
        jobs, left = _job_list(study, runs, plan, inputs, say)
        machines = Machines(study)
        teller.begin(len(runs), left)
        while not jobs.is_over():
            places = carrier.places(machines.label)
            jobs.keep_to({place.machine for place in places})
            for place in places:
                if place not in crew:
                    crew[place] = threading.Thread(
                        target=_work, args=(place, study, jobs, teller), name="run"
                    )
                    crew[place].start()
            jobs.wait(_LOOK_SECONDS)
    except BaseException as error:  # Ctrl-C as well: what is under way is killed, not waited for
        if jobs is not None:
            jobs.fail(error)
        raise
    finally:
        for thread in crew.values():
            thread.join()
        study.release()
    jobs.raise_error()
    several = len(study.manifest().get("machines", ()))
    if several > 1:
        say(
            f"the runs were on {several} machines, named with each run; a repeat stayed on one "
            "where it could; levels of different machines may differ"
        )
    return study


def _job_list(
    study: StudyFolder, runs: Sequence[Run], plan: Plan, inputs: Inputs, say: Callable[[str], None]
) -> tuple[JobList, int]:
    """Return the list of what is left, and how many runs are finished.

    Those teach which peaks to expect, and which machine began which block.
    """
    expectation = Expectation(plan, first_guess(inputs.described().get("voice")))
    begun: dict[tuple[str, int], str] = {}
    left = []
    for run in runs:
        _, result, _, problem = checked_run(study, run, plan)
        if problem:
            say(f"{run.key}: {problem.removesuffix('; the run is left out')}; it is run again")
        if result is None:
            left.append(run)
            continue
        expectation.learn(run, result["outcome"], int(result.get("peak_rss") or 0))
        if not run.traced and result.get("machine"):
            begun[run.experiment.name, run.repeat] = result["machine"]
    jobs = JobList(left, jobs=plan.jobs, expectation=expectation, begun=begun, say=say)
    return jobs, len(runs) - len(left)


def _work(place: Place, study: StudyFolder, jobs: JobList, teller: _Teller) -> None:
    """Do runs at one place, one after the other, until there is nothing left for it."""
    try:
        while (run := jobs.take(place)) is not None:
            result = place.carry(study, run, partial(_sampled, jobs, teller, run), jobs.stop)
            if result is None:
                jobs.give_back(run)
            else:
                teller.end(run, result)
                jobs.end(run, result)
    except BaseException as error:  # noqa: BLE001 - it is raised again where the study is conducted
        jobs.fail(error)


def _sampled(jobs: JobList, teller: _Teller, run: Run, line: dict[str, Any]) -> None:
    jobs.held(run, int(line.get("rss", 0)))
    teller.sample(run, line)


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
