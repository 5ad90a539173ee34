"""Read what is held outside of one process: by its children, in memory files, by a whole tree."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from listen2lab.probes.process import outside

__all__ = ["Tree", "TreeProbe", "started"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHM = "/dev/shm"  # noqa: S108 - it is looked at, not used
_BLOCK = 512  # bytes of st_blocks, whatever a file system's own blocks are
_MOST_DESCRIPTORS = 512
# Asking each descriptor what it is costs some microseconds: only so many are asked.
_MOST_FILES = 20_000
_TICK = 0.02  # seconds: a file's time is the kernel's last tick, and not the clock's
_QUICK, _SHARE = 0.002, 0.005
# Seconds that looking at all files may take each time, or else the share of the time that it may.


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


class Tree:
    """Reads a tree of processes from outside: its counters, summed.

    Parameters
    ----------
    root
        The process at its root.
    is_counted
        Whether the root itself counts: not where it is this process.
    """

    def __init__(self, root: int, *, is_counted: bool = True) -> None:
        self._root = root
        self._is_counted = is_counted
        self._began, self._free = time.time(), _free()
        self._files, self._not_before = 0, 0.0

    def read(self) -> dict[str, int]:
        """Return what the tree holds now; empty where none of its processes is alive.

        Sums of ``rss``, ``anonymous``, ``swap``, ``descriptors`` and ``threads``; of ``shared`` the
        most of any one process, because several map the same; ``shm_files`` as `TreeProbe`;
        ``processes``, a count. Pages that a forked child still shares count in each process.
        What a system, or another user's process, does not show is left out.
        """
        if not os.path.exists("/proc/self/task"):
            return self._read_elsewhere()
        total: dict[str, int] = {}
        nameless: dict[tuple[int, int], int] = {}
        blind = False
        for pid in self._members():
            seen = outside(int(pid))
            if "rss" not in seen:  # it has ended, and nobody has asked how
                continue
            del seen["peak"]  # not all had theirs at one moment
            try:
                seen["descriptors"] = _descriptors_of(pid, nameless)
                seen["threads"] = len(os.listdir(f"/proc/{pid}/task"))
            except PermissionError:
                blind = True
            except OSError:  # it ended just now
                continue
            shared = max(total.get("shared", 0), seen["shared"])
            for name, value in (*seen.items(), ("processes", 1)):
                total[name] = total.get(name, 0) + value
            total["shared"] = shared
        if blind:  # a sum over some of them would move with who is asked
            total.pop("descriptors", None)
            total.pop("threads", None)
        elif total:
            total["shm_files"] = self._shared_files() + sum(nameless.values())
        return total

    def _shared_files(self) -> int:
        """Return what has come into shared memory since, as far as this user's files account.

        Where there are very many of them, it may be some seconds old.
        """
        began = time.perf_counter()
        if began >= self._not_before:
            taken = max(0, self._free - _free())
            self._files = min(taken, _bytes_since(self._began - _TICK)) if taken else 0
            took = time.perf_counter() - began
            self._not_before = began + (0.0 if took < _QUICK else took / _SHARE)
        return self._files

    def _members(self) -> list[str]:
        root = str(self._root)
        try:
            below = _below(root, os.listdir(f"/proc/{root}/task"))
        except OSError:
            below = []
        return [root, *below] if self._is_counted else below

    def _read_elsewhere(self) -> dict[str, int]:
        import psutil  # only where there is no /proc

        total: dict[str, int] = {}
        try:
            root = psutil.Process(self._root)
            members = [*([root] if self._is_counted else []), *root.children(recursive=True)]
        except psutil.Error:
            return total
        for each in members:
            with suppress(psutil.Error):
                held = each.memory_full_info()
                seen = {"rss": held.rss, "anonymous": held.uss, "processes": 1}
                seen |= {"descriptors": each.num_fds(), "threads": each.num_threads()}
                for name, value in seen.items():
                    total[name] = total.get(name, 0) + int(value)
        return total


def _descriptors_of(pid: str, nameless: dict[tuple[int, int], int]) -> int:
    """Return how many a process has open; files in memory without a name among them are added."""
    count = 0
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            count += 1
            if count > _MOST_DESCRIPTORS:
                continue
            with suppress(OSError):  # it went meanwhile
                if os.readlink(entry.path).startswith("/memfd:"):
                    found = os.stat(entry.path)
                    nameless[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK
    return count


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


def started(pid: int) -> str | None:
    """Return what tells a process from a later one of the same number; None where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
        return None if words[0] in (b"Z", b"X") else words[19].decode()
    except OSError:
        if os.path.exists("/proc/self/stat"):
            return None
    import psutil  # only where there is no /proc

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
