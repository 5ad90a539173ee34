"""From the surfaces of all repeats to the odds of growth, and what is known of its rate.

The repeats share the rate b, or each has its own b + N(0, omega^2): the random-effects model of a
meta-analysis, with omega averaged over a few values, zero among them, so that repeats which
drift by chance are an explanation that growth has to beat. b itself is zero, or has a Cauchy
prior, one sample's worth of information wide, on either side [1]_.

References
----------
.. [1] Jeffreys, H. (1961). Theory of Probability, 3rd ed., section 5.2. Oxford. (The Cauchy prior
   of a mean under test: large effects stay possible.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from listen2lab.verdict.histories import FAMILIES, Block, Layout
from listen2lab.verdict.intervals import dersimonian_laird
from listen2lab.verdict.noise import ALL_KINDS, KINDS, Kind
from listen2lab.verdict.series import Array, median
from listen2lab.verdict.surfaces import Surface, families, log_sum
from listen2lab.verdict.whitened import Whitened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Evidence", "Rate", "find_evidence", "slowed_odds"]

# Spread between repeats over a repeat's own error; its prior weight if memory grows (processes
# lose at unequal pace), and if it does not (each would drift its own way, which is rare).
_OMEGAS = (0.0, 1.0, 2.5, 6.0, 15.0, 40.0)
_OMEGA_GROWS = (0.4, 0.2, 0.15, 0.1, 0.08, 0.07)
_OMEGA_NONE = (0.9, 0.03, 0.02, 0.02, 0.015, 0.015)

_WEIGHTS: dict[str, float] = {
    "none": 0.5,
    **{f.name: f.weight for f in FAMILIES},
    "free steps": 0.08,
    "steps at records": 0.08,
    "cache of the last inputs": 0.05,
    "cache of so much input": 0.05,
    "another input measure": 0.08,
    "fitted exponential": 0.02,
    "fitted ramp": 0.02,
    "common fitted exponential": 0.02,
    "common fitted ramp": 0.02,
}
# How far behind, in log evidence, a model is hopeless.
_FAR = 15.0
_SLOW = {f.name for f in FAMILIES if f.slow}
_GRID = np.sinh(np.linspace(-4.0, 4.0, 25)) / 4.0
_GRID_STEP = np.gradient(_GRID)


class Rate(NamedTuple):
    """A rate's posterior: mean, deviation, 95 % quantile, mass below zero; points and masses."""

    mean: float
    error: float
    upper: float
    below_zero: float
    points: Array
    mass: Array


@dataclass(frozen=True)
class Evidence:
    """What the series says, all rates per run and in the scale of the blocks.

    Attributes
    ----------
    log
        Log evidence of what ``grows``, ``stops``, ``falls``, and ``slows`` after the run.
    points, mass
        The rate's posterior where it is not zero: points and their probabilities.
    shapes, growth_shapes
        Posterior share of each family if nothing grows, and if something does.
    bases
        Posterior share of each covariate set.
    rates, errors, kind, trend
        Each repeat's own rate and standard error, the noise and the trend, of the best model.
    slowing
        Growth late in the run over growth in its middle, as the best model has it.
    pure
        For each covariate set and family, the best score of a history without growth.
    """

    log: dict[str, float]
    points: Array
    mass: Array
    shapes: dict[str, float]
    bases: dict[int, float]
    growth_shapes: dict[str, float]
    rates: Array
    errors: Array
    kind: Kind
    trend: int
    slowing: float
    pure: dict[tuple[int, str], float]

    def odds(self, what: Literal["grows", "falls"]) -> float:
        """Return the log odds of growth, or of decline, against the other and what stops."""
        other = "falls" if what == "grows" else "grows"
        return self.log[what] - float(np.logaddexp(self.log["stops"], self.log[other]))

    def rate(self, unit: float) -> Rate:
        """Return the rate's posterior in another unit."""
        x, w = self.points * unit, self.mass
        mean = float(x @ w)
        error = float(np.sqrt(max(float(((x - mean) ** 2) @ w), 0.0)))
        upper = float(np.interp(0.95, np.cumsum(w) - w / 2, x))
        return Rate(mean, error, upper, float(w[x <= 0].sum()), x, w)


def find_evidence(
    blocks: list[Block],
    *,
    samples: int,
    span: float,
    grain: float,
    temper: float,
    kinds: Sequence[int] = ALL_KINDS,
) -> Evidence:
    """Compare growth with every other history; what was compared lately is known.

    Parameters
    ----------
    blocks
        The repeats (see `Block`), scaled so that their noise is about 1.
    samples
        Samples of the longest repeat.
    span
        End of the run in the times' unit.
    grain
        The smallest difference of the bytes, in the blocks' scale.
    temper
        Power of the likelihood, below 1 where repeats are copies of each other.
    kinds
        Which of `KINDS` to try.
    """
    key = (_digest(blocks), samples, span, grain, temper, tuple(kinds))
    if key not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = _compared(blocks, samples, span, grain, temper, kinds)
    return _KNOWN[key]


