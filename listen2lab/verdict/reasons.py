"""The closed list of codes that a verdict may carry; their sentences stand in `report.text`."""

from __future__ import annotations

from enum import Enum
from typing import Literal

__all__ = ["Reason", "VerdictName"]

VerdictName = Literal["leak", "high-water", "plateau", "baseline", "sawtooth", "inconclusive"]


class Reason(str, Enum):
    """Why a verdict is what it is, or with how much care to read it; equal to its code."""

    def __str__(self) -> str:
        return str(self.value)

    @property
    def withdraws(self) -> bool:
        """Whether, because of it, no verdict stands: it becomes ``inconclusive``."""
        return self in _WITHDRAW

    # -- why this verdict
    STEADY_GROWTH = "steady-growth"
    GROWS_WITH_INPUT = "grows-with-input"
    GROWS_IN_LUMPS = "grows-in-lumps"
    UNDER_TEETH = "under-teeth"
    FLAT = "flat"
    FOLLOWS_LARGEST_INPUT = "follows-largest-input"
    RISES_IN_STEPS = "rises-in-steps"
    SETTLES = "settles"
    FALLS = "falls"
    CLEARED_AGAIN = "cleared-again"
    FOLLOWS_NEW_SHAPES = "follows-new-shapes"
    NOT_WORTH_ACTING_ON = "not-worth-acting-on"
    # -- read with care
    EVERY_INPUT_NEW = "every-input-new"
    ONE_REPEAT = "one-repeat"
    REPEATS_ALIKE = "repeats-alike"
    THINNED = "thinned"
    FEW_STEPS = "few-steps"
    NEGATIVE_VALUES = "negative-values"
    REPEAT_EMPTY = "repeat-empty"
    SHORT_REPEAT = "short-repeat"
    KEPT_BY_ALLOCATOR = "kept-by-allocator"
    LIVE_BYTES_UNKNOWN = "live-bytes-unknown"
    GROWS_OUTSIDE = "grows-outside"
    ASKS_AHEAD = "asks-ahead"
    QUANTITIES_DISAGREE = "quantities-disagree"
    # -- no verdict
    NOTHING_MEASURED = "nothing-measured"
    TOO_FEW_STEPS = "too-few-steps"
    MANY_MISSING = "many-missing"
    GREY_ZONE = "grey-zone"
    GROWS_STEADILY = "grows-steadily"
    STILL_SLOWING = "still-slowing"
    UNEVEN_GROWTH = "uneven-growth"
    NOT_SETTLED = "not-settled"
    NOISE_FLOOR = "noise-floor"
    REPEATS_DISAGREE = "repeats-disagree"
    SWAPPED = "swapped"
    MEMORY_PRESSURE = "memory-pressure"
    SORTED_INPUTS = "sorted-inputs"
    CACHE_NEVER_FULL = "cache-never-full"


_WITHDRAW = frozenset(
    {
        Reason.NOTHING_MEASURED,
        Reason.TOO_FEW_STEPS,
        Reason.MANY_MISSING,
        Reason.GREY_ZONE,
        Reason.GROWS_STEADILY,
        Reason.STILL_SLOWING,
        Reason.UNEVEN_GROWTH,
        Reason.NOT_SETTLED,
        Reason.NOISE_FLOOR,
        Reason.REPEATS_DISAGREE,
        Reason.SWAPPED,
        Reason.MEMORY_PRESSURE,
        Reason.SORTED_INPUTS,
        Reason.CACHE_NEVER_FULL,
    }
)
