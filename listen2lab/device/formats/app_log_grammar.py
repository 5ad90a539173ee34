r"""The app's log grammar, as patterns over bytes: only the ASCII words of a line are matched.

So an emoji may be missing, cut, or mojibake, and the line is still understood. What stands
between the tag and the first word is kept, to say how the file was decoded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from listen2lab.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["APP", "KINDS", "Grammar", "Kind", "Shape", "mojibake", "read_grammar"]


class Kind:
    """Numbers of the kinds of line, as the first column of a row holds them."""

    START_ON_DEMAND = 1
    DONE_ON_DEMAND = 2
    START_PRE = 3
    DONE_PRE = 4
    FAILED_PRE = 5
    SKIPPED = 6
    TOTAL_TIME = 7
    EVICTED_AUDIO = 8
    EVICTED_ALIGNMENT = 9
    ALIGNED = 10
    SYNTHESIZED = 11
    ALIGNMENT_HIT = 12
    TOTAL = 13
    AUDIO_CACHE = 14
    ALIGNMENT_CACHE = 15
    SYNTHESIZING = 16
    TASKS = 17
    UNACCOUNTED = 18


class Shape(NamedTuple):
    """How a line goes on after its first words.

    Attributes
    ----------
    kind
        One of `Kind`.
    pattern
        Matched from the end of the first words.
    fields
        What each group is: ``p`` paragraph, ``s`` seconds, ``m`` a size (two groups, number and
        unit), ``n`` a count; in the order in which they are kept.
    """

    kind: int
    pattern: re.Pattern[bytes]
    fields: str


_GAP = rb"(?:\s|\xc2\xa0|\xe2\x80\xaf)"  # also the no-break spaces of localised sizes, in UTF-8
_FIELDS = {
    b"p": rb"(-?\d+)",
    b"n": rb"(-?\d+)",
    b"s": rb"(-?[\d.,]+)\s?s",
    b"m": rb"~?(-?[\d.,]+(?:%b\d[\d.,]*)*)%b?([KMG]i?B)" % (_GAP, _GAP),
}


def _shape(kind: int, template: bytes) -> Shape:
    """Return a shape; ``{p}`` and the like stand for the fields, all else is a pattern."""
    fields = b"".join(re.findall(rb"\{(\w)\}", template)).decode()
    pattern = re.sub(rb"\{(\w)\}", lambda found: _FIELDS[found[1]], template)
    return Shape(kind, re.compile(pattern), fields)


_TEMPLATES: dict[bytes, tuple[tuple[int, bytes], ...]] = {
    b"Starting on-demand synthesis": (
        (Kind.START_ON_DEMAND, rb" for paragraph {p}, memory: {m}"),
        (Kind.START_ON_DEMAND, rb" for paragraph {p}(?:\s*$|\.)"),
    ),
    b"On-demand synthesis": (
        (Kind.DONE_ON_DEMAND, rb" for paragraph {p} completed in {s}(?:econds)?, memory: {m}"),
        (Kind.DONE_ON_DEMAND, rb" for paragraph {p} completed in {s}(?:econds)?\s*$"),
    ),
    b"Pre-synthesis": (
        (Kind.DONE_PRE, rb" (?:for )?paragraph {p} done - {s}, memory: {m}"),
        (Kind.START_PRE, rb" (?:for )?paragraph {p}, memory: {m}"),
        (Kind.DONE_PRE, rb" (?:for )?paragraph {p} done - {s}\s*$"),
        (Kind.START_PRE, rb" (?:for )?paragraph {p}\s*$"),
    ),
    b"Pre-synthesis failed": ((Kind.FAILED_PRE, rb" (?:for )?paragraph {p} after {s}\b"),),
    b"Skipping pre-synthesis": ((Kind.SKIPPED, rb"(?= - |\s*$)"),),
    b"Total time": (
        (
            Kind.TOTAL_TIME,
            rb" for paragraph {p}: {s} \(synthesis: {s}, alignment: {s}\), final memory: {m}",
        ),
        (Kind.TOTAL_TIME, rb" for paragraph {p}: {s}\b.{,60}?final memory: {m}"),
        (Kind.TOTAL_TIME, rb" for paragraph {p}: {s} \(synthesis: {s}, alignment: {s}\)\s*$"),
        (Kind.TOTAL_TIME, rb" for paragraph {p}: {s}\s*$"),
    ),
    b"Evicted": (
        (Kind.EVICTED_AUDIO, rb" (?:audio )?cache for paragraph {p}"),
        (Kind.EVICTED_ALIGNMENT, rb" alignment cache for paragraph {p}"),
    ),
    b"Alignment completed": ((Kind.ALIGNED, rb" for paragraph {p}: {n} words, {s}\b"),),
    b"Synthesized": ((Kind.SYNTHESIZED, rb" {n} samples at {n}\s?Hz"),),
    b"Cache hit": (
        (Kind.ALIGNMENT_HIT, rb" for paragraph {p} \(hits: {n}, misses: {n}\b"),
        (Kind.ALIGNMENT_HIT, rb" for paragraph {p}\s*$"),
    ),
    b"Total": ((Kind.TOTAL, rb": {m}"),),
    b"Audio cache": (
        (Kind.AUDIO_CACHE, rb": {n} (?:entries|entry|items?), {m}"),
        (Kind.AUDIO_CACHE, rb": {m}"),
    ),
    b"Alignment cache": (
        (Kind.ALIGNMENT_CACHE, rb": {n} (?:entries|entry|items?), {m}"),
        (Kind.ALIGNMENT_CACHE, rb": {m}"),
        (Kind.ALIGNMENT_CACHE, rb": {n} (?:entries|entry|items?)\b"),
    ),
    b"Synthesizing": ((Kind.SYNTHESIZING, rb": {n}(?! ?[KMG.])"),),
    b"Tasks": ((Kind.TASKS, rb": {n}(?! ?[KMG.])"),),
    b"Unaccounted": ((Kind.UNACCOUNTED, rb": {m}"),),
}


class Grammar(NamedTuple):
    """How an app logs.

    Attributes
    ----------
    tags
        Bytes of which each line has one.
    head
        Tag, what stands between (an emoji), and the first words of a line.
    shapes
        First words to the shapes that a line may have, the usual one first.
    """

    tags: tuple[bytes, ...]
    head: re.Pattern[bytes]
    shapes: dict[bytes, tuple[Shape, ...]]


def _grammar(
    tags: Iterable[bytes], templates: Mapping[bytes, Iterable[tuple[int, bytes]]]
) -> Grammar:
    shapes = {words: tuple(_shape(*each) for each in some) for words, some in templates.items()}
    known = tuple(tags)
    words = b"|".join(map(re.escape, sorted(shapes, key=len, reverse=True)))
    begin = b"(?:%b)(.{0,40}?)" % b"|".join(map(re.escape, known)) if known else b"()"
    head = re.compile(rb"%b(?<!\w)(%b)(?!\w)" % (begin, words))
    return Grammar(known or tuple(shapes), head, shapes)


APP = _grammar((b"[SynthesisQueue]", b"[MEMORY]", b"[PiperTTS]", b"[PhonemeAlign]"), _TEMPLATES)
"""The reading app's own."""

