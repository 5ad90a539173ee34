"""The name of a series that was weighed: what it does if it does not grow, and what speaks up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from listen2lab.analysis import _thresholds as limits
from listen2lab.analysis._columns import jumps
from listen2lab.analysis._pool import dersimonian_laird
from listen2lab.analysis._reasons import Reason
from listen2lab.analysis._series import median

if TYPE_CHECKING:
    from listen2lab.analysis._evidence import Evidence
    from listen2lab.analysis._features import Features
    from listen2lab.analysis._noise import Array
    from listen2lab.analysis._series import Rows

__all__ = [
    "LATE_SPAN",
    "VerdictName",
    "grows_everywhere",
    "late_growth",
    "leak_reasons",
    "left_over",
    "one_is_odd",
    "settled",
]

VerdictName = Literal["leak", "high-water", "plateau", "baseline", "sawtooth", "inconclusive"]


def one_is_odd(evidence: Evidence, worth: float) -> bool:
    """Return whether one repeat grows (or does not) while all others agree that they do not."""
    rates, errors = evidence.rates, evidence.errors
    if len(rates) < limits.FEWEST_TO_DISAGREE:
        return False
    others = [np.delete(np.arange(len(rates)), i) for i in range(len(rates))]
    away = []
    for i, rest in enumerate(others):
        pooled = dersimonian_laird(rates[rest], errors[rest])
        spread = float(np.hypot(errors[i], max(pooled.between, median(errors[rest]))))
        gap = abs(rates[i] - pooled.mean)
        large = gap > max(0.7 * max(abs(rates[i]), abs(pooled.mean)), worth)
        away.append(gap / spread if large else 0.0)
    return max(away) > limits.ODD_ONE


def leak_reasons(found: Features, evidence: Evidence) -> list[Reason]:
    out = [Reason.STEADY_GROWTH]
    if evidence.trend == 1:
        out.append(Reason.GROWS_WITH_INPUT)
    if found.teeth is not None:
        out.append(Reason.UNDER_TEETH)
    return out


def settled(  # noqa: PLR0911 - one line for each name
    rows: Rows, found: Features, evidence: Evidence, upper: float, worth: float
) -> tuple[VerdictName, list[Reason]]:
    """Name a series that does not grow."""
    if found.teeth is not None:
        return "sawtooth", [Reason.CLEARED_AGAIN]
    shares = evidence.shapes
    moves = np.array([_move(row[np.isfinite(row)]) for row in rows.y])
    rise = float(moves[np.argmax(np.abs(moves))])
    bases = evidence.bases
    by_input = rows.sizes is not None and bases.get(1, 0.0) > 0.5
    by_shape = rows.distinct is not None and bases.get(1 + (rows.sizes is not None), 0.0) > 0.5
    moved = 1 - shares["none"] > 0.5 or by_input or by_shape
    if not moved or abs(rise) < limits.CLEAR_RISE * found.sigma:
        hidden = upper * rows.steps
        level = float(np.nanmedian(rows.y))
        tolerable = max(
            limits.NOISE_SHARE * abs(level), limits.NOISE_SIGMAS * found.sigma, worth * rows.steps
        )
        if hidden > tolerable:
            return "inconclusive", [Reason.NOISE_FLOOR]
        return "baseline", [Reason.FLAT]
    if rise < 0:
        return "plateau", [Reason.FALLS]
    if by_shape:
        return "plateau", [Reason.FOLLOWS_NEW_SHAPES]
    if rows.sizes is not None and _follows_input(evidence):
        return "high-water", [Reason.FOLLOWS_LARGEST_INPUT]
    if shares["free steps"] > 0.5 and rows.sizes is None and _typical_jumps(found) >= 2:
        return "high-water", [Reason.RISES_IN_STEPS]
    return "plateau", [Reason.SETTLES]


def left_over(rows: Rows, found: Features, evidence: Evidence, growth: float) -> float:
    """Return how many bytes of growth over the run the shapes' imperfect fit may leave over."""
    rest = limits.MISFIT * max(_movement(found) - growth, 0.0)
    shares = evidence.growth_shapes
    stepped = sum(shares.get(name, 0.0) for name in ("one step", "free steps", "steps at records"))
    if stepped > 0.5 and found.teeth is None:
        # Beside the few steps that a model may have there are smaller ones that it may not.
        whole = median(np.array([abs(_move(row[np.isfinite(row)])) for row in rows.y]))
        share = limits.STEPS_LEFT if rows.sizes is not None else limits.STEPS_LEFT_BLIND
        rest = max(rest, share * max(whole - growth, 0.0))
    return rest


