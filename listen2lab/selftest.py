"""Proof that the instrument can see: plant faults of known size, and look whether each is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.experiment import inputs
from listen2lab.experiment import run_study as conduct
from listen2lab.facade import Study
from listen2lab.pipeline.planted import FAULTS
from listen2lab.report.text.knobs import FAULT_MEANINGS
from listen2lab.study.plan import Experiment, Level, Plan
from listen2lab.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Finding", "selftest"]

# One length and ever new texts: nothing but the fault can make memory grow, and a cache that is
# keyed by the text meets a new key each time. Many short words make alignments of some weight.
_SENTENCE = "it is {} of us to go on as we do by day or by sea as it is so"
_KNOBS = {"noise_scale_w": 0.0, "alignment": "off"}
_COLLECTED_KIB = 16.0  # freed by the collector alone, in each step: more is a cycle


@dataclass(frozen=True)
class Finding:
    """What was planted in one condition, and what was found.

    Attributes
    ----------
    fault, meaning
        Its name, and what it is.
    verdict
        What the series of the condition was called.
    planted_kib, found_kib
        Growth in KiB per step; for a cycle, what the collector frees each step.
    is_right
        A leak was called one, a cycle was noticed, and nothing else was called a leak.
    """

    fault: str
    meaning: str
    verdict: str
    planted_kib: float
    found_kib: float | None
    is_right: bool

    @property
    def error(self) -> float | None:
        """Relative error of the rate, or None where nothing grows."""
        if self.found_kib is None or not self.planted_kib:
            return None
        return self.found_kib / self.planted_kib - 1


def selftest(
    folder: Path,
    *,
    faults: Sequence[str] = tuple(FAULTS),
    steps: int = 60,
    repeats: int = 3,
    jobs: int = 2,
    progress: conduct.Progress | None = None,
) -> list[Finding]:
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
    list of Finding
        One a fault, in the order given.
    """
    experiment = Experiment(
        name="selftest",
        question="Is each planted fault found, and nothing else?",
        factor="fault",
        levels=tuple(Level(name, {**_KNOBS, **FAULTS[name].knobs}) for name in faults),
        predictions={},
        steps=steps,
        warmup=6,
        unit="step",
    )
    plan = Plan((experiment,), repeats=repeats, traced=False, jobs=jobs)
    book = inputs.open_book(
        "tiny", paragraphs=[_SENTENCE.format(k) for k in range(100, 108 + steps)]
    )
    conduct.start(
        plan,
        inputs.PlantedBook(**vars(book)),
        folder,
        command="listen2lab selftest",
        progress=progress,
    )
    study = Study(folder)
    conditions = study.summary()["experiments"]["selftest"]["conditions"]
    return [_finding(study, name, conditions[name]) for name in faults]


def _finding(study: Study, name: str, numbers: dict[str, Any]) -> Finding:
    fault = FAULTS[name]
    steps = study.samples.query("condition == @name and phase == 'step'")
    planted = float(steps["fact.planted"].mean()) / KIB
    collected = float(steps["gc_freed"].median()) / KIB
    called_leak = numbers["verdict"] == "leak"
    is_right = numbers["runs"]["complete"] > 0 and called_leak == fault.is_leak
    found = numbers["rate_kib_per_step"]
    if name == "cycle":
        is_right = is_right and collected > _COLLECTED_KIB
        found = collected
    else:
        is_right = is_right and collected <= _COLLECTED_KIB
        if not fault.is_leak:
            planted, found = 0.0, found if called_leak else None
    return Finding(name, FAULT_MEANINGS[name], numbers["verdict"], planted, found, is_right)
