"""Pooling the repeats' rates: a random-effects meta-analysis.

References
----------
.. [1] DerSimonian, R. and Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical
   Trials 7, 177-188. (The moment estimate of the variance between repeats.)
.. [2] Hartung, J. and Knapp, G. (2001). A refined method for the meta-analysis of controlled
   clinical trials with binary outcome. Statistics in Medicine 20, 3875-3889. (The interval.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from listen2lab.verdict.noise import Array

__all__ = ["Pooled", "dersimonian_laird", "without_one"]


class Pooled(NamedTuple):
    """A pooled estimate.

    Attributes
    ----------
    mean, error
        The pooled value and its standard error under the random-effects model.
    between
        Standard deviation between repeats, tau.
    heterogeneity
        Cochran's Q over its degrees of freedom; about 1 where repeats differ only by chance.
    hartung_knapp
        Standard error by Hartung and Knapp, to go with Student's t of repeats - 1 degrees.
    """

    mean: float
    error: float
    between: float
    heterogeneity: float
    hartung_knapp: float

    def interval(self, repeats: int, level: float = 0.95) -> tuple[float, float]:
        """Return the Hartung-Knapp interval."""
        half = float(stdtrit(repeats - 1, 0.5 + level / 2)) * self.hartung_knapp
        return self.mean - half, self.mean + half


def dersimonian_laird(values: Array, errors: Array) -> Pooled:
    """Pool values with known standard errors.

    Parameters
    ----------
    values, errors
        One per repeat; errors positive.

    Returns
    -------
    Pooled
        With one repeat, its own value and error, and no interval by Hartung and Knapp (NaN).
    """
    k = len(values)
    w = 1 / errors**2
    fixed = float((w * values).sum() / w.sum())
    if k == 1:
        return Pooled(fixed, float(errors[0]), 0.0, 1.0, float("nan"))
    q = float((w * (values - fixed) ** 2).sum())
    c = float(w.sum() - (w**2).sum() / w.sum())
    between2 = max(0.0, (q - (k - 1)) / c) if c > 0 else 0.0
    w = 1 / (errors**2 + between2)
    mean = float((w * values).sum() / w.sum())
    knapp = float(np.sqrt((w * (values - mean) ** 2).sum() / ((k - 1) * w.sum())))
    return Pooled(mean, float(1 / np.sqrt(w.sum())), float(np.sqrt(between2)), q / (k - 1), knapp)


def without_one(values: Array, errors: Array) -> tuple[Array, Array]:
    """Pool all values but one, leaving each out in turn.

    Parameters
    ----------
    values, errors
        One per repeat, at least three; errors positive.

    Returns
    -------
    tuple of ndarray
        Pooled values of the others, and their standard deviation between repeats.
    """
    k = len(values)
    others = (np.arange(k)[:, None] + np.arange(1, k)) % k
    x, var = values[others], errors[others] ** 2
    w = 1 / var
    whole = w.sum(axis=1)
    fixed = (w * x).sum(axis=1) / whole
    q = (w * (x - fixed[:, None]) ** 2).sum(axis=1)
    c = whole - (w**2).sum(axis=1) / whole
    between2 = np.where(c > 0, np.maximum(q - (k - 2), 0.0) / np.where(c > 0, c, 1.0), 0.0)
    w = 1 / (var + between2[:, None])
    return (w * x).sum(axis=1) / w.sum(axis=1), np.sqrt(between2)
