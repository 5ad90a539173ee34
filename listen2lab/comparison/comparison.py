"""Compare two studies, or two conditions: differences with intervals, and what else differs."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pandas as pd

from listen2lab.comparison.differences import Difference, differences
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.findings.conditions import contrast
from listen2lab.findings.records import ConditionContrast, VerdictName, Where
from listen2lab.findings.summary import summary_of
from listen2lab.notice import Notice
from listen2lab.privacy import ExperimentName
from listen2lab.study.data import StudyData, open_study
from listen2lab.units import MIB
from listen2lab.verdict.intervals import welch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.findings.records import ConditionNumbers
    from listen2lab.notice import Value
    from listen2lab.study.records import Manifest

__all__ = ["Change", "Comparison", "Pair", "Side", "compare", "interval_of_difference", "side"]

_FEWEST_REPEATS = 3  # of which one can see that they agree


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity in A and in B: MiB for memory, KiB a step for rates.

    Parameters
    ----------
    a, b
        Means; None where there is none.
    each_a, each_b
        One number a process; empty for rates.
    difference, interval
        B less A, with its 95 % interval; None where there are too few processes.
    """

    a: float | None = None
    b: float | None = None
    each_a: tuple[float, ...] = ()
    each_b: tuple[float, ...] = ()
    difference: float | None = None
    interval: tuple[float, float] | None = None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Condition A beside condition B.

    Parameters
    ----------
    a, b
        Which.
    end, peak, rate
        Resident at the end of a run; the most within a measured step; growth of anonymous memory.
    verdict_a, verdict_b
        What each is called by itself.
    contrast
        What B did to A's leak where one of them leaks, else to A's memory at the end; None where
        one of them has no complete run.
    """

    a: Where
    b: Where
    end: Change
    peak: Change
    rate: Change
    verdict_a: VerdictName
    verdict_b: VerdictName
    contrast: ConditionContrast | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Study or condition A beside B.

    Parameters
    ----------
    a, b
        Names: of the folder, and of the experiment and condition where these were chosen.
    caveats
        What must be known before the numbers: ``other-machine``, ``other-version``,
        ``other-input``, ``other-setting`` (its facts are in `differences`), ``few-repeats``
        (``conditions``), and what was left out of the studies.
    pairs
        Each condition that both have.
    only_a, only_b
        Conditions that the other does not have.
    differences
        What differs between the manifests.
    """

    a: ExperimentName
    b: ExperimentName
    caveats: tuple[Notice, ...]
    pairs: tuple[Pair, ...]
    only_a: tuple[Where, ...] = ()
    only_b: tuple[Where, ...] = ()
    differences: tuple[Difference, ...] = ()


def compare(a: Side | StudyData | Path | str, b: Side | StudyData | Path | str) -> Comparison:
    """Compare two studies, or two conditions of one study or of two (`listen2lab.api.compare`).

    Each is a study, its folder, or ``FOLDER:experiment`` or ``FOLDER:experiment/condition``. Where
    only one of them names an experiment or condition, the other's of the same name is taken; where
    each holds one condition, these are compared, whatever they are called.
    """
    one, other = side(a), side(b)
    one, other = _narrowed(one, other), _narrowed(other, one)
    if one.label == other.label and one.study.folder.path.samefile(other.study.folder.path):
        raise InputError(
            f"{one.label} would be compared with itself; name two conditions of it, as in "
            "STUDY:experiment/condition"
        )
    ours, theirs = one.conditions(), other.conditions()
    if len(ours) == len(theirs) == 1:
        ours, theirs = ({("", ""): next(iter(each.values()))} for each in (ours, theirs))
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise InputError(
            f"{one.label} and {other.label} have no condition in common; they have "
            f"{', '.join(map(str, ours.values()))} and {', '.join(map(str, theirs.values()))}; "
            "name one of each, as in STUDY:experiment/condition"
        )
    differ = tuple(differences(one.manifest(), other.manifest()))
    pairs = tuple(_pair(one, ours[key], other, theirs[key]) for key in shared)
    return Comparison(
        a=one.label,
        b=other.label,
        caveats=tuple(_caveats(one, other, differ, pairs)),
        pairs=pairs,
        only_a=tuple(ours[key] for key in ours if key not in theirs),
        only_b=tuple(theirs[key] for key in theirs if key not in ours),
        differences=differ,
    )


class Side(NamedTuple):
    """A study, an experiment of it, or a condition of that."""

    study: StudyData
    experiment: str | None = None
    condition: str | None = None

    @property
    def label(self) -> str:
        """What it is called: the folder, and what of it was chosen."""
        chosen = "/".join(name for name in (self.experiment, self.condition) if name)
        folder = self.study.folder.path.resolve().name
        return f"{folder}:{chosen}" if chosen else folder

    def conditions(self) -> dict[tuple[str, str], Where]:
        """Return what is chosen, by what it is matched with."""
        # What was chosen by name is matched with what the other side chose by another name.
        return {
            ("" if self.experiment else item.name, "" if self.condition else level.name): Where(
                item.name, level.name
            )
            for item in self.study.plan.experiments
            for level in item.levels
            if self.experiment in (None, item.name) and self.condition in (None, level.name)
        }

    def manifest(self) -> Manifest:
        """Return the manifest of what is chosen: in a merged study, that of its part."""
        manifest = self.study.manifest
        merged = manifest.merged
        if merged is None or self.experiment not in merged.experiments:
            return manifest
        part = merged.parts[merged.experiments[self.experiment][0]]
        own = {name: getattr(part, name) for name in ("created", "inputs", "setup", "machines")}
        return msgspec.structs.replace(manifest, **own)

    def numbers(self, where: Where) -> ConditionNumbers:
        """Return what a condition came to."""
        return summary_of(self.study).experiments[where.experiment].conditions[where.condition]

    def samples(self, where: Where) -> pd.DataFrame:
        """Return the samples of a condition's complete plain runs."""
        return self.study.complete_of(*where)


