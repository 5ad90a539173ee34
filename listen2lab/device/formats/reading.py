"""A report line by line: each line is recognised, ignored, or malformed with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from listen2lab.device.formats.tally import Tally

__all__ = ["MOST_ROW", "Said", "no_row", "no_size", "read_lines", "read_report", "read_rows"]

MOST_ROW = 400
"""Characters of a row of a report that are looked at; the longest real ones have some 250."""

Said = bool | str
"""What a reader says of a line: True, it is understood; False, it is none of the reader's; or why
it is malformed, in words."""


Found = TypeVar("Found")


class Reader(Protocol[Found]):
    """What reads a report of one process after another."""

    found: list[Found]

    def feed(self, number: int, text: str) -> Said:
        """Read a line."""

    def end(self) -> None:
        """Close the process that was being read."""


def read_lines(
    lines: Iterable[tuple[int, str]], tally: Tally, feed: Callable[[int, str], Said]
) -> None:
    """Give each line to a reader, and count what it says.

    Parameters
    ----------
    lines
        Line numbers and texts.
    tally
        Gets the counts, and a note for each malformed line.
    feed
        The reader: takes a line's number and text.
    """
    for number, line in lines:
        said = feed(number, line)
        if said is True:
            tally.saw(number)
        elif said:
            tally.bad(number, said)


def read_rows(
    lines: Iterable[tuple[int, str]], tally: Tally, feed: Callable[[int, str], Said]
) -> None:
    """Do the same with a report's rows: without the blanks around them, and of bounded length."""
    read_lines(((number, line[:MOST_ROW].strip()) for number, line in lines), tally, feed)


def read_report(
    lines: Iterable[tuple[int, str]], tally: Tally, reader: Reader[Found]
) -> list[Found]:
    """Give a report's rows to a reader, and return what it found."""
    read_rows(lines, tally, reader.feed)
    reader.end()
    return reader.found


def no_row(text: str, tool: str) -> str:
    """Say that a line inside a tool's table is no row of it."""
    return f"{text[:80]!r} is no row of a {tool} table"


def no_size(text: str) -> str:
    """Say that a line that should hold a size does not."""
    return f"{text[:80]!r} holds no size"
