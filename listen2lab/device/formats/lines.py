"""A file, a pipe or a .gz as batches of lines of bounded length, in UTF-8 bytes.

Nothing here knows what the lines mean. The whole file is never in memory.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import re
import sys
import tempfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from listen2lab.device.formats.tally import Tally
from listen2lab.errors import InputError
from listen2lab.notice import Notice, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Readable = IO[bytes] | gzip.GzipFile

__all__ = ["MOST_LINE", "MOST_REPORT", "Content", "UnreadableError", "opened"]

MOST_LINE = 64 * 1024
"""Bytes of a line; longer ones are cut here, counted as malformed and not read further. The
longest line that any of the tools prints is a heap's list of block sizes, some kilobytes."""

_HOLE = re.compile(rb"\0+")
_CHUNK = 2 * 1024 * 1024
_PEEK = 64 * 1024

MOST_REPORT = 64 * 1024 * 1024
"""Bytes of a file that are searched for anything but the app's log. Reports are some megabytes."""

_BINARY = (
    (b"bplist00", "property-list"),
    (b"\x1f\x8b", "gzip-twice"),
    (b"PK\x03\x04", "zip"),
    (b"\x89PNG", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"SQLite format 3", "database"),
    (b"JAVA PROFILE", "heap-dump"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"(\xb5/\xfd", "zstd"),
    (b"\xcf\xfa\xed\xfe", "executable"),
    (b"\x7fELF", "executable"),
)


class UnreadableError(InputError):
    """A file that cannot be used; `notice` says why."""

    def __init__(self, code: str, file: str, **values: Value) -> None:
        self.notice = Notice(code, {"file": file, **values})
        super().__init__(f"{file} was left out ({code})")


class Content:
    """A file's text, from its beginning as often as it is asked for.

    Parameters
    ----------
    file
        At its beginning.
    tally
        Gets the encoding's name.

    Raises
    ------
    UnreadableError
        The file is empty, or no text.
    """

    def __init__(self, file: Readable, tally: Tally) -> None:
        self._file = file
        self._encoding = tally.encoding = _peek(file, tally.name)

    def batches(self, tally: Tally | None = None) -> Iterator[tuple[int, list[bytes]]]:
        """Yield batches of whole lines, as UTF-8 bytes without their ends.

        Parameters
        ----------
        tally
            Counts the lines; gets notes on NULs, lines that are too long, and an early end.

        Yields
        ------
        first : int
            The number of the batch's first line, from 1.
        lines : list of bytes
            Each at most `MOST_LINE` long.
        """
        self._file.seek(0)
        yield from _batches(self._file, self._encoding, tally or Tally(""))

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield numbers and texts of the lines, of at most `MOST_REPORT` bytes of them."""
        read = 0
        for first, lines in self.batches():
            for number, line in enumerate(lines, first):
                yield number, line.decode("utf-8", "replace").rstrip("\r")
                read += len(line) + 1
            if read > MOST_REPORT:
                return


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Readable]:
    """Open a file, a .gz or ``-`` (standard input) for reading from its beginning, repeatedly.

    Parameters
    ----------
    path
        A file's path, or ``-``. A pipe is copied to a temporary file, because it is read twice.

    Yields
    ------
    file
        Seekable, and at its beginning. Compressed ones are unpacked as they are read.

    Raises
    ------
    UnreadableError
        A directory, nothing at all, or a file that may not be read.
    """
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(_raw(path))
            start = raw.read(2)
            raw.seek(0)
        except OSError as error:
            raise UnreadableError("no-file", str(path), error=error.strerror) from error
        if start == b"\x1f\x8b":
            yield stack.enter_context(gzip.open(raw))
        else:
            yield raw


@contextlib.contextmanager
def _raw(path: str | Path) -> Iterator[IO[bytes]]:
    if str(path) != "-":
        if Path(path).is_dir():
            raise UnreadableError("directory", str(path), trace=str(path).endswith(".trace"))
        with Path(path).open("rb") as file:
            if file.seekable():
                yield file
            else:
                with _spooled(file) as copy:
                    yield copy
        return
    with _spooled(sys.stdin.buffer) as copy:
        yield copy


@contextlib.contextmanager
def _spooled(pipe: IO[bytes]) -> Iterator[IO[bytes]]:
    """Copy a pipe; one that breaks leaves what came before."""
    with tempfile.SpooledTemporaryFile(max_size=4 * _CHUNK) as copy:
        with contextlib.suppress(OSError):
            while piece := pipe.read(_CHUNK):
                copy.write(piece)
        copy.seek(0)
        yield copy


def _peek(file: Readable, name: str) -> str:
    """Return a codec's name: ``utf-8``, ``utf-16-le``, ``utf-16-be`` or ``utf-32``."""
    try:
        start = file.read1(_PEEK) if isinstance(file, gzip.GzipFile) else file.read(_PEEK)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError("cannot-unpack", name, error=str(error)) from error
    if not start:
        raise UnreadableError("empty", name)
    for magic, what in _BINARY:
        if start.startswith(magic):
            raise UnreadableError("not-text", name, what=what)
    encoding = _encoding(start)
    if encoding is None:
        raise UnreadableError("not-text", name, what="binary")
    return encoding


