"""What each condition comes to at its worst: highest level and highest peak of its repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.findings.measured import Measured, Where
from listen2lab.pipeline.knobs import Knobs, knobs_from
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from listen2lab.study.plan import Experiment

__all__ = ["Outcome", "outcomes"]


@dataclass(frozen=True)
class Outcome:
    """A condition at its worst.

    Attributes
    ----------
    where
        The condition.
    knobs
        Where it differs from the app.
    level_mib, peak_mib
        The highest of its repeats; None where none is complete, or the system tells no peak.
    n_complete, n_lost
        Runs that were complete, and runs that were killed, crashed, or hung.
    """

    where: Where
    knobs: dict[str, Any]
    level_mib: float | None
    peak_mib: float | None
    n_complete: int
    n_lost: int

    def is_under(self, limit: float, *, peak: bool = True) -> bool:
        """Return whether every repeat stayed under a limit, in bytes; a lost run did not.

        Parameters
        ----------
        limit
            Bytes.
        peak
            Whether the peaks must stay under it too.
        """
        numbers = (self.level_mib, self.peak_mib) if peak else (self.level_mib,)
        return not self.n_lost and all(x is not None and x * MIB < limit for x in numbers)


def outcomes(
    experiments: Sequence[Experiment],
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[Outcome]:
    """Return the worst of each condition that reads the study's own texts.

    Parameters
    ----------
    experiments, runs, samples, numbers
        As for `listen2lab.findings.decide.find`.

    Returns
    -------
    list of Outcome
        In the plan's order. Experiments with texts of their own are left out: their levels say
        nothing about the others'.
    """
    measured = Measured(experiments, runs, samples, numbers)
    app = Knobs()._asdict()
    found = []
    for item in experiments:
        if item.max_characters is not None or item.longest_characters is not None:
            continue
        for level in item.levels:
            where = Where(item.name, level.name)
            ended = numbers[item.name][level.name]["runs"]
            levels, peaks = measured.level(where), measured.peak(where)
            knobs = knobs_from(item.settings(level))._asdict()
            found.append(
                Outcome(
                    where,
                    {name: value for name, value in knobs.items() if value != app[name]},
                    mib(levels.max()) if len(levels) else None,
                    mib(peaks.max()) if len(peaks) else None,
                    ended["complete"],
                    ended["killed"] + ended["crashed"] + ended["timed-out"],
                )
            )
    return found
