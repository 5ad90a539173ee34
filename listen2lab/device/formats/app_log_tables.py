"""A log's lines joined into tables: syntheses, breakdowns, evictions, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.formats.app_log_grammar import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.void]

__all__ = ["AT", "STARTS", "TABLES", "Tables", "are", "join_syntheses"]

TABLES = {
    "syntheses": (
        "paragraph", "ahead", "start_line", "end_line", "start_time", "end_time", "seconds",
        "memory_before", "memory_after", "audio_s", "failed",
    ),
    "totals": ("paragraph", "line", "time", "total_s", "synthesis_s", "alignment_s", "memory"),
    "evictions": ("paragraph", "line", "time", "alignment"),
    "breakdowns": (
        "line", "time", "paragraphs", "total", "audio_entries", "audio_cache",
        "alignment_entries", "alignment_cache", "synthesizing", "tasks", "unaccounted",
    ),
    "alignments": ("paragraph", "line", "time", "words", "audio_s"),
    "alignment hits": ("paragraph", "line", "time", "hits", "misses"),
}  # fmt: skip
"""Tables and their columns. Memory is in bytes, times are in seconds, ``ahead`` is 1 for a
synthesis ahead of playback and 0 for one on demand, ``paragraphs`` counts the syntheses done
before a breakdown; NaN stands for what the log does not say."""

AT = {name: {column: k for k, column in enumerate(names)} for name, names in TABLES.items()}
"""Where each column of a table stands."""

_NAN = float("nan")
_EXACT = {"line", "time", "memory", "seconds"}
STARTS = {Kind.START_ON_DEMAND: 0.0, Kind.START_PRE: 1.0}
"""Lines with which a synthesis begins, and whether it is ahead of playback."""
_ENDS = {Kind.DONE_ON_DEMAND: 0.0, Kind.DONE_PRE: 1.0, Kind.FAILED_PRE: 1.0}
_MOST_KINDS = 32
_MOST_AT_ONCE = 100
"""Syntheses that may run when one's audio is logged; among more it is not looked for."""


