"""Two conditions compared: what a change did to a leak, or to the level."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from scipy import stats

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.judge import Reason, Verdict, judge
from listen2lab.verdict.series import matrix

__all__ = ["Contrast", "ContrastName", "ContrastWhy", "Difference", "by_level", "judge_pair"]

ContrastName = Literal["removed", "reduced", "unchanged", "worse", "inconclusive"]

ContrastWhy = Literal[
    "leak-gone",
    "less-of-it",
    "same-leak",
    "more-of-it",
    "new-leak",
    "first-not-known",
    "not-told-apart",
    "level",
    "no-verdict",
]
"""What a contrast rests on: on rates where either leaks (the first seven), on the level where
neither does, on nothing where one has no verdict."""


class Difference(msgspec.Struct, frozen=True):
    """A difference, A minus B: positive where B has less.

    Attributes
    ----------
    value, interval
        The estimate and its 95 % interval (Welch).
    a, b
        What is compared.
    freedom
        Degrees of freedom, by Welch and Satterthwaite.
    """

    value: float
    interval: tuple[float, float]
    a: float
    b: float
    freedom: float


class Contrast(msgspec.Struct, frozen=True):
    """What became of memory between condition A and condition B.

    Attributes
    ----------
    verdict
        ``removed``: A leaks and B does not; ``reduced``, ``unchanged``, ``worse``; or
        ``inconclusive``.
    about
        ``rate`` where either leaks, ``level`` where neither does.
    why
        What it rests on; sentences are made of it.
    rate
        Bytes per step, A minus B.
    level
        Bytes over the last third of the run, A minus B.
    a, b
        The conditions' own verdicts.
    """

    verdict: ContrastName
    about: Literal["rate", "level"]
    why: ContrastWhy
    rate: Difference
    level: Difference
    a: Verdict
    b: Verdict

    @property
    def unjudged(self) -> Verdict | None:
        """The first verdict that decides nothing, where that is why this one does not either."""
        if self.why != "no-verdict":
            return None
        both = (self.a, self.b)
        blind = [v for v in both if not np.isfinite(v.rate)]
        return (blind or [v for v in both if v.verdict == "inconclusive"])[0]


def judge_pair(
    a: Any,
    b: Any,
    sizes_a: Any = None,
    sizes_b: Any = None,
    *,
    worth_level: float | None = None,
    worth_rate: float = limits.WORTH_RATE,
    every: tuple[float, float] = (1.0, 1.0),
) -> Contrast:
    """Compare two conditions of one workload.

    Parameters
    ----------
    a, b
        Bytes, shape (repeats, steps); repeats and steps may differ.
    sizes_a, sizes_b
        Input sizes (see `judge`).
    worth_level
        Smallest change of level worth acting on, in bytes; 5 % of A's level, at least 2 MiB,
        if not given.
    worth_rate
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

    Notes
    -----
    Intervals are Welch's: unequal variances, degrees of freedom by Satterthwaite (Welch, B. L.
    1947, Biometrika 34, 28-35). The unit of replication is the process, not the step.
    """
    first = judge(a, sizes_a, worth_rate=worth_rate).per(every[0])
    second = judge(b, sizes_b, worth_rate=worth_rate).per(every[1])
    rate = _rates(first, second)
    level = _levels(matrix(a, "a"), matrix(b, "b"))
    worth = worth_level
    if worth is None:
        worth = max(limits.WORTH_SHARE * abs(level.a), limits.WORTH_LEVEL)
    said = {first.verdict, second.verdict}
    about: Literal["rate", "level"] = "rate" if "leak" in said else "level"
    name: ContrastName
    why: ContrastWhy
    if not np.isfinite([first.rate, second.rate]).all():
        name, why = "inconclusive", "no-verdict"
    elif about == "rate":
        name, why = _by_rate(first, second, rate)
    elif "inconclusive" in said:
        name, why = "inconclusive", "no-verdict"
    else:
        low, high = level.interval
        name, why = by_level(-level.value, (-high, -low), worth), "level"
    return Contrast(name, about, why, rate, level, first, second)


def _welch(  # noqa: PLR0917 - the formula's symbols
    a: float, b: float, var_a: float, var_b: float, free_a: float, free_b: float
) -> Difference:
    """Return A minus B with Welch's interval, from the variances of the two estimates."""
    total = var_a + var_b
    if not np.isfinite(total) or total <= 0:
        half, free = (float("inf") if not np.isfinite(total) else 0.0), float("inf")
    else:
        free = total**2 / (var_a**2 / free_a + var_b**2 / free_b)
        half = float(stats.t.ppf(0.975, free)) * float(np.sqrt(total))
    return Difference(a - b, (a - b - half, a - b + half), a, b, float(free))


_FEW_REPEATS = 3


def _rates(a: Verdict, b: Verdict) -> Difference:
    def spread(v: Verdict) -> tuple[float, float]:
        if not np.isfinite(v.rate) or v.basis is None:
            return float("nan"), 1.0
        error = (v.interval[1] - v.interval[0]) / (2 * 1.96)
        repeats, samples = v.repeats, v.basis.samples
        if repeats < _FEW_REPEATS:  # how far processes are apart is hardly known from two
            return error**2, float(max(repeats - 1, 1))
        # The interval already holds what few repeats leave unknown; the samples set the rest.
        return error**2, float(max(repeats * samples - 2, 1))

    (var_a, free_a), (var_b, free_b) = spread(a), spread(b)
    return _welch(a.rate, b.rate, var_a, var_b, free_a, free_b)


def _levels(a: np.ndarray, b: np.ndarray) -> Difference:
    parts = []
    for y in (a, b):
        last = y[:, -max(1, -(-y.shape[1] // 3)) :] if y.size else y
        levels = np.array(
            [np.median(row[np.isfinite(row)]) for row in last if np.isfinite(row).any()]
        )
        parts.append(levels)
    own = [float(np.var(x, ddof=1)) if x.size > 1 else float("nan") for x in parts]
    # One process alone has no spread of its own: it borrows the other condition's.
    known = [v for v in own if np.isfinite(v)]
    var = [v if np.isfinite(v) else (known[0] if known else float("nan")) for v in own]
    size = [max(x.size, 1) for x in parts]
    mean = [float(x.mean()) if x.size else float("nan") for x in parts]
    free = [float(max(n - 1, 1)) for n in size]
    return _welch(mean[0], mean[1], var[0] / size[0], var[1] / size[1], free[0], free[1])


def _by_rate(  # noqa: PLR0911 - one line for each outcome
    a: Verdict, b: Verdict, rate: Difference
) -> tuple[ContrastName, ContrastWhy]:
    low, high = rate.interval
    if a.verdict != "leak":
        if high < 0:
            return "worse", "new-leak"
        return "inconclusive", "first-not-known"
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
