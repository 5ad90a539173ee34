"""What else a level may do besides growing for ever: the columns that stand beside the trend.

Each *family* is one way to rise and stop (or, the slow ones, to stop only after the run). Its
columns differ in a parameter that is never estimated: all are tried, and averaged by how well
they explain the series.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from listen2lab.analysis._noise import Array

__all__ = ["FAMILIES", "Family", "columns"]


class Family(NamedTuple):
    """One way that a level may move.

    Attributes
    ----------
    name
        In words.
    shape
        The verdict that it stands for if nothing grows besides.
    weight
        Prior weight among its kind (settling, or slow).
    slow
        It still rises at the run's end.
    values
        The parameter's values, in fractions of the run; empty where there is one per sample.
    """

    name: str
    shape: str
    weight: float
    slow: bool
    values: tuple[float, ...]


# Time constants and ends up to here count as settled within the run: after three time constants
# (or the ramp's end) at least a fifth of the run shows the level that was reached.
_FAST = tuple(round(float(x), 5) for x in np.geomspace(0.004, 0.33, 24))
_ENDS = tuple(round(float(x), 5) for x in np.geomspace(0.02, 0.8, 28))
_SLOW = tuple(round(float(x), 5) for x in np.geomspace(0.4, 1.8, 9))

FAMILIES: tuple[Family, ...] = (
    Family("saturating exponential", "plateau", 0.12, False, _FAST),
    Family("ramp that ends", "plateau", 0.1, False, _ENDS),
    Family("one step", "plateau", 0.1, False, ()),
    Family("slow exponential", "slow", 0.4, True, _SLOW),
    Family("ramp that ends late", "slow", 0.2, True, (0.83, 0.86, 0.89, 0.92, 0.95)),
    Family("logarithm", "slow", 0.2, True, (0.003, 0.006, 0.012, 0.025, 0.05, 0.1)),
    Family("square root", "slow", 0.2, True, (1.0,)),
)


def columns(family: Family, u: Array, all_u: Array) -> Array:
    """Return the family's columns at times ``u``.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    u
        Times of this row's samples, the run being [0, 1].
    all_u
        Times of all samples of the run, where steps may be.

    Returns
    -------
    ndarray of shape (samples, columns)
        One column per value of the parameter.
    """
    t = u[:, None]
    if family.name == "one step":
        return np.asarray((t >= all_u[None, 1:]).astype(float))
    p = np.array(family.values)[None, :]
    if family.name.endswith("exponential"):
        return np.asarray(1 - np.exp(-t / p))
    if family.name.startswith("ramp"):
        return np.asarray(np.minimum(t / p, 1))
    if family.name == "logarithm":
        return np.asarray(np.log1p(t / p))
    return np.asarray(np.sqrt(t) * p)
