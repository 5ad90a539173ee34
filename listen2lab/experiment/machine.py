"""What a study ran on: machine, kernel, allocator, versions. All of it goes into the manifest."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from listen2lab.errors import InputError
from listen2lab.experiment.runner import child_environment, fixed_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["collect", "versions"]

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


def collect(
    python: str | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Collect the facts of this machine and of the worker's interpreter.

    Parameters
    ----------
    python
        The worker's interpreter; None: this one.
    environment
        Variables that every run gets besides the common ones.

    Returns
    -------
    dict
        ``machine``, ``versions``, ``environment`` (what is set for every run) and ``git``.
    """
    return {
        "machine": {
            "system": platform.system(),
            "kernel": platform.release(),
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory": int(psutil.virtual_memory().total),
            "swap": int(psutil.swap_memory().total),
            "libc": " ".join(platform.libc_ver()),
            "page": os.sysconf("SC_PAGE_SIZE"),
            "transparent_hugepages": _chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
            "aslr": _line("/proc/sys/kernel/randomize_va_space"),
        },
        "versions": versions(python),
        "environment": dict(sorted(fixed_environment(environment).items())),
        "git": _git(),
    }


def versions(python: str | None = None) -> dict[str, str]:
    """Ask an interpreter for its version and those of the packages that matter.

    Parameters
    ----------
    python
        The interpreter; None: this one.

    Returns
    -------
    dict of str to str
        ``python`` and the packages that it has.

    Raises
    ------
    InputError
        It cannot be started or does not answer.
    """
    command = [python or sys.executable, "-c", _VERSIONS_CODE, *_PACKAGES]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=child_environment()
        )
        found: dict[str, str] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"{command[0]} is no Python that can be started: {error}") from error
    return found


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
