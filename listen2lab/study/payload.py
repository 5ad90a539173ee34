"""What a report carries of its study for machines: manifest and summary, written and read back."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from listen2lab.errors import StudyError
from listen2lab.report.text.study import without_paths
from listen2lab.study.folder import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["ELEMENT_ID", "payload", "read"]

ELEMENT_ID = "listen2lab-study"
"""Id of the element that holds the payload:
``<script type="application/json" id="listen2lab-study">``."""

_OPENING = re.compile(rf"<script\b[^>]*\bid=[\"']{ELEMENT_ID}[\"'][^>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"\b(\w+)://[^\s'\"]+")  # of a scheduler: it names a host
# A script element ends at the first "</script", wherever it stands, and "<!--" opens another
# state of an HTML parser; U+2028 and U+2029 end a line in older JavaScript.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def payload(
    manifest: Mapping[str, Any],
    summary: Mapping[str, Any],
    include_private: bool = False,  # noqa: FBT001, FBT002 - the option's own name
    paragraphs: Sequence[str] = (),
) -> str:
    """Return what stands inside the report's ``script`` element.

    Place the element in the page's head, so that a page that was cut still has it.

    Parameters
    ----------
    manifest, summary
        Of the study.
    include_private
        Keep paths as they are, and the texts that were read.
    paragraphs
        The study's texts; left out unless `include_private`.

    Returns
    -------
    str
        JSON in one line, safe inside a ``script`` element: to be inserted as it is.
    """
    told: dict[str, Any] = dict(manifest)
    if include_private and paragraphs:
        told["inputs"] = {**told.get("inputs", {}), "paragraphs": list(paragraphs)}
    if not include_private:
        told = _shareable(told)
    # The manifest comes first: what was cut at the end can still be run again.
    values = {"format": FORMAT, "manifest": told, "summary": dict(summary)}
    if not include_private:
        values["summary"] = _without_paths(values["summary"])
    return json.dumps(values, ensure_ascii=False).translate(_ESCAPES)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read back what a report carries.

    Parameters
    ----------
    path
        A report's HTML file, whole or cut.

    Returns
    -------
    manifest : dict
        The study's, without its paths unless they were included; texts that were included stand
        in ``inputs.paragraphs``.
    summary : dict or None
        The study's; None where the file was cut before its end.

    Raises
    ------
    StudyError
        It cannot be read, is no report, or was cut before the manifest's end.
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
    found = _pairs(page[opening.end() :].split("</script", 1)[0])
    if _is_newer(found.get("format")):
        raise StudyError(
            f"{path} was written by a newer listen2lab (format {found['format']}, this one reads "
            f"{FORMAT}); update listen2lab to open it"
        )
    manifest, summary = found.get("manifest"), found.get("summary")
    if not isinstance(manifest, dict):
        raise StudyError(
            f"{path} was cut within its manifest: neither plan nor numbers can be read; give the "
            "whole report, or the study's folder"
        )
    return manifest, summary if isinstance(summary, dict) else None


def _is_newer(written: object) -> bool:
    return isinstance(written, int) and written > FORMAT


def _pairs(text: str) -> dict[str, Any]:
    """Return the members of a JSON object that are whole, up to where it was cut."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    at = text.find("{") + 1
    try:
        while at > 0:
            at = _skip(text, at, ", \t\r\n")
            name, at = decoder.raw_decode(text, at)
            value, at = decoder.raw_decode(text, _skip(text, at, ": \t\r\n"))
            found[str(name)] = value
    except ValueError:  # the end, or where it was cut
        pass
    return found


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _shareable(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest that tells neither where files lay nor which machine it was."""
    told: dict[str, Any] = _without_paths(
        {name: value for name, value in manifest.items() if name != "command"}
    )
    if "command" in manifest:
        told["command"] = _command(str(manifest["command"]))
    inputs = told.get("inputs")
    if isinstance(inputs, dict):
        told["inputs"] = {
            name: _leaf(value) if name in ("voice", "recognizer", "workload") else value
            for name, value in inputs.items()
            if name != "paragraphs"
        }
    machines = told.get("machines")
    if isinstance(machines, dict):
        told["machines"] = {
            label: {name: fact for name, fact in facts.items() if name != "id"}
            for label, facts in machines.items()
        }
    return told


def _command(command: str) -> str:
    """Return a command with each path in it cut down to its last part."""
    if not command.startswith("listen2lab "):  # a call in Python, whose quotes must stay
        return str(_without_paths(command))
    try:
        return shlex.join(
            "=".join(_leaf(part) for part in word.split("=", 1)) for word in shlex.split(command)
        )
    except ValueError:
        return str(_without_paths(command))


def _leaf(value: Any) -> Any:
    if not isinstance(value, str) or "/" not in value:
        return value
    if "://" in value:
        return _without_paths(value)
    return value.rstrip("/").rsplit("/", 1)[-1]


def _without_paths(value: Any) -> Any:
    if isinstance(value, str):
        return without_paths(_ADDRESS.sub(r"\1:…", value))
    if isinstance(value, dict):
        return {name: _without_paths(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_paths(item) for item in value]
    return value
