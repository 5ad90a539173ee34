"""The five answers in words, from their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.findings.outcomes import KILL, LIMITS, TEXT_KNOBS
from listen2lab.report.text import cures
from listen2lab.report.text.account import CODE_OF_PART, part
from listen2lab.report.text.findings import amount
from listen2lab.report.text.format import fill, size
from listen2lab.report.text.knobs import in_words
from listen2lab.report.text.law import law
from listen2lab.report.text.notices import say
from listen2lab.report.text.verdicts import confidence
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.records import (
        Answers,
        ConsumesAnswer,
        Finding,
        Leak,
        Outcome,
        Summary,
        UnderLimit,
    )

__all__ = ["QUESTIONS", "answers", "limits_mib", "nature", "under"]

QUESTIONS = {
    "consumes": "What consumes the memory?",
    "leak": "Is it a leak, a baseline, or a high-water mark?",
    "cause": "What is the cause?",
    "under": "What brings it under 1 GB, and under 500 MB?",
    "untested": "What was not tested?",
}
"""The user's five, in order."""

_NO_APP = "Not known: the app's own condition has no complete run in this study."

_NATURE = {
    "leak": ("A leak:", "memory grows without end as paragraphs are read."),
    "high-water": (
        "A high-water mark, not a leak:",
        (
            "memory follows the longest sentence so far and stays there, however many paragraphs "
            "follow."
        ),
    ),
    "plateau": ("Not a leak:", "memory rises and settles."),
    "baseline": ("A baseline, not a leak:", "memory is flat from the first measured paragraph."),
    "sawtooth": (
        "Not a leak:",
        "memory is cleared again and again, and comes back to the same floor.",
    ),
    "inconclusive": ("Not decided:", "no series of the app's own condition has a verdict."),
}


def answers(summary: Summary) -> dict[str, list[str]]:
    """Answer the five questions, a sentence or more each, the plain one first."""
    found = summary.answers
    if found is None:
        return {}
    return {
        "consumes": [_consumes(found.consumes)],
        "leak": _leak(found.leak),
        "cause": _cause(found, summary.findings),
        "under": [*under(found), *law(summary.laws)],
        "untested": _untested(found),
    }


def _consumes(found: ConsumesAnswer) -> str:
    if found.end_mib is None or len(found.parts) < 2:
        return _NO_APP
    largest, second, *_ = found.parts
    said = (
        f"Of the {amount(found.end_mib)} that are resident in the end, {amount(largest.mib)} "
        f"({100 * largest.share:.0f} %) are {part(largest.part)}, and {amount(second.mib)} are "
        f"{part(second.part)}. "
    )
    rest = found.parts[-1].mib
    if rest >= 0:
        return f"{said}{amount(rest)} are {CODE_OF_PART}."
    if rest > -0.01 * found.end_mib:  # two readings' distance in time
        return f"{said}The parts add up to it within {amount(-rest)}."
    return (
        f"{said}The parts come to {amount(-rest)} more than it: they were not read in one instant."
    )


def nature(found: Leak) -> tuple[str, str]:
    """Return the name of what the app's own memory does, and what is said of it."""
    if found.disagree:
        return "Not decided:", "the series of the app's own condition disagree about a leak."
    return _NATURE[found.verdict or "inconclusive"]


def _leak(found: Leak) -> list[str]:
    if found.verdict is None or found.experiment is None:
        return [_NO_APP]
    first = found.verdicts[found.experiment]
    by_verdict: dict[str, list[str]] = {}
    for experiment, each in found.verdicts.items():
        if experiment != found.experiment:
            by_verdict.setdefault(each, []).append(experiment)
    series = (
        f"{found.experiment}: {first} (confidence: {confidence(found.confidence, found.reasons)})"
    )
    if alike := by_verdict.pop(first, None):
        series += f"; the app's own condition is the same in {', '.join(alike)}"
    for other, names in by_verdict.items():
        series += f"; {other} in {', '.join(names)}"
    said = [" ".join(nature(found)), f"{series}."]
    if found.released_mib is not None and found.end_mib is not None:
        said.append(
            f"After session, models and caches are dropped, {amount(found.released_mib)} of "
            f"{amount(found.end_mib)} remain."
        )
    if found.also_grows is not None:
        said.append(
            f"Beside it, each paragraph leaves {say(found.also_grows)}: too little to show in "
            "resident memory, and what a cache does that is not full yet (alignments are kept for "
            "100 paragraphs)."
        )
    return said


