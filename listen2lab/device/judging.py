"""The verdict on what a phone logged, through `judge`, with the caveats of such evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.caveats import Caveat
from listen2lab.units import KIB
from listen2lab.verdict.audit import audit
from listen2lab.verdict.judge import Verdict, judge
from listen2lab.verdict.together import judge_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.table import Series
    from listen2lab.device.sessions import Session

    Array = npt.NDArray[np.float64]

__all__ = [
    "Judged",
    "curve_of",
    "judge_log",
    "judge_series",
    "judge_unaccounted",
    "overlaps",
    "unaccounted",
]

FEWEST_BREAKDOWNS = 15
"""As many as `judge` asks for."""
NAMES_MORE = 0.5
"""A log that prints less than this share of what the caches leave names other parts of it."""
MANY_COMPRESSED = 0.1
MANY_LOST = 0.02
MOST_UNKNOWN = 0.1
"""With more than this share of audio lengths missing they are not used at all."""


@dataclass(frozen=True)
class Judged:
    """A verdict, and how far the evidence carries it.

    Attributes
    ----------
    verdict
        Of `listen2lab.verdict.judge.judge`; per `unit`.
    caveats
        What is particular to the evidence. One that withdraws makes it inconclusive.
    unit
        What a step is: ``paragraph``, ``breakdown`` or ``minute``.
    steps, longest
        Of all sessions together, and of the longest of them.
    """

    verdict: Verdict
    caveats: tuple[Caveat, ...]
    unit: str
    steps: int
    longest: int

    @property
    def name(self) -> str:
        """The verdict in one word."""
        return "inconclusive" if self.withdrawn else self.verdict.verdict

    @property
    def withdrawn(self) -> bool:
        """Whether a caveat takes the verdict back."""
        return any(caveat.withdraws for caveat in self.caveats)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; rates in KiB a step."""
        v = self.verdict
        interval = [_kib(bound) for bound in v.interval]
        confidence = "none" if self.withdrawn else v.confidence
        return {
            "verdict": self.name,
            f"rate_kib_per_{self.unit}": _kib(v.rate),
            f"interval_kib_per_{self.unit}": None if None in interval else interval,
            f"upper_kib_per_{self.unit}": _kib(v.upper),
            f"smallest_visible_kib_per_{self.unit}": _kib(v.smallest_visible),
            "confidence": confidence,
            "reasons": [str(reason) for reason in v.reasons],
            "caveats": [str(caveat) for caveat in self.caveats],
            "unit": self.unit,
            "steps": self.steps,
        }


def _kib(size: float) -> float | None:
    return round(size / KIB, 4) if np.isfinite(size) else None


def curve_of(session: Session) -> tuple[Array, Array, Array]:
    """Return what a session's memory was after each synthesis.

    Parameters
    ----------
    session
        One process's log.

    Returns
    -------
    memory, audio_s, lines : ndarray
        Bytes, seconds of audio (NaN where unknown) and line of the end, in the order in which
        the syntheses ended; those without a memory, or with 0.0 MB, are left out.
    """
    table = session.tables["syntheses"]
    ended, memory = (
        session.column("syntheses", "end_line"),
        session.column("syntheses", "memory_after"),
    )
    order = np.argsort(ended, kind="stable")
    # No process has none: 0.0 MB is what the app logs when it could not read its memory.
    order = order[np.isfinite(ended[order]) & (memory[order] > 0)]
    audio = session.column("syntheses", "audio_s")
    return memory[order], audio[order], table[order, 3]


def judge_log(evidence: Evidence) -> Judged | None:
    """Judge the memory that the app logs after each paragraph.

    Parameters
    ----------
    evidence
        All that was read: a report beside the log may take the verdict back.

    Returns
    -------
    Judged or None
        Per paragraph; or per breakdown, of their totals, where no other line holds memory. None
        where no log was read, or none with memory in it.
    """
    curves = [curve_of(session) for session in evidence.sessions]
    rows = [memory for memory, _, _ in curves if len(memory)]
    if not rows:
        totals = [session.column("breakdowns", "total") for session in evidence.sessions]
        rest = [unaccounted(session)[0] for session in evidence.sessions]
        return _judge_breakdowns(totals, evidence) or _judge_breakdowns(rest, evidence)
    caveats = _caveats(evidence)
    sizes: list[Array] | None = []
    for memory, audio, _ in curves:
        if not len(memory):
            continue
        known = np.isfinite(audio)
        if sizes is None or known.mean() < 1 - MOST_UNKNOWN:
            sizes = None
            continue
        # A paragraph of unknown length is a missing sample, not one of an invented length.
        memory[~known] = np.nan
        sizes.append(np.where(known, audio, np.median(audio[known])))
    if sizes is None:
        caveats.append(Caveat.NO_LENGTHS)
    against = () if sizes is None else audit(sizes=sizes)
    verdict = judge_run({"rss": rows}, sizes, audit=against).verdicts["rss"]
    return Judged(verdict, tuple(caveats), "paragraph", sum(map(len, rows)), max(map(len, rows)))


