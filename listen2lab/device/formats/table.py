"""Tables of memory over time from any tool that samples a process: CSV, blanks, JSON lines."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from listen2lab.device.formats.columns import Columns, Samples, find_columns
from listen2lab.device.formats.numbers import read_number, read_size
from listen2lab.device.formats.reading import Format, clean, loaded, read_lines
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.schema import Series
    from listen2lab.device.formats.tally import Tally

    Cells = Callable[[str], list[str]]

__all__ = ["FORMAT", "FORMAT_BLANKS", "FORMAT_JSON", "read_blanks", "read_csv", "read_jsonl"]

_WIDE = re.compile(r"\s{2,}")
_STAMP = re.compile(r"^(\d\d:\d\d:\d\d)(?: ([AP]M))?\s")
"""pidstat prints the time in the header, too."""
_STANDS = re.compile(r"(?:top - |(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w* )(?:.*?\s)?(\d\d:\d\d:\d\d)\b")
"""A line of its own that says when the rows below it were taken: top's first one, or date's."""
_ANY_TEXT = {"command", "cmd", "args", "comm", "name", "names", "process"}
"""Last columns of which a cell may hold blanks."""
_NO_NAMES = {"address", "buff/cache", "swpd"}
"""Columns of tables that are no series of a process: a list of mappings, a machine's memory."""
_ROWS_LOOKED_AT = 20
_IN_BYTES = {"totals.rss", "vms", "heapused"}
"""Members of what con-duct, psutil and Node write, which give bytes."""


def read_csv(content: Content, tally: Tally) -> list[Series]:
    """Read a table whose header names a memory: commas, semicolons or tabs, quoted or not."""
    return _Table(tally, _csv_headers).read(content)


def read_blanks(content: Content, tally: Tally) -> list[Series]:
    """Read a table with blanks between columns, as ps, pidstat, top and psrecord write them."""
    return _Table(tally, _blank_headers).read(content)


def read_jsonl(content: Content, tally: Tally) -> list[Series]:
    """Read one JSON object a line, or an array of them; names may be nested."""
    reader = _Jsonl(tally)
    first = next((line for _, line in content.texts() if line.strip()), "")
    if first.lstrip().startswith("["):
        rows = loaded("\n".join(line for _, line in content.texts())) or ()
        some = (row for row in rows if isinstance(row, dict))
        taken = [reader.row(number, row) is True for number, row in enumerate(some, start=1)]
        if any(taken):
            tally.many_recognised += tally.lines
    else:
        read_lines(content.texts(), tally, reader.feed)
    return [] if reader.samples is None else reader.samples.series()


def _csv_headers(line: str) -> Iterator[tuple[list[str], Cells]]:
    """Yield a line's names, with what splits the rows below it."""
    mark = max(";\t,", key=line.count)
    if mark in line:
        yield _split(line, mark), lambda row: _split(row, mark)


