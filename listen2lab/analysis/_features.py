"""What a series shows before any model: teeth, jumps, and what its inputs explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from listen2lab.analysis import _thresholds as limits
from listen2lab.analysis._models import COMMON, SEARCHED, Block
from listen2lab.analysis._noise import Array, ar1_from_differences
from listen2lab.analysis._series import Rows, row_medians

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Features", "blocks", "find_features", "likeness"]


@dataclass(frozen=True)
class Features:
    """What was found.

    Attributes
    ----------
    y
        The bytes without what is proportional to the step's own input.
    live
        Bytes per unit of input size that a step holds only while it runs.
    teeth
        Number of large falls in each repeat, or None where the series is no sawtooth.
    age
        Steps (or input) since the last fall, same shape as y; zero without teeth.
    tooth
        Typical height of a fall in bytes.
    sigma
        Robust standard deviation of a sample's noise, from its moves.
    """

    y: Array
    live: float
    teeth: tuple[int, ...] | None
    age: Array
    tooth: float
    sigma: float


def find_features(rows: Rows) -> Features:
    """Look for teeth and for memory that follows the step's own input."""
    live = _live_input(rows)
    y = rows.y if rows.sizes is None or not live else rows.y - live * rows.sizes
    falls, tooth = _falls(y)
    age = np.zeros_like(y)
    teeth = None
    if falls is not None:
        teeth = tuple(int(f.sum()) for f in falls)
        age = _since(falls, np.ones_like(y))
        if rows.sizes is not None:
            by_size = _since(falls, rows.sizes)
            if _explained(y, by_size) > _explained(y, age):
                age = by_size
    level = y if teeth is None else y - _explaining(y, age) * age
    sigma = _sigma(level, rows.grain)
    if falls is not None:
        y = _feet(y, falls)
    return Features(y, live, teeth, age, tooth, sigma)


def _sigma(y: Array, grain: float) -> float:
    moves = np.diff(y, axis=1)
    moves = moves - row_medians(moves) if moves.size else moves
    spread = (
        1.4826 * float(row_medians(np.abs(moves).reshape(1, -1))[0, 0]) / np.sqrt(2)
        if moves.size
        else 0.0
    )
    # Moves of autocorrelated noise are smaller than the noise.
    return max(spread / np.sqrt(1 - ar1_from_differences(y)), grain / np.sqrt(12))


def _live_input(rows: Rows) -> float:
    """Estimate bytes per unit of input from moves at which the largest input stays the same.

    A high-water mark does not move there, so what follows the input up *and down* is what the
    step itself held.
    """
    if rows.sizes is None or rows.y.shape[1] < limits.FEWEST_STEPS:
        return 0.0
    top = np.maximum.accumulate(rows.sizes, axis=1)
    calm = (top[:, 1:] == top[:, :-1]) & (rows.sizes[:, :-1] < top[:, :-1])
    dy, ds = np.diff(rows.y, axis=1)[calm], np.diff(rows.sizes, axis=1)[calm]
    good = np.isfinite(dy)
    dy, ds = dy[good], ds[good]
    if dy.size < limits.FEWEST_STEPS or not np.any(ds):
        return 0.0
    # Huber-like: moves beyond three robust deviations (teeth, lumps) do not vote.
    centre = np.median(dy)
    width = 1.4826 * np.median(np.abs(dy - centre))
    slope = 0.0
    for _ in range(3):
        rest = dy - centre - slope * ds
        width = 1.4826 * np.median(np.abs(rest - np.median(rest))) + 1e-9 * np.abs(dy).max()
        ok = (
            np.abs(rest - np.median(rest)) <= max(3 * width, 1e-12)
            if slope
            else np.ones(dy.size, bool)
        )
        s, d = ds[ok] - ds[ok].mean(), dy[ok] - dy[ok].mean()
        if not s @ s > 0:
            return 0.0
        slope = float(s @ d / (s @ s))
    rest = d - slope * s
    error = float(np.sqrt(rest @ rest / max(len(s) - 2, 1) / (s @ s)))
    return slope if slope > 6 * error and slope > 0 else 0.0


