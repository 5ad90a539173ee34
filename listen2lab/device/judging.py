"""The verdict on what a phone logged, with the caveats of such evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from listen2lab.verdict.audit import audit
from listen2lab.verdict.judge import judge
from listen2lab.verdict.naming import rise_of_line
from listen2lab.verdict.reasons import Reason
from listen2lab.verdict.together import judge_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.app_log_sessions import Session
    from listen2lab.device.formats.schema import Series
    from listen2lab.verdict.judge import Verdict

    Array = npt.NDArray[np.float64]

__all__ = [
    "CAVEATS", "Judged", "curve_of", "judge_log", "judge_series", "judge_unaccounted", "overlaps",
    "unaccounted",
]  # fmt: skip

CAVEATS = {
    "compressed": True,
    "resident-size": False,
    "restarted": False,
    "few-breakdowns": False,
    "overlapping-syntheses": False,
    "no-audio-lengths": False,
    "lines-lost": False,
    "time-backwards": False,
    "uneven-times": False,
}
"""What is particular to evidence from a phone, and whether it takes a verdict back. They stand
beside the reasons of a verdict, which say what the series shows; these say what the evidence is."""

FEWEST_BREAKDOWNS = 15
"""As many as `judge` asks for."""
NAMES_MORE = 0.5
"""A log that prints less than this share of what the caches leave names other parts of it."""
MANY_COMPRESSED = 0.1
MANY_LOST = 0.02
MOST_UNKNOWN = 0.1
"""With more than this share of audio lengths missing they are not used at all."""


class Judged(msgspec.Struct, frozen=True):
    """A verdict, and how far the evidence carries it.

    Attributes
    ----------
    verdict
        In one word; ``inconclusive`` where a caveat takes it back.
    taken_back
        Which verdict a caveat took back.
    unit
        What a step is: ``paragraph``, ``breakdown``, ``minute`` or ``sample``.
    rate, interval, upper, smallest_visible
        As `listen2lab.verdict.judge.Verdict`, in bytes a unit; None where not estimable.
    confidence
        Of the verdict.
    reasons, caveats
        Codes: what the series shows, and what the evidence is (see `CAVEATS`).
    steps, longest, repeats
        Of all sessions together; of the longest; and how many of them were judged.
    """

    verdict: str
    taken_back: str | None
    unit: str
    rate: float | None
    interval: tuple[float, float] | None
    upper: float | None
    smallest_visible: float | None
    confidence: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    steps: int
    longest: int
    repeats: int

    @property
    def grows(self) -> bool:
        """Whether memory grows to the end: a leak, or what one run cannot tell from a filling."""
        return self.verdict == "leak" or (
            self.taken_back is None and self.reasons[:1] == (str(Reason.GROWS_STEADILY),)
        )


def _judged(verdict: Verdict, caveats: Iterable[str], unit: str, rows: Sequence[Array]) -> Judged:
    order = tuple(code for code in CAVEATS if code in set(caveats))
    back = any(CAVEATS[code] for code in order)
    low, high = (_finite(bound) for bound in verdict.interval)
    return Judged(
        "inconclusive" if back else verdict.verdict,
        verdict.verdict if back else None,
        unit,
        _finite(verdict.rate),
        None if low is None or high is None else (low, high),
        _finite(verdict.upper),
        _finite(verdict.smallest_visible),
        "none" if back else verdict.confidence,
        tuple(map(str, verdict.reasons)),
        order,
        sum(map(len, rows)),
        max(map(len, rows)),
        verdict.repeats,
    )


def _judge(rows: Sequence[Array]) -> Verdict:
    """Judge memory whose inputs are not known: one run of it cannot tell leak and slow filling."""
    found = judge(rows)
    if found.verdict != "leak" or found.repeats > 1:
        return found
    is_line = rise_of_line(rows[0][np.isfinite(rows[0])]) > 0
    reasons = (Reason.GROWS_STEADILY if is_line else Reason.GREY_ZONE, *found.reasons[1:])
    return msgspec.structs.replace(
        found, verdict="inconclusive", confidence="none", reasons=reasons
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def curve_of(session: Session) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Return what a session's memory was after each synthesis.

    Parameters
    ----------
    session
        One process's log.

    Returns
    -------
    memory, audio_s, rows : ndarray
        Bytes, seconds of audio (NaN where unknown) and row of the table, in the order in which
        the syntheses ended; those without a memory, or with 0.0 MB, are left out.
    """
    ended, memory, audio = (
        session.column("syntheses", name) for name in ("end_line", "memory_after", "audio_s")
    )
    order = np.argsort(ended, kind="stable")
    # No process has none: 0.0 MB is what the app logs when it could not read its memory.
    order = order[np.isfinite(ended[order]) & (memory[order] > 0)]
    return memory[order], audio[order], order


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
    curves = [curve for s in evidence.sessions if len((curve := curve_of(s))[0])]
    rows = [memory for memory, _, _ in curves]
    if not rows:
        totals = [session.column("breakdowns", "total") for session in evidence.sessions]
        rest = [unaccounted(session)[0] for session in evidence.sessions]
        return _judge_breakdowns(totals, evidence) or _judge_breakdowns(rest, evidence)
    caveats = _caveats(evidence)
    known = [np.isfinite(audio) for _, audio, _ in curves]
    if any(each.mean() < 1 - MOST_UNKNOWN for each in known):
        return _judged(_judge(rows), [*caveats, "no-audio-lengths"], "paragraph", rows)
    # A paragraph of unknown length is a missing sample, not one of an invented length.
    seen = [np.where(good, memory, np.nan) for memory, good in zip(rows, known, strict=True)]
    sizes = [
        audio if good.all() else np.where(good, audio, np.median(audio[good]))
        for (_, audio, _), good in zip(curves, known, strict=True)
    ]
    verdict = judge_run({"rss": seen}, sizes, audit=audit(sizes=sizes)).verdicts["rss"]
    return _judged(verdict, caveats, "paragraph", rows)


