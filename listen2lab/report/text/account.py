"""The parts of memory in words: what each is, and how it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from listen2lab.account.at_end import GROUPS
from listen2lab.account.categories import METHODS, categories
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CODE_OF_PART", "caption", "how_measured", "label", "part"]

CODE_OF_PART = "unaccounted"
"""The part that is nobody's."""

_OWN = "What the workload says it holds."


def part(name: str) -> str:
    """Return what a part of memory at the end is, as it stands after "are" in a sentence."""
    return GROUPS[name].label if name in GROUPS else name


def how_measured(name: str, code: str) -> str:
    """Return how a part of memory at the end was measured, in a few words.

    Parameters
    ----------
    name
        Of the part.
    code
        Of the way: `listen2lab.findings.records.MemoryPart.how`.
    """
    if code == "counters" and name in _BY_COUNTERS:
        return _BY_COUNTERS[name]
    return GROUPS[name].how if name in GROUPS else _HOW.get(code, code)


_HOW = {
    "components": "what the workload says it holds",
    "rest": "resident memory less all of the above",
}
_BY_COUNTERS = {
    "code and libraries": "pages of mapped files",
    "Python": "what the imports allocated, and not malloc",
    "engine arena": "all that steps added to malloc's live bytes",
}


def label(category: str) -> tuple[str, str, str]:
    """Return what a category of an account is called, how sure its number is, and how it is read.

    Parameters
    ----------
    category
        One of `listen2lab.account.categories.METHODS`, or what a workload names.
    """
    method = METHODS.get(category)
    if method is None:
        return category, "exact", _OWN
    return method.label, method.certainty, method.how


def caption(table: pd.DataFrame) -> str:
    """Say in a sentence what the picture shows.

    Parameters
    ----------
    table
        See `listen2lab.account.categories.account`.
    """
    last = table.iloc[-1]
    resident = float(last["rss"])
    idle = float(last["engine_arena_idle"])
    share = f"{idle / MIB:,.0f} of {resident / MIB:,.0f} MiB ({100 * idle / resident:.0f} %)"
    left = float(table["unaccounted"].abs().max()) / MIB
    end = f"Less than {max(left, 0.05) + 0.05:.1f} MiB is unaccounted at any step."
    if idle > 0.25 * resident and np.isfinite(float(last["longest"])):
        at = int(table["step"].iloc[int(table["longest"].to_numpy(float).argmax())])
        return (
            f"After the last step, {share} are held by the engine's session for step {at}, whose "
            f"longest sentence took {last['longest']:,.0f} s; the last step needed "
            f"{float(last['engine_arena_in_use']) / MIB:,.0f} MiB of it. {end}"
        )
    names = [name for name in categories(table) if name != "unaccounted"]
    largest = max(names, key=lambda name: float(last[name]))
    return (
        f"After the last step, {float(last[largest]) / MIB:,.0f} of {resident / MIB:,.0f} MiB are: "
        f"{label(largest)[0]}. {end}"
    )
