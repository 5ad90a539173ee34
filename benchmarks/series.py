"""Labelled synthetic memory series: what a leak, and what only looks like one, is drawn from.

Every shape has several families that were written independently of the models that judge them:
caches that fill by coupons or by bytes, arenas that grow in powers of two, leaks in lumps, at
random steps, in pages. Noise, lengths, repeats, levels and input sizes are drawn afresh for each
set. A set's seed alone determines it; ``TUNING`` and ``HELD_BACK`` seeds never meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator

__all__ = ["FAMILIES", "HELD_BACK", "NON_LEAKS", "SHAPES", "TUNING", "SeriesSet", "draw", "family"]

TUNING = 1_000_000
"""First seed of the sets that thresholds may be tuned on."""

HELD_BACK = 41_000_000
"""First seed of the sets that are scored once, for the published table. Seeds from 9,000,000,
29,000,000, 31,000,000 and 37,000,000 on were scored for earlier tables, and the method was changed
after each: they are used up."""

SHAPES = ("leak", "high-water", "plateau", "baseline", "sawtooth")
"""The five named shapes, over which macro-F1 is taken."""

NON_LEAKS = ("high-water", "plateau", "baseline", "sawtooth", "slow", "wander")
"""Labels under which nothing grows without bound; ``slow`` saturates after the run's end."""

KB, MB = 1_000.0, 1_000_000.0


@dataclass(frozen=True)
class SeriesSet:
    """One labelled set of repeats.

    Attributes
    ----------
    y
        Bytes, shape (repeats, steps).
    sizes
        Input sizes, same shape; None where the judge is not told them.
    label
        One of `SHAPES`, or ``slow``, ``wander`` (a level that drifts without direction).
    accept
        Verdicts that are right for it.
    rate
        True long-run growth in bytes a step.
    limit
        Smallest rate that could be seen at all: 3.97 Cramér-Rao standard deviations of the slope.
    sigma, phi
        Standard deviation and lag-1 autocorrelation of the noise.
    """

    family: str
    y: Array
    sizes: Array | None
    label: str
    accept: tuple[str, ...]
    rate: float
    limit: float
    sigma: float
    phi: float
    facts: dict[str, float] = field(default_factory=dict)


@dataclass
class Setting:
    """What a family is given: its random numbers, and the run's length, noise and inputs."""

    rng: Rng
    repeats: int
    steps: int
    sigma: float
    phi: float
    sizes: Array
    rate: float

    @property
    def t(self) -> Array:
        return np.arange(self.steps, dtype=float)

    @property
    def each(self) -> range:
        return range(self.repeats)

    def rise(self) -> float:
        """Draw a clear rise: 8 to 200 times the noise."""
        return float(self.sigma * np.exp(self.rng.uniform(np.log(8), np.log(200))))

    def stack(self, row: Callable[[int], Array]) -> Array:
        return np.array([row(r) for r in self.each])


Family = Callable[[Setting], Array]
FAMILIES: dict[str, tuple[str, tuple[str, ...], Family]] = {}


def family(label: str, *accept: str) -> Callable[[Family], Family]:
    """Register a family of series under its label and the verdicts that are right for it."""

    def add(make: Family) -> Family:
        FAMILIES[make.__name__] = (label, accept or (label,), make)
        return make

    return add


# -- noise and inputs ----------------------------------------------------------------------------


def _ar1(rng: Rng, repeats: int, steps: int, phi: float, *, heavy: bool) -> Array:
    shocks = (
        rng.standard_t(4, (repeats, steps)) / np.sqrt(2)
        if heavy
        else rng.standard_normal((repeats, steps))
    )
    out = np.empty((repeats, steps))
    out[:, 0] = shocks[:, 0]
    scale = np.sqrt(1 - phi**2)
    for i in range(1, steps):
        out[:, i] = phi * out[:, i - 1] + scale * shocks[:, i]
    return out


def _noise(s: Setting) -> Array:
    kind = s.rng.choice(
        ["plain", "heavy", "uneven", "spiky", "odd-repeat"], p=[0.5, 0.2, 0.1, 0.1, 0.1]
    )
    e = _ar1(s.rng, s.repeats, s.steps, s.phi, heavy=kind == "heavy")
    if kind == "uneven":
        e *= s.rng.uniform(0.6, 1.4, (s.repeats, 1)) * np.linspace(0.7, 1.3, s.steps)
    if kind == "spiky":
        e += (s.rng.random(e.shape) < 0.015) * s.rng.exponential(8, e.shape)
    if kind == "odd-repeat":
        e += s.rng.normal(0, 3, (s.repeats, 1))
    return np.asarray(e * s.sigma)


