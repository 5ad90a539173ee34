"""A CSV or JSONL of time and memory, from any tool that samples a process."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device._sizes import MOST_BYTES, read_number, read_size
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from listen2lab.device.tally import Tally

__all__ = ["Series", "columns_of", "read_csv", "read_jsonl"]

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
MOST_SECONDS = 1e13
"""No clock shows more, not even one of milliseconds."""
_SCALES = ((r"ms|milli", 1e-3), (r"us\b|micro", 1e-6), (r"\bns\b|nano", 1e-9))


@dataclass(frozen=True)
class Series:
    """Memory over time.

    Attributes
    ----------
    quantity
        The column's name.
    footprint
        Whether it is what a kill limit counts (a footprint or private dirty memory).
    time
        Seconds from the first sample.
    memory
        Bytes.
    """

    quantity: str
    footprint: bool
    time: npt.NDArray[np.float64]
    memory: npt.NDArray[np.float64]
    source: str = ""

    @property
    def is_even(self) -> bool:
        """Whether the samples stand about equally far from each other."""
        gaps = np.diff(self.time)
        if len(gaps) < 2 or not (gaps > 0).any():
            return True
        low, high = np.quantile(gaps, [0.05, 0.95])
        return bool(high <= 2.0 * max(low, 1e-9))


def columns_of(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the columns of time and memory, or None where there are not both.

    Parameters
    ----------
    names
        A header's names. A footprint is preferred to resident memory, and that to just "memory".
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


def read_csv(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[Series]:
    """Read a table with a header, separated by commas, semicolons or tabs.

    Parameters
    ----------
    lines
        Line numbers and texts.
    tally
        Gets the counts, and a note for each line that cannot be read.
    source
        The file's name.

    Returns
    -------
    list of Series
        One, or none where no header names a time and a memory.
    """
    builder: _Builder | None = None
    mark, width, columns = ",", 0, (0, 0)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        if builder is None:
            mark = max(";\t,", key=line.count)
            try:
                names = next(csv.reader([line], delimiter=mark))
            except (csv.Error, StopIteration):
                continue
            found = columns_of(names)
            if found is None:
                continue
            columns, width = found, len(names)
            builder = _Builder(names[columns[0]], names[columns[1]], tally, source)
            tally.saw(number)
            continue
        try:
            cells = next(csv.reader([line], delimiter=mark))
        except (csv.Error, StopIteration):
            cells = []
        if len(cells) != width:
            tally.bad(number, f"has {len(cells)} cells where the header has {width}")
            continue
        builder.add(number, cells[columns[0]], cells[columns[1]])
    return [] if builder is None else builder.series()


def read_jsonl(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[Series]:
    """Read one JSON object a line.

    Parameters
    ----------
    lines
        Line numbers and texts.
    tally
        Gets the counts, and a note for each line that cannot be read.
    source
        The file's name.

    Returns
    -------
    list of Series
        One, or none where no object names a time and a memory.
    """
    builder: _Builder | None = None
    keys = ("", "")
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            tally.bad(number, "is no JSON")
            continue
        if not isinstance(row, dict):
            tally.bad(number, "is no JSON object")
            continue
        if builder is None:
            names = [str(name) for name in row]
            found = columns_of(names)
            if found is None:
                continue
            keys = (names[found[0]], names[found[1]])
            builder = _Builder(*keys, tally, source)
        if keys[0] in row and keys[1] in row:
            builder.add(number, row[keys[0]], row[keys[1]])
    return [] if builder is None else builder.series()


class _Builder:
    """Collects samples, and says why one is left out."""

    def __init__(self, time: str, memory: str, tally: Tally, source: str) -> None:
        self.tally, self.source, self.name = tally, source, memory.strip()
        words = self.name.lower()
        self.scale = next((by for unit, by in _UNITS if re.search(unit, words)), None)
        label = time.strip().lower()
        self.seconds = next((by for unit, by in _SCALES if re.search(unit, label)), 1.0)
        self.times: list[float] = []
        self.values: list[float] = []
        self.last = -math.inf

    def add(self, number: int, time: Any, memory: Any) -> None:
        """Take a sample."""
        when, value = self._time(time), self._memory(memory)
        if when is None or not abs(when) < MOST_SECONDS:
            self.tally.bad(number, f"{str(time)[:40]!r} is no time")
        elif value is None or not 0 <= value <= MOST_BYTES:
            self.tally.bad(number, f"{str(memory)[:40]!r} is no memory")
        else:
            if when < self.last:
                self.tally.note(number, f"the time goes back by {self.last - when:,.3g} s", "back")
            self.last = when
            self.times.append(when)
            self.values.append(value)
            self.tally.saw(number)

    def _time(self, given: Any) -> float | None:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _float(given) * self.seconds
        text = str(given).strip()
        value = read_number(text)
        if value is not None:
            return value * self.seconds
        try:
            return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError, OSError):
            pass
        clock = re.match(r"(\d{1,3}):(\d\d):(\d\d(?:[.,]\d+)?)$", text)
        if clock is None:
            return None
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))

    def _memory(self, given: Any) -> float | None:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _float(given) * (self.scale or 1.0)
        text = str(given).strip()
        value = read_number(text)
        if value is not None:
            return value * (self.scale or 1.0)
        size = read_size(text)
        return None if size is None else float(size)

    def series(self) -> list[Series]:
        """Return what was collected; a unit that no name gives is taken from the size."""
        if not self.values:
            return []
        memory = np.array(self.values)
        if self.scale is None:
            top = float(memory.max())
            by, unit = (1.0, "bytes") if top >= 4 * MIB else (float(MIB), "MiB")
            if 64 * KIB <= top < 4 * MIB:
                by, unit = float(KIB), "KiB"
            memory = memory * by
            self.tally.note(0, f"no unit stands in {self.name!r}; it was taken as {unit}")
        time = np.array(self.times)
        words = self.name.lower()
        counted = bool(re.search(r"footprint|dirty|anonymous|uss", words))
        return [Series(self.name, counted, time - time[0], memory, self.source)]


def _float(value: float) -> float:
    """Return a float; NaN for an integer that none can hold."""
    try:
        return float(value)
    except OverflowError:
        return math.nan
