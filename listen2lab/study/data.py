"""A study's data, read once: manifest, runs, samples, traces. What a study means lies above."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from listen2lab.errors import NewerStudyError, StudyError
from listen2lab.notice import Notice
from listen2lab.study.folder import StudyFolder
from listen2lab.study.payload import read_payload
from listen2lab.study.plan import TRACED, Plan, schedule
from listen2lab.study.reading import read_runs
from listen2lab.study.records import (
    PHASES_WITHOUT_MEMORY,
    Manifest,
    Objects,
    RunRecord,
    Sample,
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["BYTES", "KEYS", "StudyData", "complete_samples", "open_study", "traced_keys"]

KEYS = ("experiment", "condition", "repeat", "traced")
"""Columns that name a run."""

BYTES = (
    "rss",
    "anonymous",
    "private_dirty",
    "lazy_free",
    "swap",
    "peak",
    "in_use",
    "kept",
    "mapped",
)
"""Columns of `StudyData.samples` that are bytes."""

_FIRST = ("phase", "step", "t", "wall_s", "cpu_s", *BYTES)
_FIRST_TOO = ("size", "gc_found", "gc_freed", "python_blocks")
_NOT_COLUMNS = ("components", "facts", "gaps", "python", "pid", "error", "type")
_FIELDS = [(field.name, field.encode_name) for field in msgspec.structs.fields(Sample)]
_NESTED = {"components": "component.", "facts": "fact."}


class StudyData:
    """What was measured in a study. Everything is read when it is first asked for.

    Parameters
    ----------
    folder
        Where it lies.
    manifest
        What was run, on what.
    damage
        What could not be read and is left out; reading runs adds to it.
    tables
        Returns runs and samples; None: they are read from the folder.

    Attributes
    ----------
    plan : Plan
        The plan in the manifest.
    """

    def __init__(
        self,
        folder: StudyFolder,
        manifest: Manifest,
        damage: list[Notice] | None = None,
        tables: Callable[[], tuple[pd.DataFrame, pd.DataFrame]] | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.plan: Plan = manifest.plan
        self._damage = damage if damage is not None else []
        self._load = tables or self._read

    @property
    def damage(self) -> list[Notice]:
        """What could not be read, and is left out."""
        self._tables  # noqa: B018 - reading runs says what is damaged
        return self._damage

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return self._load()

    @property
    def runs(self) -> pd.DataFrame:
        """One row a planned run.

        Returns
        -------
        DataFrame
            The columns of `KEYS`; ``outcome`` (``complete``, ``killed``, ``crashed``,
            ``timed-out``, ``missing``); ``why`` (a `Notice`, or None) and ``message`` (of the
            workload, or None); ``wall_s``, ``pressure_s``, ``peak_rss`` (bytes), ``last_step``,
            ``machine`` (its label, where a study knows it).
        """
        return self._tables[0]

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, of every run that wrote any.

        Returns
        -------
        DataFrame
            The columns of `KEYS`; ``phase``; ``step`` (from 0, warm-up included; missing outside of
            steps); ``t`` (seconds since the worker began); ``wall_s`` and ``cpu_s`` of the step;
            the columns of `BYTES`, in bytes; ``size`` (of the input: seconds of the longest
            sentence for the reading pipeline); ``gc_found`` (objects that only the collector
            freed), ``gc_freed`` (their bytes, as malloc counts), ``python_blocks`` (live small
            blocks of Python objects); ``account.NAME`` and ``component.NAME`` in bytes, and
            ``fact.NAME``.
        """
        return self._tables[1]

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Samples of plain runs that were complete; see `complete_samples`."""
        return complete_samples(self.runs, self.samples)

    def trace(self, experiment: str, condition: str) -> Trace | None:
        """Return what the traced run of a condition itself says, or None if there is none."""
        key = f"{experiment}/{condition}/{TRACED}"
        try:
            return self.folder.run(key).trace()
        except msgspec.DecodeError as error:
            notice = Notice("run-damaged", {"run": key, "file": "heap.json", "message": str(error)})
            if notice not in self._damage:
                self._damage.append(notice)
            return None

    def objects(self, experiment: str, condition: str) -> Objects | None:
        """Return what the traced run of a condition itself tells of Python's objects."""
        return self.folder.run(f"{experiment}/{condition}/{TRACED}").objects()

    def _read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        with _no_collection():
            return _read_tables(self.folder, self.plan, self._damage)


