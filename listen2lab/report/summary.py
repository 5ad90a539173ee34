"""What ``summary.json`` holds: the numbers of a study, for the report and for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.analysis.summary import complete_samples, contrast, summarize
from listen2lab.report import words

if TYPE_CHECKING:
    from listen2lab.study import Study

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
        ``format``, ``created`` and ``versions`` of the manifest, ``subject`` (what was run), and
        ``experiments``: name to ``question``, ``factor``, ``conditions`` (see
        `listen2lab.analysis.summary.summarize`) and ``contrasts`` (each condition with the app's
        own; see `listen2lab.analysis.summary.contrast`).
    """
    numbers = summarize(study.runs, study.samples)
    usable = complete_samples(study.runs, study.samples)
    manifest = study.manifest
    return {
        "format": manifest["format"],
        "created": manifest["created"],
        "subject": words.subject(manifest["inputs"]),
        "versions": manifest["versions"],
        "experiments": {
            item.name: {
                "question": item.question,
                "factor": item.factor,
                "unit": item.unit,
                "predictions": dict(item.predictions),
                "conditions": {level.name: numbers[item.name][level.name] for level in item.levels},
                "contrasts": {
                    level.name: contrast(usable, item.name, item.reference.name, level.name)
                    for level in item.levels
                    if level is not item.reference
                },
            }
            for item in study.plan.experiments
        },
    }
