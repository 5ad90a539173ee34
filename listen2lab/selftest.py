"""Proof that the instrument can see: plant faults of known size, and look whether each is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.experiment import inputs, run_study
from listen2lab.findings.records import PlantedFault
from listen2lab.findings.summary import summary_of
from listen2lab.pipeline.planted import FAULTS
from listen2lab.study.data import open_study
from listen2lab.study.plan import Experiment, Level, Plan
from listen2lab.study.records import Call
from listen2lab.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from listen2lab.experiment.progress import Progress
    from listen2lab.findings.records import ConditionNumbers
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import KnobValue

__all__ = ["selftest"]

# One length and ever new texts: nothing but the fault can make memory grow, and a cache that is
# keyed by the text meets a new key each time. Many short words make alignments of some weight.
_SENTENCE = "it is {} of us to go on as we do by day or by sea as it is so"
_KNOBS: dict[str, KnobValue] = {"noise_scale_w": 0.0, "alignment": "off"}
_BESIDE = {"child": "children", "shared-memory": "shm_files"}  # what is lost beside the process
_COLLECTED_KIB = 16.0  # freed by the collector alone, in each step: more is a cycle


def selftest(
    folder: Path,
    *,
    faults: Sequence[str] = tuple(FAULTS),
    steps: int = 60,
    repeats: int = 3,
    jobs: int = 2,
    progress: Progress | None = None,
) -> list[PlantedFault]:
    """Plant each fault in the real pipeline, and judge what is measured.

    Parameters
    ----------
    folder
        The study to write, new or empty.
    faults
        Names out of `listen2lab.pipeline.planted.FAULTS`.
    steps, repeats, jobs
        Measured steps of a run, runs of each fault, and runs at a time.
    progress
        Told how it goes.

    Returns
    -------
    list of PlantedFault
        One a fault, in the order given.
    """
    experiment = Experiment(
        name="selftest",
        question="Is each planted fault found, and nothing else?",
        factor="fault",
        levels=tuple(Level(name, {**_KNOBS, **FAULTS[name].knobs}) for name in faults),
        steps=steps,
        warmup=6,
        unit="step",
    )
    plan = Plan((experiment,), repeats=repeats, traced="none", jobs=jobs)
    book = inputs.open_book(
        "tiny", paragraphs=[_SENTENCE.format(k) for k in range(100, 108 + steps)]
    )
    run_study.start(
        plan, inputs.PlantedBook(**vars(book)), folder, call=Call("selftest"), progress=progress
    )
    study = open_study(folder)
    conditions = summary_of(study).experiments["selftest"].conditions
    return [_finding(study, name, conditions[name]) for name in faults]


def _finding(study: StudyData, name: str, numbers: ConditionNumbers) -> PlantedFault:
    fault = FAULTS[name]
    steps = study.samples.query("condition == @name and phase == 'step'")
    planted = float(steps["fact.planted"].mean()) / KIB
    collected = float(steps["gc_freed"].median()) / KIB
    called_leak = numbers.verdict == "leak"
    is_right = numbers.n_complete > 0 and called_leak == fault.is_leak
    found = numbers.rate_kib_per_step
    if (beside := _BESIDE.get(name)) is not None and beside in numbers.quantities:
        found = (numbers.quantities[beside].rate_per_step or 0.0) / KIB
    if name == "cycle":
        is_right = is_right and collected > _COLLECTED_KIB
        found = collected
    else:
        is_right = is_right and collected <= _COLLECTED_KIB
        if not fault.is_leak:
            planted, found = 0.0, found if called_leak else None
    return PlantedFault(
        fault=name, verdict=numbers.verdict, planted_kib=planted, found_kib=found, is_right=is_right
    )
