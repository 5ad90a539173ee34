"""What allocators hold in this process: glibc's blocks, where they lie, and Python's arenas.

malloc says how many bytes it handed out and not where they are. Each block has its size in front
of it: a block in a mapping of its own begins at a page, and the main heap is one block behind the
other. Memory is read through /proc/self/mem, where a race with another thread is a short read
or a size that cannot be, and never a fault. Reading memory that nobody has touched gives it the
page of zeros that all processes share: it is present then, and still not resident. So what only
reserves addresses is not read, and such pages are not counted: /proc/self/pagemap tells them.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import sys
from collections import namedtuple

__all__ = [
    "Block", "Memory", "Pages", "PythonHeap", "is_engine_block", "parse_stats", "python_heap",
]  # fmt: skip

_ENGINE_BLOCK = 1024 * 1024
# The smallest block with which ONNX Runtime's arena grows; each is a power of two.

_PAGE = mmap.PAGESIZE
_WORD = 8
_HEADER = 2 * _WORD
_MAPPED, _FLAGS = 2, 7  # malloc's bits in the size: "in a mapping of its own", and all of them
_PAGE_WORDS = _PAGE // _WORD
_LEADS = (0, 2, 6, 14, 30)
# Words by which an alignment of 16, 32, 64, 128 or 256 bytes moves a block's header from its page's
# beginning; the header tells it too.
_PIECE = 256 * 1024
_SMALLEST = 32
_LARGEST = 1 << 40

_ENTRY = 8
_ENTRIES = 1 << 16  # bytes of pagemap read at once
_PRESENT, _SWAPPED, _OWN = 0x80, 0x40, 0x01
# In an entry's highest byte; the last: mapped here alone, which the page of zeros is not. (Nor is
# what a forked child still shares.)
_TOUCHED = bytes(bool(flags & (_PRESENT | _SWAPPED)) for flags in range(256))
_RESIDENT = bytes(flags & (_PRESENT | _OWN) == _PRESENT | _OWN for flags in range(256))

_STATS_LINE = re.compile(rb"^(?:#? ?[\d,]* ?)?(.*?) *= *([\d,]+)$", re.MULTILINE)
_MOST_STATS = 1 << 16


class Pages:
    """The pages of a process; OSError where they are not told."""

    def __init__(self, proc: str = "/proc/self") -> None:
        self._fd = os.open(f"{proc}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def touched(self, start: int, end: int) -> bytes:
        """Return a byte for each page of a range: 1 if it is present or swapped out, else 0."""
        return self._flags(start, end).translate(_TOUCHED)

    def resident(self, start: int, end: int) -> int:
        """Return the bytes of a range that are resident."""
        return self._flags(start, end).translate(_RESIDENT).count(1) * _PAGE

    def _flags(self, start: int, end: int) -> bytes:
        """Return the highest byte of each page's entry; fewer where the range is not to be read."""
        at, stop = start // _PAGE * _ENTRY, end // _PAGE * _ENTRY
        found = []
        with contextlib.suppress(OSError):
            while entries := os.pread(self._fd, min(_ENTRIES, stop - at), at):
                found.append(entries[_ENTRY - 1 :: _ENTRY])
                at += len(entries)
        return b"".join(found)


class Block(namedtuple("Block", ("start", "size"))):
    """A block in a mapping of its own; its size counts whole pages."""

    __slots__ = ()
    start: int
    size: int


