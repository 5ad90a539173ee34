"""H3: alignments accumulate, or the recognizer stays loaded: two findings in one.

Memory is compared at the same longest sentence (`Measured.end_at_same_length`): what is looked for
is small beside what a draw of the durations does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from listen2lab.findings.effects import (
    Effect,
    Ruling,
    average,
    decide,
    difference,
    doubt,
    evidence,
    known,
)
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName

__all__ = ["HYPOTHESIS"]

_ON, _OFF, _LOADED = (Where("alignment", name) for name in ("on", "off", "loaded-but-unused"))
_NO_CACHE, _UNBOUNDED = (Where("alignment-cache", name) for name in ("0", "unbounded"))

_SENTENCES = {
    "resident-model": "Resident model: memory at the end is higher by {effect:effect} with "
    "alignment than without; the recognizer adds {model:size} when it is loaded: {finding}.",
    "resident-model-unused": "Resident model: memory at the end is higher by {effect:effect} with "
    "alignment than without; the recognizer adds {model:size} when it is loaded, and loaded but "
    "unused {unused:effect} in the end: {finding}.",
    "accumulation": "Accumulation: after {paragraphs:count} short paragraphs an unbounded cache of "
    "alignments holds {held:size}; memory at the end differs by {effect:effect} from that without "
    "a cache: {finding}.",
    "accumulation-by-rate": "Accumulation: over {paragraphs:count} paragraphs, growth with "
    "alignment less that without is {effect:effect}: {finding}.",
    "accumulation-unknown": "Accumulation is not known.",
    "app-s-recognizer": "The app's recognizer is a file of 44 MB and the lab's is smaller: expect "
    "more there.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    grown, growth, growth_used = _accumulation(m, worth)
    grows: FindingName = "inconclusive" if grown is None else decide(grown, worth)
    lack = m.lack(_ON, _OFF)
    if lack is not None:
        alone: FindingName = "supported" if grows == "supported" else "inconclusive"
        return Ruling(alone, (*growth, lack), growth_used, grown)
    constant = difference(m.end_at_same_length(_ON), m.end_at_same_length(_OFF))
    held = decide(constant, worth)
    model = average(m.at(_ON, "setup")) - average(m.at(_OFF, "setup"))
    because = [
        _resident(m, constant, model, held),
        *([doubt(constant, worth)] if held == "inconclusive" else ()),
        *growth,
        Notice("app-s-recognizer"),
    ]
    low = constant.interval[0] if constant.interval else 0.0
    counted = m.component(_ON, "alignments", "service_cache", "trellis")
    found: FindingName = "inconclusive"
    if "supported" in {grows, held}:
        found = "supported"
    elif grows == held == "refuted":
        found = "refuted"
    return Ruling(
        found,
        tuple(because),
        tuple(dict.fromkeys((_ON, _OFF, _LOADED, *growth_used))),
        grown if grown is not None and grows == "supported" else constant,
        constant.value if low > 0 else max(0.0, model) + average(counted),
        _ON,
    )


def _resident(m: Measured, constant: Effect, model: float, held: FindingName) -> Notice:
    """Return what alignment holds however much is read."""
    told = evidence("resident-model", effect=constant.values, model=known(model), finding=held)
    if m.lack(_LOADED) is not None:
        return told
    unused = difference(m.end_at_same_length(_LOADED), m.end_at_same_length(_OFF))
    return evidence("resident-model-unused", **told.values, unused=unused.values)


def _accumulation(
    m: Measured, worth: float
) -> tuple[Effect | None, tuple[Notice, ...], tuple[Where, ...]]:
    """Return what alignments add over a reading, how that is known, and the conditions."""
    lack = m.lack(_NO_CACHE, _UNBOUNDED)
    if lack is None:
        grown = difference(m.end(_UNBOUNDED), m.end(_NO_CACHE))
        because = evidence(
            "accumulation",
            paragraphs=m.steps(_UNBOUNDED),
            held=known(m.component(_UNBOUNDED, "service_cache")),
            effect=grown.values,
            finding=decide(grown, worth),
        )
        return grown, (because,), (_NO_CACHE, _UNBOUNDED)
    rates = [_rate(m, where) for where in (_ON, _OFF)]
    if m.lack(_ON, _OFF) is not None or None in rates:
        return None, (Notice("accumulation-unknown"), lack), ()
    n = m.steps(_ON)
    (on, on_half), (off, off_half) = (rate for rate in rates if rate is not None)
    value, half = (on - off) * n, math.hypot(on_half, off_half) * n
    grown = Effect(value, (value - half, value + half), agree=True)
    finding = decide(grown, worth)
    by_rate = evidence("accumulation-by-rate", paragraphs=n, effect=grown.values, finding=finding)
    return grown, (by_rate,), (_ON, _OFF)


def _rate(m: Measured, where: Where) -> tuple[float, float] | None:
    """Return a condition's growth in bytes a step, and half the width of its interval."""
    numbers = m.of(where)
    if numbers is None or numbers.rate_interval_kib_per_step is None:
        return None
    low, high = numbers.rate_interval_kib_per_step
    return (numbers.rate_kib_per_step or 0.0) * KIB, (high - low) / 2 * KIB


HYPOTHESIS = Hypothesis(
    name="H3",
    claim="Alignment accumulates, or its model stays loaded.",
    supported_when="alignment off removes growth (accumulation) or a constant (a resident "
    "model and what it works with): two findings in one, told apart in words",
    refuted_when="on and off differ by less than what is worth acting on",
    tested_by=("alignment", "alignment-cache"),
    predictions={
        "alignment": "accumulation: off grows less per paragraph than on; a resident model: "
        "loaded-but-unused is above off by a constant",
        "alignment-cache": "unbounded grows by an alignment's bytes a paragraph, 100 stops growing "
        "when it is full, 0 does not grow",
    },
    decide=_decide,
    short="alignment and its model",
    cause="Alignment and its model",
    sentences=_SENTENCES,
)
