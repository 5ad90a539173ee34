"""What makes up the level in which a run ends: the account's categories, in few groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from listen2lab.account.categories import account, categories

__all__ = ["GROUPS", "LOADED", "UNACCOUNTED", "Group", "end_parts"]


class Group(NamedTuple):
    """Some categories under one name.

    Attributes
    ----------
    label
        What they are, as it stands after "are" in a sentence.
    categories
        Of `listen2lab.account.categories.METHODS`.
    how
        How they are measured, in a few words.
    """

    label: str
    categories: tuple[str, ...]
    how: str


GROUPS: dict[str, Group] = {
    "code and libraries": Group(
        "code and libraries",
        ("files", "library_data", "stacks"),
        "pages of mapped files, libraries' own data and stacks",
    ),
    "Python": Group(
        "Python's objects",
        ("python", "python_kept"),
        "the interpreter's arenas: what it has handed out, and what it keeps free",
    ),
    "models as loaded": Group(
        "models as loaded",
        ("engine_weights",),
        "what setup added to malloc's live bytes",
    ),
    "engine arena": Group(
        "held by the engine for the longest sentence",
        ("engine_arena_in_use", "engine_arena_idle"),
        "blocks of ONNX Runtime's arena that came after setup (estimated, by their sizes)",
    ),
    "audio": Group(
        "audio in the cache and the player",
        ("audio_cache", "player"),
        "counted by the pipeline",
    ),
    "alignments": Group(
        "alignments",
        ("alignments", "service_cache", "trellis"),
        "counted by the pipeline",
    ),
    "native in use": Group(
        "native, in use by others",
        ("native_in_use",),
        "malloc's live bytes less all that is named here",
    ),
    "native kept free": Group(
        "native, kept free",
        ("native_kept",),
        "resident pages of malloc's heap less its live bytes, after a trim",
    ),
    "instrument": Group(
        "the instrument",
        ("instrument",),
        "what the lab's own code had added to bare Python",
    ),
}
"""Groups by a short name, which tables use; each category of an account is in one of them, but for
``unaccounted`` and what a workload of one's own names."""

LOADED = ("code and libraries", "Python", "models as loaded", "instrument")
"""The groups that are there before anything is spoken."""

UNACCOUNTED = "unaccounted"


def end_parts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return what makes up each run's level: resident memory at the end, collected and trimmed.

    Parameters
    ----------
    samples
        As for `listen2lab.account.categories.account`; steps are not needed.

    Returns
    -------
    DataFrame
        One row a run that reached its end, in the order of the samples; one column a group of
        `GROUPS` that holds anything, one for each further component that a workload names, and
        `UNACCOUNTED`: bytes, which add up to the level. Empty where anonymous memory was not read.
    """
    between = samples[~samples["phase"].isin(["warmup", "step"])]
    ends = between[between["phase"] == "end"]
    if ends.empty or "anonymous" not in ends or ends["anonymous"].isna().any():
        return pd.DataFrame()
    table = account(between, levels=True)
    names = categories(table)
    at_end = table.loc[table["phase"] == "end", names].to_numpy(float)
    column = {name: at_end[:, k] for k, name in enumerate(names)}
    found = {
        name: sum(column.pop(category) for category in group.categories)
        for name, group in GROUPS.items()
    }
    held = {name: values for name, values in found.items() if np.any(values)}
    return pd.DataFrame({**held, **column})  # what is left: a workload's own, and unaccounted
