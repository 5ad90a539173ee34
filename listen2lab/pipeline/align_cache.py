"""The app's alignments on disk: JSON, one file for each document, paragraph and speed."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import Any

from listen2lab.errors import StudyError
from listen2lab.pipeline.alignment import Alignment, Word

__all__ = ["AlignmentCache"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


class AlignmentCache:
    """Alignments of one document on disk.

    Parameters
    ----------
    folder
        Where the documents' folders are; made when something is saved.
    document
        The document's name; letters, digits, ``-`` and ``_`` are kept in the folder's name.
    """

    def __init__(self, folder: str, document: str) -> None:
        self._folder = os.path.join(folder, _UNSAFE.sub("_", document) or "_")  # noqa: PTH118

    def path(self, paragraph: int, speed: float) -> str:
        """Return the file of a paragraph at a speed; it need not be there."""
        return os.path.join(self._folder, f"{paragraph}_{speed:.2f}.json")  # noqa: PTH118

    def load(self, paragraph: int, speed: float) -> Alignment | None:
        """Read an alignment.

        Parameters
        ----------
        paragraph, speed
            The key.

        Returns
        -------
        Alignment or None
            None when there is no file.

        Raises
        ------
        StudyError
            The file is damaged, or cannot be read.
        """
        path = self.path(paragraph, speed)
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 1 MiB
                return _decoded(json.load(file))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(
                f"the alignment file {path} cannot be decoded ({error}); it was left as it is; "
                "delete it, and the alignment is made again"
            ) from error
        except OSError as error:
            raise StudyError(f"the alignment file {path} cannot be read: {error}") from error

    def save(self, paragraph: int, speed: float, alignment: Alignment) -> None:
        """Write an alignment; a reader sees the old file or the new one, never a part.

        Parameters
        ----------
        paragraph, speed
            The key.
        alignment
            What to write.

        Raises
        ------
        StudyError
            It cannot be written; an older file is untouched.
        """
        path = self.path(paragraph, speed)
        part = f"{path}.{os.getpid()}.part"
        document = {
            "words": [list(word) for word in alignment.words],
            "is_estimated": alignment.is_estimated,
        }
        try:
            os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103
            with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump(document, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)  # noqa: PTH105
        except OSError as error:
            with contextlib.suppress(OSError):  # it may never have been made
                os.remove(part)  # noqa: PTH107
            raise StudyError(
                f"the alignment file {path} cannot be written: {error}; what was there before is "
                "untouched; free some space or choose another folder"
            ) from error


def _decoded(document: Any) -> Alignment:
    words = [Word(str(text), float(start), float(end)) for text, start, end in document["words"]]
    return Alignment(words, is_estimated=bool(document["is_estimated"]))
