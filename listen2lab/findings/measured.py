"""What each process of a study measured, condition by condition: the material of findings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from listen2lab.account.at_end import level_parts
from listen2lab.findings.conditions import complete_samples
from listen2lab.pipeline.knobs import Knobs, knobs_from
from listen2lab.units import KIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.study.plan import Experiment, Level

__all__ = ["Measured", "Where"]

_LEAST_RUNS = 6
_LEAST_SPREAD_S = 0.2
# Fewer runs of the app's own condition, or all with one length, do not show how the level depends
# on the length.


class Where(NamedTuple):
    """A condition of an experiment."""

    experiment: str
    condition: str

    def __str__(self) -> str:
        return f"{self.experiment} / {self.condition}"


_PREFERRED = (Where("baseline", "app"), Where("stop-release", "app"))


class Measured:
    """One number a process, for every condition; only complete plain runs count.

    Parameters
    ----------
    experiments
        What was planned.
    runs, samples
        `listen2lab.facade.Study.runs` and ``.samples``.
    numbers
        What `listen2lab.findings.conditions.summarize` made of them.
    held
        The largest buffers of traced runs; see `listen2lab.findings.decide.find`.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        runs: pd.DataFrame,
        samples: pd.DataFrame,
        numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
        held: Mapping[tuple[str, str], pd.DataFrame] | None = None,
    ) -> None:
        self.experiments = {item.name: item for item in experiments}
        self.numbers = numbers
        self._held = held or {}
        self._runs = runs[~runs["traced"].astype(bool)]
        usable = complete_samples(runs, samples).sort_values(["repeat", "step"])
        self._none = usable.iloc[:0]
        self._of = {
            (Where(str(name), str(condition)), str(phase)): rows
            for (name, condition, phase), rows in usable.groupby(
                ["experiment", "condition", "phase"]
            )
        }
        self._all = {
            Where(str(name), str(condition)): rows
            for (name, condition), rows in usable.groupby(["experiment", "condition"])
        }
        self._parts: dict[Where, pd.DataFrame] = {}
        self._repeats = {
            where: sorted(map(int, rows["repeat"].unique())) for where, rows in self._all.items()
        }
        self._longest: dict[Where, np.ndarray] = {}
        self._per_second: float | None = None

    def rows(self, where: Where, phase: str = "step") -> pd.DataFrame:
        """Return the samples of a phase in a condition's complete runs, by repeat and step."""
        return self._of.get((where, phase), self._none)

    def all_rows(self, where: Where) -> pd.DataFrame:
        """Return all samples of a condition's complete runs."""
        return self._all.get(where, self._none)

    def parts(self, where: Where) -> pd.DataFrame:
        """Return what makes up each process's level; see `listen2lab.account.at_end`."""
        if where not in self._parts:
            self._parts[where] = level_parts(self.all_rows(where))
        return self._parts[where]

    def has_readings(self, where: Where) -> bool:
        """Return whether mappings were read in a condition's runs; older studies lack it."""
        rows = self.all_rows(where)
        return "account.heap" in rows and bool(rows["account.heap"].notna().any())

    def held(self, where: Where) -> pd.DataFrame | None:
        """Return the largest buffers of a condition's traced run; None where it has none."""
        table = self._held.get(where)
        return None if table is None or table.empty else table

    def at(self, where: Where, phase: str, column: str = "rss") -> np.ndarray:
        """Return a phase's reading of each process that has it, by repeat; shape (repeats,)."""
        rows = self.rows(where, phase)
        return rows[column].dropna().to_numpy(float) if column in rows else np.empty(0)

    def fall(self, where: Where, before: str, after: str, column: str = "rss") -> np.ndarray:
        """Return by how much a quantity fell between two phases of each process."""
        first, last = self.at(where, before, column), self.at(where, after, column)
        return first - last if len(first) == len(last) else np.empty(0)

    def level(self, where: Where) -> np.ndarray:
        """Return each process's resident bytes at the end, collected and trimmed."""
        return self.at(where, "end")

    def peak(self, where: Where) -> np.ndarray:
        """Return the most that was resident within a measured step, by process."""
        return _by_process(self.rows(where)["peak"], self.rows(where), "max")

    def between_steps(self, where: Where) -> np.ndarray:
        """Return each process's mean resident bytes after its measured steps, untrimmed."""
        return _by_process(self.rows(where)["rss"], self.rows(where), "mean")

    def given_by_trim(self, where: Where) -> np.ndarray:
        """Return by how much collecting and trimming lowers each process after its last step."""
        last = _by_process(self.rows(where)["rss"], self.rows(where), "last")
        levels = self.level(where)
        return last - levels if len(last) == len(levels) else np.empty(0)

    def longest_s(self, where: Where) -> np.ndarray:
        """Return the seconds of the longest stretch that each process made in one go."""
        if where not in self._longest:
            phases = [self.rows(where, phase) for phase in ("warmup", "step")]
            spoken = pd.concat([rows for rows in phases if len(rows)] or [self._none])
            self._longest[where] = _by_process(spoken["size"], spoken, "max")
        return self._longest[where]

    def component(self, where: Where, *names: str, largest: bool = False) -> np.ndarray:
        """Return bytes that the pipeline knows it holds, by process.

        Parameters
        ----------
        where
            The condition.
        *names
            Components to add up.
        largest
            The largest after any measured step, instead of those at the end.
        """
        chosen = self.rows(where, "step" if largest else "end")
        columns = [f"component.{name}" for name in names if f"component.{name}" in chosen]
        return _by_process(chosen[columns].sum(axis=1), chosen, "max")

    def n_read(self, where: Where) -> float:
        """Return how many paragraphs a process read, warm-up included, on average."""
        n_read = sum(float(self.rows(where, phase)["steps"].sum()) for phase in ("warmup", "step"))
        return max(n_read, 1.0) / max(len(self._repeats.get(where, ())), 1)

    def steps(self, where: Where) -> int:
        """Return how many steps a process measured."""
        return int(self.numbers.get(where.experiment, {}).get(where.condition, {}).get("steps", 0))

    def verdict(self, where: Where) -> str | None:
        """Return the verdict on a condition's memory; None where no run is complete.

        A condition is called a leak too where only live objects grow, too little to show in
        resident memory. That cannot be what fills it, so here the verdict is anonymous memory's
        own; `also_grows` tells the rest.
        """
        if where not in self._repeats:
            return None
        numbers = self.numbers[where.experiment][where.condition]
        if self.also_grows(where) is not None:
            return str(numbers["quantities"]["anonymous"]["verdict"])
        return str(numbers["verdict"])

    def also_grows(self, where: Where) -> str | None:
        """Say which live objects grow without showing in resident memory; None if none do."""
        if where not in self._repeats:
            return None
        numbers = self.numbers[where.experiment][where.condition]
        found = numbers.get("quantities", {})
        if numbers["verdict"] != "leak" or found.get("anonymous", {}).get("verdict") == "leak":
            return None
        grown = {name: each["rate_per_step"] for name, each in found.items()
                 if each["verdict"] == "leak"}  # fmt: skip
        said = []
        if grown.get("python_blocks") is not None:
            said.append(f"{grown['python_blocks']:,.0f} small Python objects")
        if grown.get("in_use") is not None:
            said.append(f"{grown['in_use'] / KIB:,.1f} KiB that malloc counts")
        return " and ".join(said) or None

    def keys(self, *wheres: Where) -> tuple[str, ...]:
        """Return the complete runs of conditions, as ``experiment/condition/repeat``."""
        return tuple(
            f"{where.experiment}/{where.condition}/{repeat:02d}"
            for where in wheres
            for repeat in self._repeats.get(where, ())
        )

    def app(self) -> list[Where]:
        """Return the conditions that are the app's own, on the study's own texts."""
        return [
            Where(item.name, level.name)
            for item in self.experiments.values()
            for level in item.levels
            if _is_app(item, level) and Where(item.name, level.name) in self._repeats
        ]

    def reference(self) -> Where | None:
        """Return the app's own condition that the level is told of; None without a run of it."""
        app = self.app()
        return next((where for where in _PREFERRED if where in app), next(iter(app), None))

    def deciding(self) -> Where | None:
        """Return the app's own condition whose verdict counts: the baseline's if it decides.

        Else the first with the verdict that most of the others have; None where none decides.
        """
        decided = [where for where in self.app() if self.verdict(where) != "inconclusive"]
        if not decided:
            return None
        counts = Counter(self.verdict(where) for where in decided)
        return max(
            decided,
            key=lambda where: (where.experiment == "baseline", counts[self.verdict(where)]),
        )

    @property
    def bytes_per_second(self) -> float:
        """How much the level rises with each second of the longest stretch; 0 if not known.

        From the runs of the app's own condition, which differ by what durations were drawn. Levels
        of other conditions that keep a session are compared at the same length by it, so that the
        luck of the draw does not hide a small difference.
        """
        if self._per_second is None:
            self._per_second = self._fit()
        return self._per_second

    def level_at_same_length(self, where: Where) -> np.ndarray:
        """Return the levels, less what a longer or shorter draw of the longest stretch adds."""
        levels, longest = self.level(where), self.longest_s(where)
        if not self.bytes_per_second or len(levels) != len(longest):
            return levels
        return levels - self.bytes_per_second * (longest - self._typical_s)

    def _fit(self) -> float:
        pairs = [
            (self.longest_s(where), self.level(where))
            for where in self.app()
            if len(self.longest_s(where)) == len(self.level(where))
        ]
        if not pairs:
            return 0.0
        seconds, levels = (np.concatenate(each) for each in zip(*pairs, strict=True))
        if len(seconds) < _LEAST_RUNS or np.ptp(seconds) < _LEAST_SPREAD_S:
            return 0.0
        self._typical_s = float(np.median(seconds))
        fit = stats.linregress(seconds, levels)
        return float(fit.slope) if fit.slope > 0 and fit.pvalue < 0.01 else 0.0

    def lack(self, *wheres: Where, needed: int = 2) -> str | None:
        """Say what is missing to compare these conditions, or None when nothing is.

        Parameters
        ----------
        *wheres
            The conditions.
        needed
            Complete runs that each of them needs.
        """
        for where in wheres:
            name, condition = where
            if name not in self.experiments:
                return (
                    f"The experiment {name} is not in this study: `listen2lab run {name}` "
                    "would decide it."
                )
            if condition not in {level.name for level in self.experiments[name].levels}:
                return (
                    f"{name} was run without its condition {condition}: `listen2lab run {name}` "
                    "runs them all."
                )
            mine = self._runs[
                (self._runs["experiment"] == name) & (self._runs["condition"] == condition)
            ]
            n_complete = len(self.level(where))
            if n_complete >= needed:
                continue
            counts = mine.loc[mine["outcome"] != "complete", "outcome"].value_counts()
            others = ", ".join(f"{k} {outcome}" for outcome, k in counts.items())
            ended = f" ({others})" if others else ""
            if set(counts.index) == {"missing"}:
                return f"{where} has {n_complete} complete runs so far{ended}: resume the study."
            if n_complete == 0:
                return f"No run of {where} is complete{ended}."
            return (
                f"{where} has one complete run{ended}, and one run gives no interval: "
                f"`listen2lab run {name} --repeats 3`."
            )
        return None


def _by_process(values: pd.Series[Any], rows: pd.DataFrame, how: str) -> np.ndarray:
    """Reduce values to one a process, by repeat; processes without any are left out."""
    return values.groupby(rows["repeat"]).agg(how).dropna().to_numpy(float)


def _is_app(item: Experiment, level: Level) -> bool:
    is_shortened = item.max_characters is not None or item.longest_characters is not None
    return not is_shortened and knobs_from(item.settings(level)) == Knobs()
