"""What a reader must see first: four things of a study, and a line of each experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from listen2lab.account.at_end import GROUPS, UNACCOUNTED
from listen2lab.report.text import study as words
from listen2lab.report.text.study import change, number

if TYPE_CHECKING:
    from listen2lab.facade import Study

__all__ = ["Fact", "glance", "headline", "reference"]


class Fact(NamedTuple):
    """One of the four: what it is, its value, and a note."""

    label: str
    value: str
    note: str


def reference(study: Study, summary: dict[str, Any]) -> tuple[str, str] | None:
    """Return the experiment and condition that a study is about: the app as it is.

    Parameters
    ----------
    study, summary
        The study.

    Returns
    -------
    (str, str) or None
        ``baseline`` if it was run, else the first experiment whose own condition was complete.
    """
    items = sorted(study.plan.experiments, key=lambda item: item.name != "baseline")
    for item in items:
        conditions = summary["experiments"][item.name]["conditions"]
        if conditions[item.reference.name]["runs"]["complete"]:
            return item.name, item.reference.name
    return None


def glance(study: Study, summary: dict[str, Any]) -> list[Fact]:
    """Return the four most important things of a study; none without a complete run.

    Parameters
    ----------
    study, summary
        The study.

    Returns
    -------
    list of Fact
        Whether it leaks, where it ends, what holds most of it, and what lowers it.
    """
    found = reference(study, summary)
    if found is None:
        return []
    experiment, condition = found
    item = summary["experiments"][experiment]
    numbers = item["conditions"][condition]
    return [
        _leak(summary, numbers, item["unit"]),
        Fact(
            f"Level of {experiment} / {condition}"
            if condition != "app"
            else "Level, as the app is",
            f"{number(numbers['level_mib'])} MiB",
            f"peak {number(numbers['peak_mib'])} MiB, after a teardown "
            f"{number(numbers['released_mib'])} MiB",
        ),
        _held(summary, numbers),
        _lowest(summary, numbers["level_mib"], found),
    ]


def _leak(summary: dict[str, Any], numbers: dict[str, Any], unit: str) -> Fact:
    """Return the verdict: that over all series of the app's own condition, where there is one."""
    over_all = (summary.get("answers") or {}).get("leak")
    if over_all is not None and over_all["verdict"] is not None:
        verdict, note = over_all["verdict"], over_all["sentences"][0].partition(": ")[2]
    else:
        verdict, note = numbers["verdict"], words.verdict(numbers, unit).partition(" ")[2]
    value = {"leak": "Yes", "inconclusive": "Not decided"}.get(verdict, f"No: {verdict}")
    return Fact("Does it leak?", value, note.rstrip(".") or "see below")


def _held(summary: dict[str, Any], numbers: dict[str, Any]) -> Fact:
    """Return the largest part of the level by the account, and what is unaccounted."""
    consumes = (summary.get("answers") or {}).get("consumes") or {}
    parts = {part["part"]: float(part["mib"]) for part in consumes.get("parts") or []}
    if not parts:
        parts = {
            GROUPS[name].label if name in GROUPS else name: size
            for name, size in numbers["components_mib"].items()
        }
        parts[UNACCOUNTED] = numbers["unaccounted_mib"]
    rest = parts.pop(UNACCOUNTED)
    most = max(parts, key=lambda name: parts[name], default=None)
    if most is None:
        return Fact("What holds most of it", "–", "memory was not taken apart")
    left = (
        f"{number(rest)} MiB are {UNACCOUNTED}"
        if rest >= 0  # more can be found than is resident: two readings are not of one instant
        else f"the parts add up to the level within {number(-rest)} MiB"
    )
    return Fact("What holds most of it", f"{number(parts[most])} MiB", f"{most}; {left}")


def _lowest(summary: dict[str, Any], level: float | None, found: tuple[str, str]) -> Fact:
    """Return the condition that ended lowest, among those of the same experiments."""
    ends = [
        (numbers["level_mib"], name, condition)
        for name, item in summary["experiments"].items()
        for condition, numbers in item["conditions"].items()
        if numbers["level_mib"] is not None and (name, condition) != found
    ]
    if not ends or level is None:
        return Fact("Lowest level measured", "–", "only one condition was run")
    lowest, name, condition = min(ends)
    return Fact(
        "Lowest level measured",
        f"{number(lowest)} MiB",
        f"{name} / {condition}, {number(abs(lowest - level))} MiB "
        f"{'below' if lowest < level else 'above'} it",
    )


def headline(item: dict[str, Any]) -> str:
    """Say an experiment's result in a line: verdicts, levels, and the largest difference.

    Parameters
    ----------
    item
        An experiment of ``summary.json``.
    """
    complete = {k: n for k, n in item["conditions"].items() if n["runs"]["complete"]}
    if not complete:
        return "No complete run."
    verdicts = [words.called(n) for n in complete.values()]
    names = dict.fromkeys(sorted(verdicts, key=verdicts.count, reverse=True))
    told = ", ".join(
        name if len(names) == 1 else f"{verdicts.count(name)} {name}" for name in names
    )
    levels = [n["level_mib"] for n in complete.values() if n["level_mib"] is not None]
    said = [told.capitalize() if len(names) == 1 else told]
    if levels:
        low, high = number(min(levels)), number(max(levels))
        said.append(f"{low} MiB" if low == high else f"{low} to {high} MiB")
    differences = [(k, c) for k, c in item["contrasts"].items() if c]
    if differences:
        name, most = max(differences, key=lambda pair: abs(pair[1]["level_difference_mib"]))
        said.append(f"most different: {name}, {change(most)} against {most['to']}")
    left = len(item["conditions"]) - len(complete)
    if left:
        said.append(f"{left} without a complete run")
    return "; ".join(said) + "."