def _falls(y: Array) -> tuple[Array | None, float]:
    """Return where each repeat falls by far, or None if that is not what the series does."""
    if y.shape[1] < limits.FEWEST_STEPS:
        return None, 0.0
    moves = np.diff(y, axis=1, prepend=y[:, :1])
    typical = row_medians(moves)
    width = 1.4826 * row_medians(np.abs(moves - typical))
    size = np.fmax.reduce(y, axis=1, keepdims=True) - np.fmin.reduce(y, axis=1, keepdims=True)
    large = np.maximum(limits.TOOTH * width, 0.08 * size)
    with np.errstate(invalid="ignore"):
        falls = moves - typical < -large
        rises = moves - typical > large
    per_repeat = falls.sum(axis=1)
    enough = per_repeat.sum() >= max(3, 2 * len(y) - 1) and np.median(per_repeat) >= 2
    if not enough or rises.sum() > 0.34 * falls.sum():
        return None, 0.0
    return falls, float(np.median(-moves[falls]))


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


def _centred(y: Array) -> Array:
    return np.asarray(y - np.nanmean(y, axis=1, keepdims=True))


def _explaining(y: Array, x: Array) -> float:
    yc, xc = np.nan_to_num(_centred(y)), _centred(np.where(np.isnan(y), np.nan, x))
    xc = np.nan_to_num(xc)
    return float((yc * xc).sum() / max((xc * xc).sum(), 1e-300))


def _explained(y: Array, x: Array) -> float:
    yc, xc = np.nan_to_num(_centred(y)), np.nan_to_num(_centred(x))
    return float((yc * xc).sum() ** 2 / max((xc * xc).sum(), 1e-300))


def _jumps(row: Array, sigma: float) -> Array:
    """Return columns that step up where the row jumps, the largest jump first."""
    m = row.size
    out = np.zeros((m, limits.MOST_JUMPS))
    w = 3
    if m < limits.FEWEST_STEPS:
        return out
    sums = np.r_[0.0, np.cumsum(row)]
    at = np.arange(1, m)
    lo, hi = np.maximum(at - w, 0), np.minimum(at + w, m)
    move = (sums[hi] - sums[at]) / (hi - at) - (sums[at] - sums[lo]) / (at - lo)
    move -= np.median(move)
    width = max(1.4826 * float(np.median(np.abs(move))), 0.3 * sigma, 1e-12)
    size = np.abs(move)
    for k in range(limits.MOST_JUMPS):
        i = int(np.argmax(size))
        if size[i] < limits.JUMP * width:
            break
        out[at[i] :, k] = 1.0
        size[max(i - 2, 0) : i + 3] = 0.0
    return out


def _records(sizes: Array, most: int = 8) -> Array:
    """Return columns that step up where the largest input so far grows, the largest step first."""
    top = np.maximum.accumulate(sizes)
    growth = np.diff(top, prepend=top[0])
    out = np.zeros((sizes.size, most))
    for k, i in enumerate(np.argsort(-growth)[:most]):
        if growth[i] > 0:
            out[i:, k] = 1.0
    return out


