"""Which runs of several studies may stand together, and under which name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from listen2lab.study.plan import APART, schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.facade import Study
    from listen2lab.study.folder import RunFolder
    from listen2lab.study.plan import Experiment, Level, Plan, Run

__all__ = ["Group", "Part", "name_groups", "sort_runs"]


@dataclass
class Part:
    """A study that is merged: what its manifest says, and a name."""

    name: str
    manifest: dict[str, Any]
    plan: Plan
    machines: dict[str, str] = field(default_factory=dict)
    """Its machines' labels, and those they have in the merged study."""


@dataclass
class Moved:
    """A run on its way into the merged study."""

    run: Run
    there: RunFolder | None
    """Where it is copied from; None: it has not ended, or could not be read."""
    part: Part


@dataclass
class Group:
    """What may be put together: it becomes one experiment."""

    experiment: Experiment
    setting: str
    machine: str
    name: str = ""
    parts: list[Part] = field(default_factory=list)
    blocks: dict[tuple[str, int], int] = field(default_factory=dict)
    """Part and repeat there, to the repeat here: a block stays one."""
    moved: dict[str, Moved] = field(default_factory=dict)

    def key(self, run: Run) -> str:
        """Return a run's key in the merged study."""
        return replace(run, experiment=replace(run.experiment, name=self.name)).key

    def final(self) -> Experiment:
        """Return the experiment under its new name, with the conditions that have a plain run."""
        plain = {moved.run.level.name for moved in self.moved.values() if not moved.run.traced}
        levels = tuple(level for level in self.experiment.levels if level.name in plain)
        return replace(self.experiment, name=self.name, levels=levels)

    def kept(self) -> list[Moved]:
        """Return the runs of these conditions."""
        names = {level.name for level in self.final().levels}
        return [moved for moved in self.moved.values() if moved.run.level.name in names]


def sort_runs(source: Study, own: list[Part], groups: list[Group]) -> Iterator[str]:
    """Put each run of a study where it may stand; yield what is left out."""
    usable = set(_usable(source))
    for run in schedule(source.plan):
        there = source.folder.run(run.key) if run.key in usable else None
        result = (there.result() if there else None) or {}
        part = _part_of(source, own, run, result)
        first = next(iter(part.machines.values()))
        machine = part.machines.get(result.get("machine") or "", first)
        group = _group(groups, part, run, machine)
        if part not in group.parts:
            group.parts.append(part)
        level = _level_in(group, run.level)
        here = replace(run, experiment=group.experiment, level=level)
        if not run.traced:
            block = group.blocks.setdefault((part.name, run.repeat), len(group.blocks))
            here = replace(here, repeat=block)
        elif here.key in group.moved and (there is None or group.moved[here.key].there):
            if there is not None:
                yield (
                    f"left out: {source.folder.path.name}: {run.key}: there is a heap trace of "
                    "this condition already, and a condition keeps one"
                )
            continue
        group.moved[here.key] = Moved(here, there, part)


def _group(groups: list[Group], part: Part, run: Run, machine: str) -> Group:
    """Return the group in which a run may stand, a new one if there is none."""
    name = run.experiment.name
    if "merged" in part.manifest:
        name = name.split(APART)[0]
    setting = _setting(part, run.experiment)
    for group in groups:
        if (group.experiment.name, group.setting, group.machine) == (name, setting, machine):
            return group
    group = Group(replace(run.experiment, name=name), setting, machine)
    groups.append(group)
    return group


def _usable(source: Study) -> list[str]:
    """Return the keys of the runs that have ended and can be read."""
    ended = source.runs[source.runs["outcome"] != "missing"]
    return [
        f"{row['experiment']}/{row['condition']}/"
        + ("traced" if row["traced"] else f"{int(row['repeat']):02d}")
        for row in ended.to_dict("records")
    ]


def _part_of(source: Study, own: list[Part], run: Run, result: dict[str, Any]) -> Part:
    """Return the part that a run belongs to: of a merged study, the one that its result names."""
    merged = source.manifest.get("merged")
    if merged is None:
        return own[0]
    names = [part["name"] for part in merged["parts"]]
    if result.get("study") in names:
        return own[names.index(result["study"])]
    first: list[int] = merged["experiments"].get(run.experiment.name, [0])
    return own[first[0]]


def _shared(part: Part) -> str:
    """Return what must be equal for levels of two experiments to stand beside each other."""
    inputs, plan = part.manifest["inputs"], part.plan
    hashes = {name: value for name, value in sorted(inputs.items()) if name.endswith("_hash")}
    limits = plan.max_characters, plan.longest_characters, plan.memory_limit
    return json.dumps([hashes, limits, plan.jobs, plan.max_samples], sort_keys=True)


def _setting(part: Part, experiment: Experiment) -> str:
    """Return what must be equal besides for runs to be repeats of one condition."""
    own = (
        experiment.knobs, experiment.steps, experiment.warmup, experiment.unit, experiment.phases,
        part.plan.longest_texts(experiment),
    )  # fmt: skip
    return _shared(part) + json.dumps(own, default=dict, sort_keys=True)


def _level_in(group: Group, level: Level) -> Level:
    """Return the group's level for a run's: another name where one name means two settings."""
    name, number = level.name, 1
    while True:
        same = [each for each in group.experiment.levels if each.name == name]
        if not same:
            wanted = replace(level, name=name)
            levels = (*group.experiment.levels, wanted)
            group.experiment = replace(group.experiment, levels=levels)
            return wanted
        if dict(same[0].knobs) == dict(level.knobs) and same[0].python == level.python:
            return same[0]
        number += 1
        name = f"{level.name}{APART}{number}"


def name_groups(groups: list[Group]) -> None:
    """Name the experiments: those that may stand beside the first one keep their names.

    Others say what sets them apart, even where the name is free: what reads several experiments
    together, as findings do, must not meet two machines or voices.
    """
    first = groups[0]
    taken: set[str] = set()
    for group in groups:
        own, part = group.experiment.name, group.parts[0].name
        is_beside = (group.machine, _shared(group.parts[0])) == (
            first.machine,
            _shared(first.parts[0]),
        )
        ways = [own] if is_beside else []
        if group.machine != first.machine:
            ways.append(f"{own}{APART}{group.machine}")
        ways += [f"{own}{APART}{part}", *(f"{own}{APART}{part}-{k}" for k in range(2, 1000))]
        group.name = next(name for name in ways if name not in taken)
        taken.add(group.name)
