"""H6: the longest sentence sets the memory at the end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.findings.effects import (
    UNACCOUNTED,
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
from listen2lab.verdict.student import line, quantile

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured

__all__ = ["HYPOTHESIS"]

_BASELINE = Where("baseline", "app")
_WHOLE = tuple(Where("utterance-length", f"{seconds}s") for seconds in (5, 10, 15, 25, 40, 70, 110))
_SHORTEST, *_, _LONGEST = _WHOLE
_SPLIT = Where("utterance-length", "110s-split")

_SENTENCES = {
    "lengths-lacking": "The runs of utterance-length lack the length of what was spoken.",
    "by-length": "Memory at the end by the longest sentence: {ends:sizes} at {seconds:counts} s.",
    "by-second": "Each second of it adds {slope:effect}.",
    "length-of-unaccounted": "The {unaccounted:size} that the app could not account for would take "
    "a sentence of some {seconds:count} s with this voice.",
    "not-monotone": "But memory does not rise all the way with it.",
    "split-lowers": "Splitting long sentences lowers memory at the end by {effect:effect}, to "
    "{end:size}.",
    "split-does-not-fit": "The two do not fit together.",
    "baseline-steps-up": "In the baseline, resident memory rises by {rise:size} at the step that "
    "speaks the longest sentence, which fits but does not decide.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    lack = m.lack(_SHORTEST, _LONGEST)
    if lack is not None:
        return Ruling("inconclusive", (lack, *_step_up(m)))
    whole = [
        where
        for where in _WHOLE
        if len(m.end(where)) and len(m.end(where)) == len(m.longest_s(where))
    ]
    if not {_SHORTEST, _LONGEST} <= set(whole):
        return Ruling("inconclusive", (Notice("lengths-lacking"),), (_SHORTEST, _LONGEST))
    whole.sort(key=lambda where: average(m.longest_s(where)))
    effect = difference(m.end(whole[-1]), m.end(whole[0]))
    slope = _slope([m.longest_s(where) for where in whole], [m.end(where) for where in whole])
    seconds, ends = ([average(of(where)) for where in whole] for of in (m.longest_s, m.end))
    found = decide(effect, worth)
    because = [evidence("by-length", ends=[*ends], seconds=[*seconds])]
    if slope.interval is not None:
        because.append(evidence("by-second", slope=slope.values))
    because += _length_of_unaccounted(seconds, ends, average(m.at(whole[-1], "setup")))
    is_monotone = all(later >= sooner - worth for sooner, later in pairwise(ends))
    if found == "supported" and not (is_monotone and slope.interval and slope.interval[0] > 0):
        found = "inconclusive"
        because.append(Notice("not-monotone"))
    elif found == "inconclusive":
        because.append(doubt(effect, worth))
    used = list(whole)
    if m.lack(_SPLIT) is None:
        used.append(_SPLIT)
        split = difference(m.end(_LONGEST), m.end(_SPLIT))
        because.append(evidence("split-lowers", effect=split.values, end=known(m.end(_SPLIT))))
        if found == "supported" and decide(split, worth) != "supported":
            found = "inconclusive"
            because += [Notice("split-does-not-fit"), doubt(split, worth)]
    return Ruling(found, tuple(because), tuple(used), effect, max(0.0, effect.value), whole[-1])


def _length_of_unaccounted(
    seconds: list[float], ends: list[float], setup: float
) -> tuple[Notice, ...]:
    """Return how long a sentence would fill what the app could not account for."""
    above = np.array(ends) - setup
    if not above[0] <= UNACCOUNTED <= above[-1] or (np.diff(above) <= 0).any():
        return ()
    length = float(np.interp(UNACCOUNTED, above, seconds))
    return (evidence("length-of-unaccounted", unaccounted=UNACCOUNTED, seconds=length),)


def _slope(seconds: list[np.ndarray], ends: list[np.ndarray]) -> Effect:
    """Return bytes per second of the longest stretch, over processes."""
    x, y = np.concatenate(seconds), np.concatenate(ends)
    fit = line(x, y)
    interval = None
    if len(x) > 2:
        half = quantile(len(x) - 2, 0.975) * fit.error
        interval = (fit.slope - half, fit.slope + half)
    return Effect(fit.slope, interval, agree=True)


def _step_up(m: Measured) -> tuple[Notice, ...]:
    """Return what the baseline shows of it: the rise at the step with the longest sentence."""
    rises = []
    for _, run in m.rows(_BASELINE).groupby("repeat"):
        y, x = run["rss"].to_numpy(float), run["size"].to_numpy(float)
        if len(y) > 2 and np.isfinite(x).any():
            at = int(np.nanargmax(x))
            rises.append(y[at] - y[at - 1] if at else 0.0)
    return (evidence("baseline-steps-up", rise=average(rises)),) if rises else ()


HYPOTHESIS = Hypothesis(
    name="H6",
    claim="The longest sentence sets the level.",
    supported_when="the level rises with the longest sentence, and splitting it lowers the level",
    refuted_when="the level does not depend on the longest sentence",
    tested_by=("utterance-length", "baseline"),
    predictions={
        "baseline": "the level steps up at the longest sentence and stays there",
        "session-recreation": "with a new session each paragraph, the longest one no longer sets "
        "the level of those after it",
        "utterance-length": "the level rises with the longest sentence; split, all levels are "
        "those of 15 s",
    },
    decide=_decide,
    short="long sentences",
    cause="The longest sentence decides how much the engine holds",
    cause_with={
        "H1": "The engine's session keeps the working memory of the longest sentence that it has "
        "spoken, until the session goes: {share} (H1), {explains:size} of which because the "
        "longest sentence is long (H6). These are the same memory seen from two sides, and do not "
        "add up."
    },
    sentences=_SENTENCES,
)
