"""When each character of a generated voice sounds, by its durations: what tests compare with."""

from __future__ import annotations

import math
import re
import struct
from typing import NamedTuple

from listen2lab.models.alphabet import ALPHABET, HEARD, HOP, SAMPLE_RATE, SYMBOLS

_FIRST_HEARD = len(SYMBOLS) - len(HEARD)
_SENTENCE_ENDS = ".:?!"


class Interval(NamedTuple):
    """A character or word, and when it sounds."""

    text: str
    start_s: float
    end_s: float


def heard(text):
    """Return what a recognizer without errors reads of the spoken text."""
    numbers = (ALPHABET.get(character, 0) for character in text)
    return "".join(HEARD[n - _FIRST_HEARD] for n in numbers if n >= _FIRST_HEARD)


def _frames(number: int, speed: float) -> int:
    # float32, as the engine and the graph compute it
    scale = _float32(1.0 / speed)
    return math.ceil(_float32(_float32(SYMBOLS[number].mean_frames) * scale))


def _float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _timeline(text: str, speed: float) -> tuple[list[tuple[int, int, int]], int]:
    """Return (place in the text, first frame, end frame) of each character, and all frames.

    The engine's characters frontend ends a sentence after each of ``.:?!``, begins each with
    a blank, puts a blank after each character, and skips characters it does not know.
    """
    gap = _frames(0, speed)
    spoken: list[tuple[int, int, int]] = []
    now, is_open = 0, False
    for place, character in enumerate(text):
        number = ALPHABET.get(character)
        if number is None:
            continue
        now += 0 if is_open else gap
        end = now + _frames(number, speed)
        spoken.append((place, now, end))
        now, is_open = end + gap, character not in _SENTENCE_ENDS
    return spoken, now


def known_timing(text: str, speed: float = 1.0) -> list[Interval]:
    """Return when each character sounds if durations are not random."""
    spoken, _ = _timeline(text, speed)
    second = SAMPLE_RATE / HOP
    return [Interval(text[place], start / second, end / second) for place, start, end in spoken]


def known_words(text: str, speed: float = 1.0) -> list[Interval]:
    """Return when each word of ``text.split()`` sounds if durations are not random."""
    times = {place: (start, end) for place, start, end in _timeline(text, speed)[0]}
    second = SAMPLE_RATE / HOP
    words = []
    for word in re.finditer(r"\S+", text):
        inside = [times[place] for place in range(*word.span()) if place in times]
        if inside:
            words.append(Interval(word[0], inside[0][0] / second, inside[-1][1] / second))
    return words


def known_samples(text: str, speed: float = 1.0) -> int:
    """Return how many samples the engine makes of a text if durations are not random."""
    return _timeline(text, speed)[1] * HOP
