"""What a report carries of its study for machines: manifest and summary, written and read back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from listen2lab.errors import StudyError
from listen2lab.study.decode import (
    MOST_FACTS,
    decode_record,
    manifest_of,
    refuse_many,
    refuse_other_format,
)
from listen2lab.study.files import read_named
from listen2lab.study.records import FORMAT, Manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from listen2lab.notice import Notice

__all__ = ["ELEMENT_ID", "Payload", "payload", "payload_of", "read_payload"]

ELEMENT_ID = "listen2lab-study"
"""Id of the element that holds the payload:
``<script type="application/json" id="listen2lab-study">``."""

_MARKER = ELEMENT_ID.encode()
_OPENING = re.compile(rb"<script\b[^>]*\bid=[\"']%b[\"'][^>]*>" % _MARKER, re.IGNORECASE)
_BETWEEN = re.compile(r"[,: \t\r\n]*")
_TAG = 200  # bytes on either side of the id in which its tag begins and ends
_MOST_TAGS = 1000  # mentions of the id that are looked at, and members of the object
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
    return payload_of(read_named(path), str(path))


def payload_of(page: bytes, where: str) -> Payload:
    """Return what a page carries; see `read_payload`."""
    begin = _begin(page)
    if begin is None:
        is_whole = b"</html>" in page[-200:].lower()
        why = "it is no report of listen2lab" if is_whole else "it was cut, or is no report"
        raise StudyError(
            f"{where} carries no manifest: {why}; give the whole report, or the study's folder"
        )
    end = page.find(b"</script", begin)
    content = page[begin : len(page) if end < 0 else end]
    try:
        refuse_many(content, MOST_FACTS)
    except msgspec.DecodeError as error:
        raise StudyError(f"{where} carries no study: {error}") from error
    found = _members(content.decode("utf-8", "replace"))
    raw, summary = found.get("manifest"), found.get("summary")
    if not isinstance(raw, dict):
        if "format" in found:
            refuse_other_format(found["format"], where)
        raise StudyError(
            f"{where} was cut within its manifest: neither plan nor numbers can be read; give the "
            "whole report, or the study's folder"
        )
    manifest, notices = manifest_of(raw, where)
    carried = msgspec.json.encode(summary) if isinstance(summary, dict) else None
    return Payload(manifest, carried, notices)


def _begin(page: bytes) -> int | None:
    """Return where the payload begins: in a time that grows with the page, whatever is in it."""
    at = -1
    for _ in range(_MOST_TAGS):
        at = page.find(_MARKER, at + 1)
        if at < 0:
            return None
        tag = page.rfind(b"<", max(0, at - _TAG), at)
        found = None if tag < 0 else _OPENING.match(page, tag, at + len(_MARKER) + _TAG)
        if found is not None:
            return found.end()
    return None


def _members(text: str) -> dict[str, Any]:
    """Return the members of a JSON object that are whole, up to where it was cut."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    at = text.find("{") + 1
    try:
        for _ in range(_MOST_TAGS):
            name, at = decoder.raw_decode(text, _space(text, at))
            begin = _space(text, at)
            at = decoder.raw_decode(text, begin)[1]  # what it made is let go of at once
            # Python's decoder finds the end, and lets half characters and infinite numbers pass.
            found[str(name)] = decode_record(text[begin:at].encode("utf-8", "replace"), Any)
    except (ValueError, RecursionError):  # the end, where it was cut, or what cannot be read
        pass
    return found


def _space(text: str, at: int) -> int:
    """Return where what comes after spaces, a comma or a colon begins."""
    found = _BETWEEN.match(text, at)
    return at if found is None else found.end()
