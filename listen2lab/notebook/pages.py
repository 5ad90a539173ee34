"""The notebooks, executed on a study and written as pages that open offline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from listen2lab.errors import LabError, StudyError
from listen2lab.findings.records import MadeFrom
from listen2lab.findings.summary import summary_of
from listen2lab.notebook.execution import execute, opened_by, parameters
from listen2lab.study.folder import SUMMARY, StudyFolder
from listen2lab.study.plan import schedule
from listen2lab.study.reading import read_run
from listen2lab.study.redact import RedactedStudy
from listen2lab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.study.data import StudyData
    from listen2lab.study.redact import PublicNames

__all__ = ["write_notebooks"]


def write_notebooks(
    study: StudyData, public: PublicNames | None, *, notebooks: Sequence[Path] | None = None
) -> list[str]:
    """Execute the notebooks on a study, and write each as HTML into its ``notebooks/``.

    With public names they see a copy that holds what may be shared. A notebook whose experiments
    the study lacks is not run, nor is one that looks at no study. Returns a sentence for each
    that was left out.
    """
    files = sorted(_folder().glob("*.ipynb")) if notebooks is None else list(notebooks)
    said = []
    with tempfile.TemporaryDirectory() as scratch:
        seen = study.folder.path
        if public is not None:
            seen = Path(scratch) / "study"
            _copy(study, public, seen)
        there = {item.name for item in study.plan.experiments}
        for file in files:
            if "study" not in parameters(file):  # it looks at none
                continue
            if missing := [name for name in opened_by(file) if name not in there]:
                said.append(f"{file.stem}: the study holds no {', '.join(missing)}")
                continue
            page = Path(scratch) / f"{file.stem}.html"
            try:
                execute(file, {"study": str(seen), "run_now": False}, page)
            except LabError as error:
                kept = study.folder.path / "notebooks" / page.name
                said.append(f"{file.stem}: {str(error).replace(str(page), str(kept))}")
            if page.is_file():  # as far as it came
                study.folder.write(f"notebooks/{page.name}", page.read_text("utf-8"))
    return said


def _folder() -> Path:
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise StudyError(
            "the notebooks are not here: they lie in a checkout of the project and are not "
            "installed with the package; the report was not written; leave out --notebooks"
        )
    return folder


def _copy(study: StudyData, public: PublicNames, path: Path) -> None:
    """Write a copy of a study that holds only what may be shared, with its summary."""
    shared = RedactedStudy(study, public)
    folder = StudyFolder(path)
    folder.begin()
    folder.write_manifest(shared.manifest)
    folder.release()
    runs = zip(schedule(study.plan), schedule(shared.plan), strict=True)
    for before, now in runs:
        read = read_run(study.folder.run(before.key), before, study.plan)
        if read.result is None:  # not there, or damaged: the page says so as the study does
            continue
        folder.run(now.key).copy_from(
            study.folder.run(before.key), shared.redaction.record(read.result)
        )
        where = (now.experiment.name, now.level.name)
        if now.traced:
            folder.run(now.key).write_traced(shared.trace(*where), shared.objects(*where))
    made_from = MadeFrom(listen2lab=__version__, digest=folder.digest())
    summary = shared.redaction.record(summary_of(study))
    folder.write(SUMMARY, msgspec.structs.replace(summary, made_from=made_from))
