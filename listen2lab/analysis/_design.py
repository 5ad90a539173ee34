"""White columns: those that are the same for every series of one length, and how to part them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.analysis._noise import KINDS, Array, Kind, bands, whitener
from listen2lab.analysis._shapes import FAMILIES, columns

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOTHING", "Design", "apply", "design", "eliminate", "orthonormal", "whole_design"]

NOTHING = 1e-9
"""All columns are about 1 high: shorter than this, what is left of one is rounding."""


@dataclass(frozen=True)
class Design:
    """What is the same for every series of one length, already white; one entry for each kind.

    A whitener is a full matrix where noise wanders, else its two `bands`.
    """

    white: tuple[Array, ...]
    log_det: Array
    one: tuple[Array, ...]
    z: tuple[Array, ...]
    zz: Array
    grain: Array


@lru_cache(maxsize=3)
def whole_design(samples: int, span: float) -> Design:
    return design(samples, tuple(range(samples)), span, range(len(KINDS)))


def design(samples: int, where: tuple[int, ...], span: float, kinds: Iterable[int]) -> Design:
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    u = all_u[list(where)]
    raw = np.concatenate([columns(f, u, all_u) for f in FAMILIES], axis=1)
    empty = np.zeros(0)
    white, one, z = ([empty] * len(KINDS) for _ in range(3))
    log_det, grain = np.zeros((2, len(KINDS)))
    zz = np.zeros((len(KINDS), raw.shape[1]))
    for k in kinds:
        make = whitener if KINDS[k].wander else bands
        white[k], log_det[k] = make(KINDS[k], u, span / samples)
        grain[k] = (white[k] ** 2).sum()
        one[k] = white[k].sum(axis=1 if KINDS[k].wander else 0)
        one[k] /= np.sqrt((one[k] ** 2).sum())
        z[k] = np.empty_like(raw)
        apply(KINDS[k], white[k], raw, z[k])
        whole = (z[k] ** 2).sum(axis=0)
        z[k] -= np.outer(one[k], one[k] @ z[k])
        zz[k] = (z[k] ** 2).sum(axis=0)
        # A step before the first sample is a level: what is left of it is rounding.
        zz[k, zz[k] <= 1e-18 * whole] = 0.0
    return Design(tuple(white), log_det, tuple(one), tuple(z), zz, grain)


def apply(kind: Kind, white: Array, cols: Array, out: Array) -> None:
    if kind.wander:
        np.matmul(white, cols, out=out)
        return
    np.multiply(cols, white[0][:, None], out=out)
    if kind.phi:
        out[1:] += cols[:-1] * white[1][1:, None]


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
