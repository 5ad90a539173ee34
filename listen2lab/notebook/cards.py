"""What the notebooks call: a study, and cards of what it says."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from listen2lab import facade
from listen2lab.errors import LabError, StudyError, UnknownNameError
from listen2lab.experiment import catalog
from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.pipeline.knobs import MEASURED_WITH
from listen2lab.report.card import finding_card, prediction_card, table_card
from listen2lab.report.text import study as words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from listen2lab.facade import Study
    from listen2lab.report.card import Card
    from listen2lab.study.plan import Experiment, Traces

__all__ = [
    "Pictures", "account", "answers", "finding", "grown", "open_or_run", "pictures", "prediction",
    "provenance", "said", "traces", "turn", "verdicts",
]  # fmt: skip

Shown = TypeVar("Shown")


def open_or_run(
    experiments: str | Sequence[str],
    *,
    study: Path | str = "reference",
    run_now: bool = False,
    voice: str = "tiny",
    repeats: int = 3,
) -> Study:
    """Open a stored study, or run its experiments now.

    Parameters
    ----------
    experiments
        Which are looked at; none: all of them.
    study
        ``reference`` for the one that comes with the project, or a study's folder.
    run_now
        Run the experiments into a new study instead; a quick study with the tiny voice (short
        paragraphs and few), else as the catalog has it. Each condition is traced as well; where
        all experiments are run, those that tell something of their own.
    voice, repeats
        Of the run: see `listen2lab.run`.

    Returns
    -------
    Study
        A study that holds these experiments.

    Raises
    ------
    StudyError
        There is no such study, or it lacks an experiment.
    """
    names = [experiments] if isinstance(experiments, str) else list(experiments)
    if run_now:
        from listen2lab.api import run  # a stored study needs nothing that runs

        return run(
            names, voice=voice, repeats=repeats, quick=voice == "tiny",
            trace="all" if names else "telling",
        )  # fmt: skip
    opened = facade.Study(facade.open(study).data, shown=names)
    there = {item.name for item in opened.plan.experiments}
    missing = [name for name in names or catalog.IN_ALL if name not in there]
    if missing:
        raise StudyError(
            f"this study holds no {', '.join(missing)} (it holds {', '.join(sorted(there))}); "
            "name another study, or set run_now to True"
        )
    return opened


def turn(
    experiment: str | Experiment,
    *,
    run: bool,
    steps: int | None = 50,
    repeats: int = 3,
    trace: Traces = "all",
) -> Study | Card:
    """Run an experiment of one's own, small: the tiny voice, and few and short paragraphs.

    Durations are fixed, unless they are what varies: a text lasts the same in every run.

    Parameters
    ----------
    experiment
        Such as `listen2lab.vary` makes.
    run
        Whether it may run; else what to set is said.
    steps, repeats, trace
        See `listen2lab.run`.

    Returns
    -------
    Study or Card
        The study, in a new folder under ``studies/``; or why there is none.
    """
    if not run:
        return said(
            "Set your_turn to True in the parameters, or write run=True here, and run this cell: "
            "it takes a minute or two.",
            "not run",
        )
    from listen2lab.api import run as run_here  # a stored study needs nothing that runs

    item = catalog.experiment(experiment) if isinstance(experiment, str) else experiment
    varied = {knob for level in item.levels for knob in level.knobs}
    fixed = dict.fromkeys(MEASURED_WITH - varied, 0.0)
    return run_here(item, steps=steps, repeats=repeats, trace=trace, knobs=fixed, quick=True)


class Pictures:
    """Several things to look at, one below the other.

    Parameters
    ----------
    parts
        Heading to what a notebook can show by itself.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.parts = parts

    def _ipython_display_(self) -> None:
        shown: Any = importlib.import_module("IPython.display")  # untyped, and in a kernel
        for heading, part in self.parts.items():
            shown.display(shown.Markdown(f"#### {heading}"), part)


