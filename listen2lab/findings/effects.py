"""An effect over processes, and whether it supports or refutes what a hypothesis claims."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from listen2lab.units import MIB
from listen2lab.verdict.intervals import student, welch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from listen2lab.findings.measured import Where

__all__ = [
    "UNACCOUNTED",
    "Effect",
    "FindingName",
    "Ruling",
    "average",
    "decide",
    "difference",
    "doubt",
    "lowers",
    "mean_of",
    "size",
    "span",
]

UNACCOUNTED = 2260 * MIB
"""What the app could not account for: the question that started this."""

FindingName = Literal["supported", "refuted", "inconclusive"]


@dataclass(frozen=True)
class Effect:
    """A number of bytes with its interval over processes.

    Attributes
    ----------
    value
        The estimate.
    interval
        95 %; None with too few processes.
    agree
        Whether the repeats agree: each of them lies on the estimate's side.
    """

    value: float
    interval: tuple[float, float] | None
    agree: bool


@dataclass(frozen=True)
class Ruling:
    """What a rule found.

    Attributes
    ----------
    finding
        The decision.
    effect
        What was decided on, in bytes; None where nothing was measured.
    explains
        Bytes of the app's own level that the hypothesis accounts for; None where not known.
    because
        Sentences with numbers, the deciding one first.
    used
        The conditions behind it.
    of
        The condition whose level `explains` is a part of; None: that which the level is told of.
    """

    finding: FindingName
    effect: Effect | None
    explains: float | None
    because: tuple[str, ...]
    used: tuple[Where, ...]
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
    """Decide whether memory is that much higher, as claimed.

    Parameters
    ----------
    effect
        Positive in the predicted direction, in bytes.
    worth
        The smallest effect worth acting on.

    Returns
    -------
    str
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


def doubt(effect: Effect, worth: float) -> str:
    """Say why an effect does not decide."""
    if effect.interval is None:
        return "One run gives no interval; at least two are needed, better three."
    low = effect.interval[0]
    if low > 0 and effect.value >= worth:
        return "The repeats do not agree; more of them would tell (--repeats 6)."
    if low > 0:
        return (
            f"That is less than the {size(worth)} that are worth acting on, and may be more: more "
            "repeats would tell (--repeats 6)."
        )
    return (
        f"The interval holds both no effect and one worth acting on ({size(worth)}): more repeats "
        "would tell (--repeats 6)."
    )


def average(x: ArrayLike) -> float:
    """Return the mean over processes; NaN where no process has the number."""
    values = np.asarray(x, dtype=float)
    return float(values.mean()) if values.size else math.nan


def size(value: float) -> str:
    """Return bytes as a reader wants them: ``2,884 MiB``, ``3.8 MiB``, ``12 KiB``."""
    if math.isnan(value):
        return "an unknown amount"
    amount = abs(value)
    if round(amount / MIB, 1) >= 100:
        return f"{value / MIB:,.0f} MiB"
    if amount >= 0.1 * MIB or amount < 512:
        return f"{value / MIB + 0.0:,.1f} MiB"
    return f"{value / 1024:,.0f} KiB"


def span(effect: Effect) -> str:
    """Return an effect with its interval in words."""
    if effect.interval is None:
        return size(effect.value)
    low, high = effect.interval
    digits = 0 if round(max(abs(low), abs(high)) / MIB, 1) >= 100 else 1
    return (
        f"{size(effect.value)} (95 % between {low / MIB:,.{digits}f} and {high / MIB:,.{digits}f})"
    )


def lowers(effect: Effect, worth: float) -> str:
    """Say by how much something lowers the level, after its subject."""
    if effect.interval is None:
        return f"lowers the level by {size(effect.value)} (one run: no interval)"
    low, high = effect.interval
    if low > 0:
        return f"lowers the level by {span(effect)}"
    if high < 0:
        return f"raises the level by {span(Effect(-effect.value, (-high, -low), effect.agree))}"
    if decide(effect, worth) == "refuted":
        return f"changes the level by less than {size(worth)}"
    return f"is not shown to lower the level: by {span(effect)}"
