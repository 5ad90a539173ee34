"""How well each history of the level explains the series, with growth and without.

For one repeat, y = level + b * trend + covariates + at most one nuisance shape + noise. Noise of a
known kind is made white; then, for given b, the nuisance's amplitude costs half the logarithm of
the number of samples (Schwarz's approximation of the marginal likelihood, that is BIC [1]_) and
the noise's scale is integrated out. What is left is a function of b for every nuisance column:
-(m-1)/2 * log S(b), with S quadratic in b. Repeats share b, or differ in it by a random effect;
the nuisance is each repeat's own, or the same in all. Averaging over columns instead of choosing
the best keeps the intervals honest about what was not known [2]_.

References
----------
.. [1] Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6, 461-464.
   (What a further coefficient costs.)
.. [2] Hoeting, J. A., Madigan, D., Raftery, A. E. and Volinsky, C. T. (1999). Bayesian model
   averaging: a tutorial. Statistical Science 14, 382-417. (Averaging rather than selecting.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.analysis._columns import SEARCHED
from listen2lab.analysis._noise import KINDS, Array, Kind, whitener
from listen2lab.analysis._shapes import FAMILIES, columns, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["COMMON", "Block", "Layout", "Surface", "Whitened", "layout"]

# Growth is compared between these parts of the run: the warm-up, before them, has its own pace.
MIDDLE, LATE = (0.2, 0.6), (0.6, 1.0)
LASTING = {f.name: 0.3 if f.name.startswith("ramp") else 0.12 for f in FAMILIES}

# All columns are about 1 high: shorter than this, what is left of one is rounding.
_NOTHING = 1e-9

COMMON = "common "
"""Single columns whose name starts so are the same in all repeats."""


class Layout(NamedTuple):
    """Where a family's options stand in a `Surface`, and whether repeats can share them."""

    name: str
    start: int
    stop: int
    shareable: bool


@dataclass(frozen=True)
class Block:
    """Repeats that were sampled at the same times.

    Attributes
    ----------
    y
        Shape (repeats, samples), no NaN.
    where
        Indices of the samples on the run's common grid.
    trends
        What a leak follows: (variants, repeats, samples); the run's length is 1.
    bases
        Covariate sets to try beside the level, the richest last: (repeats, samples, covariates).
    nested
        Columns of which the first 1, 2, ... are tried: name -> (repeats, samples, most).
    nested_prior
        Logarithm of the prior weight of taking 1, 2, ... of them.
    single
        Columns of which one is tried at a time, each repeat's own: name -> (repeats, samples, n).
    """

    y: Array
    where: tuple[int, ...]
    trends: Array
    bases: tuple[Array, ...]
    nested: dict[str, Array]
    nested_prior: dict[str, Array]
    single: dict[str, Array]


@dataclass(frozen=True)
class Surface:
    """Log marginal likelihood of every repeat and option as a function of b.

    ``at(b) = top - dof/2 * log1p((b - centre)**2 / (dof * spread**2))``, each (repeats, options).
    Given b, the shared columns' amplitude in each repeat is ``amount - b * tilt`` with precision
    ``weight``; ``middle`` and ``late`` are what a column adds in those parts of the run.
    """

    kind: Kind
    base: int
    trend: int
    top: Array
    centre: Array
    spread: Array
    amount: Array
    tilt: Array
    weight: Array
    middle: Array
    late: Array
    dof: float


@dataclass(frozen=True)
class _Design:
    """What is the same for every series of one length, already white; one entry for each kind.

    A whitener is a full matrix, or its diagonal and the one below it where that is all there is.
    """

    white: tuple[Array, ...]
    log_det: Array
    one: tuple[Array, ...]
    z: tuple[Array, ...]
    zz: Array
    grain: Array


@lru_cache(maxsize=3)
def _whole_design(samples: int, span: float) -> _Design:
    return _design(samples, tuple(range(samples)), span, range(len(KINDS)))


