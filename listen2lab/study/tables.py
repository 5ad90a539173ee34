"""A study's runs and samples as tables, read fast: 1,000 runs are tens of thousands of samples."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from listen2lab.study.checked import checked_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.study.folder import StudyFolder
    from listen2lab.study.plan import Plan

__all__ = ["KEYS", "read_tables"]

KEYS = ("experiment", "condition", "repeat", "traced")
"""Columns that name a run."""

_NO_SAMPLES = ("meter", "error")  # phases of lines that hold no memory
_GROUPS = {"components": "component.", "facts": "fact."}  # named in a line, and in a column


def read_tables(
    folder: StudyFolder, plan: Plan, damage: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read how each run of a plan ended, and the samples that it wrote.

    Parameters
    ----------
    folder, plan
        The study.
    damage
        Gets a sentence for each run that cannot be read and is left out.

    Returns
    -------
    runs : DataFrame
        One row a planned run; see `listen2lab.facade.Study.runs`.
    samples : DataFrame
        One row a sample: the columns of `KEYS`, then one for each name that a line holds, in the
        order in which the names first come; ``component.NAME`` and ``fact.NAME`` for what is
        nested.
    """
    with _no_collection():
        return _read(folder, plan, damage)


def _read(folder: StudyFolder, plan: Plan, damage: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs: list[dict[str, Any]] = []
    keys: list[tuple[str, str, int, bool]] = []
    parts: dict[Any, _Alike] = {}
    for run, result, lines, problem in checked_runs(folder, plan, damage):
        key = (run.experiment.name, run.level.name, run.repeat, run.traced)
        missing = {"outcome": "missing", "because": problem or "it has not ended"}
        runs.append({**dict(zip(KEYS, key, strict=True)), **(result or missing)})
        kept = [line for line in lines if line["phase"] not in _NO_SAMPLES]
        alike: dict[Any, list[int]] = {}
        for k, line in enumerate(kept):
            nested = [tuple(line.get(group) or ()) for group in _GROUPS]
            alike.setdefault((tuple(line), *nested), []).append(k)
        for names, at in alike.items():
            part = parts.setdefault(names, _Alike())
            part.add([kept[k] for k in at], [len(keys) + k for k in at])
        keys += [key] * len(kept)
    named = pd.DataFrame(keys, columns=list(KEYS))
    samples = named.join(pd.concat([part.frame() for part in parts.values()])) if parts else named
    columns = [*KEYS, "outcome", "because", "wall_s", "pressure_s", "peak_rss"]
    columns += ["last_step", "machine"]
    return pd.DataFrame(runs, columns=columns), samples


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector away: what is read has no cycles, and looking costs a fifth of reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Alike:
    """Lines that hold the same names in the same order: nearly all do, of each phase.

    They are kept by column, run by run, so that a run's lines can go as soon as they were read.
    """

    def __init__(self) -> None:
        self._at: list[int] = []
        self._columns: dict[str, list[Any]] = {}

    def add(self, lines: list[dict[str, Any]], at: list[int]) -> None:
        """Take some lines, and in which row of the table each belongs."""
        self._at += at
        for name, values in _by_column(lines).items():
            self._columns.setdefault(name, []).extend(values)

    def frame(self) -> pd.DataFrame:
        """Return them as a table; a name without any value is as good as missing."""
        columns = {name: _numbers(values) for name, values in self._columns.items()}
        return pd.DataFrame(columns, index=self._at).dropna(axis="columns", how="all")


def _numbers(values: list[Any]) -> Any:
    """Return a column of numbers as an array, which pandas need not look through; others as is."""
    if type(values[0]) not in {int, float}:
        return values
    array = np.array(values)
    return array if array.dtype.kind in "if" else values


def _by_column(lines: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    values = zip(*(line.values() for line in lines), strict=True)
    columns = dict(zip(lines[0], values, strict=True))
    for group, prefix in _GROUPS.items():
        inner = columns.pop(group, (None,))
        if inner[0]:
            columns |= {prefix + name: each for name, each in _by_column(list(inner)).items()}
    return columns
