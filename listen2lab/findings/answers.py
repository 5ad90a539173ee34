"""The five questions of the user, answered from a study, in sentences and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.account.at_end import UNACCOUNTED
from listen2lab.findings.cures import under
from listen2lab.findings.effects import size
from listen2lab.report.text.verdicts import confidence
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.decide import AppSeries, Finding
    from listen2lab.findings.outcomes import Outcome
    from listen2lab.findings.ranking import Ranking

__all__ = ["answers"]

_NO_APP = "Not known: the app's own condition has no complete run in this study."


def answers(
    findings: Mapping[str, Finding],
    ranking: Ranking | None,
    outcomes: Sequence[Outcome],
    series: Sequence[AppSeries],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Answer what consumes the memory, whether it leaks, why, what helps, and what is not known.

    Parameters
    ----------
    findings, ranking, outcomes
        Of the study.
    series
        What the app's own condition did, the deciding one first.
    manifest
        The study's.

    Returns
    -------
    dict
        ``consumes``, ``leak``, ``cause``, ``under`` and ``untested``; each with ``sentence`` (or
        ``sentences``) and the numbers in it.
    """
    return {
        "consumes": _consumes(ranking),
        "leak": _leak(series),
        "cause": _cause(findings, ranking),
        "under": under(outcomes),
        "untested": _untested(findings, outcomes, manifest),
    }


def _consumes(ranking: Ranking | None) -> dict[str, Any]:
    if ranking is None:
        return {
            "sentences": [_NO_APP],
            "level_mib": None,
            "parts": [],
            "notes": [],
        }
    largest, *_, rest = ranking.parts
    level = ranking.level_mib
    second = ranking.parts[1]
    sentence = (
        f"Of the {_mib(level)} that are resident in the end, {_mib(largest.mib)} "
        f"({100 * largest.mib / level:.0f} %) are {largest.name}, and {_mib(second.mib)} are "
        f"{second.name}. "
    )
    if rest.mib >= 0:
        sentence += f"{_mib(rest.mib)} are {UNACCOUNTED}."
    elif rest.mib > -0.01 * level:  # two readings' distance in time
        sentence += f"The parts add up to it within {_mib(-rest.mib)}."
    else:
        sentence += (
            f"The parts come to {_mib(-rest.mib)} more than it: they were not read in one instant."
        )
    return {
        "sentences": [sentence],
        "level_mib": level,
        "anonymous_mib": ranking.anonymous_mib,
        "condition": str(ranking.where),
        "parts": [
            {"part": part.name, "mib": part.mib, "share": part.mib / level, "how": part.how}
            for part in ranking.parts
        ],
        "notes": list(ranking.notes),
    }


_NATURE = {
    "leak": "A leak: memory grows without end as paragraphs are read.",
    "high-water": "A high-water mark, not a leak: memory follows the longest sentence so far and "
    "stays there, however many paragraphs follow.",
    "plateau": "Not a leak: memory rises and settles.",
    "baseline": "A baseline, not a leak: memory is flat from the first measured paragraph.",
    "sawtooth": "Not a leak: memory is cleared again and again, to the same level.",
    "inconclusive": "Not decided: no series of the app's own condition has a verdict.",
}


def _leak(series: Sequence[AppSeries]) -> dict[str, Any]:
    if not series:
        return {"sentences": [_NO_APP], "verdict": None, "verdicts": {}}
    decided = [each for each in series if each.verdict != "inconclusive"]
    first = series[0]
    same = [each for each in series if each.verdict == first.verdict]
    others = [each for each in series if each not in same]
    verdict = first.verdict
    sentences = [_NATURE[verdict]]
    leaking = sum(each.verdict == "leak" for each in decided)
    if leaking and (2 * leaking < len(decided)) == (verdict == "leak"):
        verdict = "inconclusive"
        sentences = ["Not decided: the series of the app's own condition disagree about a leak."]
    sure = confidence(first.confidence, first.reasons)
    told = f"{first.experiment}: {first.verdict} (confidence: {sure})"
    alike = [each for each in same if each is not first]
    if alike:
        told += f"; the app's own condition is the same in {_names(alike)}"
    for other in dict.fromkeys(each.verdict for each in others):
        told += f"; {other} in {_names([each for each in others if each.verdict == other])}"
    sentences.append(f"{told}.")
    if first.released_mib is not None and first.level_mib is not None:
        sentences.append(
            f"After session, models and caches are dropped, {_mib(first.released_mib)} of "
            f"{_mib(first.level_mib)} remain."
        )
    if first.also_grows is not None:
        sentences.append(
            f"Beside it, each paragraph leaves {first.also_grows}: too little to show in resident "
            "memory, and what a cache does that is not full yet (alignments are kept for 100 "
            "paragraphs)."
        )
    return {
        "sentences": sentences,
        "verdict": verdict,
        "verdicts": {each.experiment: each.verdict for each in series},
    }


