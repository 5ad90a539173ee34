"""The closed list of what is particular to evidence from a phone, each with its sentence.

They stand beside the reasons of a verdict (`listen2lab.verdict.judge.Reason`), which say what
the series shows; these say what the evidence is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Caveat"]


class Caveat(str, Enum):
    """A code with its sentence; compares equal to its code."""

    sentence: str
    withdraws: bool

    def __new__(cls, code: str, sentence: str, withdraws: bool) -> Self:  # noqa: FBT001 - a table
        """Make a member from a row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        member.withdraws = withdraws
        return member

    def __str__(self) -> str:
        return str(self._value_)

    RESIDENT_SIZE = (
        "resident-size",
        (
            "Only resident size was logged; the kill limit counts the footprint. Freed pages may "
            "stay resident, and compressed ones leave it: the footprint decides."
        ),
        False,
    )
    COMPRESSED = (
        "compressed",
        (
            "A report shows more than a tenth of the footprint compressed or swapped: resident "
            "size says too little, so no verdict on it stands."
        ),
        True,
    )
    RESTARTED = (
        "restarted",
        (
            "The log holds several processes (the app was restarted, or two ran at once): the "
            "series is split there, and each part counts as a process of its own."
        ),
        False,
    )
    FEW_BREAKDOWNS = (
        "few-breakdowns",
        (
            "Fewer than 15 memory breakdowns: what the app cannot account for is not judged by "
            "itself, but through the memory logged with each paragraph."
        ),
        False,
    )
    OVERLAPPING = (
        "overlapping-syntheses",
        (
            "Several syntheses ran at once, so memory after one of them holds the others' working "
            "memory too."
        ),
        False,
    )
    NO_LENGTHS = (
        "no-audio-lengths",
        (
            "The log does not say how long the paragraphs are, so a level that follows the longest "
            "one is known by its shape only."
        ),
        False,
    )
    LINES_LOST = (
        "lines-lost",
        "More than one in fifty of the app's lines is damaged; paragraphs may be missing.",
        False,
    )
    TIME_BACKWARDS = (
        "time-backwards",
        "Times go backwards somewhere; the order of the lines was used.",
        False,
    )
    UNEVEN_TIMES = (
        "uneven-times",
        "The samples do not stand evenly in time; they were put on an even grid first.",
        False,
    )
