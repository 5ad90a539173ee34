"""What a log says, in numbers: the questions that a handoff asks of it, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from listen2lab.device.formats.app_log_grammar import Kind
from listen2lab.device.judging import Judged, curve_of, judge_unaccounted, overlaps, unaccounted
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.app_log_sessions import Session

    Array = npt.NDArray[np.float64]
    SessionCurve = tuple[Array, Array, npt.NDArray[np.intp]]

__all__ = [
    "MOST_POINTS", "SAME_LENGTH", "Curve", "Evictions", "LogSummary", "Longest", "Overlaps",
    "Range", "SessionFacts", "Unaccounted", "summarize_log",
]  # fmt: skip

MOST_POINTS = 1000
"""Points of a curve that are kept for pictures; of longer ones, the highest of each stretch."""
MOST_CURVES = 200
"""Sessions whose curves are kept: more are in no picture."""
SAME_LENGTH = 0.9
"""A paragraph of this share of the longest so far counts as another longest one: the engine plans
for a shape at its second time."""


class Range(msgspec.Struct, frozen=True):
    """First, last, lowest and highest of some sizes, in bytes."""

    first: float
    last: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Array) -> Range | None:
        """Return those of an array; None where none is known."""
        known = values[np.isfinite(values)]
        if not len(known):
            return None
        return cls(*(float(x) for x in (known[0], known[-1], known.min(), known.max())))


class SessionFacts(msgspec.Struct, frozen=True):
    """One process of a log; see `listen2lab.device.formats.app_log_sessions.Session`."""

    source: str
    number: int
    began: Notice | None
    pid: int
    syntheses: int
    first_line: int
    last_line: int


class Unaccounted(msgspec.Struct, frozen=True):
    """What the app cannot account for, as its breakdowns say.

    Attributes
    ----------
    breakdowns
        How many.
    worked_out
        Whether it is the total less the caches; see `listen2lab.device.judging.unaccounted`.
    share_of_total
        Median; None where no total is printed.
    judged
        Whether it grows.
    """

    breakdowns: int
    worked_out: bool
    memory: Range
    share_of_total: float | None
    judged: Judged | None


class Evictions(msgspec.Struct, frozen=True):
    """How often each cache evicted, and the most entries of the audio cache, where printed."""

    audio: int
    alignment: int
    most_entries: int | None


class Overlaps(msgspec.Struct, frozen=True):
    """Syntheses that began before another had ended.

    Attributes
    ----------
    most_at_once, times
        How many ran at once, at most, and how often more than one did.
    first_line, first_session
        Where first; None for never.
    most_active
        As the breakdowns print.
    """

    most_at_once: int
    times: int
    first_line: int | None
    first_session: int | None
    most_active: int | None


class Longest(msgspec.Struct, frozen=True):
    """Whether memory rose at the longest paragraphs so far, and only there.

    Attributes
    ----------
    audio_s, paragraph, line
        Of the longest one, in seconds; and where it ended.
    rise
        Bytes, during it.
    share_at_records
        Of all that memory rose from one paragraph to the next, the part that it rose at a new or
        nearly longest paragraph; None where it did not rise.
    share_of_records
        How many paragraphs are such: what chance would give.
    """

    audio_s: float
    paragraph: int
    line: int
    rise: float | None
    share_at_records: float | None
    share_of_records: float | None


class Curve(msgspec.Struct, frozen=True):
    """A session's memory over its paragraphs, thinned for pictures.

    Attributes
    ----------
    session
        Which one.
    at
        Numbers of the syntheses, from 1.
    memory, audio_s, longest_s
        Bytes after each, seconds of its audio, and of the longest so far (empty where no length
        is known).
    unaccounted_at, unaccounted
        Of the breakdowns: syntheses done before each, and bytes.
    """

    session: int
    at: tuple[int, ...]
    memory: tuple[float, ...]
    audio_s: tuple[float | None, ...]
    longest_s: tuple[float | None, ...]
    unaccounted_at: tuple[float, ...]
    unaccounted: tuple[float | None, ...]


class LogSummary(msgspec.Struct, frozen=True):
    """What a log can answer.

    Attributes
    ----------
    judged
        Whether memory grows; None where the log holds none.
    sessions
        One a process.
    syntheses, paragraphs, failed, unfinished
        Unfinished ones have no end in the log.
    memory
        After the syntheses.
    seconds
        How long the sessions took together, by the console's times.
    unaccounted, evictions, overlaps, longest
        Those that the log says nothing of are None.
    curves
        One a session, of the first two hundred.
    """

    judged: Judged | None
    sessions: tuple[SessionFacts, ...]
    syntheses: int
    paragraphs: int
    failed: int
    unfinished: int
    memory: Range | None
    seconds: float | None
    unaccounted: Unaccounted | None
    evictions: Evictions
    overlaps: Overlaps
    longest: Longest | None
    curves: tuple[Curve, ...]


def summarize_log(evidence: Evidence, judged: Judged | None) -> LogSummary:
    """Answer what a log can answer.

    Parameters
    ----------
    evidence
        With at least one session.
    judged
        See `listen2lab.device.judging.judge_log`.
    """
    sessions = evidence.sessions
    known = [curve_of(session) for session in sessions]
    return LogSummary(
        judged,
        tuple(_facts(session) for session in sessions),
        sum(len(s.tables["syntheses"]) for s in sessions),
        sum(len(np.unique(_known(s.column("syntheses", "paragraph")))) for s in sessions),
        int(_all(sessions, "syntheses", "failed").sum()),
        int(np.isnan(_all(sessions, "syntheses", "end_line")).sum()),
        Range.of(np.concatenate([memory for memory, _, _ in known])),
        _seconds(sessions),
        _unaccounted(evidence),
        _evictions(sessions),
        _overlaps(sessions),
        _longest(sessions, known),
        tuple(_curve(k, sessions[k], known[k]) for k in range(min(len(known), MOST_CURVES))),
    )


def _facts(session: Session) -> SessionFacts:
    first, last = session.lines("line")[[0, -1]]
    many = len(session.tables["syntheses"])
    return SessionFacts(
        session.source, session.number, session.began, session.pid, many, int(first), int(last)
    )


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _all(sessions: Iterable[Session], table: str, name: str) -> Array:
    return np.concatenate([session.column(table, name) for session in sessions])


def _most(values: Array) -> int | None:
    known = _known(values)
    return int(known.max()) if len(known) else None


def _seconds(sessions: Sequence[Session]) -> float | None:
    times = [known for s in sessions if len(known := _known(s.lines("time")))]
    return float(sum(np.ptp(known) for known in times)) if times else None


def _unaccounted(evidence: Evidence) -> Unaccounted | None:
    found = [unaccounted(s) for s in evidence.sessions]
    whole = np.concatenate([values for values, _ in found])
    memory = Range.of(whole)
    if memory is None:
        return None
    total = _all(evidence.sessions, "breakdowns", "total")
    both = np.isfinite(whole) & np.isfinite(total) & (total > 0)
    return Unaccounted(
        len(_known(whole)),
        any(worked_out for _, worked_out in found),
        memory,
        round(float(np.median(whole[both] / total[both])), 4) if both.any() else None,
        judge_unaccounted(evidence),
    )


def _evictions(sessions: Sequence[Session]) -> Evictions:
    audio, alignment = (
        sum(session.count(kind) for session in sessions)
        for kind in (Kind.EVICTED_AUDIO, Kind.EVICTED_ALIGNMENT)
    )
    entries = _most(_all(sessions, "breakdowns", "audio_entries"))
    return Evictions(audio, alignment, entries)


def _overlaps(sessions: Sequence[Session]) -> Overlaps:
    found = [overlaps(session) for session in sessions]
    first = next((k for k, (_, times, _) in enumerate(found) if times), None)
    return Overlaps(
        max(most for most, _, _ in found),
        sum(times for _, times, _ in found),
        None if first is None else found[first][2],
        first,
        _most(_all(sessions, "breakdowns", "synthesizing")),
    )


def _longest(sessions: Iterable[Session], curves: Iterable[SessionCurve]) -> Longest | None:
    """Return the longest paragraph, of the sessions that log lengths."""
    moved = at_records = 0.0
    records = seen = 0
    longest: Longest | None = None
    for session, curve in zip(sessions, curves, strict=True):
        good = np.isfinite(curve[1])
        memory, audio, rows = (values[good] for values in curve)
        if len(memory) < 3:
            continue
        before = np.concatenate([[0.0], np.maximum.accumulate(audio)[:-1]])
        record = audio >= SAME_LENGTH * before
        moves = np.maximum(np.diff(memory), 0.0)
        moved += float(moves.sum())
        at_records += float(moves[record[1:]].sum())
        records += int(record[1:].sum())
        seen += len(moves)
        k = int(np.argmax(audio))
        if longest is None or round(float(audio[k]), 2) > longest.audio_s:
            paragraph, line, before_it = (
                session.column("syntheses", name)[rows[k]]
                for name in ("paragraph", "end_line", "memory_before")
            )
            rise = float(memory[k] - (memory[k - 1] if k else before_it))
            longest = Longest(
                round(float(audio[k]), 2), int(paragraph), int(line),
                rise if np.isfinite(rise) else None, None, None,
            )  # fmt: skip
    if longest is None:
        return None
    return msgspec.structs.replace(
        longest,
        share_at_records=round(at_records / moved, 4) if moved else None,
        share_of_records=round(records / seen, 4) if seen else None,
    )


def _curve(number: int, session: Session, curve: SessionCurve) -> Curve:
    memory, audio, _ = curve
    keep = np.arange(len(memory))
    if len(memory) > MOST_POINTS:
        pieces = np.array_split(keep, MOST_POINTS)
        keep = np.array([piece[int(np.argmax(memory[piece]))] for piece in pieces])
    longest = np.maximum.accumulate(np.nan_to_num(audio))
    every = max(1, len(session.tables["breakdowns"]) // MOST_POINTS)
    return Curve(
        number,
        tuple((keep + 1).tolist()),
        tuple(memory[keep].tolist()),
        _numbers(audio[keep]),
        _numbers(longest[keep]) if np.isfinite(audio).any() else (),
        tuple(session.column("breakdowns", "paragraphs")[::every].tolist()),
        _numbers(unaccounted(session)[0][::every]),
    )


def _numbers(values: Array) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(x) else round(x, 2) for x in values.tolist())
