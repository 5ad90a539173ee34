"""A study as people look at it: tables of runs and samples, a summary, pictures, a report."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from listen2lab.errors import StudyError, UnknownNameError
from listen2lab.experiment.design import Plan, schedule
from listen2lab.experiment.store import StudyFolder

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["Study"]

_KEYS = ("experiment", "condition", "repeat", "traced")
BYTES = (
    "rss",
    "anonymous",
    "private_dirty",
    "lazy_free",
    "swap",
    "peak",
    "in_use",
    "kept",
    "mapped",
)
"""Columns of `Study.samples` that are bytes."""


class Study:
    """Reads a study; nothing in the folder is changed.

    Parameters
    ----------
    path
        The study's folder, complete or not.

    Attributes
    ----------
    manifest : dict
        What was run, on what.
    plan : Plan
        The plan in it.
    damage : list of str
        A sentence for each run that could not be read and is left out.
    """

    def __init__(self, path: Path | str) -> None:
        self.folder = StudyFolder(path)
        self.manifest = self.folder.manifest()
        try:
            self.plan = Plan.from_json(self.manifest["plan"])
        except (KeyError, TypeError) as error:
            raise StudyError(
                f"the manifest of {path} holds no plan that can be read ({error!r}); "
                "its runs are untouched"
            ) from error
        self.damage: list[str] = []

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a planned run.

        Returns
        -------
        DataFrame
            ``experiment``, ``condition``, ``repeat``, ``traced``, ``outcome`` (``complete``,
            ``killed``, ``crashed``, ``timed-out``, ``missing``), ``because``, ``wall_s``,
            ``peak_rss`` (bytes), ``last_step``.
        """
        rows = []
        for run in schedule(self.plan):
            try:
                result = self.folder.run(run.key).result()
            except ValueError:
                self.damage.append(f"{run.key}: result.json is damaged")
                result = None
            row: dict[str, Any] = dict(
                zip(
                    _KEYS,
                    (run.experiment.name, run.level.name, run.repeat, run.traced),
                    strict=True,
                )
            )
            row |= (
                {"outcome": "missing", "because": "it has not ended"} if result is None else result
            )
            rows.append(row)
        return pd.DataFrame(
            rows, columns=[*_KEYS, "outcome", "because", "wall_s", "peak_rss", "last_step"]
        )

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a sample, of every run that wrote any.

        Returns
        -------
        DataFrame
            The run's keys; ``phase``; ``step`` (from 0, warm-up included; missing outside of
            steps); ``t`` (seconds since the worker began); ``wall_s`` and ``cpu_s`` of the step;
            the columns of `BYTES`, in bytes; ``size`` (of the input: seconds of the longest
            sentence for the reading pipeline); ``gc_found`` (objects that only the collector
            freed), ``gc_freed`` (their bytes, as malloc counts), ``python_blocks`` (live small
            blocks of Python objects); ``component.NAME`` in bytes and ``fact.NAME``.
        """
        rows = []
        for run in schedule(self.plan):
            keys = (run.experiment.name, run.level.name, run.repeat, run.traced)
            try:
                lines = list(self.folder.run(run.key).lines())
            except StudyError as error:
                self.damage.append(str(error))
                continue
            rows += [
                {**dict(zip(_KEYS, keys, strict=True)), **_flat(line)}
                for line in lines
                if line["phase"] not in ("meter", "error")
            ]
        columns = [
            *_KEYS,
            "phase",
            "step",
            "t",
            "wall_s",
            "cpu_s",
            *BYTES,
            "size",
            "gc_found",
            "gc_freed",
            "python_blocks",
        ]
        frame = pd.DataFrame(rows)
        return frame.reindex(columns=[*columns, *(c for c in frame.columns if c not in columns)])

    def summary(self) -> dict[str, Any]:
        """Return levels, peaks and rates by condition: what ``summary.json`` holds.

        See `listen2lab.analysis.summary.summarize`.
        """
        from listen2lab.report.summary import build_summary  # noqa: PLC0415 - scipy

        return build_summary(self)

    def report(self) -> Path:
        """Write ``summary.json`` and ``report.html`` into the study; return the report's path."""
        from listen2lab.report.html import write_report  # noqa: PLC0415 - matplotlib

        return write_report(self)[1]

    def answer(self) -> dict[str, Any]:
        """Return the verdict of a study of one experiment, as ``watch --json`` prints it.

        Returns
        -------
        dict
            ``verdict``, ``rate_kib_per_step``, ``interval_kib_per_step``,
            ``smallest_visible_kib_per_step``, ``reasons``, ``confidence``, ``steps``, ``repeats``,
            ``runs``, ``study`` (its path) and, where samples were thinned, ``thinned``; the first
            condition's. With more conditions, ``conditions`` holds the same for each.
        """
        ((_, item),) = self.summary()["experiments"].items()
        (experiment,) = self.plan.experiments
        answers = {
            name: {
                "verdict": numbers["verdict"],
                "rate_kib_per_step": numbers["rate_kib_per_step"],
                "interval_kib_per_step": numbers["rate_interval"],
                "smallest_visible_kib_per_step": numbers["smallest_visible_kib_per_step"],
                "reasons": numbers["reasons"],
                "confidence": numbers["confidence"],
                "steps": numbers["steps"],
                "repeats": numbers["runs"]["complete"],
                "runs": numbers["runs"],
            }
            for name, numbers in item["conditions"].items()
        }
        found: dict[str, Any] = {**next(iter(answers.values())), "study": str(self.folder.path)}
        if len(answers) > 1:
            found["conditions"] = answers
        every = self.plan.sample_every(experiment)
        if every > 1:
            found["thinned"] = (
                f"A sample was read every {every} steps, so that reading costs little; what "
                "happens within such a stretch is summed."
            )
        return found

    def plot(self, experiment: str | None = None) -> Figure:
        """Plot resident memory over the steps, by condition and repeat.

        Parameters
        ----------
        experiment
            Its name; None: the study's first.

        Returns
        -------
        Figure
            A notebook shows it.
        """
        from listen2lab.report.plots import plot_curves  # noqa: PLC0415 - matplotlib

        return plot_curves(self, self._known(experiment))

    def plot_levels(self, experiment: str | None = None) -> Figure:
        """Plot the peak, the level at the end and the level after the teardown, by condition."""
        from listen2lab.report.plots import plot_levels  # noqa: PLC0415 - matplotlib

        return plot_levels(self, self._known(experiment))

    def _known(self, experiment: str | None) -> str:
        names = [item.name for item in self.plan.experiments]
        if experiment is None:
            return names[0]
        if experiment not in names:
            raise UnknownNameError("experiment of this study", experiment, names)
        return experiment

    def heap(self, experiment: str, condition: str) -> dict[str, Any] | None:
        """Return what the traced run of a condition says, or None if there is none.

        See `listen2lab.probes.heap.reduce_capture` for its content.
        """
        return self.folder.run(f"{experiment}/{condition}/traced").heap()


def _flat(line: dict[str, Any]) -> dict[str, Any]:
    components = line.pop("components", None) or {}
    facts = line.pop("facts", None) or {}
    return {
        **line,
        **{f"component.{name}": value for name, value in components.items()},
        **{f"fact.{name}": value for name, value in facts.items()},
    }