def pictures(study: Study | Card) -> Pictures | Card:
    """Show a study of one experiment as the notebooks do: conditions, curves, traces, account.

    Parameters
    ----------
    study
        What `turn` returned; where that is a card, it is shown.
    """
    if not isinstance(study, facade.Study):
        return study
    experiment = study.plan.experiments[0]
    last = experiment.levels[-1].name
    return Pictures(
        {
            experiment.question: study,
            "Memory, paragraph by paragraph": _or_said(study.plot),
            "Who allocated it": traces(study, experiment.name),
            f"What it is made of: {last}": account(study, experiment.name, last),
        }
    )


def traces(study: Study, experiment: str) -> Figure | Card:
    """Show the traces of an experiment side by side, or say that there are none.

    Parameters
    ----------
    study
        Any study.
    experiment
        Its name.
    """
    return _or_said(lambda: study.plot_traces(experiment))


def account(study: Study, experiment: str, condition: str | None = None) -> Figure | Card:
    """Show what memory is made of, step by step, or say why that is not known.

    Parameters
    ----------
    study
        Any study.
    experiment, condition
        Which; None: the first condition.
    """
    return _or_said(lambda: study.plot_account(experiment, condition))


def grown(study: Study, experiment: str, condition: str) -> pd.DataFrame | Card:
    """Show whose live bytes grew over the last half of a traced run, or say that there is none.

    Parameters
    ----------
    study
        Any study.
    experiment, condition
        Which.
    """
    return _or_said(lambda: study.trace(experiment, condition).grown().round(2))


def prediction(*names: str | Experiment) -> Card:
    """Show what was written down before any run.

    Parameters
    ----------
    names
        Of hypotheses (``H1``) and experiments (``session-recreation``); or experiments of one's
        own.

    Returns
    -------
    Card
        The hypotheses' claims and decision rules; the experiments' levels and predictions.

    Raises
    ------
    UnknownNameError
        A name is neither's.
    """
    named = [name for name in names if isinstance(name, str)]
    claims = {name: HYPOTHESES[name] for name in named if name in HYPOTHESES}
    experiments = [catalog.experiment(name) for name in named if name not in HYPOTHESES]
    experiments += [each for each in names if not isinstance(each, str)]
    return prediction_card(experiments, claims)


def finding(study: Study, *hypotheses: str) -> Card:
    """Show what a study found for hypotheses.

    Parameters
    ----------
    study
        Any study.
    hypotheses
        Their names; none: all.

    Returns
    -------
    Card
        Finding, reason, effect with its 95 % interval, and how much memory it explains.

    Raises
    ------
    UnknownNameError
        No hypothesis is named so.
    """
    summary = study.summary()
    found = summary.findings
    for name in hypotheses:
        if name not in found:
            raise UnknownNameError("hypothesis", name, found)
    return finding_card(summary, hypotheses or tuple(found))


def verdicts(study: Study, experiment: str) -> Card:
    """Show what the conditions of an experiment did, a sentence or two each.

    Parameters
    ----------
    study
        Any study.
    experiment
        Its name.

    Returns
    -------
    Card
        Verdict, how much growth could be hidden, memory at the end, and how that differs from
        the app's own.
    """
    experiments = study.summary().experiments
    if experiment not in experiments:
        raise UnknownNameError("experiment of this study", experiment, experiments)
    return table_card(words.conditions(experiment, experiments[experiment]))


def answers(study: Study) -> Card:
    """Show the five answers: what consumes the memory, leak or not, cause, cure, what is untested.

    Raises
    ------
    StudyError
        The study ran no experiment that tests a hypothesis.
    """
    from listen2lab.report.text.answers import QUESTIONS
    from listen2lab.report.text.answers import answers as said_of

    said = said_of(study.summary())
    if not said:
        raise StudyError("this study tests no hypothesis, so there is nothing to answer")
    return table_card([(question, " ".join(said[name])) for name, question in QUESTIONS.items()])


def provenance(study: Study) -> Card:
    """Show what a study was run with, on what; no path, host or user name is in it."""
    return table_card(words.provenance(study.manifest))


def said(sentence: str, name: str = "not here") -> Card:
    """Show a sentence where a picture would be."""
    return table_card([(name, sentence)])


def _or_said(look: Callable[[], Shown]) -> Shown | Card:
    try:
        return look()
    except LabError as error:
        return said(str(error))
