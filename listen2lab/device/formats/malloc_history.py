"""malloc_history -allBySize: live blocks by the stack of calls that allocated them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.heap import BlockClass, HeapCensus
from listen2lab.device.formats.numbers import read_count
from listen2lab.device.formats.reading import MOST_ROW, Header, no_size, report

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT"]

_CALLS = re.compile(r"\s*([\d.,]+) calls? for ([\d.,]+) bytes:\s*(.*)$")
_PLACE = re.compile(r"^0x[0-9a-fA-F]+\s+(?:\(([^)]*)\)\s*)?|\s+\+\s+\d+.*$")
_ALLOCATES = re.compile(
    r"_?(?:malloc|calloc|realloc|posix_memalign|aligned_alloc|operator new|swift_(?:slow)?alloc"
    r"|_?szone|_?xzm|nano_|mach_vm_|mmap|std::)|thread_|0x[0-9a-fA-F]+$"
)
_FRAMES = 3
"""Of a stack, so many of its last frames that are not malloc's own name it."""


class _Reader:
    """Only what is listed is counted; the list may have been cut, so no total is told."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[HeapCensus] = []
        self.header = Header()
        self.stacks: dict[tuple[str, str], list[int]] = {}

    def feed(self, number: int, line: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        calls = _CALLS.match(line)
        if calls is not None:
            count, size = read_count(calls[1]), read_count(calls[2])
            if count is None or size is None:
                return no_size(line)
            sums = self.stacks.setdefault(_name(calls[3]), [0, 0])
            sums[0] += count
            sums[1] += size
            return True
        text = line[:MOST_ROW].strip()
        header = Header.begun(text, number)
        if header is not None:
            self.end()
            self.header = header
            return True
        return bool(text) and self.header.feed(text)

    def end(self) -> None:
        """Close the process that was being read."""
        if self.stacks:
            head = self.header
            rows = [
                BlockClass(name, "stack", binary, count, size)
                for (name, binary), (count, size) in self.stacks.items()
            ]
            self.found.append(
                HeapCensus(
                    head.process, head.pid, head.footprint, head.peak, None, None,
                    tuple(sorted(rows, key=lambda row: -row.size)), (), head.when, self.source,
                    head.line, head.platform, "malloc_history",
                )
            )  # fmt: skip
        self.stacks = {}


def _name(stack: str) -> tuple[str, str]:
    """Return a stack's last frames, the innermost first, and the binary of that."""
    frames = [frame.strip() for frame in stack.split("|") if frame.strip()]
    known = [(_PLACE.sub("", frame).strip(), _PLACE.match(frame)) for frame in frames]
    own = [(name, place) for name, place in known if name and not _ALLOCATES.match(name)]
    own = own or known or [("", None)]
    place = own[-1][1]
    return " < ".join(name for name, _ in reversed(own[-_FRAMES:])), (place and place[1]) or ""


FORMAT = report(
    "malloc-history", _Reader, b" calls for ", b" call for ", b"malloc_history",
    row=str, confirmed=re.compile(rb"\d calls? for [\d.,]+ bytes:"),
)  # fmt: skip
