"""Join studies, maybe of several machines, into one that keeps their levels apart.

What may be put together becomes more repeats of one condition: the same experiment with the same
settings, texts and models, on machines alike in every fact that a level depends on. What may not
becomes an experiment of its own, ``cache-size@machine-2``, with its own reference condition, and
findings are those of the first study's machine and voice, so that no contrast, verdict or finding
mixes levels.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from listen2lab.comparison.merge_groups import Group, Source, name_groups, sort_runs
from listen2lab.errors import InputError, StudyError
from listen2lab.notice import Notice
from listen2lab.study.data import StudyData, open_study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import schedule
from listen2lab.study.records import Call, Manifest, Merged, Part, Setup

if TYPE_CHECKING:
    from pathlib import Path

    from listen2lab.study.plan import Plan

__all__ = ["merge"]


def merge(
    *studies: StudyData | Path | str, out: Path | str, shell: bool = False
) -> tuple[StudyData, list[Notice]]:
    """Join studies into a new one, and return it with what was put together or left out.

    The studies are read, never changed; they may be merged ones. Each run's ``result.json`` says
    from which study (``study``) and machine (``machine``) it comes, and the manifest holds, in
    ``merged.parts``, what each study's manifest said. It can be read, reported and compared; it
    cannot be run on or repeated.
    """
    if len(studies) < 2:
        raise InputError("a merge takes two studies or more")
    given = [each if isinstance(each, StudyData) else open_study(each) for each in studies]
    _refuse_duplicates(given)
    machines: dict[str, Setup] = {}
    groups: list[Group] = []
    sources: list[Source] = []
    notes: list[Notice] = []
    for each in given:
        own = _sources(each, len(sources))
        sources += own
        for source in own:
            _label(source, machines)
        notes += sort_runs(each, own, groups)
        notes += each.damage
    if not any(moved.there for group in groups for moved in group.moved.values()):
        raise StudyError("no run of these studies has ended: there is nothing to merge")
    name_groups(groups)
    folder = StudyFolder(out)
    folder.begin()
    try:
        for group in groups:
            for moved in group.kept():
                if moved.there is not None and (result := moved.there.result()) is not None:
                    result = replace(result, study=moved.source.name, machine=group.machine)
                    folder.run(group.key(moved.run)).copy_from(moved.there, result)
        # Last: what was cut short must not look like a study.
        names = [each.folder.path.resolve().name for each in given]
        call = Call("merge", {"studies": [*names]}, shell)
        folder.write_manifest(_manifest(call, sources, machines, groups))
    finally:
        folder.release()
    return open_study(out), [*notes, *_together(groups)]


def _refuse_duplicates(studies: list[StudyData]) -> None:
    """Refuse a run that comes twice: it would count as agreement."""
    seen: dict[str, str] = {}
    for study in studies:
        for run in schedule(study.plan):
            name = f"{study.folder.path}, {run.key}"
            content = study.folder.run(run.key).content_hash()
            if content is not None and seen.setdefault(content, name) != name:
                raise StudyError(
                    f"{name} is the same run as {seen[content]}: it would count twice; nothing was "
                    "written; leave one of the two studies out"
                )


def _sources(study: StudyData, before: int) -> list[Source]:
    """Return what a study brings: itself, or what it was merged of."""
    manifest = study.manifest
    if manifest.merged is None:
        return [Source(f"study-{before + 1}", manifest)]
    if not manifest.merged.parts:
        raise StudyError(
            f"{study.folder.path} was merged, but its manifest does not say of what; nothing was "
            "written; merge the studies that it was merged of"
        )
    return [
        Source(f"study-{before + k}", replace(manifest, **_of_part(part)))
        for k, part in enumerate(manifest.merged.parts, start=1)
    ]


def _of_part(part: Part | Manifest) -> dict[str, Any]:
    return {name: getattr(part, name) for name in Part.__struct_fields__ if name != "name"}


def _label(source: Source, machines: dict[str, Setup]) -> None:
    """Name a source's machines as the merged study does: alike in all facts, one label."""
    for label, setup in source.manifest.labelled.items():
        known = [name for name, seen in machines.items() if seen.is_like(setup)]
        name = known[0] if known else f"machine-{len(machines) + 1}"
        machines.setdefault(name, replace(setup, identity=""))
        source.machines[label] = name


def _manifest(
    call: Call, sources: list[Source], machines: dict[str, Setup], groups: list[Group]
) -> Manifest:
    """Return the merged study's manifest: the first study's facts, and every part's own."""
    kept = [(group, moved.run) for group in groups for moved in group.kept()]
    plan: Plan = replace(  # its schedule is the runs that there are
        groups[0].sources[0].manifest.plan,
        experiments=tuple(group.final() for group in groups),
        repeats=max(len(group.blocks) for group in groups),
        traced="all" if any(run.traced for _, run in kept) else "none",
        only=tuple(group.key(run) for group, run in kept),
    )
    parts = []
    for source in sources:
        own = {label: machines[label] for label in source.machines.values()}
        parts.append(Part(name=source.name, **{**_of_part(source.manifest), "machines": own}))
    experiments = {
        group.name: tuple(sources.index(source) for source in group.sources) for group in groups
    }
    return replace(
        sources[0].manifest,
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        call=call,
        plan=plan,
        machines=machines,
        merged=Merged(tuple(parts), experiments),
        mark=None,
    )


def _together(groups: list[Group]) -> list[Notice]:
    """Return which experiments were put together, and which stand apart and why."""
    found = []
    for group in groups:
        apart = None
        if group.name != group.experiment.name:
            apart = "setting" if group.machine == groups[0].machine else "machine"
        found.append(
            Notice(
                "merged-experiment",
                {
                    "experiment": group.name,
                    "runs": sum(not moved.run.traced for moved in group.kept()),
                    "studies": [source.name for source in group.sources],
                    "apart": apart,
                    "first": groups[0].sources[0].name,
                },
            )
        )
    return found
