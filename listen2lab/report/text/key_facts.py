"""What a reader must see first of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.account.categories import account, categories, one_run
from listen2lab.findings.outcomes import TEXT_KNOBS
from listen2lab.findings.records import Where
from listen2lab.report.text.account import CODE_OF_PART, label, part
from listen2lab.report.text.answers import nature
from listen2lab.report.text.findings import amount
from listen2lab.report.text.format import DASH, number, size
from listen2lab.report.text.knobs import in_words
from listen2lab.report.text.study import called, is_hidden, verdict_parts

if TYPE_CHECKING:
    from listen2lab.findings.records import ConditionNumbers, Summary
    from listen2lab.study.data import StudyData

__all__ = ["Fact", "key_facts", "reference"]


class Fact(NamedTuple):
    """One of these things: what it is, its value, and a note."""

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
    """Return the most important things of a study; none without a complete run."""
    where = reference(study, summary)
    if where is None:
        return []
    item = summary.experiments[where.experiment]
    numbers = item.conditions[where.condition]
    lowest = _lowest(summary, numbers, where)
    return [
        _leak(summary, numbers, item.unit),
        Fact(
            "At the end, as the app is" if where.condition == "app" else f"At the end of {where}",
            f"{number(numbers.end_mib)} MiB",
            f"peak {number(numbers.peak_mib)} MiB, after a teardown "
            f"{number(numbers.released_mib)} MiB",
        ),
        _grew(study, where, numbers) or _held(summary, numbers),
        *([lowest] if lowest else ()),
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


def _grew(study: StudyData, where: Where, numbers: ConditionNumbers) -> Fact | None:
    """Return, for a leak, the part of memory that grew most over the measured steps."""
    if numbers.verdict != "leak" or is_hidden(numbers):
        return None
    steps = account(one_run(study, *where))
    if len(steps) < 2:
        return None
    parts = steps[categories(steps)]
    growth = (parts.iloc[-1] - parts.iloc[0]).astype(float)
    most, first, last = str(growth.idxmax()), steps["step"].iloc[0], steps["step"].iloc[-1]
    whole = float(steps["rss"].iloc[-1] - steps["rss"].iloc[0])
    return Fact(
        "What grew",
        f"+{size(float(growth[most]))}",
        f"{label(most)[0]}, of {size(whole)} more from step {first:.0f} to {last:.0f}",
    )


_SAME_PEAK = 0.98
"""Of the app's peak: what is not below it lowers nothing that kills."""


def _lowest(summary: Summary, numbers: ConditionNumbers, where: Where) -> Fact | None:
    """Return the lowest peak with the same texts read: what only ends low may kill."""
    found = {at: n for at, n in summary.conditions() if at != where and n.peak_mib is not None}
    changes: dict[Where, str] = {}
    if summary.answers is not None:  # what reads other texts, or puts more load on, is no change
        changes = {
            Where(each.experiment, each.condition): in_words(each.knobs)
            for each in summary.answers.outcomes
            if not TEXT_KNOBS & set(each.knobs)
        }
        found = {at: n for at, n in found.items() if at in changes}
    if not found or numbers.peak_mib is None:
        return None
    at = min(found, key=lambda each: found[each].peak_mib or 0.0)
    lowest = found[at].peak_mib or 0.0
    beside = f"at the end {number(found[at].end_mib)} MiB, {called(found[at])}"
    what = f"{changes[at]} ({at})" if at in changes else str(at)
    if lowest > _SAME_PEAK * numbers.peak_mib:
        return Fact("Lowest peak", "No lower one", f"{what}: {number(lowest)} MiB; {beside}")
    return Fact("Lowest peak", f"{number(lowest)} MiB", f"{what}; {beside}")