def _caveats(evidence: Evidence) -> list[Caveat]:
    """Return what is known to weaken a log."""
    out = [Caveat.RESIDENT_SIZE]
    for snapshot in evidence.snapshots_of_app():
        counted, swapped = snapshot.counted, snapshot.swapped
        if counted and swapped is not None and swapped > MANY_COMPRESSED * counted:
            out.insert(0, Caveat.COMPRESSED)
            break
    if any(session.number for session in evidence.sessions):
        out.append(Caveat.RESTARTED)
    if any(overlaps(session)[0] > 1 for session in evidence.sessions):
        out.append(Caveat.OVERLAPPING)
    logs = [source for source in evidence.sources if "app log" in source.kinds]
    if any(s.malformed > MANY_LOST * max(s.recognised, 1) for s in logs):
        out.append(Caveat.LINES_LOST)
    if any("goes back" in note.text for source in logs for note in source.notes):
        out.append(Caveat.TIME_BACKWARDS)
    return out


def overlaps(session: Session) -> tuple[int, int, int]:
    """Return how many syntheses ran at once, at most; how often; and the first such line.

    Only syntheses with a start and an end count, so a lost line makes no overlap. Failed ones
    ran too.
    """
    start, end = (session.column("syntheses", name) for name in ("start_line", "end_line"))
    both = np.isfinite(start) & np.isfinite(end)
    start, end = np.sort(start[both]), np.sort(end[both])
    if not len(start):
        return 0, 0, 0
    running = np.arange(1, len(start) + 1) - np.searchsorted(end, start)
    many = np.flatnonzero(running > 1)
    return int(running.max()), len(many), int(start[many[0]]) if len(many) else 0


def unaccounted(session: Session) -> tuple[Array, bool]:
    """Return what each breakdown leaves unaccounted, and whether it had to be worked out.

    The phone's app prints the total less its two caches. A lab that accounts for more (its
    engine, its code) prints less; then the total less the caches is taken, to mean the same.
    """
    printed = session.column("breakdowns", "unaccounted")
    rest = session.column("breakdowns", "total").copy()
    for cache in ("audio_cache", "alignment_cache"):
        rest -= np.nan_to_num(session.column("breakdowns", cache))
    both = np.isfinite(printed) & np.isfinite(rest) & (rest > 0)
    if both.any() and np.median(printed[both] / rest[both]) < NAMES_MORE:
        return rest, True
    return printed, False


def judge_unaccounted(evidence: Evidence) -> Judged | None:
    """Judge what the app cannot account for, breakdown by breakdown.

    Returns
    -------
    Judged or None
        None where there is no breakdown.
    """
    judged = _judge_breakdowns([unaccounted(session)[0] for session in evidence.sessions], evidence)
    if judged is None or judged.longest >= FEWEST_BREAKDOWNS:
        return judged
    return replace(judged, caveats=(*judged.caveats, Caveat.FEW_BREAKDOWNS))


def _judge_breakdowns(values: Sequence[Array], evidence: Evidence) -> Judged | None:
    """Judge what the breakdowns print, a step each; 0.0 MB of a total is none."""
    rows = [known for each in values if len(known := each[each > 0])]
    if not rows:
        return None
    caveats = tuple(_caveats(evidence))
    return Judged(judge(rows), caveats, "breakdown", sum(map(len, rows)), max(map(len, rows)))


def judge_series(series: Series) -> Judged:
    """Judge memory over time.

    Parameters
    ----------
    series
        Samples; where they do not stand evenly, they are put on an even grid of as many.
    """
    caveats = [] if series.footprint else [Caveat.RESIDENT_SIZE]
    time, memory = series.time, series.memory
    order = np.argsort(time, kind="stable")
    if len(order) > 1 and (np.diff(order) < 0).any():
        caveats.append(Caveat.TIME_BACKWARDS)
    time, memory = time[order], memory[order]
    if not series.is_even and len(time) > 2 and time[-1] > time[0]:
        caveats.append(Caveat.UNEVEN_TIMES)
        memory = np.interp(np.linspace(time[0], time[-1], len(time)), time, memory)
    verdict = judge(memory)
    span = float(time[-1] - time[0]) if len(time) else 0.0
    if span > 0:
        verdict = verdict.per(span / (60.0 * (len(time) - 1)))
        return Judged(verdict, tuple(caveats), "minute", len(time), len(time))
    return Judged(verdict, tuple(caveats), "sample", len(time), len(time))
