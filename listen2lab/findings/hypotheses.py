"""All hypotheses, and what a study says about each: supported, refuted, inconclusive, not tested.

The unit of replication is the process: one number each, and Welch's interval over them. To add a
hypothesis, write its module beside this one, as `listen2lab.findings.h1` is written: every module
that is named so is found.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from listen2lab.experiment import catalog
from listen2lab.findings.effects import DOUBTS, average
from listen2lab.findings.measured import LACKS
from listen2lab.findings.records import Finding
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.findings.hypothesis import Hypothesis
    from listen2lab.findings.measured import Measured
    from listen2lab.study.redact import PublicNames

__all__ = ["EXPERIMENTS", "HYPOTHESES", "SENTENCES", "find", "predictions", "public_names"]


def _collected() -> list[Hypothesis]:
    """Return the hypothesis of each module ``hN`` beside this one, by number."""
    names = [path.stem for path in Path(__file__).parent.glob("h*.py") if path.stem[1:].isdigit()]
    names.sort(key=lambda name: int(name[1:]))
    return [import_module(f"listen2lab.findings.{name}").HYPOTHESIS for name in names]


HYPOTHESES: dict[str, Hypothesis] = {each.name: each for each in _collected()}
"""Hypotheses by name."""

EXPERIMENTS = frozenset(
    name for each in HYPOTHESES.values() for name in (*each.tested_by, *each.predictions)
)
"""Names of the experiments that tell of a hypothesis."""

SENTENCES: dict[str, str] = {
    **DOUBTS,
    **LACKS,
    **{code: text for each in HYPOTHESES.values() for code, text in each.sentences.items()},
}
"""Code to template, of all evidence; `listen2lab.report.text` fills them in."""


def predictions(experiment: str) -> dict[str, str]:
    """Return what each hypothesis predicts for an experiment, to be stored before it runs."""
    return {
        name: each.predictions[experiment]
        for name, each in HYPOTHESES.items()
        if experiment in each.predictions
    }


def public_names() -> PublicNames:
    """Return what everyone has, so that a report may tell it: the lab's own names and sentences."""
    names = catalog.public_names()
    said = {
        sentence
        for x in HYPOTHESES.values()
        for sentence in (x.claim, x.supported_when, x.refuted_when, *x.predictions.values())
    }
    return names._replace(sentences=names.sentences | said)


def find(
    measured: Measured, hypotheses: Mapping[str, Hypothesis] = HYPOTHESES
) -> dict[str, Finding]:
    """Decide each hypothesis by name, as far as a study allows."""
    return {name: _finding(each, measured) for name, each in hypotheses.items()}


def _finding(hypothesis: Hypothesis, measured: Measured) -> Finding:
    ruling = hypothesis.decide(measured, hypothesis.worth_mib * MIB)
    effect = ruling.effect
    interval = None if effect is None else effect.interval
    keys = measured.keys(*ruling.used)
    of = ruling.of or measured.reference()
    whole = None if ruling.explains is None or of is None else average(measured.end(of))
    return Finding(
        claim=hypothesis.claim,
        finding=ruling.finding if keys else "not-tested",
        effect_mib=None if effect is None else _mib(effect.value),
        interval_mib=None if interval is None else (mib(interval[0]), mib(interval[1])),
        explains_mib=_mib(ruling.explains),
        of_mib=_mib(whole),
        because=ruling.because,
        runs=keys,
        worth_mib=hypothesis.worth_mib,
        experiments=tuple(dict.fromkeys(key.split("/")[0] for key in keys)),
    )


def _mib(size: float | None) -> float | None:
    return None if size is None or math.isnan(size) else mib(size)
