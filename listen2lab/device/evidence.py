"""Files in, evidence out: each is read as what it holds, and what was not understood is counted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.detect import READABLE, kinds_of, texts
from listen2lab.device.formats import dumpsys, footprint, heap, leaks
from listen2lab.device.formats import table as series
from listen2lab.device.formats import vmmap as regions
from listen2lab.device.formats.app_log import read_applog
from listen2lab.device.formats.lines import batches, opened, peek
from listen2lab.device.formats.tally import Tally
from listen2lab.device.sessions import Session, split_sessions
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.report.text.device import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from listen2lab.device.formats.heap import HeapCensus
    from listen2lab.device.formats.leaks import Leaks
    from listen2lab.device.formats.lines import Readable
    from listen2lab.device.formats.schema import Snapshot

__all__ = ["Evidence", "read"]


@dataclass
class Evidence:
    """What was read.

    Attributes
    ----------
    sources
        One a file: what was found in it, and how many lines were understood.
    problems
        A sentence for each file that could not be used.
    sessions
        One a process whose log was read: its tables (see `listen2lab.device.sessions`).
    snapshots
        Of vmmap, footprint and dumpsys, in the order given.
    heaps, leaks, series
        Of heap, leaks, and of tables of time and memory.
    process
        The app's, as the reports print it; empty: see `snapshots_of_app`.
    """

    sources: list[Tally] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    heaps: list[HeapCensus] = field(default_factory=list)
    leaks: list[Leaks] = field(default_factory=list)
    series: list[series.Series] = field(default_factory=list)
    process: str = ""

    def snapshots_of_app(self) -> list[Snapshot]:
        """Return the snapshots with categories of one process: the app.

        Of several processes (``footprint -a``, two names on one line), it is `process`; else the
        one whose id the log's prefixes print; else the one that most snapshots show; else the one
        that holds most.
        """
        some = [s for s in self.snapshots if s.categories]
        if self.process:
            return [s for s in some if s.process == self.process]
        pids = {session.pid for session in self.sessions} - {0}
        some = [s for s in some if s.pid in pids] or some
        if not some:
            return []
        rank: dict[str, tuple[int, int]] = {}
        for s in some:
            many, most = rank.get(s.process, (0, 0))
            rank[s.process] = (many + 1, max(most, s.counted or 0))
        name = max(rank, key=lambda process: rank[process])
        return [s for s in self.snapshots if s.categories and s.process == name]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was understood."""
        return not (self.sessions or self.snapshots or self.heaps or self.leaks or self.series)


def read(paths: str | Path | Sequence[str | Path], *, process: str | None = None) -> Evidence:
    """Read files of evidence from a phone, each by its content.

    Parameters
    ----------
    paths
        Files, plain or ``.gz``; ``-`` is standard input.
    process
        The app's, where reports hold several; None: worked out (see `Evidence.snapshots_of_app`).

    Returns
    -------
    Evidence
        All that was understood. A file that cannot be used is named in `Evidence.problems`, and
        the others are read all the same.

    Raises
    ------
    InputError
        Nothing was understood in any of them.
    UnknownNameError
        No report holds that process.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    evidence = Evidence()
    for path in paths:
        name = "standard input" if str(path) == "-" else Path(path).name
        tally = Tally(name)
        try:
            with opened(path) as file:
                _read_one(file, tally, evidence)
        except InputError as error:
            evidence.problems.append(str(error))
    if not paths:
        raise InputError("no file was named; name one or more, or - for standard input")
    if evidence.is_empty:
        why = "; ".join(evidence.problems)
        known = f"; what can be read: {READABLE}" if _NOTHING in why else ""
        raise InputError(f"{why}{known}")
    if process is not None:
        names = {s.process for s in evidence.snapshots}
        if process not in names:
            raise UnknownNameError("process in these reports", process, names)
        evidence.process = process
    return evidence


def _read_one(file: Readable, tally: Tally, evidence: Evidence) -> None:
    encoding = peek(file, tally)
    tally.kinds = kinds_of(file, encoding)
    found = 0
    if "app log" in tally.kinds:
        events = read_applog(batches(file, encoding, tally), tally)
        sessions = split_sessions(events, tally.name)
        found += len(sessions)
        for session in sessions:
            _add(session, evidence)
    else:
        for _ in batches(file, encoding, tally):
            pass  # counts the lines, and notes those that are too long
    for kind in tally.kinds:
        file.seek(0)
        found += _report(kind, file, encoding, tally, evidence)
    if not found:
        bad = f", {tally.malformed:,} of them malformed{_first(tally)}" if tally.malformed else ""
        hint = "" if bad else _why_nothing(file, encoding)
        lines = counted(tally.lines, "line")
        raise InputError(f"{_NOTHING} {tally.name}: {lines}{bad}{hint}; it was left out")
    evidence.sources.append(tally)


def _add(session: Session, evidence: Evidence) -> None:
    """Take a session, unless it is another one's copy or its earlier save."""
    for k, other in enumerate(evidence.sessions):
        if session.holds(other) or other.holds(session):
            evidence.problems.append(
                f"{session.name} and {other.name} hold the same run of the app; it was counted "
                "once; give each run's log once, the longest"
            )
            if not other.holds(session):
                evidence.sessions[k] = session
            return
    evidence.sessions.append(session)


