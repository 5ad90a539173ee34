"""What a report carries of its study for machines: manifest and summary, written and read back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from listen2lab.errors import StudyError
from listen2lab.study.decode import manifest_of, refuse_other_format
from listen2lab.study.records import FORMAT, Manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from listen2lab.notice import Notice

__all__ = ["ELEMENT_ID", "Payload", "payload", "read_payload"]

ELEMENT_ID = "listen2lab-study"
"""Id of the element that holds the payload:
``<script type="application/json" id="listen2lab-study">``."""

_OPENING = re.compile(
    rf"<script\b[^>]{{0,200}}\bid=[\"']{ELEMENT_ID}[\"'][^>]{{0,200}}>", re.IGNORECASE
)
# A script element ends at the first "</script", wherever it stands, and "<!--" opens another
# state of an HTML parser; U+2028 and U+2029 end a line in older JavaScript.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def payload(
    manifest: Manifest, summary: msgspec.Struct, paragraphs: Sequence[str] | None = None
) -> str:
    """Return what stands inside the report's ``script`` element: JSON in one line, safe in there.

    Manifest and summary are those that may be shared (see `listen2lab.study.redact`); texts that
    are given go along. Place the element in the page's head: a page that was cut still has it.
    """
    manifest = msgspec.structs.replace(manifest, mark=None)  # a report may never say what runs
    if paragraphs is not None:
        inputs = msgspec.structs.replace(manifest.inputs, paragraphs=tuple(paragraphs))
        manifest = msgspec.structs.replace(manifest, inputs=inputs)
    # The manifest comes first: what was cut at the end can still be run again.
    values = {"format": FORMAT, "manifest": manifest, "summary": summary}
    return msgspec.json.encode(values).decode().translate(_ESCAPES)


class Payload(NamedTuple):
    """What a report carries."""

    manifest: Manifest
    summary: bytes | None
    """JSON, see `listen2lab.findings.records.Summary`; None where the file was cut before it."""
    notices: list[Notice]
    """What in the manifest could not be read."""


def read_payload(path: Path) -> Payload:
    """Read back what a report's HTML file carries, whole or cut.

    Texts that were included stand in ``manifest.inputs.paragraphs``. Raises `StudyError` where it
    cannot be read, is no report, or was cut before the manifest's end.
    """
    try:
        page = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise StudyError(f"cannot read {path}: {error.strerror}") from error
    opening = _OPENING.search(page)
    if opening is None:
        is_whole = "</html>" in page[-200:].lower()
        why = "it is no report of listen2lab" if is_whole else "it was cut, or is no report"
        raise StudyError(
            f"{path} carries no manifest: {why}; give the whole report, or the study's folder"
        )
    found = _members(page[opening.end() :].split("</script", 1)[0])
    raw, summary = found.get("manifest"), found.get("summary")
    if not isinstance(raw, dict):
        if "format" in found:
            refuse_other_format(found["format"], str(path))
        raise StudyError(
            f"{path} was cut within its manifest: neither plan nor numbers can be read; give the "
            "whole report, or the study's folder"
        )
    manifest, notices = manifest_of(raw, str(path))
    carried = msgspec.json.encode(summary) if isinstance(summary, dict) else None
    return Payload(manifest, carried, notices)


def _members(text: str) -> dict[str, Any]:
    """Return the members of a JSON object that are whole, up to where it was cut."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    rest = text.partition("{")[2]
    try:
        while rest:
            name, end = decoder.raw_decode(rest.lstrip())
            rest = rest.lstrip()[end:].lstrip(": \t\r\n")
            found[str(name)], end = decoder.raw_decode(rest)
            rest = rest[end:].lstrip(", \t\r\n")
    except (ValueError, RecursionError):  # the end, or where it was cut
        pass
    return found
