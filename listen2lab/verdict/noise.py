"""What noise a memory series may carry, and what makes each kind white.

Two kinds, each at a few strengths. *Stationary*: first-order autoregressive noise about a fixed
level, whitened exactly, first sample included [1]_; gaps from missing samples are exact too,
because the covariance is built from the times. *Wandering*: white noise plus a random walk, the
local level model [2]_, which is how lumps, fragmentation and a drifting allocator look. A rise
that a wandering level explains as well is no evidence of a leak.

References
----------
.. [1] Prais, S. J. and Winsten, C. B. (1954). Trend estimators and serial correlation. Cowles
   Commission Discussion Paper 383. (Generalised least squares that keeps the first sample.)
.. [2] Harvey, A. C. (1989). Forecasting, Structural Time Series Models and the Kalman Filter.
   Cambridge University Press. (The local level model.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from listen2lab.verdict.series import Array, median

__all__ = [
    "ALL_KINDS", "KINDS", "Kind", "ar1_from_differences", "bands", "covariance", "plausible",
    "whitener",
]  # fmt: skip


class Kind(NamedTuple):
    """One kind of noise.

    Attributes
    ----------
    phi
        Lag-1 autocorrelation of the stationary part.
    wander
        Variance that a random walk gathers over the whole run, over the white noise's variance;
        0 for stationary noise.
    weight
        Prior weight.
    """

    phi: float
    wander: float
    weight: float

    @property
    def name(self) -> str:
        """The noise in the field's symbols."""
        wander = f" and wandering {self.wander:g}" if self.wander else ""
        return f"AR(1) {self.phi:g}{wander}"


# Strengths of stationary noise span what was seen on real runs (0 to .9), those of wandering
# "hardly" to "nothing else".
KINDS: tuple[Kind, ...] = (
    *(Kind(phi, 0.0, 0.1) for phi in (0.0, 0.3, 0.55, 0.75, 0.88, 0.96)),
    *(Kind(0.0, wander, 0.1) for wander in (4.0, 50.0, 1e4)),
    Kind(0.6, 15.0, 0.1),
)
ALL_KINDS = tuple(range(len(KINDS)))
_SMALL = 32  # rows of a matrix from which dividing it pays


def covariance(kind: Kind, u: Array, spacing: float) -> Array:
    """Return the covariance of noise at ascending times, in units of its white variance.

    `spacing` is the time between neighbouring samples where none is missing; the run's end is 1.
    """
    lags = np.abs(np.subtract.outer(u, u)) / spacing
    stationary = kind.phi**lags if kind.phi else np.eye(u.size)
    return np.asarray(stationary + kind.wander * np.minimum.outer(u, u))


def whitener(kind: Kind, u: Array, spacing: float) -> tuple[Array, float]:
    """Return W with ``W @ covariance @ W.T = I``, and the logarithm of its determinant."""
    lower = np.linalg.cholesky(covariance(kind, u, spacing))
    return _inverse(lower), float(-np.log(np.diag(lower)).sum())


def _inverse(lower: Array) -> Array:
    """Invert a triangular matrix by its quarters: a third of the work that any other takes."""
    n = len(lower)
    if n <= _SMALL:
        return np.tril(np.linalg.inv(lower))
    k = n // 2
    above, below = _inverse(lower[:k, :k]), _inverse(lower[k:, k:])
    whole = np.zeros_like(lower)
    whole[:k, :k], whole[k:, k:] = above, below
    whole[k:, :k] = -below @ lower[k:, :k] @ above
    return whole


def bands(kind: Kind, u: Array, spacing: float, there: Array) -> tuple[Array, Array]:
    """Return a stationary kind's whiteners by two diagonals each, and their log determinants.

    First-order noise depends on the sample before only, so nothing else of the matrix is not zero.
    Row 0 is the main diagonal; row 1, whose first value is 0, what multiplies the sample before.
    Times, and whether there is a sample, are (repeats, samples); so are the bands, each.
    """
    correlation = kind.phi ** (np.diff(u, axis=1) / spacing)
    scale = 1 / np.sqrt(1 - correlation**2)
    both = np.zeros((len(u), 2, u.shape[1]))
    both[:, 0, 0] = 1.0
    both[:, 0, 1:] = scale
    both[:, 1, 1:] = -correlation * scale
    both *= there[:, None]
    return both, np.log(np.where(there[:, 1:], scale, 1.0)).sum(axis=1)


def ar1_from_differences(y: Array) -> float:
    """Estimate AR(1) from differences at lags 1 and 2, whatever level, slope or steps y has.

    For AR(1) noise the variance of ``y[t+k] - y[t]`` is proportional to ``1 - phi**k``, so the
    ratio of lag 2 to lag 1 is ``1 + phi``; medians make it deaf to jumps. NaN is skipped.
    """
    one, two = _typical(y[:, 1:] - y[:, :-1]), _typical(y[:, 2:] - y[:, :-2])
    return float(np.clip((two / one) ** 2 - 1, 0.0, 0.97)) if one > 0 else 0.0


def _typical(moves: Array) -> float:
    """Return the median size of moves about each repeat's own median move."""
    rows = [row[np.isfinite(row)] for row in moves]
    sizes = [np.abs(row - median(row)) for row in rows if row.size]
    return median(np.concatenate(sizes)) if sizes else 0.0


def plausible(y: Array) -> tuple[int, ...]:
    """Return the kinds of noise worth trying: stationary ones near the estimate, and wandering.

    Trying all would change nothing and cost half as much again.
    """
    if np.isfinite(y).sum() < _ENOUGH:
        return ALL_KINDS
    phi = ar1_from_differences(y)
    return tuple(i for i, k in enumerate(KINDS) if k.wander or abs(k.phi - phi) <= _NEAR)


# From so many samples on the estimate is surely within this much of the truth.
_ENOUGH, _NEAR = 250, 0.6
