"""Two studies of one plan, point by point: which ends, rates and verdicts came out the same."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from listen2lab.comparison.comparison import interval_of_difference
from listen2lab.findings.records import ConditionNumbers, VerdictName, Where
from listen2lab.privacy import ConditionName, ExperimentName
from listen2lab.units import MIB
from listen2lab.verdict.intervals import welch

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Return every verdict, end and rate that the study before had, beside that of the new one.

    Both are the ``experiments`` of a summary. Intervals of ends are Welch's over processes; those
    of rates come from the two intervals, because a summary holds no variance of a rate.
    """
    found: list[Point] = []
    for experiment, item in before.items():
        after = now[experiment].conditions if experiment in now else {}
        for condition, was in item.conditions.items():
            if not was.end_each_mib:
                continue  # no run was complete: there is nothing to reproduce
            is_now = after.get(condition, ConditionNumbers(verdict="inconclusive"))
            where = Where(experiment, condition)._asdict()
            verdict = is_now.verdict if is_now.end_each_mib else None
            found += [
                Point(
                    **where, quantity="verdict", before=was.verdict, now=verdict,
                    is_reproduced=was.verdict == verdict,
                ),
                Point(**where, quantity="end", **_end(was, is_now)),
            ]  # fmt: skip
            if was.rate_kib_per_step is not None:
                found.append(Point(**where, quantity="rate", **_rate(was, is_now)))
    return tuple(found)


def _end(before: ConditionNumbers, now: ConditionNumbers) -> dict[str, Any]:
    was, after = before.end_each_mib, now.end_each_mib
    if not after:
        return {"before": fmean(was), "now": None}
    bounds = welch([x * MIB for x in after], [x * MIB for x in was])
    interval = None if bounds is None else (bounds[0] / MIB, bounds[1] / MIB)
    return _number(fmean(was), fmean(after), interval)


def _rate(before: ConditionNumbers, now: ConditionNumbers) -> dict[str, Any]:
    was, after = before.rate_kib_per_step, now.rate_kib_per_step
    if was is None or after is None:
        return {"before": was, "now": after}
    bounds = before.rate_interval_kib_per_step, now.rate_interval_kib_per_step
    interval = interval_of_difference(was, bounds[0], after, bounds[1])
    point = _number(was, after, interval, same=SAME_RATE_KIB)
    no_leak = "leak" not in {before.verdict, now.verdict}
    return {**point, "is_reproduced": point["is_reproduced"] or no_leak}


def _number(
    was: float, now: float, interval: tuple[float, float] | None, *, same: float = 0.0
) -> dict[str, Any]:
    """Return a number's fields of `Point`."""
    difference = now - was
    within_share = abs(difference) <= max(SAME_SHARE * abs(was), same)
    within_interval = None if interval is None else interval[0] <= 0 <= interval[1]
    return {
        "before": was,
        "now": now,
        "difference": difference,
        "interval": interval,
        "share": difference / was if was else None,
        "is_within_interval": within_interval,
        "is_within_share": within_share,
        "is_reproduced": within_share or bool(within_interval),
    }
