"""The block of facts that vmmap, heap and leaks print first."""

from __future__ import annotations

import re
from dataclasses import dataclass

from listen2lab.device.formats.sizes import read_size

__all__ = ["Header", "feed"]

_PROCESS = re.compile(r"Process:\s+(.*?)\s*\[(\d+)\]\s*$")
_FOOTPRINT = re.compile(r"Physical footprint( \(peak\))?:\s+(\S.*?)\s*$")
_OTHER = re.compile(
    r"(?:Path|Load Address|Identifier|Version|Code Type|Platform|Parent Process|Target Type"
    r"|Launch Time|OS Version|Report Version|Analysis Tool(?: Version)?|Idle exit|Build Info"
    r"|Command line|Hardware Model|Responsible|User ID|Sharing mode|Load address):?(?:\s|$)"
    r"|-{4,}$"
)


@dataclass
class Header:
    """What is known of the process so far."""

    process: str = ""
    pid: int = 0
    when: str = ""
    footprint: int | None = None
    peak: int | None = None
    line: int = 0


def feed(header: Header, text: str, number: int) -> str | None:
    """Read a line.

    Parameters
    ----------
    header
        Filled in.
    text
        A line, stripped.
    number
        Its number.

    Returns
    -------
    str or None
        ``new`` for the line that begins another process's block, ``known`` for any other line of
        the block, ``bad`` for a footprint that is no size; None for a line that is none of it.
    """
    found = _PROCESS.match(text)
    if found is not None:
        header.__dict__.update(Header(found[1], int(found[2][:15]), line=number).__dict__)
        return "new"
    found = _FOOTPRINT.match(text)
    if found is not None:
        size = read_size(found[2])
        if size is None:
            return "bad"
        if found[1]:
            header.peak = size
        else:
            header.footprint = size
        return "known"
    if text.startswith("Date/Time:"):
        header.when = text.partition(":")[2].strip()
        return "known"
    return "known" if _OTHER.match(text) else None
