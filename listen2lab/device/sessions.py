"""One process's log as tables: syntheses, totals, evictions, breakdowns, alignments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.device.formats.app_log import COLUMNS, Events
from listen2lab.device.formats.app_log_grammar import Kind
from listen2lab.device.formats.app_log_join import join_breakdowns, join_syntheses

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Array = npt.NDArray[np.float64]

__all__ = ["TABLES", "Session", "split_sessions"]

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
_PARTLY = (Kind.TOTAL, Kind.AUDIO_CACHE, Kind.ALIGNMENT_CACHE, Kind.UNACCOUNTED)
_FALLEN_BACK = 0.25
"""A restart begins below its first level plus this share of all that was above it."""

_FEWEST_SAME = 10
"""Two runs may begin with a few equal lines; with as many as these, they are one run."""


@dataclass(frozen=True)
class Session:
    """One process's log.

    Attributes
    ----------
    source
        The file's name.
    number
        Which session of its file, from 0; more than one means that the app was restarted.
    began
        How it is known that this is another process than the one before, in words.
    pid
        As printed; 0 where no prefix prints one.
    events
        The recognised lines.
    tables
        Name to columns (see `TABLES`), one row a synthesis, eviction, ...
    """

    source: str
    number: int
    began: str
    pid: int
    events: Events
    tables: dict[str, Array] = field(default_factory=dict)

    def column(self, table: str, name: str) -> Array:
        """Return a column of a table."""
        return self.tables[table][:, TABLES[table].index(name)]

    def frame(self, table: str) -> pd.DataFrame:
        """Return a table as a pandas frame."""
        import pandas as pd  # noqa: PLC0415 - loaded where it is needed

        return pd.DataFrame(self.tables[table], columns=list(TABLES[table]))

    def holds(self, other: Session) -> bool:
        """Return whether another session is a copy of this one, or of its beginning."""
        mine, theirs = self.events.rows, other.events.rows
        if not _FEWEST_SAME <= len(theirs) <= len(mine):
            return False
        columns = [k for k in range(len(COLUMNS)) if k != _LINE]
        return all(
            np.array_equal(mine[:many, columns], theirs[:many, columns], equal_nan=True)
            for many in (_FEWEST_SAME, len(theirs))  # a few first: most sessions differ there
        )

    @property
    def name(self) -> str:
        """File and, where it has several, the number of the session."""
        if self.number == 0:
            return self.source
        which = self.began if self.began.startswith("process") else f"restart {self.number}"
        return f"{self.source}, {which}"


def split_sessions(events: Events, source: str) -> list[Session]:
    """Split a file's lines into processes, and join each one's into tables.

    Parameters
    ----------
    events
        Of one file.
    source
        Its name.

    Returns
    -------
    list of Session
        In the order of their first lines. A new process is known by its id in the console's
        prefix, by the alignment cache's counters that begin again, or by reading that begins
        again at the first paragraph with memory back near the first level.
    """
    rows = events.rows
    if not len(rows):
        return []
    pieces: list[tuple[Array, str]] = []
    pids = _filled(rows[:, _PID])
    several = np.unique(pids)
    for pid in dict.fromkeys(pids.tolist()) if len(several) > 1 else several.tolist():
        mine = rows[pids == pid] if len(several) > 1 else rows
        why = f"process {int(pid)}" if pid else ""
        begin = 0
        for at, because in _restarts(mine):
            pieces.append((mine[begin:at], why))
            begin, why = at, because
        pieces.append((mine[begin:], why))
    pieces.sort(key=lambda piece: piece[0][0, _LINE])
    return [
        Session(source, k, why, int(np.nanmax(part[:, _PID])), Events(part), _tables(part))
        for k, (part, why) in enumerate(pieces)
    ]


def _filled(pids: Array) -> Array:
    """Give lines without a process id the one before them, or else the first one."""
    known = np.flatnonzero(pids)
    if not len(known):
        return pids
    at = np.searchsorted(known, np.arange(len(pids)), side="right") - 1
    return np.asarray(pids[known[np.maximum(at, 0)]])


def _restarts(rows: Array) -> list[tuple[int, str]]:
    """Return where another process begins without saying so, and why that is thought."""
    kinds = rows[:, 0]
    known = np.flatnonzero(~np.isnan(rows[:, _MEMORY]) & ~np.isin(kinds, _PARTLY))
    starts = np.flatnonzero(np.isin(kinds, tuple(_STARTS)))
    hits = np.flatnonzero((kinds == Kind.ALIGNMENT_HIT) & ~np.isnan(rows[:, _EXTRA]))
    counts = rows[hits, _COUNT] + rows[hits, _EXTRA]
    again = set(hits[1:][np.diff(counts) < 0].tolist())
    back = starts[1:][np.diff(rows[starts, _PARAGRAPH]) < 0]
    found: list[tuple[int, str]] = []
    begin = 0
    for at in sorted(again | set(back.tolist())):
        line = int(rows[at, _LINE])
        mine = starts[np.searchsorted(starts, begin)]
        if at <= mine:
            continue
        because = ""
        if at in again:
            because = f"line {line:,}: the alignment cache counts from the beginning again"
        elif kinds[at] == Kind.START_ON_DEMAND:
            before = known[np.searchsorted(known, at) - 1]
            level, last, memory = (rows[k, _MEMORY] for k in (mine, before, at))
            paragraph = rows[at, _PARAGRAPH]
            low = level + _FALLEN_BACK * max(last - level, 0.0)
            if paragraph <= rows[mine, _PARAGRAPH] + 1 and memory <= low and memory < 0.9 * last:
                because = (
                    f"line {line:,}: reading begins again at paragraph {int(paragraph)}, with "
                    "memory back near the first level"
                )
        if because:
            # A breakdown that stands right before the first start belongs to the new process.
            while at > 0 and kinds[at - 1] >= Kind.TOTAL:
                at -= 1  # noqa: PLW2901 - the boundary moves to the breakdown's first line
            found.append((at, because))
            begin = at
    return found


def _tables(rows: Array) -> dict[str, Array]:
    kinds = rows[:, 0]
    syntheses = join_syntheses(rows, ahead=_STARTS, ends=_ENDS)
    evicted = rows[np.isin(kinds, (Kind.EVICTED_AUDIO, Kind.EVICTED_ALIGNMENT))]
    totals, aligned, hits = (
        rows[kinds == kind] for kind in (Kind.TOTAL_TIME, Kind.ALIGNED, Kind.ALIGNMENT_HIT)
    )
    return {
        "syntheses": syntheses,
        "totals": totals[:, [_PARAGRAPH, _LINE, _TIME, _SECONDS, _EXTRA, _OTHER, _MEMORY]],
        "evictions": np.column_stack(
            [evicted[:, [_PARAGRAPH, _LINE, _TIME]], evicted[:, 0] == Kind.EVICTED_ALIGNMENT]
        ),
        "breakdowns": join_breakdowns(rows, TABLES["breakdowns"]),
        "alignments": aligned[:, [_PARAGRAPH, _LINE, _TIME, _COUNT, _SECONDS]],
        "alignment hits": hits[:, [_PARAGRAPH, _LINE, _TIME, _COUNT, _EXTRA]],
    }
