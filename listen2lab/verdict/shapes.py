"""What else a level may do besides growing for ever: the columns that stand beside the trend.

Each *family* is one way to rise and stop (or, the slow ones, to stop only after the run). Its
columns differ in a parameter that is never estimated: all are tried, and averaged by how well
they explain the series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from listen2lab.verdict.noise import Array

__all__ = ["FAMILIES", "Family", "columns", "count"]


class Family(NamedTuple):
    """One way that a level may move.

    Attributes
    ----------
    name
        In words.
    weight
        Prior weight among its kind (settling, or slow).
    values
        The parameter's values, in fractions of the run; empty where there is one per sample.
    slow
        It still rises at the run's end.
    """

    name: str
    weight: float
    values: tuple[float, ...]
    slow: bool = False


# Time constants and ends up to here count as settled within the run: after three time constants
# (or the ramp's end) at least a fifth of the run shows the level that was reached.
_FAST = tuple(round(float(x), 5) for x in np.geomspace(0.004, 0.33, 24))
_ENDS = tuple(round(float(x), 5) for x in np.geomspace(0.02, 0.8, 28))
_SLOW = tuple(round(float(x), 5) for x in np.geomspace(0.4, 1.8, 9))

FAMILIES: tuple[Family, ...] = (
    Family("saturating exponential", 0.12, _FAST),
    Family("ramp that ends", 0.1, _ENDS),
    Family("one step", 0.1, ()),
    Family("slow exponential", 0.4, _SLOW, slow=True),
    Family("ramp that ends late", 0.2, (0.83, 0.86, 0.89, 0.92, 0.95), slow=True),
    Family("logarithm", 0.2, (0.003, 0.006, 0.012, 0.025, 0.05, 0.1), slow=True),
    Family("square root", 0.2, (1.0,), slow=True),
)


def stride(samples: int) -> int:
    """Return how many samples apart steps are tried; exact places are found as jumps."""
    return -(-samples // 150)


def count(family: Family, samples: int) -> int:
    """Return how many columns a family has."""
    return len(family.values) or len(range(1, samples, stride(samples)))


def columns(family: Family, u: Array, all_u: Array) -> Array:
    """Return the family's columns at times ``u``.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    u
        Times of samples, the run being [0, 1]; any shape.
    all_u
        Times of all samples of the run, where steps may be.

    Returns
    -------
    ndarray
        One column per value of the parameter, along a last axis of its own.
    """
    t = u[..., None]
    if family.name == "one step":
        return np.asarray((t >= all_u[1 :: stride(all_u.size)]).astype(float))
    p = np.array(family.values)
    if family.name.endswith("exponential"):
        return np.asarray(1 - np.exp(-t / p))
    if family.name.startswith("ramp"):
        return np.asarray(np.minimum(t / p, 1))
    if family.name == "logarithm":
        return np.asarray(np.log1p(t / p))
    return np.asarray(np.sqrt(t) * p)
