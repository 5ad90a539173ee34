"""What a log says, in words: the questions of the handoff, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.device import counted, session_name, signed, verdict
from listen2lab.report.text.format import seconds, size

if TYPE_CHECKING:
    from listen2lab.device.judging import Judged
    from listen2lab.device.log_summary import LogSummary, Longest, Unaccounted

__all__ = ["log_answers"]


def log_answers(log: LogSummary) -> list[tuple[str, str]]:
    """Return the questions asked of a log, each with its answer."""
    memory, parts, evicted = log.memory, log.unaccounted, log.evictions
    out = []
    if memory is not None:
        during = "" if log.seconds is None else f" in {seconds(log.seconds)}"
        text = (
            f"{size(memory.first)} after the first of {log.syntheses:,} syntheses{during}, "
            f"{size(memory.last)} after the last; at most {size(memory.highest)}, at least "
            f"{size(memory.lowest)}."
        )
        out.append(("Memory over time", text))
    if parts is not None:
        out.append(("Does Unaccounted grow?", _unaccounted(parts, log.judged)))
        text = (
            f"{size(parts.memory.lowest)} over {counted(parts.breakdowns, 'breakdown')}: the most "
            "that engine, frameworks and everything else can have as a baseline."
        )
        out.append(("Its minimum", text))
    entries = evicted.most_entries
    most = "" if entries is None else f"; at most {entries} paragraphs in the audio cache"
    text = f"{evicted.audio:,} of audio, {evicted.alignment:,} of alignments{most}."
    out.append(("Evictions", text))
    if log.syntheses:
        out.append(("Several syntheses at once?", _overlaps(log)))
        out.append(("Does memory follow the longest paragraph?", _longest(log.longest)))
    else:
        out.append(("Syntheses", "None in the log: save all of it, not only some of its lines."))
    return out


def _unaccounted(parts: Unaccounted, of_log: Judged | None) -> str:
    many, memory, share = counted(parts.breakdowns, "breakdown"), parts.memory, parts.share_of_total
    text = (
        f"From {size(memory.first)} to {size(memory.last)} over {many} (at most "
        f"{size(memory.highest)})."
    )
    if parts.worked_out:
        text += " (The total less the caches; this log names other parts too.)"
    if parts.judged is None:
        return f"{text} There is nothing to judge."
    if "few-breakdowns" not in parts.judged.caveats:
        return f"{text} {verdict(parts.judged)}"
    if of_log is None or of_log.unit != "paragraph":
        return f"{text} Too few to judge."
    text += " Too few in one run to judge by themselves"
    if share is None or share < 0.5:
        return f"{text}."
    return (
        f"{text}; it is {100 * share:.0f} % of the total, and the memory logged with each "
        f"paragraph says: {of_log.verdict}."
    )


def _overlaps(log: LogSummary) -> str:
    found = log.overlaps
    open_ones = ""
    if log.unfinished:
        open_ones = f" {log.unfinished:,} started and have no end in the log."
    if found.first_session is not None:
        return (
            f"Yes: {found.times:,} began before another had ended, at most {found.most_at_once} at "
            f"once; first at line {found.first_line:,} of "
            f"{session_name(log.sessions[found.first_session])}.{open_ones}"
        )
    if found.most_active is not None and found.most_active > 1:
        return (
            f"A breakdown counts {found.most_active} active, though no two overlap in the log."
            f"{open_ones}"
        )
    return f"No: each ended before the next began.{open_ones}"


def _longest(longest: Longest | None) -> str:
    if longest is None:
        return "The log does not say how long the audio is."
    share, chance = longest.share_at_records, longest.share_of_records
    during = "" if longest.rise is None else f"; memory changed by {signed(longest.rise)} during it"
    text = f"The longest is paragraph {longest.paragraph:,}, {seconds(longest.audio_s)}{during}."
    if share is None or chance is None:
        return f"{text} Memory did not rise."
    return (
        f"{text} Of all upward moves, {100 * share:.0f} % came at a new (or nearly) longest "
        f"paragraph; such are {100 * chance:.0f} % of the paragraphs."
    )
