"""What of a study's files can be believed, however they were cut or edited by hand."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from listen2lab.errors import DamagedError, LabError, NewerStudyError, StudyError
from listen2lab.notice import Notice
from listen2lab.study.plan import schedule
from listen2lab.study.records import (
    FORMAT,
    InputsRecord,
    MachineFacts,
    Manifest,
    Merged,
    RunRecord,
    Sample,
    Setup,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from listen2lab.study.folder import RunFolder, StudyFolder
    from listen2lab.study.plan import Plan, Run

__all__ = [
    "ReadRun",
    "decode_samples",
    "manifest_of",
    "read_manifest",
    "read_run",
    "read_runs",
    "refuse_other_format",
]


def read_manifest(content: bytes, where: str) -> tuple[Manifest, list[Notice]]:
    """Decode a manifest.

    Parameters
    ----------
    content
        JSON.
    where
        What the manifest is of, for a message.

    Returns
    -------
    manifest : Manifest
        Its plan can be carried out; a fact that cannot be read has its default.
    notices : list of Notice
        ``fact-unknown`` (``field``) for each such fact.

    Raises
    ------
    StudyError
        It is damaged, or holds no plan that can be read.
    NewerStudyError
        It is of a newer format.
    """
    try:
        raw = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StudyError(
            f"{where} is damaged ({error}); the runs beside it are untouched"
        ) from error
    return manifest_of(raw, where)


def refuse_other_format(written: object, where: str) -> None:
    """Refuse what another version of the records has written.

    Raises
    ------
    StudyError
        The format is none, or an older one.
    NewerStudyError
        It is a newer one.
    """
    if type(written) is not int:
        raise StudyError(
            f"{where} is damaged (its format is {written!r}, no number); the runs beside it are "
            "untouched"
        )
    if written > FORMAT:
        raise NewerStudyError(
            f"{where} was written by a newer listen2lab (format {written}, this one reads "
            f"{FORMAT}); update listen2lab to open it"
        )
    if written < FORMAT:
        raise StudyError(
            f"{where} was written by a listen2lab from before its first release (format "
            f"{written}, this one reads {FORMAT}); its runs are untouched; measure it anew"
        )


def manifest_of(raw: Mapping[str, Any], where: str) -> tuple[Manifest, list[Notice]]:
    """Return what JSON values say as a manifest; see `read_manifest`."""
    refuse_other_format(raw.get("format"), where)
    try:
        plan = msgspec.convert(raw.get("plan"), type=_FIELDS["plan"].type)
    except (msgspec.ValidationError, LabError) as error:
        raise StudyError(
            f"the manifest of {where} holds no plan that can be read ({error}); its runs are "
            "untouched; put back what was changed in it"
        ) from error
    kept, notices = _lenient(Manifest, {**raw, "plan": plan})
    return Manifest(**kept), notices


_FIELDS = {field.name: field for field in msgspec.structs.fields(Manifest)}
_IN_PARTS = (InputsRecord, MachineFacts, Setup)
"""Records of which each field is read alone: one that is odd does not cost the others."""


def _lenient(
    record: type[msgspec.Struct], raw: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, Any], list[Notice]]:
    kept: dict[str, Any] = {}
    notices = []
    for field in msgspec.structs.fields(record):
        value = raw.get(field.encode_name, msgspec.UNSET)
        name = prefix + field.encode_name
        if value is msgspec.UNSET or isinstance(value, msgspec.Struct):
            if value is not msgspec.UNSET:
                kept[field.name] = value
            elif field.name in ("inputs", "setup", "created", "machine"):
                notices.append(Notice("fact-unknown", {"field": name}))
            continue
        if field.type in _IN_PARTS and isinstance(value, dict):
            parts, odd = _lenient(field.type, value, f"{name}.")
            kept[field.name] = field.type(**parts)
            notices += odd
            continue
        try:
            kept[field.name] = msgspec.convert(value, type=field.type)
        except (msgspec.ValidationError, LabError):
            notices.append(Notice("fact-unknown", {"field": name}))
            if name == "merged":  # of what, is not known; but that it was, must not be forgotten
                kept[name] = Merged()
    return kept, notices


class ReadRun(NamedTuple):
    """A planned run, as its folder tells it."""

    run: Run
    result: RunRecord | None
    """None: it has not ended."""
    samples: list[Sample]
    problem: Notice | None
    """Why it is left out; None where nothing is wrong."""


def read_runs(folder: StudyFolder, plan: Plan, damage: list[Notice]) -> Iterator[ReadRun]:
    """Read every run of a study in the order of its schedule, without what cannot be believed.

    Parameters
    ----------
    folder, plan
        The study.
    damage
        Gets a notice for each run that is left out, and for folders that no plan names.

    Yields
    ------
    ReadRun
        A run; one that is left out has neither result nor samples.
    """
    planned = schedule(plan)
    damage += _unplanned(folder.run_keys(), [run.key for run in planned])
    for run in planned:
        read = read_run(folder.run(run.key), run, plan)
        if read.problem is not None:
            damage.append(read.problem)
        yield read


def read_run(there: RunFolder, run: Run, plan: Plan) -> ReadRun:
    """Read one run; see `read_runs`."""
    file = "spec.json"
    try:
        spec = there.spec()
        file = "result.json"
        result = there.result()
        file = "steps.jsonl"
        samples = there.samples()
    except msgspec.DecodeError as error:
        problem = Notice("run-damaged", {"run": run.key, "file": file, "message": str(error)})
        return ReadRun(run, None, [], problem)
    except DamagedError as error:
        problem = Notice(
            "run-damaged",
            {"run": run.key, "file": file, "line": error.line, "message": error.message},
        )
        return ReadRun(run, None, [], problem)
    field = None
    if spec is not None:
        experiment = run.experiment
        planned = {
            "steps": experiment.steps,
            "warmup": experiment.warmup,
            "sample_every": plan.sample_every(experiment),
            "traced": run.traced,
        }
        field = next((name for name, x in planned.items() if getattr(spec, name) != x), None)
        if field is None and "knobs" in spec.workload:
            field = None if spec.workload["knobs"] == experiment.settings(run.level) else "knobs"
    if field is not None:
        return ReadRun(run, None, [], Notice("not-as-planned", {"run": run.key, "field": field}))
    is_empty = not any(sample.phase == "step" for sample in samples)
    if result is not None and result.outcome == "complete" and is_empty:
        return ReadRun(run, None, [], Notice("complete-without-steps", {"run": run.key}))
    return ReadRun(run, result, samples, None)


_DECODER = msgspec.json.Decoder(Sample)


def decode_samples(content: bytes) -> list[Sample]:
    """Decode the lines of ``steps.jsonl``; a last line that was cut short is left out.

    Parameters
    ----------
    content
        The file's.

    Raises
    ------
    DamagedError
        A line cannot be read, or is of a step and does not say of which.
    """
    whole = content[: content.rfind(b"\n") + 1]
    try:
        samples = _DECODER.decode_lines(whole)
    except msgspec.DecodeError:
        samples = [_decoded(line, k) for k, line in enumerate(whole.splitlines(), start=1)]
    for number, sample in enumerate(samples, start=1):
        if sample.step is None and sample.phase in ("step", "warmup"):
            raise DamagedError(number, "it has no step")
    return samples


def _decoded(line: bytes, number: int) -> Sample:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(number, str(error)) from error


def _unplanned(on_disk: Sequence[str], planned: Sequence[str]) -> list[Notice]:
    """Return a notice for the folders of each condition that no plan names."""
    known = set(planned)
    begun = {_condition(key) for key in known.intersection(on_disk)}
    absent = sorted({_condition(key) for key in known} - begun)
    strays: dict[str, int] = {}
    for key in on_disk:
        if key not in known:
            strays[_condition(key)] = strays.get(_condition(key), 0) + 1
    notices = []
    for condition, count in sorted(strays.items()):
        lost = [name for name in absent if name.split("/")[0] == condition.split("/")[0]]
        notices.append(
            Notice("not-planned", {"condition": condition, "runs": count, "without": [*lost]})
        )
    return notices


@functools.lru_cache(maxsize=4096)
def _condition(key: str) -> str:
    return key.rsplit("/", 1)[0]
