"""The notebooks, executed on a study and written as pages that open offline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import listen2lab
from listen2lab.errors import LabError, StudyError
from listen2lab.notebook import execute
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import schedule
from listen2lab.study.shared import SharedStudy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.facade import Study

__all__ = ["write_notebooks"]


def write_notebooks(
    study: Study, *, include_private: bool = False, notebooks: Sequence[Path] | None = None
) -> list[str]:
    """Execute the notebooks on a study, and write each as HTML into its ``notebooks/``.

    Parameters
    ----------
    study
        A study; a notebook about an experiment that it lacks is left out.
    include_private
        Let them see the study itself; else they see a copy that holds what may be shared.
    notebooks
        Their files; None: those of the checkout.

    Returns
    -------
    list of str
        A sentence for each notebook that could not be executed.

    Raises
    ------
    StudyError
        The notebooks are not here, or the folder cannot be written.
    """
    files = sorted(_folder().glob("*.ipynb")) if notebooks is None else list(notebooks)
    said = []
    with tempfile.TemporaryDirectory() as scratch:
        seen = study.folder.path
        if not include_private:
            seen = Path(scratch) / "study"
            _copy(study, seen)
        for file in files:
            page = Path(scratch) / f"{file.stem}.html"
            try:
                execute(file, {"study": str(seen), "run_now": False}, page)
            except LabError as error:
                said.append(f"{file.stem} was not written: {error}")
                continue
            study.folder.write_shared(f"notebooks/{page.name}", page.read_text("utf-8"))
    return said


def _folder() -> Path:
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise StudyError(
            "the notebooks are not here: they lie in a checkout of the project and are not "
            "installed with the package; the report was not written; leave out --notebooks"
        )
    return folder


def _copy(study: Study, path: Path) -> None:
    """Write a copy of a study that holds only what may be shared, with its summary."""
    told = SharedStudy(study)
    folder = StudyFolder(path)
    folder.begin()
    folder.write_manifest(told.manifest)
    folder.release()
    reasons = list(told.runs["because"])
    for before, now, because in zip(
        schedule(study.plan), schedule(told.plan), reasons, strict=True
    ):
        run = study.folder.run(before.key)
        if run.result() is not None:
            folder.run(now.key).copy_from(run, because=because)
        heap = told.heap(now.experiment.name, now.level.name) if now.traced else None
        if heap is not None:
            folder.run(now.key).write_heap(heap)
    made_from = {"listen2lab": listen2lab.__version__, "digest": folder.digest()}
    folder.write_summary({**told.summary(), "made_from": made_from})
