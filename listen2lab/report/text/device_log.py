"""What a log says, in words: the questions of the handoff, answered."""

from __future__ import annotations

from typing import Any

from listen2lab.report.text.device import counted, number, verdict

__all__ = ["log_sentences"]


def log_sentences(log: dict[str, Any]) -> list[tuple[str, str]]:
    """Answer the questions asked of a log.

    Parameters
    ----------
    log
        ``log`` of `listen2lab.device.answer.answer`.

    Returns
    -------
    list of (str, str)
        Question and answer.
    """
    q = log["questions"]
    memory, parts = q["memory"], q["unaccounted"]
    minutes = "" if memory["minutes"] is None else f" in {number(memory['minutes'])} minutes"
    out = []
    if memory["first_mib"] is not None:
        out.append(
            (
                "Memory over time",
                (
                    f"{number(memory['first_mib'])} MiB after the first of {q['syntheses']:,} "
                    f"syntheses{minutes}, {number(memory['last_mib'])} after the last; at most "
                    f"{number(memory['highest_mib'])}, at least {number(memory['lowest_mib'])}."
                ),
            )
        )
    if parts is not None:
        many = counted(parts["breakdowns"], "breakdown")
        out.append(("Does Unaccounted grow?", _unaccounted(parts, log["verdict"])))
        out.append(
            (
                "Its minimum",
                (
                    f"{number(parts['lowest_mib'])} MiB over {many}: "
                    "the most that engine, frameworks and everything else can have as a baseline."
                ),
            )
        )
    evicted = q["evictions"]
    most = evicted["most_entries"]
    out.append(
        (
            "Evictions",
            f"{evicted['audio']:,} of audio, {evicted['alignment']:,} of alignments"
            + ("" if most is None else f"; at most {most} paragraphs in the audio cache")
            + ".",
        )
    )
    if q["syntheses"]:
        out.append(("Several syntheses at once?", _overlaps(q)))
        out.append(("Does memory follow the longest paragraph?", _longest(q["longest"])))
    else:
        out.append(("Syntheses", "None in the log: save all of it, not only some of its lines."))
    return out


def _unaccounted(parts: dict[str, Any], of_log: dict[str, Any] | None) -> str:
    many = counted(parts["breakdowns"], "breakdown")
    levels = (
        f"From {number(parts['first_mib'])} to {number(parts['last_mib'])} MiB "
        f"over {many} (at most {number(parts['highest_mib'])})."
    )
    if parts["worked_out"]:
        levels += " (The total less the caches; this log names other parts too.)"
    judged = parts["verdict"]
    if "few-breakdowns" not in judged["caveats"]:
        return f"{levels} {verdict(judged)}"
    if of_log is None or of_log["unit"] != "paragraph":
        return f"{levels} Too few to judge."
    share = parts["share_of_total"]
    if share is None or share < 0.5:
        return f"{levels} Too few in one run to judge by themselves."
    return (
        f"{levels} Too few in one run to judge by themselves; it is {100 * share:.0f} % of the "
        f"total, and the memory logged with each paragraph says: {of_log['verdict']}."
    )


def _overlaps(q: dict[str, Any]) -> str:
    found = q["overlaps"]
    open_ones = ""
    if q["unfinished"]:
        open_ones = f" {q['unfinished']:,} started and have no end in the log."
    if found["times"]:
        return (
            f"Yes: {found['times']:,} began before another had ended, at most "
            f"{found['most_at_once']} at once; first at line {found['first_line']:,} of "
            f"{found['first_in']}.{open_ones}"
        )
    active = found["most_active"]
    if active is not None and active > 1:
        return f"A breakdown counts {active} active, though no two overlap in the log.{open_ones}"
    return f"No: each ended before the next began.{open_ones}"


def _longest(longest: dict[str, Any] | None) -> str:
    if longest is None:
        return "The log does not say how long the audio is."
    share, chance = longest["share_at_records"], longest["share_of_records"]
    rise = longest["rise_mib"]
    during = "" if rise is None else f"; memory changed by {rise:+,.1f} MiB during it"
    length = number(longest["audio_s"])
    text = f"The longest is paragraph {longest['paragraph']:,}, {length} s{during}."
    if share is None or chance is None:
        return f"{text} Memory did not rise."
    return (
        f"{text} Of all upward moves, {100 * share:.0f} % came at a new (or nearly) longest "
        f"paragraph; such are {100 * chance:.0f} % of the paragraphs."
    )
