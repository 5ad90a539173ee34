"""What was understood of a file and what was not: counts, and notes with line numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.notice import Value

__all__ = ["MOST_NOTES", "Source", "Tally"]

MOST_NOTES = 20
"""Notes kept of one kind; the rest is counted. A damaged file can have a million."""


class Source(msgspec.Struct, frozen=True):
    """What was understood of a file.

    Attributes
    ----------
    name
        Without its folder.
    kinds
        Of what was found in it.
    lines
        All lines; each is recognised, ignored (it belongs to nothing that is read here) or
        malformed (it begins like something known, and is not). A line that several readers
        understand counts once.
    encoding
        A codec's name.
    notes
        What is worth telling of a line (the value ``line``, counted from 1) or of the file (0).
    notes_left_out
        How many more there are.
    """

    name: str
    kinds: tuple[str, ...]
    lines: int
    recognised: int
    ignored: int
    malformed: int
    encoding: str
    notes: tuple[Notice, ...]
    notes_left_out: int


class Tally:
    """Counts a file's lines while it is read, and keeps notes on them.

    Attributes
    ----------
    name
        The file's.
    lines
        How many it has.
    encoding
        How its text is written.
    many_recognised, many_malformed
        Of lines that were not counted one by one.
    """

    def __init__(self, name: str, lines: int = 0) -> None:
        self.name = name
        self.lines = lines
        self.encoding = "utf-8"
        self.notes: list[Notice] = []
        self.many_recognised = 0
        self.many_malformed = 0
        self._left_out = 0
        self._kept: dict[str, int] = {}
        self._seen = bytearray()  # a byte a line: 1 understood, 2 malformed, 3 one reader each

    @property
    def recognised(self) -> int:
        """Lines that were understood."""
        return self.many_recognised + self._seen.count(1) + self._seen.count(3)

    @property
    def malformed(self) -> int:
        """Lines that begin like something known, and are not."""
        return self.many_malformed + self._seen.count(2)

    def note(self, line: int, code: str, *, kind: str = "", **values: Value) -> None:
        """Keep a note, unless there are many of its kind already."""
        seen = self._kept.get(kind or code, 0)
        self._kept[kind or code] = seen + 1
        if seen < MOST_NOTES:
            self.notes.append(Notice(code, {"line": line, **values}))
        else:
            self._left_out += 1

    def saw(self, line: int) -> None:
        """Count a line as understood."""
        self._mark(line, 1)

    def bad(self, line: int, code: str, **values: Value) -> None:
        """Count a malformed line, and say why."""
        self._mark(line, 2)
        self.note(line, code, kind="malformed", **values)

    def _mark(self, line: int, bit: int) -> None:
        if line >= len(self._seen):
            self._seen.extend(bytes(line + 1024 - len(self._seen)))
        self._seen[line] |= bit

    def source(self, kinds: tuple[str, ...]) -> Source:
        """Return what was counted."""
        good, bad = self.recognised, self.malformed
        notes = sorted(self.notes, key=lambda note: int(str(note.values["line"])))
        return Source(
            self.name, kinds, self.lines, good, max(0, self.lines - good - bad), bad,
            self.encoding, tuple(notes), self._left_out,
        )  # fmt: skip