KINDS = {
    "synthesis-started": Kind.START_ON_DEMAND, "synthesis-done": Kind.DONE_ON_DEMAND,
    "ahead-started": Kind.START_PRE, "ahead-done": Kind.DONE_PRE, "ahead-failed": Kind.FAILED_PRE,
    "skipped": Kind.SKIPPED, "total-time": Kind.TOTAL_TIME, "audio-evicted": Kind.EVICTED_AUDIO,
    "alignment-evicted": Kind.EVICTED_ALIGNMENT, "aligned": Kind.ALIGNED,
    "synthesized": Kind.SYNTHESIZED, "cache-hit": Kind.ALIGNMENT_HIT, "total": Kind.TOTAL,
    "audio-cache": Kind.AUDIO_CACHE, "alignment-cache": Kind.ALIGNMENT_CACHE,
    "synthesizing": Kind.SYNTHESIZING, "tasks": Kind.TASKS, "unaccounted": Kind.UNACCOUNTED,
}  # fmt: skip
"""What a grammar's file calls the kinds of line."""

_LONG_NAMES = {"paragraph": b"{p}", "seconds": b"{s}", "memory": b"{m}", "count": b"{n}"}


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    text: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    line: list[_Line]
    tags: list[str] = []


def read_grammar(path: Path) -> Grammar:
    """Read how another app logs, from a TOML file.

    Parameters
    ----------
    path
        Its ``tags`` are what each line holds; a ``[[line]]`` has a ``kind`` (one of `KINDS`) and
        its ``text`` as it is printed, with ``{paragraph}``, ``{seconds}``, ``{memory}`` (a number
        and its unit) and ``{count}`` where those stand. A text begins with a word.

    Raises
    ------
    InputError
        This is no such file.
    """
    try:
        given = msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{path} is no grammar of a log: {error}") from error
    templates: dict[bytes, list[tuple[int, bytes]]] = {}
    for line in given.line:
        if line.kind not in KINDS:
            raise UnknownNameError("kind of line", line.kind, KINDS)
        first, *rest = re.split(r"(\{\w+\})", line.text)
        if not re.match(r"\w\S*", first):
            raise InputError(f"{line.text!r} must begin with a word that its lines share")
        unknown = next((n for n in rest[::2] if n[1:-1] not in _LONG_NAMES), None)
        if unknown is not None:
            raise UnknownNameError("field of a line", unknown[1:-1], _LONG_NAMES)
        words = re.match(r"\w+(?: \w+)*", first)
        assert words is not None
        template = re.escape(first[words.end() :]).encode() + b"".join(
            _LONG_NAMES[part[1:-1]] if k % 2 == 0 else re.escape(part).encode()
            for k, part in enumerate(rest)
        )
        templates.setdefault(words[0].encode(), []).append((KINDS[line.kind], template))
    return _grammar(map(str.encode, given.tags), templates)


