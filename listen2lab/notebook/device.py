"""What a notebook calls: evidence opened, its answers on cards, its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from listen2lab.device.answer import answer
from listen2lab.device.evidence import Evidence, NothingReadError, read
from listen2lab.errors import InputError
from listen2lab.report import device_plots as plots
from listen2lab.report.card import Card
from listen2lab.report.device import Part
from listen2lab.report.device_terminal import as_text, understood
from listen2lab.report.text import device as words
from listen2lab.report.text import device_reports as of_reports
from listen2lab.report.text.device_log import log_answers
from listen2lab.report.text.device_next import next_step
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from listen2lab.facade import Study

__all__ = ["Look", "look"]

_REFERENCE = Path(__file__).resolve().parents[2] / "data" / "reference" / "device"
_KINDS = {".log", ".txt", ".csv", ".json", ".jsonl", ".gz", ".ndjson"}


class Look:
    """Evidence and what it answers.

    Attributes
    ----------
    evidence
        What was read.
    answer
        See `listen2lab.device.answer.answer`.
    """

    def __init__(self, evidence: Evidence, study: Study | None = None) -> None:
        self.evidence = evidence
        self.answer = answer(evidence, None if study is None else study.data)

    def __repr__(self) -> str:
        return as_text(self.answer)

    def _repr_html_(self) -> str:
        return _card(understood(self.answer))._repr_html_()

    def verdict(self) -> Card:
        """Return the log's verdict with its reasons and caveats."""
        log = self.answer.log
        if log is None or log.judged is None:
            return _card(["There is no log with memory in it."])
        said = Part(judged=log.judged, verdict=words.verdict(log.judged))
        return _card([said.verdict, *(f"{code}: {text}" for code, text in said.codes)])

    def questions(self) -> Card:
        """Return the handoff's questions, answered."""
        log = self.answer.log
        if log is None:
            return _card(["There is no log."])
        return _card([f"{question}: {text}" for question, text in log_answers(log)])

    def table(self, name: str, session: int = 0) -> pd.DataFrame:
        """Return a table of a session's log.

        See `listen2lab.device.formats.app_log_tables.TABLES`.
        """
        return self.evidence.sessions[session].frame(name)

    def owners(self, snapshot: int = -1) -> pd.DataFrame:
        """Return a snapshot's columns by owner, in MiB; those that it has."""
        import pandas as pd  # heavy, and only where somebody looks at it

        rows = [msgspec.structs.asdict(o) for o in self.answer.snapshots[snapshot].owners]
        frame = pd.DataFrame(rows).set_index("name").drop(columns="regions")
        return (frame.astype(float) / MIB).round(1).dropna(axis="columns", how="all")

    def plot(self) -> Figure:
        """Plot the logged memory over the paragraphs."""
        if self.answer.log is None:
            raise InputError("there is no log to plot; give look() one")
        return plots.plot_log(self.answer.log)

    def plot_owners(self, snapshot: int = -1) -> Figure:
        """Plot a snapshot by owner; -1: the last."""
        return plots.plot_owners(self.answer.snapshots[snapshot])

    def plot_change(self) -> Figure:
        """Plot what changed from the first snapshot to the last."""
        if self.answer.change is None:
            raise InputError("there are no two snapshots of one process by one tool to subtract")
        return plots.plot_change(self.answer.change)

    def plot_beside(self) -> Figure:
        """Plot the phone's curve beside the study's nearest conditions."""
        if self.answer.lab is None or self.answer.log is None:
            raise InputError("there is no study, or no log, to put side by side; give look() both")
        return plots.plot_beside(self.answer.log, self.answer.lab)

    def beside(self) -> Card:
        """Return which condition the phone resembles, and what the lab can explain."""
        found = self.answer
        lines = [] if found.lab is None else [of_reports.lab_line(found.lab)]
        lines += [] if found.together is None else [of_reports.together_line(found.together)]
        if found.lab is not None and found.lab.ceiling is not None:
            lines += of_reports.ceiling_lines(found.lab.ceiling)
        return _card(lines)

    def next(self) -> Card:
        """Return what to measure next, with its commands."""
        lines = []
        for why, commands in map(next_step, self.answer.next):
            lines += [why, *(f"    {line}" for line in commands)]
        return _card(lines)


def look(
    files: str | Path | Sequence[str | Path] = "reference", study: Study | None = None
) -> Look:
    """Open evidence from a phone.

    Parameters
    ----------
    files
        Files, a folder of them, or ``reference`` for those that come with the project.
    study
        A lab study to put beside it.

    Returns
    -------
    Look
        Shows in a notebook what was understood of each file.

    Raises
    ------
    InputError
        Nothing was understood.
    """
    if isinstance(files, (str, Path)):
        folder = _REFERENCE if files == "reference" else Path(files)
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in _KINDS)
    try:
        return Look(read(files), study)
    except NothingReadError as error:
        raise InputError(words.nothing_read(error.problems)) from error


def _card(lines: list[str]) -> Card:
    html = (
        Markup("<{0}>{1}</{0}>").format("pre" if line.startswith("  ") else "p", line.strip())
        for line in lines
    )
    return Card(Markup("").join(html), lines)
