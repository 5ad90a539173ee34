"""What ``listen2lab device`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.report.text.device import sentence_of, source_line, subject, verdict
from listen2lab.report.text.device_lab import beside, ceiling_lines, together
from listen2lab.report.text.device_log import log_sentences
from listen2lab.report.text.device_reports import (
    app_sentence,
    difference_lines,
    growth_lines,
    heap_lines,
    leaks_sentence,
    of_app,
    owner_table,
    snapshot_sentences,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["sparkline", "told"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60


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
    lines += _report_lines(answer)
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
        lines.append("The log holds no memory, so there is nothing to judge.")
    else:
        lines += [f"{subject(log['verdict'])}. {verdict(log['verdict'])}"]
        lines += _codes(log["verdict"])
    for curve in log["curves"][:6]:
        if curve["memory_mib"]:
            lines.append(f"  {sparkline(curve['memory_mib'])}  {curve['name']}")
    for session in log["questions"]["sessions"]:
        if session["began"] and len(log["questions"]["sessions"]) > 1:
            lines.append(f"  {session['name']}: {session['began']}")
    lines += [f"{question}: {text}" for question, text in log_sentences(log)]
    return lines


def _report_lines(answer: dict[str, Any]) -> list[str]:
    lines = ["", app_sentence(answer)]
    for snapshot in of_app(answer):
        lines += ["", *snapshot_sentences(snapshot, answer["limit_bytes"])]
        lines += owner_table(snapshot) if snapshot["categories"] else []
    if answer["difference"] is not None:
        lines += ["", *difference_lines(answer["difference"]), *together(answer["together"])]
    for heap in answer["heaps"]:
        lines += ["", *heap_lines(heap)]
    lines += growth_lines(answer["heap_growth"])
    for leaks in answer["leaks"]:
        lines += ["", leaks_sentence(leaks)]
    return lines


def _without_doubled_blanks(lines: Iterable[str]) -> list[str]:
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    return out[:-1] if out and not out[-1] else out
