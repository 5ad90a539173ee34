"""What a notebook and the command line call alike: run, complete, repeat, compare, merge."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from tqdm.std import tqdm

from listen2lab.errors import InputError, known_keywords
from listen2lab.experiment import catalog, inputs, run_study, workloads
from listen2lab.experiment.machine import interpreter, refuse_untraceable, same_python
from listen2lab.experiment.progress import Bar
from listen2lab.facade import Study
from listen2lab.findings.hypotheses import HYPOTHESES, predictions
from listen2lab.report.text.command import as_call
from listen2lab.report.text.escape import printable
from listen2lab.report.text.notices import say
from listen2lab.report.text.study import ended
from listen2lab.results import Comparison, Merged, Rerun
from listen2lab.study.plan import Experiment, Level, Plan, Traces
from listen2lab.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listen2lab.experiment.progress import Progress
    from listen2lab.notice import Notice
    from listen2lab.study.data import StudyData
    from listen2lab.study.records import Call

__all__ = [
    "compare", "jobs_here", "merge", "new_folder", "progress_bar", "rerun", "resume", "run",
    "several", "tell", "watch",
]  # fmt: skip

_ATTACHED_SECONDS = 60.0  # a process is watched, unless it is said how long
_JOBS = 2  # measured with so many: memory as with one at a time, within 0.4 %


@known_keywords
def run(
    experiments: str | Experiment | Sequence[str | Experiment] = (),
    *,
    levels: Sequence[Any] | None = None,
    voice: str = "tiny",
    recognizer: str = "recognizer",
    texts: Sequence[Path | str] = (),
    repeats: int = 3,
    steps: int | None = None,
    warmup: int | None = None,
    max_characters: int | None = None,
    knobs: Mapping[str, Any] | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    memory_limit: int | str | None = None,
    step_timeout: float = 600.0,
    trace: Traces = "telling",
    jobs: int | None = None,
    on: str | None = None,
    quick: bool = False,
    python: str | None = None,
    from_shell: bool = False,
    progress: Progress | None = None,
) -> Study:
    """Run experiments, each condition in fresh processes, into a new study.

    Parameters
    ----------
    experiments
        Names out of `EXPERIMENTS`, or experiments of your own (see `listen2lab.vary`); none, or
        ``"all"``: all of them but `cures`, which may be named beside.
    levels
        Only these levels of each experiment, by name or by the knob's value.
    voice, recognizer
        A generated model's name, or a folder.
    texts
        Books to read; none: the lab's own.
    repeats
        Plain runs of each condition.
    steps, warmup
        Measured paragraphs of a run, and unmeasured ones before them; None: the experiment's own.
    max_characters
        The longest paragraph that is read, but for the longest of all. At which length sentences
        are split is a knob, ``split_sentences_s``.
    knobs
        Knobs set in every condition; `listen2lab.KNOB_MEANINGS` says what each does.
    seed
        Decides the order of conditions and texts.
    out
        The study's folder, new or empty; None: a new one under ``studies/``.
    memory_limit
        Bytes (or ``"2.5GB"``) of anonymous memory at which a run is killed.
    step_timeout
        Seconds without a new sample after which a run counts as hung.
    trace
        Which conditions also have a run traced by memray, one for conditions alike: ``all``,
        ``telling`` (the levels that `Experiment.traced` names; all where `levels` are chosen), or
        ``none``.
    jobs
        Runs at a time on one machine, fewer where memory would not be enough for all; None: as
        many as there are cores, at most two. Memory does not depend on it; times do a little.
    on
        Address of a Dask scheduler, such as ``tcp://host:8786``: its workers carry the runs, each
        still a fresh process. Needs ``listen2lab[dask]`` here and there.
    quick
        Few and short paragraphs.
    python
        Another interpreter for the runs.
    from_shell
        Whether the manifest says that it was a command; else it was this call.
    progress
        Told of every sample and every end; None: a bar shows them.

    Returns
    -------
    Study
        The study, to be looked at.

    Raises
    ------
    LabError
        Something given cannot be used, or the folder cannot be written.

    Examples
    --------
    >>> import listen2lab as lab
    >>> study = lab.run("cache-size", levels=[1, 2], quick=True, steps=1, repeats=1, trace="none")
    >>> study.conditions()["complete"].tolist()
    [1, 1]
    """
    call = as_call(run, locals())
    python = interpreter(python)
    if isinstance(experiments, (str, Experiment)):
        experiments = [experiments]
    if not experiments or "all" in experiments:
        experiments = [
            *catalog.IN_ALL,
            *(x for x in experiments if x not in ("all", *catalog.IN_ALL)),
        ]
    chosen = [catalog.experiment(item) if isinstance(item, str) else item for item in experiments]
    if levels is not None:
        chosen = [item[levels] for item in chosen]
    plan = Plan(
        experiments=tuple(
            replace(item, predictions=item.predictions or predictions(item.name)).with_knobs(
                knobs or {}
            )
            for item in chosen
        ),
        repeats=repeats,
        seed=seed,
        traced=trace,
        max_characters=max_characters,
        memory_limit=_limit(memory_limit),
        step_timeout=step_timeout,
        jobs=jobs_here(jobs),
    )
    if quick:
        plan = catalog.quick(plan)
    plan = plan.with_lengths(steps, warmup)
    books = [Path(text) for text in several(texts)]
    given = inputs.open_book(voice, recognizer=recognizer, texts_given=books)
    return _started(plan, given, out, call, python, on=on, progress=progress)


@known_keywords
def watch(
    file: Path | str | Callable[..., object] | None = None,
    *,
    setup: Callable[[], object] | None = None,
    teardown: Callable[[], object] | None = None,
    size: Callable[[int], float | None] | None = None,
    command: Sequence[str] = (),
    pid: int | None = None,
    seconds: float | None = None,
    steps: int = 200,
    warmup: int | None = None,
    repeats: int = 5,
    python: str | None = None,
    against: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    memory_limit: int | str | None = None,
    step_timeout: float = 600.0,
    trace: bool = False,
    jobs: int = 1,
    on: str | None = None,
    from_shell: bool = False,
    progress: Progress | None = None,
) -> Study:
    """Step a workload of your own in fresh processes, or follow any program from outside.

    Parameters
    ----------
    file
        A Python file with ``step(i)``, which is called again and again; optionally ``setup()``,
        ``teardown()``, ``size(i)`` (the size of the step's input) and ``components()`` (name to
        bytes it knows it holds). Or that step itself: a function of a notebook, a script or a
        module, called with the step's number or with nothing; what it refers to goes along. It is
        kept in the study, pickled, and opened again for nobody but who began it here. ``setup``,
        ``step`` and ``teardown`` may be coroutines.
    setup, teardown, size
        As in a file, for a function.
    command
        Instead of a file, a program and its arguments: each line that it prints is the end of a
        step, and what it and its children hold is read from outside.
    pid
        Instead of those, a process that runs: it is only looked at, once, and by time.
    seconds
        Read a command or process by time, for so long, and not by line; rates are by the second.
    steps, warmup
        Measured steps, and steps before them; None: a twentieth, at least 2 and at most 50.
    repeats
        Fresh processes; at least 5 for a firm verdict.
    python
        Another interpreter, or a virtual environment's folder; it needs nothing but the workload's
        packages, and for a function cloudpickle and the same version of Python.
    against
        A second interpreter to compare with.
    seed, out, memory_limit, step_timeout, trace, jobs, on, from_shell, progress
        As in `run`; on a cluster, the file lies at the same path on each machine.

    Returns
    -------
    Study
        One experiment named after the file or function; its conditions are ``this`` and, with
        `against`, ``against``.

    Raises
    ------
    LabError
        The file or something else given cannot be used.

    Examples
    --------
    >>> import listen2lab as lab
    >>> kept = []
    >>> def step(i):
    ...     kept.append(bytes(100_000))
    >>> lab.watch(step, steps=30, repeats=2).answer()["verdict"]
    'leak'
    """
    call = as_call(watch, locals())
    functions = {"setup": setup, "teardown": teardown, "size": size}
    beside = {name: each for name, each in functions.items() if each is not None}
    if pid is not None:
        repeats, jobs, seconds = 1, 1, seconds or _ATTACHED_SECONDS
    given, name = workloads.open_watched(file, beside, command, pid)
    if isinstance(given, (workloads.Program, workloads.Attached)):
        workloads.refuse_inside(
            python=python, against=against, trace=trace, memory_limit=pid and memory_limit
        )
    elif seconds is not None:
        raise InputError("a workload is stepped, and not read by time; give steps, or a command")
    python, against = interpreter(python), interpreter(against)
    if callable(file):
        same_python(python, against)
    if trace:
        refuse_untraceable(python, *([] if against is None else [against]))
    if seconds is not None:
        steps = max(1, round(seconds))
    levels = [Level("this", python=python)]
    if against is not None:
        levels.append(Level("against", python=against))
    unit = "step" if seconds is None else workloads.BY_TIME
    experiment = Experiment(
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", name.removesuffix(".py")).strip("-") or "workload",
        question=f"Does {name} hold more memory with every {unit}?",
        factor=None if against is None else "interpreter",
        levels=tuple(levels),
        steps=steps,
        warmup=min(50, max(2, steps // 20)) if warmup is None else warmup,
        unit=unit,
    )
    plan = Plan(
        (experiment,), repeats=repeats, seed=seed, traced="all" if trace else "none", jobs=jobs,
        memory_limit=_limit(memory_limit), step_timeout=step_timeout,
    )  # fmt: skip
    return _started(plan, given, out, call, python, on=on, progress=progress)


@known_keywords
def resume(
    study: Path | str,
    *,
    jobs: int | None = None,
    on: str | None = None,
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
    python: str | None = None,
) -> Study:
    """Run what an interrupted study still lacks.

    Parameters
    ----------
    study
        Its folder.
    jobs
        Runs at a time on one machine; None: as the study was begun.
    on
        As in `run`: a study that was begun here can be completed on a cluster, and back.
    workload, voice, recognizer, python
        What is executed and opened, for a study that comes from somebody else or another machine:
        what its manifest names is then not touched. The content must be the same, by hash.

    Returns
    -------
    Study
        The study, complete.

    Raises
    ------
    StudyError
        It is no study, another process is writing it, or its models are not the same any more.

    Examples
    --------
    >>> import listen2lab as lab
    >>> study = lab.watch(lambda: None, steps=15, repeats=1, out="mine")
    >>> lab.resume("mine").runs["outcome"].tolist()
    ['complete']
    """
    with closing(progress_bar()) as bar:
        run_study.resume(
            Path(study), on=on, jobs=jobs, workload=workload, voice=voice, recognizer=recognizer,
            python=interpreter(python), progress=bar, notify=tell,
        )  # fmt: skip
    return Study(study)


@known_keywords
def rerun(
    source: Study | Path | str,
    *experiments: str,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    texts: Sequence[Path | str] = (),
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
    python: str | None = None,
) -> Rerun:
    """Repeat a study with the same inputs and settings, and say what came out the same.

    Another machine and other versions are allowed, and named. Texts, voice, recognizer and a
    workload's file must be the same, by their hashes.

    Parameters
    ----------
    source
        A study, its folder, or its report (HTML), which carries what a rerun needs, but for the
        text of the user's own books.
    *experiments
        Repeat these alone; none: all of it.
    out
        The new study's folder, new or empty; None: a new one under ``studies/``.
    resume
        The folder of a rerun of the same that was interrupted: complete that one instead.
    texts
        The books that were read, in the same order; needed where the report leaves them out.
    workload, voice, recognizer
        Where the workload's file, or the folder of a model that is not the lab's own, lies now.
        What a report, or a study that this user did not begin here, names itself is not touched.
    python
        The interpreter of the runs; None: the study's, where this user began it here.

    Returns
    -------
    Rerun
        The new study, and what it has in common with the one before.

    Raises
    ------
    LabError
        The source cannot be read or repeated, or what it needs is not there or not the same.

    Examples
    --------
    >>> import listen2lab as lab
    >>> study = lab.watch(lambda: None, steps=15, repeats=2, out="mine")
    >>> lab.rerun(study, out="again").study.plan == study.plan
    True
    """
    from listen2lab.comparison.rerun import rerun as repeat  # pandas

    with closing(progress_bar()) as bar:
        again, found = repeat(
            _data(source), *experiments,
            out=resume or out or new_folder(), resume=resume is not None,
            texts=texts, workload=workload, voice=voice, recognizer=recognizer,
            python=interpreter(python),
            progress=bar, tell=tell,
        )  # fmt: skip
    return Rerun(Study(again), found)


@known_keywords
def compare(a: Study | Path | str, b: Study | Path | str) -> Comparison:
    """Compare two studies, or two conditions of one study or of two.

    Parameters
    ----------
    a, b
        A study, its folder, or ``FOLDER:experiment`` or ``FOLDER:experiment/condition``. Where
        only one of them names an experiment or condition, the other's of the same name is taken;
        where each holds one condition, these are compared, whatever they are called.

    Returns
    -------
    Comparison
        Differences are B less A; intervals of memory are Welch's, over processes.

    Raises
    ------
    LabError
        One of them cannot be read, or they have no condition in common, or are the same.

    Examples
    --------
    >>> import listen2lab as lab
    >>> kept = []
    >>> before = lab.watch(lambda: kept.append(bytes(100_000)), steps=30, repeats=2, out="before")
    >>> after = lab.watch(lambda: None, steps=30, repeats=2, out="after")
    >>> lab.compare(before, after).record.pairs[0].contrast.verdict
    'removed'
    """
    from listen2lab.comparison.comparison import compare as side_by_side  # pandas
    from listen2lab.comparison.comparison import side

    sides = side(_data(a)), side(_data(b))
    return Comparison(side_by_side(*sides), (sides[0].study, sides[1].study))


@known_keywords
def merge(*studies: Study | Path | str, out: Path | str, from_shell: bool = False) -> Merged:
    """Join studies, maybe of several machines, into one that keeps their machines apart.

    Parameters
    ----------
    *studies
        Two or more studies, or their folders; merged ones, too.
    out
        The new study's folder, new or empty.
    from_shell
        Whether it was asked for by a command.

    Returns
    -------
    Merged
        The new study: it can be read, reported and compared, but not run on or repeated.

    Raises
    ------
    LabError
        Fewer than two were given, one cannot be read, two hold the same run, or the new folder
        cannot be written.

    Examples
    --------
    >>> import listen2lab as lab
    >>> for name in ("a", "b"):
    ...     study = lab.watch(lambda: None, steps=15, repeats=1, out=name)
    >>> len(lab.merge("a", "b", out="both").runs)
    2
    """
    from listen2lab.comparison.merge import merge as join  # pandas

    return Merged(*join(*map(_data, studies), out=out, shell=from_shell))


def jobs_here(given: int | None) -> int:
    """Return runs at a time: what is given, or as many as there are cores, at most two."""
    return min(_JOBS, os.cpu_count() or 1) if given is None else given


def several(given: Path | str | Sequence[Path | str]) -> list[Path | str]:
    """Return texts that may be given as one."""
    return [given] if isinstance(given, (str, Path)) else list(given)


def new_folder() -> Path:
    """Return a folder for a new study, named by the time."""
    return Path("studies") / dt.datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")


def tell(notice: Notice) -> None:
    """Print what a notice says, without breaking the bar."""
    tqdm.write(printable(say(notice)), file=sys.stderr)


def progress_bar() -> Progress:
    """Return what follows a study: in a notebook what is drawn below the cell, else a bar."""
    if "IPython" in sys.modules:
        from listen2lab.notebook.live import in_notebook  # a notebook has matplotlib

        if (live := in_notebook()) is not None:
            return live
    return Bar(ended)


def _limit(given: int | str | None) -> int | None:
    """Return a limit of memory in bytes."""
    if isinstance(given, str):
        return parse_bytes(given)
    if given is not None and (type(given) is not int or given < 1):
        raise InputError(f"memory_limit is {given!r}; it is bytes, or a text such as '2.5GB'")
    return given


def _started(
    plan: Plan,
    given: inputs.Inputs,
    out: Path | str | None,
    call: Call,
    python: str | None,
    *,
    on: str | None,
    progress: Progress | None = None,
) -> Study:
    folder = Path(out) if out is not None else new_folder()
    with closing(progress or progress_bar()) as bar:
        run_study.start(
            plan, given, folder, call=call, python=python, on=on,
            hypotheses={name: each.record() for name, each in HYPOTHESES.items()},
            progress=bar, notify=tell,
        )  # fmt: skip
    return Study(folder)


def _data(given: Study | Path | str) -> StudyData | Path | str:
    return given.data if isinstance(given, Study) else given
