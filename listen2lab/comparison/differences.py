"""What differs between two studies besides what they measured: versions, machine, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from listen2lab.privacy import ConditionName, ExperimentName, Fact
from listen2lab.study.redact import LEFT_OUT, leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from listen2lab.study.plan import Experiment, Level, Plan
    from listen2lab.study.records import InputsRecord, Manifest

__all__ = ["About", "Difference", "differences"]

About: TypeAlias = Literal["version", "machine", "input", "setting"]

# How often a plan was repeated and whether it was traced changes no memory.
_LIMITS = ("max_characters", "longest_characters")
_SETTINGS = ("seed", *_LIMITS, "memory_limit", "jobs", "max_samples")
_OF_EXPERIMENT = ("knobs", "steps", "warmup", "phases", *_LIMITS, "unit")


class Difference(msgspec.Struct, frozen=True):
    """A fact that two studies do not share, as each has it; None: it has none.

    ``experiment`` and ``condition`` say of which settings it is, where it is of one alone.
    """

    about: About
    name: Fact
    before: Fact | None
    now: Fact | None
    experiment: ExperimentName | None = None
    condition: ConditionName | None = None


def differences(before: Manifest, now: Manifest) -> list[Difference]:
    """Return what differs between two manifests, redacted or not.

    Versions first, then machines, inputs (by hash) and settings. An experiment or condition that
    only one of them has is no difference: there is nothing to compare.
    """
    both = before, now
    found = [
        *_of("version", *(_joined(each, "versions") | _code(each) for each in both)),
        *_of("machine", *(_joined(each, "machine") for each in both)),
        *_of("input", *_inputs(before.inputs, now.inputs)),
        *_of("setting", *(_joined(each, "environment") for each in both)),
        *_of("setting", *(_settings(each.plan, _SETTINGS) for each in both)),
    ]
    theirs = {item.name: item for item in now.plan.experiments}
    for item in before.plan.experiments:
        if item.name in theirs:
            found += _of_experiment(item, theirs[item.name])
    return found


def _of_experiment(ours: Experiment, theirs: Experiment) -> list[Difference]:
    both = (_settings(each, _OF_EXPERIMENT) for each in (ours, theirs))
    found = _of("setting", *both, experiment=ours.name)
    levels = {level.name: level for level in theirs.levels}
    for level in ours.levels:
        if level.name in levels:
            knobs = (_settings(each, ("knobs",)) for each in (level, levels[level.name]))
            found += _of("setting", *knobs, experiment=ours.name, condition=level.name)
    return found


def _of(
    about: About, before: Mapping[str, str | None], now: Mapping[str, str | None], **where: str
) -> list[Difference]:
    return [
        Difference(about, name, before.get(name), now.get(name), **where)
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _shown(value: Any) -> str | None:
    if value is None or value in ("", {}, ()):
        return None
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _joined(manifest: Manifest, group: str) -> dict[str, str | None]:
    """Return the facts of all machines of a study, those that differ joined."""
    facts = [msgspec.to_builtins(getattr(each, group)) for each in manifest.labelled.values()]
    names = dict.fromkeys(name for each in facts for name in each if name != "swap")
    return {name: _each(each.get(name) for each in facts) for name in names}


def _code(manifest: Manifest) -> dict[str, str | None]:
    return {"code of listen2lab": _each(each.git for each in manifest.labelled.values())}


def _each(values: Iterable[Any]) -> str | None:
    return " and ".join(dict.fromkeys(_shown(value) or "none" for value in values)) or None


def _inputs(*both: InputsRecord) -> list[dict[str, str | None]]:
    """Return the inputs that decide what is held and differ, by hash: named, where names do."""
    found: list[dict[str, str | None]] = [{}, {}]
    for kind in ("voice", "recognizer", "paragraphs", "workload"):
        digests = [getattr(each, f"{kind}_hash") for each in both]
        if digests[0] == digests[1]:
            continue
        names = [_name(each, kind) for each in both]
        for k, (name, digest) in enumerate(zip(names, digests, strict=True)):
            known = name if names[0] != names[1] else None
            found[k][kind] = known or (f"sha256 {digest[:12]}" if digest else None)
    return found


def _name(inputs: InputsRecord, kind: str) -> str | None:
    """Return what an input is called; of a path its last part."""
    if kind == "paragraphs":
        return ", ".join(text.name for text in inputs.texts) or None
    name = getattr(inputs, kind)
    return None if name is None or name == LEFT_OUT else leaf(name)


def _settings(of: Plan | Experiment | Level, names: Iterable[str]) -> dict[str, str | None]:
    return {name: _shown(getattr(of, name)) for name in names}
