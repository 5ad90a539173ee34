"""What every reader shares: what a format is, rows one by one, the block of facts above them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from listen2lab.device.formats.numbers import read_size
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

__all__ = [
    "MOST_ROW", "Format", "Header", "Reader", "Said", "clean", "loaded", "no_row", "no_size",
    "read_lines", "report",
]  # fmt: skip

MOST_ROW = 400
"""Characters of a row of a report that are looked at; the longest real ones have some 250."""

Said = bool | Notice
"""What a reader says of a line: True, it is understood; False, it is none of the reader's; or why
it is malformed."""


class Format(NamedTuple):
    """One kind of file: how it is known, and what reads it.

    Attributes
    ----------
    kind
        Its code.
    read
        Takes a file's content, and what counts its lines; returns what it holds.
    marks
        Bytes of which a file of this kind holds one somewhere; its reader decides.
    confirmed
        What must be there, too: a slower search, for marks that other files may hold.
    begins
        Tells by a file's first lines, where there are no such marks.
    counts
        Whether its reader counts the file's lines, too.
    """

    kind: str
    read: Callable[[Content, Tally], list[Any]]
    marks: tuple[bytes, ...] = ()
    confirmed: re.Pattern[bytes] | None = None
    begins: Callable[[list[bytes]], bool] | None = None
    counts: bool = False


class Reader(Protocol):
    """What reads a report of one process after another."""

    found: list[Any]

    def feed(self, number: int, text: str) -> Said:
        """Read a line."""

    def end(self) -> None:
        """Close the process that was being read."""


def read_lines(
    lines: Iterable[tuple[int, str]], tally: Tally, feed: Callable[[int, str], Said]
) -> None:
    """Give each line to a reader, and count what it says."""
    for number, line in lines:
        said = feed(number, line)
        if said is True:
            tally.saw(number)
        elif said:
            tally.bad(number, said.code, **said.values)


def report(
    kind: str,
    reader: Callable[[str], Reader],
    *marks: bytes,
    row: Callable[[str], str] = lambda line: line[:MOST_ROW].strip(),
    confirmed: re.Pattern[bytes] | None = None,
    begins: Callable[[list[bytes]], bool] | None = None,
) -> Format:
    """Return the format of a report that is read row by row.

    Parameters
    ----------
    kind, marks, confirmed, begins
        See `Format`.
    reader
        Makes one; takes the file's name.
    row
        What of a line it is given.
    """

    def read(content: Content, tally: Tally) -> list[Any]:
        found = reader(tally.name)
        rows = ((number, row(line)) for number, line in content.texts())
        read_lines(rows, tally, found.feed)
        found.end()
        return found.found

    return Format(kind, read, marks, confirmed, begins)


def no_row(text: str, tool: str) -> Notice:
    """Say that a line inside a tool's table is no row of it."""
    return Notice("no-row", {"text": text[:80], "tool": tool})


def no_size(text: str) -> Notice:
    """Say that a line that should hold a size does not."""
    return Notice("no-size", {"text": text[:80]})


def clean(text: str) -> str:
    """Return a text that can be written: JSON may hold halves of characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def loaded(text: str | bytes) -> Any:
    """Return what JSON holds; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_PROCESS = re.compile(r"Process:\s+(.*?)\s*\[(\d+)\]\s*$")
_FOOTPRINT = re.compile(r"Physical footprint( \(peak\))?:\s+(\S.*?)\s*$")
_OTHER = re.compile(
    r"(?:Path|Load Address|Identifier|Version|Code Type|Parent Process|Target Type"
    r"|Launch Time|OS Version|Report Version|Analysis Tool(?: Version)?|Idle exit|Build Info"
    r"|Command line|Hardware Model|Responsible|User ID|Sharing mode|Load address):?(?:\s|$)"
    r"|-{4,}$"
)


class Header:
    """The block of facts that vmmap, heap and leaks print first: what is known of a process."""

    def __init__(self, process: str = "", pid: int = 0, line: int = 0) -> None:
        self.process = process
        self.pid = pid
        self.line = line
        self.when = ""
        self.platform = ""
        self.footprint: int | None = None
        self.peak: int | None = None

    def feed(self, text: str) -> Said:
        """Read a line of the block, but not the one that begins it: see `begun`."""
        found = _FOOTPRINT.match(text)
        if found is not None:
            size = read_size(found[2])
            if size is None:
                return no_size(text)
            if found[1]:
                self.peak = size
            else:
                self.footprint = size
            return True
        if text.startswith(("Date/Time:", "Platform:")):
            name, _, value = text.partition(":")
            setattr(self, "when" if name == "Date/Time" else "platform", value.strip())
            return True
        return _OTHER.match(text) is not None

    @classmethod
    def begun(cls, text: str, number: int) -> Header | None:
        """Return a new process's block, where this line begins one."""
        found = _PROCESS.match(text)
        return None if found is None else cls(found[1], int(found[2][:15]), number)