def _names(series: Sequence[AppSeries]) -> str:
    return ", ".join(each.experiment for each in series)


def _cause(findings: Mapping[str, Finding], ranking: Ranking | None) -> dict[str, Any]:
    supported = [name for name, each in findings.items() if each.finding == "supported"]
    explaining = sorted(
        (name for name in supported if _explained(findings[name]) > 0),
        key=lambda name: -_explained(findings[name]),
    )
    provoked = [name for name in supported if name not in explaining]
    sentences = []
    above = 0.0
    if ranking is not None:
        above = ranking.level_mib - sum(part.mib for part in ranking.parts if part.is_loaded)
    if not any(_explained(findings[name]) > above / 2 for name in explaining):
        sentences.append(
            "What this study supports does not explain most of what is held above code, libraries "
            "and models; see what was not tested."
        )
    if explaining:
        most = _explained(findings[explaining[0]])
        main = [name for name in explaining if _explained(findings[name]) > 0.1 * most]
        sentences += _main_causes(findings, main)
        small = [
            f"{_SHORT[name]} ({name}), {_mib(_explained(findings[name]))}"
            for name in explaining
            if name not in main
        ]
        if small:
            sentences.append(f"Supported too, but much smaller: {'; '.join(small)}.")
    if provoked:
        sentences.append(
            f"Can be provoked, but holds nothing as the app is set: {_listed(provoked)}."
        )
    return {"sentences": sentences, "hypotheses": explaining, "only_if_provoked": provoked}


_CAUSES = {
    "H0": "The meter shows memory that nobody holds",
    "H1": "The engine's session keeps the working memory of what it spoke until the session goes",
    "H2": "Audio is retained by the player",
    "H3": "Alignment and its model",
    "H4": "The caches of audio and alignments",
    "H6": "The longest sentence decides how much the engine holds",
    "H7": "Libraries and models, and nothing else",
}


_SHORT = {
    "H0": "a misleading meter",
    "H1": "memory that the session keeps",
    "H2": "retained audio",
    "H3": "alignment and its model",
    "H4": "large caches",
    "H5": "several syntheses at once",
    "H6": "long sentences",
    "H7": "only a baseline",
}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{_SHORT[name]} ({name})" for name in names)


def _main_causes(findings: Mapping[str, Finding], names: Sequence[str]) -> list[str]:
    """Say each cause with its share; H1 and H6, two sides of the same memory, in one sentence."""
    sentences = []
    if {"H1", "H6"} <= set(names):
        sentences.append(
            "The engine's session keeps the working memory of the longest sentence that it has "
            f"spoken, until the session goes: {_share(findings['H1'])} (H1), "
            f"{_mib(_explained(findings['H6']))} of which because the longest sentence is long "
            "(H6). These are the same memory seen from two sides, and do not add up."
        )
        names = [name for name in names if name not in {"H1", "H6"}]
    sentences += [f"{_CAUSES[name]}: {_share(findings[name])} ({name})." for name in names]
    return sentences


def _share(finding: Finding) -> str:
    of = "" if finding.of_mib is None else f" of {_mib(finding.of_mib)}"
    return f"{_mib(_explained(finding))}{of}"


def _explained(finding: Finding) -> float:
    return finding.explains_mib or 0.0


def _untested(
    findings: Mapping[str, Finding], outcomes: Sequence[Outcome], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    none = [name for name, each in findings.items() if not each.runs]
    open_ones = [
        name for name, each in findings.items() if each.runs and each.finding == "inconclusive"
    ]
    said = []
    if none:
        said.append(f"Not tested by this study: {_listed(none)}.")
    if open_ones:
        said.append(f"Tested and still open: {_listed(open_ones)}.")
    lost = sum(each.n_lost for each in outcomes)
    if lost:
        said.append(f"{lost} runs were killed, crashed or hung, and are in no number.")
    if manifest["inputs"].get("voice") in {"tiny", "medium", "high"}:
        said.append(
            "A real voice: this one is generated, with a Piper voice's shapes, and memory follows "
            "shapes."
        )
    if manifest["machine"]["system"] != "Darwin":
        said.append(
            "A phone: this is Linux with glibc. iOS allocates and counts otherwise, and its own "
            "frameworks, views and graphics are not here."
        )
    said.append("Combinations of cures: each condition changes one thing only.")
    return {"sentences": said, "hypotheses": none, "open": open_ones}


def _mib(value: float) -> str:
    return size(value * MIB)
