"""Student's t, and a straight line by least squares: what of statistics the verdicts need.

By numpy alone: a whole library for these few formulas would weigh more than all else here does.

References
----------
.. [1] Abramowitz, M. and Stegun, I. A. (1964). Handbook of Mathematical Functions, 26.7.3-4 (the
   distribution for whole degrees of freedom) and 26.5.8 (the continued fraction of the incomplete
   beta function, for others).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from listen2lab.verdict.series import Array

__all__ = ["Line", "cdf", "line", "quantile"]

_MOST_TERMS = 500
_ENOUGH = 1e-15
_AS_NORMAL = 1e7  # from here on it is the normal distribution, to seven digits


def cdf(freedom: float, t: ArrayLike) -> Array:
    """Return the probability of at most ``t`` under Student's t; NaN where there is no freedom."""
    values = np.asarray(t, dtype=float)
    if not freedom > 0:
        return np.full_like(values, np.nan)
    freedom = min(freedom, _AS_NORMAL)
    whole = int(freedom)
    if whole == freedom and whole <= _MOST_TERMS:
        return 0.5 + _between(whole, values) / 2
    x = freedom / (freedom + values**2)
    tails = np.vectorize(lambda each: _beta(freedom / 2, 0.5, each), otypes=[float])(x) / 2
    found: Array = np.where(values > 0, 1 - tails, tails)
    return found


def _between(freedom: int, t: Array) -> Array:
    """Return the probability between -t and t, with the sign of t, for whole freedom [1]_."""
    angle = np.arctan(t / np.sqrt(freedom))
    sine, cosine = np.sin(angle), np.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else np.ones_like(cosine)
    total = term if freedom > 1 else np.zeros_like(term)
    for k in range(2 + is_odd, freedom - 1, 2):
        term = term * cosine**2 * (k - 1) / k
        total = total + term
    return np.asarray((angle + sine * total) * (2 / np.pi) if is_odd else sine * total)


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function [1]_."""
    if not 0 < x < 1:
        return float(x > 0)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _fraction(b, a, 1 - x) / b
    return front * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        for k in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + k * d), 1 + k / c
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


@lru_cache(maxsize=4096)
def quantile(freedom: float, p: float) -> float:
    """Return what Student's t is at most with probability ``p``; NaN where there is no freedom."""
    if not freedom > 0:
        return math.nan
    if p < 0.5:
        return -quantile(freedom, 1 - p)
    low, high = 0.0, 1.0
    while float(cdf(freedom, high)) < p and high < 1e300:
        low, high = high, 4 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if float(cdf(freedom, middle)) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class Line(NamedTuple):
    """A straight line by least squares.

    Attributes
    ----------
    slope, error
        With its standard error.
    probability
        Of a slope as far from 0 where there is none; two-sided.
    """

    slope: float
    error: float
    probability: float


def line(x: Array, y: Array) -> Line:
    """Fit a straight line through three points or more, the same in whatever order they come."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(away @ y) / spread
    freedom = len(x) - 2
    rest = y - y.mean() - slope * away
    error = math.sqrt(float(rest @ rest) / freedom / spread) if freedom > 0 else 0.0
    sure = 1.0 if error == 0 else 2 * float(cdf(freedom, -abs(slope) / error))
    return Line(slope, error, sure if error else float(slope == 0))
