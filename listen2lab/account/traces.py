"""The traced run that tells of a condition: its own, or that of the same condition elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from listen2lab.errors import ProbeError, RefusedFileError
from listen2lab.notice import Notice
from listen2lab.study.trace_records import Trace

if TYPE_CHECKING:
    from listen2lab.study.data import StudyData
    from listen2lab.study.folder import RunFolder

__all__ = ["NOT_FREED", "PEAK", "Reducer", "trace_of", "traced_run"]

PEAK, NOT_FREED = "peak", "not-freed"
"""Moments of a trace: the heap's peak, and what was live where the recording ended."""

Reducer: TypeAlias = Callable[[str, Sequence[tuple[str, float]]], dict[str, Any]]
"""`listen2lab.probes.tracing.reduce_capture`: reads the capture of a run that was killed."""


def traced_run(study: StudyData, experiment: str, condition: str) -> RunFolder:
    """Return the folder of a condition's traced run; conditions that are the same share one.

    Its own if no other is to be had; it may not exist.
    """
    folders = [study.folder.run(key) for key in study.traced_keys(experiment, condition)]
    own, *others = folders
    return own if own.path.exists() or not others else others[0]


def trace_of(
    study: StudyData, experiment: str, condition: str, reduce: Reducer | None = None
) -> tuple[Trace | None, list[Notice]]:
    """Return the trace of a condition (None without a usable one), and what it cannot tell.

    ``reduce`` reads the capture of a run that was killed before it reduced its own. The notes are
    ``trace-damaged``, ``not-traced``, ``traced-elsewhere``, ``capture-read-now``,
    ``capture-unreadable``, and what the reduction noted.
    """
    folder = traced_run(study, experiment, condition)
    notes: list[Notice] = []
    try:
        trace = folder.trace()
    except (msgspec.DecodeError, RefusedFileError) as error:
        where = {"experiment": experiment, "condition": condition}
        return None, [Notice("trace-damaged", {"run": folder.key, "message": str(error), **where})]
    if trace is None and reduce is not None and folder.has_capture():
        trace, notes = _read_now(folder, reduce)
    elif trace is None:
        code = "not-traced" if study.manifest.inputs.is_pipeline else "not-traced-workload"
        notes = [Notice(code, {"experiment": experiment, "condition": condition})]
    if trace is None:
        return None, notes
    if not folder.key.startswith(f"{experiment}/{condition}/"):
        notes.append(Notice("traced-elsewhere", {"run": folder.key}))
    return trace, [*notes, *trace.notes]


def _read_now(folder: RunFolder, reduce: Reducer) -> tuple[Trace | None, list[Notice]]:
    """Reduce the capture of a run that was killed; it is kept in memory alone."""
    marks = [
        (f"step {sample.step:.0f}", sample.epoch_s)
        for sample in folder.samples()
        if sample.epoch_s is not None and sample.step is not None
    ]
    try:
        trace = msgspec.convert(reduce(str(folder.capture_path), marks), Trace)
    except ProbeError as error:
        return None, [Notice("capture-unreadable", {"run": folder.key, "message": str(error)})]
    # It never came to its teardown: what is live where it ends is not what it failed to free.
    moments = tuple(moment for moment in trace.moments if moment.name != NOT_FREED)
    return replace(trace, moments=moments), [Notice("capture-read-now", {"run": folder.key})]