def blocks(rows: Rows, found: Features, scale: float) -> list[Block]:
    """Return the repeats, grouped by which samples are there, as the models take them."""
    there = np.isfinite(found.y)
    groups: dict[bytes, list[int]] = {}
    for r, mask in enumerate(there):
        groups.setdefault(mask.tobytes(), []).append(r)
    u = rows.u
    out = []
    for members in groups.values():
        where = np.flatnonzero(there[members[0]])
        m = where.size
        if m < limits.FEWEST_IN_REPEAT:
            continue
        y = found.y[np.ix_(members, where)]
        y = (y - y.mean(axis=1, keepdims=True)) / scale
        trends = [np.broadcast_to(u[where], y.shape)]
        teeth = [] if found.teeth is None else [found.age[np.ix_(members, where)]]
        covariates = [teeth]
        nested = {"free steps": np.array([_jumps(row, found.sigma / scale) for row in y])}
        j = np.arange(1, limits.MOST_JUMPS + 1)
        ways = gammaln(m) - gammaln(j + 1) - gammaln(m - j)
        prior = {"free steps": -ways - j * np.log(2)}
        single = {
            f"{whose}fitted {shape}": columns
            for shape in ("exponential", "ramp")
            for whose, columns in zip(
                (COMMON, ""), _fitted(y, u[where], exponential=shape == "exponential"), strict=True
            )
        }
        if rows.sizes is not None:
            sizes = rows.sizes[members]
            held, capped = _caches(y, sizes, where)
            single |= {"cache of the last inputs": held, "cache of so much input": capped}
            single["another input measure"] = _other_measures(sizes, where)
            top = np.maximum.accumulate(sizes, axis=1)[:, where]
            gathered = np.cumsum(sizes, axis=1)
            gathered = gathered / gathered[:, -1:] * u[-1]
            trends.append(gathered[:, where])
            covariates.append([*teeth, top])
            nested["steps at records"] = np.array(
                [_records(s) for s in rows.sizes[np.ix_(members, where)]]
            )
            prior["steps at records"] = np.full(8, -np.log(8))
        if rows.distinct is not None:
            covariates.append([*teeth, rows.distinct[np.ix_(members, where)]])
        bases = tuple(
            np.stack([_unit(c) for c in cols], axis=2) if cols else np.zeros((*y.shape, 0))
            for cols in covariates
        )
        out.append(Block(y, tuple(where.tolist()), np.array(trends), bases, nested, prior, single))
    return out


