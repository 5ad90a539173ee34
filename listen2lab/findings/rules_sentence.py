"""The rule about the longest sentence: whether the level follows it.

As those of `listen2lab.findings.rules_engine`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from listen2lab.findings.effects import (
    UNACCOUNTED,
    Effect,
    Ruling,
    average,
    decide,
    difference,
    doubt,
    size,
    span,
)
from listen2lab.findings.measured import Where
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured

__all__ = ["longest_sentence"]

_BASELINE = Where("baseline", "app")
_SHORTEST = Where("utterance-length", "5s")
_LONGEST = Where("utterance-length", "110s")
_SPLIT = Where("utterance-length", "110s-split")


def longest_sentence(m: Measured, worth: float) -> Ruling:
    """H6: the longest sentence sets the level."""
    lack = m.lack(_SHORTEST, _LONGEST)
    if lack is not None:
        return Ruling("inconclusive", None, None, (lack, *_step_up(m)), ())
    whole = [
        where
        for where in (Where("utterance-length", f"{seconds}s") for seconds in (5, 15, 40, 110))
        if len(m.level(where)) and len(m.level(where)) == len(m.longest_s(where))
    ]
    if not {_SHORTEST, _LONGEST} <= set(whole):
        told = "The runs of utterance-length lack the length of what was spoken."
        return Ruling("inconclusive", None, None, (told,), (_SHORTEST, _LONGEST))
    whole.sort(key=lambda where: float(m.longest_s(where).mean()))
    effect = difference(m.level(whole[-1]), m.level(whole[0]))
    slope = _slope([m.longest_s(where) for where in whole], [m.level(where) for where in whole])
    means = [float(m.level(where).mean()) for where in whole]
    is_monotone = all(later >= sooner - worth for sooner, later in pairwise(means))
    found = decide(effect, worth)
    steps = ", ".join(
        f"{size(level)} ({m.longest_s(where).mean():,.0f} s)"
        for where, level in zip(whole, means, strict=True)
    )
    because = [f"The level by the longest sentence: {steps}."]
    if slope.interval is not None:
        low, high = (bound / MIB for bound in slope.interval)
        because.append(
            f"Each second of it adds {slope.value / MIB:,.1f} MiB (95 % between {low:,.1f} and "
            f"{high:,.1f})."
        )
    because += _length_of_unaccounted(m, whole, means)
    used = list(whole)
    if found == "supported" and not (is_monotone and slope.interval and slope.interval[0] > 0):
        found = "inconclusive"
        because.append("But the level does not rise all the way with it.")
    elif found == "inconclusive":
        because.append(doubt(effect, worth))
    if m.lack(_SPLIT) is None:
        used.append(_SPLIT)
        split = difference(m.level(_LONGEST), m.level(_SPLIT))
        because.append(
            f"Splitting long sentences lowers the level by {span(split)}, to "
            f"{size(m.level(_SPLIT).mean())}."
        )
        if found == "supported" and decide(split, worth) != "supported":
            found = "inconclusive"
            because.append(f"The two do not fit together. {doubt(split, worth)}")
    return Ruling(found, effect, max(0.0, effect.value), tuple(because), tuple(used), whole[-1])


def _length_of_unaccounted(m: Measured, wheres: list[Where], levels: list[float]) -> list[str]:
    """Say how long a sentence would fill what the app could not account for, between levels."""
    above = np.array(levels) - average(m.at(wheres[-1], "setup"))
    if not above[0] <= UNACCOUNTED <= above[-1] or (np.diff(above) <= 0).any():
        return []
    seconds = [average(m.longest_s(where)) for where in wheres]
    length = float(np.interp(UNACCOUNTED, above, seconds))
    return [
        (
            f"The {size(UNACCOUNTED)} that the app could not account for would take a sentence of "
            f"some {length:.0f} s with this voice."
        )
    ]


def _slope(seconds: list[np.ndarray], levels: list[np.ndarray]) -> Effect:
    """Return bytes per second of the longest stretch, over processes."""
    x, y = np.concatenate(seconds), np.concatenate(levels)
    fit = stats.linregress(x, y)
    interval = None
    if len(x) > 2:
        half = float(stats.t.ppf(0.975, len(x) - 2)) * float(fit.stderr)
        interval = (float(fit.slope) - half, float(fit.slope) + half)
    return Effect(float(fit.slope), interval, agree=True)


def _step_up(m: Measured) -> tuple[str, ...]:
    """Say what the baseline shows of it: the rise at the step with the longest sentence."""
    rises = []
    for _, run in m.rows(_BASELINE).groupby("repeat"):
        y, x = run["rss"].to_numpy(float), run["size"].to_numpy(float)
        if len(y) > 2 and np.isfinite(x).any():
            at = int(np.nanargmax(x))
            rises.append(y[at] - y[at - 1] if at else 0.0)
    if not rises:
        return ()
    return (
        (
            f"In the baseline, resident memory rises by {size(average(rises))} at the step that "
            "speaks the longest sentence, which fits but does not decide."
        ),
    )
