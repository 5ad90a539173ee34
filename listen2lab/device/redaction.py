"""What evidence may tell to others: each of its text fields is public, a file, or a name.

Files are numbered. Names (of processes, classes, columns, conditions) are passed on to whoever
knows which of them tell something private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.device.answer import Answer

__all__ = ["FILES", "NAMES", "PUBLIC", "redacted"]

FILES = {"source", "before", "after", "file", "other", "Source.name"}
"""Fields, and values of notices, that name a file; ``Record.field`` for one record's only."""

NAMES = {
    "process", "app", "when", "SeriesSummary.quantity", "binary", "subject", "experiment",
    "condition", "unit", "column", "roots", "objects", "categories", "name", "renamed_from",
    "error", "text", "words",
}  # fmt: skip
"""Those that hold what somebody called something, or a piece of a file."""

PUBLIC = {
    "code", "tool", "kind", "kinds", "encoding", "verdict", "taken_back", "confidence", "reasons",
    "caveats", "says", "owner", "owners", "what", "looks", "first_code", "codecs", "field",
    "Judged.unit", "Snapshot.quantity", "reason", "began", "platform", "in",
}  # fmt: skip
"""Those that hold codes of the lab."""


def redacted(answer: Answer, public_name: Callable[[str, str], str]) -> Answer:
    """Return an answer that tells nothing private.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    public_name
        Takes a field (one of `NAMES`) and what stands in it; returns what may be told of it.
    """
    files = {source.name: f"file {k}" for k, source in enumerate(answer.sources, start=1)}

    def text(value: str, field: str, record: str) -> str:
        own = f"{record}.{field}"
        if not value or field in PUBLIC or own in PUBLIC:
            return value
        is_file = field in FILES or own in FILES
        return files.get(value, "a file") if is_file else public_name(field, value)

    def replaced(value: Any, field: str, record: str) -> Any:
        if isinstance(value, Notice):
            return Notice(value.code, {k: replaced(v, k, "") for k, v in value.values.items()})
        if isinstance(value, msgspec.Struct):
            own = type(value).__name__
            fields = msgspec.structs.asdict(value)
            return type(value)(**{k: replaced(v, k, own) for k, v in fields.items()})
        if isinstance(value, (tuple, list)):
            return type(value)(replaced(each, field, record) for each in value)
        return text(value, field, record) if isinstance(value, str) else value

    told: Answer = replaced(answer, "", "")
    return told
