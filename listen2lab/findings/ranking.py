"""What makes up the app's level, the largest part first; the parts add up to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from listen2lab.account.at_end import GROUPS, LOADED, UNACCOUNTED
from listen2lab.account.categories import cannot_tell
from listen2lab.findings.effects import average
from listen2lab.findings.measured import Measured
from listen2lab.units import mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import pandas as pd

    from listen2lab.findings.measured import Where
    from listen2lab.study.plan import Experiment

__all__ = ["Part", "Ranking", "rank"]

_WITHOUT_READINGS = {
    "code and libraries": "pages of mapped files",
    "Python": "what the imports allocated, and not malloc",
    "engine arena": "all that steps added to malloc's live bytes",
}
# How an older study's groups were measured, which has no readings of mappings.


@dataclass(frozen=True)
class Part:
    """A part of the level.

    Attributes
    ----------
    name
        What it is, as it stands after "are" in a sentence.
    mib
        How much, on average over the processes. What is unaccounted may be a little negative: two
        numbers are not read in the same instant.
    how
        How it was measured.
    is_loaded
        Whether it is there before anything is spoken.
    """

    name: str
    mib: float
    how: str
    is_loaded: bool = False


@dataclass(frozen=True)
class Ranking:
    """The parts of the app's level.

    Attributes
    ----------
    where
        The condition whose level it is.
    level_mib, anonymous_mib
        Resident and anonymous memory at the end.
    parts
        The largest first, what is unaccounted last.
    notes
        What the account of this study cannot tell, in sentences.
    """

    where: Where
    level_mib: float
    anonymous_mib: float
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def rank(
    experiments: Sequence[Experiment],
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> Ranking | None:
    """Rank what consumes the memory at the app's level, by the account of its runs.

    Parameters
    ----------
    experiments, runs, samples, numbers
        As for `listen2lab.findings.decide.find`.

    Returns
    -------
    Ranking or None
        None where the app's own condition has no complete run, or its runs lack a reading.
    """
    m = Measured(experiments, runs, samples, numbers)
    where = m.reference()
    if where is None:
        return None
    held = m.parts(where)
    if held.empty:
        return None
    means = held.mean()
    known = []
    for name in means.index.drop(UNACCOUNTED):
        group = GROUPS.get(str(name))
        label, how = (str(name), "counted by the workload") if group is None else group[::2]
        if not m.has_readings(where):
            how = _WITHOUT_READINGS.get(str(name), how)
        known.append(Part(label, mib(float(means[name])), how, name in LOADED))
    known.sort(key=lambda part: -part.mib)
    rest = Part(UNACCOUNTED, mib(float(means[UNACCOUNTED])), "the level less all of the above")
    return Ranking(
        where,
        mib(average(m.level(where))),
        mib(average(m.at(where, "end", "anonymous"))),
        (*known, rest),
        tuple(cannot_tell(m.all_rows(where))),
    )
