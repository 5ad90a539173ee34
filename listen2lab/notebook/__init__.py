"""What the notebooks call, and how one is run with other parameters."""

from __future__ import annotations

from listen2lab.notebook.cards import (
    account,
    answers,
    finding,
    grown,
    open_or_run,
    pictures,
    prediction,
    provenance,
    traces,
    turn,
    verdicts,
)
from listen2lab.notebook.execution import execute, given, parameters
from listen2lab.notebook.fix import both, fix, law, law_in_words, listen, open_cures, pareto

__all__ = [
    "account", "answers", "both", "execute", "finding", "fix", "given", "grown", "law",
    "law_in_words", "listen", "open_cures", "open_or_run", "parameters", "pareto", "pictures",
    "prediction", "provenance", "traces", "turn", "verdicts",
]  # fmt: skip
