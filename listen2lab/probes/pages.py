"""Which pages of this process were touched: /proc/self/pagemap tells, eight bytes a page.

Reading memory that nobody has touched gives it the page of zeros that all processes share: it is
present then, and still not resident. So what only reserves addresses is not read, and such
pages are not counted.
"""

from __future__ import annotations

import mmap
import os

__all__ = ["Pages"]

_PAGE = mmap.PAGESIZE
_ENTRY = 8
_PIECE = 1 << 16
_PRESENT, _SWAPPED, _OWN = 0x80, 0x40, 0x01
# In an entry's highest byte; the last: mapped here alone, which the page of zeros is not. (Nor is
# what a forked child still shares.)
_TOUCHED = bytes(bool(flags & (_PRESENT | _SWAPPED)) for flags in range(256))
_RESIDENT = bytes(flags & (_PRESENT | _OWN) == _PRESENT | _OWN for flags in range(256))


class Pages:
    """The pages of a process.

    Parameters
    ----------
    proc
        The folder with its /proc files.

    Raises
    ------
    OSError
        They are not told here.
    """

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
        while at < stop:
            try:
                entries = os.pread(self._fd, min(_PIECE, stop - at), at)
            except OSError:
                break
            if not entries:
                break
            found.append(entries[_ENTRY - 1 :: _ENTRY])
            at += len(entries)
        return b"".join(found)