def _caveats(evidence: Evidence) -> list[str]:
    """Return what is known to weaken a log."""
    logs = [source for source in evidence.sources if "app-log" in source.kinds]
    known = {
        "resident-size": True,
        "compressed": any(
            s.counted and s.swapped is not None and s.swapped > MANY_COMPRESSED * s.counted
            for s in evidence.snapshots_of_app()
        ),
        "restarted": any(session.number for session in evidence.sessions),
        "overlapping-syntheses": any(overlaps(s)[0] > 1 for s in evidence.sessions),
        "lines-lost": any(s.malformed > MANY_LOST * max(s.recognised, 1) for s in logs),
        "time-backwards": any(n.code == "time-goes-back" for s in logs for n in s.notes),
    }
    return [code for code, is_so in known.items() if is_so]


def overlaps(session: Session) -> tuple[int, int, int]:
    """Return how many syntheses ran at once, at most; how often; and the first such line.

    Only syntheses with a start and an end count, so a lost line makes no overlap. Failed ones
    ran too.
    """
    start, end = (session.column("syntheses", name) for name in ("start_line", "end_line"))
    if len(start) and (start[1:] > end[:-1]).all() and end[-1] > start[-1]:
        return 1, 0, 0  # as most logs are: each ended before the next began
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
    if not len(printed):
        return printed, False
    rest = session.column("breakdowns", "total").copy()
    for cache in ("audio_cache", "alignment_cache"):
        rest -= np.nan_to_num(session.column("breakdowns", cache))
    both = np.isfinite(printed) & np.isfinite(rest) & (rest > 0)
    if both.any() and np.median(printed[both] / rest[both]) < NAMES_MORE:
        return rest, True
    return printed, False


def judge_unaccounted(evidence: Evidence) -> Judged | None:
    """Judge what the app cannot account for, breakdown by breakdown; None where there is none."""
    judged = _judge_breakdowns([unaccounted(session)[0] for session in evidence.sessions], evidence)
    if judged is None or judged.longest >= FEWEST_BREAKDOWNS:
        return judged
    return msgspec.structs.replace(judged, caveats=(*judged.caveats, "few-breakdowns"))


def _judge_breakdowns(values: Sequence[Array], evidence: Evidence) -> Judged | None:
    """Judge what the breakdowns print, a step each; 0.0 MB of a total is none."""
    rows = [known for each in values if len(known := each[each > 0])]
    return _judged(_judge(rows), _caveats(evidence), "breakdown", rows) if rows else None


def judge_series(*series: Series) -> Judged:
    """Judge memory over time.

    Parameters
    ----------
    *series
        Samples of one run, or of each of several; where they do not stand evenly, or the runs
        differ in their pace, they are put on an even grid.
    """
    caveats, runs = set[str](), []
    for one in series:
        back = bool((np.diff(one.time) < 0).any())
        order = np.argsort(one.time, kind="stable") if back else slice(None)
        caveats |= {
            code
            for code, is_so in (
                ("resident-size", not one.footprint),
                ("time-backwards", back),
                ("uneven-times", not one.is_even and len(one.time) > 2),
            )
            if is_so
        }
        runs.append((one.time[order], one.memory[order]))
    paces = [float(np.ptp(time)) / max(len(time) - 1, 1) for time, _ in runs]
    pace = float(np.median(paces))
    if pace > 0 and ("uneven-times" in caveats or max(paces) > _SAME_PACE * min(paces)):
        # As many samples as there were: a grid much finer would only repeat what was measured.
        runs = [(at := np.linspace(t[0], t[-1], round(np.ptp(t) / pace) + 1),
                 np.interp(at, t, m)) for t, m in runs]  # fmt: skip
    rows = [memory for _, memory in runs]
    verdict = _judge(rows)
    if pace > 0 and all(one.timed for one in series):
        return _judged(verdict.per(pace / 60.0), caveats, "minute", rows)
    return _judged(verdict, caveats, "sample", rows)


_SAME_PACE = 1.02
"""Runs whose samples stand so much farther apart than another's are sampled again."""
