"""Run a study: every run of a plan, each in a fresh process, into one folder."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from listen2lab.errors import InputError, StudyError
from listen2lab.experiment.capacity import Expectation, first_guess
from listen2lab.experiment.inputs import Inputs, changed, is_generated, reopen, retold
from listen2lab.experiment.local import LocalBackend
from listen2lab.experiment.machine import Labels
from listen2lab.experiment.progress import Progress
from listen2lab.experiment.scheduler import Scheduler
from listen2lab.experiment.trust import is_own, marked, refuse_foreign_levels
from listen2lab.notice import Notice
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import schedule
from listen2lab.study.reading import read_run
from listen2lab.study.records import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from listen2lab.experiment.scheduler import Backend, WorkerSlot
    from listen2lab.notice import Value
    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import Call, HypothesisRecord, InputsRecord, RunRecord, Sample

__all__ = ["extend", "refuse_planted", "resume", "start", "to_nobody", "will_run"]

_LOOK_SECONDS = 0.5  # how often it is asked which slots there are


def to_nobody(_notice: Notice) -> None:
    """Pass over a notice."""


def start(
    plan: Plan,
    inputs: Inputs,
    path: Path,
    *,
    call: Call | None = None,
    hypotheses: Mapping[str, HypothesisRecord] | None = None,
    python: str | None = None,
    on: str | None = None,
    progress: Progress | None = None,
    notify: Callable[[Notice], None] = to_nobody,
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
    call
        The call that does the same again, for the manifest.
    hypotheses
        As they stand before the runs, for the manifest.
    python
        Another interpreter for the workers.
    on
        Address of a Dask scheduler whose workers carry the runs; None: this machine does.
    progress
        Told of every sample and every end.
    notify
        Gets what the user should know besides: ``worker-refused`` (``address``, ``message``),
        ``several-machines`` (``machines``: how many), and those of `Scheduler`.

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
    backend = _backend(plan, inputs, python, on=on, notify=notify)
    try:
        manifest = marked(
            Manifest(
                plan=plan,
                created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
                call=call,
                python=python,
                hypotheses=dict(hypotheses or {}),
                inputs=inputs.record,
                setup=backend.machine.setup,
            )
        )
        study.create(manifest, list(inputs.paragraphs), inputs.pickle)
        return _run_all(study, plan, inputs, backend, progress=progress, notify=notify)
    finally:
        backend.close()


def extend(plan: Plan, inputs: Inputs, path: Path) -> StudyFolder:
    """Go on with a study that this very process began, under a larger plan; as `start`."""
    study = StudyFolder(path)
    backend = _backend(plan, inputs, None, on=None, notify=to_nobody)
    try:
        study.acquire()
        study.write_manifest(marked(msgspec.structs.replace(study.manifest()[0], plan=plan)))
        return _run_all(study, plan, inputs, backend, progress=None, notify=to_nobody)
    finally:
        backend.close()


def resume(
    path: Path,
    *,
    on: str | None = None,
    jobs: int | None = None,
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
    python: str | None = None,
    progress: Progress | None = None,
    notify: Callable[[Notice], None] = to_nobody,
) -> StudyFolder:
    """Run what a study still lacks.

    Parameters
    ----------
    path
        A study that was interrupted.
    jobs
        Runs at a time on one machine; None: as the study was begun.
    workload, voice, recognizer, python
        What is executed and opened, for a study that this user did not begin here: what its
        manifest names is then not touched. The content must be the same, by hash.
    on, progress, notify
        As in `start`; a study that was begun here can be completed on a cluster, and back. A run
        that is run again because its files cannot be read gives the notice of that, and
        ``run-again`` (``run``); before anything runs, `will_run` says what will.

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
        Nothing at that address can carry the runs, or what is executed must be named.
    """
    study = StudyFolder(path)
    manifest, _ = study.manifest()
    plan = manifest.plan
    refuse_planted(plan)
    paragraphs = study.paragraphs()
    given = {"workload": workload, "voice": voice, "recognizer": recognizer}
    named = {kind: str(value) for kind, value in given.items() if value is not None}
    _refuse_foreign(manifest, str(path), {*named, *(["python"] if python else [])})
    pickle = study.pickle() if is_own(manifest) else None
    inputs = reopen(retold(manifest.inputs, named), paragraphs, pickle)
    if other := changed(manifest.inputs, inputs.record):
        raise StudyError(
            f"the {' and '.join(other)} is not what the study was begun with; its runs are kept as "
            "they are; start a new study instead of mixing two"
        )
    if jobs is not None:
        plan = msgspec.structs.replace(plan, jobs=jobs)
    is_named = bool(named) or python is not None
    python = python or manifest.python
    began_with = manifest.setup.versions or None
    backend = _backend(plan, inputs, python, on=on, versions=began_with, notify=notify)
    try:
        study.acquire()
        if is_named:  # this user has said it, so it need not be said again
            said = msgspec.structs.replace(
                study.manifest()[0], inputs=_renamed(manifest.inputs, inputs.record), python=python
            )
            study.write_manifest(marked(said))
        return _run_all(
            study, plan, inputs, backend, progress=progress, notify=notify, resumed=(python,)
        )
    finally:
        backend.close()


def _backend(
    plan: Plan,
    inputs: Inputs,
    python: str | None,
    *,
    on: str | None,
    notify: Callable[[Notice], None],
    versions: Mapping[str, str] | None = None,
) -> Backend:
    """Return what carries the runs: this machine, or the cluster at an address."""
    if on is None:
        return LocalBackend(plan, inputs, python)
    if inputs.pickle is not None:
        raise InputError(
            "a function is stepped on this machine alone; nothing was run; write it into a file "
            "that lies at the same path on each machine of the cluster"
        )
    from listen2lab.experiment.cluster import ClusterBackend  # dask is an extra

    return ClusterBackend(on, plan, inputs, python, versions=versions, notify=notify)


def _renamed(was: InputsRecord, now: InputsRecord) -> InputsRecord:
    """Return what a study was given, with the places where it lies now."""
    kept = ("workload", "command", "folder", "voice", "recognizer")
    return msgspec.structs.replace(was, **{name: getattr(now, name) for name in kept})


def _refuse_foreign(manifest: Manifest, where: str, named: set[str]) -> None:
    """Refuse to execute or open what only a study of somebody else names."""
    was = manifest.inputs
    if was.pickled and "workload" in named:
        raise InputError(
            f"{where} keeps the function that it steps, and no file can stand for it; nothing was "
            f"run; leave out --workload, or watch {was.workload} in a study of its own"
        )
    if is_own(manifest) or was.pickled:  # of somebody else, it is refused where it would be opened
        return
    refuse_foreign_levels(manifest, where)
    wanted = {"workload": was.executed, "python": manifest.python}
    for kind in ("voice", "recognizer"):
        name = getattr(was, kind)
        wanted[kind] = None if name is None or is_generated(kind, name) else name
    lacking = {kind: name for kind, name in wanted.items() if name and kind not in named}
    if lacking:
        said = ", ".join(f"{kind} {name}" for kind, name in lacking.items())
        raise InputError(
            f"{where} was not begun by you on this machine, so nothing that it names is executed "
            f"or opened; it plans {len(schedule(manifest.plan))} runs with {said}; nothing was "
            f"run; look at that, then name it with {' '.join(f'--{kind}' for kind in lacking)}"
        )


def will_run(
    runs: Sequence[Run], inputs: Inputs, python: str | None, seconds: float | None, jobs: int
) -> Notice:
    """Return the notice of what will be run, for before anything is."""
    given = inputs.record.executed or f"{inputs.record.voice}, {inputs.record.recognizer}"
    own = {run.level.python for run in runs} - {None}
    interpreters = ", ".join(sorted({python or sys.executable, *filter(None, own)}))
    took = None if seconds is None else max(1.0, round(seconds / max(1, jobs), 1))
    values: dict[str, Value] = {
        "runs": len(runs),
        "python": interpreters,
        "given": given,
        "seconds": took,
    }
    return Notice("will-run", values)


def refuse_planted(plan: Plan) -> None:
    """Refuse a selftest: which fault a level stands for is in no plan."""
    if any(item.factor == "fault" for item in plan.experiments):
        raise StudyError(
            "this is a selftest, whose faults no plan holds; nothing was run; "
            "`listen2lab selftest` runs them all again"
        )


def _run_all(
    study: StudyFolder,
    plan: Plan,
    inputs: Inputs,
    backend: Backend,
    *,
    progress: Progress | None,
    notify: Callable[[Notice], None],
    resumed: tuple[str | None] | None = None,
) -> StudyFolder:
    """Run what has no result yet, as slots and memory allow, and release the study's lock.

    A study that is resumed, with the interpreter in ``resumed``, first says what is left.
    """
    told, lock = progress or Progress(), threading.Lock()
    threads: dict[WorkerSlot, threading.Thread] = {}
    jobs: Scheduler | None = None
    try:
        runs = schedule(plan)
        jobs, left, seconds = _scheduler(study, runs, plan, inputs, notify)
        done = len(runs) - len(left)
        if resumed is not None and left:
            notify(will_run(left, inputs, resumed[0], seconds, plan.jobs))
        labels = Labels(study)
        told.begin(len(runs), done)
        while not jobs.is_over():
            slots = backend.slots(labels.label)
            jobs.keep_to({slot.machine for slot in slots})
            for slot in slots:
                if slot not in threads:
                    threads[slot] = threading.Thread(
                        target=_work, args=(slot, study, jobs, told, lock), name="run"
                    )
                    threads[slot].start()
            jobs.wait(_LOOK_SECONDS)
    except BaseException as error:  # Ctrl-C as well: what is under way is killed, not waited for
        if jobs is not None:
            jobs.fail(error)
        raise
    finally:
        for thread in threads.values():
            thread.join()
        study.release()
    jobs.raise_error()
    several = len(study.manifest()[0].machines)
    if several > 1:
        notify(Notice("several-machines", {"machines": several}))
    return study


def _scheduler(
    study: StudyFolder,
    runs: Sequence[Run],
    plan: Plan,
    inputs: Inputs,
    notify: Callable[[Notice], None],
) -> tuple[Scheduler, list[Run], float | None]:
    """Return the scheduler of what is left, those runs, and roughly how long they take.

    Finished runs teach which peaks to expect, and which machine began which block.
    """
    expectation = Expectation(plan, first_guess(inputs.record.voice))
    begun: dict[tuple[str, int], str] = {}
    left: list[Run] = []
    took: list[float] = []
    for run in runs:
        read = read_run(study.run(run.key), run, plan)
        if read.problem is not None:
            notify(read.problem)
            notify(Notice("run-again", {"run": run.key}))
        if read.result is not None and _was_killed(read.result):
            notify(Notice("run-killed", {"run": run.key}))
            left.append(run)
            continue
        if read.result is None:
            left.append(run)
            continue
        expectation.learn(run, read.result)
        took.append(read.result.wall_s or 0.0)
        if not run.traced and read.result.machine is not None:
            begun[run.experiment.name, run.repeat] = read.result.machine
    jobs = Scheduler(left, jobs=plan.jobs, expectation=expectation, begun=begun, notify=notify)
    return jobs, left, len(left) * sum(took) / len(took) if took else None


def _was_killed(result: RunRecord) -> bool:
    """Tell whether somebody else killed a run, which says nothing of its workload.

    What is killed from here, at a limit, has another outcome.
    """
    return result.outcome == "crashed" and result.signal == "SIGKILL"


def _work(
    slot: WorkerSlot, study: StudyFolder, jobs: Scheduler, progress: Progress, lock: threading.Lock
) -> None:
    """Do runs in one slot, one after the other, until there is nothing left for it."""

    def sampled(run: Run, sample: Sample) -> None:
        jobs.held(run, int(sample.rss or 0))
        with lock:
            progress.sample(run, sample)

    try:
        while (run := jobs.take(slot)) is not None:
            result = slot.carry(study, run, partial(sampled, run), jobs.stop)
            if result is None:
                jobs.give_back(run)
            else:
                with lock:
                    progress.end(run, result)
                jobs.end(run, result)
    except BaseException as error:  # noqa: BLE001 - it is raised again where the study is run
        jobs.fail(error)
