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

from listen2lab.verdict.noise import ALL_KINDS, KINDS, Kind, bands, whitener

if TYPE_CHECKING:
    from listen2lab.verdict.series import Array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "COMMON", "FAMILIES", "LASTING", "LATE", "MIDDLE", "Block", "Design", "Family", "Layout",
    "apply", "changes", "design", "layout", "whole_design",
]  # fmt: skip


class Family(NamedTuple):
    """One way that a level may move.

    Attributes
    ----------
    name, weight
        Its name, and its prior weight among its kind (settling, or slow).
    values
        The parameter's values, in fractions of the run; empty where there is one per sample.
    curve
        Columns from times (with a last axis of length 1) and the parameter's values.
    slow
        It still rises at the run's end.
    """

    name: str
    weight: float
    values: tuple[float, ...]
    curve: Callable[[Array, Array], Array]
    slow: bool = False

    def columns(self, u: Array, steps: Array) -> Array:
        """Return one column per value of the parameter (or place of a step), on a last axis."""
        return self.curve(u[..., None], np.array(self.values) if self.values else steps)


def _exponential(t: Array, p: Array) -> Array:
    return np.asarray(1 - np.exp(-t / p))


def _ramp(t: Array, p: Array) -> Array:
    return np.asarray(np.minimum(t / p, 1))


# Time constants and ends up to here count as settled within the run: after three time constants
# (or the ramp's end) at least a fifth of the run shows the level that was reached.
_FAST, _ENDS, _SLOW = (
    tuple(round(float(x), 5) for x in np.geomspace(*ends))
    for ends in ((0.004, 0.33, 24), (0.02, 0.8, 28), (0.4, 1.8, 9))
)

FAMILIES: tuple[Family, ...] = (
    Family("saturating exponential", 0.12, _FAST, _exponential),
    Family("ramp that ends", 0.1, _ENDS, _ramp),
    Family("one step", 0.1, (), lambda t, p: (t >= p).astype(float)),
    Family("slow exponential", 0.4, _SLOW, _exponential, slow=True),
    Family("ramp that ends late", 0.2, (0.83, 0.86, 0.89, 0.92, 0.95), _ramp, slow=True),
    Family(
        "logarithm",
        0.2,
        (0.003, 0.006, 0.012, 0.025, 0.05, 0.1),
        lambda t, p: np.log1p(t / p),
        slow=True,
    ),
    Family("square root", 0.2, (1.0,), lambda t, p: np.sqrt(t) * p, slow=True),
)


def _stride(samples: int) -> int:
    """Return how many samples apart steps are tried; exact places are found as jumps."""
    return -(-samples // 150)


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
    places = fine[1 :: _stride(samples)]
    # Steps do not slow down, and what has a quick end leaves the rest of the run alone.
    parts = [
        f.columns(ends, places) * np.array([v >= LASTING[f.name] for v in f.values] or [False])
        for f in FAMILIES
    ]
    z = np.concatenate(parts, axis=1)
    none = np.zeros(1)
    return np.r_[none, z[1] - z[0]], np.r_[none, z[3] - z[2]]


def layout(samples: int, nested: dict[str, Array], single: dict[str, Array]) -> tuple[Layout, ...]:
    """Return where each family's options stand."""
    steps = len(range(1, samples, _stride(samples)))
    sizes = {"none": 1, **{f.name: len(f.values) or steps for f in FAMILIES}}
    shared = len(sizes)
    sizes |= {name: cols.shape[2] for name, cols in {**nested, **single}.items()}
    stops = np.cumsum(list(sizes.values())).tolist()
    return tuple(
        Layout(name, stop - size, stop, shareable=i < shared or name.startswith(COMMON))
        for i, ((name, size), stop) in enumerate(zip(sizes.items(), stops, strict=True))
    )


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
    return design(samples, [tuple(range(samples))], span, ALL_KINDS)


def design(samples: int, where: list[tuple[int, ...]], span: float, kinds: Sequence[int]) -> Design:
    """Return the design of each stretch in `where`, with columns of these kinds."""
    all_u = (np.arange(samples) + 0.5) * (span / samples)
    m = max(len(w) for w in where)
    there = np.arange(m) < np.array([[len(w)] for w in where])
    u = np.broadcast_to(2 * span + np.arange(m), there.shape).copy()
    u[there] = all_u[np.concatenate(where)]
    places = all_u[1 :: _stride(samples)]
    raw = np.concatenate([f.columns(u, places) for f in FAMILIES], axis=2) * there[..., None]
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
