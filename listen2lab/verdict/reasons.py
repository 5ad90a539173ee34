"""The closed list of codes that a verdict may carry, each with its sentence.

A code *withdraws* when, because of it, no verdict stands: it becomes `inconclusive`. The others
explain a verdict, or say with how much care to read it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Reason"]


class Reason(str, Enum):
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

    @classmethod
    def of(cls, code: str) -> Reason:
        """Return the member with this code."""
        return next(r for r in cls if str(r) == code)

    def __str__(self) -> str:
        return str(self._value_)

    # -- why this verdict
    STEADY_GROWTH = (
        "steady-growth",
        "Memory grows at the same pace in every part of the run and in every repeat.",
        False,
    )
    GROWS_WITH_INPUT = (
        "grows-with-input",
        "The growth follows the amount of input more closely than the number of steps.",
        False,
    )
    GROWS_IN_LUMPS = (
        "grows-in-lumps",
        "The growth comes in lumps spread evenly over the run.",
        False,
    )
    UNDER_TEETH = (
        "under-teeth",
        "Memory is cleared again and again, but to an ever higher level.",
        False,
    )
    FLAT = ("flat", "No growth, and no rise beyond the noise.", False)
    FOLLOWS_LARGEST_INPUT = (
        "follows-largest-input",
        "The level follows the largest input so far, and stays there.",
        False,
    )
    RISES_IN_STEPS = (
        "rises-in-steps",
        "The level rises in a few steps and is flat between.",
        False,
    )
    SETTLES = ("settles", "Memory rises at first and settles well before the run's end.", False)
    FALLS = ("falls", "Memory falls over the run.", False)
    CLEARED_AGAIN = (
        "cleared-again",
        "Memory is cleared again and again, to the same level.",
        False,
    )
    FOLLOWS_NEW_SHAPES = (
        "follows-new-shapes",
        "The level follows the number of distinct input shapes, as a cache for each shape does.",
        False,
    )
    NOT_WORTH_ACTING_ON = (
        "not-worth-acting-on",
        "There is growth, but less than the smallest rate worth acting on.",
        False,
    )
    # -- read with care
    EVERY_INPUT_NEW = (
        "every-input-new",
        (
            "Every step had an input shape not seen before: growth for each new shape cannot be "
            "told from growth for each step; run again over the same inputs twice."
        ),
        False,
    )
    ONE_REPEAT = (
        "one-repeat",
        "One repeat only: a drift of this one process cannot be told from the workload's.",
        False,
    )
    REPEATS_ALIKE = (
        "repeats-alike",
        "The repeats are near copies of each other and count as fewer than they are.",
        False,
    )
    THINNED = ("thinned", "Neighbouring steps of this long run were averaged.", False)
    FEW_STEPS = ("few-steps", "Fewer than 50 steps or 5 repeats: not yet a firm verdict.", False)
    NEGATIVE_VALUES = (
        "negative-values",
        "There are values below zero; they were taken as differences from a baseline.",
        False,
    )
    REPEAT_EMPTY = ("repeat-empty", "A repeat without any sample was left out.", False)
    SHORT_REPEAT = ("short-repeat", "A repeat with fewer than 8 samples was left out.", False)
    KEPT_BY_ALLOCATOR = (
        "kept-by-allocator",
        "Live bytes are flat: what grows are pages that the allocator keeps or had reserved.",
        False,
    )
    QUANTITIES_DISAGREE = (
        "quantities-disagree",
        "The measured quantities do not agree on whether memory grows.",
        False,
    )
    # -- no verdict
    NOTHING_MEASURED = (
        "nothing-measured",
        "No step did any work that was measured: there is nothing to judge.",
        True,
    )
    TOO_FEW_STEPS = (
        "too-few-steps",
        "Fewer than 15 steps: every shape fits so few; run at least 50.",
        True,
    )
    MANY_MISSING = ("many-missing", "More than 30 % of the samples are missing.", True)
    GREY_ZONE = (
        "grey-zone",
        "Growth is about as likely as none; more steps or repeats will decide.",
        True,
    )
    STILL_SLOWING = (
        "still-slowing",
        (
            "Memory still rises at the end, but ever more slowly: a leak cannot be told from a "
            "level not yet reached; run longer."
        ),
        True,
    )
    UNEVEN_GROWTH = (
        "uneven-growth",
        (
            "Late in the run some repeats did not grow: steps that become rarer, as a high-water "
            "mark's do, cannot be told from a leak; give the input sizes, or run longer."
        ),
        True,
    )
    NOT_SETTLED = (
        "not-settled",
        "A rise late in the run leaves too little of it to show that it has ended; run longer.",
        True,
    )
    NOISE_FLOOR = (
        "noise-floor",
        "The noise could hide a leak worth acting on; more steps or repeats will show it.",
        True,
    )
    REPEATS_DISAGREE = (
        "repeats-disagree",
        "One repeat behaves unlike the others; look at it before believing any of them.",
        True,
    )
    SWAPPED = ("swapped", "Pages were swapped out, so resident memory says too little.", True)
    MEMORY_PRESSURE = (
        "memory-pressure",
        "The system was short of memory, which takes pages away from a process.",
        True,
    )
    SORTED_INPUTS = (
        "sorted-inputs",
        "The inputs grow along the run, so a high-water mark looks like a leak; shuffle them.",
        True,
    )
    CACHE_NEVER_FULL = (
        "cache-never-full",
        "A bounded cache had not filled up by the end; run past its capacity.",
        True,
    )
    TRACED = (
        "traced",
        "The run was traced, and the tracer's own memory is in the numbers; judge a plain run.",
        True,
    )
