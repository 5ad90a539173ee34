"""White columns: those that are the same for every series of one length, and how to part them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from listen2lab.verdict.noise import KINDS, Array, Kind, bands, whitener
from listen2lab.verdict.shapes import FAMILIES, columns

__all__ = ["NOTHING", "Design", "apply", "design", "eliminate", "orthonormal", "whole_design"]

NOTHING = 1e-9
"""All columns are about 1 high: shorter than this, what is left of one is rounding."""


@dataclass(frozen=True)
class Design:
    """What is the same for every series of one length, already white.

    The first axis of all arrays is the repeats', of length 1 where all were sampled at the same
    times; repeats with fewer samples than others have zeros at the end.

    Attributes
    ----------
    white
        For each kind of noise its whitener: a full matrix where noise wanders, else two `bands`.
    one
        The level, of length 1; for each kind.
    z, zz
        The families' columns without their level, and their squared lengths; for each kind.
    log_det, grain
        Logarithm of the whitener's determinant, and its sum of squares: (repeats, kinds).
    """

    white: tuple[Array, ...]
    one: tuple[Array, ...]
    z: tuple[Array, ...]
    zz: Array
    log_det: Array
    grain: Array


@lru_cache(maxsize=3)
def whole_design(samples: int, span: float) -> Design:
    """Return the design over all samples, with every kind of column."""
    return design(samples, [tuple(range(samples))], span, list(range(len(KINDS))))


def design(samples: int, where: list[tuple[int, ...]], span: float, kinds: list[int]) -> Design:
    """Return the design of each stretch in `where`, with columns of these kinds."""
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    m = max(len(w) for w in where)
    there = np.arange(m) < np.array([[len(w)] for w in where])
    u = np.broadcast_to(2 * span + np.arange(m), there.shape).copy()
    u[there] = all_u[np.concatenate(where)]
    raw = np.concatenate([columns(f, u, all_u) for f in FAMILIES], axis=2) * there[..., None]
    empty = np.zeros(0)
    white, one, z = ([empty] * len(KINDS) for _ in range(3))
    log_det, grain = np.zeros((2, len(where), len(KINDS)))
    zz = np.zeros((len(where), len(KINDS), raw.shape[2]))
    for k in kinds:
        kind = KINDS[k]
        if kind.wander:
            white[k] = np.zeros((len(where), m, m))
            for r, w in enumerate(where):
                n = len(w)
                white[k][r, :n, :n], log_det[r, k] = whitener(kind, u[r, :n], span / samples)
        else:
            white[k], log_det[:, k] = bands(kind, u, span / samples, there)
        grain[:, k] = (white[k] ** 2).sum(axis=(1, 2))
        one[k] = white[k].sum(axis=2 if kind.wander else 1)
        one[k] /= np.sqrt((one[k] ** 2).sum(axis=1, keepdims=True))
        z[k] = np.empty_like(raw)
        apply(kind, white[k], raw, z[k])
        whole = (z[k] ** 2).sum(axis=1)
        level = one[k][:, None] @ z[k]
        z[k] -= one[k][..., None] * level
        zz[:, k] = (z[k] ** 2).sum(axis=1)
        # A step before the first sample is a level: what is left of it is rounding.
        zz[:, k][zz[:, k] <= 1e-18 * whole] = 0.0
    return Design(tuple(white), tuple(one), tuple(z), zz, log_det, grain)


def apply(kind: Kind, white: Array, cols: Array, out: Array) -> None:
    """Make columns (repeats, samples, columns) white."""
    if kind.wander:
        np.matmul(white, cols, out=out)
        return
    np.multiply(cols, white[:, 0, :, None], out=out)
    if kind.phi:
        out[:, 1:] += cols[:, :-1] * white[:, 1, 1:, None]


def orthonormal(cols: Array) -> Array:
    """Orthonormalise each repeat's columns; a column without anything new becomes zero."""
    out = np.zeros_like(cols)
    for j in range(cols.shape[3]):
        x = cols[..., j]
        whole = np.sqrt((x * x).sum(axis=2))
        for i in range(j):
            x = x - out[..., i] * (out[..., i] * x).sum(axis=2)[..., None]
        size = np.sqrt((x * x).sum(axis=2))
        fresh = size > np.maximum(1e-7 * whole, NOTHING)
        out[..., j] = x / np.where(fresh, size, np.inf)[..., None]
    return out


def eliminate(gram: Array, products: Array) -> None:
    """Turn products with columns into those with the orthonormal columns made of them, in place.

    A column without anything new gets zero. (Cholesky's factor, and forward substitution, for all
    repeats at once.)
    """
    whole = np.diagonal(gram, axis1=2, axis2=3).copy()
    used = np.flatnonzero(whole.any(axis=(0, 1)))
    last = int(used[-1]) + 1 if used.size else 0
    products[..., last:] = 0.0
    for j in range(last):
        pivot = gram[..., j, j]
        fresh = pivot > np.maximum(1e-11 * whole[..., j], NOTHING)
        root = np.sqrt(np.where(fresh, pivot, np.inf))[..., None]
        products[..., j] /= root
        if j + 1 < last:
            row = gram[..., j, j + 1 : last] / root
            gram[..., j + 1 : last, j + 1 : last] -= row[..., :, None] * row[..., None, :]
            products[..., j + 1 : last] -= products[..., j, None] * row[..., None, :]
