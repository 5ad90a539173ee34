"""What people hold: a study, and what came of comparing, repeating and merging some."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from listen2lab.errors import (
    InputError,
    StudyError,
    UnknownNameError,
    known_keywords,
    no_attribute,
)
from listen2lab.study.data import open_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from listen2lab.device.answer import Answer
    from listen2lab.findings.law import Law
    from listen2lab.findings.records import Summary
    from listen2lab.heap_trace import HeapTrace
    from listen2lab.notice import Notice
    from listen2lab.study.data import StudyData
    from listen2lab.study.folder import StudyFolder
    from listen2lab.study.plan import Plan
    from listen2lab.study.records import Manifest
    from listen2lab.study.trace_records import Objects

__all__ = ["Study", "open"]


class Study:
    """Reads a study; nothing in the folder is changed.

    What judges, accounts and draws is loaded when it is first used: a study opens fast. Examples of
    all that it can be asked stand in ``docs/api.md`` (``listen2lab docs api``).

    Parameters
    ----------
    path
        The study's folder, complete or not; or its data.
    shown
        The experiments that its card lists; none: all.

    Attributes
    ----------
    data : StudyData
        What everything here is made of.

    Examples
    --------
    >>> import listen2lab as lab
    >>> study = lab.Study.reference()
    >>> study.steps.groupby("experiment")["rss"].max().idxmax()
    'concurrency'
    """

    def __init__(self, path: Path | str | StudyData, *, shown: Sequence[str] = ()) -> None:
        self.data = open_study(path) if isinstance(path, (str, Path)) else path
        self._shown = tuple(shown)

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

    @property
    def folder(self) -> StudyFolder:
        """Where it lies."""
        return self.data.folder

    @property
    def manifest(self) -> Manifest:
        """What was run, on what."""
        return self.data.manifest

    @property
    def plan(self) -> Plan:
        """The plan in the manifest."""
        return self.data.plan

    @property
    def damage(self) -> list[Notice]:
        """What could not be read and is left out; `listen2lab.report.text.notices.say` says it."""
        return self.data.damage

    @property
    def runs(self) -> pd.DataFrame:
        """One row a planned run; see `StudyData.runs`."""
        return self.data.runs

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, of every run that wrote any; see `StudyData.samples`."""
        return self.data.samples

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
        complete = self.data.complete
        steps = complete[complete["phase"] == "step"].drop(columns=["traced", "phase"])
        return steps.astype({"step": int}).reset_index(drop=True)

    def trace(self, experiment: str, condition: str) -> HeapTrace:
        """Return what memray saw of a condition.

        Raises
        ------
        UnknownNameError
            The study has no such experiment or condition.
        StudyError
            The condition was not traced; the message says what traces it.

        Examples
        --------
        >>> Study.reference().trace("baseline", "app").top(n=1).index[0]
        'ONNX Runtime: arena'
        """
        from listen2lab.heap_trace import HeapTrace  # pandas

        self._known_condition(experiment, condition)
        return HeapTrace(self.data, experiment, condition)

    def objects(self, experiment: str, condition: str) -> Objects | None:
        """Return what the traced run of a condition tells of Python's objects, or None."""
        self._known_condition(experiment, condition)
        return self.data.objects(experiment, condition)

    def device(self) -> Answer | None:
        """Return what the evidence from a phone beside this study answers, or None."""
        from listen2lab.device.answer import load_answer  # pandas

        return load_answer(self.data.folder)

    def account(self) -> pd.DataFrame:
        """Return what made up memory after each step of the plain runs, in bytes.

        See `listen2lab.account.categories.account`; `account_at` is one step, in words.
        """
        from listen2lab.account.categories import account  # not for a summary

        return account(self.samples[~self.samples["traced"].astype(bool)])

    def account_at(
        self,
        step: int | None = None,
        experiment: str | None = None,
        condition: str | None = None,
    ) -> pd.DataFrame:
        """Return what memory was made of after one step, as `plot_account` draws it.

        Parameters
        ----------
        step
            None: the last one.
        experiment, condition
            None: the study's first, and its first condition.

        Returns
        -------
        DataFrame
            By ``part`` in words: ``mib``, ``share``, ``certainty`` and ``how`` it is measured, the
            largest first; they add up to what was resident.
        """
        from listen2lab.report.account import account_frame

        return account_frame(self.data, *self._where(experiment, condition), step)

    def summary(self, *, anew: bool = False) -> Summary:
        """Return memory, rates and findings: what ``summary.json`` holds.

        Parameters
        ----------
        anew
            Do not use what was judged before; see `listen2lab.findings.summary.summary_of`.
        """
        from listen2lab.findings.summary import summary_of  # pandas

        return summary_of(self.data, anew=anew)

    def conditions(self, experiment: str | None = None) -> pd.DataFrame:
        """Return one row a condition.

        Parameters
        ----------
        experiment
            Its name; None: all of the study's.

        Returns
        -------
        DataFrame
            By ``experiment`` and ``condition``: ``verdict``; ``end_mib`` (resident at the end,
            garbage collected and free pages given back, mean of the repeats), ``peak_mib``,
            ``released_mib`` (resident after the teardown), ``rate_kib_per_step`` (growth; NaN where
            the verdict denies it), ``none_above_kib_per_step`` (the growth that could then still be
            hidden) and ``complete`` (runs).
        """
        from listen2lab.report.tables import conditions_frame

        only = None if experiment is None else self._known(experiment)
        return conditions_frame(self.summary(), only)

    def contrasts(self, experiment: str | None = None) -> pd.DataFrame:
        """Return each condition beside its reference: the app's own, or the first.

        Parameters
        ----------
        experiment
            Its name; None: all of the study's.

        Returns
        -------
        DataFrame
            By ``experiment`` and ``condition``: ``against``; ``end_mib``, this one's less the
            other's, with its 95 % interval over processes ``end_low_mib`` and ``end_high_mib``, and
            what ``became`` of it (``reduced``, ``worse``, ``unchanged``, ``inconclusive``; of a
            leak's rate where one leaks); the same of the peak, with ``peak``.
        """
        from listen2lab.report.tables import contrasts_frame

        only = None if experiment is None else self._known(experiment)
        return contrasts_frame(self.summary(), only)

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
        from listen2lab.report.tables import phases_frame

        return phases_frame(self.data, self._known(experiment))

    def cures(self) -> pd.DataFrame:
        """Return the cures that were run, each with its price; see `listen2lab.cures`.

        Returns
        -------
        DataFrame
            By ``condition``: ``change`` in words, ``complete`` (runs), ``peak_mib`` and ``end_mib``
            (the highest of them), ``cpu_per_s`` (CPU seconds for a second of audio) and
            ``cpu_ratio`` (beside the app's), ``load_s``, ``first_sound_s``, ``audio`` beside the
            app's (``identical``, ``cuts``, ``other``, ``unknown``), and ``random_peak_mib`` and
            ``random_end_mib`` (with the app's own, random durations). Empty where the study holds
            no experiment of cures.
        """
        from listen2lab.report.tables import cures_frame

        return cures_frame(self.summary())

    def law(
        self,
        quantity: Literal["peak", "end"] = "peak",
        graph: Literal["exported", "bounded"] = "exported",
    ) -> Law | None:
        """Return how memory follows the longest sentence, from ``utterance-length``.

        Parameters
        ----------
        quantity
            The peak, or memory at the end.
        graph
            The voice as it was exported, or bounded.

        Returns
        -------
        Law or None
            ``law.at(seconds)`` and ``law.longest_under(mib)``; None where too few lengths were run.
        """
        laws = self.summary().laws.get(graph, ())
        return next((law for law in laws if law.quantity == quantity), None)

    def findings(self) -> pd.DataFrame:
        """Return what was found for each hypothesis, one row each.

        Returns
        -------
        DataFrame
            ``hypothesis``, ``claim``, ``finding`` (``supported``, ``refuted``, ``inconclusive``,
            ``not-tested``), ``effect_mib`` with its 95 % interval ``low_mib`` and ``high_mib``,
            ``explains_mib`` of ``of_mib`` (the memory that it is a part of), ``because`` (in a
            sentence).
        """
        from listen2lab.report.tables import findings_frame

        return findings_frame(self.summary())

    def report(
        self,
        *,
        include_private: bool = False,
        pictures: bool = False,
        notebooks: bool = False,
        for_engine: bool = False,
    ) -> Path:
        """Write ``report.html``, ``summary.md`` and ``ISSUE.md``, to be shared, and the summary.

        Parameters
        ----------
        include_private
            Tell everything, also what names its owner; see `listen2lab.report.write.write_report`.
        pictures
            Also write each picture as PNG and SVG, into ``pictures/``.
        notebooks
            Also execute the notebooks on this study, into ``notebooks/``; those that it cannot
            answer are left out.
        for_engine
            Whether ``ISSUE.md`` is for the maintainers of the engine.

        Returns
        -------
        Path
            The report's.
        """
        from listen2lab.findings.hypotheses import public_names
        from listen2lab.report.write import write_report  # matplotlib

        public = None if include_private else public_names()
        path = write_report(
            self.data, self.summary(), public, with_pictures=pictures, for_engine=for_engine
        )
        if notebooks:
            from listen2lab.notebook.pages import write_notebooks  # jupyter is slow

            write_notebooks(self.data, public)
        return path

    def answer(self, experiment: str | None = None) -> dict[str, Any]:
        """Return the verdict of an experiment, as ``watch --json`` prints it.

        Parameters
        ----------
        experiment
            Its name; None: the study's only one.

        Returns
        -------
        dict
            JSON values: ``verdict``, ``rate_kib_per_step``, ``interval_kib_per_step``,
            ``smallest_visible_kib_per_step``, ``reasons`` (codes), ``confidence``, ``steps``,
            ``repeats``, ``runs``, ``study`` (its path) and ``sample_every`` (1: a sample was read
            after each step); the first condition's. With more conditions, ``conditions`` holds the
            same for each, and ``contrast`` what the other one is beside the first (see
            `listen2lab.findings.records.ConditionContrast`); None where one has no run.
        """
        from listen2lab.report.tables import watched_answer

        names = [item.name for item in self.plan.experiments]
        if experiment is None and len(names) > 1:
            raise InputError(
                f"this study holds {len(names)} experiments, each with an answer of its own; name "
                f"one: answer({names[0]!r}); listen2lab.notebook.answers(study) answers over all"
            )
        return watched_answer(self.data, self.summary(), self._known(experiment))

    def plot(self, experiment: str | None = None, column: str = "rss") -> Figure:
        """Plot memory over the steps, by condition and repeat.

        Parameters
        ----------
        experiment
            Its name; None: the study's first.
        column
            What is drawn, of `samples`: resident memory (``rss``), ``anonymous``, ``in_use``,
            ``component.audio_cache``, ...

        Returns
        -------
        Figure
            A notebook shows it.
        """
        from listen2lab.report.plots import plot_curves  # matplotlib

        return plot_curves(self.data, self._known(experiment), column)

    def plot_traces(self, experiment: str | None = None) -> Figure:
        """Plot the traces of an experiment side by side: live bytes by owner, and resident memory.

        Parameters
        ----------
        experiment
            Its name; None: the study's first.

        Returns
        -------
        Figure
            One panel a condition that has a trace, on shared axes.

        Raises
        ------
        StudyError
            None of its conditions was traced.
        """
        from listen2lab.report.trace_plots import plot_traces, traced_conditions  # matplotlib

        return plot_traces(self.data, traced_conditions(self.data, self._known(experiment)))

    def plot_account(self, experiment: str | None = None, condition: str | None = None) -> Figure:
        """Plot what resident memory is made of, step by step, in one run of a condition.

        Parameters
        ----------
        experiment, condition
            None: the study's first, and its first condition.
        """
        from listen2lab.report.account import plot_account  # matplotlib

        where = self._where(experiment, condition)
        figure = plot_account(self.data, *where)
        if figure is None:
            raise StudyError(
                f"no step of {'/'.join(where)} was sampled: there is nothing to take apart; "
                "complete the study with `listen2lab run --resume`"
            )
        return figure

    def plot_cures(self) -> Figure | None:
        """Plot each cure's peak against its CPU; None where no cures were run."""
        from listen2lab.report.cure_plots import plot_cures

        answers = self.summary().answers
        return None if answers is None or answers.cures is None else plot_cures(answers.cures)

    def plot_law(self) -> Figure | None:
        """Plot peak by the longest sentence, and the law; None where too few lengths were run."""
        from listen2lab.report.cure_plots import plot_law

        return plot_law(self.data, self.summary().laws)

    def plot_ends(self, experiment: str | None = None) -> Figure:
        """Plot the peak, memory at the end and what is left after the teardown, by condition."""
        from listen2lab.report.plots import plot_ends  # matplotlib

        return plot_ends(self.data, self._known(experiment))

    def __getitem__(self, experiment: str) -> pd.DataFrame:
        """Return the conditions of an experiment; see `conditions`."""
        return self.conditions(experiment)

    @property
    def experiments(self) -> list[str]:
        """The names of its experiments."""
        return [item.name for item in self.plan.experiments]

    def _ipython_key_completions_(self) -> list[str]:
        return self.experiments

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> Any:
            known = [each for each in dir(type(self)) if not each.startswith("_")]
            raise no_attribute("a Study", name, known)

    def _known(self, experiment: str | None) -> str:
        names = self.experiments
        if experiment is None:
            return names[0]
        if experiment not in names:
            raise UnknownNameError("experiment of this study", experiment, names)
        return experiment

    def _known_condition(self, experiment: str, condition: str) -> str:
        levels = {item.name: item.levels for item in self.plan.experiments}
        names = [level.name for level in levels[self._known(experiment)]]
        if condition not in names:
            raise UnknownNameError(f"condition of {experiment}", condition, names)
        return condition

    def _where(self, experiment: str | None, condition: str | None) -> tuple[str, str]:
        name = self._known(experiment)
        (first, *_), *_ = [item.levels for item in self.plan.experiments if item.name == name]
        return name, self._known_condition(name, first.name if condition is None else condition)

    def __repr__(self) -> str:
        from listen2lab.report.card import study_line

        return study_line(self.data)

    def _repr_html_(self) -> str:
        from listen2lab.report.card import study_card

        return study_card(self.data, self.summary(), self._shown)._repr_html_()


def open(study: Path | str) -> Study:  # noqa: A001 - it is called as lab.open
    """Open a study.

    Parameters
    ----------
    study
        Its folder, complete or not; its report, there; or ``reference``, for the one that comes
        with a checkout of the project.

    Returns
    -------
    Study
        Nothing in its folder is changed.

    Raises
    ------
    StudyError
        There is no study.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.open("reference").manifest.inputs.voice
    'medium'
    """
    if study == "reference":
        return Study.reference()
    path = Path(study)
    return Study(path.parent if path.suffix == ".html" else path)


for _name, _method in list(vars(Study).items()):
    if callable(_method) and not _name.startswith("_"):
        setattr(Study, _name, known_keywords(_method))
