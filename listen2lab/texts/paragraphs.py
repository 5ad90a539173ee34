"""Texts to read: a .txt, .md or .epub file as a list of paragraphs that can be spoken.

Sentences, here and in the engine
---------------------------------
sherpa-onnx's characters frontend ends a sentence after *every* ``.``, ``:``, ``?`` and ``!``,
whatever follows (so ``3.5`` is two sentences and ``...`` three); ``;`` and ``,`` do not end one.
That is its code in ``offline-tts-character-frontend.cc``, and `longest_sentence` counts by it,
because one engine sentence is one call of the model and sets the memory that the call needs.
espeak-ng, which phonemizes for real Piper voices, ends a sentence only at ``.``, ``?`` or ``!``
before a space, and knows abbreviations and numbers. `split_sentences`, made for cutting a text
without changing how it is spoken, cuts at a mark only where a space follows.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from listen2lab.errors import TextError, UnknownNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "BUILT_IN",
    "MAX_PARAGRAPH_BYTES",
    "Book",
    "built_in",
    "longest_sentence",
    "read_book",
    "shorten",
    "speakable",
    "split_long",
    "split_sentences",
]

# The app's limit for one paragraph, and the synthesizer's.
MAX_PARAGRAPH_BYTES = 10_000
# A plain text larger than this is a log or a dump, and no book.
MAX_FILE_BYTES = 64 * 2**20
# EPUBs carry pictures.
MAX_EPUB_BYTES = 2**30

BUILT_IN: dict[str, str] = {
    "novel": "novel.md",
    "technical": "technical.md",
    "front_matter": "front_matter.txt",
    "long_sentence": "long_sentence.txt",
}

_ENGINE_SENTENCE = re.compile(r"[^.:?!]*[.:?!]|[^.:?!]+")
# A mark, closing quotes or brackets, then a space: the sentence ends at that space.
_SENTENCE_END = re.compile(r"(?<=[.:?!])([\"'”’»)\]]{0,3}) ")
_CLAUSE_END = re.compile(r"[,;:–—)]['\"”’]?$")
_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if not chr(code).isspace()}
_READERS = (".txt", ".md", ".markdown", ".epub")


class Book(NamedTuple):
    """A text, ready to be spoken."""

    title: str
    paragraphs: tuple[str, ...]
    notes: tuple[str, ...]
    """What was repaired or skipped, in words."""


def read_book(path: str | os.PathLike[str]) -> Book:
    """Read a text file, a Markdown file or an EPUB.

    Plain text is split at blank lines. Markdown and EPUB are reduced to what is spoken, a block
    a paragraph. Every paragraph has been through `speakable`; those without a letter or a digit
    are skipped.

    Parameters
    ----------
    path
        A ``.txt``, ``.md``, ``.markdown`` or ``.epub`` file.

    Returns
    -------
    Book
        Title (the package's, the first heading, or the file's name), paragraphs, and notes.

    Raises
    ------
    TextError
        There is no such file, it cannot be read or decoded, it is damaged, locked or a zip bomb,
        it holds nothing to speak, or one of its paragraphs is over `MAX_PARAGRAPH_BYTES`.
    """
    name = os.path.basename(path)  # noqa: PTH119 - pathlib would cost a worker 1 MiB
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    kind = suffix.lower()
    if kind not in _READERS:
        raise TextError(
            f"{name!r} cannot be read: the lab reads .txt, .md and .epub files; "
            "convert it, or rename it if it is one of them"
        )
    _check_file(os.fspath(path), name, MAX_EPUB_BYTES if kind == ".epub" else MAX_FILE_BYTES)
    title: str | None = None
    if kind == ".epub":
        from listen2lab.texts import epub as _epub  # noqa: PLC0415 - zipfile costs 3 MiB

        title, raw, notes = _epub.read(os.fspath(path), name)
    else:
        text, notes = _read_text(os.fspath(path), name)
        if kind == ".txt":
            raw = _blank_line_blocks(text)
        else:
            from listen2lab.texts import markdown as _markdown  # noqa: PLC0415 - plain text needs none of it

            title, raw, marks = _markdown.blocks(text)
            notes += marks
    paragraphs = _speakable_paragraphs(raw, notes)
    if not paragraphs:
        raise TextError(f"{name} has nothing to speak: no letter and no digit was found in it")
    _check_sizes(paragraphs, name)
    return Book(title or stem, tuple(paragraphs), tuple(notes))


def built_in(name: str) -> Path:
    """Find one of the texts that come with the lab.

    Parameters
    ----------
    name
        A key of `BUILT_IN`.

    Returns
    -------
    Path
        The file: the package's own copy where the lab was installed from a wheel, otherwise the
        checkout's ``data/texts``.

    Raises
    ------
    UnknownNameError
        There is no such text.
    TextError
        The installation lacks its texts.
    """
    from pathlib import Path  # noqa: PLC0415 - a worker need not have it

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


def speakable(text: str) -> str:
    """Collapse whitespace to single spaces and strip control characters; nothing else.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        One line, without space at its ends.
    """
    return " ".join(text.translate(_CONTROL).split())


def split_sentences(text: str) -> list[str]:
    """Cut a text after ``.``, ``:``, ``?`` or ``!`` where a space follows.

    Parameters
    ----------
    text
        A paragraph; it is made `speakable` first.

    Returns
    -------
    list of str
        The sentences. Joined with spaces they are the speakable text.
    """
    line = speakable(text)
    sentences = []
    start = 0
    for end in _SENTENCE_END.finditer(line):
        sentences.append(line[start : end.end() - 1])
        start = end.end()
    return [*sentences, line[start:]] if line[start:] else sentences


def split_long(text: str, limit_characters: int) -> list[str]:
    """Cut a text into sentences, and those longer than a limit into pieces.

    A piece ends at the last clause mark (comma, semicolon, dash, closing bracket) in the second
    half of what fits, or else at the last space that fits. A single word is never cut.

    Parameters
    ----------
    text
        A paragraph; it is made `speakable` first.
    limit_characters
        The longest piece, at least 1.

    Returns
    -------
    list of str
        The pieces. Joined with spaces they are the speakable text; each is at most
        `limit_characters` long unless it is one word.
    """
    if limit_characters < 1:
        raise ValueError(f"a piece needs at least 1 character, got {limit_characters}")
    pieces = []
    for sentence in split_sentences(text):
        pieces += _cut(sentence, limit_characters)
    return pieces


def shorten(text: str, limit_characters: int) -> str:
    """Cut off what makes a sentence longer than a limit.

    Parameters
    ----------
    text
        A paragraph; it is made `speakable` first.
    limit_characters
        The longest sentence, at least 1.

    Returns
    -------
    str
        The paragraph with the same number of sentences; of a longer one the first piece, as
        `split_long` cuts it, and its last mark.
    """
    kept = []
    for sentence in split_sentences(text):
        first = split_long(sentence, limit_characters)[0]
        kept.append(first if first == sentence else first.rstrip(" ,;:") + sentence[-1])
    return " ".join(kept)


def longest_sentence(text: str) -> int:
    """Count the characters of the longest sentence as the engine's characters frontend splits.

    Parameters
    ----------
    text
        What is given to the engine, as it is.

    Returns
    -------
    int
        Characters, the mark and spaces included; 0 for an empty text.
    """
    return max((len(piece[0]) for piece in _ENGINE_SENTENCE.finditer(text)), default=0)


def _cut(sentence: str, limit: int) -> list[str]:
    pieces: list[str] = []
    held: list[str] = []
    length = -1  # of the held words joined with spaces
    for word in sentence.split(" "):
        while held and length + 1 + len(word) > limit:
            take = _words_to_take(held, limit)
            pieces.append(" ".join(held[:take]))
            held = held[take:]
            length = sum(len(kept) + 1 for kept in held) - 1
        held.append(word)
        length += 1 + len(word)
    return [*pieces, " ".join(held)]


def _words_to_take(words: list[str], limit: int) -> int:
    """Count the words up to the last clause mark in the second half of `limit`, or all."""
    length = sum(len(word) + 1 for word in words) - 1
    for take in range(len(words), 0, -1):
        if length < limit // 2:
            break
        if _CLAUSE_END.search(words[take - 1]):
            return take
        length -= len(words[take - 1]) + 1
    return len(words)


def _check_file(path: str, name: str, max_bytes: int) -> None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise TextError(f"the text {path} cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise TextError(f"{path} is a folder; give one .txt, .md or .epub file")
    if not stat.S_ISREG(status.st_mode):
        raise TextError(f"{path} is a device, pipe or socket; give a regular file")
    if status.st_size == 0:
        raise TextError(f"{name} is empty (0 bytes)")
    if status.st_size > max_bytes:
        raise TextError(
            f"{name} has {status.st_size:,} bytes and was not read; books have at most "
            f"{max_bytes:,}: cut it into parts"
        )


def _read_text(path: str, name: str) -> tuple[str, list[str]]:
    from listen2lab.texts.decode import decode  # noqa: PLC0415

    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            data = stream.read()
    except OSError as error:
        raise TextError(f"the text {path} cannot be read: {error.strerror}") from error
    if data.startswith(b"PK\x03\x04"):
        raise TextError(f"{name} is a zip archive and no text; if it is an EPUB, rename it .epub")
    text, note = decode(data, name)
    return text, [note] if note else []


def _blank_line_blocks(text: str) -> list[str]:
    blocks: list[str] = []
    held: list[str] = []
    for line in (*text.split("\n"), ""):
        if line.strip():
            held.append(line)
        elif held:
            blocks.append("\n".join(held))
            held = []
    return blocks


def _speakable_paragraphs(raw: Iterable[str], notes: list[str]) -> list[str]:
    paragraphs = []
    silent = controls = 0
    for block in raw:
        controls += sum(ord(character) in _CONTROL for character in block)
        paragraph = speakable(block)
        if any(character.isalnum() for character in paragraph):
            paragraphs.append(paragraph)
        elif paragraph:
            silent += 1
    if silent:
        notes.append(f"skipped {silent} paragraph(s) without a letter or digit")
    if controls:
        notes.append(f"removed {controls} control character(s)")
    return paragraphs


def _check_sizes(paragraphs: list[str], name: str) -> None:
    for number, paragraph in enumerate(paragraphs, 1):
        size = len(paragraph.encode())
        if size > MAX_PARAGRAPH_BYTES:
            raise TextError(
                f"{name}: paragraph {number} of {len(paragraphs)} has {size:,} bytes of UTF-8, and "
                f"at most {MAX_PARAGRAPH_BYTES:,} can be spoken at once (the app's limit). It "
                f"begins {paragraph[:40]!r}; split it with a blank line"
            )