class Memory:
    """The memory of this process, read as a file: of its pages, those that were touched."""

    def __init__(self, proc: str = "/proc/self", pages: Pages | None = None) -> None:
        self._pages = pages
        self._fd = os.open(f"{proc}/mem", os.O_RDONLY | os.O_CLOEXEC)
        # A buffer of one's own: one from malloc would move what is measured.
        self._buffer = mmap.mmap(-1, _PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def mapped_blocks(self, start: int, end: int) -> list[Block]:
        """Return malloc's blocks with mappings of their own in a mapped range of whole pages."""
        found: list[Block] = []
        words = memoryview(self._buffer).cast("Q")
        at = start
        try:
            while at < end:
                stop = min(at + _PIECE, end)
                if self._pages is not None:
                    at, stop = self._first_touched(at, stop)
                    if at == stop:
                        continue
                n_bytes = os.preadv(self._fd, [memoryview(self._buffer)[: stop - at]], at)
                n_pages, page, jumped = n_bytes // _PAGE, 0, False
                if not n_pages:
                    break
                while page < n_pages:
                    first = page * _PAGE_WORDS
                    size = 0
                    for lead in _LEADS:
                        head = words[first + lead + 1]
                        if head & _FLAGS == _MAPPED and words[first + lead] == lead * _WORD:
                            size = (head & ~_FLAGS) + lead * _WORD
                            break
                    here = at + page * _PAGE
                    if size and size % _PAGE == 0 and size <= end - here:
                        found.append(Block(here, size))
                        page += size // _PAGE
                        jumped = page > n_pages
                    else:
                        page += 1
                at = found[-1].start + found[-1].size if jumped else at + n_pages * _PAGE
        except OSError:
            pass  # what was found so far stands
        finally:
            words.release()
        return found

    def _first_touched(self, start: int, stop: int) -> tuple[int, int]:
        """Return where the first touched pages of a range begin and end; its end for none."""
        assert self._pages is not None
        touched = self._pages.touched(start, stop)
        first = touched.find(1)
        if first < 0:
            return stop, stop
        behind = touched.find(0, first)
        return start + first * _PAGE, start + (len(touched) if behind < 0 else behind) * _PAGE

    def engine_blocks(self, start: int, end: int) -> int | None:
        """Return the bytes of live blocks of the arena's sizes in malloc's main heap.

        None where the heap could not be followed to its end.
        """
        total, at, behind = 0, start, 0
        words = memoryview(self._buffer).cast("Q")
        try:
            while at < end - _HEADER:
                n_bytes = os.preadv(self._fd, [memoryview(self._buffer)[: end - at]], at)
                n_words, k = n_bytes // _WORD, 1
                if n_words < 2:
                    return None
                while k < n_words:  # some 100,000 times: nothing is called for small blocks
                    head = words[k]
                    size = head & ~_FLAGS
                    if behind and head & 1:  # the flag tells that the block before is live
                        total += behind
                    behind = 0
                    if size >= _ENGINE_BLOCK:
                        if size >= _LARGEST:
                            return None
                        behind = size if is_engine_block(size - _HEADER) else 0
                    elif size < _SMALLEST:
                        return None
                    k += size >> 3  # words
                at += (k - 1) * _WORD
        except OSError:
            return None
        finally:
            words.release()
        return total


def is_engine_block(size: int) -> bool:
    """Return whether a block's usable size is one that the engine's arena asks for.

    A block in a mapping of its own is rounded up to a page, so up to one page more counts too.
    """
    return size >= _ENGINE_BLOCK and size - (1 << size.bit_length() - 1) <= _PAGE


class PythonHeap(namedtuple("PythonHeap", ("arenas", "free"))):
    """Bytes of the arenas that Python's small objects live in, and those not handed out."""

    __slots__ = ()
    arenas: int
    free: int


def parse_stats(text: bytes) -> PythonHeap | None:
    """Read what ``sys._debugmallocstats`` prints; None where it prints something else."""
    arenas = live = None
    # findall: each finditer leaves a block behind for its first hundred calls or so.
    for name, digits in _STATS_LINE.findall(text):
        value = int(digits.replace(b",", b"") or 0)
        if b"bytes/arena" in name:
            arenas = value
        elif name.startswith(b"bytes in allocated blocks"):
            live = value
    if arenas is None or live is None:
        return None
    return PythonHeap(arenas, max(0, arenas - live))


def python_heap() -> PythonHeap | None:
    """Ask the interpreter, which answers on the error output only; None where it does not."""
    tell = getattr(sys, "_debugmallocstats", None)
    if tell is None or not hasattr(os, "memfd_create"):
        return None
    try:
        kept = os.dup(2)
    except OSError:  # the workload has closed it
        return None
    heard = os.memfd_create("python-heap")
    try:
        os.dup2(heard, 2)
        try:
            tell()
        finally:
            os.dup2(kept, 2)
        return parse_stats(os.pread(heard, _MOST_STATS, 0))
    finally:
        os.close(kept)
        os.close(heard)
