"""What comparing, repeating and merging studies hands back: a record each, shown in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from listen2lab.facade import Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from listen2lab.comparison.comparison import Comparison as ComparisonRecord
    from listen2lab.comparison.rerun import Rerun as RerunRecord
    from listen2lab.notice import Notice
    from listen2lab.study.data import StudyData

__all__ = ["Comparison", "Merged", "Rerun"]


class Comparison:
    """Two studies or conditions side by side; printed, it is a table.

    Attributes
    ----------
    record
        What was found; see `listen2lab.comparison.comparison.Comparison`.
    studies
        The two that were compared.
    """

    def __init__(self, record: ComparisonRecord, studies: tuple[StudyData, StudyData]) -> None:
        self.record, self.studies = record, studies

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, as ``compare --json`` prints them."""
        return dict(msgspec.to_builtins(self.record))

    def plot(self) -> Figure:
        """Plot memory at the end, one mark a process, and beside them the differences."""
        from listen2lab.report.comparison import plot_comparison  # matplotlib

        return plot_comparison(self.record)

    def plot_curves(self) -> Figure:
        """Plot resident memory over the steps, A and B in one panel for each pair of conditions."""
        from listen2lab.report.comparison import plot_pairs  # matplotlib

        return plot_pairs(self.record, *self.studies)

    def write(self, path: Path | str) -> Path:
        """Write a picture (``.svg``, ``.png``) or a page (``.html``); return its path."""
        from listen2lab.report.comparison import write_comparison  # matplotlib

        return write_comparison(self.record, Path(path), self.studies)

    def __repr__(self) -> str:
        from listen2lab.report.text.compare import comparison_text
        from listen2lab.report.text.escape import printable

        return printable(comparison_text(self.record))


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
        return {"is_reproduced": self.is_reproduced, **msgspec.to_builtins(self.record)}

    def __repr__(self) -> str:
        from listen2lab.report.text.compare import rerun_text
        from listen2lab.report.text.escape import printable

        return printable(rerun_text(self.record))


class Merged(Study):
    """A study that was just merged of others.

    Attributes
    ----------
    notes
        What was put together and what was left out.
    """

    def __init__(self, data: StudyData, notes: Sequence[Notice]) -> None:
        super().__init__(data)
        self.notes = tuple(notes)

    def words(self) -> str:
        """Return what was put together and left out, in words."""
        from listen2lab.report.text.compare import merge_text
        from listen2lab.report.text.escape import printable

        return printable(merge_text(self.notes, self.folder.path))
