"""The app's log as sessions, one a process, and each as tables: syntheses, breakdowns, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from listen2lab.device.formats.app_log import ROW, read_applog
from listen2lab.device.formats.app_log_grammar import APP, Grammar, Kind
from listen2lab.device.formats.app_log_tables import (
    AT,
    STARTS,
    TABLES,
    Tables,
    are,
    join_syntheses,
)
from listen2lab.device.formats.reading import Format
from listen2lab.notice import Notice

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

    Array = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.void]

__all__ = ["FORMAT", "Session", "log_format", "split_sessions"]

_PARTLY = (Kind.TOTAL, Kind.AUDIO_CACHE, Kind.ALIGNMENT_CACHE, Kind.UNACCOUNTED)
_FALLEN_BACK = 0.25
"""A restart begins below its first level plus this share of all that was above it."""
_MANY = 100
"""More sessions in a file are joined at once: an array of few rows costs as much as one of many."""
_EXACT = 2.0**52
_FEWEST_SAME = 10
"""Two runs may begin with a few equal lines; with as many as these, they are one run."""


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
        Name to array (see `TABLES`), one row a synthesis, eviction, ...; made when asked for.
    """

    source: str
    number: int
    began: Notice | None
    pid: int
    rows: Any
    tables: dict[str, Any]

    def column(self, table: str, name: str) -> Array:
        """Return a column of a table."""
        column: Array = self.tables[table][:, AT[table][name]]
        return column

    def count(self, kind: int) -> int:
        """Return how many lines are of a kind."""
        return int(np.count_nonzero(self.rows["kind"] == kind))

    def lines(self, name: str) -> Array:
        """Return a column of the recognised lines."""
        column: Array = self.rows[name]
        return column

    def frame(self, table: str) -> pd.DataFrame:
        """Return a table as a pandas frame."""
        import pandas as pd

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
    tables = [Tables(part) for part, _ in pieces]
    if len(pieces) > _MANY:
        _join_at_once(tables, [part for part, _ in pieces])
    return [
        Session(source, k, began, int(part["pid"].max()), part, tables[k])
        for k, (part, began) in enumerate(pieces)
    ]


def _join_at_once(tables: list[Tables], parts: list[Rows]) -> None:
    """Join the syntheses of many short sessions, one behind the other, at the cost of one.

    Each session's paragraphs get numbers of their own for that time. A session whose syntheses log
    no memory is left to be joined by itself, as it may have it elsewhere.
    """
    rows = np.concatenate(parts)
    many, lines = len(parts), rows["line"].astype(np.float64)
    span = 1 + float(np.fmax.reduce(rows["paragraph"], initial=0.0))
    if (np.diff(lines) < 0).any() or many * span * lines[-1] > _EXACT:
        return  # two processes at once, or numbers too large to be told apart
    wide = [(name, "f8" if name == "paragraph" else ROW[name]) for name in ROW.names or ()]
    rows = rows.astype(wide)
    rows["paragraph"] += np.repeat(np.arange(many) * span, [len(part) for part in parts])
    found = join_syntheses(rows)
    line = np.where(np.isnan(found[:, 2]), found[:, 3], found[:, 2])
    which = np.searchsorted([part["line"][0] for part in parts], line, side="right") - 1
    found[:, 0] -= which * span
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(1, many))
    for table, mine in zip(tables, np.split(found[order], ends), strict=True):
        if np.isfinite(mine[:, 8]).any():
            table["syntheses"] = mine


def _by_process(rows: Rows) -> list[Rows]:
    """Return each process's lines, by the ids that are printed."""
    pids = _filled(rows["pid"])
    if not len(rows) or (pids == pids[0]).all():
        return [rows] if len(rows) else []
    order = np.argsort(pids, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(pids[order])) + 1)


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
    starts = np.flatnonzero(are(rows, STARTS))
    hits = np.flatnonzero((kinds == Kind.ALIGNMENT_HIT) & ~np.isnan(rows["extra"]))
    counts = rows["count"][hits] + rows["extra"][hits]
    again = set(hits[1:][np.diff(counts) < 0].tolist())
    back = starts[1:][np.diff(rows["paragraph"][starts]) < 0]
    found: list[tuple[int, Notice]] = []
    if not again and not len(back):
        return found
    known = np.flatnonzero(~np.isnan(rows["memory"]) & ~are(rows, _PARTLY))
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
