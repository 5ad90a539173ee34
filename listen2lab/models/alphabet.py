"""What the generated voice speaks: its characters, their tones, and how long each one lasts.

The voice and the recognizer that reads it both follow from this one table.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

__all__ = [
    "ALPHABET", "BLANK_FRAMES", "CHARACTER_FRAMES", "HEARD", "HOP", "SAMPLE_RATE", "SYMBOLS",
    "TONES", "Symbol",
]  # fmt: skip

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
    "'": "‘’ʼ′", '"': "“”„«»″", "—": "–―", "-": "‐‑−", " ": "\u00a0\u2009\u202f", "!": "¡",
    "?": "¿", ".": "·", "*": "•", "d": "đ", "h": "ħ", "i": "ı", "l": "ł", "n": "ŋ", "s": "ſ",
    "t": "ŧ",
}  # fmt: skip

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


class Symbol(NamedTuple):
    """One token of the voice: its duration in frames, and the amplitude of each of `TONES`."""

    mean_frames: float
    least_frames: float
    amplitudes: tuple[float, ...]


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
