"""Compare two studies, or two conditions: differences with intervals, and what else differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.compare.conditions import Pair, compare_conditions
from listen2lab.compare.differences import Difference, differences
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.facade import Study
from listen2lab.findings.conditions import complete_samples

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Comparison", "compare"]

_FEWEST_REPEATS = 3


@dataclass(frozen=True, repr=False)
class Comparison:
    """Study or condition A beside B.

    Attributes
    ----------
    a, b
        Names: of the folder, and of the experiment and condition where these were chosen.
    caveats
        What must be known before the numbers: other machines or versions, few repeats, runs that
        were left out.
    pairs
        Each condition that both have.
    only_a, only_b
        Conditions that the other does not have.
    differences
        What differs between the manifests.
    """

    a: str
    b: str
    caveats: tuple[str, ...]
    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, as ``compare --json`` prints them."""
        return {
            "a": self.a,
            "b": self.b,
            "caveats": list(self.caveats),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "differences": [each._asdict() for each in self.differences],
        }

    def plot(self) -> Figure:
        """Plot levels of both, one mark a process, and the differences with their intervals."""
        from listen2lab.report.comparison import plot_comparison  # noqa: PLC0415 - matplotlib

        return plot_comparison(self)

    def write(self, path: Path | str) -> Path:
        """Write a picture (``.svg``, ``.png``) or a page with words and numbers (``.html``).

        Raises
        ------
        InputError
            The name ends in something else, or the file cannot be written.
        """
        from listen2lab.report.comparison import write_comparison  # noqa: PLC0415 - matplotlib

        return write_comparison(self, Path(path))

    def __repr__(self) -> str:
        from listen2lab.report.comparison import comparison_words  # noqa: PLC0415 - matplotlib

        return comparison_words(self)


