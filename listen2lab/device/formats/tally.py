"""What was understood of a file and what was not: counts, and notes with line numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["MOST_NOTES", "Note", "Tally"]

MOST_NOTES = 20
"""Notes kept of one kind; the rest is counted. A damaged file can have a million."""


@dataclass(frozen=True)
class Note:
    """Something about a line.

    Attributes
    ----------
    line
        Counted from 1; 0 where it concerns the whole file.
    text
        What it is, in a sentence without the line's number.
    """

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line:,}: {self.text}" if self.line else self.text


@dataclass
class Tally:
    """Counts of a file's lines.

    Attributes
    ----------
    name
        The file's name, without its folder; ``-`` for standard input.
    kinds
        What was found in it.
    lines
        All lines; each is recognised, malformed (begins like something known, and is not) or
        ignored. A line that several readers understand counts once.
    encoding
        How its text was written, in words.
    """

    name: str
    kinds: tuple[str, ...] = ()
    lines: int = 0
    encoding: str = "utf-8"
    notes: list[Note] = field(default_factory=list)
    left_out: int = 0
    many_recognised: int = 0
    many_malformed: int = 0
    _kept: dict[str, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _bad: set[int] = field(default_factory=set)

    @property
    def recognised(self) -> int:
        """Lines that were understood."""
        return self.many_recognised + len(self._seen)

    @property
    def malformed(self) -> int:
        """Lines that begin like something known, and are not."""
        return self.many_malformed + len(self._bad - self._seen)

    @property
    def ignored(self) -> int:
        """Lines that belong to nothing that is read here."""
        return max(0, self.lines - self.recognised - self.malformed)

    def note(self, line: int, text: str, kind: str = "") -> None:
        """Keep a note, unless there are many of its kind already."""
        key = kind or text
        seen = self._kept.get(key, 0)
        self._kept[key] = seen + 1
        if seen < MOST_NOTES:
            self.notes.append(Note(line, text))
        else:
            self.left_out += 1

    def saw(self, line: int) -> None:
        """Count a line as understood."""
        self._seen.add(line)

    def bad(self, line: int, text: str) -> None:
        """Count a malformed line, and say why."""
        self._bad.add(line)
        self.note(line, text, "malformed")

    def sentence(self) -> str:
        """Return the counts in words."""
        kinds = ", ".join(self.kinds) or "nothing that is known here"
        return (
            f"{self.name}: {kinds}; {self.lines:,} lines: {self.recognised:,} recognised, "
            f"{self.ignored:,} ignored, {self.malformed:,} malformed ({self.encoding})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "name": self.name,
            "kinds": list(self.kinds),
            "lines": self.lines,
            "recognised": self.recognised,
            "ignored": self.ignored,
            "malformed": self.malformed,
            "encoding": self.encoding,
            "notes": [
                {"line": note.line, "text": note.text}
                for note in sorted(self.notes, key=lambda note: note.line)
            ],
            "notes_left_out": self.left_out,
        }
