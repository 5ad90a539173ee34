"""The next measurement that would decide: codes, whose commands `listen2lab.report.text` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.device.formats.owners import FREED, LAB_OWNERS, REST
from listen2lab.device.lab_match import largest_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.schema import Change
    from listen2lab.device.judging import Judged
    from listen2lab.device.log_summary import LogSummary

__all__ = ["FIRM", "next_steps"]

_PHONES = {"iOS", "watchOS", "tvOS", "visionOS"}
FIRM = 50
"""Paragraphs below which no verdict is firm (see `listen2lab.verdict.judge`)."""

_LOOK_AT = {
    "graphics and UI": "look-at-graphics",
    "GPU buffers": "look-at-gpu",
    "VM allocate": "look-at-vm-allocate",
    FREED: "freed-and-kept",
    REST: "whole-report",
}


def next_steps(
    evidence: Evidence,
    log: LogSummary | None,
    *,
    series: Judged | None,
    change: Change | None,
) -> Iterator[Notice]:
    """Yield what to measure next, what decides most first.

    Parameters
    ----------
    evidence
        What was read.
    log, change
        What it says: see `listen2lab.device.answer.Answer`.
    series
        The verdict on memory over time, where no log gives one.
    """
    if _platform(evidence) == "Android":
        yield from _on_android(evidence, has_series=series is not None, change=change)
    elif _platform(evidence) == "Linux" and log is None:
        yield Notice("linux-two-reports" if change is None else "linux-who")
    elif log is None and series is not None and not evidence.snapshots:
        if series.verdict == "inconclusive" or series.steps < FIRM:
            yield Notice("longer-series", {"steps": series.steps, "unit": "sample"})
        yield Notice("kind-of-memory")
    else:
        yield from _of_growth(evidence, log, change)
        yield from _by_owner(evidence)
        if log is not None:
            yield from _in_the_lab(log)


def _on_android(evidence: Evidence, *, has_series: bool, change: Change | None) -> Iterator[Notice]:
    if not evidence.snapshots_of_app():
        yield Notice("android-one-process")
        return
    if change is None:
        yield Notice("android-two-reports")
    if not has_series:
        yield Notice("android-samples")
    elif change is not None:
        yield Notice("android-heap-dump")


def _of_growth(
    evidence: Evidence, log: LogSummary | None, change: Change | None
) -> Iterator[Notice]:
    """Yield what would show whether memory grows, and of what kind it is."""
    if log is not None:
        yield from _longer(log.judged)
        if change is None:
            leaks = log.judged is not None and log.judged.grows
            yield Notice("footprints-of-a-leak" if leaks else "footprints")
    elif _platform(evidence) in _PHONES:
        yield Notice("log-at-all")
    elif any(n.code == "address-space-only" for s in evidence.snapshots for n in s.notes):
        yield Notice("whole-report")
    elif len(evidence.heaps) > 1:
        yield Notice("classes-grew", {"in": "process"})
    elif change is None:
        yield Notice("early-and-late")


def _platform(evidence: Evidence) -> str:
    """Return what the reports themselves name; empty where none does."""
    named = [
        *(snapshot.platform for snapshot in evidence.snapshots),
        *(heap.platform for heap in evidence.heaps),
        *(leaks.platform for leaks in evidence.leaks),
    ]
    return next(filter(None, named), "")


def _longer(judged: Judged | None) -> Iterator[Notice]:
    """Yield what would make the verdict firm."""
    if judged is None:
        yield Notice("log-without-memory")
    elif judged.steps < FIRM:
        yield Notice("more-steps", {"steps": judged.steps, "unit": judged.unit})
    elif judged.verdict == "inconclusive":
        yield Notice("longest-first", {"steps": judged.steps, "unit": judged.unit})


def _by_owner(evidence: Evidence) -> Iterator[Notice]:
    """Yield what to look at in the owner that holds most."""
    snapshot = largest_snapshot(evidence)
    if snapshot is None or not snapshot.counted:
        return
    owner = max(snapshot.owners, key=lambda o: o.counted or 0).name
    if owner in LAB_OWNERS[:2]:
        code = "who-allocated" if evidence.heaps else "which-blocks"
    else:
        code = _LOOK_AT.get(owner, "which-regions")
    # A phone's memory is looked at in a memory graph; a Mac's and the Simulator's in the process.
    is_phone = bool(evidence.sessions) or _platform(evidence) in _PHONES
    yield Notice(code, {"owner": owner, "in": "memgraph" if is_phone else "process"})


def _in_the_lab(log: LogSummary) -> Iterator[Notice]:
    """Yield the lab's experiments that the phone's log points to."""
    if log.overlaps.most_at_once > 1:
        yield Notice("lab-concurrency")
    share = None if log.longest is None else log.longest.share_at_records
    if share is not None and share > 0.5:
        yield Notice("lab-lengths")
    elif log.judged is not None and log.judged.grows:
        yield Notice("lab-causes")
