"""What a series shows before any model: teeth, jumps, and what its inputs explain."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.columns import (
    caches,
    fitted,
    jumps,
    other_measures,
    records,
    unit,
)
from listen2lab.verdict.histories import Block
from listen2lab.verdict.noise import ar1_from_differences
from listen2lab.verdict.series import Array, Rows, median, row_medians

__all__ = ["Features", "blocks", "find_features", "likeness"]


class Features(NamedTuple):
    """What was found.

    Attributes
    ----------
    y
        The bytes without what is proportional to the step's own input.
    level
        The same without teeth, as far as they grow in proportion to age: all its samples.
    teeth
        Number of large falls in each repeat, or None where the series is no sawtooth.
    age
        Steps (or input) since the last fall, same shape as y; zero without teeth.
    sigma
        Robust standard deviation of a sample's noise, from its moves.
    """

    y: Array
    level: Array
    teeth: tuple[int, ...] | None
    age: Array
    sigma: float


def find_features(rows: Rows) -> Features:
    """Look for teeth and for memory that follows the step's own input."""
    live = _live_input(rows)
    y = rows.y if rows.sizes is None or not live else rows.y - live * rows.sizes
    falls = _falls(y)
    age = np.zeros_like(y)
    teeth = None
    if falls is not None:
        teeth = tuple(int(f.sum()) for f in falls)
        age = _since(falls, np.ones_like(y))
        if rows.sizes is not None:
            by_size = _since(falls, rows.sizes)
            if _slope(y, by_size)[1] > _slope(y, age)[1]:
                age = by_size
    seen = np.where(np.isnan(y), np.nan, age)
    level = y if teeth is None else y - _slope(y, seen)[0] * age
    sigma = _sigma(level, rows.grain)
    if falls is not None:
        y = _feet(y, falls)
    return Features(y, level, teeth, age, sigma)


def _sigma(y: Array, grain: float) -> float:
    moves = np.diff(y, axis=1)
    sizes = np.abs(moves - row_medians(moves)).reshape(1, -1)
    spread = 1.4826 * float(row_medians(sizes)[0, 0]) / float(np.sqrt(2))
    # Moves of autocorrelated noise are smaller than the noise.
    whole = spread / float(np.sqrt(1 - ar1_from_differences(y)))
    return max(whole, grain / float(np.sqrt(12)))


def _live_input(rows: Rows) -> float:
    """Estimate bytes per unit of input from moves at which the largest input stays the same.

    A high-water mark does not move there, so what follows the input up *and down* is what the
    step itself held. What is lost in proportion to the input goes up only: it is fitted beside.
    """
    if rows.sizes is None or rows.y.shape[1] < limits.FEWEST_STEPS:
        return 0.0
    top = np.maximum.accumulate(rows.sizes, axis=1)
    calm = (top[:, 1:] == top[:, :-1]) & (rows.sizes[:, :-1] < top[:, :-1])
    moves = np.diff(rows.y, axis=1)
    calm &= np.isfinite(moves)
    dy = moves[calm]
    inputs = np.stack([np.diff(rows.sizes, axis=1)[calm], rows.sizes[:, 1:][calm]], axis=1)
    if dy.size < limits.FEWEST_STEPS or not inputs[:, 0].any():
        return 0.0
    # Huber-like: moves beyond three robust deviations (teeth, lumps) do not vote.
    slopes, ok = np.zeros(2), np.ones(dy.size, bool)
    for _ in range(3):
        if slopes.any():
            rest = dy - inputs @ slopes
            width = 1.4826 * median(np.abs(rest - median(rest))) + 1e-9 * np.abs(dy).max()
            ok = np.abs(rest - median(rest)) <= max(3 * width, 1e-12)
        x, d = inputs[ok] - inputs[ok].mean(axis=0), dy[ok] - dy[ok].mean()
        inverse = np.linalg.pinv(x.T @ x)
        slopes = inverse @ (x.T @ d)
    rest = d - x @ slopes
    error = float(np.sqrt(rest @ rest / max(len(x) - 3, 1) * inverse[0, 0]))
    slope = float(slopes[0])
    return slope if slope > 6 * error and slope > 0 else 0.0


def _falls(y: Array) -> Array | None:
    """Return where each repeat falls by far, or None if that is not what the series does."""
    if y.shape[1] < limits.FEWEST_STEPS:
        return None
    moves = np.diff(y, axis=1, prepend=y[:, :1])
    typical = row_medians(moves)
    width = 1.4826 * row_medians(np.abs(moves - typical))
    size = np.fmax.reduce(y, axis=1, keepdims=True) - np.fmin.reduce(y, axis=1, keepdims=True)
    large = np.maximum(limits.TOOTH * width, 0.08 * size)
    with np.errstate(invalid="ignore"):
        falls = moves - typical < -large
        if not falls.any():
            return None
        # A large input fills much at once; what rises as far as it falls is no tooth.
        rises = moves - typical > max(0.6 * float(np.median(-moves[falls])), float(large.min()))
    per_repeat = falls.sum(axis=1)
    enough = per_repeat.sum() >= max(3, 2 * len(y) - 1) and np.median(per_repeat) >= 2
    if not enough or rises.sum() > 0.34 * falls.sum():
        return None
    return falls


