"""What each process of a study measured, condition by condition: the material of findings."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.account.at_end import end_parts
from listen2lab.findings.records import Where
from listen2lab.notice import Notice
from listen2lab.study.data import complete_by_condition
from listen2lab.verdict.student import line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from listen2lab.findings.records import ConditionNumbers, VerdictName
    from listen2lab.notice import Value
    from listen2lab.study.plan import Experiment

__all__ = ["LACKS", "Measured"]

_LEAST_RUNS = 6
_LEAST_SPREAD_S = 0.2
# Fewer runs of the app's own condition, or all with one length, do not show how memory at the end
# depends on the length.


_PREFERRED = (Where("baseline", "app"), Where("stop-release", "app"))


class Measured:
    """One number a process, for every condition; only complete plain runs count.

    ``numbers`` are what `listen2lab.findings.conditions.numbers_of` made of runs and samples, and
    ``held`` the largest buffers of the traced runs that there are: `listen2lab.account.attribute`.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        runs: pd.DataFrame,
        samples: pd.DataFrame,
        numbers: Mapping[str, Mapping[str, ConditionNumbers]],
        held: Mapping[Where, pd.DataFrame] | None = None,
    ) -> None:
        self.experiments = {item.name: item for item in experiments}
        self.numbers = numbers
        self._held = held or {}
        self._runs = runs[~runs["traced"].astype(bool)]
        self._samples = samples
        repeat, step = (samples[name].to_numpy(float) for name in ("repeat", "step"))
        self._places = {
            Where(*map(str, where)): places[np.lexsort((step[places], repeat[places]))]
            for where, places in complete_by_condition(runs, samples).items()
        }
        self._repeats = {
            where: sorted(map(int, set(repeat[places]))) for where, places in self._places.items()
        }

    def rows(self, where: Where, phase: str = "step") -> pd.DataFrame:
        """Return the samples of a phase in a condition's complete runs, by repeat and step."""
        places = self._places.get(where, np.empty(0, int))
        is_wanted = self._samples["phase"].iloc[places] == phase
        return self._samples.iloc[places[is_wanted.to_numpy()]]

    def all_rows(self, where: Where) -> pd.DataFrame:
        """Return all samples of a condition's complete runs."""
        return self._samples.iloc[self._places.get(where, [])]

    def parts(self, where: Where) -> pd.DataFrame:
        """Return what makes up each process's memory at its end: `listen2lab.account.at_end`."""
        return end_parts(self.all_rows(where))

    def has_readings(self, where: Where) -> bool:
        """Return whether mappings were read in a condition's runs."""
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

    def end(self, where: Where) -> np.ndarray:
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
        ends = self.end(where)
        return last - ends if len(last) == len(ends) else np.empty(0)

    def longest_s(self, where: Where) -> np.ndarray:
        """Return the seconds of the longest stretch that each process made in one go."""
        rows = self.all_rows(where)
        spoken = rows[rows["phase"].isin(["warmup", "step"])]
        return _by_process(spoken["size"], spoken, "max")

    def component(self, where: Where, *names: str, largest: bool = False) -> np.ndarray:
        """Return bytes that the pipeline knows it holds, by process: of some components together.

        ``largest``: the most after any measured step, instead of those at the end.
        """
        chosen = self.rows(where, "step" if largest else "end")
        columns = [f"component.{name}" for name in names if f"component.{name}" in chosen]
        return _by_process(chosen[columns].sum(axis=1), chosen, "max")

    def held_in_app(self, *names: str) -> float | None:
        """Return what components hold at the end of the app's own condition; None: not known."""
        where = self.reference()
        held = np.empty(0) if where is None else self.component(where, *names)
        return float(held.mean()) if len(held) else None

    def n_read(self, where: Where) -> float:
        """Return how many paragraphs a process read, warm-up included, on average."""
        n_read = sum(float(self.rows(where, phase)["steps"].sum()) for phase in ("warmup", "step"))
        return max(n_read, 1.0) / max(len(self._repeats.get(where, ())), 1)

    def steps(self, where: Where) -> int:
        """Return how many steps a process measured."""
        numbers = self.of(where)
        return 0 if numbers is None else numbers.steps

    def of(self, where: Where) -> ConditionNumbers | None:
        """Return the numbers of a condition; None where it is not in the study."""
        return self.numbers.get(where.experiment, {}).get(where.condition)

    def verdict(self, where: Where) -> VerdictName | None:
        """Return the verdict on a condition's memory; None where no run is complete.

        A condition is called a leak too where only live objects grow, too little to show in
        resident memory. That cannot be what fills it, so here the verdict is anonymous memory's
        own; `also_grows` tells the rest.
        """
        numbers = self.of(where)
        if where not in self._repeats or numbers is None:
            return None
        if self.also_grows(where) is not None:
            return numbers.quantities["anonymous"].verdict
        return numbers.verdict

    def also_grows(self, where: Where) -> Notice | None:
        """Return which live objects grow without showing in resident memory; None if none do."""
        numbers = self.of(where)
        if where not in self._repeats or numbers is None or numbers.verdict != "leak":
            return None
        leaking = {
            name: each.rate_per_step
            for name, each in numbers.quantities.items()
            if each.verdict == "leak"
        }
        if "anonymous" in leaking:
            return None
        grown: dict[str, Value] = {
            name: leaking[name] for name in _LIVE if leaking.get(name) is not None
        }
        return Notice("-and-".join(_LIVE[name] for name in grown), grown) if grown else None

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
            if item.is_app(level) and Where(item.name, level.name) in self._repeats
        ]

    def reference(self) -> Where | None:
        """Return the app's own condition that memory is told of; None without a run of it.

        Where it was run with its durations fixed alone, that is told of.
        """
        app = self.app() or [
            Where(item.name, level.name)
            for item in self.experiments.values()
            for level in item.levels
            if not item.is_shortened and not item.changes(level)
            if Where(item.name, level.name) in self._repeats
        ]
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
            decided, key=lambda where: (where.experiment == "baseline", counts[self.verdict(where)])
        )

    def end_at_same_length(self, where: Where) -> np.ndarray:
        """Return memory at the end, less what a longer draw of the longest stretch adds."""
        ends, longest = self.end(where), self.longest_s(where)
        slope, typical_s = self._bytes_per_second
        if not slope or len(ends) != len(longest):
            return ends
        return ends - slope * (longest - typical_s)

    @cached_property
    def _bytes_per_second(self) -> tuple[float, float]:
        """How much memory at the end rises with each second of the longest stretch; 0: not known.

        From the runs of the app's own condition, which differ by what durations were drawn (the
        other number is the typical one). Other conditions that keep a session are compared at the
        same length by it, so that the luck of the draw does not hide a small difference.
        """
        pairs = [(self.longest_s(where), self.end(where)) for where in self.app()]
        pairs = [(seconds, ends) for seconds, ends in pairs if len(seconds) == len(ends)]
        seconds, ends = (np.concatenate([np.empty(0), *(p[k] for p in pairs)]) for k in (0, 1))
        if len(seconds) < _LEAST_RUNS or np.ptp(seconds) < _LEAST_SPREAD_S:
            return 0.0, 0.0
        fit = line(seconds, ends)
        is_sure = fit.slope > 0 and fit.probability < 0.01
        return fit.slope if is_sure else 0.0, float(np.median(seconds))

    def lack(self, *wheres: Where, needed: int = 2) -> Notice | None:
        """Return what is missing to compare these conditions, a code of `LACKS`; None: nothing.

        ``needed``: the complete runs that each of them must have.
        """
        for where in wheres:
            name, condition = where
            names: dict[str, Value] = {"experiment": name, "condition": condition}
            if name not in self.experiments:
                return Notice("experiment-not-run", {"experiment": name})
            if condition not in {level.name for level in self.experiments[name].levels}:
                return Notice("condition-not-run", names)
            n_complete = len(self.end(where))
            if n_complete >= needed:
                continue
            mine = self._runs[
                (self._runs["experiment"] == name) & (self._runs["condition"] == condition)
            ]
            lost = mine.loc[mine["outcome"] != "complete", "outcome"].value_counts()
            names |= {"complete": n_complete, "lost": [f"{k} {how}" for how, k in lost.items()]}
            code = "no-run-complete" if n_complete == 0 else "one-run-complete"
            if set(lost.index) == {"missing"}:
                code = "runs-missing"
            elif not len(lost):
                code += "-of-all"
            return Notice(code, names)
        return None


