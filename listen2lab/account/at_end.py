"""What makes up memory at the end of a run: the account's categories, in few groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

from listen2lab.account.categories import UNACCOUNTED, account, categories, is_from_outside

__all__ = ["GROUPS", "LOADED", "UNACCOUNTED", "end_parts"]

GROUPS: dict[str, tuple[str, ...]] = {
    "code and libraries": ("files", "library_data", "stacks"),
    "Python": ("python", "python_kept"),
    "models as loaded": ("engine_weights",),
    "engine arena": ("engine_arena_in_use", "engine_arena_idle"),
    "audio": ("audio_cache", "player"),
    "alignments": ("alignments", "service_cache", "trellis"),
    "native in use": ("native_in_use",),
    "native kept free": ("native_kept",),
    "instrument": ("instrument",),
}
"""Group to the categories that it adds up; each category of an account is in one of them, but for
what is unaccounted and what a workload of one's own names."""

LOADED = ("code and libraries", "Python", "models as loaded", "instrument")
"""The groups that are there before anything is spoken."""


def end_parts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return what makes up each run's resident memory at the end, collected and trimmed.

    One row a run that reached its end, in the order of the samples (steps are not needed); one
    column a group of `GROUPS` that holds anything, one for each further component that a workload
    names, and `UNACCOUNTED`: bytes, which add up to it. Empty where anonymous memory was not read,
    or a program only seen from outside.
    """
    between = samples[~samples["phase"].isin(["warmup", "step"])]
    ends = between[between["phase"] == "end"]
    is_told = "anonymous" in ends and ends["anonymous"].notna().all()
    if ends.empty or not is_told or is_from_outside(between):
        return pd.DataFrame()
    table = account(between, between_phases=True)
    names = categories(table)
    at_end = table.loc[table["phase"] == "end", names].to_numpy(float)
    column = dict(zip(names, at_end.T, strict=True))
    found = {name: sum(map(column.pop, group)) for name, group in GROUPS.items()}
    held = {name: values for name, values in found.items() if np.any(values)}
    return pd.DataFrame({**held, **column})  # what is left: a workload's own, and unaccounted
