"""From the repeats' white columns to how well each history explains them (see `surfaces`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.verdict.columns import SEARCHED
from listen2lab.verdict.histories import (
    COMMON,
    FAMILIES,
    LATE,
    MIDDLE,
    Block,
    Design,
    apply,
    changes,
    design,
    layout,
    whole_design,
)
from listen2lab.verdict.noise import ALL_KINDS, KINDS
from listen2lab.verdict.surfaces import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.verdict.series import Array

__all__ = ["Whitened"]

_NOTHING = 1e-9
"""All columns are about 1 high: shorter than this, what is left of one is rounding."""


@dataclass(frozen=True)
class _Products:
    """Products of the white columns that are left beside one covariate set.

    Attributes
    ----------
    kinds
        Which kinds of noise they are of: the first axis of all others, the second being repeats.
    own
        Of y and the trends with each other.
    unit
        Of y and the trends with each option's column of length 1; nested ones orthonormal.
    size
        Squared length of each option's column; infinite where nothing is left of it.
    """

    kinds: tuple[int, ...]
    own: Array
    unit: Array
    size: Array


class Whitened:
    """All repeats under some kinds of noise; gives the scores and surfaces that are asked for.

    Repeats with fewer samples than others have zeros at the end, which add nothing to products.

    Parameters
    ----------
    blocks
        The repeats.
    samples, span
        Samples of the longest repeat, and the time of the run's end.
    grain
        The smallest difference that y can show: its rounding error is part of the noise.
    kinds
        Which of `KINDS` will be asked for.
    """

    def __init__(
        self,
        blocks: list[Block],
        samples: int,
        span: float,
        grain: float,
        kinds: Sequence[int] = ALL_KINDS,
    ) -> None:
        self.blocks = blocks
        self.kinds = tuple(kinds)
        first = blocks[0]
        self.places = layout(samples, first.nested, first.single)
        self._nested = frozenset(first.nested)
        self._repeats = [len(b.y) for b in blocks]
        self.dof = np.repeat([b.y.shape[1] - 1.0 for b in blocks], self._repeats)[:, None]
        self.design = self._design(samples, span)
        self.floor = grain**2 / 12 * self.design.grain
        self.cost = np.repeat([self._costs(b) for b in blocks], self._repeats, axis=0)
        # Options that cost the same: the best of them is the one that leaves least.
        self.alike = np.concatenate(
            [
                np.arange(p.start, p.stop if p.name in self._nested else p.start + 1)
                for p in self.places
            ]
        )
        self.at_place = np.searchsorted(self.alike, [p.start for p in self.places])
        self._samples = samples
        # Of each block y and the trends, then nested, single and covariate columns.
        parts = [
            [
                np.concatenate([b.y[None], b.trends]).transpose(1, 2, 0),
                *b.nested.values(),
                *b.single.values(),
                *b.bases,
            ]
            for b in blocks
        ]
        stops = np.cumsum([0, *(x.shape[2] for x in parts[0])])
        raw = _stacked([np.concatenate(x, axis=2) for x in parts])
        white = np.empty((len(self.kinds), *raw.shape))
        for i, k in enumerate(self.kinds):
            apply(KINDS[k], self.design.white[k], raw, white[i])
        first_base = len(parts[0]) - len(first.bases)
        self._white = white[..., : stops[first_base]]
        self._bases = [
            white[..., a:b]
            for a, b in zip(stops[first_base:-1], stops[first_base + 1 :], strict=True)
        ]
        self._own = int(stops[1])
        self._length = np.einsum("krmn,krmn->krn", self._white, self._white)
        self._grams: dict[str, Array] = {}
        for name, a, b in zip(first.nested, stops[1:], stops[2:], strict=False):
            part = self._white[..., a:b]
            self._grams[name] = part.swapaxes(2, 3) @ part
        self._known: dict[int, _Products] = {}

    def _design(self, samples: int, span: float) -> Design:
        blocks = self.blocks
        if len(blocks) == 1 and blocks[0].y.shape[1] == samples:
            return whole_design(samples, span)
        where = [b.where for b in blocks]
        if len(blocks) > 1:
            where = [w for w, n in zip(where, self._repeats, strict=True) for _ in range(n)]
        return design(samples, where, span, self.kinds)

    def _costs(self, block: Block) -> Array:
        """Return what each option costs: its amplitude, and how many it was the best of."""
        log_one = np.log(block.y.shape[1])
        cost = np.zeros(self.places[-1].stop)
        for p in self.places[1:]:
            n = p.stop - p.start
            if p.name in self._nested:
                price = np.arange(1, n + 1) * 0.5 * log_one - block.nested_prior[p.name]
            else:
                price = 0.5 * log_one + np.log(SEARCHED if p.name in block.single else n)
                if p.name.startswith(COMMON):
                    # Its time was searched for once, not once for each repeat.
                    price -= np.log(SEARCHED) * (1 - 1 / len(block.y))
            cost[p.start : p.stop] = price
        return cost

    def _products(self, base: int, kinds: Sequence[int]) -> _Products:
        known = self._known.get(base)
        if known is None or not set(kinds) <= set(known.kinds):
            known = self._known[base] = self._multiply(base, tuple(kinds))
        return known

    def _multiply(self, base: int, kinds: tuple[int, ...]) -> _Products:
        d = self.design
        rows = [self.kinds.index(k) for k in kinds]
        cols, q = self._white, self._bases[base]
        if len(kinds) < len(self.kinds):
            cols, q = cols[rows], q[rows]
        several, repeats, m, _ = cols.shape
        level = np.stack([d.one[k] for k in kinds])[..., None]
        level = np.broadcast_to(level, (several, repeats, m, 1))
        q = _orthonormal(np.concatenate([level, q], axis=3))
        own = self._own
        lead = cols[..., :own]
        lead = np.concatenate([lead - q @ (q.swapaxes(2, 3) @ lead), q], axis=3)
        lead = np.ascontiguousarray(lead.swapaxes(2, 3))
        products = lead @ cols
        among = lead[:, :, :own] @ lead[:, :, :own].swapaxes(2, 3)
        with_z = np.stack([_times(x, d.z[k]) for k, x in zip(kinds, lead, strict=True)])
        # What the level and the covariates explain of a column is no part of its length. One that
        # they explain already brings nothing but rounding.
        explained = products[:, :, own:]
        zz = d.zz[:, list(kinds)].swapaxes(0, 1)
        zz = _remaining(zz, (with_z[:, :, own:] ** 2).sum(axis=2))
        length = _remaining(self._length[rows], (explained**2).sum(axis=2))
        shared = 1 + zz.shape[2]
        size = np.full((several, repeats, self.places[-1].stop), np.inf)
        unit = np.zeros((several, repeats, own, self.places[-1].stop))
        size[..., 1:shared] = zz
        unit[..., 1:shared] = with_z[:, :, :own]
        size[..., shared:] = length[..., own:]
        unit[..., shared:] = products[:, :, :own, own:]
        at = own
        for p in self.places[1 + len(FAMILIES) :]:
            here, at = slice(at, at + p.stop - p.start), at + p.stop - p.start
            if p.name in self._nested:
                part = explained[..., here]
                gram = self._grams[p.name][rows] - part.swapaxes(2, 3) @ part
                _eliminate(gram, unit[..., p.start : p.stop])
                size[..., p.start : p.stop] = 1.0
        unit /= np.sqrt(size)[:, :, None]
        return _Products(kinds, among, unit, size)

    def _quadratics(
        self, base: int, kinds: Sequence[int], trend: int
    ) -> tuple[Array, Array, Array, Array]:
        """Return what each option leaves of y if b = 0 and at the best b, that b, and its weight.

        What is left at b is quadratic: ``least + (b - centre)**2 * curvature``.
        """
        p = self._products(base, kinds)
        rows = [p.kinds.index(k) for k in kinds]
        j = 1 + trend
        yy, yt, tt = (p.own[rows, :, i, k, None] for i, k in ((0, 0), (0, j), (j, j)))
        sy, st = p.unit[rows, :, 0], p.unit[rows, :, j]
        a, b, c = sy * sy, sy * st, st * st
        for place in self.places:
            if place.name in self._nested:
                at = slice(place.start, place.stop)
                for x in (a, b, c):
                    np.cumsum(x[..., at], axis=2, out=x[..., at])
        np.subtract(yy, a, out=a)
        np.subtract(yt, b, out=b)
        np.subtract(tt, c, out=c)
        # A trend of which the covariates leave nothing has any rate: its error is then very large.
        np.maximum(c, np.maximum(1e-12 * tt, _NOTHING), out=c)
        centre = b / c
        floor = self.floor[:, list(kinds)].T[..., None]
        b *= centre
        np.subtract(a, b, out=b)
        smallest = 1e-13 * yy
        np.maximum(b, smallest, out=b)
        np.maximum(a, smallest, out=a)
        a += floor
        b += floor
        return a, b, centre, c

    def scores(
        self, base: int, kinds: Sequence[int], trend: int, prior: Array
    ) -> tuple[Array, Array]:
        """Return how well the best history does, with growth, and each family's without.

        Log likelihoods summed over the repeats: (kinds,), and (kinds, families). `prior` is the
        logarithm of each family's prior weight.
        """
        still, least, _, _ = self._quadratics(base, kinds, trend)
        fixed = self._fixed(base, kinds)[..., None] - self.cost[:, self.alike]
        best, none = (
            np.maximum.reduceat(
                fixed - 0.5 * self.dof * np.log(np.minimum.reduceat(x, self.alike, axis=2)),
                self.at_place,
                axis=2,
            )
            for x in (least, still)
        )
        return (best + prior).max(axis=2).sum(axis=1), none.sum(axis=1)

    def _fixed(self, base: int, kinds: Sequence[int]) -> Array:
        """Return what the log likelihood under each kind of noise has whatever the option."""
        covariates = self._bases[base].shape[3]
        log_det = self.design.log_det[:, list(kinds)].T
        return np.asarray(log_det - 0.5 * covariates * np.log(self.dof[:, 0] + 1))

    def surface(self, base: int, kind: int, trend: int) -> Surface:
        """Return the surface for one covariate set, kind of noise and trend."""
        _, least, centre, curvature = (x[0] for x in self._quadratics(base, [kind], trend))
        p = self._products(base, [kind])
        row = p.kinds.index(kind)
        dof = self.dof
        top = -0.5 * dof * np.log(least) - self.cost + self._fixed(base, [kind])[0][:, None]
        amount, tilt = p.unit[row][:, [0, 1 + trend]].swapaxes(0, 1) / np.sqrt(p.size[row])
        weight = np.where(np.isinf(p.size[row]), 0.0, p.size[row]) * dof / least
        for place in self.places:
            if place.name in self._nested:
                # The amplitudes of several columns have no single value.
                for x in (amount, tilt, weight):
                    x[:, place.start : place.stop] = 0.0
        spread = np.sqrt(least / (dof * curvature))
        return Surface(
            KINDS[kind],
            base,
            trend,
            top,
            centre,
            spread,
            amount,
            tilt,
            weight,
            *self.changes,
            float(np.mean([b.y.shape[1] - 1 for b in self.blocks])),
        )

    @cached_property
    def changes(self) -> tuple[Array, Array]:
        """Return what each option's column adds in the middle and late part: (repeats, options)."""
        out = np.zeros((2, len(self.dof), self.places[-1].stop))
        for full, shared in zip(out, changes(self._samples), strict=True):
            full[:, : len(shared)] = shared
        start = 0
        for block in self.blocks:
            rows = slice(start, start + len(block.y))
            start = rows.stop
            at = np.array(block.where) / self._samples
            marks = [np.abs(at - x).argmin() for x in (*MIDDLE, *LATE)]
            for p in self.places:
                if "fitted" in p.name:
                    cols = block.single[p.name]
                    z = cols[:, marks]
                    whole = cols.max(axis=1) - cols.min(axis=1)
                    lasting = np.abs(z[:, 1] - z[:, 0]) > 0.2 * whole
                    out[0, rows, p.start : p.stop] = (z[:, 1] - z[:, 0]) * lasting
                    out[1, rows, p.start : p.stop] = (z[:, 3] - z[:, 2]) * lasting
        return out[0], out[1]


