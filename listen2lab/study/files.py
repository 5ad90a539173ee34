"""Open a study's files: no link is followed, only plain files are read, and only so much of them.

A study may come from somebody else. Every path is walked from the study's folder, which the user
named, one part at a time, so that neither a link at its end nor one on the way leads outside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from typing import TYPE_CHECKING

from listen2lab.errors import RefusedFileError, StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LARGEST", "Way", "entries", "is_plain", "make_folder", "read", "read_named", "write"]

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest file that is read: a run of 20,000 samples has 25 MiB of lines."""

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO without a writer must not hang
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Way(contextlib.AbstractContextManager["Way"]):
    """The folders that lead to the file last opened: those beside it need not walk there again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: list[str] = []
        self._folders: list[int] = []

    def __exit__(self, *_: object) -> None:
        """Close all of them."""
        self._back(0)

    def to(self, parts: list[str], *, make: bool = False) -> int:
        """Return a descriptor of a folder, by the parts of its path from the root."""
        shared = [ours == theirs for ours, theirs in zip(self._names, parts, strict=False)]
        self._back(1 + [*shared, False].index(False))
        if not self._folders:
            self._folders.append(os.open(self.root, _FOLDER))
        for part in parts[len(self._names) :]:
            if part in ("", ".."):
                raise RefusedFileError(f"{'/'.join(parts)!r} is no path within a study")
            above = self._folders[-1]
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
            self._folders.append(os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above))
            self._names.append(part)
        return self._folders[-1]

    def _back(self, count: int) -> None:
        while len(self._folders) > count:
            os.close(self._folders.pop())
        del self._names[max(0, count - 1) :]


def read(root: Path | Way, name: str) -> bytes | None:
    """Return a file's content, or None where there is none; a `Way` is walked from where it is.

    Raises
    ------
    RefusedFileError
        It is a link, or reached through one; no plain file; or too large.
    StudyError
        It cannot be read.
    """
    if not isinstance(root, Way):
        with Way(root) as way:
            return read(way, name)
    *above, last = name.split("/")
    try:
        return _content(os.open(last, _READ | os.O_NOFOLLOW, dir_fd=root.to(above)), name)
    except FileNotFoundError:
        return None
    except OSError as error:
        root = root.root
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            if _link(root, name) is None:
                return None  # a file stands where a folder would
            raise RefusedFileError(f"{_link(root, name)} is a link, and is not followed") from None
        where = root / name
        raise StudyError(f"cannot read {where}: {error.strerror}; nothing was touched") from error


def read_named(path: Path) -> bytes:
    """Return the content of a file that the user named: it may be a link, but is a plain file."""
    try:
        return _content(os.open(path, _READ), str(path))
    except OSError as error:
        raise StudyError(f"cannot read {path}: {error.strerror}") from error


def is_plain(root: Path, name: str) -> bool:
    """Tell whether a plain file stands there, and no link leads to it."""
    try:
        with _parent(root, name) as (folder, last):
            return stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def entries(root: Path, name: str = "") -> list[tuple[str, bool]]:
    """Return what a folder holds, each with whether it is a folder; nothing behind a link."""
    try:
        with (
            _parent(root, f"{name}/." if name else ".") as (folder, _),
            os.scandir(folder) as found,
        ):
            return sorted((each.name, each.is_dir(follow_symlinks=False)) for each in found)
    except OSError:
        return []


def write(root: Path, name: str, content: bytes) -> None:
    """Write in one rename: a reader sees the old file or the new one, never half of one.

    A link that stands in its place is replaced, and what it points to is not touched.
    """
    with _parent(root, name, make=True) as (folder, last):
        temporary = f".{last}.{uuid.uuid4().hex}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o666, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave the name without the text
            os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


def make_folder(root: Path, name: str) -> None:
    """Make a new folder; what stands in its place is moved aside, not deleted."""
    with _parent(root, name, make=True) as (folder, last):
        there = set(os.listdir(folder))  # noqa: PTH208 - a descriptor
        if last in there:
            attempt = 1
            while (aside := f"{last}.cut-{attempt}") in there:
                attempt += 1
            os.rename(last, aside, src_dir_fd=folder, dst_dir_fd=folder)
        os.mkdir(last, dir_fd=folder)


@contextlib.contextmanager
def _parent(root: Path, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder that holds a file, and give the file's own name."""
    *above, last = name.split("/")
    with Way(root) as way:
        yield way.to(above, make=make), last


def _content(fd: int, name: str) -> bytes:
    with open(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise RefusedFileError(f"{name} is no plain file, and is not read")
        if about.st_size > LARGEST:
            raise RefusedFileError(
                f"{name} has {about.st_size / 2**20:,.0f} MiB, and at most {LARGEST >> 20} are read"
            )
        return file.read(about.st_size)  # what is appended meanwhile is read the next time


def _link(root: Path, name: str) -> str | None:
    """Return the first link on the way to a file, within the study."""
    at = root
    for part in name.split("/"):
        at /= part
        if at.is_symlink():
            return str(at.relative_to(root))
    return None
