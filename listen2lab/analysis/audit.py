"""What in the way a run was made withdraws its verdict: flags and plain arrays in, codes out.

What the series themselves show (too few steps, not settled, repeats that disagree, noise) is
found by `judge`; here stands what only the run knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.analysis import _thresholds as limits
from listen2lab.analysis._reasons import Reason
from listen2lab.analysis._series import matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.analysis._noise import Array

__all__ = ["audit", "inputs_sorted"]


def audit(
    *,
    steps_done: int | None = None,
    steps_failed: int = 0,
    work_done: Any = None,
    swapped: Any = None,
    pressure: bool = False,
    traced: bool = False,
    sizes: Any = None,
    caches: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Reason, ...]:
    """Return the codes that withdraw a verdict, for `judge(..., audit=...)`.

    Parameters
    ----------
    steps_done, steps_failed
        Steps that ran, and how many of them failed; all failed is nothing done.
    work_done
        What each step produced (samples, characters, anything countable); all zero is nothing.
    swapped
        Bytes swapped out at each sample; a growing number withdraws.
    pressure
        The system was short of memory during the run.
    traced
        A memory tracer ran in the process.
    sizes
        Input sizes, in the order of the steps (see `inputs_sorted`).
    caches
        For each bounded cache: entries held at the end, and its capacity.

    Returns
    -------
    tuple of Reason
        Empty where nothing speaks against the run.
    """
    out = []
    idle = steps_done is not None and steps_done - steps_failed <= 0
    if work_done is not None:
        work = matrix(work_done, "work_done")
        idle = idle or not work.size or not np.nan_to_num(work).any()
    if idle:
        out.append(Reason.NOTHING_MEASURED)
    if swapped is not None:
        swap = matrix(swapped, "swapped")
        if swap.size and np.nanmax(swap, initial=0.0) > np.nanmin(swap, initial=np.inf):
            out.append(Reason.SWAPPED)
    if pressure:
        out.append(Reason.MEMORY_PRESSURE)
    if traced:
        out.append(Reason.TRACED)
    if sizes is not None and inputs_sorted(sizes):
        out.append(Reason.SORTED_INPUTS)
    if any(held < capacity for held, capacity in (caches or {}).values()):
        out.append(Reason.CACHE_NEVER_FULL)
    return tuple(out)


def inputs_sorted(sizes: Any) -> bool:
    """Return whether inputs grow along the run, by Spearman's rank correlation with time.

    Parameters
    ----------
    sizes
        One row, or one for each repeat.

    Returns
    -------
    bool
        True if the median repeat's correlation exceeds `limits.SORTED`.
    """
    values = matrix(sizes, "sizes")
    if values.shape[1] < limits.FEWEST_STEPS:
        return False
    found = []
    for row in values:
        x = row[np.isfinite(row)]
        if x.size > 2 and np.ptp(x) > 0:
            found.append(float(np.corrcoef(np.arange(x.size), _ranks(x))[0, 1]))
    return bool(found) and float(np.median(found)) > limits.SORTED


def _ranks(x: Array) -> Array:
    """Return ranks; equal values share theirs (the mean of both orders of breaking ties)."""
    forward, backward = np.empty(x.size), np.empty(x.size)
    forward[np.argsort(x, kind="stable")] = np.arange(x.size)
    backward[x.size - 1 - np.argsort(x[::-1], kind="stable")] = np.arange(x.size)
    return (forward + backward) / 2
