"""What in the way a run was made withdraws its verdict: flags and plain arrays in, codes out.

What the series themselves show (too few steps, not settled, repeats that disagree, noise) is
found by `judge`; here stands what only the run knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.reasons import Reason
from listen2lab.verdict.series import Array, matrix, median

__all__ = ["audit", "inputs_sorted"]


def audit(
    *,
    steps_done: int | None = None,
    steps_failed: int = 0,
    work_done: Any = None,
    swapped: Any = None,
    pressure: bool = False,
    sizes: Any = None,
    live_unknown: bool = False,
) -> tuple[Reason, ...]:
    """Return codes for `judge(..., audit=...)`: what withdraws a verdict, or what it cannot tell.

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
    sizes
        Input sizes, in the order of the steps (see `inputs_sorted`).
    live_unknown
        malloc's live bytes could not be read.

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
    if sizes is not None and inputs_sorted(sizes):
        out.append(Reason.SORTED_INPUTS)
    if live_unknown:
        out.append(Reason.LIVE_BYTES_UNKNOWN)
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
    whole = np.isfinite(values).all()
    rows = [values] if whole else [row[None, np.isfinite(row)] for row in values]
    found = np.concatenate([_rank_correlations(each) for each in rows])
    return bool(found.size) and median(found) > limits.SORTED


def _rank_correlations(rows: Array) -> Array:
    """Return the rank correlation with time of each row that is not constant."""
    n = rows.shape[1]
    if n < 3:
        return np.zeros(0)
    rows = rows[rows.max(axis=1) > rows.min(axis=1)]
    ranks = _ranks(rows) - (n + 1) / 2
    time = np.arange(n) - (n - 1) / 2
    return np.asarray(ranks @ time / np.sqrt((time @ time) * (ranks * ranks).sum(axis=1)))


def _ranks(rows: Array) -> Array:
    """Return each value's rank in its row from 1; equal ones share the mean of theirs."""
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    places = np.arange(rows.shape[1])
    rises = ordered[:, 1:] > ordered[:, :-1]
    edge = np.ones((len(rows), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, rises]), places, 0), axis=1)
    ends = np.where(np.hstack([rises, edge]), places, rows.shape[1])
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    out = np.empty(rows.shape)
    np.put_along_axis(out, order, (first + last) / 2 + 1, axis=1)
    return out
