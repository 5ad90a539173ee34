"""From what the user gives to rows that can be judged: checked, thinned, without stray spikes."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from listen2lab.errors import InputError
from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.reasons import Reason

__all__ = ["Array", "Rows", "matrix", "median", "prepare", "row_medians"]

Array: TypeAlias = NDArray[Any]


class Rows(NamedTuple):
    """Repeats of one condition, ready to be judged.

    Attributes
    ----------
    y
        Bytes, shape (repeats, samples), NaN where a sample is missing.
    sizes
        Input sizes, same shape, no NaN; None where they are unknown or all the same.
    distinct
        Number of distinct inputs seen so far, same shape; None where unknown or always new.
    steps
        Steps of the longest repeat.
    every
        Steps that were averaged into one sample.
    grain
        The smallest difference that the bytes can show: a page for resident memory.
    notes
        What was seen while reading.
    """

    y: Array
    sizes: Array | None
    distinct: Array | None
    steps: int
    every: int
    grain: float
    notes: tuple[Reason, ...] = ()

    @property
    def u(self) -> Array:
        """Times of the samples, the run being [0, 1]."""
        return (np.arange(self.y.shape[1]) + 0.5) * (self.every / self.steps)


def matrix(values: Any, what: str) -> Array:
    """Return values as floats of shape (repeats, steps), short rows filled up with NaN.

    Raises
    ------
    InputError
        The values are not numbers, or have more than two dimensions.
    """
    try:
        if hasattr(values, "ndim") or np.isscalar(values):
            array = _real(values)
        else:
            rows = [_real(row) for row in values]
            if all(row.ndim == 0 for row in rows):
                array = np.array(rows, dtype=float)
            elif all(row.ndim == 1 for row in rows):
                array = np.full((len(rows), max(row.size for row in rows)), np.nan)
                for i, row in enumerate(rows):
                    array[i, : row.size] = row
            else:
                array = np.empty((0, 0, 0))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} cannot be read as numbers ({error}); nothing was judged; "
            "give bytes of shape (repeats, steps), or a list of rows"
        ) from error
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2:
        raise InputError(
            f"{what} has {array.ndim} dimensions, not two; nothing was judged; "
            "give bytes of shape (repeats, steps), or a list of rows"
        )
    return np.where(np.abs(array) < limits.MOST_BYTES, array, np.nan)


def _real(values: Any) -> Array:
    if np.iscomplexobj(values):
        raise TypeError("complex numbers")
    return np.asarray(values, dtype=float)


def row_medians(x: Array) -> Array:
    """Return the median of each row as a column, NaN left out; NaN for a row of them."""
    if x.shape[1] and not np.isnan(x).any():
        ordered = np.sort(x, axis=1)
        at = x.shape[1] // 2
        return np.asarray((ordered[:, -at - 1, None] + ordered[:, at, None]) / 2)
    rows = [row[np.isfinite(row)] for row in x]
    return np.array([[median(row) if row.size else np.nan] for row in rows])


def median(x: Array) -> float:
    """Return the median of all values, none of which is NaN; numpy's own takes ten times longer."""
    ordered = np.sort(x, axis=None)
    at = ordered.size // 2
    return float((ordered[-at - 1] + ordered[at]) / 2)


