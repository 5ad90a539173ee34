"""The law in words: which sentences stay under a limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from listen2lab.findings.outcomes import LIMITS
from listen2lab.report.text.format import number
from listen2lab.units import mib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.findings.law import Law

__all__ = ["law"]

_GRAPHS = {"exported": "As it is", "bounded": "Bounded"}


def law(laws: Mapping[str, tuple[Law, ...]]) -> list[str]:
    """Say which sentences stay under each limit, by the voice's graph; nothing without a law."""
    said = []
    for graph, name in _GRAPHS.items():
        for each in laws.get(graph, ()):
            if each.quantity == "peak":
                kept = " and ".join(_kept(each, limit, size) for limit, size in LIMITS.items())
                said.append(f"{name}, keep sentences {kept}{_beyond(each)}{_error(each)}.")
    return said


def _kept(found: Law, limit: str, size: int) -> str:
    longest = found.longest_under(mib(size))
    if longest is None:
        return f"(none is short enough) for a peak under {limit}"
    if math.isinf(longest):
        return f"as long as they are for a peak under {limit}"
    return f"below {number(longest, 0)} s for a peak under {limit}"


def _beyond(found: Law) -> str:
    longest = [found.longest_under(mib(size)) or 0.0 for size in LIMITS.values()]
    is_beyond = any(found.longest_s < each < math.inf for each in longest)
    return f"; none above {found.longest_s:.0f} s was measured" if is_beyond else ""


def _error(found: Law) -> str:
    if found.error is None:
        return ""
    return (
        f"; of {found.lengths} lengths measured, one left out is predicted within "
        f"{100 * found.error:.1f} %"
    )
