"""A study as people look at it: tables of runs and samples, a summary, pictures, a report."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import listen2lab
from listen2lab.errors import NewerStudyError, StudyError, UnknownNameError
from listen2lab.study.checked import checked_plan
from listen2lab.study.folder import StudyFolder
from listen2lab.study.manifest import checked_manifest
from listen2lab.study.tables import KEYS, read_tables
from listen2lab.units import MIB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from listen2lab.device.answer import Answer
    from listen2lab.study.plan import Plan

__all__ = ["Study"]

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

_PHASE_COLUMNS = ["rss", "anonymous", "private_dirty", "in_use", "kept"]
_CONDITION_COLUMNS = ("verdict", "level_mib", "peak_mib", "released_mib", "rate_kib_per_step")


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
        A sentence for each run that could not be read and is left out, and for each fact of the
        manifest that is unknown.
    """

    def __init__(self, path: Path | str) -> None:
        self.folder = StudyFolder(path)
        self.damage: list[str] = []
        manifest = self._manifest_or_the_report_s()
        self.plan: Plan = checked_plan(manifest, path)
        self.manifest, unknown = checked_manifest(manifest)
        self.damage += unknown
        self._summary: dict[str, Any] | None = None
        self._is_judged = False

    def _manifest_or_the_report_s(self) -> dict[str, Any]:
        """Return the manifest; where it is lost or damaged, what the report beside it carries."""
        try:
            return self.folder.manifest()
        except NewerStudyError:
            raise
        except StudyError as error:
            from listen2lab.study.payload import read  # noqa: PLC0415 - only where one is lost

            try:
                manifest, _ = read(self.folder.report_path)
            except StudyError:  # there is none, or of a newer version as well
                raise error from None
            self.damage.append(f"{error}; the manifest that the report beside it carries is used")
            return manifest

    @classmethod
    def reference(cls) -> Study:
        """Open the reference study: every experiment with the medium voice, kept in a checkout.

        Raises
        ------
        StudyError
            The package was installed without it.
        """
        folder = Path(__file__).resolve().parents[1] / "data" / "reference" / "study"
        if not folder.is_dir():
            raise StudyError(
                "the reference study is not here: it lies in data/reference/study of a checkout of "
                "the project and is not installed with the package; name the folder of a study of "
                "your own, or make one with `listen2lab run --quick`"
            )
        return cls(folder)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a planned run.

        Returns
        -------
        DataFrame
            ``experiment``, ``condition``, ``repeat``, ``traced``, ``outcome`` (``complete``,
            ``killed``, ``crashed``, ``timed-out``, ``missing``), ``because``, ``wall_s``,
            ``peak_rss`` (bytes), ``last_step``, ``machine`` (its label, where a study knows it).
        """
        return self._tables[0]

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return read_tables(self.folder, self.plan, self.damage)

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
        columns = [
            *KEYS,
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
        frame = self._tables[1]
        return frame.reindex(columns=[*columns, *(c for c in frame.columns if c not in columns)])

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a measured step: what verdicts, rates and peaks are made from.

        Returns
        -------
        DataFrame
            `samples` of plain runs that were complete, without warm-up, without what was read
            before and after the steps, and so without the columns ``traced`` and ``phase``.
            Memory is in bytes, time in seconds.
        """
        steps = self._usable[self._usable["phase"] == "step"].drop(columns=["traced", "phase"])
        return steps.astype({"step": int}).reset_index(drop=True)

    @cached_property
    def _usable(self) -> pd.DataFrame:
        """Samples of plain runs that were complete."""
        # As listen2lab.findings.conditions.complete_samples, without scipy: notebooks open fast.
        plain = self.runs[~self.runs["traced"].astype(bool)]
        keys = plain.loc[plain["outcome"] == "complete", list(KEYS)]
        return self.samples.merge(keys, on=list(KEYS))

    def device(self) -> Answer | None:
        """Return what the evidence from a phone beside this study answers, or None."""
        from listen2lab.device.answer import load_answer  # noqa: PLC0415 - scipy

        return load_answer(self.folder.device_path)

    def account(self) -> pd.DataFrame:
        """Return what made up resident memory after each step, in bytes.

        See `listen2lab.account.categories.account`.
        """
        from listen2lab.account.categories import account  # noqa: PLC0415 - not for a summary

        return account(self.samples)

    def summary(self, *, anew: bool = False) -> dict[str, Any]:
        """Return levels, peaks, rates and findings: what ``summary.json`` holds.

        Judging takes a third of a second a condition, so what was judged before is used again:
        once in the life of this object, and from ``summary.json`` where that says that it was made
        by this version of the package from the very files that are there now (``made_from``; see
        `listen2lab.study.folder.StudyFolder.digest`). Times of files do not count: a copy or
        a checkout changes them.

        Parameters
        ----------
        anew
            Do not use the stored summary.

        Returns
        -------
        dict
            See `listen2lab.findings.summary.build_summary`; not to be changed.
        """
        if self._summary is None and not anew:
            stored = self.folder.summary()
            if stored is not None and stored.get("made_from") == self._made_from:
                self._summary = stored
        if self._summary is None or (anew and not self._is_judged):
            from listen2lab.findings.summary import build_summary  # noqa: PLC0415 - scipy

            self._summary = {**build_summary(self), "made_from": self._made_from}
            self._is_judged = True
        return self._summary

    @cached_property
    def _made_from(self) -> dict[str, str]:
        return {"listen2lab": listen2lab.__version__, "digest": self.folder.digest()}

    def conditions(self, experiment: str | None = None) -> pd.DataFrame:
        """Return the numbers of the conditions, one row each.

        Parameters
        ----------
        experiment
            Its name; None: all of the study.

        Returns
        -------
        DataFrame
            By ``experiment`` and ``condition``: ``verdict``; ``level_mib`` (resident at the end,
            after collecting and trimming, mean of the repeats), ``peak_mib``, ``released_mib``
            (resident after the teardown), ``rate_kib_per_step`` and ``complete`` (runs).
        """
        names = [self._known(experiment)] if experiment else list(self.summary()["experiments"])
        rows = [
            {
                "experiment": name,
                "condition": condition,
                **{column: numbers[column] for column in _CONDITION_COLUMNS},
                "complete": numbers["runs"]["complete"],
            }
            for name in names
            for condition, numbers in self.summary()["experiments"][name]["conditions"].items()
        ]
        return pd.DataFrame(rows).set_index(["experiment", "condition"])

    def phases(self, experiment: str | None = None) -> pd.DataFrame:
        """Return the memory before and after the steps of an experiment, in MiB.

        Parameters
        ----------
        experiment
            Its name; None: the study's first.

        Returns
        -------
        DataFrame
            By ``condition`` and ``phase``, in the order in which they came: ``rss``,
            ``anonymous``, ``private_dirty``, ``in_use`` and ``kept``, in MiB; means of the plain
            runs that were complete.
        """
        usable = self._usable
        mine = usable[usable["experiment"] == self._known(experiment)]
        around = mine[~mine["phase"].isin(["warmup", "step"])]
        means = around.groupby(["condition", "phase"], sort=False)[["t", *_PHASE_COLUMNS]].mean()
        means = means.sort_values(["condition", "t"]).drop(columns="t")
        return (means / MIB).round(1)

    def findings(self) -> pd.DataFrame:
        """Return what was found for each hypothesis, one row each.

        Returns
        -------
        DataFrame
            ``hypothesis``, ``claim``, ``finding`` (``supported``, ``refuted``, ``inconclusive``),
            ``effect_mib`` with its 95 % interval ``low_mib`` and ``high_mib``, ``explains_mib`` of
            ``of_mib`` (the level that it is a part of), ``because`` (in a sentence).
        """
        from listen2lab.report.answers import findings_frame  # noqa: PLC0415 - as in `summary`

        frame: pd.DataFrame = findings_frame(self.summary())
        return frame

    def report(
        self, *, include_private: bool = False, pictures: bool = False, notebooks: bool = False
    ) -> Path:
        """Write ``report.html``, ``summary.md`` and ``ISSUE.md``, to be shared, and the summary.

        Parameters
        ----------
        include_private, pictures, notebooks
            See `listen2lab.report.write.write_report`.

        Returns
        -------
        Path
            The report's.
        """
        from listen2lab.report.write import write_report  # noqa: PLC0415 - matplotlib

        return write_report(
            self, include_private=include_private, pictures=pictures, notebooks=notebooks
        ).path

    def answer(self) -> dict[str, Any]:
        """Return the verdict of a study of one experiment, as ``watch --json`` prints it.

        Returns
        -------
        dict
            ``verdict``, ``rate_kib_per_step``, ``interval_kib_per_step``,
            ``smallest_visible_kib_per_step``, ``reasons``, ``confidence``, ``steps``, ``repeats``,
            ``runs``, ``study`` (its path) and, where samples were thinned, ``thinned``; the first
            condition's. With more conditions, ``conditions`` holds the same for each, and
            ``contrast`` what the other one is beside the first: its ``verdict`` (``removed``,
            ``reduced``, ``unchanged``, ``worse``, ``inconclusive``), a ``sentence``, and the
            numbers of `listen2lab.findings.conditions.contrast`; None where one has no run.
        """
        from listen2lab.report.text import verdicts as words  # noqa: PLC0415 - as in `summary`

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
            other, contrast = next(iter(item["contrasts"].items()))
            found["contrast"] = contrast and {
                **contrast,
                "sentence": words.contrast(other, contrast),
            }
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

    def __repr__(self) -> str:
        from listen2lab.report.card import study_line  # noqa: PLC0415 - as in `summary`

        return study_line(self)

    def _repr_html_(self) -> str:
        from listen2lab.report.card import study_card  # noqa: PLC0415 - as in `summary`

        return study_card(self)

    def heap(self, experiment: str, condition: str) -> dict[str, Any] | None:
        """Return what the traced run of a condition says, or None if there is none.

        See `listen2lab.probes.tracing.reduce_capture` for its content.
        """
        try:
            return self.folder.run(f"{experiment}/{condition}/traced").heap()
        except ValueError:
            sentence = f"{experiment}/{condition}/traced: heap.json is damaged; it is left out"
            if sentence not in self.damage:
                self.damage.append(sentence)
            return None
