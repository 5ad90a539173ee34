"""Unpack an archive from anywhere: plain files and folders below one folder, and nothing else.

Members with absolute paths or ``..``, links, devices, sparse files and doubles are refused, and
what comes out is counted while it comes, so that an archive cannot fill the disk or the memory
by what it says of itself.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any

from listen2lab.errors import FetchError

TYPE_CHECKING = False
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
_CHUNK = 2**16
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


class _Allowance:
    """What may still come out."""

    def __init__(self, archive: Path) -> None:
        self._packed = archive.stat().st_size
        self._limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * self._packed))
        self._bytes = 0
        self._members = 0

    def take(self, n_bytes: int) -> None:
        self._bytes += n_bytes
        if self._bytes > self._limit:
            raise FetchError(
                f"the archive ({self._packed:,} bytes) unpacks to more than {self._limit:,} bytes; "
                "it was refused as a bomb, and everything of it was deleted"
            )

    def take_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise FetchError(
                f"the archive has more than {MAX_MEMBERS:,} members, which no voice has; it was "
                "refused, and everything of it was deleted"
            )


class _Counted:
    """A decompressed stream that an allowance is taken from."""

    def __init__(self, stream: IO[bytes], allowance: _Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._allowance.take(len(data))
        return data


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar (bzip2, gzip, xz or plain) or zip archive into an empty folder.

    Parameters
    ----------
    archive
        The file; its first bytes tell its kind.
    folder
        Where to; it exists. After an error it holds a part, which the caller deletes.

    Raises
    ------
    FetchError
        The archive is damaged, of another kind, a bomb, or has a member that is refused.
    """
    allowance = _Allowance(archive)
    try:
        with archive.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            if start.startswith(_ZIP):
                _unpack_zip(stream, folder, allowance)
                return
            opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
            if opener is None:
                _unpack_tar(stream, folder, allowance)
                return
            with opener(stream) as inner:
                _unpack_tar(inner, folder, allowance)
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


def _damaged(error: Exception) -> FetchError:
    return FetchError(
        f"the archive is damaged or no archive at all ({error}); it was deleted. "
        "It should be a .tar.bz2, .tar.gz, .tar.xz or .zip"
    )


def _unpack_tar(stream: IO[bytes], folder: Path, allowance: _Allowance) -> None:
    counted: Any = _Counted(stream, allowance)
    n_members = 0
    with tarfile.open(fileobj=counted, mode="r|") as tar:
        for member in tar:
            n_members += 1
            allowance.take_member()
            target = _target(member.name, folder)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if not member.isreg() or member.issparse():
                raise _refused(member.name, "is a link, a device or a sparse file")
            content = tar.extractfile(member)
            assert content is not None
            _write(content, target, member.name)
    if not n_members:
        raise tarfile.ReadError("it has no members")


def _unpack_zip(stream: IO[bytes], folder: Path, allowance: _Allowance) -> None:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            allowance.take_member()
            target = _target(member.filename, folder)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            kind = member.external_attr >> 28  # the file type of a Unix mode
            if kind not in (0, 8):
                raise _refused(member.filename, "is a link or a device")
            with archive.open(member) as content:
                _write(_Counted(content, allowance), target, member.filename)


def _target(name: str, folder: Path) -> Path:
    path = PurePosixPath(name)
    if not name or "\\" in name or "\0" in name:
        raise _refused(name, "has a name that is no plain path")
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise _refused(name, "has a path that leaves the folder")
    return folder.joinpath(*path.parts)


def _refused(name: str, why: str) -> FetchError:
    return FetchError(
        f"the archive was refused: its member {name[:80]!r} {why}; everything of it was deleted"
    )


def _write(content: Any, target: Path, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as out:
            while chunk := content.read(_CHUNK):
                out.write(chunk)
    except FileExistsError as error:
        raise _refused(name, "is there twice") from error
