"""Files in, evidence out: each is read as what it holds, and what was not understood is counted."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from listen2lab.device.formats.app_log_grammar import APP, read_grammar
from listen2lab.device.formats.app_log_sessions import Session, log_format
from listen2lab.device.formats.detect import formats_of
from listen2lab.device.formats.heap import HeapCensus
from listen2lab.device.formats.leaks import Leaks
from listen2lab.device.formats.lines import Content, UnreadableError, opened
from listen2lab.device.formats.schema import Series, Snapshot
from listen2lab.device.formats.tally import Source, Tally
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeVar

    from listen2lab.device.formats.reading import Format

    Kind = TypeVar("Kind")

__all__ = ["Evidence", "NothingReadError", "read"]


class Evidence(msgspec.Struct, frozen=True, eq=False):
    """What was read.

    Attributes
    ----------
    sources
        One a file: what was found in it, and how many lines were understood.
    problems
        Why a file could not be used, or was not counted; each has the value ``file``.
    sessions
        One a process whose log was read.
    snapshots
        Of vmmap, footprint and dumpsys, in the order given.
    heaps, leaks, series
        Of heap, leaks, and of tables of time and memory.
    process
        The app's, as the reports print it; None: see `snapshots_of_app`.
    """

    sources: tuple[Source, ...] = ()
    problems: tuple[Notice, ...] = ()
    sessions: tuple[Session, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    heaps: tuple[HeapCensus, ...] = ()
    leaks: tuple[Leaks, ...] = ()
    series: tuple[Series, ...] = ()
    process: str | None = None

    def snapshots_of_app(self) -> list[Snapshot]:
        """Return the snapshots with categories of one process: the app.

        Of several processes (``footprint -a``, two names on one line), it is `process`; else the
        one whose id the log's prefixes print; else the one that most snapshots show; else the one
        that holds most.
        """
        some = [s for s in self.snapshots if s.categories]
        if self.process is not None:
            return [s for s in some if s.process == self.process]
        pids = {session.pid for session in self.sessions} - {0}
        likely = [s for s in some if s.pid in pids] or some
        rank: dict[str, tuple[int, int]] = {}
        for s in likely:
            many, most = rank.get(s.process, (0, 0))
            rank[s.process] = (many + 1, max(most, s.counted or 0))
        name = max(rank, key=lambda process: rank[process], default="")
        return [s for s in some if s.process == name]


class NothingReadError(InputError):
    """Nothing was understood in any file; `problems` says why."""

    def __init__(self, problems: tuple[Notice, ...]) -> None:
        self.problems = problems
        why = ", ".join(f"{notice.values['file']} ({notice.code})" for notice in problems)
        super().__init__(f"nothing was understood: {why}")


def read(
    paths: str | Path | Sequence[str | Path],
    *,
    process: str | None = None,
    grammar: str | Path | None = None,
) -> Evidence:
    """Read files of evidence from a phone, each by its content.

    Parameters
    ----------
    paths
        Files, plain or ``.gz``; ``-`` is standard input.
    process
        The app's, where reports hold several; None: worked out (see `Evidence.snapshots_of_app`).
    grammar
        A file that says how the app logs (see
        `listen2lab.device.formats.app_log_grammar.read_grammar`); None: as the reading app.

    Returns
    -------
    Evidence
        All that was understood. A file that cannot be used is named in `Evidence.problems`, and
        the others are read all the same.

    Raises
    ------
    NothingReadError
        Nothing was understood in any of them.
    UnknownNameError
        No report holds that process.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    if not paths:
        raise InputError("no file was named; name one or more, or - for standard input")
    log = log_format(APP if grammar is None else read_grammar(Path(grammar)))
    sources: list[Source] = []
    problems: list[Notice] = []
    records: list[Any] = []
    for path in paths:
        tally = Tally("standard input" if str(path) == "-" else Path(path).name)
        try:
            with opened(path) as file:
                found, source = _read_one(Content(file, tally), tally, log)
        except UnreadableError as error:
            problems.append(error.notice)
        else:
            records += found
            sources.append(source)
    sessions, copies = _without_copies(_of(Session, records))
    problems += copies
    if not records:
        raise NothingReadError(tuple(problems))
    snapshots = _of(Snapshot, records)
    if process is not None and process not in (names := {s.process for s in snapshots}):
        raise UnknownNameError("process in these reports", process, names)
    return Evidence(
        tuple(sources), tuple(problems), tuple(sessions), tuple(snapshots),
        tuple(_of(HeapCensus, records)), tuple(_of(Leaks, records)),
        tuple(_of(Series, records)), process,
    )  # fmt: skip


def _of(kind: type[Kind], records: Iterable[Any]) -> list[Kind]:
    return [record for record in records if isinstance(record, kind)]


def _read_one(content: Content, tally: Tally, log: Format) -> tuple[list[Any], Source]:
    """Read a file as each of the formats that are in it."""
    formats = formats_of(content, log)
    kinds = tuple(each.kind for each in formats)
    if not any(each.counts for each in formats):
        for _ in content.batches(tally):
            pass  # counts the lines, and notes those that are too long
    found = [record for each in formats for record in each.read(content, tally)]
    source = tally.source(kinds)
    if not found:
        looks = "" if source.malformed else _looks_like(content)
        first = next((n for n in source.notes if n.values["line"]), None)
        raise UnreadableError(
            "nothing-understood", tally.name, lines=source.lines, malformed=source.malformed,
            looks=looks, first_line=None if first is None else first.values["line"],
            first_code=None if first is None else first.code,
        )  # fmt: skip
    return found, source


_MOST_LOOKED_AT = 200
_NUMBERS = re.compile(r"\s*\"?[\d.:T-]+(?:[A-Z]+)?\"?\s*(?:[,;\s]\s*\"?[\d.:]+\"?\s*)*(?:$|[,;\t])")
"""How a row of a table of numbers begins."""
_LOOKS = {
    "cannot examine process": "not-allowed",
    "try as root": "no-process",
    "No process found for": "not-running",
    '"memoryMetrics"': "metrickit",
    "buff/cache": "whole-machine",
    "   swpd ": "whole-machine",
    "<trace-query-result": "instruments",
    "Applications Graphics Acceleration Info": "gfxinfo",
}


def _looks_like(content: Content) -> str:
    """Return what a file seems to be instead: a code, empty where that is not known."""
    first = [line for _, line in islice(content.texts(), _MOST_LOOKED_AT)]
    for mark, code in _LOOKS.items():
        if any(mark in line for line in first):
            return code
    if sum(_NUMBERS.match(line) is not None for line in first) > len(first) / 2:
        return "table-without-names"
    return ""


def _without_copies(sessions: Iterable[Session]) -> tuple[list[Session], list[Notice]]:
    """Leave out a session that is another one's copy, or its earlier save."""
    kept: list[Session | None] = []
    problems = []
    alike: dict[bytes | None, list[int]] = defaultdict(list)
    for session in sessions:
        beginning = session.beginning
        for k in alike[beginning] if beginning is not None else ():
            other = kept[k]
            if other is not None and (session.holds(other) or other.holds(session)):
                problems.append(Notice("same-run", {"file": session.source, "other": other.source}))
                kept[k] = session if not other.holds(session) else other
                break
        else:
            alike[beginning].append(len(kept))
            kept.append(session)
    return [session for session in kept if session is not None], problems
