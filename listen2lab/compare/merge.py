"""Join studies, maybe of several machines, into one that keeps their levels apart.

What may be put together becomes more repeats of one condition: the same experiment with the same
settings, texts and models, on machines alike in every fact that a level depends on. What may not
becomes an experiment of its own, ``cache-size@machine-2``, with its own reference condition, and
findings are those of the first study's machine and voice, so that no contrast, verdict or finding
mixes levels.
"""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from listen2lab.compare.differences import is_same_machine, machines_of
from listen2lab.compare.merge_groups import Group, Part, name_groups, sort_runs
from listen2lab.errors import InputError, StudyError
from listen2lab.facade import Study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import schedule

if TYPE_CHECKING:
    from pathlib import Path

    from listen2lab.study.plan import Plan

__all__ = ["Merged", "merge"]

_OF_MACHINE = ("machine", "versions", "environment", "git")
_OF_PART = ("created", "command", "python", "inputs", *_OF_MACHINE)


@dataclass(frozen=True, repr=False)
class Merged:
    """A merged study, and how it came about.

    Attributes
    ----------
    study
        The new study.
    notes
        Which experiments were put together, which stand apart and why, and what was left out.
    """

    study: Study
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([*self.notes, f"study: {self.study.folder.path}"])


def merge(*studies: Study | Path | str, study: Path | str) -> Merged:
    """Join studies into a new one.

    Parameters
    ----------
    *studies
        Two or more studies, or their folders; merged ones, too. They are read, never changed.
    study
        The new study's folder, new or empty.

    Returns
    -------
    Merged
        The new study. Each run's ``result.json`` says from which study (``study``) and machine
        (``machine``) it comes, and the manifest holds, in ``merged.parts``, what each study's
        manifest said. It can be read, reported and compared; it cannot be run on or repeated.

    Raises
    ------
    InputError
        Fewer than two were given.
    StudyError
        One cannot be read, two hold the same run, or the new folder cannot be written.
    """
    if len(studies) < 2:
        raise InputError("a merge takes two studies or more")
    sources = [each if isinstance(each, Study) else Study(each) for each in studies]
    _refuse_duplicates(sources)
    machines: dict[str, dict[str, Any]] = {}
    groups: list[Group] = []
    parts: list[Part] = []
    notes: list[str] = []
    for source in sources:
        own = _parts(source, len(parts))
        parts += own
        for part in own:
            _label(part, machines)
        notes += sort_runs(source, own, groups)
        notes += [f"left out: {source.folder.path.name}: {each}" for each in source.damage]
    if not any(moved.there for group in groups for moved in group.moved.values()):
        raise StudyError("no run of these studies has ended: there is nothing to merge")
    name_groups(groups)
    folder = StudyFolder(study)
    folder.begin()
    try:
        for group in groups:
            for moved in group.kept():
                if moved.there is not None:
                    folder.run(group.key(moved.run)).copy_from(
                        moved.there, study=moved.part.name, machine=group.machine
                    )
        # Last: what was cut short must not look like a study.
        folder.write_manifest(_manifest(sources, parts, machines, groups))
    finally:
        folder.release()
    return Merged(Study(study), (*notes, *_told(groups)))


def _refuse_duplicates(sources: list[Study]) -> None:
    """Refuse a run that comes twice: it would count as agreement."""
    seen: dict[str, str] = {}
    for source in sources:
        for run in schedule(source.plan):
            told = f"{source.folder.path}, {run.key}"
            content = source.folder.run(run.key).content_hash()
            if content is None:
                continue
            if content in seen:
                raise StudyError(
                    f"{told} is the same run as {seen[content]}: it would count twice; nothing was "
                    "written; leave one of the two studies out"
                )
            seen[content] = told


def _parts(source: Study, before: int) -> list[Part]:
    """Return what a study brings: itself, or what it was merged of."""
    manifest = source.manifest
    merged = manifest.get("merged")
    if merged is None:
        return [Part(f"study-{before + 1}", manifest, source.plan)]
    if not merged["parts"]:
        raise StudyError(
            f"{source.folder.path} was merged, but its manifest does not say of what; nothing was "
            "written; merge the studies that it was merged of"
        )
    return [
        Part(f"study-{before + k}", {**manifest, **part}, source.plan)
        for k, part in enumerate(merged["parts"], start=1)
    ]


def _label(part: Part, machines: dict[str, dict[str, Any]]) -> None:
    """Name a part's machines as the merged study does: alike in all facts, one label."""
    for label, facts in machines_of(part.manifest).items():
        known = [name for name, seen in machines.items() if is_same_machine(seen, facts)]
        name = known[0] if known else f"machine-{len(machines) + 1}"
        machines.setdefault(name, {"id": None, **{key: facts.get(key) for key in _OF_MACHINE}})
        part.machines[label] = name


def _plan(groups: list[Group]) -> Plan:
    """Return the plan whose schedule is the runs that there are."""
    return replace(
        groups[0].parts[0].plan,
        experiments=tuple(group.final() for group in groups),
        repeats=max(len(group.blocks) for group in groups),
        traced=any(moved.run.traced for group in groups for moved in group.kept()),
        only=tuple(group.key(moved.run) for group in groups for moved in group.kept()),
    )


def _manifest(
    sources: list[Study],
    parts: list[Part],
    machines: dict[str, dict[str, Any]],
    groups: list[Group],
) -> dict[str, Any]:
    """Return the merged study's manifest: the first study's facts, and every part's own."""
    folders = [source.folder.path.resolve().name for source in sources]
    return {
        **parts[0].manifest,
        "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["listen2lab", "merge", *folders]),
        "plan": _plan(groups).to_json(),
        "machines": machines,
        "merged": {
            "parts": [
                {
                    "name": part.name,
                    **{name: part.manifest.get(name) for name in _OF_PART},
                    "machines": {label: machines[label] for label in part.machines.values()},
                }
                for part in parts
            ],
            "experiments": {
                group.name: [parts.index(part) for part in group.parts] for group in groups
            },
        },
    }


def _told(groups: list[Group]) -> list[str]:
    """Say which experiments were put together, and which stand apart."""
    told = []
    for group in groups:
        own = group.experiment.name
        plain = sum(not moved.run.traced for moved in group.kept())
        words = f"{group.name}: {plain} runs of {', '.join(part.name for part in group.parts)}"
        if group.name != own:
            why = (
                "other settings, texts or models"
                if group.machine == groups[0].machine
                else "another machine or other versions"
            )
            words += f"; apart from {groups[0].parts[0].name}, because of {why}"
        told.append(words)
    return told
