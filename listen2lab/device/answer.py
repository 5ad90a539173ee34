"""Everything that evidence says, as one record: ``device.json`` holds it, a page is made of it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from listen2lab.device.formats.heap import ClassChange, HeapCensus, compare_heaps
from listen2lab.device.formats.leaks import Leaks
from listen2lab.device.formats.schema import Change, Series, Snapshot, difference, minus
from listen2lab.device.formats.tally import Source
from listen2lab.device.judging import Judged, judge_log, judge_series
from listen2lab.device.lab_match import LabMatch, compare_with_study
from listen2lab.device.log_summary import MOST_POINTS, LogSummary, Range, summarize_log
from listen2lab.device.next_steps import next_steps
from listen2lab.notice import Notice
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.device.evidence import Evidence
    from listen2lab.study.data import StudyData
    from listen2lab.study.folder import StudyFolder

__all__ = [
    "FEWEST_IN_A_SERIES",
    "FORMAT",
    "Answer",
    "SeriesSummary",
    "Together",
    "answer",
    "load_answer",
]

FORMAT = 2
"""Version of the record."""

SMALL_RISE = 8 * MIB
"""Below this a rise in the log is no rise to explain: footprint's reports round to megabytes."""

HELD = 0.7
"""A footprint that grew by this share of the logged rise explains it; by less than the rest of it,
does not. The two snapshots rarely stand just at the log's ends, so the shares are wide."""

MORE = 1.5
"""A footprint that grew by more than this share of the logged rise is more than the log shows."""

FEWEST_IN_A_SERIES = 8
"""As many reports of one process, by one tool, are a series over time."""


class SeriesSummary(msgspec.Struct, frozen=True):
    """A table of time and memory, its points thinned for pictures; in seconds and bytes."""

    source: str
    process: str
    quantity: str
    timed: bool
    footprint: bool
    samples: int
    seconds: float
    range: Range | None
    judged: Judged
    time: tuple[float, ...]
    memory: tuple[float, ...]


class Together(msgspec.Struct, frozen=True):
    """What the log says of growth, beside how much the footprint grew; in bytes.

    Attributes
    ----------
    logged
        Median rise of the log's curves.
    counted
        Change of what the kill limit counts, from the first report to the last.
    says
        ``held``, ``more``, ``freed``, ``partly`` or ``no-rise``.
    """

    logged: float
    counted: int
    says: str


class Answer(msgspec.Struct, frozen=True):
    """What evidence can answer.

    Attributes
    ----------
    format
        Version of this record.
    verdict, reasons, caveats
        Of the log, or else of the first series.
    sources, problems
        What was understood of each file; and which were left out, and why.
    log, series
        What they say.
    app
        Which of several processes in the reports was taken as the app.
    snapshots, heaps, leaks
        As reported.
    change
        The app's first and last snapshot by one tool, subtracted.
    together
        That and the log.
    heap_growth, live_growth
        What grew and what shrank most from the first heap to the last; all of it together, in
        bytes.
    lab
        Beside a study.
    limit
        Bytes of footprint at which the app is killed, where that is known.
    next
        What to measure next, what decides most first.
    runs
        The verdict on several series of one quantity, one a file: runs of the same.
    """

    format: int
    verdict: str | None
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    sources: tuple[Source, ...]
    problems: tuple[Notice, ...]
    log: LogSummary | None
    series: tuple[SeriesSummary, ...]
    app: str | None
    snapshots: tuple[Snapshot, ...]
    change: Change | None
    together: Together | None
    heaps: tuple[HeapCensus, ...]
    heap_growth: tuple[ClassChange, ...]
    live_growth: int | None
    leaks: tuple[Leaks, ...]
    lab: LabMatch | None
    limit: int | None
    next: tuple[Notice, ...]
    runs: Judged | None = None

    def snapshots_of_app(self) -> list[Snapshot]:
        """Return the snapshots to show: of several processes (there may be hundreds), the app's."""
        return [s for s in self.snapshots if self.app is None or s.process == self.app]


