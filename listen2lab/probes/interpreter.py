"""How much the interpreter's own allocator holds, by what it says of itself."""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

__all__ = ["PythonHeap", "parse", "read"]

_LINE = re.compile(rb"^(?:#? ?[\d,]* ?)?(.*?) *= *([\d,]+)$", re.MULTILINE)
_MOST = 1 << 16


class PythonHeap(NamedTuple):
    """Bytes of the arenas that Python's small objects live in, and those not handed out."""

    arenas: int
    free: int


def parse(text: bytes) -> PythonHeap | None:
    """Read what ``sys._debugmallocstats`` prints; None where it prints something else.

    Parameters
    ----------
    text
        What was printed.
    """
    arenas = live = None
    for found in _LINE.finditer(text):
        name, value = found[1], int(found[2].replace(b",", b"") or 0)
        if b"bytes/arena" in name:
            arenas = value
        elif name.startswith(b"bytes in allocated blocks"):
            live = value
    if arenas is None or live is None:
        return None
    return PythonHeap(arenas, max(0, arenas - live))


def read() -> PythonHeap | None:
    """Ask the interpreter. It answers on the error output only, which leads elsewhere meanwhile.

    Returns
    -------
    PythonHeap or None
        None for an interpreter that does not answer in these words.
    """
    tell = getattr(sys, "_debugmallocstats", None)
    if tell is None or not hasattr(os, "memfd_create"):
        return None
    kept = os.dup(2)
    heard = os.memfd_create("python-heap")
    try:
        os.dup2(heard, 2)
        try:
            tell()
        finally:
            os.dup2(kept, 2)
        return parse(os.pread(heard, _MOST, 0))
    finally:
        os.close(kept)
        os.close(heard)
