"""Score intervals and recall on series from a second generator, with other shapes and noises.

``python benchmarks/coverage.py`` draws leaks of 2.5 to 300 times the detection limit; a leak in
proportion to the input, or at random steps, has the rate of inputs or steps in general, not of
those that were drawn. Beside them stand levels that fill up more and more slowly, which nothing
bounds within the run: the hardest to tell from leaks. ``--seed`` is the first seed: below 100,000
for tuning, above it once each.
"""

from __future__ import annotations

import os

# One core, as in verdicts.py. (Before numpy is imported.)
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402 - after the threads are fixed
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from series import slope_limit  # noqa: E402

from listen2lab.verdict.judge import judge  # noqa: E402

Array = NDArray[np.float64]
Rng = np.random.Generator

CLEAR = 8.0
"""A leak of so many times the limit is clear."""


class Drawn(NamedTuple):
    """Bytes, the input sizes if they are told, the true rate, and that over the limit."""

    y: Array
    sizes: Array | None
    rate: float
    ratio: float


def _inputs(rng: Rng, shape: tuple[int, int]) -> tuple[Array, float]:
    """Return input sizes, and the mean of all inputs of that kind."""
    kind = rng.integers(4)
    if kind == 0:
        width = rng.uniform(0.4, 1.1)
        return rng.lognormal(3.5, width, shape), float(np.exp(3.5 + width**2 / 2))
    if kind == 1:
        return rng.exponential(60, shape) + 2, 62.0
    if kind == 2:
        return rng.uniform(5, 200, shape), 102.5
    book = rng.lognormal(4, 0.8, shape[1])
    return np.array([rng.permutation(book) for _ in range(shape[0])]), float(book.mean())


def _noise(rng: Rng, shape: tuple[int, int], phi: float) -> Array:
    heavy = rng.random() >= 0.7
    shocks = rng.standard_t(5, shape) / np.sqrt(5 / 3) if heavy else rng.standard_normal(shape)
    out = np.empty(shape)
    out[:, 0] = shocks[:, 0]
    for i in range(1, shape[1]):
        out[:, i] = phi * out[:, i - 1] + np.sqrt(1 - phi**2) * shocks[:, i]
    return out


def _warm_up(rng: Rng, shape: tuple[int, int]) -> Array:
    """Rise to 1 and stay: at once and ever more slowly, at one pace, or key by key of a cache."""
    repeats, n = shape
    t, kind = np.arange(n), rng.integers(3)
    if kind == 0:
        return np.tile(1 - np.exp(-t / (rng.uniform(0.02, 0.12) * n)), (repeats, 1))
    if kind == 1:
        return np.tile(np.minimum(t / (rng.uniform(0.05, 0.4) * n), 1), (repeats, 1))
    keys = max(3, int(rng.uniform(0.04, 0.15) * n))
    drawn = rng.integers(0, keys, shape)
    return np.array([[len(set(row[: i + 1])) / keys for i in range(n)] for row in drawn])


def _teeth(rng: Rng, shape: tuple[int, int]) -> Array:
    period, uneven = max(5, int(rng.uniform(5, max(6, shape[1] / 6)))), rng.random() < 0.5
    out = np.zeros(shape)
    for row in out:
        age = int(rng.integers(period))
        for i in range(row.size):
            row[i] = age / period
            age += 1
            if age >= period * (rng.uniform(0.8, 1.2) if uneven else 1):
                age = 0
    return out


def _largest(rng: Rng, sizes: Array) -> Array:
    top = np.maximum.accumulate(sizes, axis=1)
    if rng.random() < 0.3:
        top = np.ceil(top / np.median(sizes)) * np.median(sizes)
    return np.asarray((top - top[:, :1]) / max(float(np.ptp(top)), 1e-9))


def _pool(rng: Rng, sizes: Array) -> Array:
    """Fill buffers in turn, each as large as the largest that it held."""
    slots = int(rng.integers(2, 17))
    out = np.zeros_like(sizes)
    for held, row in zip(out, sizes, strict=True):
        pool = np.zeros(slots)
        for i, size in enumerate(row):
            pool[i % slots] = max(pool[i % slots], size)
            held[i] = pool.sum()
    return np.asarray((out - out[:, :1]) / max(float(np.ptp(out)), 1e-9))


def _rare_keys(rng: Rng, shape: tuple[int, int]) -> Array:
    """Keep an answer for each key; some keys come often, some hardly ever."""
    keys = int(rng.integers(5, 2 * shape[1]))
    weight = np.arange(1, keys + 1) ** -rng.uniform(0.5, 1.6)
    drawn = rng.choice(keys, shape, p=weight / weight.sum())
    return np.array([[len(set(row[: i + 1])) / keys for i in range(row.size)] for row in drawn])


def _two_fillings(rng: Rng, shape: tuple[int, int]) -> Array:
    """Fill soon, and beside it slowly."""
    t = np.arange(shape[1]) / shape[1]
    soon = 1 - np.exp(-t / rng.uniform(0.01, 0.1))
    slow = rng.uniform(0.3, 2) * (1 - np.exp(-t / rng.uniform(0.3, 1.2)))
    return np.tile(soon + slow, (shape[0], 1))


