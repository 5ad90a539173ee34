"""A study's data, read once: manifest, runs, samples, traces. What a study means lies above."""

from __future__ import annotations

import gc
import sys
from functools import cached_property
from itertools import chain, compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from listen2lab.errors import NewerStudyError, RefusedFileError, StudyError
from listen2lab.notice import Notice
from listen2lab.study.folder import StudyFolder
from listen2lab.study.payload import payload_of
from listen2lab.study.plan import TRACED, Plan, schedule
from listen2lab.study.reading import read_runs
from listen2lab.study.records import PHASES_WITHOUT_MEMORY, Manifest, RunRecord, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from listen2lab.study.trace_records import Objects, Trace

__all__ = ["BYTES", "KEYS", "StudyData", "complete_by_condition", "complete_samples", "open_study"]

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

_OF_RESULT = (
    *("outcome", "why", "message", "wall_s", "pressure_s", "peak_rss", "last_step", "machine"),
)
_ALWAYS = (
    *("step", "steps", "t", "wall_s", "cpu_s", *BYTES),
    *("size", "gc_found", "gc_freed", "python_blocks"),
)
_NUMBERS = {
    field.encode_name: field.name
    for field in msgspec.structs.fields(Sample)
    if field.type in (float | None, bool | None)
}
_NUMERIC = {float, bool, type(None)}
_numbers_of = attrgetter(*_NUMBERS.values())

_BLOCK = 1 << 14  # samples

_MOST_NAMES = 300
"""The most facts and components that become columns: each has a place in every sample's row."""

_TOGETHER = tuple(
    f"account.{kind}" for kind in ("file", "data", "stack", "heap", "mapped", "shared", "other")
)
"""Columns that are read together: where there is one of them, there are all."""


class StudyData:
    """What was measured in a study. Everything is read when it is first asked for.

    ``manifest`` says what was run on what; reading runs adds to ``damage`` what is left out.
    ``tables`` returns runs and samples; None: they are read from the folder.
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
            ``fact.NAME``, where it is a number (1 for true).
        """
        return self._tables[1]

    def traced_keys(self, experiment: str, condition: str) -> list[str]:
        """Return the keys of traced runs that tell of a condition: its own, then of the same."""
        own = f"{experiment}/{condition}/{TRACED}"
        same = self._traced.get(self._conditions.get((experiment, condition)), ())
        return list(dict.fromkeys([own, *same]))

    @cached_property
    def _conditions(self) -> dict[tuple[str, str], Any]:
        """What decides what each condition's runs do."""
        return {
            (item.name, level.name): self.plan.condition(item, level)
            for item in self.plan.experiments
            for level in item.levels
        }

    @cached_property
    def _traced(self) -> dict[Any, list[str]]:
        """The traced runs of conditions that are the same."""
        keys: dict[Any, list[str]] = {}
        for run in schedule(self.plan):
            if run.traced:
                keys.setdefault(self._conditions[run.experiment.name, run.level.name], []).append(
                    run.key
                )
        return keys

    @property
    def complete(self) -> pd.DataFrame:
        """Samples of plain runs that were complete: a copy of nearly all there are."""
        return complete_samples(self.runs, self.samples)

    @cached_property
    def _places(self) -> dict[tuple[str, str], np.ndarray]:
        return complete_by_condition(self.runs, self.samples)

    @cached_property
    def _all_places(self) -> dict[tuple[str, str], np.ndarray]:
        return _by_condition(self.samples)

    def complete_of(self, experiment: str, condition: str | None = None) -> pd.DataFrame:
        """Return the samples of plain runs that were complete, of a condition or all of them."""
        return self._taken(self._places, experiment, condition)

    def samples_of(self, experiment: str, condition: str | None = None) -> pd.DataFrame:
        """Return the samples of all runs of a condition, or of all conditions."""
        return self._taken(self._all_places, experiment, condition)

    def _taken(
        self, where: dict[tuple[str, str], np.ndarray], experiment: str, condition: str | None
    ) -> pd.DataFrame:
        wanted = (
            places
            for (name, level), places in where.items()
            if name == experiment and condition in (None, level)
        )
        return self.samples.iloc[np.sort(np.concatenate([np.empty(0, int), *wanted]))]

    def trace(self, experiment: str, condition: str) -> Trace | None:
        """Return what the traced run of a condition itself says, or None if there is none."""
        key = f"{experiment}/{condition}/{TRACED}"
        try:
            return self.folder.run(key).trace()
        except (msgspec.DecodeError, RefusedFileError) as error:
            notice = Notice("run-damaged", {"run": key, "file": "heap.json", "message": str(error)})
            if notice not in self._damage:
                self._damage.append(notice)
            return None

    def objects(self, experiment: str, condition: str) -> Objects | None:
        """Return what the traced run of a condition itself tells of Python's objects."""
        return self.folder.run(f"{experiment}/{condition}/{TRACED}").objects()

    def _read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        was_on = gc.isenabled()
        gc.disable()  # what is read has no cycles, and looking costs a fifth of reading
        try:
            return _read_tables(self.folder, self.plan, self._damage)
        finally:
            if was_on:
                gc.enable()


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
            carried = payload_of(folder.report() or b"", str(folder.report_path))
        except StudyError:  # there is none, or of a newer version as well
            raise error from None
        manifest = carried.manifest
        damage = [Notice("manifest-of-report", {"message": str(error)}), *carried.notices]
    return StudyData(folder, manifest, damage)


