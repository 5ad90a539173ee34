"""The next measurement that would decide: codes, whose commands `listen2lab.report.text` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.device.lab_match import largest_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.schema import Change
    from listen2lab.device.judging import Judged
    from listen2lab.device.log_summary import LogSummary

__all__ = ["FIRM", "next_steps"]

FIRM = 50
"""Paragraphs below which no verdict is firm (see `listen2lab.verdict.judge`)."""

_LOOK_AT = {"graphics and UI": "look-at-graphics", "VM allocate": "look-at-vm-allocate"}


def next_steps(
    evidence: Evidence,
    log: LogSummary | None,
    *,
    has_series: bool,
    change: Change | None,
) -> Iterator[Notice]:
    """Yield what to measure next, what decides most first.

    Parameters
    ----------
    evidence
        What was read.
    log, has_series, change
        What it says: see `listen2lab.device.answer.Answer`.
    """
    snapshots = evidence.snapshots_of_app()
    if any(s.tool == "dumpsys" for s in snapshots):
        if change is None:
            yield Notice("android-two-reports")
        if not has_series:
            yield Notice("android-samples")
        return
    judged = None if log is None else log.judged
    if log is None:
        yield Notice("log-beside-series" if has_series else "log-at-all")
    else:
        yield from _longer(judged)
    if log is not None and change is None:
        leaks = judged is not None and judged.verdict == "leak"
        yield Notice("footprints-of-a-leak" if leaks else "footprints")
    elif not snapshots:
        yield Notice("footprints-at-all")
    yield from _by_owner(evidence)
    if log is not None:
        yield from _in_the_lab(log)


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
    if snapshot is None or not snapshot.owners:
        return
    owner = max(snapshot.owners, key=lambda o: o.counted or 0).name
    if owner.startswith("heap"):
        code = "who-allocated" if evidence.heaps else "which-blocks"
    else:
        code = _LOOK_AT.get(owner, "which-regions")
    yield Notice(code, {"owner": owner})


def _in_the_lab(log: LogSummary) -> Iterator[Notice]:
    """Yield the lab's experiments that the phone's log points to."""
    if log.overlaps.most_at_once > 1:
        yield Notice("lab-concurrency")
    share = None if log.longest is None else log.longest.share_at_records
    if share is not None and share > 0.5:
        yield Notice("lab-lengths")
    elif log.judged is not None and log.judged.verdict == "leak":
        yield Notice("lab-causes")