def _caches(y: Array, sizes: Array, where: Array) -> tuple[Array, Array]:
    """Return what a cache of the last h inputs holds, and one of so many bytes, for the best h.

    A bounded cache follows its inputs while it fills, and wanders with them when it is full. The
    capacities that fit best are handed on.
    """
    n = sizes.shape[1]
    total = np.cumsum(sizes, axis=1)

    def held(lengths: Array) -> Array:
        before = np.zeros((len(lengths), *sizes.shape))
        for i, h in enumerate(lengths.astype(int)):
            before[i, :, h:] = total[:, :-h]
        return np.asarray((total - before)[:, :, where])

    def capped(rooms: Array) -> Array:
        return np.asarray(np.minimum(total, rooms[:, None, None])[:, :, where])

    lengths = np.unique(np.geomspace(2, max(3, 0.8 * n), SEARCHED // 2).astype(int))
    rooms = total[:, -1].mean() * np.geomspace(0.02, 0.8, SEARCHED // 2)
    best = [_finer(y, held, lengths.astype(float), whole=True), _finer(y, capped, rooms)]
    return best[0], best[1]


def _other_measures(sizes: Array, where: Array) -> Array:
    """Return the square of the largest input so far, and the second largest so far."""
    top = np.maximum.accumulate(sizes, axis=1)
    second = np.array([_running_second(row) for row in sizes])
    return np.stack([_unit(top[:, where] ** 2), _unit(second[:, where])], axis=2)


def _running_second(row: Array) -> Array:
    first = second = float(row[0])
    out = np.empty_like(row)
    for i, x in enumerate(row.tolist()):
        if x > first:
            first, second = x, first
        elif x > second or i == 1:
            second = x
        out[i] = second
    return out


_COARSE = {True: np.geomspace(0.005, 0.33, 14), False: np.geomspace(0.02, 0.8, 20)}


def _fitted(y: Array, u: Array, *, exponential: bool) -> tuple[Array, Array]:
    """Return saturating exponentials (or ramps) of fitted time: for all repeats, and for each.

    The shared grid of times is too coarse for a rise of many times the noise. Each is fitted
    once beside a level and once beside a level and a slope.
    """
    coarse = _COARSE[exponential]
    common, own = [], []
    for slope in (False, True):
        base = np.ones((u.size, 1)) if not slope else np.stack([np.ones(u.size), u], axis=1)
        q = np.linalg.qr(base)[0]
        rest = y - (y @ q) @ q.T

        def cost(times: Array, rest: Array = rest, q: Array = q) -> Array:
            z = _shape(u, times, exponential=exponential)
            z = z - q @ (q.T @ z)
            gain = (rest @ z) ** 2 / np.maximum((z**2).sum(axis=0), 1e-12)
            total = (rest**2).sum(axis=1, keepdims=True)
            return np.asarray(np.log(np.maximum(total - gain, 1e-9 * total + 1e-300)))

        near = cost(coarse)
        at = int(np.argmin(near.sum(axis=0)))
        shared = _lowest(coarse, at, lambda t, cost=cost: cost(t).sum(axis=0))
        one = _shape(u, np.array([shared]), exponential=exponential)[:, 0]
        common.append(np.broadcast_to(one, y.shape))
        first = np.argmin(near, axis=1)
        ratio = coarse[1] / coarse[0]
        fine = (coarse[first][:, None] * ratio ** np.linspace(-1, 1, 9)).ravel()
        again = cost(fine).reshape(len(y), len(y), 9)[np.arange(len(y)), np.arange(len(y))]
        times = fine.reshape(len(y), 9)[np.arange(len(y)), np.argmin(again, axis=1)]
        own.append(_shape(u, times, exponential=exponential).T)
    return tuple(np.stack([_unit(x) for x in cols], axis=2) for cols in (common, own))


def _shape(u: Array, times: Array, *, exponential: bool) -> Array:
    t = u[:, None] / times
    return np.asarray(1 - np.exp(-t) if exponential else np.minimum(t, 1))


_NINTHS = np.linspace(0, 1, 9)


def _lowest(coarse: Array, at: int, cost: Callable[[Array], Array]) -> float:
    """Narrow a minimum down, twice by a grid and then by a parabola, in the logarithm."""
    low, high = coarse[max(at - 1, 0)], coarse[min(at + 1, len(coarse) - 1)]
    best = float(coarse[at])
    for _ in range(2):
        fine = low * (high / low) ** _NINTHS
        values = cost(fine)
        i = int(np.clip(np.argmin(values), 1, 7))
        low, high = float(fine[i - 1]), float(fine[i + 1])
        bend = values[i - 1] - 2 * values[i] + values[i + 1]
        shift = 0.5 * (values[i - 1] - values[i + 1]) / bend if bend > 0 else 0.0
        best = float(fine[i] * (fine[1] / fine[0]) ** np.clip(shift, -1, 1))
    return best


def _finer(
    y: Array, make: Callable[[Array], Array], values: Array, *, whole: bool = False, most: int = 2
) -> Array:
    """Return the columns that explain y best, looking closer about the best of a first look."""
    at = int(np.argmin(_misfit(y, make(values))))
    low, high = values[max(at - 1, 0)], values[min(at + 1, len(values) - 1)]
    near = np.linspace(low, high, SEARCHED // 2)
    if whole:
        near = np.unique(np.round(near))
    candidates = make(near)
    chosen = candidates[np.argsort(_misfit(y, candidates))[:most]]
    while len(chosen) < most:
        chosen = np.concatenate([chosen, chosen[:1]])
    return np.stack([_unit(c) for c in chosen], axis=2)


def _misfit(y: Array, candidates: Array) -> Array:
    """Return, for each candidate, how much of y it leaves unexplained (a log likelihood)."""
    centred = candidates - candidates.mean(axis=2, keepdims=True)
    total = (y**2).sum(axis=1)
    gain = (centred * y).sum(axis=2) ** 2 / np.maximum((centred**2).sum(axis=2), 1e-300)
    return np.asarray(np.log(np.maximum(total - gain, 1e-9 * total + 1e-300)).sum(axis=1))


def _unit(x: Array) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-300))


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
    width = 1.4826 * np.median(np.abs(moves), axis=1, keepdims=True)
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
