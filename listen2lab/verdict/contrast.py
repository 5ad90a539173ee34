"""Two conditions compared: what a change did to a leak, or to a level."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.intervals import welch_freedom, within
from listen2lab.verdict.judge import Verdict, judge
from listen2lab.verdict.reasons import Reason

__all__ = ["Contrast", "ContrastName", "ContrastWhy", "by_level", "judge_pair"]

ContrastName = Literal["removed", "reduced", "unchanged", "worse", "inconclusive"]

ContrastWhy = Literal[
    "leak-gone",
    "less-of-it",
    "same-leak",
    "more-of-it",
    "new-leak",
    "first-not-known",
    "not-told-apart",
    "no-leak",
    "no-verdict",
]
"""What a contrast rests on: two rates that are known, or what there is not."""


class Contrast(msgspec.Struct, frozen=True):
    """What became of condition A's growth in condition B.

    Attributes
    ----------
    verdict
        ``removed``: A leaks and B does not; ``reduced``, ``unchanged``, ``worse``; or
        ``inconclusive``, as where neither leaks.
    why
        What it rests on.
    difference, interval, freedom
        Bytes per step, A minus B, so positive where B has less; its 95 % interval (Welch), with
        its degrees of freedom.
    a, b
        The conditions' own verdicts.
    """

    verdict: ContrastName
    why: ContrastWhy
    difference: float
    interval: tuple[float, float]
    freedom: float
    a: Verdict
    b: Verdict

    @property
    def unjudged(self) -> Verdict | None:
        """The first verdict that decides nothing, where that is why this one does not either."""
        if self.why != "no-verdict":
            return None
        return next(v for v in (self.a, self.b) if not np.isfinite(v.rate))


def judge_pair(
    a: Any,
    b: Any,
    sizes_a: Any = None,
    sizes_b: Any = None,
    *,
    worth_rate: float = limits.WORTH_RATE,
    every: tuple[float, float] = (1.0, 1.0),
) -> Contrast:
    """Compare the growth of two conditions of one workload.

    Parameters
    ----------
    a, b
        Bytes, shape (repeats, steps); repeats and steps may differ.
    sizes_a, sizes_b, worth_rate
        As for `judge`.
    every
        Steps between two samples of each, where runs were thinned; rates are per step.

    Returns
    -------
    Contrast
        See there.

    Raises
    ------
    InputError
        As `judge`.
    """
    first = judge(a, sizes_a, worth_rate=worth_rate * every[0]).per(every[0])
    second = judge(b, sizes_b, worth_rate=worth_rate * every[1]).per(every[1])
    (var_a, free_a), (var_b, free_b) = _spread(first), _spread(second)
    difference, variance = first.rate - second.rate, var_a + var_b
    freedom, interval = float("inf"), (float("-inf"), float("inf"))
    if np.isfinite(variance):
        freedom = welch_freedom(var_a, var_b, free_a, free_b)
        interval = within(difference, variance, freedom)
    name: ContrastName = "inconclusive"
    why: ContrastWhy = "no-leak"
    if not np.isfinite(difference):
        why = "no-verdict"
    elif "leak" in {first.verdict, second.verdict}:
        name, why = _by_rate(first, second, *interval)
    return Contrast(name, why, difference, interval, freedom, first, second)


_FEW_REPEATS = 3


def _spread(v: Verdict) -> tuple[float, float]:
    """Return a rate's variance, and its degrees of freedom."""
    if v.basis is None:
        return float("nan"), 1.0
    error = (v.interval[1] - v.interval[0]) / (2 * 1.96)
    if v.repeats < _FEW_REPEATS:  # how far processes are apart is hardly known from two
        return error**2, float(max(v.repeats - 1, 1))
    # The interval already holds what few repeats leave unknown; the samples set the rest.
    return error**2, float(max(v.repeats * v.basis.samples - 2, 1))


def _by_rate(a: Verdict, b: Verdict, low: float, high: float) -> tuple[ContrastName, ContrastWhy]:
    if a.verdict != "leak":
        return ("worse", "new-leak") if high < 0 else ("inconclusive", "first-not-known")
    settled = b.verdict != "leak" and Reason.STILL_SLOWING not in b.reasons
    if settled and b.upper < limits.REMOVED_SHARE * a.rate:
        return "removed", "leak-gone"
    if low > 0 and b.rate < (1 - limits.SAME_SHARE / 2) * a.rate:
        return "reduced", "less-of-it"
    if high < 0 and b.rate > (1 + limits.SAME_SHARE / 2) * a.rate:
        return "worse", "more-of-it"
    if max(abs(low), abs(high)) < limits.SAME_SHARE * a.rate:
        return "unchanged", "same-leak"
    return "inconclusive", "not-told-apart"


def by_level(
    change: float, interval: tuple[float, float] | None, worth: float
) -> Literal["reduced", "worse", "unchanged", "inconclusive"]:
    """Name a change of level.

    Parameters
    ----------
    change
        The second level less the first, in bytes.
    interval
        Its 95 % interval; None where it is not known.
    worth
        The smallest change worth acting on.
    """
    if interval is None:
        return "inconclusive"
    low, high = interval
    if high < 0 and change <= -worth:
        return "reduced"
    if low > 0 and change >= worth:
        return "worse"
    if max(abs(low), abs(high)) < worth or ((low > 0 or high < 0) and abs(change) < worth):
        return "unchanged"
    return "inconclusive"