@dataclass(frozen=True)
class _Side:
    """A study, an experiment of it, or a condition of that."""

    study: Study
    experiment: str | None = None
    condition: str | None = None

    @property
    def label(self) -> str:
        chosen = "/".join(name for name in (self.experiment, self.condition) if name)
        folder = self.study.folder.path.resolve().name
        return f"{folder}:{chosen}" if chosen else folder

    def conditions(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Return what is chosen: experiment and condition, by what they are matched with."""
        names = [
            (item.name, level.name)
            for item in self.study.plan.experiments
            for level in item.levels
            if self.experiment in (None, item.name) and self.condition in (None, level.name)
        ]
        # What was chosen by name is matched with what the other side chose by another name.
        return {
            ("" if self.experiment else name, "" if self.condition else level): (name, level)
            for name, level in names
        }

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of what is chosen: in a merged study, that of its part."""
        manifest = self.study.manifest
        merged = manifest.get("merged")
        if merged is None or self.experiment not in merged["experiments"]:
            return manifest
        part = merged["parts"][merged["experiments"][self.experiment][0]]
        return {**manifest, "machines": {}, **part}


def compare(a: Study | Path | str, b: Study | Path | str) -> Comparison:
    """Compare two studies, or two conditions of one study or of two.

    Parameters
    ----------
    a, b
        A study, its folder, or ``FOLDER:experiment`` or ``FOLDER:experiment/condition``. Where only
        one of them names an experiment or condition, the other's of the same name is taken.

    Returns
    -------
    Comparison
        Differences are B less A.

    Raises
    ------
    StudyError
        One of them cannot be read.
    InputError
        They have no condition in common, or are the same.
    """
    one, other = _side(a), _side(b)
    one, other = _narrowed(one, other), _narrowed(other, one)
    if one.label == other.label and one.study.folder.path.samefile(other.study.folder.path):
        raise InputError(
            f"{one.label} would be compared with itself; name two conditions of it, as in "
            "STUDY:experiment/condition"
        )
    ours, theirs = one.conditions(), other.conditions()
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise InputError(
            f"{one.label} and {other.label} have no condition in common; they have "
            f"{_names(ours)} and {_names(theirs)}; name one of each, as in "
            "STUDY:experiment/condition"
        )
    usable = [complete_samples(side.study.runs, side.study.samples) for side in (one, other)]
    pairs = tuple(_pair(one, other, usable, ours[key], theirs[key]) for key in shared)
    differ = tuple(differences(one.manifest(), other.manifest()))
    return Comparison(
        one.label,
        other.label,
        tuple(_caveats(one, other, differ, pairs)),
        pairs,
        tuple(_named(ours[key]) for key in ours if key not in theirs),
        tuple(_named(theirs[key]) for key in theirs if key not in ours),
        differ,
    )


def _side(given: Study | Path | str) -> _Side:
    if isinstance(given, Study):
        return _Side(given)
    path, colon, chosen = str(given).rpartition(":")
    if not colon or Path(given).exists():
        return _Side(Study(given))
    study = Study(path)
    experiment, _, condition = chosen.partition("/")
    return _chosen(study, experiment, condition or None)


def _chosen(study: Study, experiment: str, condition: str | None) -> _Side:
    items = {item.name: item for item in study.plan.experiments}
    if experiment not in items:
        raise UnknownNameError(f"experiment of {study.folder.path}", experiment, items)
    levels = [level.name for level in items[experiment].levels]
    if condition is not None and condition not in levels:
        raise UnknownNameError(f"condition of {experiment}", condition, levels)
    return _Side(study, experiment, condition)


def _narrowed(side: _Side, other: _Side) -> _Side:
    """Choose what the other side chose, where this one left it open."""
    if other.experiment is None:
        return side
    chosen = side if side.experiment else _chosen(side.study, other.experiment, None)
    if other.condition is None or chosen.condition:
        return chosen
    assert chosen.experiment is not None
    return _chosen(side.study, chosen.experiment, other.condition)


def _pair(
    one: _Side,
    other: _Side,
    usable: list[pd.DataFrame],
    ours: tuple[str, str],
    theirs: tuple[str, str],
) -> Pair:
    numbers = [
        side.study.summary()["experiments"][name]["conditions"][condition]
        for side, (name, condition) in ((one, ours), (other, theirs))
    ]
    rows = [
        frame[(frame["experiment"] == name) & (frame["condition"] == condition)]
        for frame, (name, condition) in zip(usable, (ours, theirs), strict=True)
    ]
    return compare_conditions(
        (_named(ours), _named(theirs)), (rows[0], rows[1]), (numbers[0], numbers[1])
    )


def _caveats(
    one: _Side, other: _Side, differ: tuple[Difference, ...], pairs: tuple[Pair, ...]
) -> list[str]:
    """Say what must be known before the numbers."""
    told = []
    kinds = {each.about for each in differ}
    for kind, words in (
        ("machine", "They ran on different machines"),
        ("version", "They ran with different versions"),
        ("input", "They read or spoke with different things"),
        ("setting", "Their settings differ"),
    ):
        if kind in kinds:
            what = "; ".join(each.said("in A", "in B") for each in differ if each.about == kind)
            told.append(f"{words}: {what}. Levels may differ by that alone.")
    few = {
        name
        for pair in pairs
        for name, each in ((pair.a, pair.level.each_a), (pair.b, pair.level.each_b))
        if len(each) < _FEWEST_REPEATS
    }
    if few:
        told.append(
            f"Fewer than {_FEWEST_REPEATS} complete runs of {', '.join(sorted(few))}: too few to "
            "see them agree."
        )
    damage = dict.fromkeys([*one.study.damage, *other.study.damage])
    return [*told, *(f"Left out: {sentence}." for sentence in damage)]


def _named(where: tuple[str, str]) -> str:
    return " / ".join(where)


def _names(conditions: dict[tuple[str, str], tuple[str, str]]) -> str:
    return ", ".join(_named(where) for where in conditions.values())
