"""What ``summary.json`` holds: the numbers of a study, for the report and for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from listen2lab.account.attribute import held
from listen2lab.account.growth import what_grew
from listen2lab.findings.answers import answers
from listen2lab.findings.conditions import contrast, numbers_of
from listen2lab.findings.hypotheses import EXPERIMENTS, HYPOTHESES, find
from listen2lab.findings.law import LENGTHS, laws_of, lengths_of
from listen2lab.findings.measured import Measured
from listen2lab.findings.records import ExperimentSummary, MadeFrom, Summary
from listen2lab.study.folder import SUMMARY
from listen2lab.study.plan import APART
from listen2lab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.findings.law import Law
    from listen2lab.findings.records import Answers, ConditionNumbers, Finding
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Experiment, Plan

__all__ = ["build_summary", "summary_of"]

_MOST_OWNERS = 5  # of what grew


def summary_of(study: StudyData, *, anew: bool = False) -> Summary:
    """Return what a study says, from what was judged before where its files are the same.

    Judging takes a third of a second a condition, so a summary is used again: once in the life of
    the study object, and, but for ``anew``, from ``summary.json`` where that was made by this
    version of the package from the very files that are there now. Times of files do not count: a
    copy or a checkout changes them.
    """
    known, is_stored = _JUDGED.get(study, (None, False))
    if known is not None and not (anew and is_stored):
        return known
    made_from = MadeFrom(listen2lab=__version__, digest=study.folder.digest())
    stored = None if anew else study.folder.read(SUMMARY, Summary)
    if stored is not None and (stored.made_from != made_from or not _is_whole(stored, study.plan)):
        stored = None
    found = stored or build_summary(study, made_from)
    _JUDGED[study] = found, stored is not None
    return found


_JUDGED: WeakKeyDictionary[StudyData, tuple[Summary, bool]] = WeakKeyDictionary()
"""What was judged in this process, and whether it was read from the folder."""


def _is_whole(stored: Summary, plan: Plan) -> bool:
    """Return whether a summary names nothing that it, or the plan, does not have."""
    levels = {item.name: {level.name for level in item.levels} for item in plan.experiments}
    if {name: set(item.conditions) for name, item in stored.experiments.items()} != levels:
        return False
    for item in stored.experiments.values():
        for name, found in item.contrasts.items():
            if not {name, name if found is None else found.to} <= set(item.conditions):
                return False
        if not set(item.growth) <= set(item.conditions):
            return False
    told = stored.answers
    named = () if told is None else (*told.cause.main, *told.cause.small)
    if not set(named) <= set(stored.findings) or not set(stored.findings) <= set(HYPOTHESES):
        return False
    return told is None or told.leak.experiment in (None, *told.leak.verdicts)


def build_summary(study: StudyData, made_from: MadeFrom | None = None) -> Summary:
    """Judge a study, complete or not.

    Without an experiment that tells of a hypothesis, ``findings`` is empty and ``answers`` None.
    """
    numbers = numbers_of(study.runs, study.samples, study.plan.experiments)
    findings, told = _found(study, numbers)
    manifest = study.manifest
    return Summary(
        format=manifest.format,
        created=manifest.created,
        inputs=manifest.inputs,
        versions=manifest.setup.versions,
        experiments={
            item.name: _experiment(study, item, numbers[item.name])
            for item in study.plan.experiments
        },
        findings=findings,
        answers=told,
        laws=_laws(study),
        made_from=made_from or MadeFrom(),
    )


def _experiment(
    study: StudyData, item: Experiment, numbers: Mapping[str, ConditionNumbers]
) -> ExperimentSummary:
    app = item.reference.name
    levels = [level.name for level in item.levels]
    # What steps up once, as the engine's arena does, would be ranked as if it grew with each step.
    complete = study.complete_of(item.name)
    may_grow = ("leak",) if study.manifest.inputs.is_pipeline else ("leak", "inconclusive")
    return ExperimentSummary(
        question=item.question,
        factor=item.factor,
        unit=item.unit,
        predictions=item.predictions,
        conditions={name: numbers[name] for name in levels},
        contrasts={
            name: contrast(
                complete, item.name, app, name, [numbers[app].verdict, numbers[name].verdict]
            )
            for name in levels
            if name != app
        },
        growth={
            name: found
            for name in levels
            if numbers[name].verdict in may_grow
            if (found := what_grew(study, item.name, name, most=_MOST_OWNERS)) is not None
        },
    )


def _laws(study: StudyData) -> dict[str, tuple[Law, ...]]:
    laws = {
        graph: tuple(laws_of(study.complete_of(LENGTHS), LENGTHS, conditions))
        for graph, conditions in lengths_of(study.plan).items()
    }
    return {graph: each for graph, each in laws.items() if each}


def _found(
    study: StudyData, numbers: Mapping[str, Mapping[str, ConditionNumbers]]
) -> tuple[dict[str, Finding], Answers | None]:
    """Return findings and answers, where the study ran an experiment that has hypotheses."""
    # Of a merged study, those on the first machine, with the first voice: levels are not mixed.
    experiments = tuple(x for x in study.plan.experiments if APART not in x.name)
    if not study.manifest.inputs.is_pipeline or not any(x.name in EXPERIMENTS for x in experiments):
        return {}, None
    planned = {(item.name, level.name) for item in experiments for level in item.levels}
    buffers = {
        where: held(study, *where)
        for each in HYPOTHESES.values()
        for where in each.holders
        if where in planned
    }
    measured = Measured(experiments, study.runs, study.samples, numbers, buffers)
    findings = find(measured)
    return findings, answers(measured, findings, study.manifest)
