"""Everything that is written of a study for people: report, Markdown, pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.answer import load_answer
from listen2lab.device.redaction import redacted
from listen2lab.report.account import plot_account
from listen2lab.report.cure_plots import plot_cures, plot_law
from listen2lab.report.device import evidence_section
from listen2lab.report.html import page
from listen2lab.report.markdown import issue, short
from listen2lab.report.plots import plot_curves, plot_ends, plot_heap, plot_outcomes, plot_phases
from listen2lab.report.style import to_png, to_svg_file
from listen2lab.report.tables import phase_table
from listen2lab.study.folder import SUMMARY
from listen2lab.study.redact import RedactedStudy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from listen2lab.findings.records import Summary
    from listen2lab.study.data import StudyData
    from listen2lab.study.redact import PublicNames

__all__ = ["pictures", "write_report"]


def write_report(
    study: StudyData,
    summary: Summary,
    public: PublicNames | None,
    *,
    with_pictures: bool = False,
    for_engine: bool = False,
) -> Path:
    """Write ``summary.json``, ``report.html``, ``summary.md`` and ``ISSUE.md`` into the study.

    Paths, host and user names and the texts that were read are in none of those for people,
    unless asked for; ``summary.json`` is for tools and holds the study's own names.

    Parameters
    ----------
    study, summary
        Any study, complete or not.
    public
        Names that everyone has: with them, and nothing else, it is told. None: tell everything, the
        command as it was typed, messages of runs that failed, names of files, and the texts that
        were read, so that the report alone can be rerun.
    with_pictures
        Also write each picture as PNG and SVG, into ``pictures/``.
    for_engine
        Whether ``ISSUE.md`` is for the maintainers of the engine.

    Returns
    -------
    Path
        The report's.

    Raises
    ------
    StudyError
        The folder cannot be written.
    """
    folder = study.folder
    folder.write(SUMMARY, summary)
    seen, numbers, evidence = study, summary, load_answer(folder)
    if public is not None:
        seen = shared = RedactedStudy(study, public)
        numbers = shared.redaction.record(summary)
        evidence = evidence and redacted(evidence, shared.redaction.text)
    section = None if evidence is None else evidence_section(evidence)
    folder.write("summary.md", short(seen, numbers))
    folder.write("ISSUE.md", issue(seen, numbers, for_engine=for_engine))
    for name, content in pictures(seen, numbers) if with_pictures else ():
        folder.write(f"pictures/{name}", content)
    return folder.write(
        folder.report_path.name, page(seen, numbers, device=section, include_private=public is None)
    )


def pictures(study: StudyData, summary: Summary) -> Iterator[tuple[str, str | bytes]]:
    """Draw every picture of a study."""
    for name, label, figure in _figures(study, summary):
        if figure is not None:
            yield f"{name}.svg", to_svg_file(figure, label=label)
            yield f"{name}.png", to_png(figure)


def _figures(study: StudyData, summary: Summary) -> Iterator[tuple[str, str, Figure | None]]:
    if summary.answers is not None:
        if summary.answers.cures is not None:
            yield "cures", "Peak of cures against CPU", plot_cures(summary.answers.cures)
        yield "outcomes", "End and peak of conditions", plot_outcomes(summary.answers.outcomes)
    yield "law", "Peak by the longest sentence, and the law", plot_law(study, summary.laws)
    for item in study.plan.experiments:
        name, stem = item.name, _file_name(item.name)
        label = f"Resident memory over the steps, {name}"
        yield f"{stem}-curves", label, plot_curves(study, name)
        yield f"{stem}-ends", f"Peak and end by condition, {name}", plot_ends(study, name)
        own = item.reference.name
        label = f"What resident memory is made of, {name}, {own}"
        yield f"{stem}-account", label, plot_account(study, name, own)
        for level in item.levels:
            of_level = f"{stem}-{_file_name(level.name)}"
            phases = phase_table(study, name, level.name)
            if phases is not None:
                label = f"Memory after each phase, {name}, {level.name}"
                yield f"{of_level}-phases", label, plot_phases(phases)
            trace = study.trace(name, level.name)
            if trace is not None:
                label = f"Heap trace, {name}, {level.name}"
                yield f"{of_level}-heap", label, plot_heap(study, name, level.name, trace)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_+-]+", "-", name).strip("-") or "unnamed"
