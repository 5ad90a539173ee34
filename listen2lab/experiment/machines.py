"""The machines a study ran on: known apart, and named ``machine-1``, ``machine-2`` for others."""

from __future__ import annotations

import hashlib
import platform
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.experiment import machine as facts
from listen2lab.study.folder import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.study.folder import StudyFolder

__all__ = ["Machine", "Machines", "this_machine"]


@dataclass(frozen=True)
class Machine:
    """A machine that carries runs.

    Parameters
    ----------
    identity
        What tells it from others; never written as it is.
    facts
        Machine, versions, environment and git: see `listen2lab.experiment.machine.collect`.
    """

    identity: str
    facts: Mapping[str, Any]


def this_machine(
    python: str | None = None, environment: Mapping[str, str] | None = None
) -> Machine:
    """Return this machine and its facts.

    Parameters
    ----------
    python, environment
        As in `listen2lab.experiment.machine.collect`.
    """
    # Clones of one image share a machine-id, and containers of one host a network card: both.
    try:
        system = Path("/etc/machine-id").read_text("ascii").strip()
    except OSError:
        system = ""
    return Machine(
        f"{system}/{platform.node()}/{uuid.getnode():x}", facts.collect(python, environment)
    )


class Machines:
    """The labels of a study's machines, kept in its manifest with their facts.

    A machine whose kernel or package versions changed between two parts of a study gets another
    label: levels are not mixed silently.

    Parameters
    ----------
    study
        The study; its lock is held.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._study = study
        self._lock = threading.Lock()

    def label(self, machine: Machine) -> str:
        """Return the label of a machine, a new one if the study does not know it."""
        with self._lock:
            manifest = self._study.manifest()
            known: dict[str, dict[str, Any]] = manifest.get("machines") or _before_labels(manifest)
            # Salted with the study's date: two studies do not tell that they share a machine.
            salted = f"{manifest.get('created')}/{machine.identity}"
            hashed = hashlib.sha256(salted.encode()).hexdigest()[:16]
            for name, seen in known.items():
                if seen.get("id") in (None, hashed) and _alike(seen, machine.facts):
                    return name
            name = f"machine-{len(known) + 1}"
            known[name] = {"id": hashed, **machine.facts}
            write_json(self._study.manifest_path, {**manifest, "machines": known})
            return name


def _before_labels(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the one machine of a study that was begun before machines had labels."""
    if "machine" not in manifest or "machines" in manifest:
        return {}
    kept = ("machine", "versions", "environment", "git")
    return {"machine-1": {"id": None, **{name: manifest.get(name) for name in kept}}}


def _alike(seen: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    was, machine = seen.get("machine") or {}, now["machine"]
    return seen.get("versions") == now["versions"] and all(
        was.get(name) == machine[name] for name in ("kernel", "cpu", "cores")
    )
