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
from listen2lab.notebook.fix import both, fix, law, law_in_words, listen, open_cures, pareto

__all__ = [
    "answers", "both", "execute", "finding", "fix", "given", "law", "law_in_words", "listen",
    "open_cures", "open_or_run", "parameters", "pareto", "prediction", "provenance", "verdicts",
]  # fmt: skip
