"""Intervals over processes: of a mean, of a difference, and of rates that are pooled.

References
----------
.. [1] Welch, B. L. (1947). The generalization of Student's problem when several different
   population variances are involved. Biometrika 34, 28-35. (Degrees of freedom by Satterthwaite.)
.. [2] DerSimonian, R. and Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical
   Trials 7, 177-188. (The moment estimate of the variance between repeats.)
.. [3] Hartung, J. and Knapp, G. (2001). A refined method for the meta-analysis of controlled
   clinical trials with binary outcome. Statistics in Medicine 20, 3875-3889. (The interval.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.verdict.student import quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from listen2lab.verdict.series import Array

__all__ = [
    "PAGE", "Pooled", "dersimonian_laird", "student", "welch", "welch_freedom", "within",
    "without_one",
]  # fmt: skip

PAGE = 4096
"""Bytes of a page. Processes that end on the same page still differ by what a page hides, so a
variance is at least that of rounding to pages."""


def within(centre: float, variance: float, freedom: float) -> tuple[float, float]:
    """Return the 95 % interval of an estimate with this variance, by Student's t."""
    half = quantile(float(freedom), 0.975) * float(np.sqrt(variance))
    return float(centre) - half, float(centre) + half


def welch_freedom(a: float, b: float, free_a: float, free_b: float) -> float:
    """Return the degrees of freedom of a difference, from the variances of two estimates."""
    return (a + b) ** 2 / (a**2 / free_a + b**2 / free_b)


def welch(a: ArrayLike, b: ArrayLike) -> tuple[float, float] | None:
    """Return the 95 % interval of mean(a) - mean(b), variances unequal [1]_.

    Parameters
    ----------
    a, b
        One number a process, in bytes.

    Returns
    -------
    (float, float) or None
        None where one of them has a single process.
    """
    x, y = (np.asarray(each, dtype=float) for each in (a, b))
    if min(len(x), len(y)) < 2:
        return None
    parts = _variance(x) / len(x), _variance(y) / len(y)
    freedom = welch_freedom(*parts, len(x) - 1, len(y) - 1)
    return within(x.mean() - y.mean(), sum(parts), freedom)


def student(x: ArrayLike) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean over processes; None with a single one."""
    values = np.asarray(x, dtype=float)
    if len(values) < 2:
        return None
    return within(values.mean(), _variance(values) / len(values), len(values) - 1)


def _variance(x: Array) -> float:
    return max(float(x.var(ddof=1)), PAGE**2 / 12)


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
    interval
        95 %, by Hartung and Knapp; None from one repeat.
    """

    mean: float
    error: float
    between: float
    heterogeneity: float
    interval: tuple[float, float] | None


def dersimonian_laird(values: Array, errors: Array) -> Pooled:
    """Pool values with known standard errors: a random-effects meta-analysis [2]_ [3]_.

    Parameters
    ----------
    values, errors
        One per repeat; errors positive.
    """
    mean, variance, between2, q, knapp = _pool(values, errors**2)
    free = len(values) - 1
    error, between = float(np.sqrt(variance)), float(np.sqrt(between2))
    if not free:
        return Pooled(float(mean), error, between, 1.0, None)
    return Pooled(
        float(mean), error, between, float(q) / free, within(float(mean), float(knapp), free)
    )


def without_one(values: Array, errors: Array) -> tuple[Array, Array]:
    """Pool all values but one, leaving each out in turn.

    Returns
    -------
    tuple of ndarray
        Pooled values of the others, and their standard deviation between repeats.
    """
    k = len(values)
    others = (np.arange(k)[:, None] + np.arange(1, k)) % k
    mean, _, between2, _, _ = _pool(values[others], errors[others] ** 2)
    return mean, np.sqrt(between2)


def _pool(x: Array, variance: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return mean, its variance, that between repeats, Q, and Hartung's and Knapp's variance."""
    free = x.shape[-1] - 1
    w = 1 / variance
    whole = w.sum(axis=-1)
    fixed = (w * x).sum(axis=-1) / whole
    q = (w * (x - fixed[..., None]) ** 2).sum(axis=-1)
    c = whole - (w**2).sum(axis=-1) / whole
    between2 = np.divide(np.maximum(q - free, 0.0), c, out=np.zeros_like(c), where=c > 0)
    w = 1 / (variance + between2[..., None])
    whole = w.sum(axis=-1)
    mean = (w * x).sum(axis=-1) / whole
    knapp = (w * (x - mean[..., None]) ** 2).sum(axis=-1) / (max(free, 1) * whole)
    return mean, 1 / whole, between2, q, knapp