def _inputs(rng: Rng, repeats: int, steps: int) -> Array:
    kind = rng.choice(["lognormal", "gamma", "uniform", "pareto", "few"])
    shape = (repeats, steps)
    if kind == "lognormal":
        return np.asarray(np.exp(rng.normal(4, rng.uniform(0.3, 1.0), shape)))
    if kind == "gamma":
        return np.asarray(rng.gamma(2.0, 40, shape) + 1)
    if kind == "uniform":
        return rng.uniform(10, 300, shape)
    if kind == "pareto":
        return np.asarray(20 * (1 + rng.pareto(2.2, shape)))
    texts = np.exp(rng.normal(4, 0.7, steps))
    return np.array([rng.permutation(texts) for _ in range(repeats)])


def _running_max(x: Array) -> Array:
    return np.maximum.accumulate(x, axis=-1)


# -- baseline ------------------------------------------------------------------------------------


@family("baseline")
def flat(s: Setting) -> Array:
    return np.zeros((s.repeats, s.steps))


@family("baseline")
def flat_live_input(s: Setting) -> Array:
    """Memory of the step's own input, given back at the next one."""
    return s.rise() / 4 * s.sizes / s.sizes.max()


@family("baseline", "baseline", "plateau")
def flat_after_first_steps(s: Setting) -> Array:
    """Rise within the first three steps, then nothing: fixed-length text."""
    return s.rise() * (1 - np.exp(-s.t / s.rng.uniform(0.3, 1.0))) + np.zeros((s.repeats, 1))


# -- high-water ----------------------------------------------------------------------------------


@family("high-water")
def follows_longest(s: Setting) -> Array:
    m = _running_max(s.sizes)
    return s.rise() * (m - m[:, :1]) / np.ptp(m)


@family("high-water")
def follows_longest_squared(s: Setting) -> Array:
    m = _running_max(s.sizes) ** 2
    return s.rise() * (m - m[:, :1]) / np.ptp(m)


@family("high-water", "high-water", "plateau")
def arena_in_powers_of_two(s: Setting) -> Array:
    """Double the arena when an input does not fit; few inputs make it grow."""
    m = 2 ** np.ceil(np.log2(_running_max(s.sizes)))
    return s.rise() * (m - m[:, :1]) / max(np.ptp(m), 1.0)


@family("high-water")
def second_call_steps_up(s: Setting) -> Array:
    """Each new maximum, and once more the next input of at least 0.9 of it (memory pattern)."""
    out = np.zeros_like(s.sizes)
    for r in s.each:
        level = top = planned = 0.0
        for i, size in enumerate(s.sizes[r]):
            if size > top:
                top = size
            elif size > 0.9 * top and planned < top:
                planned = top
            level = max(level, 0.65 * top + 0.35 * planned)
            out[r, i] = level
    return s.rise() * (out - out[:, :1]) / np.ptp(out)


# -- plateau -------------------------------------------------------------------------------------


@family("plateau")
def saturates(s: Setting) -> Array:
    tau = s.rng.uniform(0.03, 0.25) * s.steps
    return s.rise() * (1 - np.exp(-s.t / tau)) + np.zeros((s.repeats, 1))


@family("plateau")
def fills_then_stops(s: Setting) -> Array:
    end = s.rng.uniform(0.15, 0.65) * s.steps
    return s.rise() * np.minimum(s.t / end, 1) + np.zeros((s.repeats, 1))


@family("plateau")
def fills_by_coupons(s: Setting) -> Array:
    """Fill a cache keyed by input, drawn at random from few: each new key adds its entry."""
    keys = max(3, int(s.rng.uniform(0.05, 0.22) * s.steps))

    def row(_r: int) -> Array:
        entries = s.rng.gamma(4, 0.25, keys)
        seen: set[int] = set()
        out = []
        total = 0.0
        for k in s.rng.integers(0, keys, s.steps):
            if int(k) not in seen:
                seen.add(int(k))
                total += entries[k]
            out.append(total)
        return np.array(out) / keys

    return s.rise() * s.stack(row)


