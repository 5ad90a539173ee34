"""Columns that are built from the series and its inputs: jumps, records, caches, fitted shapes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.histories import COMMON
from listen2lab.verdict.series import row_medians

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.verdict.series import Array

__all__ = ["SEARCHED", "caches", "fitted", "jumps", "other_measures", "records", "unit"]

SEARCHED = 48
"""How many parameter values a single column was the best of, which it pays for."""


def jumps(rows: Array, sigma: float) -> Array:
    """Return columns that step up where rows jump, the largest jump first.

    Parameters
    ----------
    rows, sigma
        Of shape (repeats, samples), and the noise's standard deviation.

    Returns
    -------
    ndarray of shape (repeats, samples, jumps)
        Zero where a repeat has fewer jumps.
    """
    repeats, m = rows.shape
    out = np.zeros((repeats, m, limits.MOST_JUMPS))
    w = 3
    if m < limits.FEWEST_STEPS:
        return out
    sums = np.zeros((repeats, m + 1))
    np.cumsum(rows, axis=1, out=sums[:, 1:])
    at = np.arange(1, m)
    lo, hi = np.maximum(at - w, 0), np.minimum(at + w, m)
    here = sums[:, 1:m]
    move = (sums[:, hi] - here) / (hi - at) - (here - sums[:, lo]) / (at - lo)
    move -= row_medians(move)
    size = np.abs(move)
    least = limits.JUMP * np.maximum(1.4826 * row_medians(size), max(0.3 * sigma, 1e-12))
    each = np.arange(repeats)
    for k in range(limits.MOST_JUMPS):
        largest = size.argmax(axis=1)
        jumped = size[each, largest] >= least[:, 0]
        if not jumped.any():
            break
        out[:, 1:, k] = (at > largest[:, None]) & jumped[:, None]
        size[np.abs(at - 1 - largest[:, None]) <= 2] = 0.0
        size[~jumped] = 0.0
    return out


def records(sizes: Array, most: int = 8) -> Array:
    """Return columns that step up where the largest input so far grows, the largest step first.

    Shape (repeats, samples, most): zero where a repeat has fewer records.
    """
    top = np.maximum.accumulate(sizes, axis=1)
    growth = np.diff(top, prepend=top[:, :1])
    out = np.zeros((*sizes.shape, most))
    order = np.argsort(-growth, axis=1)[:, :most]
    grows = np.take_along_axis(growth, order, axis=1) > 0
    at = np.arange(sizes.shape[1])
    out[..., : order.shape[1]] = (at[:, None] >= order[:, None]) & grows[:, None]
    return out


def caches(y: Array, sizes: Array, where: Array) -> tuple[Array, Array]:
    """Return what a cache of the last h inputs holds, and one of so many bytes, for the best h.

    A bounded cache follows its inputs while it fills, and wanders with them when it is full. The
    capacities that fit best are handed on.
    """
    n = sizes.shape[1]
    sums = np.zeros((len(sizes), n + 1))
    total = np.cumsum(sizes, axis=1, out=sums[:, 1:])
    now = total[:, where]

    def held(lengths: Array) -> Array:
        before = np.maximum(where + 1 - lengths.astype(int)[:, None], 0)
        return np.asarray(now - sums[:, before].swapaxes(0, 1))

    def capped(rooms: Array) -> Array:
        return np.asarray(np.minimum(now, rooms[:, None, None]))

    rooms = total[:, -1].mean() * _ROOMS
    best = [_finer(y, held, _lengths(n), whole=True), _finer(y, capped, rooms)]
    return best[0], best[1]


_ROOMS = np.geomspace(0.02, 0.8, SEARCHED // 2)


@lru_cache(maxsize=16)
def _lengths(samples: int) -> Array:
    return np.unique(np.geomspace(2, max(3, 0.8 * samples), SEARCHED // 2).astype(int)) * 1.0


def other_measures(sizes: Array, where: Array) -> Array:
    """Return the square of the largest input so far, the second largest, and the largest again.

    A planner that remembers shapes takes its memory at the second input of (nearly) that size.
    """
    top = np.maximum.accumulate(sizes, axis=1)
    before = np.zeros_like(top)
    before[:, 1:] = top[:, :-1]
    # Of each input and the largest before it, the smaller one may be the second largest.
    loser = np.minimum(sizes, before)
    second = np.maximum.accumulate(loser, axis=1)
    second[:, 0] = sizes[:, 0]
    repeated = (sizes <= before) & (sizes > limits.NEAR_RECORD * before)
    again = np.maximum.accumulate(np.where(repeated, before, 0.0), axis=1)
    return np.stack([unit(x[:, where]) for x in (top**2, second, again)], axis=2)


# Times to look at first, of exponentials and of ramps; the shorter list is filled up.
_COARSE = np.array([[*np.geomspace(0.005, 0.33, 14), *(6 * [0.33])], np.geomspace(0.02, 0.8, 20)])
_NINTHS, _ABOUT = np.linspace(0, 1, 9), np.linspace(-1, 1, 9)


def fitted(y: Array, u: Array) -> dict[str, Array]:
    """Return saturating exponentials and ramps of fitted time: for all repeats, and for each.

    The shared grid of times is too coarse for a rise of many times the noise. Each is fitted
    once beside a level and once beside a level and a slope: name to (repeats, samples, 2). `y` is
    without its mean, `u` the times of its samples.
    """
    repeats, m = y.shape
    level = np.full(m, m**-0.5)
    slope = u - u.mean()
    slope /= np.sqrt(slope @ slope)
    beside = y - (y @ slope)[:, None] * slope
    lead = np.concatenate([y, beside, [level, slope]])
    total = np.stack([(x * x).sum(axis=1) for x in (y, beside)], axis=1)[:, None, :, None]
    least = 1e-9 * total + 1e-300

    def left(z: Array) -> Array:
        """Return what columns (shapes, beside, times) leave: (repeats, shapes * beside, times)."""
        products = (lead @ z.reshape(m, -1)).reshape(-1, *z.shape[1:])
        products *= products
        # What level and slope explain of a column is no part of its length.
        length = np.einsum("mabk,mabk->abk", z, z) - products[-2]
        length[:, 1] -= products[-1, :, 1]
        gain = products[: 2 * repeats].reshape(2, repeats, *z.shape[1:])
        gain = np.stack([gain[0, :, :, 0], gain[1, :, :, 1]], axis=2) / np.maximum(length, 1e-12)
        return np.asarray(np.log(np.maximum(total - gain, least))).reshape(repeats, 4, -1)

    def cost(times: Array) -> Array:
        return left(_shapes(u, times.reshape(2, 2, -1)))

    near = left(_first_look(u.tobytes()))
    coarse = np.repeat(_COARSE, 2, axis=0)
    common = _lowest(coarse, near.sum(axis=0).argmin(axis=1), cost)
    of = np.arange(4)
    fine = coarse[of, near.argmin(axis=2)][..., None]
    fine = fine * ((coarse[:, 1] / coarse[:, 0])[:, None] ** _ABOUT)
    each = np.arange(repeats)
    again = cost(fine.swapaxes(0, 1).reshape(4, -1)).reshape(repeats, 4, repeats, 9)
    best = again[each, :, each].argmin(axis=2)
    own = np.take_along_axis(fine, best[..., None], axis=2)[..., 0]
    times = np.concatenate([common[None], own]).T.reshape(2, 2, -1)
    cols = _shapes(u, times)
    cols -= cols.mean(axis=0)
    highest = np.abs(cols).max(axis=0)
    # Columns of all repeats are scaled as one.
    highest[..., 1:] = highest[..., 1:].max(axis=2, keepdims=True)
    cols /= np.maximum(highest, 1e-300)
    out = {}
    for i, name in enumerate(("exponential", "ramp")):
        out[f"{COMMON}fitted {name}"] = np.broadcast_to(cols[:, i, :, 0], (repeats, m, 2))
        out[f"fitted {name}"] = cols[:, i, :, 1:].transpose(2, 0, 1)
    return out


@lru_cache(maxsize=16)
def _first_look(times: bytes) -> Array:
    """Return the coarse grids' shapes."""
    return _shapes(np.frombuffer(times), np.repeat(_COARSE[:, None], 2, axis=1))


