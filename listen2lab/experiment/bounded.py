"""A voice's bounded one: made once, kept beside the lab's models, checked when it is used."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from listen2lab.models.check import check_voice

if TYPE_CHECKING:
    from listen2lab.models.voices import VoiceFiles

__all__ = ["bounded_voice"]

_LENGTHS_S = (5.0, 25.0)
"""Of the sentences that are compared here; what a study reads, its own samples compare."""


@cache
def bounded_voice(voice: Path, digest: str, root: Path) -> VoiceFiles:
    """Return the checked bounded voice of a voice; make and verify it unless it is there."""
    folder = root / f"bounded@{digest[:12]}-{_code()[:8]}"
    root.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(root / ".bounded.lock"):  # a second study waits for the first one's
        if not folder.is_dir():  # it appears whole and verified, or not at all
            from listen2lab.models.bound import bound

            bound(voice, folder, lengths_s=_LENGTHS_S)
        return check_voice(folder)


def _code() -> str:
    """Return the SHA-256 of the code that rewrites."""
    models = Path(__file__).parents[1] / "models"
    digest = hashlib.sha256()
    for path in (models / "bound.py", *sorted((models / "bounding").glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
