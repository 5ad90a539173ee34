"""From the repeats' white columns to how well each history explains them (see `_models`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.analysis._columns import SEARCHED
from listen2lab.analysis._design import (
    NOTHING,
    apply,
    design,
    eliminate,
    orthonormal,
    whole_design,
)
from listen2lab.analysis._models import COMMON, LATE, MIDDLE, Block, Surface, changes, layout
from listen2lab.analysis._noise import KINDS, Array
from listen2lab.analysis._shapes import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Whitened"]


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
    """One block under some kinds of noise; gives the scores and surfaces that are asked for.

    Parameters
    ----------
    block
        The repeats.
    samples, span
        Samples of the longest repeat, and the time of the run's end.
    grain
        The smallest difference that y can show: its rounding error is part of the noise.
    kinds
        Which of `KINDS` will be asked for; all if not given.
    """

    def __init__(
        self,
        block: Block,
        samples: int,
        span: float,
        grain: float,
        kinds: Sequence[int] | None = None,
    ) -> None:
        self.block = block
        self.kinds = tuple(range(len(KINDS)) if kinds is None else kinds)
        whole = block.y.shape[1] == samples
        self.design = (
            whole_design(samples, span) if whole else design(samples, block.where, span, self.kinds)
        )
        self.floor = grain**2 / 12 * self.design.grain
        self.places = layout(samples, block.nested, block.single)
        self.dof = float(block.y.shape[1] - 1)
        self.cost = self._costs()
        # Options that cost the same: the best of them is the one that leaves least.
        self.alike = np.concatenate(
            [
                np.arange(p.start, p.stop if p.name in block.nested else p.start + 1)
                for p in self.places
            ]
        )
        self.at_place = np.searchsorted(self.alike, [p.start for p in self.places])
        self._samples = samples
        own = np.concatenate([block.y[None], block.trends]).transpose(1, 2, 0)
        parts = [own, *block.nested.values(), *block.single.values(), *block.bases]
        white = self._whiten(np.concatenate(parts, axis=2))
        stops = np.cumsum([0, *(p.shape[2] for p in parts)])
        first_base = len(parts) - len(block.bases)
        self._white = white[..., : stops[first_base]]
        self._bases = [
            white[..., a:b]
            for a, b in zip(stops[first_base:-1], stops[first_base + 1 :], strict=True)
        ]
        self._known: dict[int, _Products] = {}

    def _costs(self) -> Array:
        """Return what each option costs: its amplitude, and how many it was the best of."""
        log_one = np.log(self.block.y.shape[1])
        cost = np.zeros(self.places[-1].stop)
        for p in self.places[1:]:
            n = p.stop - p.start
            if p.name in self.block.nested:
                price = np.arange(1, n + 1) * 0.5 * log_one - self.block.nested_prior[p.name]
            else:
                price = 0.5 * log_one + np.log(SEARCHED if p.name in self.block.single else n)
                if p.name.startswith(COMMON):
                    # Its time was searched for once, not once for each repeat.
                    price -= np.log(SEARCHED) * (1 - 1 / len(self.block.y))
            cost[p.start : p.stop] = price
        return cost

    def _whiten(self, cols: Array) -> Array:
        """Whiten columns (repeats, samples, columns) and take their level out, for each kind."""
        repeats, m, n = cols.shape
        flat = cols.transpose(1, 0, 2).reshape(m, repeats * n)
        out = np.empty((len(self.kinds), m, repeats * n))
        for i, k in enumerate(self.kinds):
            one = self.design.one[k]
            apply(KINDS[k], self.design.white[k], flat, out[i])
            out[i] -= one[:, None] * (one @ out[i])
        return out.reshape(len(out), m, repeats, n).transpose(0, 2, 1, 3)

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
        q = orthonormal(q)
        if q.shape[3]:
            cols = cols - q @ (q.swapaxes(2, 3) @ cols)
        several, repeats, m, _ = cols.shape
        own = 1 + len(self.block.trends)
        beside = q.shape[3]
        left = np.concatenate([cols[..., :own], q], axis=3).transpose(0, 3, 1, 2)
        left = np.ascontiguousarray(left).reshape(several, -1, m)
        with_z = np.stack([x @ d.z[k] for k, x in zip(kinds, left, strict=True)])
        with_z = with_z.reshape(several, own + beside, repeats, -1).swapaxes(1, 2)
        zz = d.zz[list(kinds)][:, None, :]
        remains = zz - (with_z[:, :, own:] ** 2).sum(axis=2)
        # A column that the covariates already explain brings nothing but rounding.
        zz = np.where(remains > 1e-9 * zz, remains, np.inf)
        products = cols[..., :own].swapaxes(2, 3) @ cols
        shared = 1 + zz.shape[2]
        size = np.full((several, repeats, self.places[-1].stop), np.inf)
        unit = np.zeros((several, repeats, own, self.places[-1].stop))
        size[..., 1:shared] = zz
        unit[..., 1:shared] = with_z[:, :, :own]
        at = own
        for p in self.places[1 + len(FAMILIES) :]:
            here, at = slice(at, at + p.stop - p.start), at + p.stop - p.start
            unit[..., p.start : p.stop] = products[..., here]
            if p.name in self.block.nested:
                part = cols[..., here]
                eliminate(part.swapaxes(2, 3) @ part, unit[..., p.start : p.stop])
                size[..., p.start : p.stop] = 1.0
            else:
                length = np.einsum("krmq,krmq->krq", cols[..., here], cols[..., here])
                size[..., p.start : p.stop] = np.where(length > NOTHING**2, length, np.inf)
        unit /= np.sqrt(size)[:, :, None]
        return _Products(kinds, products[..., :own], unit, size)

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
            if place.name in self.block.nested:
                at = slice(place.start, place.stop)
                for x in (a, b, c):
                    np.cumsum(x[..., at], axis=2, out=x[..., at])
        np.subtract(yy, a, out=a)
        np.subtract(yt, b, out=b)
        np.subtract(tt, c, out=c)
        np.maximum(c, 1e-12 * tt, out=c)
        centre = b / c
        floor = self.floor[list(kinds)][:, None, None]
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

        Parameters
        ----------
        base, kinds, trend
            Covariate set, kinds of noise, and trend.
        prior
            Logarithm of each family's prior weight.

        Returns
        -------
        tuple of ndarray
            Log likelihoods summed over the repeats: (kinds,), and (kinds, families).
        """
        still, least, _, _ = self._quadratics(base, kinds, trend)
        fixed = self._fixed(base, kinds)[:, None, None] - self.cost[self.alike]
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
        m, covariates = self.block.bases[base].shape[1:]
        return np.asarray(self.design.log_det[list(kinds)] - 0.5 * covariates * np.log(m))

    def surface(self, base: int, kind: int, trend: int) -> Surface:
        """Return the surface for one covariate set, kind of noise and trend."""
        _, least, centre, curvature = (x[0] for x in self._quadratics(base, [kind], trend))
        p = self._products(base, [kind])
        row = p.kinds.index(kind)
        dof = self.dof
        top = -0.5 * dof * np.log(least) - self.cost + self._fixed(base, [kind])
        amount, tilt = p.unit[row][:, [0, 1 + trend]].swapaxes(0, 1) / np.sqrt(p.size[row])
        weight = np.where(np.isinf(p.size[row]), 0.0, p.size[row]) * dof / least
        for place in self.places:
            if place.name in self.block.nested:
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
            dof,
        )

    @cached_property
    def changes(self) -> tuple[Array, Array]:
        """Return what each option's column adds in the middle and late part: (repeats, options)."""
        shared = changes(self._samples)
        at = np.array(self.block.where) / self._samples
        marks = [np.abs(at - x).argmin() for x in (*MIDDLE, *LATE)]
        out = []
        for part in (0, 1):
            full = np.zeros((len(self.block.y), self.places[-1].stop))
            full[:, : len(shared[part])] = shared[part]
            for p in self.places:
                if "fitted" in p.name:
                    cols = self.block.single[p.name]
                    step = cols[:, marks[2 * part + 1]] - cols[:, marks[2 * part]]
                    whole = np.abs(np.ptp(cols, axis=1))
                    middle = np.abs(cols[:, marks[1]] - cols[:, marks[0]])
                    full[:, p.start : p.stop] = np.where(middle > 0.2 * whole, step, 0.0)
            out.append(full)
        return out[0], out[1]
