"""leaks, of a process or a memory graph: what nothing refers to any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from listen2lab.device.formats.numbers import read_count, read_size
from listen2lab.device.formats.reading import MOST_ROW, Header, report
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT", "Leaks"]

_NUMBER = r"[\d.,'\u00a0\u202f]+"
_MALLOCED = re.compile(
    rf"(?:All zones|Process \d+):\s+({_NUMBER}) nodes? malloced(?: for| -)?"
    rf"\s*({_NUMBER}\s?[KMG]?B)?"
)
_LEAKED = re.compile(rf"Process (\d+):\s+({_NUMBER}) leaks? for ({_NUMBER}) total leaked bytes")
_ROOT = re.compile(
    r"(?:([\d.,]+) \(([^)]+)\) )?ROOT (LEAK|CYCLE):"
    r"\s+(?:<(.+?) 0x[0-9a-fA-F]+>|<(.+)>|(0x[0-9a-fA-F]+))"
)
_PLAIN = re.compile(
    r"Process \d+: \d+ zones?|leaks Report|STACK OF|====|-----|Binary Images"
    r"|\d+\s+\S+\s+0x[0-9a-fA-F]+ |[\d.,]+ \([^)]+\) \S"
)
_LIMITED = "is not debuggable"


class Leaks(msgspec.Struct, frozen=True):
    """What ``leaks`` found that nothing refers to.

    Attributes
    ----------
    count, size
        Unreachable blocks and their bytes.
    blocks, live
        All malloc blocks and their bytes.
    roots
        What heads each leak or cycle (empty: a block without a type), and its bytes; largest first.
    limited
        The tool was not allowed to read all of the process: what it says is a guess.
    """

    process: str
    pid: int
    footprint: int | None
    peak: int | None
    count: int
    size: int
    blocks: int | None
    live: int | None
    roots: tuple[tuple[str, int], ...]
    limited: bool
    source: str
    line: int
    platform: str = ""


class _Reader:
    """*Unreachable* blocks only: memory that something still refers to is no leak to this tool."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Leaks] = []
        self.header = Header()
        self.summary: tuple[int, int, int, int] | None = None
        self.blocks: int | None = None
        self.live: int | None = None
        self.roots: dict[str, int] = {}
        self.limited = False
        self.indent: int | None = None

    def feed(self, number: int, line: str) -> Said:  # noqa: PLR0911 - one for each kind of line
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        text = line.strip()
        if not text:
            return False
        self.limited = self.limited or _LIMITED in text
        header = Header.begun(text, number)
        if header is not None or text.startswith("Process:"):
            self.end()
            self.header = header or self.header
            return header is not None
        known = self.header.feed(text)
        if known is not False:
            return known
        if (some := _MALLOCED.match(text)) is not None:
            self.blocks = read_count(some[1])
            self.live = None if some[2] is None else read_size(some[2])
        elif (some := _LEAKED.match(text)) is not None:
            count, size = read_count(some[2]), read_count(some[3])
            if count is None or size is None:
                return Notice("no-count", {"text": text[:80]})
            self.summary = (int(some[1][:15]), count, size, number)
        elif (some := _ROOT.match(text)) is not None:
            indent = len(line) - len(line.lstrip())
            if self.indent is None or indent <= self.indent + 2:  # deeper ones are a part of it
                self.indent = indent if self.indent is None else self.indent
            else:
                return True
            name = some[4] or some[5] or ""
            size = read_size((some[2] or "").replace(" bytes", ""))
            self.roots[name] = self.roots.get(name, 0) + (size or 0)
        else:
            return _LIMITED in text or _PLAIN.match(text) is not None
        return True

    def end(self) -> None:
        """Close the process that was being read."""
        if self.summary is not None:
            pid, count, size, line = self.summary
            head = self.header
            order = tuple(sorted(self.roots.items(), key=lambda item: -item[1]))
            self.found.append(
                Leaks(
                    head.process, head.pid or pid, head.footprint, head.peak, count, size,
                    self.blocks, self.live, order, self.limited, self.source, line, head.platform,
                )
            )  # fmt: skip
            self.limited = False  # that a process may not be read stands before its block
        self.summary, self.roots, self.blocks, self.live = None, {}, None, None
        self.indent = None


FORMAT = report(
    "leaks", _Reader, b" total leaked bytes", b"leaks Report Version",
    row=lambda line: line[:MOST_ROW],
)  # fmt: skip
