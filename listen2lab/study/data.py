"""A study's data, read once: manifest, runs, samples, traces. What a study means lies above."""

from __future__ import annotations

import gc
from functools import cached_property
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

_OF_RESULT = (
    *("outcome", "why", "message", "wall_s", "pressure_s", "peak_rss", "last_step", "machine"),
)
_ALWAYS = (
    *("phase", "step", "t", "wall_s", "cpu_s", *BYTES),
    *("size", "gc_found", "gc_freed", "python_blocks"),
)
_NOT_COLUMNS = ("gaps", "python", "pid", "error", "type")
_MOST_NAMES = 300
"""The most facts, and components, that become columns: each has a place in every sample's row."""

_TOGETHER = tuple(
    f"account.{kind}" for kind in ("file", "data", "stack", "heap", "mapped", "shared", "other")
)
"""Columns that are read together: where there is one of them, there are all."""

_NESTED = {"components": "component.", "facts": "fact."}


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
        runs.append((*key, *(getattr(record, name) for name in _OF_RESULT)))
        kept = [sample for sample in found if sample.phase not in PHASES_WITHOUT_MEMORY]
        samples += kept
        keys += [key] * len(kept)
    return pd.DataFrame(runs, columns=[*KEYS, *_OF_RESULT]), _sample_frame(keys, samples)


def _sample_frame(keys: list[tuple[str, str, int, bool]], samples: list[Sample]) -> pd.DataFrame:
    """Return samples as a table, by column: nearly all of them are numbers."""
    names = [field.encode_name for field in msgspec.structs.fields(Sample)]
    values = list(zip(*map(msgspec.structs.astuple, samples), strict=True))
    columns: dict[str, Any] = dict.fromkeys(_ALWAYS)
    for name, given in zip(names, values or [()] * len(names), strict=True):
        if prefix := _NESTED.get(name):
            held = [each or {} for each in given]
            for key in _names(held):
                columns[prefix + key] = _column([each.get(key) for each in held])
        elif name not in _NOT_COLUMNS:
            columns[name] = _column(given)
    nothing = np.full(len(samples), np.nan)
    is_walked = any(columns.get(name) is not None for name in _TOGETHER)
    shown = {
        name: nothing if column is None else column
        for name, column in columns.items()
        if column is not None or name in _ALWAYS or (is_walked and name in _TOGETHER)
    }
    frame = pd.DataFrame(keys, columns=list(KEYS))
    return pd.concat([frame, pd.DataFrame(shown, index=frame.index)], axis=1)


def _names(given: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names that stand in some of the dictionaries, and no more than there may be."""
    found: dict[str, None] = {}
    for names in dict.fromkeys(map(tuple, given)):  # samples of a run have the same
        found.update(dict.fromkeys(names))
        if len(found) > _MOST_NAMES:
            break
    return list(found)[:_MOST_NAMES]


def _column(given: Sequence[Any]) -> Any:
    """Return a column: numbers as an array, None where there is no value at all."""
    kinds = set(map(type, given)) - {type(None)}
    if not kinds:
        return None
    is_number = kinds <= {int, float}
    return np.array(given, dtype=float) if is_number else list(given)  # None becomes NaN


def traced_keys(plan: Plan, experiment: str, condition: str) -> list[str]:
    """Return the keys of the traced runs that tell of a condition: its own, then of the same."""
    conditions = {
        (item.name, level.name): plan.condition(item, level)
        for item in plan.experiments
        for level in item.levels
    }
    wanted = conditions.get((experiment, condition))
    same = [
        run.key
        for run in schedule(plan)
        if run.traced and conditions[run.experiment.name, run.level.name] == wanted
    ]
    return list(dict.fromkeys([f"{experiment}/{condition}/{TRACED}", *same]))
