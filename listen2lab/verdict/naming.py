"""The name of a series whose evidence is known: what it does if it does not grow, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.columns import jumps
from listen2lab.verdict.intervals import without_one
from listen2lab.verdict.reasons import Reason, VerdictName
from listen2lab.verdict.series import median, row_medians

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.verdict.evidence import Evidence, Rate
    from listen2lab.verdict.features import Features
    from listen2lab.verdict.series import Array, Rows

__all__ = [
    "LATE_SPAN", "Case", "grows_everywhere", "grows_steadily", "keeps_pace", "late_growth",
    "leak_reasons", "left_over", "one_is_odd", "rise_of_line", "settled",
]  # fmt: skip


class Case(NamedTuple):
    """All that was found out about a set of series, and the smallest rate worth acting on.

    `slowed` works out the odds that growth slows down (see `evidence.slowed_odds`).
    """

    rows: Rows
    found: Features
    evidence: Evidence
    rate: Rate
    worth: float
    slowed: Callable[[], float]


def one_is_odd(evidence: Evidence, worth: float) -> bool:
    """Return whether one repeat grows (or does not) while all others agree that they do not."""
    rates, errors = evidence.rates, evidence.errors
    if len(rates) < limits.FEWEST_TO_DISAGREE:
        return False
    pooled, between = without_one(rates, errors)
    others = (np.arange(len(rates))[:, None] + np.arange(1, len(rates))) % len(rates)
    spread = np.hypot(errors, np.maximum(between, row_medians(errors[others])[:, 0]))
    gap = np.abs(rates - pooled)
    large = gap > np.maximum(0.7 * np.maximum(np.abs(rates), np.abs(pooled)), worth)
    return bool((np.where(large, gap / spread, 0.0) > limits.ODD_ONE).any())


def leak_reasons(case: Case) -> list[Reason]:
    """Return what is known of a leak."""
    rows, found, evidence, *_ = case
    out = [Reason.STEADY_GROWTH]
    if found.teeth is None and _in_lumps(found.y, rows.grain):
        out.append(Reason.GROWS_IN_LUMPS)
    if evidence.trend == 1:
        out.append(Reason.GROWS_WITH_INPUT)
    if found.teeth is not None:
        out.append(Reason.UNDER_TEETH)
    return out


def settled(  # noqa: PLR0911 - one line for each name
    case: Case,
) -> tuple[VerdictName, list[Reason]]:
    """Name a series that does not grow."""
    rows, found, evidence, rate, worth, _ = case
    if found.teeth is not None:
        return "sawtooth", [Reason.CLEARED_AGAIN]
    shares = evidence.shapes
    moves = np.concatenate([_moves(x) for x in _whole(rows.y)])
    rise = float(moves[np.argmax(np.abs(moves))])
    bases = evidence.bases
    by_input = rows.sizes is not None and bases.get(1, 0.0) > 0.5
    by_shape = rows.distinct is not None and bases.get(1 + (rows.sizes is not None), 0.0) > 0.5
    moved = 1 - shares["none"] > 0.5 or by_input or by_shape
    if moved and not by_shape and _rises_late(found):
        if rows.sizes is not None and _follows_input(evidence):
            return "high-water", [Reason.FOLLOWS_LARGEST_INPUT]
        return "inconclusive", [Reason.NOT_SETTLED]
    if not moved or abs(rise) < limits.CLEAR_RISE * found.sigma:
        hidden = rate.upper * rows.steps
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


def left_over(case: Case) -> float:
    """Return how many bytes of growth over the run the shapes' imperfect fit may leave over."""
    rows, found, evidence, rate, *_ = case
    growth = abs(rate.mean) * rows.steps
    rest = limits.MISFIT * max(_movement(found) - growth, 0.0)
    shares = evidence.growth_shapes
    stepped = sum(shares.get(name, 0.0) for name in ("one step", "free steps", "steps at records"))
    if stepped > 0.5 and found.teeth is None and not _grows_between(found, growth):
        # Beside the few steps that a model may have there are smaller ones that it may not.
        whole = median(np.abs(np.concatenate([_moves(x) for x in _whole(rows.y)])))
        share = limits.STEPS_LEFT if rows.sizes is not None else limits.STEPS_LEFT_BLIND
        rest = max(rest, share * max(whole - growth, 0.0))
    return rest


