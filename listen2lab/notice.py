"""What is worth telling, as a code with its values: words are made of it in `report.text` alone."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = ["VALUE_RULES", "Notice", "Value"]

VALUE_RULES = {
    "experiment": "experiment",
    "condition": "condition",
    "conditions": "condition",
    "without": "run",
    "run": "run",
    "component": "component",
    "machine": "machine",
    "field": "public",
    "file": "public",
    "name": "public",
    "type": "function",
    "holder": "function",
    "path": "function",
    "message": "private",
    "lost": "public",
    "verdict": "public",
    "finding": "public",
    "hypothesis": "public",
    "hypotheses": "public",
    "experiments": "experiment",
    "phase": "fact",
}
"""Who may see a notice's strings, by the value's name, as `listen2lab.privacy` has it; a name that
does not stand here is private."""

Value: TypeAlias = "str | int | float | bool | list[str | int | float] | None"
"""What a notice may hold: nothing that needs words of its own."""


class Notice(msgspec.Struct, frozen=True, order=True):
    """Something worth telling.

    Parameters
    ----------
    code
        What it is: kebab-case, one of a closed list; see `listen2lab.report.text.notices`.
    values
        What its sentence needs: bytes, seconds, counts, names. Names may be private.

    Examples
    --------
    >>> Notice("over-limit", {"limit": 2**30, "footprint": 2**30 + 1, "step": 11}).code
    'over-limit'
    """

    code: str
    values: dict[str, Value] = msgspec.field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.code, tuple((k, str(v)) for k, v in self.values.items())))