def _typical_jumps(found: Features) -> float:
    """Return how often a repeat jumps, the median repeat."""
    rows = [row[np.isfinite(row)] for row in found.y]
    return median(np.array([jumps(row, found.sigma).any(axis=0).sum() for row in rows]))


def _movement(found: Features) -> float:
    """Return how far the level moves after the first fifth of the run, the median repeat."""
    moves = []
    for row in found.y:
        x = row[np.isfinite(row)]
        if x.size >= limits.FEWEST_STEPS:
            early = x[int(0.15 * x.size) : max(int(0.25 * x.size), int(0.15 * x.size) + 3)]
            moves.append(abs(median(x[-max(3, x.size // 4) :]) - median(early)))
    return median(np.array(moves)) if moves else 0.0


LATE_SPAN = 0.35


def late_growth(found: Features) -> float:
    """Return the growth from 60 to 95 % of the run as measured, no model, plus three errors."""
    if found.teeth is not None:
        return float("inf")
    moves = []
    for row in found.y:
        x = row[np.isfinite(row)]
        if x.size >= limits.FEWEST_STEPS:
            w = max(3, x.size // 10)
            middle = int(0.6 * x.size) - w // 2
            moves.append(median(x[-w:]) - median(x[middle : middle + w]))
    if not moves:
        return float("inf")
    own = found.sigma * np.sqrt(2 * 1.57 / max(3, found.y.shape[1] // 10))
    spread = max(float(np.std(moves)), float(own))
    return float(np.mean(moves)) + 3 * spread / float(np.sqrt(len(moves)))


def grows_everywhere(found: Features, growth: float) -> bool:
    """Return whether nearly every repeat grows in the last third, where that could be seen.

    A high-water mark's steps become rarer: two of three repeats have none in the last third. A
    leak, even in lumps or at random steps, has some in nearly all.

    Parameters
    ----------
    found
        The series.
    growth
        What the rate adds up to over the whole run, in bytes.
    """
    if found.teeth is not None:
        return True
    seen, does = 0, 0
    for row in found.y:
        x = row[np.isfinite(row)]
        if x.size < limits.FEWEST_STEPS:
            continue
        w = max(3, x.size // 12)
        start = int(0.64 * x.size) - w // 2
        late = median(x[-w:]) - median(x[start : start + w])
        expected = growth * (1 - w / (2 * x.size) - 0.64)
        if expected > 3 * found.sigma * float(np.sqrt(2 * 1.57 / w)):
            seen += 1
            does += late > limits.LATE_PART * expected
    return does >= limits.NEARLY_ALL * seen


def _move(row: Array) -> float:
    """Return how far a repeat came from its first samples to its last quarter."""
    if row.size < limits.FEWEST_IN_REPEAT:
        return 0.0
    return float(median(row[-max(3, row.size // 4) :]) - row[:3].min())


def _follows_input(evidence: Evidence) -> bool:
    """Return whether the largest input so far explains the level better than time does."""
    pure = evidence.pure
    by_input = [pure[1, name] for name in ("none", "one step", "free steps")]
    by_input += [pure[1, "another input measure"], pure[0, "steps at records"]]
    by_time = [pure.get((0, name), -np.inf) for name in _BY_TIME]
    return max(by_input) > max(by_time) + limits.NAME_MARGIN


_BY_TIME = (
    "saturating exponential",
    "ramp that ends",
    "one step",
    "free steps",
    "cache of the last inputs",
    "cache of so much input",
    "fitted exponential",
    "fitted ramp",
    "common fitted exponential",
    "common fitted ramp",
)
