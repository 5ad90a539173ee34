"""What a run says against its own evidence: from a table of steps to the codes of `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.audit import audit
from listen2lab.verdict.together import Cache

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.verdict.reasons import Reason

__all__ = ["against", "caches", "rows"]

_WORK = ("fact.work_done", "fact.made_s")
# What a step's facts may say that it did; the pipeline's are the seconds of speech that were made.

_HELD_BY = {"cache": ("audio_cache", "alignments"), "service": ("service_cache",)}
# The pipeline's caches: the facts' name, and the components that are theirs.


def against(steps: pd.DataFrame, runs: pd.DataFrame) -> tuple[Reason, ...]:
    """Return the codes that withdraw whatever the series of one condition say.

    Of the measured steps of its complete plain runs, and these runs.
    """
    if steps.empty:
        return audit(steps_done=0)
    failed = steps.get("fact.failed")
    work = next((rows(steps, name) for name in _WORK if name in steps), None)
    stalled = runs["pressure_s"].astype(float) > limits.PRESSURE_SHARE * runs["wall_s"].astype(
        float
    )
    return audit(
        steps_done=len(steps),
        steps_failed=0 if failed is None else int(failed.fillna(value=0).astype(bool).sum()),
        work_done=work,
        swapped=rows(steps, "swap"),
        pressure=bool(stalled.any()),
        sizes=rows(steps, "size"),
    )


def caches(steps: pd.DataFrame) -> list[Cache]:
    """Return the bounded caches that a workload's steps tell of.

    A cache NAME is known by the facts ``NAME_entries`` and ``NAME_capacity``, and by the bytes of
    its component.
    """
    found = []
    for name in steps.columns.astype(str).str.extract(r"^fact\.(.*)_entries$")[0].dropna():
        entries, capacities = (rows(steps, f"fact.{name}_{x}") for x in ("entries", "capacity"))
        if entries is None or capacities is None:
            continue
        held = float(np.median([row[-1] for row in entries]))
        parts = [rows(steps, f"component.{each}") for each in _HELD_BY.get(name, (name,))]
        found += [Cache(held, capacities[0][-1], part) for part in parts if part is not None]
    return found


def rows(steps: pd.DataFrame, column: str) -> list[Any] | None:
    """Return a column as one array a repeat, or None where a sample lacks it."""
    if steps.empty or column not in steps or steps[column].isna().any():
        return None
    return [group[column].to_numpy(float) for _, group in steps.groupby("repeat")]
