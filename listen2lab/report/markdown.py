"""A study as Markdown for an issue or a chat: ``summary.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.report.html import template
from listen2lab.report.key_facts import glance
from listen2lab.report.text import study as words

if TYPE_CHECKING:
    from listen2lab.facade import Study

__all__ = ["common", "short"]

_MOST_ROWS = 45  # a chat folds what is longer than a screen or two


def short(study: Study, summary: dict[str, Any]) -> str:
    """Return ``summary.md``: subject, answer, findings, conditions, caveats, how to rerun.

    Parameters
    ----------
    study, summary
        What may be told; see `listen2lab.report.write.write_report`.
    """
    rows = [
        {"experiment": name, "condition": condition, "called": words.called(n), **n}
        for name, item in summary["experiments"].items()
        for condition, n in item["conditions"].items()
    ]
    return template("summary.md.j2").render(
        **common(study, summary), rows=rows[:_MOST_ROWS], n_left=max(0, len(rows) - _MOST_ROWS)
    )


def common(study: Study, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what both Markdown templates show.

    Parameters
    ----------
    study, summary
        What may be told.
    """
    return {
        "study": study,
        "summary": summary,
        "subject": summary["subject"],
        "is_pipeline": "voice" in study.manifest["inputs"],
        "facts": glance(study, summary),
        "answers": _answers(summary),
        "findings": summary.get("findings") or {},
        "limits": words.limits(study),
        "ends": words.endings(study.runs)[:5],
        "n_ends": int((study.runs["outcome"] != "complete").sum()),
        "n_runs": len(study.runs),
        "provenance": words.provenance(study.manifest),
        "versions": study.manifest["versions"],
        "command": dict(words.provenance(study.manifest))["command"],
    }


def _answers(summary: dict[str, Any]) -> list[str]:
    """Return the first sentence of each answer, where the study tests hypotheses."""
    told = summary.get("answers")
    if not told:
        return []
    return [
        told[name]["sentences"][0]
        for name in ("leak", "consumes", "cause", "under")
        if told[name].get("sentences")
    ]
