"""Unpack an archive from anywhere: plain files and folders below one folder, and nothing else.

`tarfile` and `zipfile` do the work. On top of what their filters refuse, links, doubles and
changed names are refused here, and what comes out is counted while it comes, so that an archive
cannot fill the disk or the memory by what it says of itself.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from listen2lab.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["unpack"]

# The largest voices unpack to some 500 MB and 400 files.
MAX_BYTES = 2 * 2**30
MAX_MEMBERS = 5_000
# Models hardly pack (1.2 times), text some 5 times; DEFLATE can reach 1,030, bzip2 far more.
MAX_RATIO = 20
# Below this no ratio matters.
FREE_BYTES = 32 * 2**20
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
    RuntimeError, struct.error, IndexError, OverflowError,
)  # fmt: skip
_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"BZh": bz2.open,
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP = b"PK\x03\x04"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar (bzip2, gzip, xz or plain) or zip archive into an empty folder.

    Its first bytes tell its kind. After an error the folder holds a part, which the caller deletes.
    """
    guard = _Guard(archive.stat().st_size)
    try:
        with archive.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            if start.startswith(_ZIP):
                _unpack_zip(stream, folder, guard)
                return
            opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
            inner = opener(stream) if opener else stream
            counted: Any = _Counted(inner, guard)
            with inner, tarfile.open(fileobj=counted, mode="r|") as tar:
                tar.extractall(folder, filter=guard.tar_filter)  # noqa: S202 - stricter than "data"
        if not guard.n_members:
            raise tarfile.ReadError("it has no members")
    except OSError as error:
        # bz2 and gzip report damage as an OSError without a number.
        if error.errno is None:
            raise _damaged(error) from error
        raise FetchError(
            f"the archive could not be unpacked: {error.strerror or error}; what had come out of "
            "it was deleted"
        ) from error
    except _DAMAGE as error:
        raise _damaged(error) from error


class _Guard:
    """What may still come out, and under which names."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed))
        self._bytes = 0
        self._files: set[PurePosixPath] = set()
        self.n_members = 0

    def count(self, n_bytes: int) -> None:
        self._bytes += n_bytes
        if self._bytes > self._limit:
            raise FetchError(
                f"the archive ({self._packed:,} bytes) unpacks to more than {self._limit:,} bytes; "
                "it was refused as a bomb, and everything of it was deleted"
            )

    def tar_filter(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        """Refuse what a voice does not have, before `tarfile` makes harmless what it can."""
        self.check(
            member.name, is_folder=member.isdir(), is_plain=member.isreg() and not member.issparse()
        )
        return tarfile.data_filter(member, folder)

    def check(self, name: str, *, is_folder: bool, is_plain: bool) -> PurePosixPath:
        self.n_members += 1
        if self.n_members > MAX_MEMBERS:
            raise FetchError(
                f"the archive has more than {MAX_MEMBERS:,} members, which no voice has; it was "
                "refused, and everything of it was deleted"
            )
        path = PurePosixPath(name)
        why = ""
        if not name or "\\" in name or "\0" in name:
            why = "has a name that is no plain path"
        elif path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            why = "has a path that leaves the folder"
        elif not is_folder and not is_plain:
            why = "is a link, a device or a sparse file"
        elif path in self._files:
            why = "is there twice"
        if why:
            raise FetchError(
                f"the archive was refused: its member {name[:80]!r} {why}; everything of it was "
                "deleted"
            )
        if not is_folder:
            self._files.add(path)
        return path


class _Counted:
    """A stream that a guard counts."""

    def __init__(self, stream: IO[bytes], guard: _Guard) -> None:
        self._stream = stream
        self._guard = guard

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._guard.count(len(data))
        return data


def _unpack_zip(stream: IO[bytes], folder: Path, guard: _Guard) -> None:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            kind = member.external_attr >> 28  # the file type of a Unix mode
            path = guard.check(member.filename, is_folder=member.is_dir(), is_plain=kind in (0, 8))
            target = folder / path
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as content, target.open("xb") as out:
                shutil.copyfileobj(_Counted(content, guard), out)


def _damaged(error: Exception) -> FetchError:
    return FetchError(
        f"the archive is damaged or no archive at all ({error}); it was deleted. "
        "It should be a .tar.bz2, .tar.gz, .tar.xz or .zip"
    )
