"""Two studies of one plan, point by point: which levels, rates and verdicts came out the same."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from listen2lab.units import MIB
from listen2lab.verdict.intervals import welch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SAME_SHARE", "Point", "Reproduction", "interval_of_difference", "reproduction"]

SAME_SHARE = 0.02
"""Levels and rates that differ by less than this share count as the same, whatever the processes'
own spread: it is what a rerun on the same machine is held to."""

SAME_RATE_KIB = 0.25
"""Rates that differ by less count as the same, too: growth below 256 bytes a step is not called a
leak, however sure it is."""


@dataclass(frozen=True)
class Point:
    """One number or verdict of a condition, in the study that was repeated and in the new one.

    Attributes
    ----------
    experiment, condition
        Of what.
    quantity
        ``level`` (MiB resident at the end), ``rate`` (KiB a step) or ``verdict``.
    before, now
        What the two studies say; None where one of them has no such number.
    difference, interval
        Now less before, with the 95 % interval of the difference; None where processes are too
        few for one.
    share
        The difference as a share of ``before``.
    is_within_interval
        Whether the interval holds zero; None without an interval.
    is_within_share
        Whether the difference is under `SAME_SHARE` (rates: or under `SAME_RATE_KIB`).
    is_reproduced
        A number that is within either; a verdict that is the same. A rate, too, where neither
        study found a leak: it is then what the shape of the curve left over, and no claim.
    """

    experiment: str
    condition: str
    quantity: Literal["level", "rate", "verdict"]
    before: float | str | None
    now: float | str | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    share: float | None = None
    is_within_interval: bool | None = None
    is_within_share: bool | None = None
    is_reproduced: bool = False


@dataclass(frozen=True)
class Reproduction:
    """What a repeated study has in common with the one before.

    Attributes
    ----------
    points
        Every level, rate and verdict that the study before had.
    """

    points: tuple[Point, ...]

    @property
    def is_reproduced(self) -> bool:
        """Whether there were points, and each came out the same."""
        return bool(self.points) and all(point.is_reproduced for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "reproduced": self.is_reproduced,
            "points": [asdict(point) for point in self.points],
        }


def reproduction(
    before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> Reproduction:
    """Compare the numbers of two studies of one plan.

    Parameters
    ----------
    before, now
        The ``experiments`` of their summaries (see `listen2lab.findings.summary.build_summary`).
        What the study before did not measure is no point.

    Returns
    -------
    Reproduction
        See there.

    Notes
    -----
    Levels: Welch's interval over processes. Rates: the interval of a difference from the two
    intervals (Zou, G. Y. and Donner, A. 2008, Statistics in Medicine 27, 1693-1702), because a
    summary holds no variance of a rate.
    """
    points: list[Point] = []
    for experiment, item in before.items():
        after = now.get(experiment, {}).get("conditions", {})
        for condition, numbers in item.get("conditions", {}).items():
            if not numbers.get("level_each_mib"):
                continue  # no run was complete: there is nothing to reproduce
            theirs = after.get(condition, {})
            where = (experiment, condition)
            points.append(_verdict(where, numbers, theirs))
            points.append(_level(where, numbers, theirs))
            if numbers.get("rate_kib_per_step") is not None:
                points.append(_rate(where, numbers, theirs))
    return Reproduction(tuple(points))


def _verdict(where: tuple[str, str], before: Mapping[str, Any], now: Mapping[str, Any]) -> Point:
    was, now_is = before.get("verdict"), now.get("verdict") if now.get("level_each_mib") else None
    return Point(*where, "verdict", was, now_is, is_reproduced=was == now_is)


def _level(where: tuple[str, str], before: Mapping[str, Any], now: Mapping[str, Any]) -> Point:
    was, after = before["level_each_mib"], now.get("level_each_mib")
    if not after:
        return Point(*where, "level", _mean(was), None)
    bounds = welch([x * MIB for x in after], [x * MIB for x in was])
    interval = None if bounds is None else (bounds[0] / MIB, bounds[1] / MIB)
    return _number(where, "level", _mean(was), _mean(after), interval)


def _rate(where: tuple[str, str], before: Mapping[str, Any], now: Mapping[str, Any]) -> Point:
    was, after = before["rate_kib_per_step"], now.get("rate_kib_per_step")
    if after is None:
        return Point(*where, "rate", was, None)
    point = _number(
        where, "rate", was, after,
        interval_of_difference(was, before.get("rate_interval"), after, now.get("rate_interval")),
        same=SAME_RATE_KIB,
    )  # fmt: skip
    no_leak = "leak" not in {before.get("verdict"), now.get("verdict")}
    return replace(point, is_reproduced=point.is_reproduced or no_leak)


def _number(  # noqa: PLR0917 - the six fields of a point, in its order
    where: tuple[str, str],
    quantity: Literal["level", "rate"],
    was: float,
    now: float,
    interval: tuple[float, float] | None,
    same: float = 0.0,
) -> Point:
    difference = now - was
    within_share = abs(difference) <= max(SAME_SHARE * abs(was), same)
    within_interval = None if interval is None else interval[0] <= 0 <= interval[1]
    return Point(
        *where,
        quantity,
        was,
        now,
        difference,
        interval,
        difference / was if was else None,
        within_interval,
        within_share,
        is_reproduced=within_share or bool(within_interval),
    )


def interval_of_difference(
    was: float, was_between: Any, now: float, now_between: Any
) -> tuple[float, float] | None:
    """Return the interval of ``now - was`` from those of both; None where one of them has none.

    Parameters
    ----------
    was, now
        Two independent estimates.
    was_between, now_between
        Their intervals.

    Notes
    -----
    Zou and Donner 2008, equation 7: the limits' distances from their estimates, added in squares.
    """
    if was_between is None or now_between is None:
        return None
    (low_b, high_b), (low_a, high_a) = was_between, now_between
    difference = now - was
    return (
        difference - math.hypot(now - low_a, high_b - was),
        difference + math.hypot(high_a - now, was - low_b),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
