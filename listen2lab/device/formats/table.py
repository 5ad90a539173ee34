"""A CSV or JSONL of time and memory, from any tool that samples a process."""

from __future__ import annotations

import csv
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.formats.numbers import MOST_BYTES, before_day, read_number, read_size
from listen2lab.device.formats.reading import Format, is_object, read_lines
from listen2lab.device.formats.schema import Series
from listen2lab.notice import Notice
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "FORMAT_JSON", "read_csv", "read_jsonl"]

_TIME = re.compile(
    r"^(?:t|ts|time|date|datetime|timestamp|elapsed|seconds?|secs?|ms|epoch|when|clock)(?:\b|_|$)",
    re.IGNORECASE,
)
_MEMORY = (
    r"phys_?footprint|footprint",
    r"private_?dirty|dirty|anonymous|uss",
    r"rss|resident|pss|real_?mem",
    r"memory|mem|used|usage|ram|bytes|mb|mib",
)
_UNITS = (
    (r"(?:^|[^a-z])(?:gib|gb|g)(?:$|[^a-z])", 1024.0 * MIB),
    (r"(?:^|[^a-z])(?:mib|mb|m)(?:$|[^a-z])", float(MIB)),
    (r"(?:^|[^a-z])(?:kib|kb|k)(?:$|[^a-z])", float(KIB)),
    (r"(?:^|[^a-z])(?:bytes?|b)(?:$|[^a-z])", 1.0),
)
_CLOCK = re.compile(
    r"(?:([12]\d{3})-(\d\d)-(\d\d)[T ])?(\d{1,3}):([0-5]\d):(\d\d(?:[.,]\d{1,9})?)"
    r"\s*(?:Z|UTC|([+-])(\d\d):?(\d\d))?$"
)
_INSTRUMENTS = re.compile(r"(\d{1,4}):([0-5]\d)\.(\d{3})\.(\d{3})$")
"""Minutes, seconds, milliseconds and microseconds, as Instruments writes them."""
MOST_SECONDS = 1e13
"""No clock shows more, not even one of milliseconds."""
_SCALES = ((r"ms|milli", 1e-3), (r"us\b|micro", 1e-6), (r"\bns\b|nano", 1e-9))


