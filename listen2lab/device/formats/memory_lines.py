"""Lines that name a memory without a table: key=value, logs, lists of times and sizes, mprof."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.columns import Columns, Samples, rank_of
from listen2lab.device.formats.numbers import read_size
from listen2lab.device.formats.reading import Format, Header
from listen2lab.device.formats.schema import Series, Snapshot, make_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "read_memory_lines"]

FEWEST = 3
"""Fewer lines that name a memory are no series."""

_NUMBER = r"\d[\d.,]*"
_UNIT = r"[KMG]i?B|[KMG]|bytes|B"
_NAMED = re.compile(
    r"\b((?:phys[_ ]?)?footprint|(?:peak |virtual |max )?\w*(?:rss|resident|memory|mem|pss|uss)"
    r"(?:[ _]?(?:usage|used|size|memory|in use))?)[\"']?\s*(?::|=|\bis\b)\s*[\"'~]?"
    rf"({_NUMBER})\s?({_UNIT})?\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ])?(?<!\d)\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?!\d)"
)
_LISTED = re.compile(
    rf"\s*[-*]?\s*({_CLOCK.pattern})[\s,;|:-]+({_NUMBER})\s?({_UNIT})\b", re.IGNORECASE
)
_OF_MACHINE = re.compile(r"\s*(?:[KMG]iB )?(?:Mem|Swap)\s*:")
"""The whole machine's memory, as free and top print it."""
_MPROF = re.compile(r"MEM (\d+\.\d+) (\d+\.\d+)\s*$")
_LIMIT = re.compile(
    r"(?:exceeded mem limit: \w+|EXC_RESOURCE\b.*?\blimit=|EXC_RESOURCE\b.*?\blimit:)\s*"
    rf"({_NUMBER}\s?[KMG]i?B)"
)
"""The system's own lines on a process that exceeded its limit."""
_MOST_BEFORE = 80
"""Characters of a line in which its time is looked for."""


def read_memory_lines(content: Content, tally: Tally) -> list[Series | Snapshot]:
    """Read lines of which each names a memory: the best that is named, and its time if it has one.

    Lines of which none is like the others are ignored: nothing here is malformed.
    """
    found: dict[str, list[tuple[int, str | None, str]]] = {}
    limits: list[tuple[int, str]] = []
    for number, line in content.texts():
        limit = _LIMIT.search(line[:1000])
        if limit is not None:
            limits.append((number, limit[1]))
            continue
        for name, time, size in _figures(line[:1000]):
            found.setdefault(name, []).append((number, time, size))
    many = {name: rows for name, rows in found.items() if len(rows) >= FEWEST}
    if not many:
        return _figures_alone(found, limits, tally)
    name = min(many, key=lambda each: (rank_of(each) or 0, -len(many[each])))
    rows = many[name]
    timed = sum(time is not None for _, time, _ in rows) > 0.9 * len(rows)
    samples = Samples(["time", name], tally, Columns((0,) if timed else (), 1, None))
    for number, time, size in rows:
        if (time is not None or not timed) and samples.add(number, (time, size)) is True:
            tally.saw(number)
    return [*samples.series()]


def _figures_alone(
    found: dict[str, list[tuple[int, str | None, str]]],
    limits: list[tuple[int, str]],
    tally: Tally,
) -> list[Series | Snapshot]:
    """Return single figures: the last of the best that is named, and a limit that was exceeded."""
    sizes = {
        name: (rows[-1][0], read_size(rows[-1][2]))
        for name, rows in found.items()
        if rows[-1][2][-1].isalpha()  # a number without a unit says nothing by itself
    }
    best = min(sizes, key=lambda name: rank_of(name) or 0, default=None)
    line, size = (0, None) if best is None else sizes[best]
    notes = []
    for number, text in limits[-1:]:
        notes.append(Notice("limit-exceeded", {"limit": read_size(text)}))
        line = line or number
        tally.saw(number)
    if size is None and not notes:
        return []
    tally.saw(line)
    is_footprint = best is not None and "footprint" in best
    return [
        make_snapshot(
            "line", Header(line=line), size if is_footprint else None, None,
            None if is_footprint else size, (), tally.name, notes=notes,
        )
    ]  # fmt: skip


def _figures(line: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield a line's memories: name, time, and size with its unit."""
    mprof = _MPROF.match(line)
    if mprof is not None:
        yield "memory", mprof[2], f"{mprof[1]} MB"
        return
    listed = _LISTED.match(line)
    if listed is not None:
        yield "memory", listed[1], f"{listed[2]} {listed[3]}"
        return
    named = [] if _OF_MACHINE.match(line) else list(_NAMED.finditer(line))
    if named:
        clock = _CLOCK.search(line[: min(named[0].start(), _MOST_BEFORE)])
        time = None if clock is None else clock[0]
        for each in named:
            if rank_of(each[1]) is not None:
                unit = each[3] or ""
                yield each[1].strip().lower(), time, f"{each[2]} {unit}".strip()


def _always(first: list[bytes]) -> bool:
    """Return whether it is worth a look: where nothing else was recognised."""
    return bool(first)


FORMAT = Format("memory-lines", read_memory_lines, begins=_always)
