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
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.verdict.histories import COMMON, Layout

if TYPE_CHECKING:
    from listen2lab.verdict.noise import Kind
    from listen2lab.verdict.series import Array

__all__ = ["Surface", "families", "log_sum"]


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


def families(
    m: Surface, places: tuple[Layout, ...], at: Array, omegas: Array, temper: float
) -> Array:
    """Return every family's log likelihood: (omegas, families, b).

    Parameters
    ----------
    m, places
        The repeats' options, and which family each belongs to.
    at, omegas
        Values of the shared rate b, and how far the repeats' rates may be spread about it.
    temper
        Power of the likelihood.
    """
    plan = _plan(places)
    pick, shared = _picked(m, plan)
    # Options come first: what is reduced over them lies side by side for all repeats.
    rows = np.arange(len(pick))
    top, centre, spread = (x[rows, pick.T] for x in (m.top, m.centre, m.spread))
    high = top.max(axis=0)
    away = at - centre[:, :, None]
    away *= away
    away /= m.dof
    np.minimum(away, _MOST * (spread.min() ** 2 + omegas.min() ** 2), out=away)
    joint = np.empty((omegas.size, plan.joint_at.size, at.size))
    out = np.empty((omegas.size, len(places), at.size))
    peak = np.empty((len(places), rows.size, at.size), dtype=np.float32)
    whole = np.empty(away.shape, dtype=np.float32)
    for i, omega in enumerate(omegas):  # one after the other, each stays in the processor's cache
        each = _at(top - high, spread, away, omega, m.dof, out=whole)
        joint[i] = each[plan.joint_at].sum(axis=1, dtype=float)
        each = each[: plan.own_at[-1]]
        for k, (a, b) in enumerate(pairwise(plan.own_at)):
            each[a:b].max(axis=0, out=peak[k])
            each[a:b] -= peak[k]
        # Numbers too small for a float cost many times the time of others.
        np.maximum(each, _LEAST_SHORT, out=each)
        np.exp(each, out=each)
        sums = (plan.member @ each.reshape(len(each), -1)).reshape(peak.shape)
        np.log(sums, out=sums)
        sums += peak
        out[i] = sums.sum(axis=1, dtype=float)
    joint, out = (temper * (x + high.sum()) for x in (joint, out))
    # Repeats that share the shape may share its amplitude too: one is paid for instead of all,
    # at the price of how much they differ in it. (With rates of their own, nothing is shared.)
    differ, saved = _amplitudes(m, shared, at)
    joint[0] = np.logaddexp(joint[0], joint[0] + temper * (saved - differ)) - np.log(2)
    high = joint.max(axis=1, keepdims=True)
    joint -= high
    np.maximum(joint, _LEAST, out=joint)
    sums = np.add.reduceat(np.exp(joint, out=joint), plan.shared_at, axis=1)
    joint = np.log(sums) + high
    # The parameter's prior was counted once per repeat; shared, it counts once (as that of a
    # common column always did).
    again = (temper * len(m.top) - 1) * np.log(plan.tried)
    which = plan.which
    out[:, which] = np.logaddexp(out[:, which], joint + again[:, None]) - np.log(2)
    return np.asarray(out)


class _Plan(NamedTuple):
    """Which options to look at: each repeat's best of every family, and the best shared.

    Attributes
    ----------
    pick
        Options, one family after the other, then those of large families that only repeats which
        share a shape ask for; a large family's are filled in for each surface.
    own_at, member
        Where each family starts (and the last one ends); (families, options) of 0 and 1.
    large
        Large families: their options, where the best are picked, and where the best shared are
        (None if repeats cannot share them).
    which, joint_at, shared_at, tried
        Families that repeats can share; where their options stand; where, among these, each starts;
        how many options it has, 1 where all repeats have the same anyway.
    """

    pick: Array
    own_at: Array
    member: Array
    large: tuple[tuple[slice, slice, slice | None], ...]
    which: Array
    joint_at: Array
    shared_at: Array
    tried: Array