def side(given: Side | StudyData | Path | str) -> Side:
    """Return what is compared, opened."""
    if isinstance(given, Side):
        return given
    if isinstance(given, StudyData):
        return Side(given)
    path, colon, chosen = str(given).rpartition(":")
    if not colon or Path(given).exists():
        return Side(open_study(given))
    experiment, _, condition = chosen.partition("/")
    return _chosen(open_study(path), experiment, condition or None)


def _chosen(study: StudyData, experiment: str, condition: str | None) -> Side:
    items = {item.name: item for item in study.plan.experiments}
    if experiment not in items:
        raise UnknownNameError(f"experiment of {study.folder.path}", experiment, items)
    levels = [level.name for level in items[experiment].levels]
    if condition is not None and condition not in levels:
        raise UnknownNameError(f"condition of {experiment}", condition, levels)
    return Side(study, experiment, condition)


def _narrowed(side: Side, other: Side) -> Side:
    """Choose what the other side chose, where this one left it open."""
    if other.experiment is None:
        return side
    experiment = side.experiment or other.experiment
    return _chosen(side.study, experiment, side.condition or other.condition)


def _pair(one: Side, ours: Where, other: Side, theirs: Where) -> Pair:
    samples = one.samples(ours), other.samples(theirs)
    numbers = one.numbers(ours), other.numbers(theirs)
    ends = (rows.loc[rows["phase"] == "end", "rss"] for rows in samples)
    steps = (rows[rows["phase"] == "step"] for rows in samples)
    peaks = (rows.groupby("repeat")["peak"].max() for rows in steps)
    found = None
    if not any(rows.empty for rows in samples):
        both = [
            rows.assign(experiment="compared", condition=side)
            for rows, side in zip(samples, "AB", strict=True)
        ]
        verdicts = [each.verdict for each in numbers]
        found = contrast(pd.concat(both, ignore_index=True), "compared", "A", "B", verdicts)
    return Pair(
        a=ours,
        b=theirs,
        end=_change(*(each.dropna().tolist() for each in ends)),
        peak=_change(*(each.dropna().tolist() for each in peaks)),
        rate=_rate(*numbers),
        verdict_a=numbers[0].verdict,
        verdict_b=numbers[1].verdict,
        contrast=found,
    )


def _change(a: Sequence[float], b: Sequence[float]) -> Change:
    """Return the change of a number of bytes, in MiB."""
    each_a, each_b = (tuple(round(x / MIB, 3) for x in side) for side in (a, b))
    bounds = welch(b, a) if a and b else None
    return Change(
        a=fmean(each_a) if each_a else None,
        b=fmean(each_b) if each_b else None,
        each_a=each_a,
        each_b=each_b,
        difference=(fmean(b) - fmean(a)) / MIB if a and b else None,
        interval=None if bounds is None else (bounds[0] / MIB, bounds[1] / MIB),
    )


def _rate(ours: ConditionNumbers, theirs: ConditionNumbers) -> Change:
    a, b = ours.rate_kib_per_step, theirs.rate_kib_per_step
    if a is None or b is None:
        return Change(a=a, b=b)
    bounds = ours.rate_interval_kib_per_step, theirs.rate_interval_kib_per_step
    interval = interval_of_difference(a, bounds[0], b, bounds[1])
    return Change(a=a, b=b, difference=b - a, interval=interval)


def interval_of_difference(
    was: float, was_between: Any, now: float, now_between: Any
) -> tuple[float, float] | None:
    """Return the interval of ``now - was`` from those of both; None where one of them has none.

    Of two independent estimates: Zou, G. Y. and Donner, A. 2008, Statistics in Medicine 27,
    1693-1702, equation 7: the limits' distances from their estimates, added in squares.
    """
    if was_between is None or now_between is None:
        return None
    (low_b, high_b), (low_a, high_a) = was_between, now_between
    difference = now - was
    return (
        difference - math.hypot(now - low_a, high_b - was),
        difference + math.hypot(high_a - now, was - low_b),
    )


def _caveats(
    one: Side, other: Side, differ: tuple[Difference, ...], pairs: tuple[Pair, ...]
) -> list[Notice]:
    """Return what must be known before the numbers."""
    kinds = {each.about for each in differ}
    order = ("machine", "version", "input", "setting")
    found = [Notice(f"other-{kind}") for kind in order if kind in kinds]
    few = {
        str(where)
        for pair in pairs
        for where, each in ((pair.a, pair.end.each_a), (pair.b, pair.end.each_b))
        if len(each) < _FEWEST_REPEATS
    }
    if few:
        values: dict[str, Value] = {"needed": _FEWEST_REPEATS, "conditions": [*sorted(few)]}
        found.append(Notice("few-repeats", values))
    return [*found, *dict.fromkeys([*one.study.damage, *other.study.damage])]
