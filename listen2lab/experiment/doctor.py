"""Look at what measuring needs here: interpreter, packages, the kernel's files, memory."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import psutil

from listen2lab import errors
from listen2lab.experiment.capacity import FIRST_GUESS, RESERVE, available_memory
from listen2lab.experiment.inputs import models_root
from listen2lab.experiment.machine import collect
from listen2lab.experiment.runner import child_environment
from listen2lab.notice import Notice
from listen2lab.probes.process import Meter
from listen2lab.probes.readings import AccountProbe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from listen2lab.notice import Value

__all__ = ["EXTRAS", "NEEDED", "Check", "examine"]

NEEDED = {name: name for name in ("memray", "objgraph", "numpy", "pandas", "matplotlib")}
"""Modules that come with the package, the native ones above all, and the distributions of them."""

EXTRAS = {
    module: (extra, "piper-tts" if module == "piper" else module.replace("_", "-"))
    for module, extra in errors.EXTRAS.items()
}
"""Modules of extras, each with its extra and its distribution."""

_TRY = """
import importlib, importlib.metadata as m, json, sys
for pair in sys.argv[1:]:
    module, name = pair.split("=")
    print(json.dumps([module, None, None]), flush=True)
    try:
        importlib.import_module(module)
        print(json.dumps([module, m.version(name), None]), flush=True)
    except ModuleNotFoundError as error:
        gone = error.name == module
        print(json.dumps([module, None, "" if gone else str(error)]), flush=True)
    except BaseException as error:
        print(json.dumps([module, None, repr(error)]), flush=True)
"""
# The line before an import stays the last one where that import ends the process.
_RECORD = """
import sys, memray
with memray.Tracker(sys.argv[1], native_traces=True): kept = bytearray(1 << 20)
found = memray.FileReader(sys.argv[1]).get_allocation_records()
sys.exit(not any(each.size >= 1 << 20 for each in found))
"""
_SECONDS = 120.0


State: TypeAlias = Literal["works", "limited", "missing", "broken"]
"""``limited``: something cannot be measured, and nothing is broken; ``missing``: not installed, and
only some commands need it; ``broken``: needed or installed, and it does not work."""


class Check(Notice, frozen=True):
    """One thing that was looked at: what was found, as a notice, and its state."""

    state: State = "works"


def examine() -> list[Check]:
    """Look at everything; takes some seconds, because every library is really loaded."""
    return [
        _check("python", version=platform.python_version(), path=sys.executable),
        *_packages(),
        _graphviz(),
        *_kernel(),
        *_machine(),
        *_folders(),
    ]


def _check(code: str, state: State = "works", /, **values: Value) -> Check:
    return Check(code, values, state)


def _packages() -> Iterator[Check]:
    """Load every library in a process of its own: one may end it."""
    extras = {module: name for module, (_, name) in EXTRAS.items()}
    tried = _tried({**NEEDED, **extras})
    for module, name in NEEDED.items():
        version, message = tried[module]
        if message is not None:
            yield _check("package-broken", "broken", name=name, message=message or None)
        elif module == "memray" and not _records():
            yield _check("memray-does-not-record", "broken", version=version)
        else:
            yield _check("package", name=name, version=version)
    for module, (extra, name) in EXTRAS.items():
        version, message = tried[module]
        if message:
            yield _check("package-broken", "broken", name=name, message=message)
        elif message == "":
            yield _check("extra-missing", "missing", name=name, extra=extra)
        else:
            yield _check("package", name=name, version=version)


def _tried(modules: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Return each module's version, and why it cannot be loaded: "" where it is not there."""
    found: dict[str, tuple[str | None, str | None]] = {}
    while left := [f"{module}={name}" for module, name in modules.items() if module not in found]:
        status, lines = _ran(["-c", _TRY, *left])
        told = [json.loads(line) for line in lines if line.startswith("[")]
        for module, version, message in told:
            found[module] = (version, message)
        dead = told[-1][0] if told else left[0].partition("=")[0]
        if found.get(dead, (None, None)) == (None, None):
            found[dead] = (None, f"loading it ended the process with status {status}")
    return found


def _records() -> bool:
    """Tell whether memray sees a mebibyte that is allocated under it."""
    with tempfile.TemporaryDirectory() as folder:
        return _ran(["-c", _RECORD, f"{folder}/capture"])[0] == 0


def _ran(arguments: Sequence[str]) -> tuple[int, list[str]]:
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False,
            timeout=_SECONDS, env=child_environment(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return -1, []
    return done.returncode, done.stdout.splitlines()


def _graphviz() -> Check:
    is_there = shutil.which("dot") is not None
    return _check("graphviz") if is_there else _check("graphviz-missing", "missing")


def _kernel() -> Iterator[Check]:
    """Say which quantities cannot be read here, of those that the worker reads."""
    meter, account = Meter(), AccountProbe()
    gaps = {**meter.gaps, **account.gaps}
    if not Path("/proc/self/task").is_dir():
        gaps["children"] = "no-proc"
    elif not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        gaps["children"] = "no-children"
    if not Path("/proc/pressure/memory").exists():
        gaps["pressure_s"] = "no-pressure"
    for quantity, why in gaps.items():
        yield _check("not-measured", "limited", field=quantity, why=why)
    if not gaps:
        yield _check("all-measured")


def _machine() -> Iterator[Check]:
    free = available_memory()
    needed = FIRST_GUESS["tiny"] + RESERVE
    values: dict[str, Value] = {
        "free": free,
        "memory": int(psutil.virtual_memory().total),
        "cores": os.cpu_count() or 1,
    }
    if free >= needed:
        yield _check("memory", **values)
    else:
        yield _check("memory-short", "limited", **values, needed=needed)
    pages = collect().machine.transparent_hugepages
    if pages == "always":
        yield _check("huge-pages", "limited")
    elif pages is not None:
        yield _check("small-pages", mode=pages)


def _folders() -> Iterator[Check]:
    """Say whether models can be kept, and studies be written here."""
    for what, folder in (("models", models_root()), ("studies", Path.cwd())):
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        if os.access(nearest, os.W_OK):
            yield _check("folder", what=what, path=str(folder))
        else:
            yield _check("folder-read-only", "broken", what=what, path=str(folder))
