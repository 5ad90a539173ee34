"""Which release of a package began to leak: a bisection whose answers may be wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from packaging.version import InvalidVersion, Version

from listen2lab import api
from listen2lab.errors import InputError
from listen2lab.experiment.runner import child_environment
from listen2lab.findings.bisection import SURE, Bisection, Probe, narrowed, next_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["bisect"]

_MOST_IN_A_ROW = 2  # runs of one release that decide nothing


def bisect(
    file: Path | str,
    package: str,
    good: str,
    bad: str,
    *,
    out: Path | str | None = None,
    beside: Sequence[str] = (),
    steps: int = 200,
    repeats: int = 3,
    tell: Callable[[Probe], None] = lambda _: None,
) -> Bisection:
    """Watch releases of a package, each in its own environment, until one is surely the first.

    Parameters
    ----------
    file
        A workload's file; see `listen2lab.api.watch`.
    package, good, bad
        A distribution, a release that does not leak, and a later one that does. Which there are
        between, and where they come from, is pip's answer (with its options: ``PIP_INDEX_URL``,
        ``PIP_FIND_LINKS``, ...).
    out
        A folder for environments and studies; None: a new one under ``studies/``.
    beside
        What else the workload needs, as pip takes it.
    steps, repeats
        Of each release.
    tell
        Hears of each release that was watched.

    Returns
    -------
    Bisection
        Good and bad are watched first, and must be what they are said to be.

    Raises
    ------
    InputError
        A release is not there or cannot be installed, or good is not before bad.
    """
    folder = Path(out) if out is not None else api.new_folder()
    versions = _between(package, good, bad)
    probes: list[Probe] = []

    def watch(version: str) -> Probe:
        python = _environment(folder / "environments" / version, [f"{package}=={version}", *beside])
        place = folder / f"{len(probes) + 1:02d}-{version}"
        study = api.watch(file, steps=steps, repeats=repeats, python=python, out=place)
        ((_, numbers),) = study.summary().conditions()
        if not numbers.n_complete:
            raise InputError(
                f"no run with {package} {version} was complete; see {place}; nothing is decided"
            )
        probes.append(Probe(version, numbers.verdict, numbers.rate_kib_per_step))
        tell(probes[-1])
        return probes[-1]

    def said(ended: Literal["sure", "undecided", "good-leaks", "bad-does-not"]) -> Bisection:
        chances = tuple(round(float(each), 4) for each in odds)
        return Bisection(
            package=package, versions=versions[1:], odds=chances, probes=tuple(probes), ended=ended
        )

    odds = np.full(len(versions) - 1, 1 / (len(versions) - 1))
    if watch(versions[0]).verdict == "leak":
        return said("good-leaks")
    if watch(versions[-1]).verdict != "leak":
        return said("bad-does-not")
    undecided: list[str] = []
    while odds.max() < SURE and len(probes) < 4 + 3 * len(versions).bit_length():
        at = next_probe(odds, [versions.index(each) for each in undecided])
        if at is None:
            break
        found = watch(versions[at])
        if found.verdict == "inconclusive":
            if sum(each.version == found.version for each in probes) >= _MOST_IN_A_ROW:
                undecided.append(found.version)
            continue
        odds = narrowed(odds, at, is_leak=found.verdict == "leak")
    return said("sure" if odds.max() >= SURE else "undecided")


def _between(package: str, good: str, bad: str) -> tuple[str, ...]:
    """Return the releases from good to bad, the first and the last being those."""
    listed = _pip("index", "versions", package)
    line = next((x for x in listed.splitlines() if x.startswith("Available versions:")), ":")
    found = [each.strip() for each in line.partition(":")[2].split(",") if each.strip()]
    try:
        first, last = Version(good), Version(bad)
        versions = sorted({Version(each) for each in found})
    except InvalidVersion as error:
        raise InputError(f"{error}; nothing was watched") from error
    chosen = tuple(str(each) for each in versions if first <= each <= last)
    if not first < last or str(first) not in chosen or str(last) not in chosen:
        there = ", ".join(map(str, versions)) or "none"
        raise InputError(
            f"--good {good} and --bad {bad} must be releases of {package}, the good one first; pip "
            f"finds {there}"
        )
    return chosen


def _environment(folder: Path, wanted: Sequence[str]) -> str:
    """Make a fresh environment with some packages, unless it is there; return its interpreter."""
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        _ran([sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)])
        _pip("--python", str(python), "install", "--quiet", *wanted)
        (folder / "installed").touch()
    return str(python.absolute())


def _pip(*arguments: str) -> str:
    if importlib.util.find_spec("pip") is None:
        raise InputError("pip is not installed here; `python -m ensurepip` installs it")
    return _ran([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments])


def _ran(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env=child_environment())  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it does not say why"]
        raise InputError(f"{' '.join(command[1:])} failed: {lines[-1]}; nothing was decided")
    return done.stdout
