"""Evidence in sentences: what the terminal prints, and what a page says above its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.analysis.growth import Reason
from listen2lab.device.caveats import Caveat
from listen2lab.device.detect import KINDS
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "REACHABLE",
    "beside",
    "log_sentences",
    "snapshot_sentences",
    "source_line",
    "told",
    "verdict",
]

_SENTENCES = {str(r): r.sentence for r in Reason} | {str(c): c.sentence for c in Caveat}
_SHAPES = {
    "high-water": "A high-water mark: memory follows the longest paragraph so far, and stays.",
    "plateau": "A plateau: memory rose, then settled (or fell).",
    "baseline": "A baseline: memory is flat.",
    "sawtooth": "A sawtooth: memory is cleared again and again, to the same level.",
}
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60

REACHABLE = "Memory that something still refers to is no leak to this tool, however much it grows."
"""What zero leaks does not mean."""


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a sentence; a dash for one that there is not."""
    return "–" if value is None else f"{value:,.{digits}f}"


def sentence_of(code: str) -> str:
    """Return the sentence of a reason or a caveat."""
    return _SENTENCES.get(code, code)


def verdict(judged: dict[str, Any]) -> str:
    """Say a verdict in a sentence or two.

    Parameters
    ----------
    judged
        What `listen2lab.device.verdict.Judged.to_dict` gives.
    """
    unit = judged["unit"]
    name, confidence = judged["verdict"], judged["confidence"]
    if name == "leak":
        low, high = judged[f"interval_kib_per_{unit}"]
        rate = judged[f"rate_kib_per_{unit}"]
        return (
            f"Leak: {_rate(rate)} a {unit} (95 % between {_rate(low)} and {_rate(high)}); "
            f"confidence: {confidence}."
        )
    if name == "inconclusive":
        withdrawn = [c for c in judged["caveats"] if _withdraws(c)]
        first = next(iter([*withdrawn, *judged["reasons"]]), None)
        return f"Inconclusive. {'' if first is None else sentence_of(first)}"
    hidden = judged[f"upper_kib_per_{unit}"]
    bound = (
        "" if hidden is None else f" No growth above {_rate(max(hidden, 0))} a {unit} is hidden."
    )
    shape = _SHAPES[name]
    if unit != "paragraph":
        shape = shape.replace("longest paragraph", "largest input")
    return f"{shape}{bound} Confidence: {confidence}."


def _withdraws(code: str) -> bool:
    return any(str(c) == code and c.withdraws for c in Caveat)


def _rate(kib: float | None) -> str:
    if kib is None:
        return "an unknown amount"
    if abs(kib) >= 1024:
        return f"{kib / 1024:,.2f} MiB"
    return f"{kib:,.0f} KiB" if abs(kib) >= 100 else f"{kib:,.3g} KiB"


