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
from typing import NamedTuple

import numpy as np

from listen2lab.analysis._columns import SEARCHED
from listen2lab.analysis._noise import KINDS, Array, Kind, whitener
from listen2lab.analysis._shapes import FAMILIES, columns, count

__all__ = ["COMMON", "Block", "Layout", "Surface", "Whitened", "layout"]

# Growth is compared between these parts of the run: the warm-up, before them, has its own pace.
MIDDLE, LATE = (0.2, 0.6), (0.6, 1.0)
LASTING = {f.name: 0.3 if f.name.startswith("ramp") else 0.12 for f in FAMILIES}

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
    """What is the same for every series of one length, already white; kinds of noise first."""

    white: Array
    log_det: Array
    one: Array
    z: Array
    grain: Array


@lru_cache(maxsize=3)
def _whole_design(samples: int, span: float) -> _Design:
    return _design(samples, tuple(range(samples)), span)


def _design(samples: int, where: tuple[int, ...], span: float) -> _Design:
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    u = all_u[list(where)]
    pairs = [whitener(kind, u, span / samples) for kind in KINDS]
    white = np.array([w for w, _ in pairs])
    one = white.sum(axis=2)
    one /= np.sqrt((one**2).sum(axis=1, keepdims=True))
    z = white @ np.concatenate([columns(f, u, all_u) for f in FAMILIES], axis=1)
    z -= one[:, :, None] * (one[:, None, :] @ z)
    return _Design(white, np.array([d for _, d in pairs]), one, z, (white**2).sum(axis=(1, 2)))


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


