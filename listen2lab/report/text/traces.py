"""Traces in words: what stands beside their pictures and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESERVED", "operators_note", "peak_note"]

RESERVED = "Where live stands above the line, memory is reserved and was never touched."

_FIRST = 3
_OPERATOR = "operator "


def peak_note(owned: pd.Series[float], moment: str) -> str:
    """Return what was live at a moment and who held most: a line beside a picture."""
    step = moment.removesuffix(" peak")
    largest = owned.sort_values(ascending=False).head(_FIRST)
    named = ", ".join(
        f"{_short(str(owner))} {size / MIB:,.0f}" for owner, size in largest.items() if size >= MIB
    )
    return f"most live: {owned.sum() / MIB:,.0f} MiB in {step}\n{named}"


def operators_note(operators: pd.DataFrame | None) -> str:
    """Return what operators need where an arena hides them; nothing where that is not known."""
    if operators is None or operators.empty:
        return ""
    mine = operators[operators["owner"].str.contains(_OPERATOR)]
    named = ", ".join(
        f"{owner.partition(_OPERATOR)[2]} {size / MIB:,.0f}"
        for owner, size in zip(mine["owner"].head(4), mine["bytes"].head(4), strict=True)
    )
    where = operators["condition"].iloc[0].replace("/", " / ")
    return (
        f"Inside the arena nobody sees who uses it. Without it ({where}) the operators hold "
        f"{mine['bytes'].sum() / MIB:,.0f} MiB at the peak: {named}."
    )


def _short(owner: str) -> str:
    return owner.removeprefix("ONNX Runtime: ").removeprefix("pipeline: ")