def _first(tally: Tally) -> str:
    return f" (the first: {tally.notes[0]})" if tally.notes else ""


_NOTHING = "nothing was understood in"
_MOST_LOOKED_AT = 200
_NUMBERS = re.compile(r"\s*\"?[\d.:]+\"?\s*[,;\t]")
"""How a row of a table of numbers begins."""
_HEADING = re.compile(r"(Process|Physical footprint):\s")
_REFUSALS = {
    "cannot examine process": "the tool was not allowed to look at the process; use sudo, or a "
    "build that can be debugged",
    "try as root": "the tool found no such process, or was not allowed to; use sudo",
    "No process found for": "the app was not running",
    '"bug_type":"298"': "it is a JetsamEvent report, which is not read: the app's rpages in it, "
    "times pageSize, is its footprint when it was killed, and reason says why",
    "<trace-query-result": "it is an export of Instruments, which is not read: take footprint, "
    "vmmap -summary and heap of a memory graph instead",
}


def _why_nothing(file: Readable, encoding: str) -> str:
    """Return what a file seems to be instead, in words; empty where that is not known."""
    file.seek(0)
    first = [line for _, line in islice(texts(file, encoding), _MOST_LOOKED_AT)]
    for mark, hint in _REFUSALS.items():
        if any(mark in line for line in first):
            return f"; {hint}"
    if sum(_NUMBERS.match(line) is not None for line in first) > len(first) / 2:
        return (
            "; it looks like a table: its first line must name its columns, one of them a time and "
            "one a memory, as in time,footprint_mb"
        )
    if first and first[0].lstrip().startswith("["):
        return "; it looks like one JSON array: write an object a line, as jq -c '.[]' FILE does"
    if any(_HEADING.match(line) for line in first):
        return "; it holds a report's heading, and nothing of its tables"
    return ""


def _report(kind: str, file: Readable, encoding: str, tally: Tally, evidence: Evidence) -> int:
    """Read what one kind of tool printed; return how many reports there were."""
    if kind == "app log":
        return 0
    if kind == "footprint json":
        text = "\n".join(line for _, line in texts(file, encoding))
        snapshots, samples = footprint.read_footprint_json(text, tally, tally.name)
        evidence.snapshots += snapshots
        if len(samples) > 1:
            time, memory = np.array(samples).T
            evidence.series.append(
                series.Series("phys_footprint", True, time - time[0], memory, tally.name)  # noqa: FBT003 - a record's field
            )
        return len(snapshots) + len(samples)
    readers: dict[
        str, tuple[Callable[[Iterable[tuple[int, str]], Tally, str], list[Any]], list[Any]]
    ]
    readers = {
        "vmmap": (regions.read_vmmap, evidence.snapshots),
        "footprint": (footprint.read_footprint, evidence.snapshots),
        "heap": (heap.read_heap, evidence.heaps),
        "leaks": (leaks.read_leaks, evidence.leaks),
        "dumpsys": (dumpsys.read_dumpsys, evidence.snapshots),
        "csv": (series.read_csv, evidence.series),
        "jsonl": (series.read_jsonl, evidence.series),
    }
    reader, where = readers[kind]
    reports = reader(texts(file, encoding), tally, tally.name)
    where += reports
    return len(reports)