def _design(samples: int, where: tuple[int, ...], span: float, kinds: Iterable[int]) -> _Design:
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    u = all_u[list(where)]
    raw = np.concatenate([columns(f, u, all_u) for f in FAMILIES], axis=1)
    empty = np.zeros(0)
    white, one, z = ([empty] * len(KINDS) for _ in range(3))
    log_det, grain = np.zeros((2, len(KINDS)))
    zz = np.zeros((len(KINDS), raw.shape[1]))
    for k in kinds:
        full, log_det[k] = whitener(KINDS[k], u, span / samples)
        grain[k] = (full**2).sum()
        one[k] = full.sum(axis=1)
        one[k] /= np.sqrt((one[k] ** 2).sum())
        z[k] = full @ raw
        whole = (z[k] ** 2).sum(axis=0)
        z[k] -= np.outer(one[k], one[k] @ z[k])
        zz[k] = (z[k] ** 2).sum(axis=0)
        # A step before the first sample is a level: what is left of it is rounding.
        zz[k, zz[k] <= 1e-18 * whole] = 0.0
        # First-order noise depends on the sample before only.
        white[k] = full if KINDS[k].wander else np.array([full.diagonal(), [0, *full.diagonal(-1)]])
    return _Design(tuple(white), log_det, tuple(one), tuple(z), zz, grain)


@lru_cache(maxsize=8)
def _changes(samples: int) -> tuple[Array, Array]:
    """Return what each shared column adds in the middle and in the late part of the run."""
    ends = np.array([*MIDDLE, *LATE])
    fine = (np.arange(samples) + 0.5) / samples
    parts = []
    for family in FAMILIES:
        at = columns(family, ends, fine)
        # Steps do not slow down, and what has a quick end leaves the rest of the run alone.
        lasting = np.array([v >= LASTING[family.name] for v in family.values] or [False])
        parts.append(at * lasting)
    z = np.concatenate(parts, axis=1)
    none = np.zeros(1)
    return np.r_[none, z[1] - z[0]], np.r_[none, z[3] - z[2]]


def layout(samples: int, nested: dict[str, Array], single: dict[str, Array]) -> tuple[Layout, ...]:
    """Return where each family's options stand."""
    out = [Layout("none", 0, 1, shareable=True)]
    for family in FAMILIES:
        size = count(family, samples)
        out.append(Layout(family.name, out[-1].stop, out[-1].stop + size, shareable=True))
    for name, cols in {**nested, **single}.items():
        size = cols.shape[2]
        out.append(
            Layout(name, out[-1].stop, out[-1].stop + size, shareable=name.startswith(COMMON))
        )
    return tuple(out)


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
            _whole_design(samples, span)
            if whole
            else _design(samples, block.where, span, self.kinds)
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
                tried = SEARCHED if p.name in self.block.single else n
                price = 0.5 * log_one + np.log(tried)
            cost[p.start : p.stop] = price
        return cost

    def _whiten(self, cols: Array) -> Array:
        """Whiten columns (repeats, samples, columns) and take their level out, for each kind."""
        repeats, m, n = cols.shape
        flat = cols.transpose(1, 0, 2).reshape(m, repeats * n)
        out = np.empty((len(self.kinds), m, repeats * n))
        for k, white in zip(self.kinds, out, strict=True):
            w, one = self.design.white[k], self.design.one[k]
            if KINDS[k].wander:
                np.matmul(w, flat, out=white)
            else:
                np.multiply(flat, w[0][:, None], out=white)
                if KINDS[k].phi:
                    white[1:] += flat[:-1] * w[1][1:, None]
            white -= one[:, None] * (one @ white)
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
        q = _orthonormal(q)
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
                _eliminate(part.swapaxes(2, 3) @ part, unit[..., p.start : p.stop])
                size[..., p.start : p.stop] = 1.0
            else:
                length = np.einsum("krmq,krmq->krq", cols[..., here], cols[..., here])
                size[..., p.start : p.stop] = np.where(length > _NOTHING**2, length, np.inf)
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
        own, unit = p.own[rows], p.unit[rows]
        yy, yt, tt = (own[..., i, j, None] for i, j in ((0, 0), (0, j), (j, j)))
        sy, st = unit[:, :, 0], unit[:, :, j]
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
            *self._column_changes(),
            dof,
        )

    def _column_changes(self) -> tuple[Array, Array]:
        """Return what each option's column adds in the middle and late part: (repeats, options)."""
        shared = _changes(self._samples)
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
