"""A leak check as a test: as many fresh processes as a clear answer takes, and then no more."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from listen2lab.errors import LabError
from listen2lab.experiment import run_study, workloads
from listen2lab.facade import Study
from listen2lab.report.text.study import endings, leak_found
from listen2lab.study.plan import Experiment, Level, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from listen2lab.findings.records import ConditionNumbers

__all__ = ["Checked", "check", "is_clear"]

_FEWEST = 3
"""Processes after which a clear answer is taken; before, nobody knows how far they differ."""

_CLEAR = 3.0
"""A leak is clear early at so many times the smallest rate that was visible; what that costs is
measured by ``benchmarks/leak_check.py``."""


class Checked(NamedTuple):
    """What a leak check found.

    Attributes
    ----------
    study
        Its processes, to be looked at.
    numbers
        What they come to: ``verdict``, ``rate_kib_per_step``, ...
    failure
        What a failing test says: the leak, or how processes ended; None where all is well.
    """

    study: Study
    numbers: ConditionNumbers
    failure: str | None


def check(
    step: Callable[..., object],
    *,
    folder: Path,
    setup: Callable[[], object] | None = None,
    steps: int = 100,
    repeats: int = 5,
    by_value: Sequence[ModuleType] = (),
) -> Checked:
    """Step a function in fresh processes, and say whether it leaks.

    Three processes at first. Where they do not decide, as many as `repeats` says; where it leaks,
    a traced one, for who allocated.

    Parameters
    ----------
    step, setup, steps, repeats
        As in `listen2lab.watch`; at least 5 repeats for a firm verdict.
    folder
        Where the study is written, new or empty.
    by_value
        See `listen2lab.experiment.functions.pickled`.
    """
    functions = {"step": step} if setup is None else {"step": step, "setup": setup}
    given = workloads.open_functions(functions, by_value)
    level, warmup = Level("this"), min(50, max(2, steps // 20))
    asked = Experiment("step", "", None, (level,), steps=steps, warmup=warmup, unit="step")
    jobs = min(2, os.cpu_count() or 1)
    plan = Plan((asked,), repeats=min(_FEWEST, repeats), traced="none", jobs=jobs)
    run_study.start(plan, given, folder)
    found = _numbers(folder)
    rates = found.rate_kib_per_step, found.smallest_visible_kib_per_step
    if repeats > found.n_complete == plan.repeats and not is_clear(found.verdict, *rates):
        plan = replace(plan, repeats=repeats)
        run_study.extend(plan, given, folder)
        found = _numbers(folder)
    owner = None
    if found.verdict == "leak" and importlib.util.find_spec("memray") is not None:
        run_study.extend(replace(plan, traced="all"), given, folder)
        owner = _first_owner(folder)
    study = Study(folder)
    ended = [*endings(study.runs)]
    failure = leak_found(given.name, found, owner) if found.verdict == "leak" else None
    return Checked(study, found, " ".join(ended) if ended else failure)


def is_clear(verdict: str, rate: float | None, smallest_visible: float | None) -> bool:
    """Tell whether a verdict on a few processes would hardly be another one on more."""
    if verdict != "leak":
        return verdict != "inconclusive"
    return bool(rate and smallest_visible and rate >= _CLEAR * smallest_visible)


def _numbers(folder: Path) -> ConditionNumbers:
    ((_, found),) = Study(folder).summary().conditions()
    return found


def _first_owner(folder: Path) -> tuple[str, str, float] | None:
    """Return whose memory grew most over the last half of the steps, at which line, by how much."""
    try:
        trace = Study(folder).trace("step", "this")
        owners, lines = trace.grown(by="owner", n=1), trace.grown(by="line", n=1)
    except LabError:  # nothing was traced: the verdict stands without
        return None
    if owners.empty:
        return None
    return str(owners.index[0]), str(lines.index[0]), float(owners["mib"].iloc[0])