_EMOJI = "🔄✅📊⏭❌🗑"
_MISREAD_AS = ("cp1252", "latin-1", "mac_roman", "cp437", "cp850")


def mojibake(between: bytes) -> tuple[str, int] | None:
    """Say how what stands before a line's words was decoded.

    Parameters
    ----------
    between
        The bytes between tag and first word.

    Returns
    -------
    (str, int) or None
        None for an emoji as it should be, or for none at all; else the codec that the UTF-8 was
        read with and how often, or ``lost`` and 0.
    """
    text = between.decode("utf-8", "replace").strip(" \ufe0f")
    if not text or text[0] in _EMOJI:
        return None
    for depth in range(1, 5):
        for codec in _MISREAD_AS:
            for first in dict.fromkeys((codec, *_MISREAD_AS)):
                if _undone(text, [codec, *[first] * (depth - 1)]):
                    return codec, depth
    if all(c in "?\ufffd\ufe0f " for c in text):
        return "lost", 0
    return None


def _undone(text: str, codecs: list[str]) -> bool:
    """Return whether reading the text's bytes right, as often as codecs say, gives an emoji."""
    for codec in codecs:
        try:
            text = _encoded(text, codec).decode("utf-8", "ignore")
        except (UnicodeError, ValueError):
            return False
        if not text:
            return False
    return text[0] in _EMOJI


def _encoded(text: str, codec: str) -> bytes:
    """Encode; what Windows-1252 leaves undefined passes through, as Windows lets it."""
    out = bytearray()
    for char in text:
        try:
            out += char.encode(codec)
        except UnicodeEncodeError:
            if ord(char) > 255:
                raise
            out.append(ord(char))
    return bytes(out)
