"""What a study reads and speaks with: texts, voice and recognizer, resolved and checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError, UnknownNameError
from listen2lab.pipeline import labvoice, texts
from listen2lab.pipeline.voices import check_recognizer, check_voice

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GENERATED_VOICES", "Inputs", "gather", "models_root"]

GENERATED_VOICES = ("tiny", "medium", "high")
"""Voices that the lab builds itself, smallest first."""


@dataclass(frozen=True)
class Inputs:
    """A voice, a recognizer and the paragraphs that are read.

    Parameters
    ----------
    voice, recognizer
        A generated model's name, or the path of a folder.
    voice_folder, recognizer_folder
        Where the models lie.
    voice_hash, recognizer_hash
        SHA-256 over the models' files.
    paragraphs
        The texts, in order.
    texts
        Where they come from: name, number of paragraphs, and notes about what was repaired.
    """

    voice: str
    voice_folder: Path
    voice_hash: str
    recognizer: str
    recognizer_folder: Path
    recognizer_hash: str
    paragraphs: tuple[str, ...]
    texts: tuple[dict[str, Any], ...]

    def described(self) -> dict[str, Any]:
        """Return what a manifest says of the inputs; folders only where they are the user's."""
        return {
            "voice": self.voice,
            "voice_hash": self.voice_hash,
            "recognizer": self.recognizer,
            "recognizer_hash": self.recognizer_hash,
            "texts": list(self.texts),
            "paragraphs_hash": hash_of(self.paragraphs),
        }


def gather(
    voice: str = "tiny",
    *,
    recognizer: str = "recognizer",
    texts_given: Sequence[Path] = (),
    paragraphs: Sequence[str] | None = None,
) -> Inputs:
    """Find, build where needed, and check everything a study reads.

    Parameters
    ----------
    voice
        ``tiny``, ``medium``, ``high``, or the folder of a real voice.
    recognizer
        ``recognizer`` for the generated one, or the folder of a NeMo CTC recognizer.
    texts_given
        The user's books; empty: the lab's own texts.
    paragraphs
        Texts that were read before (a study that is continued); the books are then not opened.

    Returns
    -------
    Inputs
        Checked: the engine would end its process on a bad model.

    Raises
    ------
    InputError
        A text, voice or recognizer cannot be used.
    """
    sources: list[dict[str, Any]] = []
    spoken: list[str] = list(paragraphs or ())
    if paragraphs is None:
        for path in texts_given or [texts.built_in(name) for name in texts.BUILT_IN]:
            book = texts.read_book(path)
            spoken += book.paragraphs
            sources.append(
                {"name": path.name, "paragraphs": len(book.paragraphs), "notes": list(book.notes)}
            )
    voice_folder = _folder(voice, GENERATED_VOICES, "voice")
    recognizer_folder = _folder(recognizer, ("recognizer",), "recognizer")
    check_voice(voice_folder)
    check_recognizer(recognizer_folder)
    return Inputs(
        voice=voice if voice in GENERATED_VOICES else str(voice_folder),
        voice_folder=voice_folder,
        voice_hash=labvoice.content_hash(voice_folder),
        recognizer=recognizer if recognizer == "recognizer" else str(recognizer_folder),
        recognizer_folder=recognizer_folder,
        recognizer_hash=labvoice.content_hash(recognizer_folder),
        paragraphs=tuple(spoken),
        texts=tuple(sources),
    )


def models_root() -> Path:
    """Return where generated and fetched models are kept.

    ``data/voices`` of a checkout, or the user's cache folder when the package is installed
    without one.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "data" / "texts").is_dir():
        return checkout / "data" / "voices"
    import pooch  # noqa: PLC0415 - it knows each system's cache folder

    return Path(pooch.os_cache("listen2lab")) / "voices"


def hash_of(paragraphs: Sequence[str]) -> str:
    """Return the SHA-256 of texts, each ended by a form feed, which no paragraph holds."""
    digest = hashlib.sha256()
    for paragraph in paragraphs:
        digest.update(paragraph.encode() + b"\f")
    return digest.hexdigest()


def _folder(given: str, generated: Sequence[str], kind: str) -> Path:
    if given in generated:
        return labvoice.ensure(given, models_root())
    folder = Path(given).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise InputError(f"{given} is a file; give the folder of the {kind}")
    if (models_root() / given).is_dir():  # fetched before, by name
        return models_root() / given
    raise UnknownNameError(kind, given, [*generated, *_fetched()])


def _fetched() -> list[str]:
    root = models_root()
    return [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
