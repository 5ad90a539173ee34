"""The questions that a handoff asks of a log, answered with numbers: tables in, JSON values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.judging import curve_of, judge_unaccounted, overlaps, unaccounted
from listen2lab.units import mib

if TYPE_CHECKING:
    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.sessions import Session

    Array = npt.NDArray[np.float64]

__all__ = ["MOST_POINTS", "answers", "curves", "follows_longest"]

MOST_POINTS = 1000
"""Points of a curve that are kept for pictures; of longer ones, the highest of each stretch."""
SAME_LENGTH = 0.9
"""A paragraph of this share of the longest so far counts as another longest one: the engine plans
for a shape at its second time."""


def answers(evidence: Evidence) -> dict[str, Any]:
    """Answer what a log can answer.

    Parameters
    ----------
    evidence
        With at least one session.

    Returns
    -------
    dict
        ``syntheses``, ``paragraphs``, ``failed``, ``unfinished`` (started, and no end in the log);
        ``memory``: ``first_mib``, ``last_mib``, ``lowest_mib``, ``highest_mib`` and, with times,
        ``minutes``; ``unaccounted``: the same with ``breakdowns``, ``share_of_total``,
        ``worked_out`` (see `listen2lab.device.judging.unaccounted`) and its own
        ``verdict`` (or None); ``evictions``: ``audio``, ``alignment``, ``most_entries``;
        ``overlaps``: ``most_at_once``, ``times``, ``first_line``, ``most_active`` (as the
        breakdowns print); ``longest``: see `follows_longest`.
    """
    sessions = evidence.sessions
    return {
        "sessions": [_session(session) for session in sessions],
        "syntheses": sum(len(s.tables["syntheses"]) for s in sessions),
        "paragraphs": sum(
            len(np.unique(_known(s.column("syntheses", "paragraph")))) for s in sessions
        ),
        "failed": int(sum(s.column("syntheses", "failed").sum() for s in sessions)),
        "unfinished": int(sum(np.isnan(s.column("syntheses", "end_line")).sum() for s in sessions)),
        "memory": _levels([curve_of(s)[0] for s in sessions]) | {"minutes": _minutes(sessions)},
        "unaccounted": _unaccounted(evidence),
        "evictions": _evictions(sessions),
        "overlaps": _overlaps(sessions),
        "longest": follows_longest(sessions),
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "name": session.name,
        "began": session.began,
        "pid": session.pid,
        "syntheses": len(session.tables["syntheses"]),
        "first_line": int(session.events.rows[0, 1]),
        "last_line": int(session.events.rows[-1, 1]),
    }


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _levels(rows: list[Array]) -> dict[str, float | None]:
    """Return first, last, lowest and highest of the sessions together, in MiB."""
    rows = [_known(row) for row in rows if len(_known(row))]
    if not rows:
        return dict.fromkeys(("first_mib", "last_mib", "lowest_mib", "highest_mib"))
    whole = np.concatenate(rows)
    return {
        "first_mib": mib(rows[0][0]),
        "last_mib": mib(rows[-1][-1]),
        "lowest_mib": mib(float(whole.min())),
        "highest_mib": mib(float(whole.max())),
    }


def _minutes(sessions: list[Session]) -> float | None:
    """Return how long the sessions took together, by the console's times."""
    spans = []
    for session in sessions:
        times = _known(session.events.column("time"))
        if len(times):
            spans.append(max(float(times.max() - times.min()), 0.0))
    return round(sum(spans) / 60, 2) if spans else None


def _unaccounted(evidence: Evidence) -> dict[str, Any] | None:
    found = [unaccounted(s) for s in evidence.sessions]
    rows = [values for values, _ in found]
    totals = [s.column("breakdowns", "total") for s in evidence.sessions]
    count = sum(len(_known(row)) for row in rows)
    if not count:
        return None
    judged = judge_unaccounted(evidence)
    whole, total = np.concatenate(rows), np.concatenate(totals)
    both = np.isfinite(whole) & np.isfinite(total) & (total > 0)
    share = float(np.median(whole[both] / total[both])) if both.any() else None
    return {
        "breakdowns": count,
        "worked_out": any(worked_out for _, worked_out in found),
        **_levels(rows),
        "share_of_total": None if share is None else round(share, 4),
        "verdict": None if judged is None else judged.to_dict(),
    }


