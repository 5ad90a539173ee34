"""What the notebooks call, and how one is run with other parameters."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab import _cells
from listen2lab._notebook_file import first_code_cell, read, write
from listen2lab.errors import InputError, LabError, StudyError, UnknownNameError
from listen2lab.experiment import catalog
from listen2lab.experiment.catalog import HYPOTHESES
from listen2lab.report import words
from listen2lab.report.card import finding_card, prediction_card, table_card
from listen2lab.study import Study

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from listen2lab.report.card import Card

__all__ = [
    "answers",
    "execute",
    "finding",
    "given",
    "open_or_run",
    "parameters",
    "prediction",
    "provenance",
    "verdicts",
]

_REFERENCE = "reference"
_LONGEST_CELL_S = 3600


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
        from listen2lab.api import run  # noqa: PLC0415 - a stored study needs nothing that runs

        return run(names, voice=voice, repeats=repeats, quick=voice == "tiny", trace=False)
    opened = Study.reference() if study == _REFERENCE else Study(study)
    there = {item.name for item in opened.plan.experiments}
    missing = [name for name in names or catalog.EXPERIMENTS if name not in there]
    if missing:
        raise StudyError(
            f"the study {study} holds no {', '.join(missing)} (it holds {', '.join(there)}); "
            "name another study, or set run_now to True"
        )
    return opened


def prediction(*names: str) -> Card:
    """Show what was written down before any run.

    Parameters
    ----------
    names
        Of hypotheses (``H1``) and experiments (``session-recreation``).

    Returns
    -------
    Card
        The hypotheses' claims and decision rules; the experiments' levels and predictions.

    Raises
    ------
    UnknownNameError
        A name is neither's.
    """
    claims = {name: HYPOTHESES[name] for name in names if name in HYPOTHESES}
    experiments = [catalog.experiment(name) for name in names if name not in HYPOTHESES]
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
        Finding, reason, effect with its 95 % interval, and how much of the level it explains.

    Raises
    ------
    UnknownNameError
        No hypothesis is named so.
    """
    found = study.summary()["findings"]
    for name in hypotheses:
        if name not in found:
            raise UnknownNameError("hypothesis", name, found)
    return finding_card(study.summary(), hypotheses or tuple(found))


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
        Verdict, how much growth could be hidden, level, and how it differs from the app's own.
    """
    experiments = study.summary()["experiments"]
    if experiment not in experiments:
        raise UnknownNameError("experiment of this study", experiment, experiments)
    return table_card(words.answer(experiments[experiment]))


def answers(study: Study) -> Card:
    """Show the five answers: what consumes the memory, leak or not, cause, cure, what is untested.

    Raises
    ------
    StudyError
        The study ran no experiment that tests a hypothesis.
    """
    from listen2lab.report.opening import QUESTIONS  # noqa: PLC0415 - matplotlib

    told = study.summary()["answers"]
    if told is None:
        raise StudyError("this study tests no hypothesis, so there is nothing to answer")
    return table_card(
        [
            (question, " ".join(told[name].get("sentences") or [told[name]["sentence"]]))
            for name, question in QUESTIONS.items()
        ]
    )


def provenance(study: Study) -> Card:
    """Show what a study was run with, on what; no path, host or user name is in it."""
    return table_card(words.provenance(study.manifest))


def parameters(path: Path | str) -> dict[str, _cells.Parameter]:
    """Return the parameters of a notebook, by name.

    Raises
    ------
    InputError
        It is no notebook, or its first code cell holds something that cannot be checked.
    """
    return _cells.parameters_of(first_code_cell(read(Path(path)), Path(path)).source)


def given(path: Path | str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` pairs of a command line as a notebook's parameters.

    Parameters
    ----------
    path
        The notebook.
    pairs
        Such as ``repeats=5``.

    Raises
    ------
    InputError
        A pair without ``=``. Names and types are checked by `execute`.
    """
    known = parameters(path)
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"a parameter is given as name=value, not {pair!r}")
        values[name] = _cells.from_text(known[name], text) if name in known else text
    return values


def execute(
    path: Path | str,
    parameters: Mapping[str, Any] | None = None,
    out: Path | str | None = None,
) -> Any:
    """Run a notebook from top to bottom, in a kernel of its own and in the current folder.

    Parameters
    ----------
    path
        The notebook; it is not changed.
    parameters
        Values that stand in the first code cell in place of its own.
    out
        Where to write it: ``.ipynb``, or ``.html`` for a page that opens without a network. The
        paths among `parameters` are cut down to their last part there: where a study lies is
        nobody's business. None: nowhere.

    Returns
    -------
    NotebookNode
        The notebook with its outputs.

    Raises
    ------
    InputError
        It is no notebook, it has no parameter of that name, or a value is not of its type.
    LabError
        A cell failed; where `out` is given, the notebook as far as it came is there.
    """
    import nbclient  # noqa: PLC0415 - only where a notebook is run

    path, target = Path(path), None if out is None else Path(out)
    if target is not None and target.suffix not in (".ipynb", ".html"):
        raise InputError(f"{target.name} is neither .ipynb nor .html; a notebook becomes one")
    notebook = read(path)
    cell = first_code_cell(notebook, path)
    values = {
        k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in (parameters or {}).items()
    }
    cell.source = _cells.replaced(cell.source, values)
    client = nbclient.NotebookClient(
        notebook,
        timeout=_LONGEST_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    failed: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own, about its own parts
        try:
            client.execute()
        except (
            nbclient.exceptions.CellExecutionError,
            nbclient.exceptions.CellTimeoutError,
            nbclient.exceptions.DeadKernelError,
        ) as error:
            failed = error
    if target is not None:
        write(notebook, target, path.stem, _shortened(values.values()))
    if failed is not None:
        kept = "" if target is None else f"; as far as it came it is in {target}"
        what = getattr(failed, "ename", type(failed).__name__)
        why = getattr(failed, "evalue", failed)
        raise LabError(f"{path.name}: a cell failed: {what}: {why}{kept}")
    return notebook


def _shortened(values: Iterable[Any]) -> dict[str, str]:
    """Return the paths among values, each with what stands for it in something shared."""
    found: dict[str, str] = {}
    for value in values:
        leaf = Path(value).name if isinstance(value, str) and os.sep in value else ""
        if leaf:
            spellings = {value, str(Path(value).resolve()), os.path.relpath(value)}
            found |= {path: leaf for path in spellings if path.endswith(os.sep + leaf)}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
