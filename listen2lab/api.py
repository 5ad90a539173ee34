"""What a notebook and the command line call alike: run experiments, complete a study."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.experiment import catalog, conduct, inputs
from listen2lab.experiment.design import Experiment, Plan
from listen2lab.progress import Bar
from listen2lab.study import Study
from listen2lab.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["new_folder", "resume", "run"]


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
    knobs: Mapping[str, Any] | None = None,
    seed: int = 0,
    study: Path | str | None = None,
    memory_limit: int | str | None = None,
    step_timeout: float = 600.0,
    trace: bool = True,
    quick: bool = False,
    python: str | None = None,
    command: str | None = None,
) -> Study:
    """Run experiments, each condition in fresh processes, into a new study.

    Parameters
    ----------
    experiments
        Names out of `EXPERIMENTS`, or experiments of your own; none: all of them.
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
    knobs
        Knobs set in every condition.
    seed
        Decides the order of conditions and texts.
    study
        The folder, new or empty; None: a new one under ``studies/``.
    memory_limit
        Bytes (or ``"2.5GB"``) of anonymous memory at which a run is killed.
    step_timeout
        Seconds without a new sample after which a run counts as hung.
    trace
        Whether each condition also has one run traced by memray.
    quick
        Few and short paragraphs.
    python
        Another interpreter for the runs.
    command
        What the manifest names as the command; None: this call.

    Returns
    -------
    Study
        The study, to be looked at.

    Raises
    ------
    LabError
        Something given cannot be used, or the folder cannot be written.
    """
    if isinstance(experiments, (str, Experiment)):
        experiments = [experiments]
    chosen = [
        catalog.experiment(item) if isinstance(item, str) else item
        for item in experiments or catalog.EXPERIMENTS
    ]
    if levels is not None:
        chosen = [item.only(levels) for item in chosen]
    plan = Plan(
        experiments=tuple(item.with_knobs(knobs or {}) for item in chosen),
        repeats=repeats,
        seed=seed,
        traced=trace,
        memory_limit=parse_bytes(memory_limit) if isinstance(memory_limit, str) else memory_limit,
        step_timeout=step_timeout,
    )
    if quick:
        plan = catalog.quick(plan)
    plan = plan.with_lengths(steps, warmup)
    given = inputs.open_book(voice, recognizer=recognizer, texts_given=[Path(t) for t in texts])
    folder = Path(study) if study is not None else new_folder()
    names = [item.name for item in chosen]
    progress = Bar()
    try:
        conduct.start(
            plan,
            given,
            folder,
            command=command or f"lab.run({names!r}, voice={voice!r}, repeats={repeats})",
            python=python,
            progress=progress,
        )
    finally:
        progress.close()
    return Study(folder)


def resume(study: Path | str) -> Study:
    """Run what an interrupted study still lacks.

    Parameters
    ----------
    study
        Its folder.

    Returns
    -------
    Study
        The study, complete.

    Raises
    ------
    StudyError
        It is no study, another process is writing it, or its models are not the same any more.
    """
    progress = Bar()
    try:
        conduct.resume(Path(study), progress=progress)
    finally:
        progress.close()
    return Study(study)


def new_folder() -> Path:
    """Return a folder for a new study, named by the time."""
    return Path("studies") / dt.datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
