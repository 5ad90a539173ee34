"""What is worth telling, as a code with its values: words are made of it in `report.text` alone."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = ["Notice", "Value"]

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
