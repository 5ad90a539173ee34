"""Numbers, codes and verdicts in words, as the terminal and the pages say them."""

from __future__ import annotations

from typing import Any

from listen2lab.device.caveats import Caveat
from listen2lab.device.detect import KINDS
from listen2lab.report.text import verdicts
from listen2lab.units import MIB

__all__ = [
    "counted",
    "number",
    "sentence_of",
    "signed",
    "size",
    "source_line",
    "subject",
    "verdict",
]

_SENTENCES = verdicts.REASONS | {str(c): c.sentence for c in Caveat}
_SHAPES = {
    "high-water": "A high-water mark: memory follows the longest paragraph so far, and stays.",
    "plateau": "A plateau: memory rose, then settled (or fell).",
    "baseline": "A baseline: memory is flat.",
    "sawtooth": "A sawtooth: memory is cleared again and again, to the same level.",
}


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a sentence; a dash for one that there is not."""
    return "–" if value is None else f"{value:,.{digits}f}"


def size(value: float | None) -> str:
    """Return bytes as MiB for a sentence; a dash where there are none."""
    return number(None if value is None else value / MIB)


def signed(value: float | None) -> str:
    """Return a change in bytes as MiB, with its sign; a dash where there is none."""
    return "–" if value is None else f"{value / MIB:+,.1f}"


def counted(many: int, what: str) -> str:
    """Return a count with its noun, in the plural where it is one."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def sentence_of(code: str) -> str:
    """Return the sentence of a reason or a caveat."""
    return _SENTENCES.get(code, code)


def subject(judged: dict[str, Any]) -> str:
    """Say what a log's verdict is about."""
    if judged["unit"] == "paragraph":
        return "Resident size, as the app logs it"
    return "Memory, as the app logs it in its breakdowns only"


def verdict(judged: dict[str, Any]) -> str:
    """Say a verdict in a sentence or two.

    Parameters
    ----------
    judged
        What `listen2lab.device.judging.Judged.to_dict` gives.
    """
    unit = judged["unit"]
    name = judged["verdict"]
    confidence = verdicts.confidence(judged["confidence"], judged["reasons"])
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
    if abs(kib) >= 1023.5:
        return f"{kib / 1024:,.2f} MiB"
    return f"{kib:,.0f} KiB" if abs(kib) >= 100 else f"{kib:,.3g} KiB"


def source_line(source: dict[str, Any]) -> str:
    """Return what was understood of a file, in one line."""
    kinds = ", ".join(KINDS[kind] for kind in source["kinds"])
    return (
        f"{source['name']}: {kinds}; {counted(source['lines'], 'line')}: {source['recognised']:,} "
        f"recognised, {source['ignored']:,} ignored, {source['malformed']:,} malformed; "
        f"{source['encoding']}"
    )