@family("plateau")
def bounded_cache_of_bytes(s: Setting) -> Array:
    """Keep the last so many inputs: fills, then wanders about its capacity."""
    held = max(3, int(s.rng.uniform(0.1, 0.5) * s.steps))
    sums = np.cumsum(s.sizes, axis=1)
    sums[:, held:] = sums[:, held:] - sums[:, :-held]
    full = sums[:, held:].mean()
    # Beyond the noise it was given, entries of unequal size make the full cache wander a little.
    wanders = max(float(sums[:, held:].std() / full), 1e-9)
    return min(s.rise(), 3 * s.sigma / wanders) * sums / full


@family("plateau")
def one_off(s: Setting) -> Array:
    at = s.rng.integers(2, max(3, int(0.75 * s.steps)), s.repeats)
    return s.rise() * (s.t >= at[:, None])


@family("plateau", "plateau", "high-water")
def two_one_offs(s: Setting) -> Array:
    at = s.rng.integers(2, max(3, int(0.7 * s.steps)), (s.repeats, 2))
    first, second = s.rise(), s.rise()
    return first * (s.t >= at[:, :1]) + second * (s.t >= at[:, 1:])


# -- leak ----------------------------------------------------------------------------------------


@family("leak")
def every_step(s: Setting) -> Array:
    return s.rate * s.t + np.zeros((s.repeats, 1))


@family("leak")
def by_size(s: Setting) -> Array:
    return s.rate * np.cumsum(s.sizes, axis=1) / s.sizes.mean()


@family("leak")
def every_kth(s: Setting) -> Array:
    k = int(s.rng.integers(2, 8))
    start = s.rng.integers(0, k, (s.repeats, 1))
    return s.rate * k * np.floor((s.t + start) / k)


@family("leak")
def at_random_steps(s: Setting) -> Array:
    p = s.rng.uniform(0.15, 0.6)
    return s.rate / p * np.cumsum(s.rng.random((s.repeats, s.steps)) < p, axis=1)


