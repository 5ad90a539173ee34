"""Repeat a study with the same seed, texts, models and settings, and say what came out the same."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.compare.differences import Difference, differences
from listen2lab.compare.reproduced import Reproduction, reproduction
from listen2lab.compare.rerun_inputs import Source, same_inputs
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import run_study as conduct
from listen2lab.experiment.progress import Bar
from listen2lab.facade import Study
from listen2lab.study import redaction as private
from listen2lab.study.checked import checked_plan
from listen2lab.study.manifest import checked_manifest
from listen2lab.study.payload import read
from listen2lab.study.public_names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Rerun", "rerun"]


@dataclass(frozen=True, repr=False)
class Rerun:
    """A repeated study beside the one before.

    Attributes
    ----------
    study
        The new one.
    reproduction
        Point by point, what came out the same.
    differences
        Versions, machine and settings that are not those of the study before.
    notes
        What could not be read of the study before, and what that means.
    """

    study: Study
    reproduction: Reproduction
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def is_reproduced(self) -> bool:
        """Whether there was something to compare with, and all of it came out the same."""
        return self.reproduction.is_reproduced

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, as ``rerun --json`` prints them."""
        return {
            **self.reproduction.to_dict(),
            "differences": [each._asdict() for each in self.differences],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        from listen2lab.report.comparison import rerun_words  # noqa: PLC0415 - it needs this class

        return rerun_words(self)


def rerun(
    source: Study | Path | str,
    *experiments: str,
    study: Path | str | None = None,
    resume: Path | str | None = None,
    texts: Sequence[Path | str] = (),
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
) -> Rerun:
    """Repeat a study, and compare.

    Another machine and other versions are allowed, and named. Texts, voice, recognizer and a
    workload's file must be the same, by their hashes; what lies elsewhere now can be given. The
    recognizer that the lab generates may have other last digits (see
    `listen2lab.experiment.inputs.is_same`), which is named, too.

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
    workload
        Where the workload's file lies now.
    voice, recognizer
        Where the folder of a voice or recognizer that is not the lab's own lies now.

    Returns
    -------
    Rerun
        The new study and what it has in common with the one before.

    Raises
    ------
    StudyError
        The source cannot be read, or is of a kind that is not repeated by itself.
    InputError
        What was read or spoken with is not there, or is not the same.
    UnknownNameError
        The study has no such experiment.
    """
    from listen2lab.api import new_folder, say  # noqa: PLC0415 - api will offer this function, too

    before = _only(_opened(source), experiments)
    given = same_inputs(
        before, [Path(t) for t in texts], workload=workload, voice=voice, recognizer=recognizer
    )
    python, notes = _interpreter(before)
    folder = Path(resume or study or new_folder())
    if resume is not None:
        _refuse_another(before, folder)
    for note in (*before.notes, *notes):  # before hours are spent
        say(note)
    progress = Bar()
    try:
        if resume is None:
            conduct.start(
                before.plan, given, folder,
                command=before.manifest["command"], python=python, progress=progress,
            )  # fmt: skip
        else:
            conduct.resume(folder, progress=progress)
    finally:
        progress.close()
    again = Study(folder)
    found = Rerun(
        again,
        reproduction(before.experiments, again.summary()["experiments"]),
        tuple(_differences(before, again.manifest)),
        (*before.notes, *notes, *again.damage),
    )
    again.folder.write_reproduced(found.to_dict())
    return found


def _refuse_another(before: Source, folder: Path) -> None:
    """Refuse to complete a study that was not begun as a rerun of this one."""
    begun, asked = Study(folder).plan, before.plan
    if (begun.experiments, begun.repeats, begun.seed) != (
        asked.experiments,
        asked.repeats,
        asked.seed,
    ):
        raise InputError(
            f"{folder} was not begun as a rerun of {before.name}, or of other experiments of it: "
            "its plan is another one; nothing was run; complete it with `listen2lab run --resume`"
        )


def _only(before: Source, experiments: Sequence[str]) -> Source:
    """Return a part of what is repeated; all of it where nothing is named."""
    known = {item.name: item for item in before.plan.experiments}
    for name in experiments:
        if name not in known:
            raise UnknownNameError("experiment of this study", name, known)
    if not experiments:
        return before
    names = [name for name in known if name in experiments]
    command = shlex.join(["listen2lab", "rerun", Path(before.name).name, *names])
    return replace(
        before,
        plan=replace(before.plan, experiments=tuple(known[name] for name in names)),
        experiments={name: x for name, x in before.experiments.items() if name in names},
        manifest={**before.manifest, "command": command},
    )


def _differences(before: Source, now: dict[str, Any]) -> list[Difference]:
    """Return what differs; what a report leaves out of a fact is no difference."""
    found = differences(before.manifest, now)
    if not before.is_report:
        return found
    shared = differences(before.manifest, private.manifest(now, Names(now)))
    real = {(each.about, each.name) for each in shared}
    return [each for each in found if (each.about, each.name) in real]


def _opened(source: Study | Path | str) -> Source:
    if not isinstance(source, Study) and Path(source).is_file():
        return _from_report(Path(source))
    study = source if isinstance(source, Study) else Study(source)
    if "merged" in study.manifest:
        raise StudyError(
            f"{study.folder.path} was merged of several studies, maybe of several machines; "
            "nothing was run; repeat the studies it was merged of, one by one"
        )
    conduct.refuse_planted(study.plan)
    try:
        paragraphs, notes = study.folder.paragraphs(), []
    except StudyError as error:  # the lab's own texts, or books given again, will do
        paragraphs, notes = None, [str(error)]
    return Source(
        str(study.folder.path), study.manifest, study.plan, study.summary()["experiments"],
        paragraphs, is_report=False, notes=(*study.damage, *notes),
    )  # fmt: skip


def _from_report(path: Path) -> Source:
    manifest, summary = read(path)
    plan = checked_plan(manifest, path)
    conduct.refuse_planted(plan)
    if "merged" in manifest:
        raise StudyError(
            f"{path} reports on several studies that were merged; nothing was run; repeat the "
            "studies one by one"
        )
    manifest, notes = checked_manifest(manifest)
    if summary is None:
        notes.append(
            f"{path} was cut within its numbers: the study can be run again, but there is nothing "
            "to compare it with"
        )
    paragraphs = manifest["inputs"].pop("paragraphs", None)
    return Source(
        str(path), manifest, plan, (summary or {}).get("experiments", {}),
        paragraphs, is_report=True, notes=tuple(notes),
    )  # fmt: skip


def _interpreter(before: Source) -> tuple[str | None, list[str]]:
    """Return the interpreter that the runs had, if it is still there."""
    python: str | None = before.manifest["python"]
    levels = [level for item in before.plan.experiments for level in item.levels]
    for name in filter(None, [level.python for level in levels]):
        if before.is_report or shutil.which(name) is None:
            why = "a report leaves out" if before.is_report else f"is not at {name} any more"
            raise InputError(
                f"some conditions ran under an interpreter of their own, which {why}; nothing was "
                "run; repeat the study where its folder and its interpreters are"
            )
    if python is None or (not before.is_report and shutil.which(python) is not None):
        return python, []
    where = "" if before.is_report else f" ({python}, which is gone)"
    return None, [f"the runs had an interpreter of their own{where}; now they have this one"]
