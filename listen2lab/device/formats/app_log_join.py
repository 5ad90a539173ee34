"""Lines joined into syntheses and breakdowns, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from listen2lab.device.formats.app_log import COLUMNS
from listen2lab.device.formats.app_log_grammar import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["join_breakdowns", "join_syntheses"]

_LINE, _TIME, _PID, _PARAGRAPH, _MEMORY, _SECONDS, _COUNT, _EXTRA, _OTHER = range(1, len(COLUMNS))
_NAN = float("nan")
_MOST_AT_ONCE = 100
"""Syntheses that may run when one's audio is logged; among more it is not looked for."""


def join_syntheses(rows: Array, *, ahead: Mapping[int, float], ends: Mapping[int, float]) -> Array:
    """Join starts, ends and audio lengths by paragraph.

    Parameters
    ----------
    rows
        Lines of one process (see `listen2lab.device.formats.app_log.Events`).
    ahead, ends
        Kinds of lines that begin and end a synthesis, to whether it is one ahead of playback.

    Returns
    -------
    ndarray
        One row a synthesis, in the order of their first lines: the columns of the table
        ``syntheses`` (see `listen2lab.device.sessions.TABLES`). A start that is followed by
        another start of the same paragraph has no end; an end without a start has none.
    """
    some = rows[np.isin(rows[:, 0], (*ahead, *ends))]
    is_start = np.isin(some[:, 0], tuple(ahead))
    mode = np.zeros(len(some))
    for kind, value in {**ahead, **ends}.items():
        mode[some[:, 0] == kind] = value
    # Of each paragraph and mode, a start and the end right behind it belong together.
    order = np.lexsort((some[:, _LINE], mode, some[:, _PARAGRAPH]))
    paragraph, modes, starts = some[order, _PARAGRAPH], mode[order], is_start[order]
    same = (paragraph[1:] == paragraph[:-1]) & (modes[1:] == modes[:-1])
    pair = same & starts[:-1] & ~starts[1:]
    has_end, has_start = np.append(pair, False), np.append(False, pair)
    begun = np.flatnonzero(starts)
    orphans = np.flatnonzero(~starts & ~has_start)
    first = np.concatenate([begun, orphans])
    out = np.full((len(first), 11), _NAN)
    out[:, 0], out[:, 1], out[:, 10] = paragraph[first], modes[first], 0.0
    n = len(begun)
    opening = some[order[begun]]
    out[:n, 2], out[:n, 4], out[:n, 7] = opening[:, _LINE], opening[:, _TIME], opening[:, _MEMORY]
    which = np.concatenate([np.flatnonzero(has_end[begun]), np.arange(n, len(first))])
    closing = some[order[np.concatenate([begun[has_end[begun]] + 1, orphans])]]
    out[which, 3], out[which, 5] = closing[:, _LINE], closing[:, _TIME]
    out[which, 6], out[which, 8] = closing[:, _SECONDS], closing[:, _MEMORY]
    out[which, 10] = closing[:, 0] == Kind.FAILED_PRE
    out = out[np.argsort(np.where(np.isnan(out[:, 2]), out[:, 3], out[:, 2]), kind="stable")]
    if not np.isfinite(out[:, 8]).any():
        out = _with_totals(out, rows[rows[:, 0] == Kind.TOTAL_TIME])
    _add_samples(out, rows[rows[:, 0] == Kind.SYNTHESIZED])
    _add_aligned(out, rows[rows[:, 0] == Kind.ALIGNED])
    return out


def _with_totals(out: Array, totals: Array) -> Array:
    """Take the memory of the lines of total times, where no synthesis logs any.

    So a log of which only those lines were kept (``grep "final memory:"``) has its curve, too.
    """
    rows: dict[float, Array] = {row[0]: row for row in out}
    new = []
    for total in totals[np.isfinite(totals[:, _MEMORY])]:
        row = rows.pop(total[_PARAGRAPH], None)
        if row is None:
            row = np.full(out.shape[1], _NAN)
            row[[0, 1, 10]] = total[_PARAGRAPH], 0.0, 0.0
            row[[3, 5, 6]] = total[_LINE], total[_TIME], total[_EXTRA]
            new.append(row)
        row[8] = total[_MEMORY]
    return np.concatenate([out, np.array(new)]) if new else out


