"""What ``summary.json`` holds: the numbers of a study, for the report and for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.account.attribute import held
from listen2lab.experiment.catalog import EXPERIMENTS, HYPOTHESES
from listen2lab.findings.answers import answers
from listen2lab.findings.conditions import complete_samples, contrast, summarize
from listen2lab.findings.decide import app_series, find
from listen2lab.findings.outcomes import outcomes
from listen2lab.findings.ranking import rank
from listen2lab.report.text import study as words
from listen2lab.study.plan import APART

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from listen2lab.facade import Study
    from listen2lab.study.plan import Experiment

__all__ = ["build_summary"]


def build_summary(study: Study) -> dict[str, Any]:
    """Return what ``summary.json`` holds.

    Parameters
    ----------
    study
        Any study, complete or not.

    Returns
    -------
    dict
        ``format``, ``created`` and ``versions`` of the manifest, ``subject`` (what was run),
        ``experiments``: name to ``question``, ``factor``, ``conditions`` (see
        `listen2lab.findings.conditions.summarize`) and ``contrasts`` (each condition with the
        app's own; see `listen2lab.findings.conditions.contrast`); ``findings``: hypothesis to the
        fields of `listen2lab.findings.decide.Finding`; and ``answers`` to the five questions:
        ``consumes``, ``leak``, ``cause``, ``under``, ``untested`` (see
        `listen2lab.findings.answers.answers`), and
        ``outcomes``, each condition at its worst. For a study without an experiment of the catalog,
        ``findings`` is empty and ``answers`` None.
    """
    numbers = summarize(study.runs, study.samples)
    usable = complete_samples(study.runs, study.samples)
    manifest = study.manifest
    return {
        "format": manifest["format"],
        "created": manifest["created"],
        "subject": words.subject(manifest["inputs"]),
        "versions": manifest["versions"],
        **_found(study, numbers),
        "experiments": {
            item.name: {
                "question": item.question,
                "factor": item.factor,
                "unit": item.unit,
                "predictions": dict(item.predictions),
                "conditions": {level.name: numbers[item.name][level.name] for level in item.levels},
                "contrasts": {
                    level.name: contrast(
                        usable,
                        item.name,
                        item.reference.name,
                        level.name,
                        [numbers[item.name][x.name]["verdict"] for x in (item.reference, level)],
                    )
                    for level in item.levels
                    if level is not item.reference
                },
            }
            for item in study.plan.experiments
        },
    }


_HOLDING = (("audio-retention", "retains"),)
"""The conditions whose traced run tells what Python holds."""


def _found(study: Study, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return findings and answers, where the study ran an experiment that has hypotheses."""
    # Of a merged study, those on the first machine, with the first voice: levels are not mixed.
    experiments = tuple(x for x in study.plan.experiments if APART not in x.name)
    if "voice" not in study.manifest["inputs"] or not any(
        x.name in EXPERIMENTS for x in experiments
    ):
        return {"findings": {}, "answers": None}
    given = (experiments, study.runs, study.samples, numbers)
    findings = find(HYPOTHESES, *given, held=_buffers(study, experiments))
    worst = outcomes(*given)
    told = answers(findings, rank(*given), worst, app_series(*given), study.manifest)
    return {
        "findings": {name: each.to_dict() for name, each in findings.items()},
        "answers": {
            **told,
            "outcomes": [
                {
                    "experiment": each.where.experiment,
                    "condition": each.where.condition,
                    "knobs": each.knobs,
                    "level_mib": each.level_mib,
                    "peak_mib": each.peak_mib,
                    "complete": each.n_complete,
                    "lost": each.n_lost,
                }
                for each in worst
            ],
        },
    }


def _buffers(
    study: Study, experiments: Sequence[Experiment]
) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the largest buffers of the traced runs whose hypotheses are about them."""
    planned = {(item.name, level.name) for item in experiments for level in item.levels}
    return {where: held(study, *where) for where in _HOLDING if where in planned}
