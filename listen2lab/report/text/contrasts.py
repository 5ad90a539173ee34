"""What an experiment of one's own changes: each condition against its reference, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.findings.cures import RANDOM
from listen2lab.findings.hypotheses import EXPERIMENTS
from listen2lab.report.text import verdicts
from listen2lab.report.text.format import DASH
from listen2lab.study.plan import APART

if TYPE_CHECKING:
    from listen2lab.findings.records import ConditionContrast, Summary
    from listen2lab.study.data import StudyData

__all__ = ["TITLE", "Contrasts", "contrasts"]

TITLE = "What it changes"


class Contrasts(NamedTuple):
    """One experiment: what was asked and expected, and a row for each condition.

    ``note`` says what would decide it, where the runs do not.
    """

    experiment: str
    question: str
    predictions: tuple[str, ...]
    heads: tuple[str, str, str, str]
    rows: list[tuple[str, str, str, str]]
    note: str


def contrasts(study: StudyData, summary: Summary) -> list[Contrasts]:
    """Return what is compared in the experiments of which none of the lab's hypotheses tells."""
    found = []
    for planned in study.plan.experiments:
        item = summary.experiments[planned.name]
        if planned.name.partition(APART)[0] in {*EXPERIMENTS, RANDOM} or len(item.conditions) < 2:
            continue
        told = [each for each in item.contrasts.values() if each is not None]
        is_drawn = planned.unit == "paragraph" and planned.knobs.get("noise_scale_w") != 0
        found.append(
            Contrasts(
                planned.name,
                item.question,
                tuple(item.predictions.values()),
                (f"against {planned.reference.name}", *_HEADS),
                [(name, *_cells(name, each)) for name, each in item.contrasts.items()],
                _note(told, is_drawn=is_drawn),
            )
        )
    return found


_HEADS = ("end, MiB [95 %]", "peak, MiB [95 %]", "what it means")


def _cells(name: str, found: ConditionContrast | None) -> tuple[str, str, str]:
    if found is None:
        return DASH, DASH, "no complete run to compare"
    end = _change(found.end_difference_mib, found.end_interval_mib)
    peak = _change(found.peak_difference_mib, found.peak_interval_mib)
    if found.about == "rate":
        return end, peak, f"{found.verdict}: {verdicts.contrast(name, found)}"
    at_end, at_peak = verdicts.MEANINGS[found.verdict], verdicts.MEANINGS[found.peak]
    if found.peak_difference_mib is None:
        return end, peak, at_end
    if at_end == at_peak:
        return end, peak, f"{at_end}, at the end and at the peak"
    return end, peak, f"{at_end} at the end; {at_peak} at the peak"


def _change(difference: float | None, interval: tuple[float, float] | None) -> str:
    if difference is None:
        return DASH
    bounds = "" if interval is None else f" [{interval[0]:+,.1f}, {interval[1]:+,.1f}]"
    return f"{difference:+,.1f}{bounds}"


def _note(found: list[ConditionContrast], *, is_drawn: bool) -> str:
    """Say what would decide what is not known well enough; nothing where all is."""
    by_level = [each for each in found if each.about == "level"]
    if not any("inconclusive" in (each.verdict, each.peak) for each in by_level):
        return ""
    if any(each.end_interval_mib is None for each in by_level):
        return "A single run has no interval: at least two are needed, better three (--repeats 3)."
    if is_drawn:
        return (
            "Where it is not known well enough: in each run the voice draws another length for the "
            "same sentence. Fixed durations would tell (--set noise_scale_w=0), or more repeats."
        )
    return "Where it is not known well enough, more repeats would tell (--repeats 6)."