def complete_samples(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of plain runs that were complete, of `StudyData.runs` and `.samples`."""
    return samples[_is_complete(runs, samples)].reset_index(drop=True)


def complete_by_condition(
    runs: pd.DataFrame, samples: pd.DataFrame
) -> dict[tuple[str, str], np.ndarray]:
    """Return where the samples of `complete_samples` stand, by experiment and condition."""
    places = np.flatnonzero(_is_complete(runs, samples))
    return {
        where: places[rows]
        for where, rows in _by_condition(samples[["experiment", "condition"]].iloc[places]).items()
    }


def _by_condition(samples: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    found: Any = samples.groupby(["experiment", "condition"], sort=False).indices
    return dict(found)


def _is_complete(runs: pd.DataFrame, samples: pd.DataFrame) -> np.ndarray:
    keys = list(KEYS)
    good = runs.loc[
        (runs["outcome"] == "complete") & ~runs["traced"].astype(bool), keys
    ].drop_duplicates()
    kept = samples[keys].merge(good, on=keys, how="left", indicator=True)["_merge"] == "both"
    return kept.to_numpy()


def _read_tables(
    folder: StudyFolder, plan: Plan, damage: list[Notice]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs: list[tuple[Any, ...]] = []
    columns = _Columns()
    for run, result, found, problem in read_runs(folder, plan, damage):
        key = (run.experiment.name, run.level.name, run.repeat, run.traced)
        record = result or RunRecord(outcome="missing", why=problem or Notice("not-ended"))
        runs.append((*key, *(getattr(record, name) for name in _OF_RESULT)))
        columns.add([each for each in found if each.phase not in PHASES_WITHOUT_MEMORY])
    table = pd.DataFrame(runs, columns=[*KEYS, *_OF_RESULT])
    keys = table[list(KEYS)].loc[np.repeat(np.arange(len(runs)), columns.counts)]
    return table, pd.concat([keys.reset_index(drop=True), *columns.tables()], axis=1)


class _Columns:
    """Samples by column, run after run: nearly all are numbers, and of those nothing else is kept.

    ``counts`` says how many samples each run has.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._phases: list[str] = []
        self._files: list[dict[str, float] | None] = []
        self._same_files: dict[int, dict[str, float]] = {}
        self._numbers: list[np.ndarray] = []
        self._named: dict[tuple[str, ...], list[tuple[list[int], np.ndarray]]] = {}
        self._places: dict[str, int] = {}

    def add(self, samples: Sequence[Sample]) -> None:
        """Take the samples of a run."""
        flat = np.fromiter(chain.from_iterable(map(_numbers_of, samples)), float)
        self._put(flat.reshape(-1, len(_NUMBERS)).T)
        found: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
        for row, sample in enumerate(samples, start=len(self._phases)):
            for prefix, given in (("component.", sample.components), ("fact.", sample.facts)):
                if given:  # samples of a run have the same names
                    rows, values = found.setdefault((prefix, *given), ([], []))
                    rows.append(row)
                    values += given.values()
        for (head, *own), (rows, values) in found.items():
            names = [head + name for name in own]
            places = [k for k, name in enumerate(names) if self._has_place(name)]
            if not places:
                continue
            is_number = set(map(type, values)) <= _NUMERIC
            known = values if is_number else [x if type(x) in _NUMERIC else None for x in values]
            table = np.fromiter(known, float).reshape(len(rows), -1).T
            kept = tuple(names[k] for k in places)
            self._named.setdefault(kept, []).append((rows, table[places]))
        self.counts.append(len(samples))
        self._phases += [sample.phase for sample in samples]
        self._files += [self._shared(sample.account_files) for sample in samples]

    def _put(self, numbers: np.ndarray) -> None:
        """Add columns to blocks large enough that each one's memory is given back when it goes."""
        start = len(self._phases)
        while numbers.shape[1]:
            at = start % _BLOCK
            if at == 0:
                self._numbers.append(np.full((len(_NUMBERS), _BLOCK), np.nan))
            part = numbers[:, : _BLOCK - at]
            self._numbers[-1][:, at : at + part.shape[1]] = part
            numbers, start = numbers[:, part.shape[1] :], start + part.shape[1]

    def _shared(self, files: dict[str, float] | None) -> dict[str, float] | None:
        """Return the files that are mapped; most runs map the same, which are held once."""
        if not files:
            return files
        key = hash(tuple(files.items()))
        known = self._same_files.get(key)
        if known != files:
            known = {sys.intern(name): size for name, size in files.items()}
            self._same_files[key] = known
        return known

    def tables(self) -> list[pd.DataFrame]:
        """Return the columns, in tables that stand side by side; what they are made of is freed."""
        told: dict[str, Any] = {"phase": self._phases}
        if any(self._files):
            told["account.files"] = self._files
        named = self._of_names()
        return [pd.DataFrame(told), self._of_numbers(), named]

    def _of_numbers(self) -> pd.DataFrame:
        n_samples = len(self._phases)
        is_known = np.zeros(len(_NUMBERS), dtype=bool)
        for block in self._numbers:
            is_known |= ~np.isnan(block).all(axis=1)
        known = set(compress(_NUMBERS, is_known))
        known.update(_ALWAYS, _TOGETHER if known & {*_TOGETHER} else ())
        shown = [name for name in _NUMBERS if name in known]
        rows = [k for k, name in enumerate(_NUMBERS) if name in known]
        numbers = np.empty((len(rows), n_samples))
        for start in range(0, n_samples, _BLOCK):
            numbers[:, start : start + _BLOCK] = self._numbers.pop(0)[rows, : n_samples - start]
        return pd.DataFrame(numbers.T, columns=shown, copy=False)

    def _has_place(self, name: str) -> bool:
        """Tell whether a fact or component is a column: the first that there are."""
        if name not in self._places and len(self._places) < _MOST_NAMES:
            self._places[name] = len(self._places)
        return name in self._places

    def _of_names(self) -> pd.DataFrame:
        table = np.full((len(self._places), len(self._phases)), np.nan)
        while self._named:
            names, parts = self._named.popitem()
            rows = [row for rows, _ in parts for row in rows]
            values = np.concatenate([values for _, values in parts], axis=1)
            table[np.ix_([self._places[name] for name in names], rows)] = values
        return pd.DataFrame(table.T, columns=list(self._places), copy=False)
