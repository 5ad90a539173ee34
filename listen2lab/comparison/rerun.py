"""Repeat a study with the same seed, texts, models and settings, and say what came out the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from listen2lab.comparison.differences import Difference, differences
from listen2lab.comparison.reproduced import Point, points
from listen2lab.comparison.rerun_inputs import Source, same_inputs
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import run_study
from listen2lab.experiment.trust import is_own, refuse_foreign_levels
from listen2lab.findings.hypotheses import public_names
from listen2lab.findings.records import ExperimentSummary, Summary
from listen2lab.findings.summary import summary_of
from listen2lab.notice import Notice
from listen2lab.study.data import StudyData, open_study
from listen2lab.study.decode import decode_record
from listen2lab.study.payload import read_payload
from listen2lab.study.plan import schedule
from listen2lab.study.records import Call, Manifest
from listen2lab.study.redact import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from listen2lab.experiment.progress import Progress

__all__ = ["Rerun", "rerun"]


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A repeated study beside the one before: ``reproduced.json``.

    Parameters
    ----------
    points
        Point by point, what came out the same.
    differences
        Versions, machine and settings that are not those of the study before.
    notes
        What could not be read of the study before, and what that means.
    """

    points: tuple[Point, ...]
    differences: tuple[Difference, ...] = ()
    notes: tuple[Notice, ...] = ()

    @property
    def is_reproduced(self) -> bool:
        """Whether there was something to compare with, and all of it came out the same."""
        return bool(self.points) and all(point.is_reproduced for point in self.points)


def rerun(
    source: StudyData | Path | str,
    *experiments: str,
    out: Path | str,
    resume: bool = False,
    texts: Sequence[Path | str] = (),
    workload: Path | str | None = None,
    voice: Path | str | None = None,
    recognizer: Path | str | None = None,
    python: str | None = None,
    progress: Progress | None = None,
    tell: Callable[[Notice], None] | None = None,
) -> tuple[StudyData, Rerun]:
    """Repeat a study, and compare; return the new one, and ``reproduced.json`` that is beside it.

    Another machine and other versions are allowed, and named. The recognizer that the lab generates
    may have other last digits (see `listen2lab.experiment.inputs.is_same`), which is named, too.
    ``progress`` and ``tell`` hear how it goes, and what should be known before hours are spent.
    See `listen2lab.api.rerun`.
    """
    before = _only(_opened(source), experiments)
    given = same_inputs(
        before, [Path(t) for t in texts], workload=workload, voice=voice, recognizer=recognizer
    )
    python, notes = _interpreter(before, python)
    folder = Path(out)
    if resume:
        _refuse_another(before, folder)
    tell = tell or run_study.to_nobody
    for note in (*before.notes, *notes):
        tell(note)
    if resume:
        run_study.resume(
            folder, workload=workload, voice=voice, recognizer=recognizer, python=python,
            progress=progress, notify=tell,
        )  # fmt: skip
    else:
        manifest = before.manifest
        runs = schedule(manifest.plan)
        tell(run_study.will_run(runs, given, python, before.seconds, manifest.plan.jobs))
        run_study.start(
            manifest.plan, given, folder, call=manifest.call, python=python,
            hypotheses=manifest.hypotheses, progress=progress,
        )  # fmt: skip
    again = open_study(folder)
    found = Rerun(
        points=points(before.experiments, summary_of(again).experiments),
        differences=tuple(_differences(before, again.manifest)),
        notes=(*before.notes, *notes, *again.damage),
    )
    again.folder.write("reproduced.json", found)
    return again, found


def _refuse_another(before: Source, folder: Path) -> None:
    """Refuse to complete a study that was not begun as a rerun of this one."""
    begun, asked = open_study(folder).plan, before.manifest.plan
    kept = ("experiments", "repeats", "seed")
    if any(getattr(begun, name) != getattr(asked, name) for name in kept):
        raise InputError(
            f"{folder} was not begun as a rerun of {before.name}, or of other experiments of it: "
            "its plan is another one; nothing was run; complete it with `listen2lab run --resume`"
        )


