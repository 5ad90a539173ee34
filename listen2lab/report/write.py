"""Everything that is written of a study for people: report, Markdown, pictures, notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from listen2lab.report.html import page
from listen2lab.report.issue import issue
from listen2lab.report.markdown import short
from listen2lab.report.pictures import pictures as drawn
from listen2lab.study.shared import SharedStudy

if TYPE_CHECKING:
    from pathlib import Path

    from listen2lab.facade import Study

__all__ = ["Written", "write_report"]


class Written(NamedTuple):
    """What was written of a study."""

    summary: dict[str, Any]
    """See `listen2lab.facade.Study.summary`."""
    path: Path
    """The report."""
    left_out: list[str]
    """A sentence for each notebook that could not be executed."""


def write_report(
    study: Study,
    *,
    include_private: bool = False,
    pictures: bool = False,
    notebooks: bool = False,
) -> Written:
    """Write ``summary.json``, ``report.html``, ``summary.md`` and ``ISSUE.md`` into the study.

    Paths, host and user names and the texts that were read are in none of those for people,
    unless asked for; ``summary.json`` is for tools and holds the study's own names.

    Parameters
    ----------
    study
        Any study, complete or not.
    include_private
        Tell everything: the command as it was typed, messages of runs that failed, names of files,
        and the texts that were read, so that the report alone can be rerun.
    pictures
        Also write each picture as PNG and SVG, into ``pictures/``.
    notebooks
        Also execute the notebooks on this study and write them as HTML, into ``notebooks/``.

    Returns
    -------
    Written
        The summary, the report's path, and what could not be written.

    Raises
    ------
    StudyError
        The folder cannot be written.
    """
    summary = study.summary(anew=True)
    study.folder.write_summary(summary)
    told: Study = study if include_private else SharedStudy(study)
    numbers = told.summary()
    study.folder.write_shared("summary.md", short(told, numbers))
    study.folder.write_shared("ISSUE.md", issue(told, numbers))
    if pictures:
        for name, content in drawn(told):
            study.folder.write_shared(f"pictures/{name}", content)
    left_out: list[str] = []
    if notebooks:
        from listen2lab.notebook.pages import write_notebooks  # noqa: PLC0415 - jupyter is slow

        left_out = write_notebooks(study, include_private=include_private)
    path = study.folder.write_report(page(told, numbers, include_private=include_private))
    return Written(summary, path, left_out)