def _columns_of(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the columns of time and memory, or None where there are not both.

    A footprint is preferred to resident memory, and that to just "memory".
    """
    times = [i for i, name in enumerate(names) if _TIME.search(name.strip())]
    if not times:
        return None
    for pattern in _MEMORY:
        for i, name in enumerate(names):
            words = re.sub(r"[^a-z]+", "_", name.strip().lower())
            if i not in times and re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", words):
                return times[0], i
    return None


def read_csv(content: Content, tally: Tally) -> list[Series]:
    """Read a table whose header names a time and a memory: commas, semicolons or tabs."""
    return _Csv(tally).read(content)


def read_jsonl(content: Content, tally: Tally) -> list[Series]:
    """Read one JSON object a line, of which one names a time and a memory."""
    return _Jsonl(tally).read(content)


def _has_header(first: list[bytes]) -> bool:
    for line in first:
        text = line.decode("utf-8", "replace")
        mark = max(";\t,", key=text.count)
        if mark in text and _columns_of(text.split(mark)) is not None:
            return not first[0].lstrip().startswith(b"{")
    return False


def _names_memory(first: list[bytes]) -> bool:
    return any(
        _columns_of([str(name) for name in json.loads(line)]) is not None
        for line in first
        if is_object(line)
    )


FORMAT = Format("csv", read_csv, begins=_has_header)
FORMAT_JSON = Format("jsonl", read_jsonl, begins=_names_memory)


class _Table:
    """A table whose header, or first object, says which columns are time and memory."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.samples: _Samples | None = None

    def read(self, content: Content) -> list[Series]:
        """Return the series, or nothing."""
        read_lines(content.texts(), self.tally, self.feed)
        return [] if self.samples is None else self.samples.series()

    def feed(self, number: int, line: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        raise NotImplementedError


class _Csv(_Table):
    mark, width, columns = ",", 0, (0, 0)

    def feed(self, number: int, line: str) -> Said:
        if not line.strip() or line.startswith("#"):
            return False
        if self.samples is None:
            return self._header(line)
        cells = self._cells(line)
        if len(cells) != self.width:
            return Notice("cells", {"cells": len(cells), "header": self.width})
        time, memory = self.columns
        return self.samples.add(number, cells[time], cells[memory])

    def _header(self, line: str) -> Said:
        self.mark = max(";\t,", key=line.count)
        names = self._cells(line)
        found = _columns_of(names)
        if found is None:
            return False
        self.columns, self.width = found, len(names)
        self.samples = _Samples(names[found[0]], names[found[1]], self.tally)
        return True

    def _cells(self, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self.mark))
        except (csv.Error, StopIteration):
            return []


class _Jsonl(_Table):
    keys = ("", "")

    def feed(self, number: int, line: str) -> Said:
        if not line.strip():
            return False
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return Notice("no-json")
        if not isinstance(row, dict):
            return Notice("no-json")
        if self.samples is None:
            names = [str(name) for name in row]
            found = _columns_of(names)
            if found is None:
                return False
            self.keys = (names[found[0]], names[found[1]])
            self.samples = _Samples(*self.keys, self.tally)
        time, memory = self.keys
        if time not in row or memory not in row:
            return False
        return self.samples.add(number, row[time], row[memory])


class _Samples:
    """Collects samples, and says why one is left out."""

    def __init__(self, time: str, memory: str, tally: Tally) -> None:
        self.tally, self.name = tally, memory.strip()
        words = self.name.lower()
        self.scale = next((by for unit, by in _UNITS if re.search(unit, words)), None)
        label = time.strip().lower()
        self.seconds = next((by for unit, by in _SCALES if re.search(unit, label)), 1.0)
        self.times: list[float] = []
        self.values: list[float] = []
        self.last = -math.inf
        self.with_units = False

    def add(self, number: int, time: Any, memory: Any) -> Said:
        """Take a sample."""
        when, value = self._time(time), self._memory(memory)
        if when is None or not abs(when) < MOST_SECONDS:
            return Notice("no-time", {"text": str(time)[:40]})
        if value is None or not 0 <= value <= MOST_BYTES:
            return Notice("no-memory", {"text": str(memory)[:40]})
        if when < self.last:
            self.tally.note(number, "time-goes-back", seconds=self.last - when)
        self.last = when
        self.times.append(when)
        self.values.append(value)
        return True

    def _time(self, given: Any) -> float | None:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _float(given) * self.seconds
        text = str(given).strip()
        value = read_number(text)
        if value is not None:
            return value * self.seconds
        clock = _CLOCK.match(text)
        if clock is not None:
            return _of_clock(clock)
        clock = _INSTRUMENTS.match(text)
        return (
            None
            if clock is None
            else int(clock[1]) * 60 + float(f"{clock[2]}.{clock[3]}{clock[4]}")
        )

    def _memory(self, given: Any) -> float | None:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _float(given) * (self.scale or 1.0)
        text = str(given).strip()
        value = read_number(text)
        if value is not None:
            return value * (self.scale or 1.0)
        size = read_size(text)
        self.with_units = self.with_units or size is not None
        return None if size is None else float(size)

    def series(self) -> list[Series]:
        """Return what was collected; a unit that no name gives is taken from the size."""
        if not self.values:
            return []
        memory = np.array(self.values)
        if self.scale is None and not self.with_units:
            top = float(memory.max())
            by, unit = (1.0, "bytes") if top >= 4 * MIB else (float(MIB), "MiB")
            if 64 * KIB <= top < 4 * MIB:
                by, unit = float(KIB), "KiB"
            memory = memory * by
            self.tally.note(0, "unit-guessed", column=self.name, unit=unit)
        time = np.array(self.times)
        words = self.name.lower()
        counted = bool(re.search(r"footprint|dirty|anonymous|uss", words))
        return [Series(self.name, counted, time - time[0], memory, self.tally.name)]


def _of_clock(clock: re.Match[str]) -> float | None:
    """Return seconds of a time of day, with its date's and zone's where they stand."""
    seconds = int(clock[4]) * 3600 + int(clock[5]) * 60 + float(clock[6].replace(",", "."))
    if clock[1] is not None:
        day = before_day(int(clock[1]), int(clock[2]), int(clock[3]))
        if math.isnan(day):
            return None
        seconds += day
    if clock[7] is not None:
        offset = int(clock[8]) * 3600 + int(clock[9]) * 60
        seconds -= offset if clock[7] == "+" else -offset
    return seconds


def _float(value: float) -> float:
    """Return a float; NaN for an integer that none can hold."""
    try:
        return float(value)
    except OverflowError:
        return math.nan
