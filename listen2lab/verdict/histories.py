"""The histories that may stand beside a trend, and their columns, raw and white.

Each *family* is one way to rise and stop (or, the slow ones, to stop only after the run). Its
columns differ in a parameter that is never estimated: all are tried, and averaged by how well
they explain the series (see `whitened` and `surfaces`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.verdict.noise import KINDS, Kind, bands, whitener

if TYPE_CHECKING:
    from listen2lab.verdict.series import Array

__all__ = [
    "COMMON",
    "FAMILIES",
    "LATE",
    "MIDDLE",
    "Block",
    "Design",
    "Family",
    "Layout",
    "apply",
    "changes",
    "columns",
    "count",
    "design",
    "layout",
    "stride",
    "whole_design",
]


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


@dataclass(frozen=True)
class Design:
    """What is the same for every series of one length, already white.

    The first axis of all arrays is the repeats', of length 1 where all were sampled at the same
    times; repeats with fewer samples than others have zeros at the end.

    Attributes
    ----------
    white
        For each kind of noise its whitener: a full matrix where noise wanders, else two `bands`.
    one
        The level, of length 1; for each kind.
    z, zz
        The families' columns without their level, and their squared lengths; for each kind.
    log_det, grain
        Logarithm of the whitener's determinant, and its sum of squares: (repeats, kinds).
    """

    white: tuple[Array, ...]
    one: tuple[Array, ...]
    z: tuple[Array, ...]
    zz: Array
    log_det: Array
    grain: Array


@lru_cache(maxsize=3)
def whole_design(samples: int, span: float) -> Design:
    """Return the design over all samples, with every kind of column."""
    return design(samples, [tuple(range(samples))], span, list(range(len(KINDS))))


def design(samples: int, where: list[tuple[int, ...]], span: float, kinds: list[int]) -> Design:
    """Return the design of each stretch in `where`, with columns of these kinds."""
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    m = max(len(w) for w in where)
    there = np.arange(m) < np.array([[len(w)] for w in where])
    u = np.broadcast_to(2 * span + np.arange(m), there.shape).copy()
    u[there] = all_u[np.concatenate(where)]
    raw = np.concatenate([columns(f, u, all_u) for f in FAMILIES], axis=2) * there[..., None]
    empty = np.zeros(0)
    white, one, z = ([empty] * len(KINDS) for _ in range(3))
    log_det, grain = np.zeros((2, len(where), len(KINDS)))
    zz = np.zeros((len(where), len(KINDS), raw.shape[2]))
    for k in kinds:
        kind = KINDS[k]
        if kind.wander:
            white[k] = np.zeros((len(where), m, m))
            for r, w in enumerate(where):
                n = len(w)
                white[k][r, :n, :n], log_det[r, k] = whitener(kind, u[r, :n], span / samples)
        else:
            white[k], log_det[:, k] = bands(kind, u, span / samples, there)
        grain[:, k] = (white[k] ** 2).sum(axis=(1, 2))
        one[k] = white[k].sum(axis=2 if kind.wander else 1)
        one[k] /= np.sqrt((one[k] ** 2).sum(axis=1, keepdims=True))
        z[k] = np.empty_like(raw)
        apply(kind, white[k], raw, z[k])
        whole = (z[k] ** 2).sum(axis=1)
        level = one[k][:, None] @ z[k]
        z[k] -= one[k][..., None] * level
        zz[:, k] = (z[k] ** 2).sum(axis=1)
        # A step before the first sample is a level: what is left of it is rounding.
        zz[:, k][zz[:, k] <= 1e-18 * whole] = 0.0
    return Design(tuple(white), tuple(one), tuple(z), zz, log_det, grain)


def apply(kind: Kind, white: Array, cols: Array, out: Array) -> None:
    """Make columns (repeats, samples, columns) white."""
    if kind.wander:
        np.matmul(white, cols, out=out)
        return
    np.multiply(cols, white[:, 0, :, None], out=out)
    if kind.phi:
        out[:, 1:] += cols[:, :-1] * white[:, 1, 1:, None]
