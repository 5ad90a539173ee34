"""Texts to read: a .txt, .md or .epub file as a list of paragraphs that can be spoken."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from listen2lab.errors import TextError, UnknownNameError
from listen2lab.notice import Notice
from listen2lab.texts.decode import decode
from listen2lab.texts.sentences import CONTROLS, speakable

if TYPE_CHECKING:
    import os

__all__ = ["BUILT_IN", "MAX_PARAGRAPH_BYTES", "Book", "built_in", "read_book"]

MAX_PARAGRAPH_BYTES = 10_000
"""The app's limit for one paragraph, and the synthesizer's."""

BUILT_IN: dict[str, str] = {
    "novel": "novel.md",
    "technical": "technical.md",
    "front_matter": "front_matter.txt",
    "long_sentence": "long_sentence.txt",
}
"""The texts that come with the lab: names and files."""

# A plain text larger than this is a log or a dump, and no book; EPUBs carry pictures.
_MAX_BYTES = {".txt": 2**26, ".md": 2**26, ".markdown": 2**26, ".epub": 2**30}


class Book(NamedTuple):
    """A text, ready to be spoken."""

    title: str
    paragraphs: tuple[str, ...]
    notices: tuple[Notice, ...]
    """What was repaired or left out."""


def read_book(path: str | os.PathLike[str]) -> Book:
    """Read a text file, a Markdown file or an EPUB.

    Plain text is split at blank lines. Markdown and EPUB are reduced to what is spoken, a block
    a paragraph. Every paragraph has been through `speakable`; those without a letter or a digit
    are left out. The title is the package's, the first heading, or the file's name.

    Raises
    ------
    TextError
        There is no such file, it cannot be read or decoded, it is damaged, locked or a zip bomb,
        it holds nothing to speak, or one of its paragraphs is over `MAX_PARAGRAPH_BYTES`.
    """
    path = Path(path)
    name, kind = path.name, path.suffix.lower()
    if kind not in _MAX_BYTES:
        raise TextError(
            f"{name!r} cannot be read: the lab reads .txt, .md and .epub files; "
            "convert it, or rename it if it is one of them"
        )
    _check_file(path, _MAX_BYTES[kind])
    title: str | None = None
    if kind == ".epub":
        from listen2lab.texts import epub

        title, raw, notices = epub.read(path)
    else:
        text, notices = _read_text(path)
        if kind == ".txt":
            raw = re.split(r"\n\s*\n", text)
        else:
            from listen2lab.texts import markdown

            title, raw, left_out = markdown.blocks(text)
            notices += left_out
    paragraphs = _speakable_paragraphs(raw, notices)
    if not paragraphs:
        raise TextError(f"{name} has nothing to speak: no letter and no digit was found in it")
    for number, paragraph in enumerate(paragraphs, 1):
        size = len(paragraph.encode())
        if size > MAX_PARAGRAPH_BYTES:
            raise TextError(
                f"{name}: paragraph {number} of {len(paragraphs)} has {size:,} bytes of UTF-8, and "
                f"at most {MAX_PARAGRAPH_BYTES:,} can be spoken at once (the app's limit). It "
                f"begins {paragraph[:40]!r}; split it with a blank line"
            )
    return Book(title or path.stem, tuple(paragraphs), tuple(notices))


def built_in(name: str) -> Path:
    """Find one of the texts that come with the lab: in the wheel, or else in the checkout."""
    if name not in BUILT_IN:
        raise UnknownNameError("text", name, BUILT_IN)
    package = Path(__file__).resolve().parents[1]
    places = (package / "_texts", package.parent / "data" / "texts")
    for place in places:
        if (place / BUILT_IN[name]).is_file():
            return place / BUILT_IN[name]
    raise TextError(
        f"the text {name!r} ({BUILT_IN[name]}) is missing: looked in {places[0]} and {places[1]}; "
        "install the lab again, or give a file of your own"
    )


def _check_file(path: Path, max_bytes: int) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise TextError(f"the text {path} cannot be opened: {error.strerror}") from error
    mode, size = status.st_mode, status.st_size
    if stat.S_ISDIR(mode):
        raise TextError(f"{path} is a folder; give one .txt, .md or .epub file")
    if not stat.S_ISREG(mode):
        raise TextError(f"{path} is a device, pipe or socket; give a regular file")
    if size == 0:
        raise TextError(f"{path.name} is empty (0 bytes)")
    if size > max_bytes:
        most = f"books have at most {max_bytes:,}: cut it into parts"
        raise TextError(f"{path.name} has {size:,} bytes and was not read; {most}")


def _read_text(path: Path) -> tuple[str, list[Notice]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"the text {path} cannot be read: {error.strerror}") from error
    if data.startswith(b"PK\x03\x04"):
        raise TextError(
            f"{path.name} is a zip archive and no text; if it is an EPUB, rename it .epub"
        )
    return decode(data, path.name)


def _speakable_paragraphs(raw: list[str], notices: list[Notice]) -> list[str]:
    controls = sum(ord(character) in CONTROLS for block in raw for character in block)
    visible = [paragraph for block in raw if (paragraph := speakable(block))]
    paragraphs = [paragraph for paragraph in visible if any(map(str.isalnum, paragraph))]
    if silent := len(visible) - len(paragraphs):
        notices.append(Notice("text-silent-left-out", {"paragraphs": silent}))
    if controls:
        notices.append(Notice("text-controls-left-out", {"characters": controls}))
    return paragraphs