def are(rows: Rows, kinds: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Return which rows are of some kinds."""
    known = np.zeros(len(rows), dtype=bool)
    for kind in kinds:  # in place: a look-up would index by 8 bytes a line
        known |= rows["kind"] == kind
    return known


def _columns(rows: Rows, *names: str) -> Array:
    """Return some columns as a table; what was kept in 4 bytes is as it was printed."""
    return np.column_stack(
        [rows[name] if name in _EXACT else rows[name].astype(np.float64).round(3) for name in names]
    )


class Tables(dict[str, Any]):
    """A session's tables, each made when it is first asked for: most logs are asked for two."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows

    def __missing__(self, name: str) -> Array:
        """Make a table (see `TABLES`)."""
        rows = self._rows
        if name == "syntheses":
            table = join_syntheses(rows)
        elif name == "breakdowns":
            table = _join_breakdowns(rows)
        elif name == "evictions":
            evicted = rows[are(rows, (Kind.EVICTED_AUDIO, Kind.EVICTED_ALIGNMENT))]
            of_alignment = evicted["kind"] == Kind.EVICTED_ALIGNMENT
            table = np.column_stack(
                [_columns(evicted, "paragraph", "line", "time"), of_alignment.astype(np.float64)]
            )
        else:
            kind, *columns = _AS_LOGGED[name]
            table = _columns(rows[rows["kind"] == kind], *columns)
        self[name] = table
        return table


_AS_LOGGED: dict[str, tuple[Any, ...]] = {
    "totals": (
        Kind.TOTAL_TIME, "paragraph", "line", "time", "seconds", "extra", "count", "memory"
    ),
    "alignments": (Kind.ALIGNED, "paragraph", "line", "time", "count", "seconds"),
    "alignment hits": (Kind.ALIGNMENT_HIT, "paragraph", "line", "time", "count", "extra"),
}  # fmt: skip
"""Tables that are lines of one kind."""


def join_syntheses(rows: Rows) -> Array:
    """Join starts, ends and audio lengths by paragraph, in the order of their first lines.

    A start that is followed by another start of the same paragraph has no end; an end without a
    start has none.
    """
    out = _paired(rows)
    if not np.isfinite(out[:, 8]).any():
        out = _with_totals(out, rows[rows["kind"] == Kind.TOTAL_TIME])
    _add_samples(out, rows)
    if np.isnan(out[:, 9]).any():
        _add_aligned(out, rows[rows["kind"] == Kind.ALIGNED])
    return out


def _paired(rows: Rows) -> Array:
    """Join starts and ends.

    Column by column, and each row at once where it belongs: copies of whole lines, or of the
    table, would be most of what a long log costs.
    """
    picked = are(rows, (*STARTS, *_ENDS)).nonzero()[0].astype(np.uint32)
    kinds = rows["kind"][picked]
    ahead = (kinds != Kind.START_ON_DEMAND) & (kinds != Kind.DONE_ON_DEMAND)
    # Of each paragraph and mode, a start and the end right behind it belong together.
    order = np.lexsort((rows["line"][picked], ahead, rows["paragraph"][picked]))
    picked, ahead = picked[order], ahead[order]
    starts, paragraph = are(rows[["kind"]][picked], STARTS), rows["paragraph"][picked]
    del order, kinds
    has_end, orphan = np.zeros(len(picked), dtype=bool), ~starts
    has_end[:-1] = (paragraph[1:] == paragraph[:-1]) & (ahead[1:] == ahead[:-1])
    has_end[:-1] &= starts[:-1] & orphan[1:]
    orphan[1:] &= ~has_end[:-1]
    begun, orphans = starts.nonzero()[0], orphan.nonzero()[0]
    first = np.concatenate([begun, orphans])
    place = np.empty(len(first), dtype=np.intp)
    place[np.argsort(rows["line"][picked[first]], kind="stable")] = np.arange(len(first))
    out = np.full((len(first), 11), _NAN)
    out[place, 0], out[place, 1], out[:, 10] = paragraph[first], ahead[first], 0.0
    opening = picked[begun]
    for at, name in ((2, "line"), (4, "time"), (7, "memory")):
        out[place[: len(begun)], at] = rows[name][opening]
    which = np.concatenate([place[: len(begun)][has_end[begun]], place[len(begun) :]])
    closing = picked[np.concatenate([begun[has_end[begun]] + 1, orphans])]
    for at, name in ((3, "line"), (5, "time"), (6, "seconds"), (8, "memory")):
        out[which, at] = rows[name][closing]
    out[which, 10] = rows["kind"][closing] == Kind.FAILED_PRE
    return out


def _with_totals(out: Array, totals: Rows) -> Array:
    """Take the memory of the lines of total times, where no synthesis logs any.

    So a log of which only those lines were kept (``grep "final memory:"``) has its curve, too.
    """
    known: dict[float, Array] = {row[0]: row for row in out}
    new = []
    for total in totals[np.isfinite(totals["memory"])]:
        row = known.pop(float(total["paragraph"]), None)
        if row is None:
            row = np.full(out.shape[1], _NAN)
            row[[0, 1, 10]] = total["paragraph"], 0.0, 0.0
            row[[3, 5, 6]] = total["line"], total["time"], total["extra"]
            new.append(row)
        row[8] = total["memory"]
    return np.concatenate([out, np.array(new)]) if new else out


def _add_samples(out: Array, rows: Rows) -> None:
    """Give each synthesis the audio that was logged while it ran.

    Several at once log theirs without a paragraph: the one that began first gets the first.
    """
    complete = np.flatnonzero(np.isfinite(out[:, 2]) & np.isfinite(out[:, 3]))
    logged = np.flatnonzero((rows["kind"] == Kind.SYNTHESIZED) & (rows["extra"] > 0))
    if not len(complete) or not len(logged):
        return
    start, end = out[complete, 2], out[complete, 3]
    audio = rows["count"][logged] / rows["extra"][logged]
    line = rows["line"][logged]
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


def _add_aligned(out: Array, aligned: Rows) -> None:
    """Give a synthesis without audio the length that its alignment logged."""
    empty = np.flatnonzero(np.isnan(out[:, 9]))
    if not len(empty) or not len(aligned):
        return
    span = 1 + max(float(np.nanmax(out[:, 2:4], initial=0)), float(aligned["line"].max()))
    keys = aligned["paragraph"].astype(np.float64) * span + aligned["line"]
    order = np.argsort(keys)
    began = np.where(np.isnan(out[empty, 2]), out[empty, 3], out[empty, 2])
    at = np.searchsorted(keys[order], out[empty, 0] * span + began)
    good = at < len(order)
    found = aligned[order[np.minimum(at, len(order) - 1)]]
    good &= found["paragraph"] == out[empty, 0]
    out[empty[good], 9] = found["seconds"][good]


_PARTS = {
    Kind.TOTAL: (("total", "memory"),),
    Kind.AUDIO_CACHE: (("audio_entries", "count"), ("audio_cache", "memory")),
    Kind.ALIGNMENT_CACHE: (("alignment_entries", "count"), ("alignment_cache", "memory")),
    Kind.SYNTHESIZING: (("synthesizing", "count"),),
    Kind.TASKS: (("tasks", "count"),),
    Kind.UNACCOUNTED: (("unaccounted", "memory"),),
}


def _join_breakdowns(rows: Rows) -> Array:
    """Join the lines of each breakdown: a total begins one, and so does a part seen twice."""
    names = TABLES["breakdowns"]
    parts = np.flatnonzero(are(rows, _PARTS)).astype(np.uint32)
    if not len(parts):
        return np.empty((0, len(names)))
    kinds = rows["kind"][parts]
    group = np.cumsum(kinds == Kind.TOTAL, dtype=np.uint32)
    # A part seen twice: between two totals, that would be a line out of its place.
    pairs = np.sort(group * np.uint32(_MOST_KINDS) + kinds)
    if (pairs[1:] == pairs[:-1]).any():
        group = _by_repetition(kinds)
    begins = np.append(True, group[1:] != group[:-1])
    first, group = np.flatnonzero(begins), np.cumsum(begins, dtype=np.uint32) - 1
    out = np.full((len(first), len(names)), _NAN)
    out[:, 0], out[:, 1] = rows["line"][parts[first]], rows["time"][parts[first]]
    done = rows["line"][are(rows, (Kind.DONE_ON_DEMAND, Kind.DONE_PRE))]
    out[:, 2] = np.searchsorted(done, out[:, 0])
    for kind, columns in _PARTS.items():
        mine = kinds == kind
        for name, column in columns:
            out[group[mine], names.index(name)] = rows[column][parts[mine]]
    return out


def _by_repetition(kinds: Array) -> npt.NDArray[np.uint32]:
    """Return numbers of breakdowns whose lines are incomplete or out of order."""
    group = np.zeros(len(kinds), dtype=np.uint32)
    seen: set[float] = set()
    current = 0
    for k, kind in enumerate(kinds.tolist()):
        if kind == Kind.TOTAL or kind in seen:
            current += 1
            seen = set()
        seen.add(kind)
        group[k] = current
    return group
