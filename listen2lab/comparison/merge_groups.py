"""Which runs of several studies may stand together, and under which name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from listen2lab.notice import Notice
from listen2lab.study.plan import APART, schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.study.data import StudyData
    from listen2lab.study.folder import RunFolder
    from listen2lab.study.plan import Experiment, Level, Run
    from listen2lab.study.records import Manifest, RunRecord

__all__ = ["Group", "Moved", "Source", "name_groups", "sort_runs"]


@dataclass
class Source:
    """A study that is merged: what its manifest says, and a name."""

    name: str
    manifest: Manifest
    machines: dict[str, str] = field(default_factory=dict)
    """Its machines' labels, and those they have in the merged study."""


@dataclass
class Moved:
    """A run on its way into the merged study."""

    run: Run
    there: RunFolder | None
    """Where it is copied from; None: it has not ended, or could not be read."""
    source: Source


@dataclass
class Group:
    """What may be put together: it becomes one experiment."""

    experiment: Experiment
    setting: bytes
    machine: str
    name: str = ""
    sources: list[Source] = field(default_factory=list)
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


def sort_runs(study: StudyData, own: list[Source], groups: list[Group]) -> Iterator[Notice]:
    """Put each run of a study where it may stand; yield what is left out."""
    ended = study.runs[study.runs["outcome"] != "missing"]
    columns = ("experiment", "condition", "repeat", "traced")
    usable = set(zip(*(ended[name] for name in columns), strict=True))
    for run in schedule(study.plan):
        key = (run.experiment.name, run.level.name, run.repeat, run.traced)
        there = study.folder.run(run.key) if key in usable else None
        result = there.result() if there else None
        source = _source_of(study, own, run, result)
        first = next(iter(source.machines.values()))
        label = (result.machine if result else None) or ""
        group = _group(groups, source, run, source.machines.get(label, first))
        if source not in group.sources:
            group.sources.append(source)
        here = replace(run, experiment=group.experiment, level=_level_in(group, run.level))
        if not run.traced:
            block = group.blocks.setdefault((source.name, run.repeat), len(group.blocks))
            here = replace(here, repeat=block)
        elif here.key in group.moved and (there is None or group.moved[here.key].there):
            if there is not None:
                yield Notice("traced-twice", {"study": study.folder.path.name, "run": run.key})
            continue
        group.moved[here.key] = Moved(here, there, source)


def _group(groups: list[Group], source: Source, run: Run, machine: str) -> Group:
    """Return the group in which a run may stand, a new one if there is none."""
    name = run.experiment.name
    if source.manifest.merged is not None:
        name = name.split(APART)[0]
    setting = _setting(source, run.experiment)
    for group in groups:
        if (group.experiment.name, group.setting, group.machine) == (name, setting, machine):
            return group
    group = Group(replace(run.experiment, name=name), setting, machine)
    groups.append(group)
    return group


def _source_of(study: StudyData, own: list[Source], run: Run, result: RunRecord | None) -> Source:
    """Return what a run belongs to: of a merged study, the part that its result names."""
    merged = study.manifest.merged
    if merged is None:
        return own[0]
    names = [part.name for part in merged.parts]
    if result is not None and result.study in names:
        return own[names.index(result.study)]
    return own[merged.experiments.get(run.experiment.name, (0,))[0]]


def _shared(source: Source) -> bytes:
    """Return what must be equal for memory of two experiments to stand beside each other."""
    inputs, plan = source.manifest.inputs, source.manifest.plan
    kinds = ("voice", "recognizer", "paragraphs", "workload")
    hashes = [getattr(inputs, f"{kind}_hash") for kind in kinds]
    limits = plan.max_characters, plan.longest_characters, plan.memory_limit
    return msgspec.json.encode([hashes, limits, plan.jobs, plan.max_samples])


def _setting(source: Source, experiment: Experiment) -> bytes:
    """Return what must be equal besides for runs to be repeats of one condition."""
    own: Any = (
        experiment.knobs, experiment.steps, experiment.warmup, experiment.unit, experiment.phases,
        source.manifest.plan.longest_texts(experiment),
    )  # fmt: skip
    return _shared(source) + msgspec.json.encode(own, order="sorted")


def _level_in(group: Group, level: Level) -> Level:
    """Return the group's level for a run's: another name where one name means two settings."""
    known = {each.name: each for each in group.experiment.levels}
    wanted, number = level, 1
    while known.setdefault(wanted.name, wanted) != wanted:
        number += 1
        wanted = replace(level, name=f"{level.name}{APART}{number}")
    group.experiment = replace(group.experiment, levels=tuple(known.values()))
    return wanted


def name_groups(groups: list[Group]) -> None:
    """Name the experiments: those that may stand beside the first one keep their names.

    Others say what sets them apart, even where the name is free: what reads several experiments
    together, as findings do, must not meet two machines or voices.
    """
    first = groups[0]
    taken: set[str] = set()
    for group in groups:
        own, name = group.experiment.name, group.sources[0].name
        ways = []
        if group.machine != first.machine:
            ways.append(f"{own}{APART}{group.machine}")
        elif _shared(group.sources[0]) == _shared(first.sources[0]):
            ways.append(own)
        ways += [f"{own}{APART}{name}", *(f"{own}{APART}{name}-{k}" for k in range(2, 1000))]
        group.name = next(way for way in ways if way not in taken)
        taken.add(group.name)