_MOST_KNOWN = 512
_KNOWN: dict[tuple[Any, ...], Evidence] = {}
"""Conditions are judged one by one, and then some of them beside others."""


def _digest(blocks: list[Block]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for block in blocks:
        named = (*block.nested.items(), *block.single.items(), *block.nested_prior.items())
        unnamed = (("", x) for x in (block.y, np.array(block.where), block.trends, *block.bases))
        for name, values in (*named, *unnamed):
            found.update(f"{name}{values.shape}".encode())
            found.update(values.tobytes())
    return found.digest()


def _compared(  # noqa: PLR0917 - those of `find_evidence`
    blocks: list[Block],
    samples: int,
    span: float,
    grain: float,
    temper: float,
    kinds: Sequence[int],
) -> Evidence:
    white = Whitened(blocks, samples, span, grain, kinds)
    places = white.places
    bases = len(blocks[0].bases)
    trends = list(range(len(blocks[0].trends)))
    prior = np.log([_WEIGHTS[p.name] for p in places])
    found: list[_Model] = []

    def score(base: int, kinds: Sequence[int], trends: Sequence[int]) -> None:
        for trend in trends:
            best, still = white.scores(base, kinds, trend, prior)
            for i, k in enumerate(kinds):
                own = float(np.log(KINDS[k].weight))
                found.append(_Model(k, base, trend, temper * float(best[i]) + own, still[i] + own))

    # The kinds of noise are chosen among under the richest covariates; the rest is not worth
    # the time.
    score(bases - 1, kinds, [0])
    found.sort(key=lambda m: -m.score)
    best_kinds = [m.kind for m in found[:2] if m.score > found[0].score - 5]
    for base in range(bases - 1):
        score(base, best_kinds, [0])
    # Where one covariate set is far worse, it is not tried with the other trends.
    if len(trends) > 1:
        own = {base: max(m.score for m in found if m.base == base) for base in range(bases)}
        for base in range(bases):
            if own[base] > max(own.values()) - _FAR:
                score(base, best_kinds, trends[1:])
    found.sort(key=lambda m: -m.score)
    kept = [
        white.surface(m.base, m.kind, m.trend) for m in found[:3] if m.score > found[0].score - 3.5
    ]
    pure: dict[tuple[int, str], float] = {}
    for base in range(bases):
        still = np.max([m.still for m in found if m.base == base and not m.trend], axis=0)
        pure |= {(base, p.name): x for p, x in zip(places, still.tolist(), strict=True)}
    return _combine(kept, places, temper, bases * len(trends), pure)


def slowed_odds(
    blocks: list[Block], found: Evidence, *, samples: int, span: float, grain: float, temper: float
) -> float:
    """Return the log odds of growth that slows down, against growth along the trend.

    Both with every shape beside them, so that what warms up first and fills slowly then has a
    history of its own: a bounded pool, a cache whose last keys are rare. Under the best covariates
    and noise only, and the best history of each repeat. Parameters as for `find_evidence`.
    """
    bent = []
    for block in blocks:
        time = np.maximum(block.trends[found.trend], 0.0)
        bent.append(replace(block, trends=np.array([time, *(f(time) for f in _BENT)])))
    kind, base = KINDS.index(found.kind), max(found.bases, key=found.bases.__getitem__)
    white = Whitened(bent, samples, span, grain, [kind])
    prior = np.log([_WEIGHTS[p.name] for p in white.places])
    straight, *others = (
        temper * float(white.scores(base, [kind], trend, prior)[0][0])
        for trend in range(1 + len(_BENT))
    )
    return float(log_sum(np.array(others), 0)) - float(np.log(len(others))) - straight


_BENT: tuple[Callable[[Array], Array], ...] = (
    lambda t: -np.expm1(-t / 0.4),
    lambda t: -np.expm1(-t / 1.2),
    lambda t: np.log1p(t / 0.2),
)
"""Growth that slows down, as a function of the trend: filling soon or late, and without end."""


class _Model(NamedTuple):
    """A kind of noise, covariate set and trend, and how well its histories do.

    `score` is the log likelihood of the best history of each repeat; `still` that of each family's
    best without growth.
    """

    kind: int
    base: int
    trend: int
    score: float
    still: Array


@lru_cache(maxsize=32)
def _log_weights(places: tuple[Layout, ...]) -> Array:
    """Return each option's log weight, slow ones having none."""
    each = [-np.inf if p.name in _SLOW else np.log(_WEIGHTS[p.name]) for p in places]
    return np.repeat(each, [p.stop - p.start for p in places])


def _combine(
    models: list[Surface],
    places: tuple[Layout, ...],
    temper: float,
    variants: int,
    pure: dict[tuple[int, str], float],
) -> Evidence:
    best = models[0]
    own = [_own(m, places) for m in models]
    rates, errors = own[0]
    fixed = float(1 / np.sqrt((1 / errors**2).sum()))
    # One sample's worth of information about b, the same for all models.
    prior_scale = fixed * np.sqrt(best.dof * len(errors) / temper)
    fast = np.array([p.name not in _SLOW for p in places])
    weights = np.log([_WEIGHTS[p.name] for p in places])
    at_zero, densities, grids = [], [], []
    for m, (b, s) in zip(models, own, strict=True):
        several = slice(None) if len(b) > 1 else slice(1)
        pooled = dersimonian_laird(b, s)
        width = pooled.error / np.sqrt(temper)
        grid = pooled.mean + width * _GRID
        step = width * _GRID_STEP
        # Cauchy, not normal: a leak far above the noise must not be thought impossible.
        prior = np.log(step / (np.pi * prior_scale)) - np.log1p((grid / prior_scale) ** 2)
        wide = np.array(_OMEGAS[several]) * median(s)
        value = families(m, places, np.r_[0.0, grid], wide, temper)
        value += weights[:, None] + np.log(m.kind.weight / variants)
        at_zero.append(value[:, :, 0] + np.log(_OMEGA_NONE[several])[:, None])
        value[:, :, 1:] += np.log(_OMEGA_GROWS[several])[:, None, None]
        densities.append(log_sum(value[:, :, 1:], 0) + prior)
        grids.append(np.broadcast_to(grid, densities[-1].shape))
    zero = np.array([log_sum(v, 0) for v in at_zero])
    log_none = float(log_sum(zero[:, fast].ravel(), 0))
    # A slow shape's amplitude is each repeat's own: it needs no spread of b besides. It pays
    # for being large as b does.
    slow = np.array([v[0, ~fast] - np.log(_OMEGA_NONE[0]) for v in at_zero])
    typical = dersimonian_laird(rates, errors).mean
    log_slow = float(log_sum(slow.ravel(), 0)) - float(np.log1p((typical / prior_scale) ** 2))
    d = np.concatenate([x[fast].ravel() for x in densities])
    x = np.concatenate([g[fast].ravel() for g in grids])
    total = float(log_sum(d, 0))
    # Half of the prior mass lies on either side; growth is compared as a hypothesis of its own.
    up, down = (
        float(log_sum(np.r_[-1e300, d[side]], 0)) + float(np.log(2)) for side in (x > 0, x < 0)
    )
    share = np.exp(np.minimum(zero - log_none, 0.0))
    names = [p.name for p, ok in zip(places, fast, strict=True) if ok]
    order = np.argsort(x, kind="stable")
    growth = log_sum(log_sum(np.array(densities), 2), 0)
    bases: dict[int, float] = {}
    for m, row in zip(models, share, strict=True):
        bases[m.base] = bases.get(m.base, 0.0) + float(row[fast].sum())
    return Evidence(
        log={"grows": up, "stops": log_none, "falls": down, "slows": log_slow},
        points=x[order],
        mass=np.exp(d[order] - total),
        shapes=dict(zip(names, share.sum(axis=0)[fast].tolist(), strict=True)),
        growth_shapes=dict(zip(names, np.exp((growth - total)[fast]).tolist(), strict=True)),
        bases=bases,
        rates=rates,
        errors=errors,
        kind=best.kind,
        trend=best.trend,
        slowing=_slowing(best, places),
        pure=pure,
    )


def _slowing(m: Surface, places: tuple[Layout, ...]) -> float:
    """Return growth in the run's late part over growth in its middle, under the best model."""
    w = _responsibilities(m, places)
    rise = w * (m.amount - m.centre * m.tilt)
    steady = 0.4 * float((w * m.centre).sum())
    middle, late = (steady + float((rise * change).sum()) for change in (m.middle, m.late))
    return late / middle if middle > 0 else 1.0


def _responsibilities(m: Surface, places: tuple[Layout, ...]) -> Array:
    """Return each option's posterior share in each repeat, growth being free."""
    logw = m.top + _log_weights(places)
    return np.asarray(np.exp(logw - log_sum(logw, 1)[:, None]))


def _own(m: Surface, places: tuple[Layout, ...]) -> tuple[Array, Array]:
    """Return each repeat's rate and its standard error, averaged over the options."""
    w = _responsibilities(m, places)
    mean = (w * m.centre).sum(axis=1)
    var = (w * (m.spread**2 + (m.centre - mean[:, None]) ** 2)).sum(axis=1)
    return mean, np.sqrt(var)