def _shapes(u: Array, times: Array) -> Array:
    """Return columns (samples, *times), the first half exponentials, the other ramps."""
    t = u[:, None, None, None] / times
    t[:, 0] = -np.expm1(-t[:, 0])
    np.minimum(t[:, 1], 1, out=t[:, 1])
    return np.asarray(t)


def _lowest(coarse: Array, at: Array, cost: Callable[[Array], Array]) -> Array:
    """Narrow minima down, twice by a grid and then by a parabola, in the logarithm."""
    of = np.arange(len(coarse))
    low = coarse[of, np.maximum(at - 1, 0)]
    high = coarse[of, np.minimum(at + 1, coarse.shape[1] - 1)]
    best = coarse[of, at]
    for _ in range(2):
        fine = low[:, None] * (high / low)[:, None] ** _NINTHS
        values = cost(fine).sum(axis=0)
        i = np.clip(values.argmin(axis=1), 1, 7)
        low, high = fine[of, i - 1], fine[of, i + 1]
        before, after = values[of, i - 1], values[of, i + 1]
        bend = before - 2 * values[of, i] + after
        shift = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1.0), 0.0)
        best = fine[of, i] * (fine[:, 1] / fine[:, 0]) ** np.clip(shift, -1, 1)
    return np.asarray(best)


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
    return np.stack([unit(c) for c in chosen], axis=2)


def _misfit(y: Array, candidates: Array) -> Array:
    """Return, for each candidate, how much of y it leaves unexplained (a log likelihood)."""
    m = y.shape[1]
    total = (y**2).sum(axis=1)
    # y has no mean, so that of a candidate matters to the candidate's length only.
    mean = candidates.mean(axis=2)
    length = np.einsum("nrm,nrm->nr", candidates, candidates)
    spread = length - m * mean**2
    gain = np.einsum("nrm,rm->nr", candidates, y) ** 2 / np.maximum(spread, 1e-12 * length + 1e-300)
    return np.asarray(np.log(np.maximum(total - gain, 1e-9 * total + 1e-300)).sum(axis=1))


def unit(x: Array) -> Array:
    """Return each row centred, with a largest magnitude of 1."""
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-300))
