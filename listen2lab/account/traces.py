"""The traced run that tells of a condition: its own, or that of the same condition elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.errors import ProbeError
from listen2lab.study.plan import TRACED, schedule

if TYPE_CHECKING:
    from listen2lab.facade import Study
    from listen2lab.study.folder import RunFolder

__all__ = ["how_to_trace", "trace_of", "traced_run"]


def traced_run(study: Study, experiment: str, condition: str) -> RunFolder:
    """Return the folder of a condition's traced run; conditions that are the same share one.

    Parameters
    ----------
    study, experiment, condition
        Which.

    Returns
    -------
    RunFolder
        Of its own traced run if no other is to be had; it may not exist.
    """
    own = study.folder.run(f"{experiment}/{condition}/{TRACED}")
    if own.path.exists():
        return own
    plan = study.plan
    wanted = {
        plan.condition(item, level)
        for item in plan.experiments
        for level in item.levels
        if (item.name, level.name) == (experiment, condition)
    }
    for run in schedule(plan):
        if run.traced and plan.condition(run.experiment, run.level) in wanted:
            return study.folder.run(run.key)
    return own


def trace_of(
    study: Study, experiment: str, condition: str, notes: list[str]
) -> dict[str, Any] | None:
    """Return the reduced trace of a condition; a killed run's capture is reduced now.

    Parameters
    ----------
    study, experiment, condition
        Which.
    notes
        Sentences about what the trace cannot tell are added here.

    Returns
    -------
    dict or None
        See `listen2lab.probes.tracing.reduce_capture`; None without a usable trace.
    """
    folder = traced_run(study, experiment, condition)
    key = f"{experiment}/{condition}"
    try:
        heap = _sound(folder.heap())
    except ValueError as error:
        notes.append(
            f"{folder.key}: heap.json is damaged ({error}); it is left out. "
            f"{how_to_trace(study, experiment, condition)} traces the condition again."
        )
        return None
    if heap is None and folder.capture_path.exists():
        heap = _read_now(folder, notes)
    elif heap is None:
        notes.append(
            f"{key} has no traced run: who allocated is not known. "
            f"{how_to_trace(study, experiment, condition)} traces it."
        )
    if heap is not None:
        if folder.key != f"{key}/{TRACED}":
            notes.append(f"Traced as {folder.key}, which is the same condition.")
        notes += [n if isinstance(n, str) else str(n["code"]) for n in heap.get("notes", [])]
    return heap


def how_to_trace(study: Study, experiment: str, condition: str) -> str:
    """Return the command that traces a condition."""
    if "workload" in study.manifest["inputs"]:
        return "`listen2lab watch FILE --trace`"
    return f"`listen2lab run {experiment} --levels {condition}`"


def _sound(heap: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a reduced trace if it has what readers look for; ValueError if not."""
    for moment in (heap or {}).get("moments", ()):
        if not isinstance(moment, dict) or not {"name", "bytes", "rows", "rest"} <= set(moment):
            raise ValueError("a moment lacks its name, bytes or rows")
    return heap


def _read_now(folder: RunFolder, notes: list[str]) -> dict[str, Any] | None:
    """Reduce the capture of a run that was killed; it is kept in memory alone."""
    from listen2lab.probes.tracing import reduce_capture  # noqa: PLC0415 - memray, where needed

    marks = [
        (f"step {line['step']}", float(line["epoch_s"]))
        for line in folder.lines()
        if "epoch_s" in line
    ]
    try:
        heap = reduce_capture(str(folder.capture_path), marks)
    except ProbeError as error:
        notes.append(f"{folder.key}: {error}")
        return None
    # It never came to its teardown: what is live where it ends is not what it failed to free.
    heap["moments"] = [moment for moment in heap["moments"] if moment["name"] != "not-freed"]
    notes.append("The traced run did not reach its end; its capture was read just now.")
    return heap
