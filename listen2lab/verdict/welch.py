"""Intervals over processes: of a mean, and of a difference of two means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["PAGE", "student", "welch"]

PAGE = 4096
"""Bytes of a page. Processes that end on the same page still differ by what a page hides, so a
variance is at least that of rounding to pages."""


def welch(a: ArrayLike, b: ArrayLike) -> tuple[float, float] | None:
    """Return the 95 % interval of mean(a) - mean(b), variances unequal.

    Parameters
    ----------
    a, b
        One number a process, in bytes.

    Returns
    -------
    (float, float) or None
        None where one of them has a single process.

    Notes
    -----
    Welch, B. L. (1947), Biometrika 34, 28-35, with degrees of freedom by Satterthwaite.
    """
    samples = [np.asarray(x, dtype=float) for x in (a, b)]
    if min(len(x) for x in samples) < 2:
        return None
    parts = [_variance(x) / len(x) for x in samples]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(x) - 1) for part, x in zip(parts, samples, strict=True)
    )
    return _around(samples[0].mean() - samples[1].mean(), sum(parts), freedom)


def student(x: ArrayLike) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean over processes; None with a single one."""
    values = np.asarray(x, dtype=float)
    if len(values) < 2:
        return None
    return _around(values.mean(), _variance(values) / len(values), len(values) - 1)


def _variance(x: np.ndarray) -> float:
    return max(float(x.var(ddof=1)), PAGE**2 / 12)


def _around(centre: float, variance: float, freedom: float) -> tuple[float, float]:
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)
    return float(centre) - half, float(centre) + half
