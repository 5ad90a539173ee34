"""What runs are on: machine, kernel, allocator, versions; and the labels of a study's machines."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from listen2lab.errors import InputError
from listen2lab.experiment.runner import child_environment, fixed_environment
from listen2lab.study.records import MachineFacts, Setup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.study.folder import StudyFolder

__all__ = [
    "Labels", "Machine", "collect", "interpreter", "refuse_untraceable", "same_python",
    "this_machine", "versions",
]  # fmt: skip

_PACKAGES = (
    "listen2lab",
    "sherpa-onnx",
    "sherpa-onnx-core",
    "onnxruntime",
    "onnx",
    "numpy",
    "memray",
)
_VERSIONS_CODE = """
import importlib.metadata as m, json, platform, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps({"python": platform.python_version(), **found}))
"""


class Machine(msgspec.Struct, frozen=True):
    """A machine that carries runs.

    Parameters
    ----------
    identity
        What tells it from others; never written as it is.
    setup
        Its facts; see `collect`.
    """

    identity: str
    setup: Setup


def this_machine(
    python: str | None = None, environment: Mapping[str, str] | None = None
) -> Machine:
    """Return this machine and its facts."""
    # Clones of one image share a machine-id, and containers of one host a network card: both.
    system = _line("/etc/machine-id") or ""
    return Machine(f"{system}/{platform.node()}/{uuid.getnode():x}", collect(python, environment))


def collect(python: str | None = None, environment: Mapping[str, str] | None = None) -> Setup:
    """Collect the facts of this machine and of the worker's interpreter."""
    return Setup(
        machine=MachineFacts(
            system=platform.system(),
            kernel=platform.release(),
            cpu=_cpu(),
            cores=os.cpu_count() or 0,
            memory=int(psutil.virtual_memory().total),
            swap=int(psutil.swap_memory().total),
            libc=" ".join(platform.libc_ver()),
            page=os.sysconf("SC_PAGE_SIZE"),
            transparent_hugepages=_chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
            aslr=_line("/proc/sys/kernel/randomize_va_space"),
        ),
        versions=versions(python),
        environment=dict(sorted(fixed_environment(environment).items())),
        git=_git(),
    )


def interpreter(given: Path | str | None) -> str | None:
    """Return an interpreter as it is started; the folder of an environment stands for its own."""
    if given is None or not (folder := Path(given).expanduser()).is_dir():
        return None if given is None else str(given)
    found = folder / "bin" / "python"
    if not found.exists():
        raise InputError(
            f"{given} is a folder without bin/python; nothing was run; name an interpreter, or the "
            "folder of a virtual environment"
        )
    return str(found)


def refuse_untraceable(*pythons: str | None) -> None:
    """Refuse a trace under an interpreter that has no memray, before anything is started."""
    for python in pythons:
        if "memray" not in versions(python, ("memray",)):
            where = python or sys.executable
            raise InputError(
                f"a traced run needs memray, and {where} does not have it; nothing was run; "
                f"install it there ({where} -m pip install memray), or leave out the trace"
            )


def same_python(*pythons: str | None) -> None:
    """Refuse to step a function under interpreters that cannot read what is pickled here."""
    here = platform.python_version()
    for python in filter(None, pythons):
        found = versions(python, ("cloudpickle",))
        if found["python"].split(".")[:2] != here.split(".")[:2] or "cloudpickle" not in found:
            raise InputError(
                f"a function goes to a fresh process by cloudpickle, and {python} (Python "
                f"{found['python']}, cloudpickle {found.get('cloudpickle', 'not installed')}) "
                f"cannot read what Python {here} writes; nothing was run; write the function into "
                "a file, or use an environment of this version with cloudpickle"
            )


def versions(python: str | None = None, packages: tuple[str, ...] = _PACKAGES) -> dict[str, str]:
    """Ask an interpreter for its version and those of the packages that matter."""
    command = [python or sys.executable, "-c", _VERSIONS_CODE, *packages]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=child_environment()
        )
        found: dict[str, str] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"{command[0]} is no Python that can be started: {error}") from error
    return found


class Labels:
    """The labels of a study's machines (``machine-1``, ...), kept in its manifest with their facts.

    A machine of which anything changed between two parts of a study that memory depends on (see
    `Setup.is_like`) gets another label: what was measured is not mixed silently.

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
            manifest, _ = self._study.manifest()
            # Salted with the study's date: two studies do not tell that they share a machine.
            salted = f"{manifest.created}/{machine.identity}"
            hashed = hashlib.sha256(salted.encode()).hexdigest()[:16]
            for name, seen in manifest.machines.items():
                if seen.identity == hashed and seen.is_like(machine.setup):
                    return name
            name = f"machine-{len(manifest.machines) + 1}"
            setup = msgspec.structs.replace(machine.setup, identity=hashed)
            known = {**manifest.machines, name: setup}
            self._study.write_manifest(msgspec.structs.replace(manifest, machines=known))
            return name


def _line(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return None


def _chosen(path: str) -> str | None:
    """Return the word in brackets, as the kernel marks a chosen setting."""
    match = re.search(r"\[(\w+)\]", _line(path) or "")
    return match[1] if match else None


def _cpu() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", _line("/proc/cpuinfo") or "", re.MULTILINE)
    return match[1] if match else platform.processor() or platform.machine()


def _git() -> str | None:
    """Return the commit of the checkout this package is run from, ``+`` if its code was changed."""
    package = Path(__file__).resolve().parents[1]
    here = package.parent
    if not (here / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(here), *arguments],
                capture_output=True, text=True, timeout=10, check=True,
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "--short=12", "HEAD"),
                ("status", "--porcelain", "--", str(package)),  # a study beside it changes nothing
            )
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changes else "")
