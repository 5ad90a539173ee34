"""The app's log as sessions, one a process, and each as tables: syntheses, breakdowns, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from listen2lab.device.formats.app_log import read_applog
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
    Rows = npt.NDArray[np.void]

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
        The recognised lines: an array (see `listen2lab.device.formats.app_log.ROW`).
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
        column: Array = self.rows[name]
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
        some = self.rows[:many].copy()
        some["line"] = 0
        content: bytes = some.tobytes()
        return content


def log_format(grammar: Grammar) -> Format:
    """Return the format of the log of an app that logs so."""

    def read(content: Content, tally: Tally) -> list[Session]:
        return split_sessions(read_applog(content.batches(tally), tally, grammar), tally.name)

    return Format("app-log", read, marks=grammar.tags, confirmed=grammar.head, counts=True)


FORMAT = log_format(APP)


def split_sessions(rows: Rows, source: str) -> list[Session]:
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
    pieces: list[tuple[Rows, Notice | None]] = []
    for mine in _by_process(rows):
        pid = int(mine["pid"].max())
        began = Notice("process", {"pid": pid}) if pid else None
        begin = 0
        for at, because in _restarts(mine):
            pieces.append((mine[begin:at], began))
            begin, began = at, because
        pieces.append((mine[begin:], began))
    pieces.sort(key=lambda piece: int(piece[0]["line"][0]))
    return [
        Session(source, k, began, int(part["pid"].max()), part, _tables(part))
        for k, (part, began) in enumerate(pieces)
    ]


def _by_process(rows: Rows) -> list[Rows]:
    """Return each process's lines, by the ids that are printed."""
    pids = _filled(rows["pid"])
    if not len(rows) or (pids == pids[0]).all():
        return [rows] if len(rows) else []
    order = np.argsort(pids, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(pids[order])) + 1)


def _columns(rows: Rows, *names: str) -> Array:
    """Return some columns as a table."""
    return np.column_stack([rows[name].astype(np.float64) for name in names])


