"""Everything that evidence says, as one object: what ``--json`` prints, and a page is made of."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from listen2lab.device.formats.heap import compare_heaps
from listen2lab.device.formats.schema import difference
from listen2lab.device.judging import judge_log, judge_series
from listen2lab.device.lab_match import ceiling, compare
from listen2lab.device.next_steps import proposals
from listen2lab.device.questions import MOST_POINTS, answers, curves
from listen2lab.units import mib

if TYPE_CHECKING:
    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.table import Series
    from listen2lab.facade import Study

__all__ = ["FORMAT", "LIMIT", "answer"]

FORMAT = 1
"""Version of the object."""

SMALL_RISE_MIB = 8.0
"""Below this a rise in the log is no rise to explain: footprint's reports round to megabytes."""

HELD = 0.7
"""A footprint that grew by this share of the logged rise explains it; by less than the rest of it,
does not. The two snapshots rarely stand just at the log's ends, so the shares are wide."""

MORE = 1.5
"""A footprint that grew by more than this share of the logged rise is more than the log shows."""

LIMIT = 2_500_000_000
"""Bytes of footprint at which the test phone kills the app."""


def answer(evidence: Evidence, study: Study | None = None) -> dict[str, Any]:
    """Answer what the evidence can answer.

    Parameters
    ----------
    evidence
        What was read.
    study
        A lab study to put beside it.

    Returns
    -------
    dict
        JSON values: ``format``; ``verdict``, ``reasons`` and ``caveats`` of the log, or else of
        the first series; ``sources`` (what was understood of each file) and ``problems``; ``log``
        (``verdict``, ``questions``, ``curves``) or None; ``app`` (which of several processes in
        the reports was taken as the app, or None); ``snapshots``, ``difference`` (the last two
        snapshots of the app by one tool, subtracted) or None; ``together`` (the log's rise and
        the footprint's: ``logged_mib``, ``counted_mib``, and ``says``: ``held``, ``more``,
        ``freed``, ``partly`` or ``no rise``) or None; ``heaps``, ``heap_growth``, ``leaks``;
        ``series``; ``beside`` (with a study) or None; ``ceiling``; ``limit_bytes``; ``next``
        (what to measure).
    """
    judged = judge_log(evidence)
    log: dict[str, Any] | None = None
    if evidence.sessions:
        log = {
            "verdict": None if judged is None else judged.to_dict(),
            "questions": answers(evidence),
            "curves": curves(evidence),
        }
    series = [_series(one) for one in evidence.series]
    first = log["verdict"] if log is not None and log["verdict"] else None
    if first is None and series:
        first = series[0]["verdict"]
    beside = (
        None if study is None else compare(evidence, study, None if judged is None else judged.name)
    )
    change = _difference(evidence)
    out: dict[str, Any] = {
        "format": FORMAT,
        "verdict": None if first is None else first["verdict"],
        "reasons": [] if first is None else first["reasons"],
        "caveats": [] if first is None else first["caveats"],
        "sources": [source.to_dict() for source in evidence.sources],
        "problems": evidence.problems,
        "log": log,
        "app": _app(evidence),
        "snapshots": [snapshot.to_dict() for snapshot in evidence.snapshots],
        "difference": change,
        "together": _together(log, change),
        "heaps": [heap.to_dict() for heap in evidence.heaps],
        "heap_growth": compare_heaps(evidence.heaps[0], evidence.heaps[-1])[:30]
        if len(evidence.heaps) > 1
        else [],
        "leaks": [leaks.to_dict() for leaks in evidence.leaks],
        "series": series,
        "beside": beside,
        "ceiling": ceiling(evidence, None) if beside is None else beside["ceiling"],
        "limit_bytes": LIMIT,
    }
    out["next"] = proposals(out, evidence, _experiments())
    return out


def _experiments() -> tuple[str, ...]:
    from listen2lab.experiment.catalog import EXPERIMENTS  # noqa: PLC0415 - loaded where it is needed

    return tuple(EXPERIMENTS)


def _series(one: Series) -> dict[str, Any]:
    every = max(1, len(one.time) // MOST_POINTS)
    return {
        "source": one.source,
        "quantity": one.quantity,
        "footprint": one.footprint,
        "samples": len(one.time),
        "seconds": float(one.time[-1]) if len(one.time) else 0.0,
        "first_mib": mib(float(one.memory[0])),
        "last_mib": mib(float(one.memory[-1])),
        "lowest_mib": mib(float(one.memory.min())),
        "highest_mib": mib(float(one.memory.max())),
        "verdict": judge_series(one).to_dict(),
        "time": [round(float(t), 3) for t in one.time[::every]],
        "memory_mib": [mib(float(m)) for m in one.memory[::every]],
    }


def _app(evidence: Evidence) -> str | None:
    """Return which process was taken as the app, where the reports hold several."""
    several = {s.process for s in evidence.snapshots if s.categories}
    return evidence.snapshots_of_app()[0].process if len(several) > 1 else None


def _difference(evidence: Evidence) -> dict[str, Any] | None:
    """Subtract the first snapshot of the app from its last one by the same tool."""
    some = evidence.snapshots_of_app()
    for last in reversed(some):
        first = next(s for s in some if s.tool == last.tool)
        if first is not last:
            return {
                "before": {"source": first.source, "line": first.line, "process": first.process},
                "after": {"source": last.source, "line": last.line, "process": last.process},
                **difference(first, last),
            }
    return None


def _together(log: dict[str, Any] | None, change: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put what the log says of growth beside how much the footprint grew."""
    if log is None or change is None or change["counted"] is None:
        return None
    rises = [c["memory_mib"][-1] - c["memory_mib"][0] for c in log["curves"] if c["memory_mib"]]
    if not rises:
        return None
    logged = median(rises)
    counted = mib(change["counted"])
    if logged < SMALL_RISE_MIB:
        says = "no rise"
    elif counted > MORE * logged:
        says = "more"
    elif counted >= HELD * logged:
        says = "held"
    else:
        says = "freed" if counted <= (1 - HELD) * logged else "partly"
    return {"logged_mib": round(logged, 3), "counted_mib": counted, "says": says}
