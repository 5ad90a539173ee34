"""Two conditions of any two studies: what became of level, peak and rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from listen2lab.compare.reproduced import interval_of_difference
from listen2lab.findings.conditions import contrast
from listen2lab.units import MIB
from listen2lab.verdict.intervals import welch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Change", "Pair", "compare_conditions"]


@dataclass(frozen=True)
class Change:
    """A quantity in A and in B.

    Attributes
    ----------
    a, b
        Means, MiB for levels and peaks, KiB a step for rates; None where there is none.
    each_a, each_b
        One number a process; empty for rates.
    difference, interval
        B less A, with its 95 % interval; None where there are too few processes.
    """

    a: float | None
    b: float | None
    each_a: tuple[float, ...] = ()
    each_b: tuple[float, ...] = ()
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Pair:
    """Condition A beside condition B.

    Attributes
    ----------
    a, b
        Their names, ``experiment / condition``.
    level, peak, rate
        Resident MiB at the end of a run; the most within a measured step; KiB a step.
    verdict_a, verdict_b
        What each is called by itself.
    outcome
        ``removed``, ``reduced``, ``unchanged``, ``worse`` or ``inconclusive``: what B did to A's
        leak where one of them leaks, else to A's level.
    about
        ``rate`` or ``level``: what the outcome is about.
    contrast
        As `listen2lab.findings.conditions.contrast` gives it, of ``A`` and ``B``; None where one of
        them has no complete run.
    """

    a: str
    b: str
    level: Change
    peak: Change
    rate: Change
    verdict_a: str
    verdict_b: str
    outcome: str
    about: str
    contrast: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def compare_conditions(
    names: tuple[str, str],
    samples: tuple[pd.DataFrame, pd.DataFrame],
    numbers: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Pair:
    """Compare two conditions.

    Parameters
    ----------
    names
        Of A and B.
    samples
        Samples of their complete plain runs.
    numbers
        What their studies' summaries say of them.

    Returns
    -------
    Pair
        Intervals of levels and peaks are Welch's, over processes.

    See Also
    --------
    listen2lab.verdict.contrast.judge_pair : decides the outcome where one of them leaks.
    """
    ends, peaks = zip(*(_ends_and_peaks(rows) for rows in samples), strict=True)
    rates = [each.get("rate_kib_per_step") for each in numbers]
    told = None
    if not any(rows.empty for rows in samples):
        both = [
            rows.assign(experiment="compared", condition=side)
            for rows, side in zip(samples, ("A", "B"), strict=True)
        ]
        verdicts = [str(each["verdict"]) for each in numbers]
        told = contrast(pd.concat(both, ignore_index=True), "compared", "A", "B", verdicts)
    return Pair(
        *names,
        level=_change(*ends),
        peak=_change(*peaks),
        rate=_rate(rates, [each.get("rate_interval") for each in numbers]),
        verdict_a=str(numbers[0]["verdict"]),
        verdict_b=str(numbers[1]["verdict"]),
        outcome=told["verdict"] if told else "inconclusive",
        about=told["about"] if told else "level",
        contrast=told,
    )


def _ends_and_peaks(samples: pd.DataFrame) -> tuple[list[float], list[float]]:
    end = samples.loc[samples["phase"] == "end", "rss"].dropna()
    peaks = samples[samples["phase"] == "step"].groupby("repeat")["peak"].max().dropna()
    return [float(x) for x in end], [float(x) for x in peaks]


def _change(a: Sequence[float], b: Sequence[float]) -> Change:
    """Return the change of a number of bytes, in MiB."""
    each_a, each_b = (tuple(round(x / MIB, 3) for x in side) for side in (a, b))
    if not a or not b:
        return Change(_mean(each_a), _mean(each_b), each_a, each_b)
    bounds = welch(b, a)
    interval = None if bounds is None else (bounds[0] / MIB, bounds[1] / MIB)
    difference = (sum(b) / len(b) - sum(a) / len(a)) / MIB
    return Change(_mean(each_a), _mean(each_b), each_a, each_b, difference, interval)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rate(rates: Sequence[float | None], intervals: Sequence[Any]) -> Change:
    a, b = rates
    if a is None or b is None:
        return Change(a, b)
    interval = interval_of_difference(a, intervals[0], b, intervals[1])
    return Change(a, b, difference=b - a, interval=interval)
