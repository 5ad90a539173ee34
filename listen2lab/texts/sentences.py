"""A paragraph made speakable, and cut into sentences; light, because a worker does it too.

sherpa-onnx's characters frontend ends a sentence after *every* ``.``, ``:``, ``?`` and ``!``,
whatever follows (so ``3.5`` is two sentences and ``...`` three); ``;`` and ``,`` do not end one.
That is its code in ``offline-tts-character-frontend.cc``, and `longest_sentence` counts by it,
because one engine sentence is one call of the model and sets the memory that the call needs.
espeak-ng, which phonemizes for real Piper voices, ends a sentence only at ``.``, ``?`` or ``!``
before a space, and knows abbreviations and numbers. `split_sentences`, made for cutting a text
without changing how it is spoken, cuts at a mark only where a space follows.
"""

from __future__ import annotations

import re

__all__ = ["CONTROLS", "longest_sentence", "shorten", "speakable", "split_long", "split_sentences"]

CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if not chr(code).isspace()}
"""What is not spoken and not seen."""

_ENGINE_SENTENCE = re.compile(r"[^.:?!]*[.:?!]|[^.:?!]+")
# A mark, closing quotes or brackets, then a space: the sentence ends at that space.
_SENTENCE_END = re.compile(r"(?<=[.:?!])([\"'”’»)\]]{0,3}) ")
_CLAUSE_END = re.compile(r"[,;:–—)]['\"”’]?$")


def speakable(text: str) -> str:
    """Collapse whitespace to single spaces and strip control characters; nothing else."""
    return " ".join(text.translate(CONTROLS).split())


def split_sentences(text: str) -> list[str]:
    """Cut a text, made `speakable`, after ``.``, ``:``, ``?`` or ``!`` where a space follows."""
    line = speakable(text)
    return _SENTENCE_END.sub(r"\1\n", line).split("\n") if line else []


def split_long(text: str, limit_characters: int) -> list[str]:
    """Cut a text into sentences, and those longer than a limit into pieces.

    A piece ends at the last clause mark (comma, semicolon, dash, closing bracket) in the second
    half of what fits, or else at the last space that fits. A single word is never cut. Joined with
    spaces the pieces are the speakable text.
    """
    if limit_characters < 1:
        raise ValueError(f"a piece needs at least 1 character, got {limit_characters}")
    return [
        piece for sentence in split_sentences(text) for piece in _cut(sentence, limit_characters)
    ]


def shorten(text: str, limit_characters: int) -> str:
    """Cut off what makes a sentence longer than a limit.

    Of a longer one stays the first piece, as `split_long` cuts it, and its last mark.
    """
    kept = []
    for sentence in split_sentences(text):
        first = split_long(sentence, limit_characters)[0]
        kept.append(first if first == sentence else first.rstrip(" ,;:") + sentence[-1])
    return " ".join(kept)


def longest_sentence(text: str) -> int:
    """Count the characters of the longest sentence as the engine's characters frontend splits."""
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
