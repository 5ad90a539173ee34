"""Two studies of one plan, point by point: which ends, rates and verdicts came out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from listen2lab.comparison.comparison import interval_of_difference
from listen2lab.findings.records import ConditionNumbers, VerdictName, Where
from listen2lab.privacy import ConditionName, ExperimentName
from listen2lab.units import MIB
from listen2lab.verdict.intervals import welch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.records import ExperimentSummary

__all__ = ["SAME_SHARE", "Point", "points"]

SAME_SHARE = 0.02
"""Ends and rates that differ by less than this share count as the same, whatever the processes'
own spread: it is what a rerun on the same machine is held to."""

SAME_RATE_KIB = 0.25
"""Rates that differ by less count as the same, too: growth below 256 bytes a step is not called a
leak, however sure it is."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One number or verdict of a condition, in the study that was repeated and in the new one.

    Parameters
    ----------
    experiment, condition
        Of what.
    quantity
        ``end`` (MiB resident), ``rate`` (KiB a step) or ``verdict``.
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

    experiment: ExperimentName
    condition: ConditionName
    quantity: Literal["end", "rate", "verdict"]
    before: float | VerdictName | None
    now: float | VerdictName | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    share: float | None = None
    is_within_interval: bool | None = None
    is_within_share: bool | None = None
    is_reproduced: bool = False


def points(
    before: Mapping[str, ExperimentSummary], now: Mapping[str, ExperimentSummary]
) -> tuple[Point, ...]:
    """Compare the numbers of two studies of one plan.

    Parameters
    ----------
    before, now
        The ``experiments`` of their summaries. What the study before did not measure is no point.

    Returns
    -------
    tuple of Point
        Every verdict, end and rate that the study before had.

    Notes
    -----
    Ends: Welch's interval over processes. Rates: the interval of a difference from the two
    intervals (see `listen2lab.comparison.comparison.interval_of_difference`), because a summary
    holds no variance of a rate.
    """
    found: list[Point] = []
    for experiment, item in before.items():
        after = now[experiment].conditions if experiment in now else {}
        for condition, numbers in item.conditions.items():
            if not numbers.end_each_mib:
                continue  # no run was complete: there is nothing to reproduce
            where = Where(experiment, condition)
            theirs = after.get(condition, ConditionNumbers(verdict="inconclusive"))
            found.append(_verdict(where, numbers, theirs))
            found.append(_end(where, numbers, theirs))
            if numbers.rate_kib_per_step is not None:
                found.append(_rate(where, numbers, theirs))
    return tuple(found)


def _verdict(where: Where, before: ConditionNumbers, now: ConditionNumbers) -> Point:
    is_now = now.verdict if now.end_each_mib else None
    return Point(
        experiment=where.experiment, condition=where.condition, quantity="verdict",
        before=before.verdict, now=is_now,
        is_reproduced=before.verdict == is_now,
    )  # fmt: skip


def _end(where: Where, before: ConditionNumbers, now: ConditionNumbers) -> Point:
    was, after = before.end_each_mib, now.end_each_mib
    if not after:
        return Point(
            experiment=where.experiment,
            condition=where.condition,
            quantity="end",
            before=_mean(was),
            now=None,
        )
    bounds = welch([x * MIB for x in after], [x * MIB for x in was])
    interval = None if bounds is None else (bounds[0] / MIB, bounds[1] / MIB)
    return _number(where, "end", _mean(was), _mean(after), interval)


def _rate(where: Where, before: ConditionNumbers, now: ConditionNumbers) -> Point:
    was, after = before.rate_kib_per_step, now.rate_kib_per_step
    assert was is not None
    if after is None:
        return Point(
            experiment=where.experiment,
            condition=where.condition,
            quantity="rate",
            before=was,
            now=None,
        )
    bounds = before.rate_interval_kib_per_step, now.rate_interval_kib_per_step
    interval = interval_of_difference(was, bounds[0], after, bounds[1])
    point = _number(where, "rate", was, after, interval, same=SAME_RATE_KIB)
    no_leak = "leak" not in {before.verdict, now.verdict}
    return msgspec.structs.replace(point, is_reproduced=point.is_reproduced or no_leak)


def _number(
    where: Where,
    quantity: Literal["end", "rate"],
    was: float,
    now: float,
    interval: tuple[float, float] | None,
    *,
    same: float = 0.0,
) -> Point:
    difference = now - was
    within_share = abs(difference) <= max(SAME_SHARE * abs(was), same)
    within_interval = None if interval is None else interval[0] <= 0 <= interval[1]
    return Point(
        experiment=where.experiment,
        condition=where.condition,
        quantity=quantity,
        before=was,
        now=now,
        difference=difference,
        interval=interval,
        share=difference / was if was else None,
        is_within_interval=within_interval,
        is_within_share=within_share,
        is_reproduced=within_share or bool(within_interval),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