def _add_samples(out: Array, logged: Array) -> None:
    """Give each synthesis the audio that was logged while it ran.

    Several at once log theirs without a paragraph: the one that began first gets the first.
    """
    complete = np.flatnonzero(np.isfinite(out[:, 2]) & np.isfinite(out[:, 3]))
    logged = logged[logged[:, _EXTRA] > 0]
    if not len(complete) or not len(logged):
        return
    start, end = out[complete, 2], out[complete, 3]
    audio = logged[:, _COUNT] / logged[:, _EXTRA]
    line = logged[:, _LINE]
    at = np.searchsorted(start, line) - 1
    running = at + 1 - np.searchsorted(np.sort(end), line)
    alone = (running == 1) & (at >= 0) & (end[np.maximum(at, 0)] > line)
    # Reversed, so that of two logged in one synthesis the first one stays.
    out[complete[at[alone]][::-1], 9] = audio[alone][::-1]
    for k in np.flatnonzero((running > 0) & ~alone).tolist():
        near = complete[max(0, at[k] + 1 - _MOST_AT_ONCE) : at[k] + 1]
        waiting = near[(out[near, 3] > line[k]) & np.isnan(out[near, 9])]
        if len(waiting):
            out[waiting[0], 9] = audio[k]


def _add_aligned(out: Array, aligned: Array) -> None:
    """Give a synthesis without audio the length that its alignment logged."""
    empty = np.flatnonzero(np.isnan(out[:, 9]))
    if not len(empty) or not len(aligned):
        return
    span = 1 + max(float(np.nanmax(out[:, 2:4], initial=0)), float(aligned[:, _LINE].max()))
    keys = aligned[:, _PARAGRAPH] * span + aligned[:, _LINE]
    order = np.argsort(keys)
    began = np.where(np.isnan(out[empty, 2]), out[empty, 3], out[empty, 2])
    at = np.searchsorted(keys[order], out[empty, 0] * span + began)
    good = at < len(order)
    found = aligned[order[np.minimum(at, len(order) - 1)]]
    good &= found[:, _PARAGRAPH] == out[empty, 0]
    out[empty[good], 9] = found[good, _SECONDS]


_PARTS = {
    Kind.TOTAL: (("total", _MEMORY),),
    Kind.AUDIO_CACHE: (("audio_entries", _COUNT), ("audio_cache", _MEMORY)),
    Kind.ALIGNMENT_CACHE: (("alignment_entries", _COUNT), ("alignment_cache", _MEMORY)),
    Kind.SYNTHESIZING: (("synthesizing", _COUNT),),
    Kind.TASKS: (("tasks", _COUNT),),
    Kind.UNACCOUNTED: (("unaccounted", _MEMORY),),
}


def join_breakdowns(rows: Array, names: Sequence[str]) -> Array:
    """Join the lines of each breakdown: a total begins one, and so does a part seen twice.

    Parameters
    ----------
    rows
        Lines of one process.
    names
        The columns of the result.
    """
    parts = rows[np.isin(rows[:, 0], tuple(_PARTS))]
    if not len(parts):
        return np.empty((0, len(names)))
    group = np.cumsum(parts[:, 0] == Kind.TOTAL)
    pairs = group * 100 + parts[:, 0].astype(np.int64)
    if len(np.unique(pairs)) < len(pairs):
        group = _by_repetition(parts[:, 0])
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    out = np.full((len(first), len(names)), _NAN)
    out[:, 0], out[:, 1] = parts[first, _LINE], parts[first, _TIME]
    done = rows[np.isin(rows[:, 0], (Kind.DONE_ON_DEMAND, Kind.DONE_PRE)), _LINE]
    out[:, 2] = np.searchsorted(done, out[:, 0])
    for kind, columns in _PARTS.items():
        mine = parts[:, 0] == kind
        for name, column in columns:
            out[group[mine], names.index(name)] = parts[mine, column]
    return out


def _by_repetition(kinds: Array) -> npt.NDArray[np.intp]:
    """Return numbers of breakdowns whose lines are incomplete or out of order."""
    group = np.zeros(len(kinds), dtype=np.intp)
    seen: set[float] = set()
    current = 0
    for k, kind in enumerate(kinds.tolist()):
        if kind == Kind.TOTAL or kind in seen:
            current += 1
            seen = set()
        seen.add(kind)
        group[k] = current
    return group
