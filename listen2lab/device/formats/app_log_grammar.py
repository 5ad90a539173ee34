r"""The app's log grammar, as patterns over bytes: only the ASCII words of a line are matched.

So an emoji may be missing, cut, or mojibake, and the line is still understood. What stands
between the tag and the first word is kept, to say how the file was decoded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["HEAD", "SHAPES", "TAGS", "Kind", "Shape", "mojibake"]

_NUMBER = rb"(-?[\d.,]+)"
_COUNT = rb"(-?\d+)"
_GAP = rb"(?:\s|\xc2\xa0|\xe2\x80\xaf)"  # also the no-break spaces of localised sizes, in UTF-8
_MEMORY = rb"~?(-?[\d.,]+(?:" + _GAP + rb"\d[\d.,]*)*)" + _GAP + rb"?([KMG]i?B)"
_PARAGRAPH = rb"for paragraph (-?\d+)"

TAGS = (b"[SynthesisQueue]", b"[MEMORY]", b"[PiperTTS]", b"[PhonemeAlign]")
"""What the app's parts print first."""

HEAD = re.compile(
    rb"\[(?:SynthesisQueue|MEMORY|PiperTTS|PhonemeAlign)\](.{0,40}?)"
    rb"\b(Starting on-demand synthesis|On-demand synthesis|Pre-synthesis failed|Pre-synthesis"
    rb"|Total time|Total|Skipping pre-synthesis|Evicted|Alignment completed|Synthesized|Cache hit"
    rb"|Audio cache|Alignment cache|Synthesizing|Tasks|Unaccounted)\b"
)
"""Tag, emoji and first words of a line of the app."""


class Kind:
    """Numbers of the kinds of line, as the columns of `events` hold them."""

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


def _shape(kind: int, fields: str, pattern: bytes) -> Shape:
    return Shape(kind, re.compile(pattern), fields)


SHAPES: dict[bytes, tuple[Shape, ...]] = {
    b"Starting on-demand synthesis": (
        _shape(Kind.START_ON_DEMAND, "pm", rb" " + _PARAGRAPH + rb", memory: " + _MEMORY),
        _shape(Kind.START_ON_DEMAND, "p", rb" " + _PARAGRAPH + rb"(?:\s*$|\.)"),
    ),
    b"On-demand synthesis": (
        _shape(
            Kind.DONE_ON_DEMAND,
            "psm",
            rb" "
            + _PARAGRAPH
            + rb" completed in "
            + _NUMBER
            + rb"\s?s(?:econds)?, memory: "
            + _MEMORY,
        ),
        _shape(
            Kind.DONE_ON_DEMAND,
            "ps",
            rb" " + _PARAGRAPH + rb" completed in " + _NUMBER + rb"\s?s(?:econds)?\s*$",
        ),
    ),
    b"Pre-synthesis": (
        _shape(
            Kind.DONE_PRE,
            "psm",
            rb" (?:for )?paragraph (-?\d+) done - " + _NUMBER + rb"\s?s, memory: " + _MEMORY,
        ),
        _shape(Kind.START_PRE, "pm", rb" (?:for )?paragraph (-?\d+), memory: " + _MEMORY),
        _shape(
            Kind.DONE_PRE, "ps", rb" (?:for )?paragraph (-?\d+) done - " + _NUMBER + rb"\s?s\s*$"
        ),
        _shape(Kind.START_PRE, "p", rb" (?:for )?paragraph (-?\d+)\s*$"),
    ),
    b"Pre-synthesis failed": (
        _shape(
            Kind.FAILED_PRE, "ps", rb" (?:for )?paragraph (-?\d+) after " + _NUMBER + rb"\s?s\b"
        ),
    ),
    b"Skipping pre-synthesis": (_shape(Kind.SKIPPED, "", rb"()(?= - |\s*$)"),),
    b"Total time": (
        _shape(
            Kind.TOTAL_TIME,
            "psssm",
            rb" "
            + _PARAGRAPH
            + rb": "
            + _NUMBER
            + rb"\s?s \(synthesis: "
            + _NUMBER
            + rb"\s?s, alignment: "
            + _NUMBER
            + rb"\s?s\), final memory: "
            + _MEMORY,
        ),
        _shape(
            Kind.TOTAL_TIME,
            "psm",
            rb" " + _PARAGRAPH + rb": " + _NUMBER + rb"\s?s\b.{0,60}?final memory: " + _MEMORY,
        ),
        _shape(
            Kind.TOTAL_TIME,
            "psss",
            rb" "
            + _PARAGRAPH
            + rb": "
            + _NUMBER
            + rb"\s?s \(synthesis: "
            + _NUMBER
            + rb"\s?s, alignment: "
            + _NUMBER
            + rb"\s?s\)\s*$",
        ),
        _shape(Kind.TOTAL_TIME, "ps", rb" " + _PARAGRAPH + rb": " + _NUMBER + rb"\s?s\s*$"),
    ),
    b"Evicted": (
        _shape(Kind.EVICTED_AUDIO, "p", rb" (?:audio )?cache " + _PARAGRAPH),
        _shape(Kind.EVICTED_ALIGNMENT, "p", rb" alignment cache " + _PARAGRAPH),
    ),
    b"Alignment completed": (
        _shape(
            Kind.ALIGNED,
            "pns",
            rb" " + _PARAGRAPH + rb": " + _COUNT + rb" words, " + _NUMBER + rb"\s?s\b",
        ),
    ),
    b"Synthesized": (
        _shape(Kind.SYNTHESIZED, "nn", rb" " + _COUNT + rb" samples at " + _COUNT + rb"\s?Hz"),
    ),
    b"Cache hit": (
        _shape(
            Kind.ALIGNMENT_HIT,
            "pnn",
            rb" " + _PARAGRAPH + rb" \(hits: " + _COUNT + rb", misses: " + _COUNT + rb"\b",
        ),
        _shape(Kind.ALIGNMENT_HIT, "p", rb" " + _PARAGRAPH + rb"\s*$"),
    ),
    b"Total": (_shape(Kind.TOTAL, "m", rb": " + _MEMORY),),
    b"Audio cache": (
        _shape(Kind.AUDIO_CACHE, "nm", rb": " + _COUNT + rb" (?:entries|entry|items?), " + _MEMORY),
        _shape(Kind.AUDIO_CACHE, "m", rb": " + _MEMORY),
    ),
    b"Alignment cache": (
        _shape(
            Kind.ALIGNMENT_CACHE, "nm", rb": " + _COUNT + rb" (?:entries|entry|items?), " + _MEMORY
        ),
        _shape(Kind.ALIGNMENT_CACHE, "m", rb": " + _MEMORY),
        _shape(Kind.ALIGNMENT_CACHE, "n", rb": " + _COUNT + rb" (?:entries|entry|items?)\b"),
    ),
    b"Synthesizing": (_shape(Kind.SYNTHESIZING, "n", rb": " + _COUNT + rb"(?! ?[KMG.])"),),
    b"Tasks": (_shape(Kind.TASKS, "n", rb": " + _COUNT + rb"(?! ?[KMG.])"),),
    b"Unaccounted": (_shape(Kind.UNACCOUNTED, "m", rb": " + _MEMORY),),
}
"""First words to the shapes that a line may have, the usual one first."""

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