def _only(before: Source, experiments: Sequence[str]) -> Source:
    """Return a part of what is repeated; all of it where nothing is named."""
    if not experiments:
        return before
    plan = before.manifest.plan
    known = {item.name: item for item in plan.experiments}
    for name in experiments:
        if name not in known:
            raise UnknownNameError("experiment of this study", name, known)
    names = [name for name in known if name in experiments]
    manifest = replace(
        before.manifest,
        plan=replace(plan, experiments=tuple(known[name] for name in names)),
        call=Call("rerun", {"source": Path(before.name).name, "experiments": [*names]}),
    )
    kept = {name: each for name, each in before.experiments.items() if name in names}
    return before._replace(manifest=manifest, experiments=kept)


def _differences(before: Source, now: Manifest) -> list[Difference]:
    """Return what differs; what a report leaves out of a fact is no difference."""
    found = differences(before.manifest, now)
    if not before.is_report:
        return found
    shared = differences(before.manifest, Redaction(now, public_names()).record(now))
    real = {(each.about, each.name) for each in shared}
    return [each for each in found if (each.about, each.name) in real]


def _opened(source: StudyData | Path | str) -> Source:
    if not isinstance(source, StudyData) and Path(source).is_file():
        return _from_report(Path(source))
    study = source if isinstance(source, StudyData) else open_study(source)
    path = study.folder.path
    _refuse_kinds(study.manifest, str(path))
    notes = list(study.damage)
    paragraphs = None
    try:
        paragraphs = study.folder.paragraphs()
    except StudyError as error:  # the lab's own texts, or books given again, will do
        notes.append(Notice("texts-not-read", {"message": str(error)}))
    took = float(study.runs["wall_s"].sum())
    own = is_own(study.manifest)
    return Source(
        str(path), study.manifest, summary_of(study).experiments, paragraphs,
        is_report=False, notes=tuple(notes), is_own=own, seconds=took or None,
        pickle=study.folder.pickle() if own else None,
    )  # fmt: skip


def _from_report(path: Path) -> Source:
    carried = read_payload(path)
    _refuse_kinds(carried.manifest, str(path))
    notes = list(carried.notices)
    experiments: dict[str, ExperimentSummary] = {}
    try:
        # Nothing at all, where the report was cut before it, is no summary either.
        experiments = decode_record(carried.summary or b"", Summary).experiments
    except msgspec.DecodeError as error:
        notes.append(Notice("no-numbers-before", {"message": str(error)}))
    inputs = carried.manifest.inputs
    manifest = replace(carried.manifest, inputs=replace(inputs, paragraphs=None), mark=None)
    paragraphs = None if inputs.paragraphs is None else list(inputs.paragraphs)
    return Source(str(path), manifest, experiments, paragraphs, is_report=True, notes=tuple(notes))


def _refuse_kinds(manifest: Manifest, where: str) -> None:
    """Refuse what is not repeated by itself: several studies, or planted faults."""
    run_study.refuse_planted(manifest.plan)
    if manifest.merged is not None:
        raise StudyError(
            f"{where} was merged of several studies, maybe of several machines; nothing was run; "
            "repeat the studies it was merged of, one by one"
        )


def _interpreter(before: Source, python: str | None) -> tuple[str | None, list[Notice]]:
    """Return the interpreter of the runs: the one that is given, or theirs if it may be used."""
    was = before.manifest.python
    levels = [level for item in before.manifest.plan.experiments for level in item.levels]
    if not before.is_own:
        refuse_foreign_levels(before.manifest, before.name)
    for name in filter(None, [level.python for level in levels]):
        if shutil.which(name) is None:
            raise InputError(
                f"some conditions ran under an interpreter of their own, which is not at {name} "
                "any more; nothing was run; repeat the study where its interpreters are"
            )
    if python is not None or was is None or (before.is_own and shutil.which(was) is not None):
        return python or was, []
    if not before.is_own and not before.is_report:
        raise InputError(
            f"{before.name} was not begun by you on this machine, so the interpreter that it names "
            f"({was}) is not started; nothing was run; name one with --python"
        )
    return None, [Notice("other-interpreter", {"path": None if before.is_report else was})]