_LIVE = {"python_blocks": "live-objects", "in_use": "live-bytes"}

LACKS = {
    "experiment-not-run": "The experiment {experiment} is not in this study: "
    "`listen2lab run {experiment}` would decide it.",
    "condition-not-run": "{experiment} was run without its condition {condition}: "
    "`listen2lab run {experiment}` runs them all.",
    "runs-missing": "{experiment} / {condition} has {complete} complete runs so far ({lost}): "
    "resume the study.",
    "no-run-complete": "No run of {experiment} / {condition} is complete ({lost}).",
    "no-run-complete-of-all": "No run of {experiment} / {condition} is complete.",
    "one-run-complete": "{experiment} / {condition} has one complete run ({lost}), and one run "
    "gives no interval: `listen2lab run {experiment} --repeats 3`.",
    "one-run-complete-of-all": "{experiment} / {condition} has one complete run, and one run "
    "gives no interval: `listen2lab run {experiment} --repeats 3`.",
    "live-objects": "{python_blocks:count} small Python objects",
    "live-bytes": "{in_use:rate} that malloc counts",
    "live-objects-and-live-bytes": "{python_blocks:count} small Python objects and {in_use:rate} "
    "that malloc counts",
}
"""What is missing to decide, and what grows beside a verdict (a part of a sentence)."""


def _by_process(values: pd.Series[Any], rows: pd.DataFrame, how: str) -> np.ndarray:
    """Reduce values to one a process, by repeat; processes without any are left out."""
    return values.groupby(rows["repeat"]).agg(how).dropna().to_numpy(float)
