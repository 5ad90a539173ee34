"""Several studies, as a notebook and the command line call it: repeat, compare, join them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from listen2lab.api import new_folder, progress_bar, tell
from listen2lab.facade import Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from listen2lab.comparison.comparison import Comparison as ComparisonRecord
    from listen2lab.comparison.rerun import Rerun as RerunRecord
    from listen2lab.notice import Notice
    from listen2lab.study.data import StudyData

__all__ = ["Comparison", "Merged", "Rerun", "compare", "merge", "rerun"]


class Comparison:
    """Two studies or conditions side by side; printed, it is a table.

    Attributes
    ----------
    record
        What was found; see `listen2lab.comparison.comparison.Comparison`.
    """

    def __init__(self, record: ComparisonRecord) -> None:
        self.record = record

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, as ``compare --json`` prints them."""
        found: dict[str, Any] = msgspec.to_builtins(self.record)
        return found

    def plot(self) -> Figure:
        """Plot memory at the end, one mark a process, and beside them the differences."""
        from listen2lab.report.comparison import plot_comparison  # matplotlib

        return plot_comparison(self.record)

    def write(self, path: Path | str) -> Path:
        """Write a picture (``.svg``, ``.png``) or a page (``.html``); return its path."""
        from listen2lab.report.comparison import write_comparison  # matplotlib

        return write_comparison(self.record, Path(path))

    def __repr__(self) -> str:
        from listen2lab.report.text.compare import comparison_text

        return comparison_text(self.record)


class Rerun:
    """A repeated study beside the one before; printed, it says what came out the same.

    Attributes
    ----------
    study
        The new one.
    record
        What they have in common; see `listen2lab.comparison.rerun.Rerun`.
    """

    def __init__(self, study: Study, record: RerunRecord) -> None:
        self.study, self.record = study, record

    @property
    def is_reproduced(self) -> bool:
        """Whether there was something to compare with, and all of it came out the same."""
        return self.record.is_reproduced

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, as ``rerun --json`` prints them."""
        found: dict[str, Any] = msgspec.to_builtins(self.record)
        return {"is_reproduced": self.is_reproduced, **found}

    def __repr__(self) -> str:
        from listen2lab.report.text.compare import rerun_text

        return rerun_text(self.record)


class Merged(Study):
    """A study that was just merged of others.

    Attributes
    ----------
    notes
        What was put together and what was left out.
    """

    def __init__(self, path: StudyData, notes: Sequence[Notice]) -> None:
        super().__init__(path)
        self.notes = tuple(notes)

    def words(self) -> str:
        """Return what was put together and left out, in words."""
        from listen2lab.report.text.compare import merge_text

        return merge_text(self.notes, self.folder.path)


def rerun(
    source: Study | Path | str,
    *experiments: str,
    study: Path | str | None = None,
    resume: Path | str | None = None,
    texts: Sequence[Path | str] = (),
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
    python: str | None = None,
) -> Rerun:
    """Repeat a study with the same inputs and settings, and say what came out the same.

    Another machine and other versions are allowed, and named. Texts, voice, recognizer and a
    workload's file must be the same, by their hashes.

    Parameters
    ----------
    source
        A study, its folder, or its report (HTML), which carries what a rerun needs, but for the
        text of the user's own books.
    *experiments
        Repeat these alone; none: all of it.
    study
        The new study's folder, new or empty; None: a new one under ``studies/``.
    resume
        The folder of a rerun of the same that was interrupted: complete that one instead.
    texts
        The books that were read, in the same order; needed where the report leaves them out.
    workload, voice, recognizer
        Where the workload's file, or the folder of a model that is not the lab's own, lies now.
        What a report, or a study that this user did not begin here, names itself is not touched.
    python
        The interpreter of the runs; None: the study's, where this user began it here.

    Returns
    -------
    Rerun
        The new study, and what it has in common with the one before.

    Raises
    ------
    LabError
        The source cannot be read or repeated, or what it needs is not there or not the same.
    """
    from listen2lab.comparison.rerun import rerun as repeat  # scipy

    bar = progress_bar()
    try:
        again, found = repeat(
            _data(source),
            *experiments,
            study=resume or study or new_folder(),
            resume=resume is not None,
            texts=texts,
            workload=workload,
            voice=voice,
            recognizer=recognizer,
            python=python,
            progress=bar,
            tell=tell,
        )
    finally:
        bar.close()
    return Rerun(Study(again), found)


def compare(a: Study | Path | str, b: Study | Path | str) -> Comparison:
    """Compare two studies, or two conditions of one study or of two.

    Parameters
    ----------
    a, b
        A study, its folder, or ``FOLDER:experiment`` or ``FOLDER:experiment/condition``. Where
        only one of them names an experiment or condition, the other's of the same name is taken.

    Returns
    -------
    Comparison
        Differences are B less A; intervals of memory are Welch's, over processes.

    Raises
    ------
    LabError
        One of them cannot be read, or they have no condition in common, or are the same.
    """
    from listen2lab.comparison.comparison import compare as side_by_side  # scipy

    return Comparison(side_by_side(_data(a), _data(b)))


def merge(*studies: Study | Path | str, study: Path | str, from_shell: bool = False) -> Merged:
    """Join studies, maybe of several machines, into one that keeps their machines apart.

    Parameters
    ----------
    *studies
        Two or more studies, or their folders; merged ones, too.
    study
        The new study's folder, new or empty.
    from_shell
        Whether it was asked for by a command.

    Returns
    -------
    Merged
        The new study: it can be read, reported and compared, but not run on or repeated.

    Raises
    ------
    LabError
        Fewer than two were given, one cannot be read, two hold the same run, or the new folder
        cannot be written.
    """
    from listen2lab.comparison.merge import merge as join  # scipy

    return Merged(*join(*map(_data, studies), study=study, shell=from_shell))


def _data(given: Study | Path | str) -> StudyData | Path | str:
    return given.data if isinstance(given, Study) else given
