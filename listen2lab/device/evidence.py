"""Files in, evidence out: each is read as what it holds, and what was not understood is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device import dumpsys, footprint, heap, regions, series
from listen2lab.device.applog import read_applog
from listen2lab.device.detect import KINDS, kinds_of, texts
from listen2lab.device.lines import batches, opened, peek
from listen2lab.device.sessions import Session, split_sessions
from listen2lab.device.tally import Tally
from listen2lab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from listen2lab.device.heap import HeapCensus, Leaks
    from listen2lab.device.lines import Readable
    from listen2lab.device.schema import Snapshot

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
    """

    sources: list[Tally] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    heaps: list[HeapCensus] = field(default_factory=list)
    leaks: list[Leaks] = field(default_factory=list)
    series: list[series.Series] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was understood."""
        return not (self.sessions or self.snapshots or self.heaps or self.leaks or self.series)


def read(paths: str | Path | Sequence[str | Path]) -> Evidence:
    """Read files of evidence from a phone, each by its content.

    Parameters
    ----------
    paths
        Files, plain or ``.gz``; ``-`` is standard input.

    Returns
    -------
    Evidence
        All that was understood. A file that cannot be used is named in `Evidence.problems`, and
        the others are read all the same.

    Raises
    ------
    InputError
        Nothing was understood in any of them.
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
        known = ", ".join(KINDS.values())
        why = "; ".join(evidence.problems)
        raise InputError(f"nothing was understood: {why}; what can be read: {known}")
    return evidence


def _read_one(file: Readable, tally: Tally, evidence: Evidence) -> None:
    encoding = peek(file, tally)
    tally.kinds = kinds_of(file, encoding)
    found = 0
    if "app log" in tally.kinds:
        events = read_applog(batches(file, encoding, tally), tally)
        sessions = split_sessions(events, tally.name)
        evidence.sessions += sessions
        found += len(sessions)
    else:
        for _ in batches(file, encoding, tally):
            pass  # counts the lines, and notes those that are too long
    for kind in tally.kinds:
        file.seek(0)
        found += _report(kind, file, encoding, tally, evidence)
    if not found:
        hint = _why_nothing(file)
        raise InputError(
            f"nothing was understood in {tally.name}: {tally.lines:,} lines, "
            f"{tally.malformed:,} of them malformed{_first(tally)}{hint}; it was left out"
        )
    evidence.sources.append(tally)


def _first(tally: Tally) -> str:
    return f" (the first: {tally.notes[0]})" if tally.notes else ""


_REFUSALS = {
    b"cannot examine process": "the tool was not allowed to look at the process; use sudo, or a "
    "build that can be debugged",
    b"try as root": "the tool found no such process, or was not allowed to; use sudo",
    b"No process found for": "the app was not running",
}


def _why_nothing(file: Readable) -> str:
    file.seek(0)
    start = file.read(64 * 1024)
    said = next((hint for mark, hint in _REFUSALS.items() if mark in start), None)
    return "" if said is None else f"; {said}"


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
        "leaks": (heap.read_leaks, evidence.leaks),
        "dumpsys": (dumpsys.read_dumpsys, evidence.snapshots),
        "csv": (series.read_csv, evidence.series),
        "jsonl": (series.read_jsonl, evidence.series),
    }
    reader, where = readers[kind]
    reports = reader(texts(file, encoding), tally, tally.name)
    where += reports
    return len(reports)
