"""The app's log as sessions, one a process, and each as tables: syntheses, breakdowns, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from listen2lab.device.formats.app_log import COLUMNS, read_applog
from listen2lab.device.formats.app_log_grammar import APP, Grammar, Kind
from listen2lab.device.formats.reading import Format
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

    Array = npt.NDArray[np.float64]

__all__ = ["FORMAT", "TABLES", "Session", "log_format", "split_sessions"]

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

_LINE, _TIME, _PID, _PARAGRAPH, _MEMORY, _SECONDS, _COUNT, _EXTRA, _OTHER = range(1, len(COLUMNS))
_NAN = float("nan")
_STARTS = {Kind.START_ON_DEMAND: 0.0, Kind.START_PRE: 1.0}
_ENDS = {Kind.DONE_ON_DEMAND: 0.0, Kind.DONE_PRE: 1.0, Kind.FAILED_PRE: 1.0}
_MOST_KINDS = 32
_PARTLY = (Kind.TOTAL, Kind.AUDIO_CACHE, Kind.ALIGNMENT_CACHE, Kind.UNACCOUNTED)
_FALLEN_BACK = 0.25
"""A restart begins below its first level plus this share of all that was above it."""
_FEWEST_SAME = 10
"""Two runs may begin with a few equal lines; with as many as these, they are one run."""
_MOST_AT_ONCE = 100
"""Syntheses that may run when one's audio is logged; among more it is not looked for."""


class Session(msgspec.Struct, frozen=True, eq=False):
    """One process's log.

    Attributes
    ----------
    source
        The file's name.
    number
        Which session of its file, from 0; more than one means that the app was restarted.
    began
        How it is known that this is another process than the one before: ``process`` (its id),
        ``counts-again`` or ``reads-again`` (with the line); None for the first one.
    pid
        As printed; 0 where no prefix prints one.
    rows
        The recognised lines: an array (see `listen2lab.device.formats.app_log.COLUMNS`).
    tables
        Name to array (see `TABLES`), one row a synthesis, eviction, ...
    """

    source: str
    number: int
    began: Notice | None
    pid: int
    rows: Any
    tables: dict[str, Any]

    def column(self, table: str, name: str) -> Array:
        """Return a column of a table."""
        column: Array = self.tables[table][:, TABLES[table].index(name)]
        return column

    def lines(self, name: str) -> Array:
        """Return a column of the recognised lines."""
        column: Array = self.rows[:, COLUMNS.index(name)]
        return column

    def frame(self, table: str) -> pd.DataFrame:
        """Return a table as a pandas frame."""
        import pandas as pd  # noqa: PLC0415 - heavy, and only for a notebook

        return pd.DataFrame(self.tables[table], columns=list(TABLES[table]))

    @property
    def beginning(self) -> bytes | None:
        """What two saves of one run of the app share; None where there is too little of it."""
        return None if len(self.rows) < _FEWEST_SAME else self._content(_FEWEST_SAME)

    def holds(self, other: Session) -> bool:
        """Return whether another session is a copy of this one, or of its beginning."""
        many = len(other.rows)
        return many <= len(self.rows) and self._content(many) == other._content(many)

    def _content(self, many: int) -> bytes:
        """Return the first lines, wherever they stand in their file."""
        content: bytes = np.nan_to_num(np.delete(self.rows[:many], _LINE, axis=1), nan=-1).tobytes()
        return content


def log_format(grammar: Grammar) -> Format:
    """Return the format of the log of an app that logs so."""

    def read(content: Content, tally: Tally) -> list[Session]:
        return split_sessions(read_applog(content.batches(tally), tally, grammar), tally.name)

    return Format("app-log", read, marks=grammar.tags, confirmed=grammar.head, counts=True)


FORMAT = log_format(APP)


def split_sessions(rows: Array, source: str) -> list[Session]:
    """Split a file's lines into processes, and join each one's into tables.

    Parameters
    ----------
    rows
        Of one file (see `listen2lab.device.formats.app_log.read_applog`).
    source
        Its name.

    Returns
    -------
    list of Session
        In the order of their first lines. A new process is known by its id in the console's
        prefix, by the alignment cache's counters that begin again, or by reading that begins
        again at the first paragraph with memory back near the first level.
    """
    pieces: list[tuple[Array, Notice | None]] = []
    pids = _filled(rows[:, _PID])
    for pid in dict.fromkeys(pids.tolist()):
        mine = rows if (pids == pid).all() else rows[pids == pid]
        began = Notice("process", {"pid": int(pid)}) if pid else None
        begin = 0
        for at, because in _restarts(mine):
            pieces.append((mine[begin:at], began))
            begin, began = at, because
        pieces.append((mine[begin:], began))
    pieces.sort(key=lambda piece: piece[0][0, _LINE])
    return [
        Session(source, k, began, int(np.nanmax(part[:, _PID])), part, _tables(part))
        for k, (part, began) in enumerate(pieces)
    ]