class Whitened:
    """One block under every kind of noise; gives the surfaces that are asked for.

    Parameters
    ----------
    block
        The repeats.
    samples, span
        Samples of the longest repeat, and the time of the run's end.
    grain
        The smallest difference that y can show: its rounding error is part of the noise.
    """

    def __init__(self, block: Block, samples: int, span: float, grain: float) -> None:
        self.block = block
        whole = block.y.shape[1] == samples
        self.design = _whole_design(samples, span) if whole else _design(samples, block.where, span)
        self.floor = grain**2 / 12 * self.design.grain
        self.places = layout(samples, block.nested, block.single)
        self.changes = self._column_changes(samples)

    def _column_changes(self, samples: int) -> tuple[Array, Array]:
        """Return what each option's column adds in the middle and late part: (repeats, options)."""
        shared = _changes(samples)
        at = np.array(self.block.where) / samples
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

    def surfaces(self, base: int, kinds: list[int], trends: list[int]) -> list[Surface]:
        """Return the surfaces for one covariate set, under some kinds of noise and trends."""
        d, block = self.design, self.block
        white, one, z = d.white[kinds], d.one[kinds], d.z[kinds]
        q = _orthonormal(_whiten(white, one, block.bases[base]))
        y = _minus(q, _whiten(white, one, block.y[:, :, None]))[..., 0]
        zz = (z**2).sum(axis=1)[:, None, :]
        left = np.maximum(zz - ((q.swapaxes(2, 3) @ z[:, None]) ** 2).sum(axis=2), 0.0)
        # A column that the covariates already explain brings nothing but rounding.
        zz = np.where(left > 1e-9 * zz, left, np.inf)
        zy = y @ z
        nested = {
            name: _orthonormal(_minus(q, _whiten(white, one, cols)))
            for name, cols in block.nested.items()
        }
        single = {name: _minus(q, _whiten(white, one, cols)) for name, cols in block.single.items()}
        out: list[Surface] = []
        for j in trends:
            trend = block.trends[j]
            t = _minus(q, _whiten(white, one, trend[:, :, None]))[..., 0]
            out.extend(self._profile(kinds, base, j, y, t, zz, zy, t @ z, nested, single))
        return out

    def _profile(  # noqa: PLR0917 - the products of one formula
        self,
        kinds: list[int],
        base: int,
        trend: int,
        y: Array,
        t: Array,
        zz: Array,
        zy: Array,
        zt: Array,
        nested: dict[str, Array],
        single: dict[str, Array],
    ) -> list[Surface]:
        """Turn products of white columns into quadratics of b, and those into surfaces."""
        m = y.shape[2]
        yy, yt, tt = ((a * b).sum(axis=2)[..., None] for a, b in ((y, y), (y, t), (t, t)))
        sy, st = zy / np.sqrt(zz), zt / np.sqrt(zz)
        a, b, c = [yy, yy - sy * sy], [yt, yt - sy * st], [tt, tt - st * st]
        log_one = np.log(m)
        cost = [np.zeros(1)]
        for p in self.places[1 : 1 + len(FAMILIES)]:
            n = p.stop - p.start
            cost.append(np.full(n, 0.5 * log_one + np.log(n)))
        for name, cols in nested.items():
            ky, kt = (np.einsum("krmq,krm->krq", cols, x) for x in (y, t))
            a.append(yy - np.cumsum(ky * ky, axis=2))
            b.append(yt - np.cumsum(ky * kt, axis=2))
            c.append(tt - np.cumsum(kt * kt, axis=2))
            cost.append(
                np.arange(1, cols.shape[3] + 1) * 0.5 * log_one - self.block.nested_prior[name]
            )
        extra = []
        for cols in single.values():
            size = np.sqrt((cols**2).sum(axis=2))
            size = np.where(size > 1e-9, size, np.inf)
            ky, kt = (np.einsum("krmq,krm->krq", cols, x) / size for x in (y, t))
            extra.append((ky / size, kt / size, size**2))
            a.append(yy - ky * ky)
            b.append(yt - ky * kt)
            c.append(tt - kt * kt)
            cost.append(np.full(cols.shape[3], 0.5 * log_one + np.log(SEARCHED)))
        aa, bb, cc = (np.concatenate(x, axis=2) for x in (a, b, c))
        cc = np.maximum(cc, 1e-12 * tt)
        centre = bb / cc
        dof = float(m - 1)
        least = np.maximum(aa - bb * centre, 1e-13 * yy) + self.floor[kinds][:, None, None]
        top = -0.5 * dof * np.log(least) - np.concatenate(cost)
        top += self.design.log_det[kinds][:, None, None]
        top -= 0.5 * self.block.bases[base].shape[2] * log_one
        spread = np.sqrt(least / (dof * cc))
        g = zz.shape[2] + 1
        amount, tilt = np.zeros_like(centre), np.zeros_like(centre)
        weight = np.zeros_like(centre)
        amount[:, :, 1:g], tilt[:, :, 1:g] = zy / zz, zt / zz
        for p, (ea, et, ew) in zip(
            self.places[len(self.places) - len(extra) :], extra, strict=True
        ):
            at = slice(p.start, p.stop)
            amount[:, :, at], tilt[:, :, at] = ea, et
            weight[:, :, at] = np.where(np.isinf(ew), 0.0, ew) * dof / least[:, :, at]
        weight[:, :, 1:g] = np.where(np.isinf(zz), 0.0, zz) * dof / least[:, :, 1:g]
        return [
            Surface(
                KINDS[k],
                base,
                trend,
                top[i],
                centre[i],
                spread[i],
                amount[i],
                tilt[i],
                weight[i],
                *self.changes,
                dof,
            )
            for i, k in enumerate(kinds)
        ]


def _whiten(white: Array, one: Array, cols: Array) -> Array:
    """Whiten columns (repeats, samples, columns) and take their level out, for each kind."""
    repeats, m, n = cols.shape
    flat = np.ascontiguousarray(cols.transpose(1, 0, 2)).reshape(m, repeats * n)
    out = white @ flat
    out -= one[:, :, None] * (one[:, None, :] @ out)
    return np.asarray(out.reshape(len(white), m, repeats, n).transpose(0, 2, 1, 3))


def _minus(q: Array, cols: Array) -> Array:
    return np.asarray(cols - q @ (q.swapaxes(2, 3) @ cols)) if q.shape[3] else cols


def _orthonormal(cols: Array) -> Array:
    """Orthonormalise each repeat's columns; a column without anything new becomes zero."""
    if not cols.shape[3]:
        return cols
    q, r = np.linalg.qr(cols)
    size = np.abs(np.diagonal(r, axis1=2, axis2=3))
    fresh = size > 1e-7 * np.maximum(np.sqrt((cols**2).sum(axis=2)), 1e-300)
    return np.asarray(q * fresh[:, :, None, :])
