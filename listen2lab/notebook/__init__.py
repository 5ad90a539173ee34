"""What the notebooks call, and how one is run with other parameters."""

from __future__ import annotations

from listen2lab.notebook.cards import (
    answers,
    finding,
    open_or_run,
    prediction,
    provenance,
    verdicts,
)
from listen2lab.notebook.execution import execute, given, parameters

__all__ = [
    "answers",
    "execute",
    "finding",
    "given",
    "open_or_run",
    "parameters",
    "prediction",
    "provenance",
    "verdicts",
]