@family("leak")
def in_lumps(s: Setting) -> Array:
    """One lump in every so many steps, at least eight in the run."""
    k = int(s.rng.integers(4, max(5, s.steps // 8)))
    return s.rate * k * np.floor(s.t / k) + np.zeros((s.repeats, 1))


@family("leak")
def of_random_amount(s: Setting) -> Array:
    return s.rate * np.cumsum(s.rng.exponential(1, (s.repeats, s.steps)), axis=1)


@family("leak")
def after_warm_up(s: Setting) -> Array:
    warm = s.rise() * (1 - np.exp(-s.t / (0.06 * s.steps)))
    return s.rate * s.t + warm + np.zeros((s.repeats, 1))


@family("leak")
def absorbed_at_first(s: Setting) -> Array:
    """Free heap left by imports takes the first losses."""
    return s.rate * np.maximum(s.t - s.rng.uniform(0.05, 0.2) * s.steps, 0) + np.zeros(
        (s.repeats, 1)
    )


@family("leak")
def under_high_water(s: Setting) -> Array:
    m = _running_max(s.sizes)
    return s.rate * s.t + min(s.rise(), 40 * s.sigma) * (m - m[:, :1]) / np.ptp(m)


@family("leak")
def differs_by_process(s: Setting) -> Array:
    return s.rate * s.rng.normal(1, 0.1, (s.repeats, 1)) * s.t


@family("leak", "leak", "sawtooth")
def under_sawtooth(s: Setting) -> Array:
    period = int(s.rng.integers(6, max(7, s.steps // 6)))
    start = s.rng.integers(0, period, (s.repeats, 1))
    return s.rate * s.t + s.rise() * ((s.t + start) % period) / period


# -- sawtooth ------------------------------------------------------------------------------------


@family("sawtooth")
def cleared_on_schedule(s: Setting) -> Array:
    period = int(s.rng.integers(5, max(6, s.steps // 5)))
    start = s.rng.integers(0, period, (s.repeats, 1))
    return s.rise() * ((s.t + start) % period) / period


@family("sawtooth")
def cleared_when_full(s: Setting) -> Array:
    room = s.rng.uniform(5, max(6, s.steps / 5)) * s.sizes.mean()
    out = np.zeros_like(s.sizes)
    for r in s.each:
        held = s.rng.uniform(0, room)
        for i, size in enumerate(s.sizes[r]):
            held = 0.0 if held + size > room else held + size
            out[r, i] = held
    return s.rise() * out / room


@family("sawtooth")
def collected_at_random(s: Setting) -> Array:
    """Garbage grows at an uneven pace; a collector takes most of it now and then."""
    p = 1 / s.rng.uniform(6, max(7, s.steps / 6))
    out = np.zeros((s.repeats, s.steps))
    for r in s.each:
        held, age = 0.0, 0
        for i in range(s.steps):
            age += 1
            if age > 3 and (s.rng.random() < p or age > 2 / p):
                held, age = held * s.rng.uniform(0, 0.15), 0
            held += s.rng.gamma(4, 0.25)
            out[r, i] = held
    return s.rise() * out * p


# -- what saturates after the run, and what only wanders -----------------------------------------


@family("slow", "inconclusive", "plateau")
def saturates_slowly(s: Setting) -> Array:
    tau = s.rng.uniform(0.5, 1.5) * s.steps
    rise = (1 - np.exp(-s.t / tau)) / (1 - np.exp(-s.steps / tau))
    return s.rise() * rise + np.zeros((s.repeats, 1))


@family("slow", "inconclusive", "plateau")
def cache_of_many_keys(s: Setting) -> Array:
    keys = int(s.rng.uniform(0.5, 1.2) * s.steps)

    def row(_r: int) -> Array:
        draws = s.rng.integers(0, keys, s.steps)
        new = np.zeros(s.steps)
        new[np.unique(draws, return_index=True)[1]] = 1
        return np.cumsum(new) / keys

    return s.rise() * s.stack(row)


@family("slow", "inconclusive", "plateau", "high-water")
def grows_as_logarithm(s: Setting) -> Array:
    return s.rise() * np.log1p(s.t) / np.log1p(s.steps) + np.zeros((s.repeats, 1))


@family("wander", "baseline", "inconclusive", "plateau", "high-water", "sawtooth")
def fragments(s: Setting) -> Array:
    """Walk at random, without direction."""
    steps = s.rng.normal(0, s.sigma * s.rng.uniform(0.1, 0.6), (s.repeats, s.steps))
    return np.cumsum(steps, axis=1)


# -- drawing -------------------------------------------------------------------------------------


def slope_limit(sigma: float, phi: float, steps: int, repeats: int) -> float:
    """Return 3.97 standard deviations of a slope from so many repeats of AR(1) noise."""
    inflation = (1 + phi) / (1 - phi)
    return float(3.97 * sigma * np.sqrt(12 / (steps**3 * repeats) * inflation))


def draw(
    name: str,
    seed: int,
    *,
    steps: int | None = None,
    repeats: int | None = None,
    rate_over_limit: float | None = None,
    tell_sizes: bool = True,
    plain: bool = False,
) -> SeriesSet:
    """Draw one labelled set.

    Parameters
    ----------
    name
        A family of `FAMILIES`.
    seed
        Determines the set; see `TUNING` and `HELD_BACK`.
    steps, repeats
        Fixed, or drawn from 20-500 and 3-10.
    rate_over_limit
        A leak's rate over its detection limit; drawn from 2.5 (a clear leak) to 60 if not given.
    tell_sizes
        Whether the judge is told the input sizes.
    plain
        White Gaussian noise without pages, for power curves.

    Returns
    -------
    SeriesSet
        The bytes, in whole pages in half of the sets, and what is true of them.
    """
    label, accept, make = FAMILIES[name]
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    n = steps or round(float(np.exp(rng.uniform(np.log(20), np.log(500)))))
    reps = repeats or int(rng.integers(3, 11))
    sigma = float(np.exp(rng.uniform(np.log(20 * KB), np.log(3 * MB))))
    phi = 0.0 if plain else float(rng.choice([0.0, rng.uniform(0.0, 0.85)]))
    ratio = rate_over_limit or float(np.exp(rng.uniform(np.log(2.5), np.log(60))))
    limit = slope_limit(sigma, phi, n, reps)
    if limit * ratio < KB and rate_over_limit is None:
        ratio = KB / limit  # nothing below 1 KB a step is drawn
    s = Setting(rng, reps, n, sigma, phi, _inputs(rng, reps, n), limit * ratio)
    level = float(np.exp(rng.uniform(np.log(20 * MB), np.log(4000 * MB))))
    signal = make(s)
    noise = sigma * rng.standard_normal((reps, n)) if plain else _noise(s)
    y = level + rng.normal(0, 2 * sigma, (reps, 1)) + signal + noise
    if not plain and rng.random() < 0.5:
        y = 4096 * np.round(y / 4096)
    rate = s.rate if label == "leak" else 0.0
    sizes = s.sizes if tell_sizes else None
    return SeriesSet(name, y, sizes, label, accept, rate, limit, sigma, phi)