def _grows_between(found: Features, growth: float) -> bool:
    """Return whether most of the second half's parts grow as the rate has it, as measured.

    Few of them have one of the steps of a high-water mark; all have their share of a leak.
    """
    parts = []
    for x, n in _long(found.y):
        w = max(2, n // 10)
        starts = np.linspace(n // 2, n - w, limits.PARTS + 1).astype(int)
        level = np.stack([row_medians(x[:, a : a + w])[:, 0] for a in starts], axis=1)
        parts.append(np.diff(level, axis=1) / np.diff(starts) * n)
    moves = np.concatenate(parts, axis=None) if parts else np.zeros(1)
    error = 1.4826 * median(np.abs(moves - median(moves))) * float(np.sqrt(1.57 / moves.size))
    return median(moves) > max(limits.PART_SHARE * growth, 2 * error)


def _typical_jumps(found: Features) -> float:
    """Return how often a repeat jumps, the median repeat."""
    each = [jumps(x, found.sigma).any(axis=1).sum(axis=1) for x in _whole(found.y)]
    return median(np.concatenate(each))


def _in_lumps(y: Array, grain: float) -> bool:
    """Return whether a few moves, larger than two pages, bring most growth after the warm-up."""
    seen = []
    for whole in _whole(y):
        x = whole[:, whole.shape[1] // 5 :]
        moves = np.diff(x, axis=1)
        large = moves > np.maximum(limits.TOOTH * 1.4826 * row_medians(np.abs(moves)), 2 * grain)
        growth = x[:, -1] - x[:, 0]
        among = (large.sum(axis=1) >= limits.LUMPS) & (large.mean(axis=1) <= limits.LUMPS_AMONG)
        seen.append(among & ((moves * large).sum(axis=1) >= limits.LUMPS_SHARE * growth))
    return bool(np.mean(np.concatenate(seen)) > 0.5)


def _rises_late(found: Features) -> bool:
    """Return whether half of the rise comes at the very end, the median repeat."""
    late, whole = [], []
    for x, n in _long(found.y):
        w = max(3, n // 20)
        start = int((1 - limits.LATE_RISE) * n)
        end = row_medians(x[:, -w:])[:, 0]
        late.append(end - row_medians(x[:, max(start - w, 0) : start])[:, 0])
        whole.append(end - x[:, :3].min(axis=1))
    if not late:
        return False
    rise, all_of_it = (median(np.concatenate(x)) for x in (late, whole))
    is_clear = rise > limits.CLEAR_RISE * found.sigma
    return is_clear and rise > limits.LATE_RISE_SHARE * all_of_it


def _movement(found: Features) -> float:
    """Return how far the level moves after the first fifth of the run, the median repeat."""
    moves = []
    for x, n in _long(found.y):
        early = x[:, int(0.15 * n) : max(int(0.25 * n), int(0.15 * n) + 3)]
        moves.append(np.abs(row_medians(x[:, -max(3, n // 4) :]) - row_medians(early)))
    return median(np.concatenate(moves)) if moves else 0.0


def _long(y: Array) -> list[tuple[Array, int]]:
    """Return the repeats as `_whole` does, with their lengths, where they are long enough."""
    return [(x, x.shape[1]) for x in _whole(y) if x.shape[1] >= limits.FEWEST_STEPS]


def _whole(y: Array) -> list[Array]:
    """Return the repeats without missing samples: at once if none is missing, else one by one."""
    there = np.isfinite(y)
    return [y] if there.all() else [row[None, ok] for row, ok in zip(y, there, strict=True)]


LATE_SPAN = 0.35


def late_growth(found: Features) -> float:
    """Return the growth from 60 to 95 % of the run as measured, no model, plus three errors."""
    if found.teeth is not None:
        return float("inf")
    parts = []
    for x, n in _long(found.y):
        w = max(3, n // 10)
        middle = int(0.6 * n) - w // 2
        parts.append(row_medians(x[:, -w:]) - row_medians(x[:, middle : middle + w]))
    if not parts:
        return float("inf")
    moves = np.concatenate(parts)
    own = found.sigma * np.sqrt(2 * 1.57 / max(3, found.y.shape[1] // 10))
    spread = max(float(np.std(moves)), float(own))
    return float(np.mean(moves)) + 3 * spread / float(np.sqrt(len(moves)))


def keeps_pace(found: Features) -> bool:
    """Return whether the second half grows as fast at its end as at its start, as measured."""
    if found.teeth is not None:
        return False
    before, after = [], []
    for x, n in _long(found.y):
        w = max(2, n // 8)
        starts = [min(round(c * n - w / 2), n - w) for c in limits.PACES]
        first, middle, last = (row_medians(x[:, a : a + w])[:, 0] for a in starts)
        before.append((middle - first) / (starts[1] - starts[0]))
        after.append((last - middle) / (starts[2] - starts[1]))
    if not before:
        return False
    early, late = np.concatenate(before), np.concatenate(after)
    return bool(late.mean() >= limits.SAME_PACE * early.mean())


def grows_everywhere(found: Features, growth: float) -> bool:
    """Return whether nearly every repeat grows in the last third, where that could be seen.

    A high-water mark's steps become rarer: two of three repeats have none in the last third. A
    leak, even in lumps or at random steps, has some in nearly all. `growth` is what the rate adds
    up to over the whole run.
    """
    if found.teeth is not None:
        return True
    seen, does = 0, 0
    for x, n in _long(found.y):
        w = max(3, n // 12)
        start = int(0.64 * n) - w // 2
        late = row_medians(x[:, -w:]) - row_medians(x[:, start : start + w])
        expected = growth * (1 - w / (2 * n) - 0.64)
        if expected > 3 * found.sigma * float(np.sqrt(2 * 1.57 / w)):
            seen += len(x)
            does += int((late > limits.LATE_PART * expected).sum())
    return does >= limits.NEARLY_ALL * seen


def grows_steadily(case: Case) -> bool:
    """Return whether every repeat rises in a line to its end, far beyond its noise, as measured.

    No part may be clearly slower than the whole: the first and last third, and the last seventh.
    """
    rows, found, _, _, worth, _ = case
    each = [x for whole, _ in _long(found.y) for x in whole]
    least = max(worth * rows.steps, 0.0)
    return found.teeth is None and bool(each) and all(rise_of_line(x) > least for x in each)


def rise_of_line(x: Array) -> float:
    """Return how far one repeat rises; 0 where it is no line, or no higher than its noise.

    The noise may remember itself: it is what strays from the line, as far as moves from sample to
    sample allow (`phi` .8 makes them .45 of it); a misfit strays farther, with small moves.
    """
    n, (least, pace, errors, late, small, share) = len(x), limits.LINE
    near = np.lib.stride_tricks.sliding_window_view(np.pad(x, 2, mode="edge"), 5)
    y, at = row_medians(near)[:, 0], np.linspace(0.0, 1.0, n)  # without strays
    rise, start = np.polyfit(at, y, 1)
    moves, rest = np.diff(x), x - start - rise * at
    own = 1.4826 * median(np.abs(moves - median(moves))) / float(np.sqrt(2))
    spread = 1.4826 * median(np.abs(rest - median(rest)))
    noise = min(max(spread, own), own / small)
    if rise <= 0 or rise < least * noise or spread > max(1.05 * noise, share * rise):
        return 0.0
    memory = float(np.sqrt(2 * (noise / own) ** 2 - 1)) if own else 1.0
    thirds = [(slice(0, n // 3), 0.0), (slice(n - n // 3, n), late)]
    for part, floor in (*thirds, (slice(n - max(4, n // 7), n), -np.inf)):
        many = len(y[part])
        error = memory * noise * float(np.sqrt(12 / many)) * n / many
        if np.polyfit(at[part], y[part], 1)[0] < max(pace * rise - errors * error, floor * rise):
            return 0.0
    return float(rise)


def _moves(rows: Array) -> Array:
    """Return how far each repeat came from its first samples to its last quarter."""
    n = rows.shape[1]
    if n < limits.FEWEST_IN_REPEAT:
        return np.zeros(len(rows))
    return np.asarray(row_medians(rows[:, -max(3, n // 4) :])[:, 0] - rows[:, :3].min(axis=1))


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
