"""Read what a workload holds outside of its own process: children, files in memory, descriptors."""

from __future__ import annotations

import os
import time
from contextlib import suppress

__all__ = ["TreeProbe"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHM = "/dev/shm"  # noqa: S108 - it is looked at, not used
_BLOCK = 512  # bytes of st_blocks, whatever a file system's own blocks are
_MOST_DESCRIPTORS = 512
# Asking each descriptor what it is costs some microseconds: only so many are asked.
_MOST_FILES = 20_000
_TICK = 0.02  # seconds: a file's time is the kernel's last tick, and not the clock's


class TreeProbe:
    """Reads what grows beside this process."""

    def __init__(self) -> None:
        self._files = 0
        self._began, self._free = time.time(), _free()

    def begin(self) -> None:
        """Look at shared memory just before a step: what comes between steps is somebody else's."""
        self._began, self._free = time.time(), _free()

    def end(self) -> None:
        """Count what has come since, just after the step, as far as this user's files account."""
        taken = self._free - _free()
        if taken > 0:
            taken = min(taken, _bytes_since(self._began - _TICK))
        self._files = max(0, self._files + taken)

    def read(self) -> dict[str, int]:
        """Return what is held now; empty where there is no /proc.

        ``children`` (bytes that the processes below this one have written: resident, no file's),
        ``shm_files`` (bytes of this user's files in memory that came in steps, and of files without
        a name that are open here), ``descriptors`` and ``threads`` (counts).
        """
        try:
            descriptors, nameless = _descriptors()
            threads = os.listdir("/proc/self/task")
        except OSError:
            return {}
        return {
            "children": sum(_written(pid) for pid in _below("self", threads)),
            "shm_files": self._files + nameless,
            "descriptors": descriptors,
            "threads": len(threads),
        }


def _free() -> int:
    """Return the bytes that are free in shared memory."""
    try:
        found = os.statvfs(_SHM)
    except OSError:
        return 0
    return found.f_bfree * found.f_frsize


def _bytes_since(moment: float) -> int:
    """Return the bytes of this user's files in shared memory that were changed since."""
    total = seen = 0
    folders = [_SHM]
    while folders and seen < _MOST_FILES:
        try:
            # One by one: a list of what grows would be growth of this process.
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    seen += 1
                    with suppress(OSError):  # it went meanwhile
                        found = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        elif found.st_uid == os.getuid() and found.st_ctime >= moment:
                            total += found.st_blocks * _BLOCK
        except OSError:
            continue
    return total


def _descriptors() -> tuple[int, int]:
    """Return how many are open, and the bytes of files in memory without a name among them."""
    count = total = 0
    with os.scandir("/proc/self/fd") as entries:  # one by one, as in `_files`
        for entry in entries:
            count += 1
            if count > _MOST_DESCRIPTORS:
                continue
            with suppress(OSError):  # it went meanwhile
                if os.readlink(entry.path).startswith("/memfd:"):
                    total += os.fstat(int(entry.name)).st_blocks * _BLOCK
    return count - 1, total  # without that of the listing itself


def _below(pid: str, threads: list[str]) -> list[str]:
    """Return every process below one, children's children as well."""
    found: list[str] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children = file.read().decode().split()
        except OSError:
            continue
        for child in children:
            found.append(child)
            try:
                found += _below(child, os.listdir(f"/proc/{child}/task"))
            except OSError:
                continue
    return found


def _written(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, of_files, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0
    return (resident - of_files) * _PAGE