def prepare(y: Any, sizes: Any = None, shapes: Any = None) -> Rows:
    """Check and read what the user gave.

    Parameters
    ----------
    y
        Bytes, shape (repeats, steps), or rows of unequal length; NaN where a sample is missing.
    sizes, shapes
        Input size, and number that names the input's shape, of each step: same shape, or one row.

    Returns
    -------
    Rows
        Repeats without any sample are dropped.

    Raises
    ------
    InputError
        Not numbers, more than two dimensions, or lengths that do not match.
    """
    values = matrix(y, "y")
    size, shape = (
        None if given is None else _covariate(given, values.shape, name)
        for name, given in (("sizes", sizes), ("shapes", shapes))
    )
    notes = []
    seen = np.isfinite(values)
    keep = seen.any(axis=1)
    if not keep.all():
        notes.append(Reason.REPEAT_EMPTY)
    steps = int(np.flatnonzero(seen.any(axis=0)).max(initial=-1)) + 1
    values, seen = values[keep, :steps], seen[keep, :steps]
    size, shape = (None if x is None else x[keep, :steps] for x in (size, shape))
    if (values < 0).any():
        notes.append(Reason.NEGATIVE_VALUES)
    if size is not None and size.size and np.ptp(size) == 0:
        size = None
    distinct = None
    if shape is not None and steps:
        distinct = _distinct_so_far(shape)
        if steps > 1 and bool(np.all(np.diff(distinct, axis=1) == 1)):
            notes.append(Reason.EVERY_INPUT_NEW)
            distinct = None
    ends = steps - np.argmax(seen[:, ::-1], axis=1) if steps else np.zeros(1)
    if steps >= limits.FEWEST_STEPS and 1 - seen.sum() / ends.sum() > limits.MOST_MISSING:
        notes.append(Reason.MANY_MISSING)
    if steps:
        values = _cleaned(values)
    every = max(1, -(-steps // limits.MOST_SAMPLES))
    grain = _grain(values)
    if every > 1:
        notes.append(Reason.THINNED)
        values = _averaged(values, every)
        size = None if size is None else _block(size, every, np.nanmax)
        distinct = None if distinct is None else _block(distinct, every, np.nanmean)
    return Rows(values, size, distinct, steps, every, grain, tuple(notes))


def _covariate(given: Any, shape: tuple[int, ...], name: str) -> Array | None:
    array = matrix(given, name)
    if array.shape[0] not in {1, shape[0]} or array.shape[1] != shape[1]:
        raise InputError(
            f"{name} has shape {array.shape} and y has {shape}; nothing was judged; "
            "give one value a step, in one row or in one row for each repeat"
        )
    if np.isnan(array).all():
        return None
    array = np.where(np.isnan(array), np.nanmedian(array), array)
    return np.broadcast_to(array, shape).copy()


def _distinct_so_far(shapes: Array) -> Array:
    out = np.zeros_like(shapes)
    for row, seen in zip(shapes, out, strict=True):
        seen[np.unique(row, return_index=True)[1]] = 1
    return np.cumsum(out, axis=1)


def _cleaned(values: Array) -> Array:
    if np.isfinite(values).all():
        return _without_spikes(values)
    out = values.copy()
    for row in out:
        there = np.isfinite(row)
        row[there] = _without_spikes(row[None, there])[0]
    return out


def _without_spikes(x: Array) -> Array:
    """Replace samples that stand out from both neighbours by far; steps and teeth stay."""
    if x.shape[1] < limits.FEWEST_STEPS:
        return x
    moves = np.diff(x, axis=1)
    width = x.max(axis=1, keepdims=True) - x.min(axis=1, keepdims=True)
    sizes = np.abs(moves)
    far = sizes > limits.SPIKE * np.maximum(1.4826 * row_medians(sizes), 1e-3 * width)
    del sizes
    up, spike = moves > 0, np.zeros(x.shape, dtype=bool)
    spike[:, 1:-1] = far[:, :-1] & far[:, 1:] & (up[:, :-1] != up[:, 1:])
    # Where much of the series jumps to and fro, that is its nature and no stray sample.
    many = spike.sum(axis=1) + far[:, [0, -1]].sum(axis=1)
    spike &= (many / x.shape[1] <= limits.MOST_SPIKES)[:, None]
    if not spike.any():
        return x
    which, at = np.nonzero(spike)
    out = x.copy()
    out[which, at] -= (moves[which, at - 1] - moves[which, at]) / 2
    return out


def _grain(values: Array) -> float:
    """Return the largest power of two, up to a page, that divides every value; 1 for floats."""
    x = values[np.isfinite(values)]
    if not x.size or np.any(x != np.round(x)) or np.abs(x).max() > 2.0**52:
        return 1.0
    for grain in (4096.0, 1024.0, 16.0):
        if np.all(np.remainder(x, grain) == 0):
            return grain
    return 1.0


def _averaged(values: Array, every: int) -> Array:
    """Average neighbours; where they jump, keep the last, so that a step stays a step."""
    mean, last = _block(values, every, np.nanmean), _block(values, every, _last)
    apart = np.abs(last - mean)
    return np.where(apart > limits.SPIKE * row_medians(apart), last, mean)


def _last(blocks: Array, axis: int) -> Array:
    there = np.isfinite(blocks)
    at = blocks.shape[axis] - 1 - np.argmax(there[..., ::-1], axis=axis)
    return np.take_along_axis(blocks, at[..., None], axis=axis)[..., 0]


def _block(values: Array, every: int, reduce: Any) -> Array:
    repeats, steps = values.shape
    full = -(-steps // every)
    padded = np.full((repeats, full * every), np.nan)
    padded[:, :steps] = values
    blocks = padded.reshape(repeats, full, every)
    empty = np.isnan(blocks).all(axis=2)
    blocks[empty] = 0.0
    out = np.asarray(reduce(blocks, axis=2))
    out[empty] = np.nan
    return out
