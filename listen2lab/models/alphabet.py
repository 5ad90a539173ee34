"""What the generated voice speaks: its characters, their tones, and how long each one lasts.

The voice, the recognizer that reads it, and the known times all follow from this one table, so
it imports nothing but the standard library.
"""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from typing import NamedTuple

__all__ = [
    "ALPHABET",
    "BLANK_FRAMES",
    "CHARACTER_FRAMES",
    "HEARD",
    "HOP",
    "SAMPLE_RATE",
    "TONES",
    "Interval",
    "heard",
    "known_samples",
    "known_timing",
    "known_words",
]

SAMPLE_RATE = 22050
HOP = 256

# Harmonics of SAMPLE_RATE / HOP: each frame holds whole periods, so frames join without a jump.
# They are more than a mel bin of the recognizer apart, and below its 8 kHz.
TONES = (*range(2, 39, 2), *range(41, 57, 3), *range(60, 73, 4), *range(76, 89, 4))
_GROUP = 11  # a third of TONES: each character has one tone of each third

# As in Piper's map: blank, begin and end of a sentence, space.
_CONTROL = "_^$"
_LETTERS = "etaoinshrdlucmfwygpbvkxqjz"
_QUIET = " ,.-'\";:!?()[]{}<>/\\|`~—…"
_LOUD = "0123456789" + "#%&*+=@" + "éèêëàáâäãåæçíìîïñóòôöõøœúùûüýÿßðþ" + "€£§°×±©"
HEARD = _LETTERS + _QUIET + _LOUD

# Other characters that sound as one of HEARD; the engine lets several share a token's number.
_SAME = {
    "'": "‘’ʼ′",
    '"': "“”„«»″",
    "—": "–―",
    "-": "‐‑−",
    " ": "\u00a0\u2009\u202f",
    "!": "¡",
    "?": "¿",
    ".": "·",
    "*": "•",
    "d": "đ",
    "h": "ħ",
    "i": "ı",
    "l": "ł",
    "n": "ŋ",
    "s": "ſ",
    "t": "ŧ",
}

# Mean durations in frames at speed 1. A duration is rounded up, so these are 5 and 2 frames; the
# odd fractions keep every usual speed away from a whole number, where rounding could go either way.
_CHARACTER_MEAN, _BLANK_MEAN = 4.618, 1.618
CHARACTER_FRAMES, BLANK_FRAMES = 5, 2
# Random durations stay at least this long: a recognizer with frames of 20 ms hears no shorter
# character, and no shorter gap between two equal ones.
_CHARACTER_LEAST, _BLANK_LEAST = 2.618, 1.618

_LOUD_AMPLITUDE = 0.2
# Quiet, and yet above the 0.01 below which the engine takes 0.2 s for a pause that it shortens.
_QUIET_AMPLITUDE = 0.04
_BLANK_AMPLITUDE = 0.002
_SENTENCE_ENDS = ".:?!"


class Symbol(NamedTuple):
    """One token of the voice: its duration in frames, and the amplitude of each of `TONES`."""

    mean_frames: float
    least_frames: float
    amplitudes: tuple[float, ...]


class Interval(NamedTuple):
    """A character or word, and when it sounds."""

    text: str
    start_s: float
    end_s: float


def _character_symbol(index: int, character: str) -> Symbol:
    # As in a Reed-Solomon code over the numbers modulo 11: no two characters share two tones,
    # so a linear layer can tell them apart.
    row, column = divmod(index, _GROUP)
    places = (column, column + row, 2 * column + row)
    sounding = {group * _GROUP + place % _GROUP for group, place in enumerate(places)}
    amplitude = _QUIET_AMPLITUDE if character in _QUIET else _LOUD_AMPLITUDE
    tones = tuple(amplitude if tone in sounding else 0.0 for tone in range(len(TONES)))
    return Symbol(_CHARACTER_MEAN, _CHARACTER_LEAST, tones)


_GAP = Symbol(_BLANK_MEAN, _BLANK_LEAST, (_BLANK_AMPLITUDE,) * len(TONES))
# Symbols by token number. The first three are gaps: they frame characters and are not heard.
SYMBOLS = (_GAP,) * len(_CONTROL) + tuple(_character_symbol(i, c) for i, c in enumerate(HEARD))


def _alphabet() -> dict[str, int]:
    number = {c: i for i, c in enumerate(_CONTROL + HEARD)}
    for character, others in _SAME.items():
        number.update((other, number[character]) for other in others)
    # Latin letters: capitals as small ones, further accents as the plain letter.
    for code in (*range(0x41, 0x5B), *range(0xC0, 0x180)):
        character = chr(code)
        small = character.lower()
        for like in (small, unicodedata.normalize("NFD", small)[0]):
            if like in number:
                number.setdefault(character, number[like])
                break
    return number


#: Character to token number: all that the voice can speak.
ALPHABET = _alphabet()


def heard(text: str) -> str:
    """Return what a recognizer without errors reads of the spoken text.

    Parameters
    ----------
    text
        What the voice is given.

    Returns
    -------
    str
        One character of `HEARD` for each that sounds: small letters, plain quotes, and nothing
        for characters that the voice does not know.
    """
    numbers = (ALPHABET.get(character, 0) for character in text)
    return "".join(HEARD[n - len(_CONTROL)] for n in numbers if n >= len(_CONTROL))


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
    """Return when each character sounds if durations are not random.

    Parameters
    ----------
    text
        What the engine is given, with ``noise_scale_w`` 0 and the characters frontend.
    speed
        The engine's speed.

    Returns
    -------
    list of Interval
        In the order of the text; characters that the voice does not know are left out.
    """
    spoken, _ = _timeline(text, speed)
    second = SAMPLE_RATE / HOP
    return [Interval(text[place], start / second, end / second) for place, start, end in spoken]


def known_words(text: str, speed: float = 1.0) -> list[Interval]:
    """Return when each word of ``text.split()`` sounds if durations are not random.

    Parameters
    ----------
    text, speed
        As for `known_timing`.

    Returns
    -------
    list of Interval
        From the onset of a word's first to the end of its last known character; a word without
        a known character is left out.
    """
    times = {place: (start, end) for place, start, end in _timeline(text, speed)[0]}
    second = SAMPLE_RATE / HOP
    words = []
    for word in re.finditer(r"\S+", text):
        inside = [times[place] for place in range(*word.span()) if place in times]
        if inside:
            words.append(Interval(word[0], inside[0][0] / second, inside[-1][1] / second))
    return words


def known_samples(text: str, speed: float = 1.0) -> int:
    """Return how many samples the engine makes of a text if durations are not random.

    Parameters
    ----------
    text, speed
        As for `known_timing`.
    """
    return _timeline(text, speed)[1] * HOP