def open_study(path: Path | str) -> StudyData:
    """Open a study.

    Parameters
    ----------
    path
        Its folder, complete or not. Where its manifest is lost or damaged, the one that the report
        beside it carries is used.

    Returns
    -------
    StudyData
        Nothing in the folder is changed.

    Raises
    ------
    StudyError
        This is no study, or it cannot be read.
    """
    folder = StudyFolder(path)
    try:
        manifest, damage = folder.manifest()
    except NewerStudyError:
        raise
    except StudyError as error:
        try:
            carried = read_payload(folder.report_path)
        except StudyError:  # there is none, or of a newer version as well
            raise error from None
        manifest = carried.manifest
        damage = [Notice("manifest-of-report", {"message": str(error)}), *carried.notices]
    return StudyData(folder, manifest, damage)


def complete_samples(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of plain runs that were complete.

    Parameters
    ----------
    runs, samples
        `StudyData.runs` and `StudyData.samples`.
    """
    keys = list(KEYS)
    good = runs.loc[(runs["outcome"] == "complete") & ~runs["traced"].astype(bool), keys]
    return samples.merge(good, on=keys)


def _read_tables(
    folder: StudyFolder, plan: Plan, damage: list[Notice]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs: list[tuple[Any, ...]] = []
    keys: list[tuple[str, str, int, bool]] = []
    samples: list[Sample] = []
    for run, result, found, problem in read_runs(folder, plan, damage):
        key = (run.experiment.name, run.level.name, run.repeat, run.traced)
        record = result or RunRecord(outcome="missing", why=problem or Notice("not-ended"))
        runs.append(
            (
                *key, record.outcome, record.why, record.message, record.wall_s,
                record.pressure_s, record.peak_rss, record.last_step, record.machine,
            )
        )  # fmt: skip
        kept = [sample for sample in found if sample.phase not in PHASES_WITHOUT_MEMORY]
        samples += kept
        keys += [key] * len(kept)
    columns = [*KEYS, "outcome", "why", "message", "wall_s", "pressure_s", "peak_rss"]
    columns += ["last_step", "machine"]
    return pd.DataFrame(runs, columns=columns), _sample_frame(keys, samples)


def _sample_frame(keys: list[tuple[str, str, int, bool]], samples: list[Sample]) -> pd.DataFrame:
    """Return samples as a table, by column: nearly all of them are numbers."""
    values = list(zip(*map(msgspec.structs.astuple, samples), strict=True))
    columns: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for at, (field, name) in enumerate(_FIELDS):
        given = values[at] if values else ()
        if field in _NESTED:
            nested |= {f"{_NESTED[field]}{k}": v for k, v in _unnested(given).items()}
        elif field not in _NOT_COLUMNS:
            columns[name] = _column(given)
    first = {name: columns.pop(name, None) for name in (*_FIRST, *_FIRST_TOO)}
    rest = {name: column for name, column in columns.items() if column is not None}
    frame = pd.DataFrame(keys, columns=list(KEYS))
    for name, column in first.items():
        first[name] = np.full(len(samples), np.nan) if column is None else column
    return pd.concat([frame, pd.DataFrame({**first, **rest, **nested}, index=frame.index)], axis=1)


def _column(given: tuple[Any, ...]) -> Any:
    """Return a column: numbers as an array, None where there is no value at all."""
    first = next((value for value in given if value is not None), None)
    if first is None:
        return None
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        return list(given)
    return np.array(given, dtype=float)  # None is no number, and becomes NaN


def _unnested(given: tuple[dict[str, Any] | None, ...]) -> dict[str, Any]:
    """Return a column for each name that stands in some of the dictionaries."""
    names: dict[str, None] = {}
    for each in given:
        if each:
            names |= dict.fromkeys(each)
    columns = {name: tuple(each.get(name) if each else None for each in given) for name in names}
    found = {}
    for name, column in columns.items():
        is_number = all(type(value) in (int, float, type(None)) for value in column)
        found[name] = _column(column) if is_number else list(column)
    return {name: column for name, column in found.items() if column is not None}


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


def traced_keys(plan: Plan, experiment: str, condition: str) -> list[str]:
    """Return the keys of the traced runs that tell of a condition: its own, then of the same."""
    own = f"{experiment}/{condition}/{TRACED}"
    wanted = {
        plan.condition(item, level)
        for item in plan.experiments
        for level in item.levels
        if (item.name, level.name) == (experiment, condition)
    }
    others = [
        run.key
        for run in schedule(plan)
        if run.traced and plan.condition(run.experiment, run.level) in wanted
    ]
    return list(dict.fromkeys([own, *others]))
