"""What an experiment of cures comes to: each with its price, and which to choose."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from listen2lab.privacy import ConditionName, ExperimentName, Public
from listen2lab.study.plan import KnobValue

__all__ = ["AudioDifference", "Cure", "CureLimit", "Cures", "PlanStep"]

AudioDifference: TypeAlias = Literal["identical", "cuts", "other", "unknown"]
"""Of the samples from the app's: the same bits; other only where a sentence was cut; other; or not
known, where noise was not 0 or no text was read in both."""


class Cure(msgspec.Struct, frozen=True, kw_only=True):
    """A condition with its worst memory and its mean price; what no run gave is None.

    Parameters
    ----------
    condition, knobs
        Its name, and what it changes in the app; empty: the app's own.
    complete, lost
        Runs.
    end_mib, peak_mib
        The highest of the repeats.
    cpu_per_s
        CPU seconds of the reading, synthesis and alignment, for a second of audio.
    cpu_ratio
        That beside the app's, of the same repeats: they read the same texts.
    load_s
        Until session and recognizer are there.
    first_sound_s
        That, and until the first paragraph's audio is there.
    audio
        How its samples differ from the app's.
    random_peak_mib, random_end_mib
        The same with the app's own, random durations.
    """

    condition: ConditionName
    knobs: dict[Public, KnobValue] = {}
    complete: int = 0
    lost: int = 0
    end_mib: float | None = None
    peak_mib: float | None = None
    cpu_per_s: float | None = None
    cpu_ratio: float | None = None
    load_s: float | None = None
    first_sound_s: float | None = None
    audio: AudioDifference = "unknown"
    random_peak_mib: float | None = None
    random_end_mib: float | None = None

    @property
    def is_verified(self) -> bool:
        """Whether several fresh processes agreed on it; one run is a screening."""
        return self.complete > 1 and not self.lost

    @property
    def worst_mib(self) -> float | None:
        """The highest peak of all runs, with fixed and with random durations."""
        known = [x for x in (self.peak_mib, self.random_peak_mib) if x is not None]
        return max(known, default=None)


class CureLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What stays under a limit, by places in `Cures.cures`.

    Parameters
    ----------
    name, mib
        The limit.
    already
        Whether the app's own condition is under it.
    under
        Verified cures whose peak is under it.
    same_audio
        The one of these with the least CPU among those that sound the same.
    cheapest
        The one of these with the least CPU.
    """

    name: Public
    mib: float
    already: bool = False
    under: tuple[int, ...] = ()
    same_audio: int | None = None
    cheapest: int | None = None


class PlanStep(msgspec.Struct, frozen=True):
    """A step of the plan for the fix: what to ``do``, how to go ``further``, what ``instead``.

    ``instead`` keeps the voice's file as it is. ``at`` is a place in `Cures.cures`.
    """

    kind: Literal["do", "further", "instead"]
    at: int


class Cures(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment of cures found.

    Parameters
    ----------
    experiment
        Its name.
    cures
        Every condition, the app's own first.
    limits
        What is under each.
    front
        Cures of which no other has less CPU and a lower peak, by CPU.
    plan
        What to do.
    """

    experiment: ExperimentName
    cures: tuple[Cure, ...] = ()
    limits: tuple[CureLimit, ...] = ()
    front: tuple[int, ...] = ()
    plan: tuple[PlanStep, ...] = ()