def _encoding(start: bytes) -> str | None:
    """Return a codec's name, or None for binary data."""
    if start.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if start.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if start.startswith(b"\xfe\xff"):
        return "utf-16-be"
    nul = start.count(0)
    if nul:
        even, odd = start[0::2].count(0), start[1::2].count(0)
        half = len(start) // 2 or 1
        if odd > 0.4 * half and even < 0.05 * half:
            return "utf-16-le"
        if even > 0.4 * half and odd < 0.05 * half:
            return "utf-16-be"
    # Text may have holes of NULs (a file that was grown ahead) and colour codes; data has NULs
    # everywhere, and other control characters.
    control = sum(start.count(byte) for byte in range(1, 32) if byte not in (9, 10, 12, 13, 27))
    text = len(start) - nul
    holes = len(_HOLE.findall(start))
    return None if control > 0.05 * text or holes > 0.05 * text or not text else "utf-8"


def _batches(file: Readable, encoding: str, tally: Tally) -> Iterator[tuple[int, list[bytes]]]:
    """Yield lines; see `Content.batches`."""
    carry, number, skipping = b"", 1, False
    ends = None
    for piece in _pieces(file, encoding, tally, lambda: number):  # noqa: B023 - called at once
        if ends is None:
            ends = b"\r" if b"\r" in piece and b"\n" not in piece else b"\n"
        lines = (carry + piece).split(ends)
        carry = lines.pop()
        if skipping and lines:
            lines[0], skipping = b"", False
        if skipping:
            carry = b""
            continue
        if len(piece) > MOST_LINE or len(carry) > MOST_LINE:
            _cut(lines, number, tally)
        if lines:
            yield number, lines
            number += len(lines)
        if len(carry) > MOST_LINE:
            _too_long(tally, number)
            carry, skipping = b"", True
    if carry or skipping:
        yield number, [carry]
        number += 1
    tally.lines = number - 1


def _cut(lines: list[bytes], first: int, tally: Tally) -> None:
    if max(map(len, lines), default=0) <= MOST_LINE:
        return
    for i, line in enumerate(lines):
        if len(line) > MOST_LINE:
            _too_long(tally, first + i)
            lines[i] = b""


def _too_long(tally: Tally, number: int) -> None:
    tally.bad(number, "line-too-long", most=MOST_LINE)


def _pieces(
    file: Readable, encoding: str, tally: Tally, number: Callable[[], int]
) -> Iterator[bytes]:
    """Yield pieces of the file as UTF-8 bytes, without NULs and byte order marks."""
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")
    first = True
    while True:
        piece, problem = _read(file)
        if problem is not None:
            at = number() + piece.count(b"\n")
            tally.note(at, "ends-early", error=str(problem))
        if decoder is not None:
            piece_out = decoder.decode(piece, final=not piece or problem is not None).encode(
                "utf-8", "replace"
            )
        else:
            piece_out = piece
        if first and piece_out.startswith(codecs.BOM_UTF8):
            piece_out = piece_out[3:]
        first = False
        if b"\0" in piece_out:
            at = number()
            at += piece_out.count(b"\n", 0, piece_out.index(b"\0"))
            tally.note(at, "nul-bytes")
            piece_out = piece_out.replace(b"\0", b"")
        if piece_out:
            yield piece_out
        if not piece or problem is not None:
            return


def _read(file: Readable) -> tuple[bytes, Exception | None]:
    """Return a piece of a file, and the error behind it, if one ended it early."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < _CHUNK:
            # Of a damaged .gz, small reads bring all that stands before the damage.
            part = (
                file.read1(_CHUNK - size) if isinstance(file, gzip.GzipFile) else file.read(_CHUNK)
            )
            if not part:
                break
            parts.append(part)
            size += len(part)
    except (OSError, EOFError, zlib.error) as error:
        return b"".join(parts), error
    return b"".join(parts), None
