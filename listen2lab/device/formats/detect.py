"""What is in a file: decided by its content, never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.device.formats import (
    app_log_sessions,
    dumpsys,
    footprint,
    heap,
    jetsam,
    leaks,
    linux_proc,
    malloc_history,
    memory_lines,
    metrickit,
    table,
    vmmap,
)
from listen2lab.device.formats.lines import MOST_REPORT

if TYPE_CHECKING:
    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Format

__all__ = ["FORMATS", "formats_of"]

FORMATS: tuple[Format, ...] = (
    app_log_sessions.FORMAT,
    vmmap.FORMAT,
    footprint.FORMAT,
    footprint.FORMAT_JSON,
    heap.FORMAT,
    leaks.FORMAT,
    malloc_history.FORMAT,
    dumpsys.FORMAT,
    jetsam.FORMAT,
    metrickit.FORMAT,
    linux_proc.FORMAT,
    table.FORMAT,
    table.FORMAT_JSON,
    table.FORMAT_BLANKS,
    memory_lines.FORMAT,
)
"""All that can be read: a new format's module is named here, and nowhere else."""

_LOG = FORMATS[0]
_MOST_BESIDE_LOG = 16 * 1024 * 1024
"""Bytes of an app's log that are searched for reports in the same file."""
_FIRST = 50
"""Lines that are looked at to tell a table or JSON."""


def formats_of(content: Content, log: Format = _LOG) -> tuple[Format, ...]:
    """Return what a file holds: several formats where outputs were put into one file.

    Parameters
    ----------
    content
        Of the file.
    log
        How the app logs.
    """
    found: set[str] = set()
    read = 0
    first: list[bytes] = []
    formats = (log, *FORMATS[1:])
    for _, lines in content.batches():
        piece = b"\n".join(lines)
        if len(first) < _FIRST:
            first += [line for line in lines[: 4 * _FIRST] if line.strip()][:_FIRST]
        for each in formats:
            if each.kind not in found and any(mark in piece for mark in each.marks):
                sure = each.confirmed is None or each.confirmed.search(piece)
                found |= {each.kind} if sure else set()
        read += len(piece)
        if read > MOST_REPORT or (read > _MOST_BESIDE_LOG and _LOG.kind in found):
            break
    json = (
        bool(first)
        and first[0].lstrip()[:1] == b"{"
        and not found & {_LOG.kind, jetsam.FORMAT.kind, metrickit.FORMAT.kind}
    )
    if first and (json or not found):
        begun = [each for each in formats if each.begins is not None and each.begins(first)]
        return tuple(begun[:1])
    return tuple(each for each in formats if each.kind in found)