def _is(rows: Array, kinds: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Return which rows are of some kinds."""
    known = np.zeros(_MOST_KINDS, dtype=bool)
    known[list(kinds)] = True
    return known[rows[:, 0].astype(np.intp)]


def _filled(pids: Array) -> Array:
    """Give lines without a process id the one before them, or else the first one."""
    known = np.flatnonzero(pids)
    if not len(known):
        return pids
    at = np.searchsorted(known, np.arange(len(pids)), side="right") - 1
    return np.asarray(pids[known[np.maximum(at, 0)]])


def _restarts(rows: Array) -> list[tuple[int, Notice]]:
    """Return where another process begins without saying so, and why that is thought."""
    kinds = rows[:, 0]
    known = np.flatnonzero(~np.isnan(rows[:, _MEMORY]) & ~_is(rows, _PARTLY))
    starts = np.flatnonzero(_is(rows, _STARTS))
    hits = np.flatnonzero((kinds == Kind.ALIGNMENT_HIT) & ~np.isnan(rows[:, _EXTRA]))
    counts = rows[hits, _COUNT] + rows[hits, _EXTRA]
    again = set(hits[1:][np.diff(counts) < 0].tolist())
    back = starts[1:][np.diff(rows[starts, _PARAGRAPH]) < 0]
    found: list[tuple[int, Notice]] = []
    begin = 0
    for at in sorted(again | set(back.tolist())):
        first = np.searchsorted(starts, begin)
        if first == len(starts) or at <= starts[first]:
            continue  # nothing was read yet: this still belongs to the same process
        line = int(rows[at, _LINE])
        because = None
        if at in again:
            because = Notice("counts-again", {"line": line})
        elif kinds[at] == Kind.START_ON_DEMAND:
            before = known[max(np.searchsorted(known, at) - 1, 0)] if len(known) else at
            level, last, memory = (rows[k, _MEMORY] for k in (starts[first], before, at))
            paragraph = rows[at, _PARAGRAPH]
            low = level + _FALLEN_BACK * max(last - level, 0.0)
            begins = paragraph <= rows[starts[first], _PARAGRAPH] + 1
            if begins and memory <= low and memory < 0.9 * last:
                because = Notice("reads-again", {"line": line, "paragraph": int(paragraph)})
        if because is not None:
            # A breakdown that stands right before the first start belongs to the new process.
            while at > begin and kinds[at - 1] >= Kind.TOTAL:
                at -= 1  # noqa: PLW2901 - the boundary moves to the breakdown's first line
            found.append((at, because))
            begin = at
    return found


def _tables(rows: Array) -> dict[str, Array]:
    kinds = rows[:, 0]
    syntheses = _join_syntheses(rows)
    evicted = rows[_is(rows, (Kind.EVICTED_AUDIO, Kind.EVICTED_ALIGNMENT))]
    totals, aligned, hits = (
        rows[kinds == kind] for kind in (Kind.TOTAL_TIME, Kind.ALIGNED, Kind.ALIGNMENT_HIT)
    )
    return {
        "syntheses": syntheses,
        "totals": totals[:, [_PARAGRAPH, _LINE, _TIME, _SECONDS, _EXTRA, _OTHER, _MEMORY]],
        "evictions": np.column_stack(
            [evicted[:, [_PARAGRAPH, _LINE, _TIME]], evicted[:, 0] == Kind.EVICTED_ALIGNMENT]
        ),
        "breakdowns": _join_breakdowns(rows),
        "alignments": aligned[:, [_PARAGRAPH, _LINE, _TIME, _COUNT, _SECONDS]],
        "alignment hits": hits[:, [_PARAGRAPH, _LINE, _TIME, _COUNT, _EXTRA]],
    }


def _join_syntheses(rows: Array) -> Array:
    """Join starts, ends and audio lengths by paragraph, in the order of their first lines.

    A start that is followed by another start of the same paragraph has no end; an end without a
    start has none.
    """
    some = rows[_is(rows, (*_STARTS, *_ENDS))]
    is_start = _is(some, _STARTS)
    mode = np.zeros(len(some))
    for kind, value in {**_STARTS, **_ENDS}.items():
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


def _join_breakdowns(rows: Array) -> Array:
    """Join the lines of each breakdown: a total begins one, and so does a part seen twice."""
    names = TABLES["breakdowns"]
    parts = rows[_is(rows, _PARTS)]
    if not len(parts):
        return np.empty((0, len(names)))
    group = np.cumsum(parts[:, 0] == Kind.TOTAL)
    pairs = group * 100 + parts[:, 0].astype(np.int64)
    if len(np.unique(pairs)) < len(pairs):
        group = _by_repetition(parts[:, 0])
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    out = np.full((len(first), len(names)), _NAN)
    out[:, 0], out[:, 1] = parts[first, _LINE], parts[first, _TIME]
    done = rows[_is(rows, (Kind.DONE_ON_DEMAND, Kind.DONE_PRE)), _LINE]
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