def _late_end(rng: Rng, shape: tuple[int, int]) -> Array:
    """Fill at one pace until nearly the end."""
    end = rng.uniform(0.5, 0.97) * shape[1]
    return np.tile(np.minimum(np.arange(shape[1]) / end, 1), (shape[0], 1))


BOUNDED = ("pool", "rare keys", "two fillings", "late end")
KINDS = ("plain", "size", "bernoulli", "kth", "lumps", "between", "warm", "saw", "high")


def _grown(kind: str, rng: Rng, sizes: Array, mean: float) -> Array:
    """Return growth of 1 a step, in this way."""
    repeats, n = sizes.shape
    t = np.arange(n, dtype=float)
    if kind == "size":
        return np.cumsum(sizes, axis=1) / mean
    if kind == "bernoulli":
        p = rng.uniform(0.1, 0.7)
        return np.cumsum(rng.random(sizes.shape) < p, axis=1) / p
    if kind in {"kth", "lumps"}:
        k = int(rng.integers(2, 9) if kind == "kth" else rng.integers(5, max(6, n // 7)))
        return np.asarray(k * np.floor((t + rng.integers(0, k, (repeats, 1))) / k))
    if kind == "between":
        return rng.normal(1, 0.15, (repeats, 1)) * t
    return np.tile(t, (repeats, 1))


def draw(kind: str, seed: int) -> Drawn:
    """Draw one set of a kind."""
    rng = np.random.default_rng([7717, seed, sum(map(ord, kind))])
    n, repeats = round(float(np.exp(rng.uniform(np.log(20), np.log(300))))), int(rng.integers(3, 9))
    sigma = float(np.exp(rng.uniform(np.log(2e4), np.log(2e6))))
    phi = float(rng.choice([0.0, rng.uniform(0, 0.8)]))
    limit = slope_limit(sigma, phi, n, repeats)
    rate = max(limit * float(np.exp(rng.uniform(np.log(2.5), np.log(300)))), 1024.0)
    height = sigma * float(np.exp(rng.uniform(np.log(6), np.log(150))))
    sizes, mean = _inputs(rng, (repeats, n))
    if kind in BOUNDED:
        rate = 0.0
    y = rate * _grown(kind, rng, sizes, mean)
    if kind == "pool":
        y += height * _pool(rng, sizes)
    if kind == "rare keys":
        y += height * _rare_keys(rng, y.shape)
    if kind == "two fillings":
        y += height * _two_fillings(rng, y.shape)
    if kind == "late end":
        y += height * _late_end(rng, y.shape)
    if kind == "warm":
        y += height * _warm_up(rng, y.shape)
    if kind == "saw":
        y += height * _teeth(rng, y.shape)
    if kind == "high":
        y += height * _largest(rng, sizes)
    y += rng.uniform(2e7, 2e9) + rng.normal(0, 2 * sigma, (repeats, 1))
    y += sigma * _noise(rng, y.shape, phi)
    if rng.random() < 0.5:
        y = 4096 * np.round(y / 4096)
    return Drawn(y, sizes if rng.random() < 0.6 else None, rate, rate / limit)


def main() -> None:
    """Parse, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=100, help="sets of each kind")
    parser.add_argument(
        "--only", action="append", choices=(*KINDS, *BOUNDED), help="this kind only (again)"
    )
    args = parser.parse_args()
    print(f"{'kind':12s}{'interval':>10s}{'upper':>8s}{'clear leaks called':>20s}")
    held, bounded, called = [], [], []
    kinds = args.only or (*KINDS, *BOUNDED)
    for kind in [k for k in kinds if k in KINDS]:
        sets = [draw(kind, args.seed + i) for i in range(args.count)]
        found = [judge(s.y, s.sizes) for s in sets]
        each = list(zip(sets, found, strict=True))
        held.append([v.interval[0] <= s.rate <= v.interval[1] for s, v in each])
        bounded.append([s.rate <= v.upper for s, v in each])
        called.append([v.verdict == "leak" for s, v in each if s.ratio >= CLEAR])
        shares = (100 * float(np.mean(x[-1])) for x in (held, bounded, called))
        print(f"{kind:12s}" + "{:9.1f}%{:7.1f}%{:19.1f}%".format(*shares), flush=True)
    if held:
        shares = (100 * float(np.mean(np.concatenate(x))) for x in (held, bounded, called))
        print(f"{'all':12s}" + "{:9.1f}%{:7.1f}%{:19.1f}%".format(*shares))
    for kind in [k for k in kinds if k in BOUNDED]:
        sets = [draw(kind, args.seed + i) for i in range(args.count)]
        wrong = sum(judge(s.y, s.sizes).verdict == "leak" for s in sets)
        print(f"{kind:14s}{wrong} of {args.count} called a leak", flush=True)


if __name__ == "__main__":
    main()