@lru_cache(maxsize=32)
def _plan(places: tuple[Layout, ...]) -> _Plan:
    sizes = [p.stop - p.start for p in places]
    kept = [n if n <= 2 * _KEEP else _KEEP for n in sizes]
    own_at = np.cumsum([0, *kept])
    pick = [np.arange(p.start, p.start + n) for p, n in zip(places, kept, strict=True)]
    which = [i for i, p in enumerate(places) if p.shareable and sizes[i] > 1]
    large, joint = [], []
    stop = int(own_at[-1])
    for i, p in enumerate(places):
        own = slice(int(own_at[i]), int(own_at[i + 1]))
        beside = own
        if sizes[i] > kept[i]:
            if i in which:
                beside = slice(stop, stop + _KEEP)
                pick.append(pick[i])
                stop += _KEEP
            large.append((slice(p.start, p.stop), own, beside if i in which else None))
        if i in which:
            joint.append(np.arange(beside.start, beside.stop))
    return _Plan(
        np.concatenate(pick),
        own_at,
        np.repeat(np.eye(len(places), dtype=np.float32), kept, axis=1),
        tuple(large),
        np.array(which),
        np.concatenate(joint),
        np.cumsum([0, *(x.size for x in joint[:-1])]),
        np.array([1 if places[i].name.startswith(COMMON) else sizes[i] for i in which]),
    )


def _picked(m: Surface, plan: _Plan) -> tuple[Array, Array]:
    """Return which options each repeat looks at, (repeats, options), and the shared ones."""
    pick = np.empty((len(m.top), plan.pick.size), dtype=int)
    pick[:] = plan.pick
    for options, own, beside in plan.large:
        tops = -m.top[:, options]
        pick[:, own] = options.start + np.argpartition(tops, _KEEP, axis=1)[:, :_KEEP]
        if beside is not None:
            pick[:, beside] = options.start + np.argpartition(tops.sum(axis=0), _KEEP)[:_KEEP]
    return pick, pick[0, plan.joint_at]


def _amplitudes(m: Surface, pick: Array, at: Array) -> tuple[Array, float]:
    """Return half of Cochran's Q of the repeats' amplitudes at each b, and what sharing saves."""
    w = m.weight[:, pick]
    total = np.maximum(w.sum(axis=0), 1e-300)
    a, t = (x - (w * x).sum(axis=0) / total for x in (m.amount[:, pick], m.tilt[:, pick]))
    saa, sat, stt = ((w * x).sum(axis=0)[:, None] for x in (a * a, a * t, t * t))
    q = np.maximum(saa - 2 * sat * at + stt * at**2, 0.0)
    repeats = len(w)
    saved = 0.5 * (repeats - 1) * np.log(m.dof + 1) - 0.5 * np.log(repeats)
    return 0.5 * q, float(saved)


def _at(top: Array, spread: Array, away: Array, omega: float, dof: float, *, out: Array) -> Array:
    """Return the surface at each b, widened by omega: (options, repeats, b).

    `top` lies below each repeat's highest one; `away` is the squared distance over `dof`. Short
    floats hold these logarithms to some 1e-6, in a third of the time.
    """
    wide = spread**2 + omega**2
    lift = top - 0.5 * np.log(wide / spread**2)
    np.multiply(away, (1 / wide)[..., None], out=out, casting="same_kind")
    out += np.float32(1)
    np.log(out, out=out)
    out *= np.float32(-0.5 * dof)
    out += lift[..., None].astype(np.float32)
    return out


def log_sum(x: Array, axis: int) -> Array:
    """Return the logarithm of the sum of exponentials along an axis."""
    high = np.maximum(x.max(axis=axis, keepdims=True), -1e300)
    with np.errstate(divide="ignore"):
        out = np.log(np.exp(x - high).sum(axis=axis, keepdims=True)) + high
    return np.asarray(out.squeeze(axis))


# Options kept of a family with many; logarithm of a share that is as good as none, in a long and in
# a short float; a squared distance that a short float still holds.
_KEEP = 10
_LEAST, _LEAST_SHORT = -600.0, -80.0
_MOST = 1e30
