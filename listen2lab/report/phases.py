"""What an experiment does after its steps, phase by phase: stop, drop the session, trim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.conditions import complete_samples
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.facade import Study

__all__ = ["PHASES", "phase_rows", "phase_table"]

PHASES = {
    "setup": "models loaded, nothing read yet",
    "end": "after the last step, collected and trimmed",
    "stopped": "reading stopped, its caches cleared",
    "session-dropped": "the engine's session dropped",
    "trimmed": "free pages given back (malloc_trim)",
    "created-again": "a new session made",
    "released": "everything dropped, collected and trimmed",
}
"""Phases of a run, and what was done just before each reading."""

_COLUMNS = ("rss", "private_dirty", "in_use")


def phase_table(study: Study, experiment: str, condition: str) -> pd.DataFrame | None:
    """Return what is held after each phase, as the mean of a condition's repeats.

    Parameters
    ----------
    study, experiment, condition
        Which.

    Returns
    -------
    DataFrame or None
        By phase, in order: ``rss``, ``private_dirty`` and ``in_use`` in bytes; a quantity that was
        not measured is missing. None for an experiment without phases of its own, or without runs.
    """
    (item,) = (each for each in study.plan.experiments if each.name == experiment)
    samples = complete_samples(study.runs, study.samples)
    mine = samples[(samples["experiment"] == experiment) & (samples["condition"] == condition)]
    if not item.phases or mine.empty:
        return None
    order = ["setup", "end", *item.phases, "released"]
    means = mine[mine["phase"].isin(order)].groupby("phase")[list(_COLUMNS)].mean()
    return means.reindex([phase for phase in order if phase in means.index])


def phase_rows(table: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    """Return a table of phases as rows for a page: phase, resident, private dirty, in use, in MiB.

    Parameters
    ----------
    table
        See `phase_table`.
    """
    return [
        (str(phase), resident / MIB, dirty / MIB, in_use / MIB)
        for phase, (resident, dirty, in_use) in zip(
            table.index, table[list(_COLUMNS)].to_numpy(float).tolist(), strict=True
        )
    ]