def _cause(found: Answers, findings: Mapping[str, Finding]) -> list[str]:
    said = []
    if found.cause.most_is_open:
        said.append(
            "What this study supports does not explain most of what is held above code, libraries "
            "and models; see what was not tested."
        )
    names = list(found.cause.main)
    for name in found.cause.main:
        for other, template in HYPOTHESES[name].cause_with.items():
            if other in names:  # the same memory seen from two sides
                explains = (findings[name].explains_mib or 0.0) * MIB
                said.append(
                    fill(template, {"share": _explained(findings[other]), "explains": explains})
                )
                names = [each for each in names if each not in {name, other}]
    said += [
        f"{HYPOTHESES[name].cause or HYPOTHESES[name].short}: {_explained(findings[name])} "
        f"({name})."
        for name in names
    ]
    if found.cause.small:
        small = "; ".join(
            f"{HYPOTHESES[name].short} ({name}), {amount(findings[name].explains_mib)}"
            for name in found.cause.small
        )
        said.append(f"Supported too, but much smaller: {small}.")
    if found.cause.only_if_provoked:
        said.append(
            "Can be provoked, but holds nothing as the app is set: "
            f"{_listed(found.cause.only_if_provoked)}."
        )
    return said


def _explained(finding: Finding) -> str:
    of = "" if finding.of_mib is None else f" of {amount(finding.of_mib)}"
    return f"{amount(finding.explains_mib or 0.0)}{of}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(
        f"{HYPOTHESES[name].short} ({name})" if name in HYPOTHESES else name for name in names
    )


def _untested(found: Answers) -> list[str]:
    open_ones = found.untested
    said = []
    if open_ones.not_tested:
        said.append(f"Not tested by this study: {_listed(open_ones.not_tested)}.")
    if open_ones.open:
        said.append(f"Tested and still open: {_listed(open_ones.open)}.")
    if open_ones.lost:
        said.append(f"{open_ones.lost} runs were killed, crashed or hung, and are in no number.")
    return [*said, *map(say, open_ones.notes)]


def under(found: Answers) -> list[str]:
    """Say what stays under each limit: cures with their price, where they were run.

    Without them, the best of the single changes.
    """
    if found.cures is not None:
        return [*cures.limits(found.cures), cures.measured(found.cures)]
    app = [each for each in found.outcomes if not each.knobs and each.complete]
    said = [
        _under_limit(limit, app, found.outcomes)
        for limit in found.under.limits
        if not limit.already
    ]
    if said and app:
        said.append("Each is one change; `listen2lab cures` finds combinations and prices.")
    done = [limit.name for limit in found.under.limits if limit.already]
    if done:
        worst = max((each.peak_mib or 0.0 for each in app), default=0.0)
        said.append(
            f"With this voice and these texts the app's own condition is already under "
            f"{' and '.join(done)} (peak {amount(worst)}), so this study cannot say what would "
            "bring it there; a larger voice can (--voice medium)."
        )
    return said


def _under_limit(limit: UnderLimit, app: Sequence[Outcome], outcomes: Sequence[Outcome]) -> str:
    title = f"Under {limit.name} ({size(limit.mib * MIB)})"
    if not app:
        return f"{title}: not known, the app's own condition has no complete run."
    whole = [outcomes[at] for at in limit.peak_and_end]
    end = [outcomes[at] for at in limit.end_only]
    if not (whole or end):
        return f"{title}: none of the conditions measured."
    how = [each for each in whole if not TEXT_KNOBS & set(each.knobs)]
    texts = [each for each in whole if TEXT_KNOBS & set(each.knobs)]
    none = "none of the changes to the app that were measured"
    said = [f"{title}, at its peak and at the end: {_list(how) if how else none}."]
    if texts:
        said.append(f"With other texts: {_list(texts)}.")
    if end:
        kills = all((each.peak_mib or 0.0) * MIB >= KILL for each in end)
        still = ", which still kills" if kills else ""
        said.append(f"At the end, but not at its peak{still}: {_list(end)}.")
    return " ".join(said)


_MOST_NAMED = 1


def _list(outcomes: Sequence[Outcome]) -> str:
    """Return conditions in words, the lowest peak first, each with its highest peak and end."""
    ordered = sorted(outcomes, key=lambda each: each.peak_mib or each.end_mib or 0.0)
    named = ", ".join(
        f"{in_words(each.knobs)} (peak {amount(each.peak_mib or 0.0)}, "
        f"end {amount(each.end_mib or 0.0)})"
        for each in ordered[:_MOST_NAMED]
    )
    more = len(ordered) - _MOST_NAMED
    return f"{named}, and {more} more" if more > 0 else named


def limits_mib() -> dict[str, float]:
    """Return what is acceptable and where the phone kills, in MiB, by what it is called."""
    return {**{name: value / MIB for name, value in LIMITS.items()}, "2.5 GB: killed": KILL / MIB}
