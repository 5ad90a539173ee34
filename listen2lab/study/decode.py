"""Decode manifests and samples, however they were cut or edited by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from listen2lab.errors import DamagedError, LabError, NewerStudyError, StudyError
from listen2lab.notice import Notice
from listen2lab.study.plan import Plan
from listen2lab.study.records import (
    FORMAT,
    InputsRecord,
    MachineFacts,
    Manifest,
    Merged,
    Sample,
    Setup,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LARGEST_FACT", "MOST_FACTS", "decode_record", "decode_samples", "manifest_of", "read_manifest",
    "refuse_many", "refuse_other_format",
]  # fmt: skip


T = TypeVar("T")

MOST_VALUES = 1_500_000
"""The most values in one file: more of them would take much more memory than the file itself."""

MOST_FACTS = 500_000
"""The most values of a manifest, or of what a report carries: 100,000 runs, each named."""

LARGEST_PLAN = 8 << 20
"""Bytes of the largest plan: 100,000 runs, each named."""

MOST_SAMPLES = 50_000
"""The most lines of one run: a plan asks for 20,000 samples at most, and some around them."""


def decode_record(content: bytes, record: type[T], most_values: int = MOST_VALUES) -> T:
    """Decode JSON, however odd; whatever is wrong with it is a `msgspec.DecodeError`."""
    refuse_many(content, most_values)
    try:
        return msgspec.json.decode(content, type=record)
    except msgspec.DecodeError:
        raise
    except (ValueError, RecursionError, OverflowError, LabError) as error:
        raise msgspec.DecodeError(f"it cannot be read: {error}") from error


def refuse_many(content: bytes, most: int = MOST_VALUES) -> None:
    """Refuse more values than any file of a study has, before each takes memory of its own."""
    if len(content) - len(content.translate(None, b",[{")) > most:
        raise msgspec.DecodeError(f"it has more than {most:,} values")


def read_manifest(content: bytes, where: str) -> tuple[Manifest, list[Notice]]:
    """Decode the JSON of a manifest; ``where`` says of what, for a message.

    Its plan can be carried out; a fact that cannot be read has its default, and a notice
    ``fact-unknown`` (``field``).

    Raises
    ------
    StudyError
        It is damaged, or holds no plan that can be read; `NewerStudyError`: of a newer format.
    """
    try:
        raw = decode_record(content, dict[str, Any], MOST_FACTS)
    except msgspec.DecodeError as error:
        raise StudyError(
            f"{where} is damaged ({error}); the runs beside it are untouched"
        ) from error
    return manifest_of(raw, where)


def refuse_other_format(written: object, where: str) -> None:
    """Refuse what another version of the records has written, as `read_manifest` does."""
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
        plan = _plan(raw.get("plan"))
    except (msgspec.ValidationError, LabError) as error:
        raise StudyError(
            f"the manifest of {where} holds no plan that can be read ({error}); its runs are "
            "untouched; put back what was changed in it"
        ) from error
    kept, notices = _lenient(Manifest, {**raw, "plan": plan})
    return Manifest(**kept), notices


def _plan(raw: object) -> Plan:
    if len(msgspec.json.encode(raw)) > LARGEST_PLAN:
        raise StudyError(f"it has more than {LARGEST_PLAN >> 20} MiB")
    return msgspec.convert(raw, type=Plan)


LARGEST_FACT = 1 << 20
"""Bytes of the largest fact: a manifest is gone through many times, and each name is looked up."""

_LONG = ("plan", "inputs.paragraphs")

_IN_PARTS = (InputsRecord, MachineFacts, Setup)
"""Records of which each field is read alone: one that is odd does not cost the others."""


def _lenient(
    record: type[msgspec.Struct], raw: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, Any], list[Notice]]:
    kept: dict[str, Any] = {}
    notices = []
    for field in msgspec.structs.fields(record):
        name = prefix + field.encode_name
        if field.encode_name not in raw:
            if field.name in ("inputs", "setup", "created", "machine"):
                notices.append(Notice("fact-unknown", {"field": name}))
            continue
        value = raw[field.encode_name]
        if field.type in _IN_PARTS and isinstance(value, dict):
            parts, odd = _lenient(field.type, value, f"{name}.")
            kept[field.name] = field.type(**parts)
            notices += odd
            continue
        try:
            found = msgspec.convert(value, type=field.type)
            is_fact = name in _LONG or len(msgspec.json.encode(found)) <= LARGEST_FACT
        except (msgspec.ValidationError, LabError, OverflowError):
            is_fact = False
        if is_fact:
            kept[field.name] = found
            continue
        notices.append(Notice("fact-unknown", {"field": name}))
        if name == "merged":  # of what, is not known; but that it was, must not be forgotten
            kept[name] = Merged()
    return kept, notices


_DECODER = msgspec.json.Decoder(Sample)


def decode_samples(content: bytes) -> list[Sample]:
    """Decode the lines of ``steps.jsonl``; a last line that was cut short is left out.

    Raises
    ------
    DamagedError
        A line cannot be read, or is of a step and does not say of which.
    """
    end = content.rfind(b"\n") + 1
    whole = content if end == len(content) else content[:end]  # a copy only where it was cut short
    try:
        refuse_many(whole)
    except msgspec.DecodeError as error:
        raise DamagedError(1, str(error)) from error
    if whole.count(b"\n") > MOST_SAMPLES:
        raise DamagedError(MOST_SAMPLES, f"it has more than {MOST_SAMPLES:,} lines")
    try:
        samples = _DECODER.decode_lines(whole)
    except (ValueError, RecursionError):  # of which a DecodeError is one
        samples = [_decoded(line, k) for k, line in enumerate(whole.splitlines(), start=1)]
    for number, sample in enumerate(samples, start=1):
        if sample.step is None and sample.phase in ("step", "warmup"):
            raise DamagedError(number, "it has no step")
        if sample.steps is not None and not sample.steps > 0:
            raise DamagedError(number, "it has no steps since the sample before")
    return samples


def _decoded(line: bytes, number: int) -> Sample:
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise DamagedError(number, str(error)) from error