def _is(rows: Rows, kinds: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Return which rows are of some kinds."""
    known = np.zeros(_MOST_KINDS, dtype=bool)
    known[list(kinds)] = True
    return np.asarray(known[rows["kind"]])


def _filled(pids: Array) -> Array:
    """Give lines without a process id the one before them, or else the first one."""
    known = np.flatnonzero(pids)
    if not len(known):
        return pids
    at = np.searchsorted(known, np.arange(len(pids)), side="right") - 1
    return np.asarray(pids[known[np.maximum(at, 0)]])


def _restarts(rows: Rows) -> list[tuple[int, Notice]]:
    """Return where another process begins without saying so, and why that is thought."""
    kinds = rows["kind"]
    known = np.flatnonzero(~np.isnan(rows["memory"]) & ~_is(rows, _PARTLY))
    starts = np.flatnonzero(_is(rows, _STARTS))
    hits = np.flatnonzero((kinds == Kind.ALIGNMENT_HIT) & ~np.isnan(rows["extra"]))
    counts = rows["count"][hits] + rows["extra"][hits]
    again = set(hits[1:][np.diff(counts) < 0].tolist())
    back = starts[1:][np.diff(rows["paragraph"][starts]) < 0]
    found: list[tuple[int, Notice]] = []
    begin = 0
    for at in sorted(again | set(back.tolist())):
        first = np.searchsorted(starts, begin)
        if first == len(starts) or at <= starts[first]:
            continue  # nothing was read yet: this still belongs to the same process
        line = int(rows["line"][at])
        because = None
        if at in again:
            because = Notice("counts-again", {"line": line})
        elif kinds[at] == Kind.START_ON_DEMAND:
            before = known[max(np.searchsorted(known, at) - 1, 0)] if len(known) else at
            level, last, memory = (rows["memory"][k] for k in (starts[first], before, at))
            paragraph = rows["paragraph"][at]
            low = level + _FALLEN_BACK * max(last - level, 0.0)
            begins = paragraph <= rows["paragraph"][starts[first]] + 1
            if begins and memory <= low and memory < 0.9 * last:
                because = Notice("reads-again", {"line": line, "paragraph": int(paragraph)})
        if because is not None:
            # A breakdown that stands right before the first start belongs to the new process.
            while at > begin and kinds[at - 1] >= Kind.TOTAL:
                at -= 1  # noqa: PLW2901 - the boundary moves to the breakdown's first line
            found.append((at, because))
            begin = at
    return found


def _tables(rows: Rows) -> dict[str, Array]:
    kinds = rows["kind"]
    syntheses = _join_syntheses(rows)
    evicted = rows[_is(rows, (Kind.EVICTED_AUDIO, Kind.EVICTED_ALIGNMENT))]
    totals, aligned, hits = (
        rows[kinds == kind] for kind in (Kind.TOTAL_TIME, Kind.ALIGNED, Kind.ALIGNMENT_HIT)
    )
    return {
        "syntheses": syntheses,
        "totals": _columns(
            totals, "paragraph", "line", "time", "seconds", "extra", "other", "memory"
        ),
        "evictions": np.column_stack(
            [
                _columns(evicted, "paragraph", "line", "time"),
                evicted["kind"] == Kind.EVICTED_ALIGNMENT,
            ]
        ),
        "breakdowns": _join_breakdowns(rows),
        "alignments": _columns(aligned, "paragraph", "line", "time", "count", "seconds"),
        "alignment hits": _columns(hits, "paragraph", "line", "time", "count", "extra"),
    }


def _join_syntheses(rows: Rows) -> Array:
    """Join starts, ends and audio lengths by paragraph, in the order of their first lines.

    A start that is followed by another start of the same paragraph has no end; an end without a
    start has none.
    """
    some = rows[_is(rows, (*_STARTS, *_ENDS))]
    is_start = _is(some, _STARTS)
    mode = np.zeros(len(some))
    for kind, value in {**_STARTS, **_ENDS}.items():
        mode[some["kind"] == kind] = value
    # Of each paragraph and mode, a start and the end right behind it belong together.
    order = np.lexsort((some["line"], mode, some["paragraph"]))
    paragraph, modes, starts = some["paragraph"][order], mode[order], is_start[order]
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
    out[:n, 2], out[:n, 4], out[:n, 7] = opening["line"], opening["time"], opening["memory"]
    which = np.concatenate([np.flatnonzero(has_end[begun]), np.arange(n, len(first))])
    closing = some[order[np.concatenate([begun[has_end[begun]] + 1, orphans])]]
    out[which, 3], out[which, 5] = closing["line"], closing["time"]
    out[which, 6], out[which, 8] = closing["seconds"], closing["memory"]
    out[which, 10] = closing["kind"] == Kind.FAILED_PRE
    out = out[np.argsort(np.where(np.isnan(out[:, 2]), out[:, 3], out[:, 2]), kind="stable")]
    if not np.isfinite(out[:, 8]).any():
        out = _with_totals(out, rows[rows["kind"] == Kind.TOTAL_TIME])
    _add_samples(out, rows[rows["kind"] == Kind.SYNTHESIZED])
    _add_aligned(out, rows[rows["kind"] == Kind.ALIGNED])
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


def _add_samples(out: Array, logged: Rows) -> None:
    """Give each synthesis the audio that was logged while it ran.

    Several at once log theirs without a paragraph: the one that began first gets the first.
    """
    complete = np.flatnonzero(np.isfinite(out[:, 2]) & np.isfinite(out[:, 3]))
    logged = logged[logged["extra"] > 0]
    if not len(complete) or not len(logged):
        return
    start, end = out[complete, 2], out[complete, 3]
    audio = logged["count"] / logged["extra"]
    line = logged["line"]
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
    parts = rows[_is(rows, _PARTS)]
    if not len(parts):
        return np.empty((0, len(names)))
    group = np.cumsum(parts["kind"] == Kind.TOTAL)
    pairs = group * 100 + parts["kind"].astype(np.int64)
    if len(np.unique(pairs)) < len(pairs):
        group = _by_repetition(parts["kind"])
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    out = np.full((len(first), len(names)), _NAN)
    out[:, 0], out[:, 1] = parts["line"][first], parts["time"][first]
    done = rows["line"][_is(rows, (Kind.DONE_ON_DEMAND, Kind.DONE_PRE))]
    out[:, 2] = np.searchsorted(done, out[:, 0])
    for kind, columns in _PARTS.items():
        mine = parts["kind"] == kind
        for name, column in columns:
            out[group[mine], names.index(name)] = parts[column][mine]
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
