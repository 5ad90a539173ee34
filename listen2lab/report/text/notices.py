"""A notice in words: the table from codes to sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.hypotheses import SENTENCES as EVIDENCE
from listen2lab.report.text.format import fill

if TYPE_CHECKING:
    from listen2lab.notice import Notice

__all__ = ["say"]

_ACCOUNT = {
    "no-samples": "There are no samples.",
    "no-mappings": "These samples were read without looking at mappings (by an older listen2lab, "
    "or where /proc/self/smaps cannot be read). Python's objects, libraries' data and stacks "
    "cannot be told apart: what was anonymous before the models were loaded, and not malloc's, "
    "stands under Python's objects. The engine's arena is all that steps added.",
    "no-anonymous": "Anonymous memory was not read: code cannot be told from the rest.",
    "no-malloc-counters": "malloc's own counters were not there: what it keeps free stands as "
    "native, in use, or as the engine's.",
    "no-sizes": "The inputs' sizes are not known: how much of the engine's arena a step needed "
    "cannot be told, and all of it stands as held.",
    "no-setup": "No sample was read before or after setup: models cannot be told apart.",
}

_LIMITS = {
    "generated-voice": "A real voice: this one is generated, with a Piper voice's shapes, and "
    "memory follows shapes.",
    "not-a-phone": "A phone: this is Linux with glibc. iOS allocates and counts otherwise, and its "
    "own frameworks, views and graphics are not here.",
    "one-change-each": "Combinations of cures: each condition changes one thing only.",
}

_SENTENCES = {**EVIDENCE, **_ACCOUNT, **_LIMITS}


def say(notice: Notice) -> str:
    """Return a notice in words.

    Parameters
    ----------
    notice
        Any; one whose code is not known here is shown as its code.
    """
    template = _SENTENCES.get(notice.code)
    return notice.code if template is None else fill(template, notice.values)
