"""What a manifest says besides its plan: made fit to be shown, whatever was lost or edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked_manifest"]

_UNKNOWN = "unknown"
_MACHINE = {
    "system": _UNKNOWN,
    "kernel": _UNKNOWN,
    "cpu": _UNKNOWN,
    "cores": 0,
    "memory": 0,
    "libc": _UNKNOWN,
    "transparent_hugepages": _UNKNOWN,
}
_FACTS: Mapping[str, Any] = {
    "created": _UNKNOWN,
    "command": _UNKNOWN,
    "inputs": {"voice": _UNKNOWN, "voice_hash": _UNKNOWN},
    "versions": {},
    "machine": _MACHINE,
    "environment": {},
}
"""What a manifest says besides its plan, and what is shown where it does not."""


def checked_manifest(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a manifest whose facts can be shown, whatever was in it.

    Parameters
    ----------
    manifest
        As it was read.

    Returns
    -------
    manifest : dict
        What is missing or of the wrong kind says ``unknown``.
    damage : list of str
        A sentence for each such fact.
    """
    sound: dict[str, Any] = {"git": None, "python": None, **manifest}
    damage = []
    for name, default in _FACTS.items():
        if not isinstance(sound.get(name), type(default)):
            damage.append(f"manifest.json: {name} is missing or unreadable; it counts as unknown")
            sound[name] = default
    bad = [
        name
        for name, default in _MACHINE.items()
        if not isinstance(sound["machine"].get(name), (type(default), type(None)))
        or (isinstance(default, int) and sound["machine"].get(name) is None)
    ]
    if bad:
        damage.append(f"manifest.json: the machine's {', '.join(bad)} cannot be read")
    given = {name: fact for name, fact in sound["machine"].items() if name not in bad}
    sound["machine"] = {**_MACHINE, **given}
    if "merged" in sound and not _is_merged(sound["merged"]):
        sound["merged"] = {"parts": [], "experiments": {}}  # so a report says it, too: no damage
    if not _has_subject(sound["inputs"]):
        damage.append("manifest.json: voice or texts cannot be read; they count as unknown")
        sound["inputs"] = _FACTS["inputs"]
    return sound, damage


def _is_merged(merged: Any) -> bool:
    """Tell whether a merged study's manifest says of what it was merged."""
    if not isinstance(merged, dict):
        return False
    parts, experiments = merged.get("parts"), merged.get("experiments")
    return (
        isinstance(parts, list)
        and all(isinstance(part, dict) and isinstance(part.get("name"), str) for part in parts)
        and isinstance(experiments, dict)
        and all(
            isinstance(which, list) and which and all(k in range(len(parts)) for k in which)
            for which in experiments.values()
        )
    )


def _has_subject(inputs: Mapping[str, Any]) -> bool:
    words = [
        value
        for name, value in inputs.items()
        if name.removesuffix("_hash") in ("voice", "recognizer", "workload")
    ]
    models = [name for name in ("voice", "recognizer", "workload") if name in inputs]
    texts = inputs.get("texts", [])
    return (
        any(name in models for name in ("voice", "workload"))
        and all(isinstance(value, str) for value in words)
        and all(f"{name}_hash" in inputs for name in models)
        and isinstance(texts, list)
        and all(isinstance(text, dict) and {"name", "paragraphs"} <= set(text) for text in texts)
    )
