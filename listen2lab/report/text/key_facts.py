"""What a reader must see first: four things of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.findings.records import Where
from listen2lab.report.text.account import CODE_OF_PART, part
from listen2lab.report.text.answers import nature
from listen2lab.report.text.findings import amount
from listen2lab.report.text.format import DASH, number
from listen2lab.report.text.study import verdict_parts

if TYPE_CHECKING:
    from listen2lab.findings.records import ConditionNumbers, Summary
    from listen2lab.study.data import StudyData

__all__ = ["Fact", "key_facts", "reference"]


class Fact(NamedTuple):
    """One of the four: what it is, its value, and a note."""

    label: str
    value: str
    note: str


def reference(study: StudyData, summary: Summary) -> Where | None:
    """Return the condition that a study is about: the app as it is."""
    for item in sorted(study.plan.experiments, key=lambda item: item.name != "baseline"):
        conditions = summary.experiments[item.name].conditions
        if conditions[item.reference.name].n_complete:
            return Where(item.name, item.reference.name)
    return None


def key_facts(study: StudyData, summary: Summary) -> list[Fact]:
    """Return the four most important things of a study; none without a complete run."""
    where = reference(study, summary)
    if where is None:
        return []
    item = summary.experiments[where.experiment]
    numbers = item.conditions[where.condition]
    return [
        _leak(summary, numbers, item.unit),
        Fact(
            "At the end, as the app is" if where.condition == "app" else f"At the end of {where}",
            f"{number(numbers.end_mib)} MiB",
            f"peak {number(numbers.peak_mib)} MiB, after a teardown "
            f"{number(numbers.released_mib)} MiB",
        ),
        _held(summary, numbers),
        _lowest(summary, numbers.end_mib, where),
    ]


def _leak(summary: Summary, numbers: ConditionNumbers, unit: str) -> Fact:
    """Return the verdict: that over all series of the app's own condition, where there is one."""
    over_all = None if summary.answers is None else summary.answers.leak
    if over_all is not None and over_all.verdict is not None:
        verdict, note = over_all.verdict, nature(over_all)[1]
    else:
        verdict, note = numbers.verdict, verdict_parts(numbers, unit)[1]
    value = {"leak": "Yes", "inconclusive": "Not decided"}.get(verdict, f"No: {verdict}")
    return Fact("Does it leak?", value, note.rstrip("."))


def _held(summary: Summary, numbers: ConditionNumbers) -> Fact:
    """Return the largest part of memory at the end by the account, and what is unaccounted."""
    label = "What holds most of it"
    sizes = {}
    if summary.answers is not None:
        sizes = {each.part: each.mib for each in summary.answers.consumes.parts}
    if not sizes:
        sizes = {**numbers.components_mib, CODE_OF_PART: numbers.unaccounted_mib or 0.0}
    rest = sizes.pop(CODE_OF_PART, 0.0)
    most = max(sizes, key=lambda name: sizes[name], default=None)
    if most is None:
        return Fact(label, DASH, "memory was not taken apart")
    left = (
        f"{number(rest)} MiB are {CODE_OF_PART}"
        if rest >= 0  # more can be found than is resident: two readings are not of one instant
        else f"the parts add up to it within {amount(-rest)}"
    )
    return Fact(label, f"{number(sizes[most])} MiB", f"{part(most)}; {left}")


def _lowest(summary: Summary, end: float | None, where: Where) -> Fact:
    """Return the condition that ended lowest, with its peak: one that ends low may still kill."""
    label = "Lowest at the end"
    ends = [
        (numbers.end_mib, other, numbers)
        for other, numbers in summary.conditions()
        if numbers.end_mib is not None and other != where
    ]
    if not ends or end is None:
        return Fact(label, DASH, "only one condition was run")
    lowest, other, numbers = min(ends, key=lambda each: each[:2])
    way = "below" if lowest < end else "above"
    return Fact(
        label,
        f"{number(lowest)} MiB",
        f"{other}, {number(abs(lowest - end))} MiB {way} it; peak {number(numbers.peak_mib)} MiB, "
        f"{numbers.verdict}",
    )
