"""What reports of memory say, in words; and the phone beside the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.device.lab_match import FAR
from listen2lab.report.text.device import amount as size
from listen2lab.report.text.device import cell, signed
from listen2lab.report.text.format import fill, seconds

if TYPE_CHECKING:
    from listen2lab.device.answer import Answer, SeriesSummary, Together
    from listen2lab.device.formats.heap import HeapCensus
    from listen2lab.device.formats.leaks import Leaks
    from listen2lab.device.formats.schema import Change, Snapshot
    from listen2lab.device.lab_match import Ceiling, LabCondition, LabMatch

__all__ = [
    "app_sentence", "ceiling_lines", "change_lines", "growth_line", "heap_lines", "lab_line",
    "lab_subject", "leaks_lines", "series_name", "series_title", "snapshot_lines", "together_line",
]  # fmt: skip

_QUANTITY = {
    "footprint": "footprint",
    "private-dirty": "private dirty and swapped memory",
    "pss": "proportional share (PSS)",
}
_NOTES = {
    "address-space-only": "This table has address space only (a crash report's, or vmmap without "
    "rights): how much memory is used stands nowhere in it. Run vmmap -summary as the app's owner "
    "or with sudo, or footprint.",
    "in-no-region": "{size:size} of the footprint are above all that is resident or swapped: the "
    "system counts memory for this process that is in none of its regions (graphics, or a virtual "
    "machine's).",
    "regions-only": "The report was cut: {regions} of its regions are there and no summary, so "
    "what holds most of it is not known.",
    "recorder": "Malloc stack logging was on: {size:size} of it are the recorder's own, and "
    "{without:size} are the app's. Take no sizes from such a run.",
    "freed-and-kept": "{size:size}, {share:percent} of it, were freed and are kept dirty by malloc "
    "(MALLOC ... (empty)): what a high-water mark leaves, and no leak.",
    "fragments": "{size:size} of malloc's zones hold no live block: fragmentation, kept after "
    "blocks were freed.",
    "heap-free": "{size:size} of the native heap are free and kept by the allocator, which is what "
    "a high-water mark looks like.",
    "sum-over-heading": "The rows add up to {sum:size}, more than the {heading:size} in the "
    "heading: some of them are counted elsewhere.",
    "killed": "The system killed it: {reason}.",
    "limit-exceeded": "The system says that it exceeded its limit of {limit:size}.",
    "a-days-peak": "At most {size:size} in a day. MetricKit has a day's peak and no growth: two "
    "days' peaks are no two moments.",
    "suspended": "{size:size} on average while suspended, which is what the system looks at when "
    "it chooses whom to end.",
    "killed-in-a-day": "In the {in}, the system ended it {limit} times at its memory limit, and "
    "{pressure} times when memory was short.",
    "swap": "{size:size} of it are swapped.",
}
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


def snapshot_lines(snapshot: Snapshot, limit: int | None) -> list[str]:
    """Say what a snapshot holds."""
    counted, resident = snapshot.counted, snapshot.resident
    lines = []
    if counted is not None:
        peak = "" if snapshot.peak is None else f" (peak {size(snapshot.peak)})"
        is_least = snapshot.is_cut and snapshot.footprint is None
        least = "at least " if is_least else ""
        quantity = _QUANTITY[snapshot.quantity]
        cut = f" in the {len(snapshot.categories)} rows that there are; the report was cut"
        lines.append(
            f"{quantity[0].upper()}{quantity[1:]} {least}{size(counted)}{peak}"
            f"{cut if is_least else ''}."
        )
        if limit is not None and snapshot.quantity == "footprint":
            below = "below" if counted <= limit else "above"
            lines.append(f"That is {size(abs(limit - counted))} {below} the kill limit.")
    elif resident is not None:
        lines.append(f"Resident size is {size(resident)}.")
    codes = {note.code for note in snapshot.notes}
    if resident is not None and snapshot.quantity == "pss":
        lines.append(f"Resident size (RSS) is {size(resident)}.")
    elif resident is not None and counted is not None and "in-no-region" not in codes:
        apart = abs(counted - resident)
        less = f", {size(apart)} {'less' if counted > resident else 'more'}" if apart else ", too"
        gone = f" and not the {size(snapshot.swapped)} swapped" if snapshot.swapped else ""
        lines.append(
            f"Resident size is {size(resident)}{less}: it counts clean and shared pages{gone}."
        )
    return lines + [fill(_NOTES[note.code], note.values) for note in snapshot.notes]


def series_name(one: SeriesSummary) -> str:
    """Return what was taken: a column's name, or a report's quantity."""
    return _QUANTITY.get(one.quantity, one.quantity)


def series_title(one: SeriesSummary) -> str:
    """Return what was taken, of which process, over how long."""
    what = series_name(one)
    what = what if what == one.quantity else f"{what[0].upper()}{what[1:]}"
    who = f" of process {one.process}" if one.process else ""
    span = f" over {seconds(one.seconds)}" if one.timed else ", without times"
    levels = "" if one.range is None else f", {size(one.range.first)} to {size(one.range.last)}"
    return f"{what}{who} in {one.source}: {one.samples:,} samples{span}{levels}"


def app_sentence(answer: Answer) -> str:
    """Say which of several processes was taken as the app."""
    many = len({snapshot.process for snapshot in answer.snapshots})
    name = answer.app or "the one without a name"
    return (
        f"The reports hold {many:,} processes; {name} was taken as the app. "
        "Name another with --process."
    )


def change_lines(change: Change) -> list[str]:
    """Say what changed between two snapshots."""
    resident = "" if change.resident is None else f", resident {signed(change.resident)}"
    during = f" in {seconds(change.seconds)}" if change.seconds else ""
    counted = "" if change.counted is None else f"counted {signed(change.counted)}"
    changed = f"{counted}{resident}{during}".removeprefix(", ")
    files = f"From {change.before} to {change.after}: "
    said = f"{files if change.before != change.after else ''}{changed}."
    lines = [f"{said[0].upper()}{said[1:]}"]
    if change.is_cut:
        lines.append("One of the reports was cut: rows that it lacks count as nothing in it.")
    grown = [
        f"{name} {first:,} to {last:,}" for name, first, last in change.objects if last > first
    ]
    if grown:
        lines.append(
            f"More live objects: {', '.join(grown)}. Activities that were closed and still count "
            "are still referred to: that is a leak, and this table names it."
        )
    return lines


def heap_lines(heap: HeapCensus) -> list[str]:
    """Say what is live in a process."""
    blocks = "?" if heap.blocks is None else f"{heap.blocks:,}"
    lines = [f"{cell(heap.size)} live in {blocks} blocks."]
    if heap.tool != "heap":
        listed = sum(each.size for each in heap.classes)
        stacks = f"{len(heap.classes):,} stacks"
        lines = [f"The {stacks} listed hold {size(listed)}; the innermost calls stand first."]
    if heap.footprint is not None and heap.size is not None:
        lines.append(
            f"The footprint is {size(heap.footprint)}: {size(max(heap.footprint - heap.size, 0))} "
            "of it are in no live block."
        )
    listed = sum(each.size for each in heap.classes)
    if heap.size and listed < 0.9 * heap.size:
        lines.append(
            f"The {len(heap.classes)} classes listed hold {size(listed)}, "
            f"{100 * listed / heap.size:.0f} % of it: the list was cut, and is sorted by count; "
            "heap -s sorts by size."
        )
    if heap.size and heap.block_sizes:
        each, many = heap.block_sizes[0]
        if 0.2 * heap.size < each * many <= 1.05 * heap.size:  # sizes are classes' largest ones
            lines.append(
                f"Most is in {many:,} blocks of {size(each)}: {size(each * many)}, "
                f"{100 * min(each * many / heap.size, 1):.0f} %."
            )
    return lines


def growth_line(answer: Answer) -> str:
    """Say what all classes together changed by, and what was likely renamed."""
    renamed = [row for row in answer.heap_growth if row.renamed_from is not None]
    names = ", ".join(f"{row.renamed_from} to {row.name}" for row in renamed[:4])
    moved = f" Likely renamed, for heap derives names anew each time: {names}." if renamed else ""
    if answer.live_growth is None:
        return f"Of what is listed, most bytes first.{moved}"
    return f"Live blocks changed by {signed(answer.live_growth)} in all.{moved}"


def leaks_lines(leaks: Leaks) -> list[str]:
    """Say what nothing refers to, and what that does not mean."""
    guess = " The tool could not read all of the process: a guess." if leaks.limited else ""
    text = (
        f"{leaks.count:,} unreachable blocks, {size(leaks.size)}.{guess} Memory that something "
        "still refers to is no leak to this tool, however much it grows."
    )
    lines = [text]
    if leaks.footprint:
        inside = ""
        if leaks.live is not None:
            inside = (
                f"; {size(leaks.live)} are live in malloc, and "
                f"{size(max(leaks.footprint - leaks.live, 0))} of the footprint are in no malloc "
                "block"
            )
        share = leaks.size / leaks.footprint
        lines.append(
            f"That is {100 * share:.2g} % of the footprint of {size(leaks.footprint)}{inside}."
        )
    return lines


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
    quantity = _QUANTITY["private-dirty" if found.tool == "dumpsys" else "footprint"]
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
