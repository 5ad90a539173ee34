"""Columns that are built from the series and its inputs: jumps, records, caches, fitted shapes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.analysis import _thresholds as limits
from listen2lab.analysis._series import median

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.analysis._noise import Array

__all__ = ["SEARCHED", "caches", "fitted", "jumps", "other_measures", "records", "unit"]

SEARCHED = 48
"""How many parameter values a single column was the best of, which it pays for."""


def jumps(row: Array, sigma: float) -> Array:
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
    move -= median(move)
    width = max(1.4826 * median(np.abs(move)), 0.3 * sigma, 1e-12)
    size = np.abs(move)
    for k in range(limits.MOST_JUMPS):
        i = int(np.argmax(size))
        if size[i] < limits.JUMP * width:
            break
        out[at[i] :, k] = 1.0
        size[max(i - 2, 0) : i + 3] = 0.0
    return out


def records(sizes: Array, most: int = 8) -> Array:
    """Return columns that step up where the largest input so far grows, the largest step first."""
    top = np.maximum.accumulate(sizes)
    growth = np.diff(top, prepend=top[0])
    out = np.zeros((sizes.size, most))
    for k, i in enumerate(np.argsort(-growth)[:most]):
        if growth[i] > 0:
            out[i:, k] = 1.0
    return out


def caches(y: Array, sizes: Array, where: Array) -> tuple[Array, Array]:
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


def other_measures(sizes: Array, where: Array) -> Array:
    """Return the square of the largest input so far, the second largest, and the largest again.

    A planner that remembers shapes takes its memory at the second input of (nearly) that size.
    """
    top = np.maximum.accumulate(sizes, axis=1)
    second = np.array([_running_second(row) for row in sizes])
    before = np.concatenate([np.zeros((len(top), 1)), top[:, :-1]], axis=1)
    repeated = (sizes <= before) & (sizes > limits.NEAR_RECORD * before)
    again = np.maximum.accumulate(np.where(repeated, before, 0.0), axis=1)
    return np.stack([unit(x[:, where]) for x in (top**2, second, again)], axis=2)


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


def fitted(y: Array, u: Array, *, exponential: bool) -> tuple[Array, Array]:
    """Return saturating exponentials (or ramps) of fitted time: for all repeats, and for each.

    The shared grid of times is too coarse for a rise of many times the noise. Each is fitted
    once beside a level and once beside a level and a slope.
    """
    coarse = _COARSE[exponential]
    common, own = [], []
    for q, first_look in _first_look(u.tobytes(), exponential=exponential):
        rest = y - (y @ q) @ q.T
        total = (rest**2).sum(axis=1, keepdims=True)

        def left(z: Array, rest: Array = rest, total: Array = total) -> Array:
            return np.asarray(np.log(np.maximum(total - (rest @ z) ** 2, 1e-9 * total + 1e-300)))

        def cost(times: Array, q: Array = q, left: Callable[[Array], Array] = left) -> Array:
            return left(_beside(q, _shape(u, times, exponential=exponential)))

        near = left(first_look)
        at = int(np.argmin(near.sum(axis=0)))
        shared = _lowest(coarse, at, cost)
        one = _shape(u, np.array([shared]), exponential=exponential)[:, 0]
        common.append(np.broadcast_to(one, y.shape))
        first = np.argmin(near, axis=1)
        ratio = coarse[1] / coarse[0]
        fine = (coarse[first][:, None] * ratio ** np.linspace(-1, 1, 9)).ravel()
        again = cost(fine).reshape(len(y), len(y), 9)[np.arange(len(y)), np.arange(len(y))]
        times = fine.reshape(len(y), 9)[np.arange(len(y)), np.argmin(again, axis=1)]
        own.append(_shape(u, times, exponential=exponential).T)
    both = [np.stack([unit(x) for x in cols], axis=2) for cols in (common, own)]
    return both[0], both[1]


@lru_cache(maxsize=8)
def _first_look(times: bytes, *, exponential: bool) -> list[tuple[Array, Array]]:
    """Return a level (and a slope), orthonormal, and the coarse grid's shapes beside them."""
    u = np.frombuffer(times)
    shapes = _shape(u, _COARSE[exponential], exponential=exponential)
    both = np.linalg.qr(np.stack([np.ones(u.size), u], axis=1))[0]
    return [(q, _beside(q, shapes)) for q in (both[:, :1], both)]


def _beside(q: Array, z: Array) -> Array:
    """Return what is left of columns beside orthonormal ones, at length 1."""
    z = z - q @ (q.T @ z)
    return np.asarray(z / np.sqrt(np.maximum((z * z).sum(axis=0), 1e-12)))


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
        values = cost(fine).sum(axis=0)
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
    return np.stack([unit(c) for c in chosen], axis=2)


def _misfit(y: Array, candidates: Array) -> Array:
    """Return, for each candidate, how much of y it leaves unexplained (a log likelihood)."""
    centred = candidates - candidates.mean(axis=2, keepdims=True)
    total = (y**2).sum(axis=1)
    gain = (centred * y).sum(axis=2) ** 2 / np.maximum((centred**2).sum(axis=2), 1e-300)
    return np.asarray(np.log(np.maximum(total - gain, 1e-9 * total + 1e-300)).sum(axis=1))


def unit(x: Array) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-300))
