"""What may surprise in an experiment's numbers, and why it is so: said where the number stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import number

if TYPE_CHECKING:
    from listen2lab.findings.records import ConditionContrast, ConditionNumbers, ExperimentSummary

__all__ = ["surprises"]

_WIDE_MIB = 100.0  # half of an interval: more than anything but another length does here
_SAME_PEAK = 0.98  # of the peak of what it is compared with

_MADE_AGAIN = (
    "That it holds more surprises: a paragraph made ahead is thrown away and made again, in "
    "another length, and the engine keeps memory for both."
)
_KEEPS_ALL = (
    "It is made to keep everything here, and so it grows; with a limit, as the app has it, it does "
    "not."
)
_HIGHER = {("cache-size", "1"), ("force-clear", "clear"), ("force-clear", "clear+trim")}
_UNBOUNDED = {
    ("cache-size", "unbounded"), ("alignment-cache", "unbounded"),
    ("audio-retention", "retains"), ("audio-retention", "retains-skips"),
}  # fmt: skip


def surprises(experiment: str, item: ExperimentSummary) -> dict[str, str]:
    """Return a sentence or two for each condition whose numbers may surprise."""
    said = {}
    for name, numbers in item.conditions.items():
        found = item.contrasts.get(name)
        parts = [
            *([_MADE_AGAIN] if _is_higher(found) and (experiment, name) in _HIGHER else ()),
            *(
                [_KEEPS_ALL]
                if numbers.verdict == "leak" and (experiment, name) in _UNBOUNDED
                else ()
            ),
            *(_kept_peak(numbers, found, item)),
            *(_wide(numbers, found, item)),
        ]
        if parts:
            said[name] = " ".join(parts)
    return said


def _is_higher(found: ConditionContrast | None) -> bool:
    return found is not None and found.verdict == "worse"


def _kept_peak(
    numbers: ConditionNumbers, found: ConditionContrast | None, item: ExperimentSummary
) -> list[str]:
    """Say why a condition that ends lower peaks as high."""
    if found is None or found.verdict != "reduced" or item.unit != "paragraph":
        return []
    peak, of_first = numbers.peak_mib, item.conditions[found.to].peak_mib
    if peak is None or of_first is None or peak < _SAME_PEAK * of_first:
        return []
    why = (
        "while the longest sentence is spoken, it needs what it needs; only afterwards is less kept"
    )
    return [f"Its peak, {number(peak)} MiB, stays: {why}."]


def _wide(
    numbers: ConditionNumbers, found: ConditionContrast | None, item: ExperimentSummary
) -> list[str]:
    """Say why an interval spans zero by hundreds of MiB, and what would decide it."""
    if found is None or found.verdict != "inconclusive" or found.end_interval_mib is None:
        return []
    low, high = found.end_interval_mib
    ends = [*numbers.end_each_mib, *item.conditions[found.to].end_each_mib]
    if high - low < 2 * _WIDE_MIB or len(ends) < 2:
        return []
    apart = f"single runs end between {number(min(ends), 0)} and {number(max(ends), 0)} MiB"
    if item.unit != "paragraph":
        return [f"The interval is wide because {apart}; more repeats would decide it."]
    why = (
        "the voice draws another length each time it speaks a sentence; memory follows the "
        "longest, and one that is made twice is kept twice"
    )
    what = "Fixed durations (`--set noise_scale=0 --set noise_scale_w=0`) or more repeats"
    return [f"The interval is wide because {apart}: {why}. {what} would decide it."]
