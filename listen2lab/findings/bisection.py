"""A bisection whose answers may be wrong: its odds, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from listen2lab.privacy import Public, VersionText
from listen2lab.verdict.reasons import VerdictName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.verdict.series import Array

__all__ = ["FALSE_ALARM", "MISS", "SURE", "Bisection", "Probe", "narrowed", "next_probe"]

FALSE_ALARM, MISS = 0.006, 0.1
"""How often a verdict calls a clean release a leak, and a leaking one something else: on series of
known kinds (`benchmarks/verdicts.py --held-back`), at most so often."""

SURE = 0.95
"""Probability of one release from which no other is asked."""


class Probe(msgspec.Struct, frozen=True):
    """One release that was watched: its verdict, and its rate in KiB a step."""

    version: VersionText
    verdict: VerdictName
    rate_kib_per_step: float | None = None


class Bisection(msgspec.Struct, frozen=True, kw_only=True):
    """What a bisection found.

    Parameters
    ----------
    versions, odds
        The releases after the good one, up to the bad one, and how probable it is of each that it
        was the first to leak.
    probes
        What was watched, in order.
    ended
        ``sure``, ``undecided`` (no release is as probable as `SURE`), ``good-leaks``,
        ``bad-does-not``.
    """

    package: Public
    versions: tuple[VersionText, ...]
    odds: tuple[float, ...]
    probes: tuple[Probe, ...]
    ended: Literal["sure", "undecided", "good-leaks", "bad-does-not"]
    false_alarm: float = FALSE_ALARM
    miss: float = MISS

    @property
    def first(self) -> str:
        """The most probable first release that leaks."""
        return self.versions[int(np.argmax(self.odds))]


def narrowed(odds: Array, at: int, *, is_leak: bool) -> Array:
    """Return how probable each release is as the first to leak, after one more was watched.

    By Bayes' rule: release `at` (0: the good one) leaks if the first one is not after it, and then
    is called a leak but for `MISS`; else it is called one with `FALSE_ALARM`.

    Examples
    --------
    >>> narrowed(np.full(4, 0.25), 2, is_leak=True).round(3).tolist()
    [0.497, 0.497, 0.003, 0.003]
    """
    leaks = np.arange(1, len(odds) + 1) <= at
    likely = np.where(leaks, 1 - MISS, FALSE_ALARM)
    after = odds * (likely if is_leak else 1 - likely)
    return np.asarray(after / after.sum())


def next_probe(odds: Array, without: Sequence[int] = ()) -> int | None:
    """Return the release whose verdict will tell most: before it, half of the odds; None for none.

    The last one would tell nothing: it leaks whichever was the first.
    """
    before = np.cumsum(odds)[:-1]  # that the first is release 1 .. at
    order = np.argsort(np.abs(before - 0.5), kind="stable") + 1
    return next((int(at) for at in order if at not in without), None)
