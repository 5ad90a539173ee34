"""What the notebooks call: a study, and cards of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab import facade
from listen2lab.errors import StudyError, UnknownNameError
from listen2lab.experiment import catalog
from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.report.card import finding_card, prediction_card, table_card
from listen2lab.report.text import study as words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from listen2lab.facade import Study
    from listen2lab.report.card import Card
    from listen2lab.study.plan import Experiment

__all__ = ["answers", "finding", "open_or_run", "prediction", "provenance", "verdicts"]

_REFERENCE = "reference"


def open_or_run(
    experiments: str | Sequence[str],
    *,
    study: Path | str = _REFERENCE,
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
        paragraphs and few), else as the catalog has it. No run is traced.
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
        from listen2lab.notebook.live import in_notebook

        return run(
            names, voice=voice, repeats=repeats, quick=voice == "tiny", trace="none",
            progress=in_notebook(),
        )  # fmt: skip
    opened = facade.Study(facade.open(study).data, shown=names)
    there = {item.name for item in opened.plan.experiments}
    missing = [name for name in names or catalog.IN_ALL if name not in there]
    if missing:
        raise StudyError(
            f"the study {study} holds no {', '.join(missing)} (it holds {', '.join(there)}); "
            "name another study, or set run_now to True"
        )
    return opened


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