def _split(line: str, mark: str) -> list[str]:
    if '"' not in line:
        return line.split(mark)
    try:
        return next(csv.reader([line], delimiter=mark, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return []


def _blank_headers(line: str) -> Iterator[tuple[list[str], Cells]]:
    text = _STAMP.sub(r"time ", line.strip().lstrip("#").strip())
    names = text.split()
    if len(names) > 1:
        most = len(names) - 1 if names[-1].lower() in _ANY_TEXT else -1
        yield names, lambda row: _STAMP.sub(r"\1\2 ", row.strip()).split(None, most)
    wide = _WIDE.split(text)
    if len(wide) > 1:
        yield wide, str.split
        yield wide, lambda row: _WIDE.split(row.strip())


def _begins(
    first: list[bytes], headers: Callable[[str], Iterator[tuple[list[str], Cells]]]
) -> bool:
    """Return whether a line names a memory, and one below it holds it."""
    if first[0].lstrip().startswith(b"{"):
        return False
    lines = [line.decode("utf-8", "replace") for line in first]
    return any(
        _fits(names, cells, lines[k + 1 : k + 1 + _ROWS_LOOKED_AT])
        for k, line in enumerate(lines)
        for names, cells in headers(line)
    )


def _is_header(names: list[str]) -> bool:
    """Return whether these are names, and not a row of numbers with units."""
    known = find_columns(names) is not None and not {name.lower() for name in names} & _NO_NAMES
    return known and not any(name[:1].isdigit() for name in names)


def _fits(names: list[str], cells: Cells, rows: list[str]) -> bool:
    columns = find_columns(names) if _is_header(names) else None
    if columns is None:
        return False
    for row in rows:
        given = cells(row)
        if len(given) == len(names) and _is_row(names, columns, given):
            return True
    return False


def _is_row(names: list[str], columns: Columns, cells: list[str]) -> bool:
    """Return whether a memory stands where it should, and a process's number, too."""
    by_id = columns.process is not None and names[columns.process].lower() == "pid"
    if by_id and not cells[columns.process or 0].strip().isdigit():
        return False
    memory = cells[columns.memory].partition(" / ")[0]
    return read_number(memory) is not None or read_size(memory) is not None


class _Table:
    """A table whose header says which columns are time and memory."""

    def __init__(
        self, tally: Tally, headers: Callable[[str], Iterator[tuple[list[str], Cells]]]
    ) -> None:
        self.tally, self.headers = tally, headers
        self.header = ""
        self.possible: list[tuple[list[str], Cells]] = []
        self.samples: Samples | None = None
        self.columns: Columns | None = None
        self.now = ""
        self.is_other = False  # a table of something else stands between, as in pidstat -u -r

    def read(self, content: Content) -> list[Series]:
        """Return the series, or nothing."""
        read_lines(content.texts(), self.tally, self.feed)
        return [] if self.samples is None else self.samples.series()

    def feed(self, number: int, line: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if not line.strip():
            return False
        if line == self.header:  # some tools print it again and again
            self.is_other = False
            return True
        if not self.possible or (self.samples is None and self._new_header(line)):
            return self._new_header(line) or self._stands(line)
        return not line.startswith(("#", "Average:")) and self._row(number, line)

    def _row(self, number: int, line: str) -> Said:
        for names, cells in () if self.is_other else self.possible:
            given = cells(line)
            if len(given) == len(names):
                columns = self.columns or find_columns(names, given)
                assert columns is not None
                if self.headers is _blank_headers and not _is_row(names, columns, given):
                    continue  # top and ps print other lines between
                if self.samples is None:
                    self._begin(names, cells, columns)
                assert self.samples is not None
                return self.samples.add(number, [*given, self.now] if self.now else given)
        names, cells = self.possible[0]
        if self.headers is _blank_headers:
            if " PID " in line:
                self.is_other = all(other != names for other, _ in self.headers(line))
            return self._stands(line)
        return Notice("cells", {"cells": len(cells(line)), "header": len(names)})

    def _begin(self, names: list[str], cells: Cells, columns: Columns) -> None:
        self.possible, self.columns = [(names, cells)], columns
        if self.now and not columns.time:
            columns = columns._replace(time=(len(names),))
        else:
            self.now = ""
        self.samples = Samples([*names, "time"], self.tally, columns)

    def _stands(self, line: str) -> bool:
        """Take the time of a line between rows, where they have none of their own."""
        found = _STANDS.match(line)
        if found is not None and (self.samples is None or self.now):
            self.now = found[1]
        return found is not None

    def _new_header(self, line: str) -> bool:
        found = [each for each in self.headers(line) if _is_header(each[0])]
        if found:
            self.possible, self.header = found, line
        return bool(found)


class _Jsonl:
    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.names: list[str] = []
        self.samples: Samples | None = None

    def feed(self, number: int, line: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if not line.strip():
            return False
        row = loaded(line)
        return self.row(number, row) if isinstance(row, dict) else Notice("no-json")

    def row(self, number: int, row: dict[str, Any]) -> Said:
        """Take an object."""
        flat = _flat(row)
        if self.samples is None:
            columns = find_columns([*flat], [*flat.values()])
            if columns is None:
                return False
            self.names = [*flat]
            self.samples = Samples(self.names, self.tally, columns)
            if {name.lower().rpartition("memoryusage.")[2] for name in flat} & _IN_BYTES:
                self.samples.scale = self.samples.scale or 1.0
        taken = self.samples.columns
        needed = {self.names[k] for k in (*taken.time, taken.memory)}
        if not needed <= flat.keys():
            return False
        return self.samples.add(number, [flat.get(name) for name in self.names])


def _flat(row: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return an object's values, those of objects in it under names with points between."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and depth < 4:
            out |= _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            out[clean(f"{prefix}{name}")] = value
    return out


def _names_memory(first: list[bytes]) -> bool:
    if first[0].lstrip().startswith(b"["):
        return b"{" in b"".join(first[:2])
    rows = (row for line in first if isinstance(row := loaded(line), dict))
    return any(find_columns([*_flat(row)]) is not None for row in rows)


FORMAT = Format("csv", read_csv, begins=lambda first: _begins(first, _csv_headers))
FORMAT_BLANKS = Format("blanks", read_blanks, begins=lambda first: _begins(first, _blank_headers))
FORMAT_JSON = Format("jsonl", read_jsonl, begins=_names_memory)