def _evictions(sessions: list[Session]) -> dict[str, Any]:
    of_alignment = sum(int(s.column("evictions", "alignment").sum()) for s in sessions)
    all_of_them = sum(len(s.tables["evictions"]) for s in sessions)
    entries = np.concatenate([s.column("breakdowns", "audio_entries") for s in sessions])
    known = _known(entries)
    return {
        "audio": all_of_them - of_alignment,
        "alignment": of_alignment,
        "most_entries": int(known.max()) if len(known) else None,
    }


def _overlaps(sessions: list[Session]) -> dict[str, Any]:
    found = [(*overlaps(session), session.name) for session in sessions]
    active = _known(np.concatenate([s.column("breakdowns", "synthesizing") for s in sessions]))
    first = next(((line, name) for _, times, line, name in found if times), (None, None))
    return {
        "most_at_once": max(most for most, *_ in found),
        "times": sum(times for _, times, *_ in found),
        "first_line": first[0],
        "first_in": first[1],
        "most_active": int(active.max()) if len(active) else None,
    }


def follows_longest(sessions: list[Session]) -> dict[str, Any] | None:
    """Say whether memory rose at the longest paragraphs so far, and only there.

    Parameters
    ----------
    sessions
        Those with audio lengths count.

    Returns
    -------
    dict or None
        None where no length is known. ``audio_s`` and ``paragraph`` of the longest, ``rise_mib``
        during it, ``share_at_records`` (of all that memory rose from one paragraph to the next,
        the part that it rose at a new or nearly longest paragraph) and ``share_of_records`` (how
        many paragraphs are such: what chance would give).
    """
    moved = at_records = 0.0
    records = seen = 0
    longest: dict[str, Any] | None = None
    for session in sessions:
        memory, audio, lines = curve_of(session)
        good = np.isfinite(audio)
        memory, audio, lines = memory[good], audio[good], lines[good]
        if len(memory) < 3:
            continue
        table = session.tables["syntheses"]
        top = np.maximum.accumulate(audio)
        before = np.concatenate([[0.0], top[:-1]])
        record = audio >= SAME_LENGTH * before
        moves = np.maximum(np.diff(memory), 0.0)
        moved += float(moves.sum())
        at_records += float(moves[record[1:]].sum())
        records += int(record[1:].sum())
        seen += len(moves)
        k = int(np.argmax(audio))
        if longest is None or audio[k] > longest["audio_s"]:
            row = table[np.flatnonzero(table[:, 3] == lines[k])[0]]
            rise = memory[k] - memory[k - 1] if k else memory[k] - row[7]
            longest = {
                "audio_s": round(float(audio[k]), 2),
                "paragraph": int(row[0]),
                "line": int(lines[k]),
                "rise_mib": mib(float(rise)) if np.isfinite(rise) else None,
            }
    if longest is None:
        return None
    return {
        **longest,
        "share_at_records": round(at_records / moved, 4) if moved else None,
        "share_of_records": round(records / seen, 4) if seen else None,
    }


def curves(evidence: Evidence) -> list[dict[str, Any]]:
    """Return each session's memory over its paragraphs, thinned for pictures.

    Returns
    -------
    list of dict
        ``name``; ``at`` (number of the synthesis, from 1), ``memory_mib``, ``audio_s``,
        ``longest_s`` (so far); ``unaccounted_at`` and ``unaccounted_mib`` of the breakdowns.
    """
    out = []
    for session in evidence.sessions:
        memory, audio, _ = curve_of(session)
        keep = _kept(memory)
        longest = np.maximum.accumulate(np.nan_to_num(audio)) if len(audio) else audio
        parts = session.tables["breakdowns"]
        every = max(1, len(parts) // MOST_POINTS)
        some, rest = parts[::every], unaccounted(session)[0][::every]
        out.append(
            {
                "name": session.name,
                "at": (keep + 1).tolist(),
                "memory_mib": [mib(float(x)) for x in memory[keep]],
                "audio_s": _rounded(audio[keep]),
                "longest_s": _rounded(longest[keep]) if np.isfinite(audio).any() else [],
                "unaccounted_at": some[:, 2].tolist(),
                "unaccounted_mib": [None if np.isnan(x) else mib(x) for x in rest.tolist()],
            }
        )
    return out


def _kept(memory: Array) -> npt.NDArray[np.intp]:
    """Return which points stand for a long curve: each stretch's highest."""
    if len(memory) <= MOST_POINTS:
        return np.arange(len(memory))
    pieces = np.array_split(np.arange(len(memory)), MOST_POINTS)
    return np.array([piece[int(np.argmax(memory[piece]))] for piece in pieces])


def _rounded(values: Array) -> list[float | None]:
    return [None if np.isnan(x) else round(x, 2) for x in values.tolist()]
