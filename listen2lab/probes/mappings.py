"""Read /proc/PID/smaps: every mapping of a process, and what of it is resident."""

from __future__ import annotations

import re
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Area", "areas", "file_name", "kind_of"]

_MAPPING = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) (\S+) [0-9a-f]+ \S+ (\d+) *(.*)\n"
    rb"(?:(?![0-9a-f]+-)[^\n]*\n)*?Rss: *(\d+) kB\n"
    rb"(?:(?:(?![0-9a-f]+-)[^\n]*\n)*?Anonymous: *(\d+) kB\n)?",
    re.MULTILINE,
)
_THREAD_HEAP = 64 * 1024 * 1024
# glibc aligns the heap of a further malloc arena to this; its unused end is not accessible.
_LARGEST_GUARD = 1024 * 1024


class Area(namedtuple("Area", ("start", "end", "access", "inode", "name", "rss", "anonymous"))):
    """One mapping; `rss` and `anonymous` are its resident bytes, and those no file backs."""

    __slots__ = ()
    start: int
    end: int
    access: str
    inode: int
    name: str
    rss: int
    anonymous: int

    @property
    def is_file(self) -> bool:
        """Whether a file (or a shared memory object) is behind it."""
        return self.inode != 0

    @property
    def is_guard(self) -> bool:
        """Whether it only keeps addresses from being used."""
        return self.access == "---p" and not self.is_file


def areas(text: bytes) -> list[Area]:
    """Return the mappings of an smaps text in the order of their addresses; none cut short."""
    return [
        Area(
            int(start, 16),
            int(end, 16),
            access.decode(),
            int(inode),
            path.decode("utf-8", "replace"),
            int(rss) * 1024,
            int(anonymous or 0) * 1024,
        )
        for start, end, access, inode, path, rss, anonymous in _MAPPING.findall(text)
    ]


def kind_of(found: list[Area]) -> Iterator[tuple[str, Area]]:
    """Yield each resident mapping with its kind: a nameless one's shows in its neighbours.

    ``file``; ``data`` (begins with a library's zeroed data); ``stack`` (a thread's, behind its
    guard page); ``heap`` (malloc's main heap, or another thread's); ``other`` (large blocks of
    malloc, arenas of Python's objects, and whatever else was mapped).
    """
    nothing = Area(0, 0, "", 1, "", 0, 0)
    heaps = [
        (area.end - _THREAD_HEAP, area.start)
        for area in found
        if area.is_guard and area.end % _THREAD_HEAP == 0 and area.end - area.start < _THREAD_HEAP
    ]
    before = [nothing, *found[:-1]]
    for area, left in zip(found, before, strict=True):
        if not area.rss:
            continue
        touches_left = left.end == area.start
        if area.is_file:
            yield "file", area
        elif area.name == "[heap]":
            yield "heap", area
        elif area.name.startswith("[stack") or (
            touches_left and left.is_guard and left.end - left.start <= _LARGEST_GUARD
        ):
            yield "stack", area
        elif area.name.startswith("[v"):  # vdso, vvar: the kernel's
            yield "file", area
        elif any(start <= area.start and area.end <= end for start, end in heaps):
            yield "heap", area
        elif touches_left and left.is_file and left.access.startswith("rw"):
            yield "data", area
        else:
            yield "other", area


def file_name(area: Area) -> str:
    """Return a mapped file's name without its folder and version, or the kernel's own name."""
    if not area.is_file:
        return "(kernel)"
    base = area.name.rpartition("/")[2].removesuffix(" (deleted)")
    return base.partition(".cpython-")[0] or "(no name)"
