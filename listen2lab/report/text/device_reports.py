"""What reports of memory say, in words; and the phone beside the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.device.lab_match import FAR
from listen2lab.report.text.device import cell, signed
from listen2lab.report.text.format import size

if TYPE_CHECKING:
    from listen2lab.device.answer import Answer, Together
    from listen2lab.device.formats.heap import HeapCensus
    from listen2lab.device.formats.leaks import Leaks
    from listen2lab.device.formats.schema import Change, Snapshot
    from listen2lab.device.lab_match import Ceiling, LabCondition, LabMatch

__all__ = [
    "app_sentence",
    "ceiling_lines",
    "change_line",
    "heap_line",
    "lab_line",
    "lab_subject",
    "leaks_line",
    "snapshot_lines",
    "together_line",
]

_QUANTITY = {"dumpsys": "private dirty and swapped memory"}
_CANNOT = (
    "The lab's pipeline has no user interface, no graphics and none of the phone's frameworks."
)
_TOGETHER = {
    "held": "So the memory is held: it is counted, and not only freed pages that the system has "
    "not yet taken back.",
    "more": "That is more than the log shows: compressed pages leave resident size and are "
    "counted, or the reports are of another run.",
    "freed": "So most of the logged rise is not counted: freed pages that the system has not taken "
    "back, or clean ones of files.",
    "partly": "So a part of the logged rise is held, and a part is not counted.",
    "no-rise": "The log shows no rise to explain.",
}


def snapshot_lines(snapshot: Snapshot, limit: int) -> list[str]:
    """Say what a snapshot holds."""
    counted, resident = snapshot.counted, snapshot.resident
    if counted is None:
        return []
    quantity = _QUANTITY.get(snapshot.tool, "footprint")
    peak = "" if snapshot.peak is None else f" (peak {size(snapshot.peak)})"
    who = snapshot.process or "a process without a name"
    lines = [f"{who}, by {snapshot.tool}: {quantity} {size(counted)}{peak}."]
    if snapshot.tool != "dumpsys":
        below = "below" if counted <= limit else "above"
        lines.append(
            f"The kill limit counts just this: {size(abs(limit - counted))} {below} the "
            f"{limit / 1e9:.1f} GB of the test phone."
        )
    if resident is not None:
        less = "less" if counted > resident else "more"
        lines.append(
            f"Resident size is {size(resident)}, {size(abs(counted - resident))} {less}: it counts "
            f"clean pages and not the {size(snapshot.swapped or 0)} compressed or swapped."
        )
    return lines


def app_sentence(answer: Answer) -> str:
    """Say which of several processes was taken as the app."""
    many = len({snapshot.process for snapshot in answer.snapshots})
    name = answer.app or "the one without a name"
    return (
        f"The reports hold {many:,} processes; {name} was taken as the app. "
        "Name another with --process."
    )


def change_line(change: Change) -> str:
    """Say what changed between two snapshots."""
    resident = "" if change.resident is None else f", resident {signed(change.resident)}"
    return f"From {change.before} to {change.after}: counted {signed(change.counted)}{resident}."


def heap_line(heap: HeapCensus) -> str:
    """Say what is live in a process."""
    blocks = "?" if heap.blocks is None else f"{heap.blocks:,}"
    return f"{cell(heap.size)} live in {blocks} blocks; largest:"


def leaks_line(leaks: Leaks) -> str:
    """Say what nothing refers to, and what that does not mean."""
    guess = " The tool could not read all of the process: a guess." if leaks.limited else ""
    return (
        f"leaks: {leaks.count:,} unreachable blocks, {size(leaks.size)}.{guess} Memory that "
        "something still refers to is no leak to this tool, however much it grows."
    )


def lab_subject(lab: LabMatch) -> str:
    """Return what the study ran, in a few words."""
    return f"{'workload' if lab.is_workload else 'voice'} {lab.subject}"


def lab_line(lab: LabMatch) -> str:
    """Say which conditions of the lab the phone's curve resembles."""
    if lab.phone is None:
        return "The phone's log has too few paragraphs for a shape; nothing was compared."
    known = [c for c in lab.conditions if c.distance is not None]
    if not known:
        return "The study has no complete run with enough steps; nothing was compared."
    if not lab.alike:
        return _unlike(lab, known[0])
    near = [lab.conditions[k] for k in lab.nearest]
    names = ", ".join(f"{c.experiment}/{c.condition}" for c in near[:4])
    names += f" and {len(near) - 4} more" if len(near) > 4 else ""
    apart = "" if len(near) == 1 else ", which cannot be told apart by their shape"
    return (
        f"In shape, the phone's curve resembles {names}{apart} (distance {near[0].distance:.2f}; 0 "
        f"is the same, alike is up to {FAR}). Levels were not compared, and a like shape is no "
        "proof of a like cause: it says which of the lab's experiments to repeat on the phone."
    )


def _unlike(lab: LabMatch, nearest: LabCondition) -> str:
    """Say that no condition is alike, and whether that is its shape or its verdict."""
    near = (
        f"the nearest is {nearest.experiment}/{nearest.condition} (distance "
        f"{nearest.distance:.2f}; alike is up to {FAR})"
    )
    if nearest.distance is not None and nearest.distance > FAR:
        return f"The phone's curve has the shape of none of the lab's conditions; {near}."
    return (
        f"The phone's curve is like none of the lab's conditions. By its shape, {near}; but the "
        f"phone's verdict is {lab.verdict}, and that condition's is {nearest.verdict}."
    )


def ceiling_lines(found: Ceiling) -> list[str]:
    """Say how much the lab can explain, and what to look at next."""
    most, whole = size(found.at_most), size(found.of)
    if found.tool is None:
        bound = (
            "How much of it the lab can explain is not known"
            if found.lab is None or found.lab >= found.of
            else f"The lab can explain at most {most} of it, because no run of this study held more"
        )
        text = (
            f"The log shows up to {whole} (resident size) and says nothing of categories. {bound}. "
            f"{_CANNOT} How much those hold, a footprint report says."
        )
        return [text]
    quantity = _QUANTITY.get(found.tool, "footprint")
    within = (
        "" if found.lab is None else f", and no run of this study held more than {size(found.lab)}"
    )
    text = (
        f"The lab can explain at most {most} of {whole} ({quantity}, by {found.tool}): "
        f"{size(found.like)} lie in owners that its pipeline has too{within}. {_CANNOT}"
    )
    lines = [text]
    if found.beyond:
        lines.append("What the pipeline does not have; look at these next:")
        for row in found.beyond[:4]:
            names = ", ".join(f"{name} {size(held)}" for name, held in row.categories)
            lines.append(f"  {row.owner}: {size(row.size)}" + (f" ({names})" if names else ""))
    return lines


def together_line(found: Together) -> str:
    """Say whether the footprint grew as the log did."""
    return (
        f"In the log, memory changed by {signed(found.logged)}; from the first report to the last, "
        f"what the kill limit counts changed by {signed(found.counted)}. {_TOGETHER[found.says]}"
    )