def answer(
    evidence: Evidence, study: StudyData | None = None, *, limit: int | None = None
) -> Answer:
    """Answer what the evidence can answer.

    Parameters
    ----------
    evidence
        What was read.
    study
        A lab study to put beside it.
    limit
        Bytes of footprint at which the system kills the app.
    """
    judged = judge_log(evidence)
    log = summarize_log(evidence, judged) if evidence.sessions else None
    some = evidence.snapshots_of_app()
    over_time = _series_of(some)
    series = tuple(_summarize(one) for one in (*evidence.series, *over_time))
    runs = _runs(evidence.series)
    first = judged or runs or (series[0].judged if series else None)
    verdict = None if judged is None else judged.verdict
    lab = None if study is None else compare_with_study(evidence, study, verdict)
    change = _change(some)
    last_heap = evidence.heaps[-1] if evidence.heaps else None
    heaps = [heap for heap in evidence.heaps if last_heap and heap.tool == last_heap.tool]
    grew = compare_heaps(heaps[0], heaps[-1]) if len(heaps) > 1 else []
    return Answer(
        FORMAT,
        None if first is None else first.verdict,
        () if first is None else first.reasons,
        () if first is None else first.caveats,
        evidence.sources,
        evidence.problems,
        log,
        series,
        some[0].process
        if len({s.process for s in evidence.snapshots if s.categories}) > 1
        else None,
        evidence.snapshots,
        change,
        None if log is None or change is None else _together(log, change),
        tuple(
            msgspec.structs.replace(h, classes=h.classes[:_MOST_CLASSES]) for h in evidence.heaps
        ),
        tuple(
            grew
            if len(grew) <= _MOST_ROWS
            else [*grew[: _MOST_ROWS // 2], *grew[-_MOST_ROWS // 2 :]]
        ),
        None if len(heaps) < 2 else minus(heaps[-1].size, heaps[0].size),
        tuple(msgspec.structs.replace(x, roots=x.roots[:_MOST_ROWS]) for x in evidence.leaks),
        lab,
        limit or _limit_in(evidence.snapshots),
        tuple(next_steps(evidence, log, series=runs or first, change=change)),
        runs,
    )


def load_answer(folder: StudyFolder) -> Answer | None:
    """Return what was stored beside a study, or None where there is nothing that can be read."""
    found = folder.read(folder.device_path.name, Answer)
    return found if found is not None and found.format == FORMAT else None


_MOST_CLASSES = 50
_MOST_ROWS = 30


def _runs(series: Sequence[Series]) -> Judged | None:
    """Judge several files of one quantity together, as runs of the same."""
    files = {one.source for one in series}
    if not 1 < len(series) == len(files) or len({one.quantity for one in series}) > 1:
        return None
    return judge_series(*series)


def _summarize(one: Series) -> SeriesSummary:
    every = max(1, len(one.time) // MOST_POINTS)
    return SeriesSummary(
        one.source,
        one.process,
        one.quantity,
        one.timed,
        one.footprint,
        len(one.time),
        float(one.time[-1]),
        Range.of(one.memory),
        judge_series(one),
        tuple(round(t, 3) for t in one.time[::every].tolist()),
        tuple(one.memory[::every].tolist()),
    )


def _limit_in(snapshots: Sequence[Snapshot]) -> int | None:
    """Return a limit that the system itself named."""
    for note in (note for snapshot in snapshots for note in snapshot.notes):
        limit = note.values.get("limit")
        if note.code == "limit-exceeded" and isinstance(limit, int):
            return limit
    return None


def _series_of(some: Sequence[Snapshot]) -> list[Series]:
    """Return many reports of one process by one tool as a series."""
    some = [s for s in some if s.tool == some[-1].tool]
    if len(some) < FEWEST_IN_A_SERIES:
        return []
    counts = all(s.counted is not None for s in some)
    known = [(s.uptime, s.counted if counts else s.resident) for s in some]
    timed = all(time is not None for time, _ in known)
    time = np.array([time if timed else k for k, (time, _) in enumerate(known)], dtype=float)
    memory = np.array([size or 0 for _, size in known], dtype=float)
    quantity = some[0].quantity if counts else "resident"
    return [
        Series(
            quantity, time - time[0], memory, some[0].source, counts, some[0].process, timed
        )
    ]  # fmt: skip


def _change(some: Sequence[Snapshot]) -> Change | None:
    """Subtract the first snapshot of the app from its last one by the same tool."""
    for last in reversed(some):
        first = next(s for s in some if s.tool == last.tool)
        if first is not last:
            return difference(first, last)
    return None


def _together(log: LogSummary, change: Change) -> Together | None:
    """Put what the log says of growth beside how much the footprint grew."""
    rises = [curve.memory[-1] - curve.memory[0] for curve in log.curves if curve.memory]
    if not rises or change.counted is None:
        return None
    logged, counted = median(rises), change.counted
    if logged < SMALL_RISE:
        says = "no-rise"
    elif counted > MORE * logged:
        says = "more"
    elif counted >= HELD * logged:
        says = "held"
    else:
        says = "freed" if counted <= (1 - HELD) * logged else "partly"
    return Together(logged, counted, says)
