"""What is in a file: decided by its content, never by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from listen2lab.device.formats.app_log_grammar import HEAD, TAGS
from listen2lab.device.formats.lines import batches
from listen2lab.device.formats.table import columns_of
from listen2lab.device.formats.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.device.formats.lines import Readable

__all__ = ["KINDS", "MOST_BESIDE_LOG", "MOST_REPORT", "READABLE", "kinds_of", "texts"]

KINDS = {
    "app log": "the app's log",
    "vmmap": "vmmap",
    "footprint": "footprint",
    "footprint json": "footprint, as JSON",
    "heap": "heap",
    "leaks": "leaks",
    "dumpsys": "dumpsys meminfo",
    "csv": "a table of time and memory",
    "jsonl": "JSON lines of time and memory",
}
"""What can be read, and how it is called in a sentence."""

READABLE = (
    "the app's log; what vmmap, footprint (as text or JSON), heap, leaks or dumpsys meminfo "
    "printed; a CSV or JSON lines of time and memory"
)
"""All of them in a sentence."""

MOST_REPORT = 64 * 1024 * 1024
"""Bytes of a file that are searched for anything but the app's log. Reports are some megabytes."""

MOST_BESIDE_LOG = 16 * 1024 * 1024
"""Bytes of an app's log that are searched for reports in the same file."""

_FIRST = 50
"""Lines that are looked at to tell a table or JSON."""

_MARKS: dict[str, tuple[bytes, ...]] = {
    "vmmap": (b"REGION TYPE ",),
    "footprint": (b" Footprint: ", b"phys_footprint: ", b"Reclaimable"),
    "heap": (b"CLASS_NAME", b"All zones: "),
    "leaks": (b" total leaked bytes", b"leaks Report Version"),
    "dumpsys": (b"** MEMINFO in pid ",),
}
"""What a report holds somewhere; its reader decides whether it is one."""


def kinds_of(file: Readable, encoding: str) -> tuple[str, ...]:
    """Return what a file holds, and rewind it.

    Parameters
    ----------
    file
        At its beginning.
    encoding
        See `listen2lab.device.formats.lines.peek`.

    Returns
    -------
    tuple of str
        Keys of `KINDS`; several where outputs were put into one file.
    """
    found: dict[str, None] = {}
    read = 0
    first: list[bytes] = []
    scratch = Tally("")
    for _, lines in batches(file, encoding, scratch):
        piece = b"\n".join(lines)
        if len(first) < _FIRST:
            first += [line for line in lines[: 4 * _FIRST] if line.strip()][:_FIRST]
        if "app log" not in found and any(tag in piece for tag in TAGS):
            found.update({"app log": None} if HEAD.search(piece) else {})
        for name, marks in _MARKS.items():
            if name not in found and any(mark in piece for mark in marks):
                found[name] = None
        read += len(piece)
        if read > MOST_REPORT or (read > MOST_BESIDE_LOG and "app log" in found):
            break
    file.seek(0)
    if "app log" in found:
        return tuple(kind for kind in KINDS if kind in found)
    if first and first[0].lstrip()[:1] == b"{":
        kind = _json_kind(first)
        return () if kind is None else (kind,)
    if not found and _has_header(first):
        return ("csv",)
    return tuple(kind for kind in KINDS if kind in found)


def _json_kind(first: list[bytes]) -> str | None:
    """Tell one object of footprint's from lines of objects."""
    whole = b"".join(first)
    one = len(first) == 1 or not _is_object(first[0])
    if one and any(mark in whole for mark in (b'"processes"', b'"bytes per unit"', b'"samples"')):
        return "footprint json"
    return "jsonl" if _names_memory(first) else None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _names_memory(first: list[bytes]) -> bool:
    for line in first:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and columns_of([str(name) for name in row]) is not None:
            return True
    return False


def _has_header(first: list[bytes]) -> bool:
    for line in first:
        text = line.decode("utf-8", "replace")
        mark = max(";\t,", key=text.count)
        if mark in text and columns_of(text.split(mark)) is not None:
            return True
    return False


def texts(file: Readable, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield a file's lines as text, with their numbers; at most `MOST_REPORT` bytes of them."""
    read = 0
    for first, lines in batches(file, encoding, Tally("")):
        for number, line in enumerate(lines, first):
            yield number, line.decode("utf-8", "replace").rstrip("\r")
            read += len(line) + 1
        if read > MOST_REPORT:
            return
