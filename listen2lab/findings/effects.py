"""An effect over processes, and whether it supports or refutes what a hypothesis claims."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.notice import Notice
from listen2lab.units import MIB
from listen2lab.verdict.intervals import student, welch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from listen2lab.findings.records import FindingName, Where
    from listen2lab.notice import Value

__all__ = [
    "DOUBTS", "LOWERS", "UNACCOUNTED", "Effect", "Ruling", "average", "decide", "difference",
    "doubt", "evidence", "known", "lowers", "mean_of",
]  # fmt: skip

UNACCOUNTED = 2260 * MIB
"""What the app could not account for: the question that started this."""


@dataclass(frozen=True)
class Effect:
    """A number of bytes with its 95 % interval over processes (None with too few)."""

    value: float
    interval: tuple[float, float] | None
    agree: bool
    """Whether each of the repeats lies on the estimate's side."""

    @property
    def values(self) -> list[str | int | float]:
        """The estimate and, where they are known, its bounds: what a template calls an effect."""
        return [float(x) for x in (self.value, *(self.interval or ()))]


@dataclass(frozen=True)
class Ruling:
    """What a hypothesis's rule found.

    Attributes
    ----------
    finding
        The decision. Where none of the conditions in `used` has a run it is not tested.
    because
        The evidence, the deciding one first.
    used
        The conditions behind it.
    effect
        What was decided on, in bytes; None where nothing was measured.
    explains
        Bytes of the app's own memory at the end that the hypothesis accounts for; None where not
        known.
    of
        The condition whose memory `explains` is a part of; None: that which memory is told of.
    """

    finding: FindingName
    because: tuple[Notice, ...]
    used: tuple[Where, ...] = ()
    effect: Effect | None = None
    explains: float | None = None
    of: Where | None = None


def difference(a: ArrayLike, b: ArrayLike) -> Effect:
    """Return mean(a) - mean(b), processes apart.

    The repeats agree where each process lies on its own condition's side of the other's mean.
    """
    one, other = (np.asarray(x, dtype=float) for x in (a, b))
    value = float(one.mean() - other.mean())
    way = np.sign(value)
    agree = bool((way * (one - other.mean()) > 0).all() and (way * (one.mean() - other) > 0).all())
    return Effect(value, welch(one, other), agree)


def mean_of(x: ArrayLike) -> Effect:
    """Return the mean of what was found within each process; it agrees where all signs do."""
    values = np.asarray(x, dtype=float)
    value = float(values.mean())
    return Effect(value, student(values), bool((np.sign(value) * values > 0).all()))


def decide(effect: Effect, worth: float) -> FindingName:
    """Decide whether memory is that much higher, as claimed; positive is what was predicted.

    ``supported``: at least `worth`, the interval excludes no effect, the repeats agree.
    ``refuted``: the interval lies within +-`worth`, or wholly on the other side of no effect.
    Else ``inconclusive``.
    """
    if effect.interval is None:
        return "inconclusive"
    low, high = effect.interval
    if low > 0 and effect.value >= worth and effect.agree:
        return "supported"
    if high < 0 or (low > -worth and high < worth):
        return "refuted"
    return "inconclusive"


def evidence(code: str, **values: Value) -> Notice:
    """Return a notice of what was found."""
    return Notice(code, values)


def doubt(effect: Effect, worth: float) -> Notice:
    """Return why an effect does not decide: a code of `DOUBTS`."""
    if effect.interval is None:
        return Notice("one-run")
    low = effect.interval[0]
    if low > 0 and effect.value >= worth:
        return Notice("repeats-disagree")
    return Notice("less-than-worth" if low > 0 else "interval-too-wide", {"worth": worth})


DOUBTS = {
    "one-run": "One run gives no interval; at least two are needed, better three.",
    "repeats-disagree": "The repeats do not agree; more of them would tell (--repeats 6).",
    "less-than-worth": "That is less than the {worth:size} that are worth acting on, and may be "
    "more: more repeats would tell (--repeats 6).",
    "interval-too-wide": "The interval holds both no effect and one worth acting on "
    "({worth:size}): more repeats would tell (--repeats 6).",
}


def lowers(code: str, effect: Effect, worth: float) -> Notice:
    """Return by how much something lowers memory at the end: ``CODE-`` and a code of `LOWERS`."""
    if effect.interval is None:
        way = "lowers-in-one-run"
    elif effect.interval[0] > 0:
        way = "lowers"
    elif effect.interval[1] < 0:
        low, high = effect.interval
        way, effect = "raises", Effect(-effect.value, (-high, -low), effect.agree)
    else:
        way = "changes-nothing" if decide(effect, worth) == "refuted" else "not-shown"
    return Notice(f"{code}-{way}", {"change": effect.values, "worth": worth})


LOWERS = {
    "lowers": "lowers memory at the end by {change:effect}",
    "lowers-in-one-run": "lowers memory at the end by {change:effect} (one run: no interval)",
    "raises": "raises memory at the end by {change:effect}",
    "changes-nothing": "changes memory at the end by less than {worth:size}",
    "not-shown": "is not shown to lower memory at the end: by {change:effect}",
}
"""What follows the subject in a sentence; see `lowers`."""


def average(x: ArrayLike) -> float:
    """Return the mean over processes; NaN where no process has the number."""
    values = np.asarray(x, dtype=float)
    return float(values.mean()) if values.size else math.nan


def known(x: ArrayLike) -> float | None:
    """Return the mean over processes, for a notice; None where no process has the number."""
    value = average(np.atleast_1d(np.asarray(x, dtype=float)))
    return value if math.isfinite(value) else None