def source_line(source: dict[str, Any]) -> str:
    """Return what was understood of a file, in one line."""
    kinds = ", ".join(KINDS[kind] for kind in source["kinds"])
    return (
        f"{source['name']}: {kinds}; {source['lines']:,} lines: {source['recognised']:,} "
        f"recognised, {source['ignored']:,} ignored, {source['malformed']:,} malformed; "
        f"{source['encoding']}"
    )


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
        out.append(("Does Unaccounted grow?", _unaccounted(parts, log["verdict"])))
        out.append(
            (
                "Its minimum",
                (
                    f"{number(parts['lowest_mib'])} MiB over {parts['breakdowns']:,} breakdowns: "
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
    out.append(("Several syntheses at once?", _overlaps(q)))
    out.append(("Does memory follow the longest paragraph?", _longest(q["longest"])))
    return out


def _unaccounted(parts: dict[str, Any], of_log: dict[str, Any] | None) -> str:
    levels = (
        f"From {number(parts['first_mib'])} to {number(parts['last_mib'])} MiB "
        f"over {parts['breakdowns']:,} breakdowns (at most {number(parts['highest_mib'])})."
    )
    if parts["worked_out"]:
        levels += " (The total less the caches; this log names other parts too.)"
    judged = parts["verdict"]
    if "few-breakdowns" not in judged["caveats"]:
        return f"{levels} {verdict(judged)}"
    if of_log is None:
        return f"{levels} Too few to judge."
    share = parts["share_of_total"]
    if share is None or share < 0.5:
        return f"{levels} Too few to judge by themselves."
    return (
        f"{levels} Too few to judge by themselves; it is {100 * share:.0f} % of the total, and the "
        f"memory logged with each paragraph says: {of_log['verdict']}."
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


def snapshot_sentences(snapshot: dict[str, Any], limit: int) -> list[str]:
    """Say what a snapshot holds, in lines."""
    who = snapshot["process"] or "a process without a name"
    counted, resident = snapshot["counted"], snapshot["resident"]
    lines = []
    if counted is not None:
        quantity = "footprint" if snapshot["tool"] != "dumpsys" else "private dirty and swapped"
        peak = "" if snapshot["peak"] is None else f" (peak {_mib(snapshot['peak'])})"
        lines.append(f"{who}, by {snapshot['tool']}: {quantity} {_mib(counted)} MiB{peak}.")
        if snapshot["tool"] != "dumpsys":
            left = limit - counted
            lines.append(
                f"The kill limit counts just this: {_mib(abs(left))} MiB "
                f"{'below' if left >= 0 else 'above'} the {limit / 1e9:.1f} GB of the test phone."
            )
    if resident is not None and counted is not None:
        gap = counted - resident
        swapped = sum(c["swapped"] or 0 for c in snapshot["categories"])
        lines.append(
            f"Resident size is {_mib(resident)} MiB, {_mib(abs(gap))} "
            f"{'less' if gap > 0 else 'more'}: it counts clean pages and not the "
            f"{_mib(swapped)} MiB compressed or swapped."
        )
    return lines


def owner_table(snapshot: dict[str, Any]) -> list[str]:
    """Return a snapshot's owners as lines of a table, in MiB."""
    columns = ("counted", "dirty", "swapped", "clean", "reclaimable")
    lines = [f"  {'MiB':<24}" + "".join(f"{name:>12}" for name in columns)]
    for owner, values in snapshot["owners"].items():
        cells = "".join(f"{_mib(values[name]):>12}" for name in columns)
        lines.append(f"  {owner:<24}{cells}")
    return lines


def _mib(size: float | None) -> str:
    return "–" if size is None else f"{size / MIB:,.1f}"


def difference_lines(change: dict[str, Any]) -> list[str]:
    """Say what changed between two snapshots."""
    resident = change["resident"]
    beside_it = "" if resident is None else f", resident {_signed(resident)} MiB"
    lines = [
        (
            f"From {change['before']['source']} to {change['after']['source']}: counted "
            f"{_signed(change['counted'])} MiB{beside_it}."
        )
    ]
    moved = [
        (owner, values["counted"])
        for owner, values in change["owners"].items()
        if values["counted"]
    ]
    moved.sort(key=lambda item: -abs(item[1]))
    lines += [f"  {owner:<24}{_signed(size):>12} MiB" for owner, size in moved[:8]]
    return lines


def _signed(size: float | None) -> str:
    return "–" if size is None else f"{size / MIB:+,.1f}"


def beside(found: dict[str, Any]) -> list[str]:
    """Say which conditions of the lab the phone's curve resembles."""
    if found["phone"] is None:
        return ["The phone's log has too few paragraphs for a shape; nothing was compared."]
    if not found["nearest"]:
        return ["The study has no complete run with enough steps; nothing was compared."]
    names = " and ".join(found["nearest"][:4])
    more = len(found["nearest"]) - 4
    names += f" and {more} more" if more > 0 else ""
    distance = found["conditions"][0]["distance"]
    if not found["alike"]:
        return [
            (
                f"The phone's curve has the shape of none of the lab's conditions; the nearest is "
                f"{names} (distance {distance:.2f}; alike is up to 0.35)."
            )
        ]
    alone = len(found["nearest"]) == 1
    told_apart = "" if alone else ", which cannot be told apart by their shape"
    return [
        (
            f"In shape, the phone's curve resembles {names}{told_apart} (distance {distance:.2f}; "
            "0 is the same, alike is up to 0.35). Levels were not compared."
        )
    ]


def ceiling_lines(found: dict[str, Any] | None) -> list[str]:
    """Say how much the lab can explain, and what to look at next."""
    if found is None:
        return []
    lines = [
        f"The lab can explain at most {number(found['at_most_mib'])} of "
        f"{number(found['of_mib'])} MiB ({found['what']}): "
        + (
            f"{number(found['like_mib'])} lie in owners that its pipeline has too"
            if found["by_category"]
            else "the log says nothing of categories"
        )
        + (
            ""
            if found["lab_mib"] is None
            else f", and no run of this study held more than {number(found['lab_mib'])}"
        )
        + "."
    ]
    if found["beyond"]:
        lines.append("What the pipeline does not have; look at these next:")
        for row in found["beyond"][:4]:
            names = ", ".join(f"{c['name']} {number(c['mib'])}" for c in row["categories"])
            lines.append(
                f"  {row['owner']}: {number(row['mib'])} MiB" + (f" ({names})" if names else "")
            )
    return lines


def sparkline(values: list[float]) -> str:
    """Return a curve as a row of blocks."""
    if not values:
        return ""
    step = max(1.0, len(values) / _WIDTH)
    picked = [values[int(k * step)] for k in range(min(_WIDTH, len(values)))]
    low, high = min(picked), max(picked)
    span = max(high - low, 1.0)  # a mebibyte up and down is flat to the eye
    bars = "".join(_BLOCKS[int((v - low) / span * (len(_BLOCKS) - 1))] for v in picked)
    return f"{bars}  {low:,.1f} to {high:,.1f} MiB"


def told(answer: dict[str, Any]) -> str:
    """Return what ``listen2lab device`` prints.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    """
    lines: list[str] = []
    for source in answer["sources"]:
        lines.append(source_line(source))
        lines += [f"  {_note(note)}" for note in source["notes"][:6]]
        more = len(source["notes"]) - 6 + source["notes_left_out"]
        lines += [f"  and {more:,} more of such notes"] if more > 0 else []
    lines += [f"left out: {problem}" for problem in answer["problems"]]
    if answer["log"] is not None:
        lines += ["", *_log_lines(answer["log"])]
    for one in answer["series"]:
        lines += ["", (f"{one['quantity']} of {one['source']}: {one['samples']:,} samples. "
                  f"{verdict(one['verdict'])}"), *_codes(one["verdict"]),
                  f"  {sparkline(one['memory_mib'])}"]  # fmt: skip
    for snapshot in answer["snapshots"]:
        lines += ["", *snapshot_sentences(snapshot, answer["limit_bytes"])]
        lines += owner_table(snapshot) if snapshot["categories"] else []
    if answer["difference"] is not None:
        lines += ["", *difference_lines(answer["difference"])]
    lines += _heap_lines(answer)
    if answer["beside"] is not None:
        lines += ["", *beside(answer["beside"])]
    lines += ["", *ceiling_lines(answer["ceiling"])]
    for k, step in enumerate(answer["next"], start=1):
        lines += ["", f"Next, {k}: {step['why']}", *(f"    {line}" for line in step["commands"])]
    return "\n".join(_without_doubled_blanks(lines))


def _note(note: dict[str, Any]) -> str:
    return f"line {note['line']:,}: {note['text']}" if note["line"] else str(note["text"])


def _codes(judged: dict[str, Any]) -> list[str]:
    return [f"  - {code}: {sentence_of(code)}" for code in [*judged["reasons"], *judged["caveats"]]]


def _log_lines(log: dict[str, Any]) -> list[str]:
    lines = []
    if log["verdict"] is None:
        lines.append("The log holds no memory after a synthesis, so there is nothing to judge.")
    else:
        lines += [f"Resident size, as the app logs it. {verdict(log['verdict'])}"]
        lines += _codes(log["verdict"])
    for curve in log["curves"][:6]:
        if curve["memory_mib"]:
            lines.append(f"  {sparkline(curve['memory_mib'])}  {curve['name']}")
    for session in log["questions"]["sessions"]:
        if session["began"] and len(log["questions"]["sessions"]) > 1:
            lines.append(f"  {session['name']}: {session['began']}")
    lines += [f"{question}: {text}" for question, text in log_sentences(log)]
    return lines


def _heap_lines(answer: dict[str, Any]) -> list[str]:
    lines = []
    for heap in answer["heaps"]:
        blocks = "?" if heap["blocks"] is None else f"{heap['blocks']:,}"
        live = _mib(heap["size"])
        lines += [
            "",
            f"heap of {heap['process'] or '?'}: {live} MiB live in {blocks} blocks; largest:",
        ]
        lines += [
            f"  {_mib(c['size']):>10} MiB {c['count']:>10,} × {c['name'][:60]}"
            for c in heap["classes"][:6]
        ]
    if answer["heap_growth"]:
        lines.append("Grew most from the first heap to the last:")
        lines += [
            f"  {_signed(row['size']):>10} MiB {row['blocks']:>+10,} × {row['name'][:60]}"
            for row in answer["heap_growth"][:6]
        ]
    for leaks in answer["leaks"]:
        guess = " The tool could not read all of the process: a guess." if leaks["limited"] else ""
        found = f"leaks: {leaks['count']:,} unreachable blocks, {_mib(leaks['size'])} MiB.{guess}"
        lines += ["", f"{found} {REACHABLE}"]
    return lines


def _without_doubled_blanks(lines: Iterable[str]) -> list[str]:
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    return out[:-1] if out and not out[-1] else out
