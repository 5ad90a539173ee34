"""What differs between two studies besides what they measured: versions, machine, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Difference", "differences", "is_same_machine", "machines_of"]

_SAME_MACHINE = (
    *("system", "kernel", "cpu", "cores", "memory", "libc", "page", "transparent_hugepages"),
    "aslr",
)
"""Facts of a machine that a level depends on; swap is left out, since a level holds none."""

# How often a plan was repeated and whether it was traced changes no level.
_SETTINGS = (
    *("seed", "max_characters", "longest_characters", "memory_limit", "jobs", "max_samples"),
)
_OF_EXPERIMENT = (
    *("knobs", "steps", "warmup", "phases", "max_characters", "longest_characters"),
    "unit",
)


class Difference(NamedTuple):
    """A fact that two studies do not share."""

    about: Literal["version", "machine", "input", "setting"]
    name: str
    before: str
    now: str

    def said(self, first: str = "before", second: str = "now") -> str:
        """Return the fact in words, ``first`` and ``second`` naming the two studies."""
        return f"{self.name}: {self.before} {first}, {self.now} {second}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two manifests.

    Parameters
    ----------
    before, now
        Manifests, with or without their paths.

    Returns
    -------
    list of Difference
        Versions first, then machines, inputs (by hash) and settings. An experiment or condition
        that only one of them has is no difference: there is nothing to compare.
    """
    found = [
        *_of("version", _versions(before), _versions(now)),
        *_of("machine", _machine_facts(before), _machine_facts(now)),
        *_of("input", _inputs(before), _inputs(now)),
    ]
    found += _of("setting", _joined(before, "environment"), _joined(now, "environment"))
    plans = before.get("plan", {}), now.get("plan", {})
    found += _of("setting", *({name: plan.get(name) for name in _SETTINGS} for plan in plans))
    ours, theirs = ({item["name"]: item for item in plan.get("experiments", ())} for plan in plans)
    for name in ours:
        if name in theirs:
            shared = {x["name"] for x in ours[name]["levels"]} & {
                x["name"] for x in theirs[name]["levels"]
            }
            found += _of("setting", _settings(ours[name], shared), _settings(theirs[name], shared))
    return found


def is_same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether levels that two machines measured may be put together.

    Parameters
    ----------
    one, other
        ``machine``, ``versions``, ``environment`` and ``git`` of each, as a manifest holds them.

    Returns
    -------
    bool
        Whether every fact that a level depends on is equal: kernel, processor, memory to the byte,
        libc, versions of packages and of the lab, and what was set for the runs. Which machine it
        was is not kept in a study, and would say less.
    """
    facts = [
        (
            {name: (each.get("machine") or {}).get(name) for name in _SAME_MACHINE},
            each.get("versions"),
            each.get("environment"),
            each.get("git"),
        )
        for each in (one, other)
    ]
    return facts[0] == facts[1]


def machines_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the machines of a study by label; the manifest's own where none has a label."""
    labelled = manifest.get("machines")
    if isinstance(labelled, dict) and labelled:
        return labelled
    names = ("machine", "versions", "environment", "git")
    return {"machine-1": {name: manifest.get(name) for name in names}}


def _of(
    about: Literal["version", "machine", "input", "setting"],
    before: Mapping[str, Any],
    now: Mapping[str, Any],
) -> list[Difference]:
    return [
        Difference(about, name, _shown(before.get(name)), _shown(now.get(name)))
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items()) or "none"
    return str(value)


def _versions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(_joined(manifest, "versions"))
    found["code of listen2lab"] = _each(
        facts.get("git") for facts in machines_of(manifest).values()
    )
    return found


def _machine_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in _joined(manifest, "machine").items() if k in _SAME_MACHINE}


def _joined(manifest: Mapping[str, Any], group: str) -> dict[str, str]:
    """Return the facts of all machines of a study, those that differ joined."""
    machines = [facts.get(group) or {} for facts in machines_of(manifest).values()]
    names = dict.fromkeys(name for facts in machines for name in facts)
    return {name: _each(facts.get(name) for facts in machines) for name in names}


def _each(values: Any) -> str:
    return " and ".join(dict.fromkeys(_shown(value) for value in values))


def _inputs(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that decide a level: their hashes, shortened."""
    inputs = manifest.get("inputs", {})
    return {
        name.removesuffix("_hash"): f"sha256 {str(value)[:12]}"
        for name, value in inputs.items()
        if name.endswith("_hash")
    }


def _settings(experiment: Mapping[str, Any], shared: set[str]) -> dict[str, Any]:
    name = experiment["name"]
    found = {f"{name}, {key}": _plain(experiment.get(key)) for key in _OF_EXPERIMENT}
    for level in experiment["levels"]:
        if level["name"] in shared:
            found[f"{name} / {level['name']}"] = _plain(level.get("knobs"))
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value or None
