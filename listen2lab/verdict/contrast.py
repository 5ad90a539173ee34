"""Two conditions compared: what a change did to a leak, or to the level."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import stats

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.judge import Reason, Verdict, judge
from listen2lab.verdict.series import matrix

__all__ = ["Contrast", "ContrastName", "Difference", "judge_pair"]

ContrastName = Literal["removed", "reduced", "unchanged", "worse", "inconclusive"]


@dataclass(frozen=True)
class Difference:
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


@dataclass(frozen=True)
class Contrast:
    """What became of memory between condition A and condition B.

    Attributes
    ----------
    verdict
        ``removed``: A leaks and B does not; ``reduced``, ``unchanged``, ``worse``; or
        ``inconclusive``.
    about
        ``rate`` where either leaks, ``level`` where neither does.
    rate
        Bytes per step, A minus B.
    level
        Bytes over the last third of the run, A minus B.
    a, b
        The conditions' own verdicts.
    sentence
        The result in words.
    """

    verdict: ContrastName
    about: Literal["rate", "level"]
    rate: Difference
    level: Difference
    a: Verdict
    b: Verdict
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        out = asdict(self)
        out["a"], out["b"] = self.a.to_dict(), self.b.to_dict()
        return out


def judge_pair(
    a: Any,
    b: Any,
    sizes_a: Any = None,
    sizes_b: Any = None,
    *,
    worth_level: float | None = None,
    worth_rate: float = limits.WORTH_RATE,
    names: tuple[str, str] = ("A", "B"),
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
    names
        What the sentence calls them.
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
    first = _per_step(judge(a, sizes_a, worth_rate=worth_rate), every[0])
    second = _per_step(judge(b, sizes_b, worth_rate=worth_rate), every[1])
    rate = _rates(first, second)
    level = _levels(matrix(a, "a"), matrix(b, "b"))
    worth = worth_level
    if worth is None:
        worth = max(limits.WORTH_SHARE * abs(level.a), limits.WORTH_LEVEL)
    about: Literal["rate", "level"] = (
        "rate" if "leak" in {first.verdict, second.verdict} else "level"
    )
    blind = next((v for v in (first, second) if not np.isfinite(v.rate)), None)
    if blind is not None:
        name, words = _unjudged(blind)
    elif about == "rate":
        name, words = _by_rate(first, second, rate, names)
    elif "inconclusive" in {first.verdict, second.verdict}:
        name, words = _unjudged(first if first.verdict == "inconclusive" else second)
    else:
        name, words = _told_by_level(level, worth, names)
    return Contrast(name, about, rate, level, first, second, words)


def _per_step(verdict: Verdict, every: float) -> Verdict:
    """Return a verdict on samples with its rates per step."""
    return replace(
        verdict,
        rate=verdict.rate / every,
        interval=(verdict.interval[0] / every, verdict.interval[1] / every),
        upper=verdict.upper / every,
        smallest_visible=verdict.smallest_visible / every,
    )


def _unjudged(verdict: Verdict) -> tuple[ContrastName, str]:
    return "inconclusive", f"One condition has no verdict: {verdict.reasons[0].sentence}"


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
        if not np.isfinite(v.rate):
            return float("nan"), 1.0
        error = (v.interval[1] - v.interval[0]) / (2 * 1.96)
        repeats, samples = v.evidence["repeats"], v.evidence["samples"]
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
    a: Verdict, b: Verdict, rate: Difference, names: tuple[str, str]
) -> tuple[ContrastName, str]:
    low, high = rate.interval
    if a.verdict != "leak":
        if high < 0:
            return "worse", f"{names[1]} leaks where {names[0]} does not."
        return "inconclusive", (
            f"{names[1]} leaks; the rate of {names[0]} is not known well enough to say that it "
            "does not."
        )
    told = f"{names[0]} leaks {_kib(a.rate)} KiB a step, {names[1]} {_kib(b.rate)}"
    settled = b.verdict != "leak" and Reason.STILL_SLOWING not in b.reasons
    if settled and b.upper < limits.REMOVED_SHARE * a.rate:
        return "removed", f"{told}, at most {_kib(max(b.upper, _FEW_BYTES))}: the leak is gone."
    if low > 0 and b.rate < (1 - limits.SAME_SHARE / 2) * a.rate:
        return "reduced", f"{told}: less, but not shown to be gone."
    if high < 0 and b.rate > (1 + limits.SAME_SHARE / 2) * a.rate:
        return "worse", f"{told}: more than before."
    if max(abs(low), abs(high)) < limits.SAME_SHARE * a.rate:
        return "unchanged", f"{told}: the same within a quarter."
    return "inconclusive", f"{told}; the difference is not known well enough."


def _kib(rate: float) -> str:
    """Return a rate in KiB with three digits that mean something; a few bytes are 0."""
    return f"{rate / 1024:.3g}" if abs(rate) >= _FEW_BYTES else "0"


_FEW_BYTES = 4.0


def _told_by_level(
    level: Difference, worth: float, names: tuple[str, str]
) -> tuple[ContrastName, str]:
    name = by_level(-level.value, (-level.interval[1], -level.interval[0]), worth)
    told = (
        f"{names[0]} holds {level.a / 2**20:.4g} MiB at the end, {names[1]} {level.b / 2**20:.4g}"
    )
    ending = {
        "reduced": ": less.",
        "worse": ": more.",
        "unchanged": ": no difference worth acting on.",
        "inconclusive": "; the processes of one condition differ too much to say.",
    }
    return name, f"{told}{ending[name]}"


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
