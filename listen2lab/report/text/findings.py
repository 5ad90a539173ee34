"""Findings in words: what was decided, on what evidence, and what it explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import number, size, span
from listen2lab.report.text.notices import say
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.findings.records import Finding

__all__ = ["SIGNS", "amount", "because", "effect", "explains", "interval", "word"]

SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?", "not-tested": "–"}
"""Told apart without colour, each beside its word."""


def word(finding: Finding) -> str:
    """Return a finding as it is read: ``not tested`` where no run bears on it."""
    return finding.finding.replace("-", " ")


def because(finding: Finding) -> str:
    """Say the evidence, the deciding one first."""
    return " ".join(map(say, finding.because))


def amount(mib: float | None) -> str:
    """Return MiB in the unit that fits; a dash where there is none."""
    return "–" if mib is None else size(mib * MIB)


def effect(finding: Finding) -> str:
    """Say what was decided on, with its interval; nothing where nothing was measured."""
    if finding.effect_mib is None:
        return ""
    bounds = ""
    if finding.interval_mib is not None:
        low, high = finding.interval_mib
        bounds = f" (95 % between {number(low)} and {number(high)})"
    return f"Effect: {number(finding.effect_mib)} MiB{bounds}."


def interval(finding: Finding) -> str:
    """Return the interval as a table has it, in MiB."""
    if finding.interval_mib is None:
        return ""
    low, high = finding.interval_mib
    return span(low * MIB, high * MIB, between=" to ")


def explains(finding: Finding) -> str:
    """Return how much of memory at the end a finding explains: ``2,672 of 2,838 MiB``."""
    if finding.explains_mib is None or finding.finding == "not-tested":
        return "–"
    if finding.of_mib is None:
        return amount(finding.explains_mib)
    digits = 0 if finding.explains_mib >= 100 else 1
    return f"{number(finding.explains_mib, digits)} of {amount(finding.of_mib)}"
