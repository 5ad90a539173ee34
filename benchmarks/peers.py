"""The usual rules for "does it leak?", so that they can be scored on the same series.

Each takes bytes of shape (repeats, steps) and says whether it would call a leak. Where a rule
judges one series, the repeats vote: more than half. ``python benchmarks/peers.py FILE`` says what
each makes of a table of bytes, a row for each repeat.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]

__all__ = ["PEERS"]


def _most(rule: Callable[[Array], bool]) -> Callable[[Array], bool]:
    def vote(y: Array) -> bool:
        return float(np.mean([rule(row) for row in y])) > 0.5

    return vote


def _ols(y: Array) -> bool:
    """Ordinary least squares: slope above zero, p < .05."""
    fit = stats.linregress(np.arange(y.size), y)
    return bool(fit.slope > 0 and fit.pvalue < 0.05)


def _mann_kendall(y: Array) -> bool:
    """Mann and Kendall's test: rising, p < .05."""
    found = stats.kendalltau(np.arange(y.size), y)
    return bool(found.statistic > 0 and found.pvalue < 0.05)


def _theil_sen(y: Array) -> bool:
    """Theil and Sen's slope: 95 % interval above zero."""
    x = np.arange(y.size)
    every = max(1, y.size // 150)
    return bool(stats.theilslopes(y[::every], x[::every], 0.95).low_slope > 0)


def _last_third(y: Array) -> bool:
    """Compare the last third's mean with the middle third's: above it by Welch's test, p < .05."""
    a, b, c = np.array_split(y, 3)
    del a
    return bool(stats.ttest_ind(c, b, equal_var=False, alternative="greater").pvalue < 0.05)


def _scalene(y: Array) -> bool:
    """As Scalene: rises against falls by the rule of succession, at .95, and growth over 1 %."""
    moves = np.diff(y)
    moves = moves[np.abs(moves) > 0.01 * abs(float(y.mean()))]
    rises, falls = int((moves > 0).sum()), int((moves < 0).sum())
    likely = 1 - (falls + 1) / (rises + falls + 2)
    return likely >= 0.95 and bool(y[-1] > 1.01 * y[0])


def _refleak(y: Array) -> bool:
    """As CPython's refleak: after a warm-up, every part of the run adds something."""
    parts = np.array([p.mean() for p in np.array_split(y[y.size // 5 :], 6)])
    moves = np.diff(parts)
    return bool((moves > 0).all() and moves.sum() > 0)


def _psutil(y: Array) -> bool:
    """As psutil's growing retries: longer and longer stretches keep growing by more."""
    ends = np.cumsum(np.arange(1, 6))
    ends = (ends / ends[-1] * (y.size - 1)).astype(int)
    gains = np.diff(y[np.r_[0, ends]])
    return bool((np.diff(gains) > 0).all() and (gains > 0).all())


PEERS: dict[str, Callable[[Array], bool]] = {
    "OLS slope, p < .05": _most(_ols),
    "Mann-Kendall, p < .05": _most(_mann_kendall),
    "Theil-Sen interval > 0": _most(_theil_sen),
    "last third > middle third": _most(_last_third),
    "Scalene's likelihood": _most(_scalene),
    "CPython's refleak": _most(_refleak),
    "psutil's growing retries": _most(_psutil),
}


def main() -> None:
    """Parse, apply, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="bytes after each step, comma-separated, a line a repeat")
    parser.add_argument(
        "--only", action="append", choices=PEERS, help="this rule only (may be given again)"
    )
    args = parser.parse_args()
    y = np.loadtxt(args.file, delimiter=",", ndmin=2)
    for name in args.only or PEERS:
        print(f"{name:28s} {'leak' if PEERS[name](y) else 'no leak'}")


if __name__ == "__main__":
    main()
