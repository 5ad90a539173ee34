"""What a notebook calls: evidence opened, its answers on cards, its pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from listen2lab.device.evidence import Evidence, read
from listen2lab.errors import InputError
from listen2lab.report.device_terminal import told
from listen2lab.report.text import device as words
from listen2lab.report.text import device_lab as words_lab
from listen2lab.report.text.device_log import log_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from listen2lab.facade import Study
    from listen2lab.report.card import Card

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
        from listen2lab.device.answer import answer  # noqa: PLC0415 - scipy; reading needs none

        self.evidence = evidence
        self.answer = answer(evidence, study)

    def __repr__(self) -> str:
        return told(self.answer)

    def _repr_html_(self) -> str:
        lines = [words.source_line(source) for source in self.answer["sources"]]
        return _card(lines + self.answer["problems"])._repr_html_()

    def verdict(self) -> Card:
        """Return the log's verdict with its reasons and caveats."""
        log = self.answer["log"]
        if log is None or log["verdict"] is None:
            return _card(["There is no log with memory in it."])
        codes = [*log["verdict"]["reasons"], *log["verdict"]["caveats"]]
        lines = [f"{code}: {words.sentence_of(code)}" for code in codes]
        return _card([words.verdict(log["verdict"]), *lines])

    def questions(self) -> Card:
        """Return the handoff's questions, answered."""
        log = self.answer["log"]
        if log is None:
            return _card(["There is no log."])
        return _card([f"{question}: {text}" for question, text in log_sentences(log)])

    def table(self, name: str, session: int = 0) -> pd.DataFrame:
        """Return a table of a session's log; see `listen2lab.device.sessions.TABLES`."""
        return self.evidence.sessions[session].frame(name)

    def owners(self, snapshot: int = -1) -> pd.DataFrame:
        """Return a snapshot's columns by owner, in MiB."""
        import pandas as pd  # noqa: PLC0415 - only where somebody looks at it

        frame = pd.DataFrame(self.answer["snapshots"][snapshot]["owners"]).T
        return (frame.astype(float) / 2**20).round(1)

    def plot(self) -> Figure:
        """Plot the logged memory over the paragraphs."""
        from listen2lab.report.device_plots import plot_log  # noqa: PLC0415 - matplotlib

        return plot_log(self.answer)

    def plot_owners(self, snapshot: int = -1) -> Figure:
        """Plot a snapshot by owner; -1: the last."""
        from listen2lab.report.device_plots import plot_owners  # noqa: PLC0415 - matplotlib

        return plot_owners(self.answer["snapshots"][snapshot])

    def plot_change(self) -> Figure:
        """Plot what changed from the first snapshot to the last."""
        from listen2lab.report.device_plots import plot_change  # noqa: PLC0415 - matplotlib

        if self.answer["difference"] is None:
            raise InputError("there are no two snapshots of one process by one tool to subtract")
        return plot_change(self.answer["difference"])

    def plot_beside(self) -> Figure:
        """Plot the phone's curve beside the study's nearest conditions."""
        from listen2lab.report.device_plots import plot_beside  # noqa: PLC0415 - matplotlib

        if self.answer["beside"] is None or self.answer["log"] is None:
            raise InputError("there is no study, or no log, to put side by side; give look() both")
        return plot_beside(self.answer)

    def beside(self) -> Card:
        """Return which condition the phone resembles, and what the lab can explain."""
        found = self.answer["beside"]
        lines = [] if found is None else words_lab.beside(found)
        lines += words_lab.together(self.answer["together"])
        return _card(lines + words_lab.ceiling_lines(self.answer["ceiling"]))

    def next(self) -> Card:
        """Return what to measure next, with its commands."""
        lines = []
        for step in self.answer["next"]:
            lines += [step["why"], *(f"    {line}" for line in step["commands"])]
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
    return Look(read(files), study)


def _card(lines: list[str]) -> Card:
    from listen2lab.report.card import Card  # noqa: PLC0415 - only in a notebook

    html: list[str] = []
    for line in lines:
        tag = "pre" if line.startswith("  ") else "p"
        html.append(f"<{tag}>{escape(line)}</{tag}>")
    return Card("".join(html), lines)
