"""What ``listen2lab device`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.device import parts
from listen2lab.report.text.device import note_text, problem_text, source_line
from listen2lab.report.text.format import size
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from listen2lab.device.answer import Answer
    from listen2lab.report.device import Part, Table

__all__ = ["as_text", "sparkline", "understood"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_MOST_NOTES = 6
_MOST_ROWS = 8


def sparkline(values: Sequence[float]) -> str:
    """Return a curve of bytes as a row of blocks."""
    step = max(1.0, len(values) / _WIDTH)
    picked = [values[int(k * step)] for k in range(min(_WIDTH, len(values)))]
    low, high = min(picked), max(picked)
    span = max(high - low, MIB)  # a mebibyte up and down is flat to the eye
    bars = "".join(_BLOCKS[int((v - low) / span * (len(_BLOCKS) - 1))] for v in picked)
    return f"{bars}  {size(low)} to {size(high)}"


def understood(answer: Answer) -> list[str]:
    """Return what was understood of each file, in lines."""
    lines = []
    for source in answer.sources:
        lines.append(source_line(source))
        lines += [f"  {note_text(note)}" for note in source.notes[:_MOST_NOTES]]
        more = len(source.notes[_MOST_NOTES:]) + source.notes_left_out
        lines += [f"  and {more:,} more of such notes"] if more else []
    return [*lines, *(f"left out: {problem_text(problem)}" for problem in answer.problems)]


def as_text(answer: Answer) -> str:
    """Return what ``listen2lab device`` prints.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    """
    lines = understood(answer)
    for part in parts(answer):
        lines += ["", *_lines(part)]
    text = "\n".join(lines)
    # A name out of a file may hold what commands a terminal.
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _lines(part: Part) -> Iterator[str]:
    if part.title:
        yield part.title
    if part.verdict:
        yield part.verdict
    for code, sentence in part.codes:
        yield f"  - {code}: {sentence}"
    for values, name in part.curves:
        yield f"  {sparkline(values)}  {name}".rstrip()
    yield from part.lines
    for question, text in part.facts:
        yield f"{question}: {text}"
    for table in part.tables:
        if not table.is_detail:
            yield from _rows(table)
    for command in part.commands:
        yield f"    {command}"


def _rows(table: Table) -> Iterator[str]:
    rows = [table.columns, *table.rows[:_MOST_ROWS]]
    widths = [max(len(row[k]) for row in rows) for k in range(len(table.columns))]
    for first, *rest in rows:
        cells = "".join(f"  {c:>{w}}" for c, w in zip(rest, widths[1:], strict=True))
        yield f"  {first:<{widths[0]}}{cells}".rstrip()