def _feet(y: Array, falls: Array, most: int = 3) -> Array:
    """Keep the first samples after each fall (and after the start): the level it comes back to.

    Further up a tooth, how fast it fills hides how the level moves.
    """
    since = _since(falls, np.ones_like(y))
    started = np.cumsum(falls, axis=1) > 0
    feet = np.where((since < most) & started, y, np.nan)
    few = np.isfinite(feet).sum(axis=1) < limits.FEWEST_IN_REPEAT
    feet[few] = y[few]
    return feet


def _since(falls: Array, amount: Array) -> Array:
    """Return how much has gathered since the last fall (or the start)."""
    total = np.cumsum(amount, axis=1)
    base = np.maximum.accumulate(np.where(falls, total, 0.0), axis=1)
    return np.asarray(total - base)


def _slope(y: Array, x: Array) -> tuple[float, float]:
    """Return by how much of x each y moves, all repeats together, and what that explains of y."""
    yc, xc = (np.nan_to_num(z - np.nanmean(z, axis=1, keepdims=True)) for z in (y, x))
    product, size = float((yc * xc).sum()), max(float((xc * xc).sum()), 1e-300)
    return product / size, product**2 / size


def blocks(rows: Rows, found: Features) -> list[Block]:
    """Return the repeats, grouped by which samples are there, in units of the noise."""
    scale = found.sigma
    there = np.isfinite(found.y)
    groups: dict[bytes, list[int]] = {}
    for r, mask in enumerate(there):
        groups.setdefault(mask.tobytes(), []).append(r)
    u = rows.u
    out = []
    for group in groups.values():
        members = np.array(group)
        where = np.flatnonzero(there[members[0]])
        m = where.size
        if m < limits.FEWEST_IN_REPEAT:
            continue
        y = found.y[np.ix_(members, where)]
        y = (y - y.mean(axis=1, keepdims=True)) / scale
        trends = [np.broadcast_to(u[where], y.shape)]
        teeth = [] if found.teeth is None else [found.age[np.ix_(members, where)]]
        covariates = [teeth]
        nested = {"free steps": jumps(y, 1.0)}
        j = np.arange(1, limits.MOST_JUMPS + 1)
        ways = np.log([math.comb(m - 1, k) for k in j])
        prior = {"free steps": -ways - j * np.log(2)}
        single = fitted(y, u[where])
        if rows.sizes is not None:
            sizes = rows.sizes[members]
            held, capped = caches(y, sizes, where)
            single |= {"cache of the last inputs": held, "cache of so much input": capped}
            single["another input measure"] = other_measures(sizes, where)
            top = np.maximum.accumulate(sizes, axis=1)[:, where]
            gathered = np.cumsum(sizes, axis=1)
            gathered = gathered / gathered[:, -1:] * u[-1]
            trends.append(gathered[:, where])
            covariates.append([*teeth, top])
            nested["steps at records"] = records(sizes[:, where])
            prior["steps at records"] = np.full(8, -np.log(8))
        if rows.distinct is not None:
            covariates.append([*teeth, rows.distinct[np.ix_(members, where)]])
        bases = tuple(
            np.stack([unit(c) for c in cols], axis=2) if cols else np.zeros((*y.shape, 0))
            for cols in covariates
        )
        out.append(Block(y, tuple(where.tolist()), np.array(trends), bases, nested, prior, single))
    return out


def likeness(y: Array) -> float:
    """Return one over how many repeats each one counts as: below 1 where they are copies.

    Fresh processes that do the same often move alike to the byte. Their moves' correlation r
    makes R of them count as R / (1 + (R - 1) r), the design effect of a cluster sample.
    """
    repeats = len(y)
    if repeats < 2:
        return 1.0
    # Curvature rather than moves, and no large ones: a warm-up that all share is no likeness.
    moves = np.nan_to_num(np.diff(y, n=2, axis=1))
    width = 1.4826 * row_medians(np.abs(moves))
    moves = np.where(width > 0, np.clip(moves, -3 * width, 3 * width), moves)
    size = np.sqrt((moves**2).sum(axis=1))
    alive = size > 0
    if alive.sum() < 2:
        return 1.0 / repeats
    unit = moves[alive] / size[alive, None]
    k = len(unit)
    r = float(((unit.sum(axis=0) ** 2).sum() - k) / (k * (k - 1)))
    chance = 3.0 * float(np.sqrt(2 / (k * (k - 1)) / moves.shape[1]))
    return 1.0 / (1.0 + (repeats - 1) * r) if r > max(chance, 0.2) else 1.0