def _stacked(parts: list[Array]) -> Array:
    """Join blocks' columns (repeats, samples, columns), zeros where one has fewer samples."""
    if len(parts) == 1:
        return parts[0]
    out = np.zeros((sum(map(len, parts)), max(x.shape[1] for x in parts), parts[0].shape[2]))
    start = 0
    for x in parts:
        out[start : start + len(x), : x.shape[1]] = x
        start += len(x)
    return out


def _times(rows: Array, z: Array) -> Array:
    """Multiply rows (repeats, rows, samples) with columns, of each repeat or of all."""
    if len(z) > 1:
        return np.asarray(rows @ z)
    repeats, n, m = rows.shape
    return np.asarray((rows.reshape(-1, m) @ z[0]).reshape(repeats, n, -1))


def _remaining(length: Array, explained: Array) -> Array:
    """Return the squared length of what is left of columns; infinite where that is nothing."""
    left = length - explained
    return np.where(left > np.maximum(1e-9 * length, _NOTHING**2), left, np.inf)


def _orthonormal(cols: Array) -> Array:
    """Orthonormalise each repeat's columns; a column without anything new becomes zero."""
    out = np.zeros_like(cols)
    for j in range(cols.shape[3]):
        x = cols[..., j]
        whole = np.sqrt((x * x).sum(axis=2))
        for i in range(j):
            x = x - out[..., i] * (out[..., i] * x).sum(axis=2)[..., None]
        size = np.sqrt((x * x).sum(axis=2))
        fresh = size > np.maximum(1e-7 * whole, _NOTHING)
        out[..., j] = x / np.where(fresh, size, np.inf)[..., None]
    return out


def _eliminate(gram: Array, products: Array) -> None:
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
        fresh = pivot > np.maximum(1e-11 * whole[..., j], _NOTHING)
        root = np.sqrt(np.where(fresh, pivot, np.inf))[..., None]
        products[..., j] /= root
        if j + 1 < last:
            row = gram[..., j, j + 1 : last] / root
            gram[..., j + 1 : last, j + 1 : last] -= row[..., :, None] * row[..., None, :]
            products[..., j + 1 : last] -= products[..., j, None] * row[..., None, :]
