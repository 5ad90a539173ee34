"""The opening of a report: five questions and their answers, and the findings in one table."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from listen2lab.findings.effects import size
from listen2lab.report.answers_plot import plot_outcomes
from listen2lab.report.style import to_svg
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["QUESTIONS", "SIGNS", "build", "findings_frame", "findings_table"]

QUESTIONS = {
    "consumes": "What consumes the memory?",
    "leak": "Is it a leak, a baseline, or a high-water mark?",
    "cause": "What is the cause?",
    "under": "What brings it under 1 GB, and under 500 MB?",
    "untested": "What was not tested?",
}
"""The user's five, in order."""

SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?"}
"""Told apart without colour, each beside its word."""

_WIDTH = 100


def build(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the opening's template shows.

    Parameters
    ----------
    summary
        What `listen2lab.findings.summary.build_summary` gives.

    Returns
    -------
    dict or None
        ``answers`` (``question`` and ``sentences`` of each), ``parts`` of the level with ``notes``
        about them, ``findings`` and ``picture`` (an ``<svg>``, or None). None for a study that
        tests no hypothesis.
    """
    if summary.get("answers") is None:
        return None
    told = summary["answers"]
    figure = plot_outcomes(told["outcomes"])
    return {
        "answers": [
            {
                "name": name,
                "question": question,
                "sentences": told[name]["sentences"],
            }
            for name, question in QUESTIONS.items()
        ],
        "parts": told["consumes"]["parts"],
        "notes": told["consumes"].get("notes", []),
        "condition": told["consumes"].get("condition"),
        "level_mib": told["consumes"]["level_mib"],
        "findings": [
            {
                "name": name,
                **each,
                "sign": _said(each)[0],
                "word": _said(each)[1],
                "effect": _amount(each["effect_mib"]),
                "interval": _interval(each["interval_mib"]),
                "explains": _share(each),
            }
            for name, each in summary.get("findings", {}).items()
        ],
        "picture": None
        if figure is None
        else to_svg(figure, label="Level and peak of the deciding conditions against the limits"),
    }


def _amount(value: float | None) -> str:
    return "–" if value is None else size(value * MIB)


def _said(finding: Mapping[str, Any]) -> tuple[str, str]:
    """Return a finding's sign and word; one that no run bears on was not tested."""
    if finding["finding"] == "inconclusive" and not finding["runs"]:
        return "–", "not tested"
    return SIGNS[finding["finding"]], finding["finding"]


def _share(finding: Mapping[str, Any]) -> str:
    """Return how much of the level a finding explains: ``2,672 of 2,838 MiB``."""
    if not finding["runs"]:
        return "–"
    amount = _amount(finding["explains_mib"])
    level = finding.get("of_mib")  # not in a summary that an older listen2lab has stored
    return amount if level is None else f"{amount.removesuffix(' MiB')} of {_amount(level)}"


def _interval(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return ""
    digits = 0 if max(map(abs, bounds)) >= 100 else 1
    low, high = (round(bound, digits) + 0.0 for bound in bounds)  # no minus before a zero
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def findings_frame(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return the findings as a table, one row a hypothesis.

    Parameters
    ----------
    summary
        What `listen2lab.findings.summary.build_summary` gives.

    Returns
    -------
    DataFrame
        ``hypothesis``, ``claim``, ``finding``, ``effect_mib``, ``low_mib``, ``high_mib``,
        ``explains_mib``, ``of_mib`` (missing where they are not known) and ``because``; see
        `listen2lab.findings.decide.Finding`.
    """
    rows = []
    for name, each in summary.get("findings", {}).items():
        low, high = each["interval_mib"] or (None, None)
        rows.append(
            {
                "hypothesis": name,
                "claim": each["claim"],
                "finding": each["finding"],
                "effect_mib": each["effect_mib"],
                "low_mib": low,
                "high_mib": high,
                "explains_mib": each["explains_mib"],
                "of_mib": each.get("of_mib"),
                "because": each["because"],
            }
        )
    numbers = ["effect_mib", "low_mib", "high_mib", "explains_mib", "of_mib"]
    columns = ["hypothesis", "claim", "finding", *numbers, "because"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def findings_table(summary: Mapping[str, Any]) -> str:
    """Return answers and findings for a terminal; nothing for a study that tests no hypothesis."""
    if summary.get("answers") is None:
        return ""
    lines = []
    for name, question in QUESTIONS.items():
        told = summary["answers"][name]
        lines.append(question)
        for sentence in told["sentences"]:
            lines += _wrapped(sentence, "  ")
    lines += ["", f"{'':4}{'finding':<16}{'effect':>12}  {'95 %':<20}{'explains':>20}"]
    for name, each in summary.get("findings", {}).items():
        word = " ".join(_said(each))
        lines.append(
            f"{name:<4}{word:<16}{_amount(each['effect_mib']):>12}  "
            f"{_interval(each['interval_mib']):<20}{_share(each):>20}"
        )
        lines += _wrapped(each["claim"], "    ")
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
