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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.verdict.shapes import FAMILIES, columns, count

if TYPE_CHECKING:
    from listen2lab.verdict.noise import Array, Kind

__all__ = ["COMMON", "LATE", "MIDDLE", "Block", "Layout", "Surface", "changes", "layout"]

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


@lru_cache(maxsize=8)
def changes(samples: int) -> tuple[Array, Array]:
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
