"""Which columns of a table are time, memory and process, in which units; and samples of them."""

from __future__ import annotations

import math
import re
import sys
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from listen2lab.device.formats.numbers import (
    MOST_BYTES,
    before_day,
    read_number,
    read_size,
    straighten,
)
from listen2lab.device.formats.reading import clean
from listen2lab.device.formats.schema import Series
from listen2lab.notice import Notice
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["Columns", "Samples", "find_columns", "rank_of"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_UNIT = re.compile(r"(?<![A-Za-z])([KMG])iB(?![A-Za-z])")
_TIMES = {"time", "timestamp", "date", "datetime", "elapsed", "epoch", "clock", "uptime"}
_FIRST_TIMES = {
    "t", "ts", "s", "sec", "secs", "second", "seconds", "ms", "min", "mins", "minute", "minutes",
    "hours", "when", "at",
}  # fmt: skip
_NO_TIME = {"cpu", "user", "sys", "system"}
_RANKS = (
    {"footprint"},
    {"dirty", "anonymous", "anon", "uss"},
    {"rss", "resident", "pss", "real", "res"},
    {"memory", "mem", "used", "usage", "ram"},
    {"heap", "bytes", "mb", "mib", "kb", "kib", "gb", "gib"},
)
"""Words of names for memory in use; a footprint is preferred to resident memory, and that to just
"memory"."""
_NOT_IN_USE = {
    "available", "avail", "free", "limit", "max", "maximum", "peak", "hwm", "highest", "percent",
    "pct", "perc", "total", "virtual", "virt", "vsz", "vms", "vsize", "swap", "cached", "buffers",
    "capacity", "quota", "budget", "threshold"
}  # fmt: skip
_PROCESSES = ("pid", "process", "processname", "container", "name", "command")
_NAMES = ("command", "comm", "cmd", "args", "name", "process")
_UNITS = {
    **dict.fromkeys(("gib", "gb", "g"), 1024.0 * MIB),
    **dict.fromkeys(("mib", "mb", "m"), float(MIB)),
    **dict.fromkeys(("kib", "kb", "k"), float(KIB)),
    **dict.fromkeys(("byte", "bytes", "b"), 1.0),
}
_SECONDS = {
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "micros", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanos", "nanoseconds"), 1e-9),
}
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""Seconds since 1970 do not reach these: larger ones are nano-, micro- or milliseconds."""
_CLOCK = re.compile(
    r"(?:(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})[T ,]\s*)?(\d{1,3}):([0-5]\d):(\d\d(?:[.,]\d{1,9})?)"
    r"\s*([AaPp][Mm])?\s*(?:Z|UTC|([+-])(\d\d):?(\d\d))?$"
)
_INSTRUMENTS = re.compile(r"(\d{1,4}):([0-5]\d)\.(\d{3})\.(\d{3})$")
"""Minutes, seconds, milliseconds and microseconds, as Instruments writes them."""
_FEWEST_EACH = 3
_MOST_PROCESSES = 8
"""Of more the largest are taken: ps and top list hundreds."""
_MOST_NAMES, _LONGEST_NAME = 10_000, 40
MOST_SECONDS = 1e19
"""No clock shows more, not even one of nanoseconds."""


class Columns(NamedTuple):
    """Places of what is taken: times (none, one, or a date and a time), memory, process.

    Of a process with an id, `name` is where its name stands.
    """

    time: tuple[int, ...]
    memory: int
    process: int | None
    name: int | None = None


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_UNIT.sub(r"_\1B", name))]


@lru_cache(maxsize=1024)
def rank_of(name: str) -> int | None:
    """Return how well a column's name says that it is memory in use, 0 best; None: it is not."""
    words = set(_words(name.partition("/")[0]))  # docker's "MEM USAGE / LIMIT"
    if "%" in name or words & _NOT_IN_USE:
        return None
    if "heap" in words:
        return len(_RANKS) - 1
    return next((k for k, rank in enumerate(_RANKS) if words & rank), None)


def _is_time(name: str) -> bool:
    words = _words(name)
    if (
        not words or set(words) & _NO_TIME or name in {"TIME", "TIME+", "S"}
    ):  # of the processor, a state
        return False
    return bool(set(words) & _TIMES) or words[0] in _FIRST_TIMES


def find_columns(names: Sequence[str], row: Sequence[Any] = ()) -> Columns | None:
    """Return the columns that are taken, or None where none is memory in use.

    Parameters
    ----------
    names
        A header's names; nested ones with points between.
    row
        The first one below it: what is 0 there (psutil's ``dirty``) is taken only if all are.
    """
    times = [k for k, name in enumerate(names) if _is_time(name)]
    ranked = [
        (str(row[k]).strip() in {"0", "0.0"} if row else False, rank, name.count("."), k)
        for k, name in enumerate(names)
        if k not in times and (rank := rank_of(name)) is not None
    ]
    if not ranked:
        return None
    kinds = {tuple(_words(names[k])): k for k in reversed(times)}
    both = ("date",) in kinds and ("time",) in kinds
    time = (kinds["date",], kinds["time",]) if both else tuple(times[:1])
    low = [name.strip().lower() for name in names]
    process = next((low.index(name) for name in _PROCESSES if name in low), None)
    names_too = process is not None and low[process] == "pid"
    name = next((low.index(name) for name in _NAMES if names_too and name in low), None)
    return Columns(time, min(ranked)[-1], process, name)


class Samples:
    """Collects samples, and says why one is left out.

    Parameters
    ----------
    names
        Of the columns of which one is memory.
    tally
        Gets notes on what had to be guessed.
    columns
        Which are taken.
    """

    def __init__(self, names: Sequence[str], tally: Tally, columns: Columns) -> None:
        self.tally, self.columns = tally, columns
        self.name = names[columns.memory].strip()
        self.scale = next((_UNITS[w] for w in reversed(_words(self.name)) if w in _UNITS), None)
        if (
            self.scale is None
            and self.name in {"RSS", "RES"}
            and {"VSZ", "VIRT", "PID"} & set(names)
        ):
            self.scale = float(KIB)  # as ps, pidstat and top print them
        label = [word for k in columns.time for word in _words(names[k])]
        self.seconds = next((_SECONDS[word] for word in label if word in _SECONDS), None)
        self.times, self.memory, self.lines = array("d"), array("d"), array("I")
        self.processes: list[str] = []
        self.names: dict[str, str] = {}
        self.with_units = self.is_clock = False
        self.by_id = columns.process is not None and names[columns.process].lower() == "pid"

    def add(self, number: int, cells: Sequence[Any]) -> Said:
        """Take a sample."""
        time, memory, process, name = self.columns
        when = nowhen = (math.nan, math.nan)
        if time:
            given = cells[time[0]]
            when = self._time(given if len(time) == 1 else f"{given} {cells[time[1]]}") or nowhen
            if not (abs(when[0]) < MOST_SECONDS or abs(when[1]) < MOST_SECONDS):
                return Notice("no-time", {"text": clean(str(given)[:40])})
        value = self._memory(cells[memory])
        if value is None or not 0 <= value <= MOST_BYTES:
            return Notice("no-memory", {"text": clean(str(cells[memory])[:40])})
        self.times.extend(when)
        self.memory.append(value)
        self.lines.append(number)
        if process is not None:
            who = clean(str(cells[process])).strip()
            if name is not None and len(self.names) < _MOST_NAMES:
                self.names.setdefault(who, clean(str(cells[name])).strip()[:_LONGEST_NAME])
            self.processes.append(sys.intern(who))
        return True

    def _time(self, given: Any) -> tuple[float, float] | None:
        """Return seconds, with the month and with the day first in a date."""
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            value: float | None = _float(given)
        else:
            value = read_number(str(given))
        if value is not None:
            return value, value
        text = str(given).strip()
        clock = _CLOCK.match(text)
        if clock is not None:
            self.is_clock = True
            return _of_clock(clock)
        clock = _INSTRUMENTS.match(text)
        if clock is None:
            return None
        self.is_clock = True
        value = int(clock[1]) * 60 + float(f"{clock[2]}.{clock[3]}{clock[4]}")
        return value, value

    def _memory(self, given: Any) -> float | None:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _float(given) * (self.scale or 1.0)
        text = str(given).partition(" / ")[0].strip()
        value = read_number(text)
        if value is not None:
            return value * (self.scale or 1.0)
        size = read_size(text)
        self.with_units = self.with_units or size is not None
        return None if size is None else float(size)

    def series(self) -> list[Series]:
        """Return what was collected, one series a process."""
        if not self.memory:
            return []
        memory, time = self._scaled(), self._seconds()
        words = set(_words(self.name))
        counted = bool(words & (_RANKS[0] | _RANKS[1]))
        kinds = {who: k for k, who in enumerate(dict.fromkeys(self.processes))} or {"": 0}
        many = len(kinds) > max(1, len(memory) // _FEWEST_EACH)
        if many and not self.by_id:  # a name a row, and no process
            kinds = {"": 0}
        who = np.zeros(len(memory), dtype=np.uint16)
        if len(kinds) > 1:
            who = np.fromiter(map(kinds.__getitem__, self.processes), np.uint32, len(memory))
        peaks = np.zeros(len(kinds))
        np.maximum.at(peaks, who, memory)
        most = dict(zip(kinds, peaks.tolist(), strict=True))
        # The kernel's own threads have none; of many processes the largest are taken.
        kept = sorted((name for name in most if most[name] or len(most) == 1), key=most.__getitem__)
        if len(kept) > _MOST_PROCESSES:
            self.tally.note(0, "processes-left-out", many=len(kept) - _MOST_PROCESSES)
            kept = kept[-_MOST_PROCESSES:]
        lines, out = np.frombuffer(self.lines, dtype=np.uint32), []
        for name in reversed(kept):
            mine = who == kinds[name] if len(kinds) > 1 else slice(None)
            at = np.arange(float(len(lines[mine])))
            if self.columns.time:
                at = straighten(time[mine], lines[mine], self.tally)
            called = f"{name} ({self.names[name]})" if self.names.get(name) else name
            out.append(
                Series(
                    self.name, at - at[0], memory[mine], self.tally.name, counted,
                    called if len(kinds) > 1 else "", bool(self.columns.time),
                )
            )  # fmt: skip
        return out

    def _scaled(self) -> npt.NDArray[np.float64]:
        """Return bytes; a unit that no name gives is taken from the size."""
        memory = np.frombuffer(self.memory)
        if self.scale is not None or self.with_units:
            return memory
        top = float(memory.max())
        by, unit = (1.0, "bytes") if top >= 4 * MIB else (float(MIB), "MiB")
        if 64 * KIB <= top < 4 * MIB:
            by, unit = float(KIB), "KiB"
        self.tally.note(0, "unit-guessed", column=self.name, unit=unit)
        return memory * by

    def _seconds(self) -> npt.NDArray[np.float64]:
        """Return seconds; of dates, those whose order of day and month makes sense."""
        month_first, day_first = np.frombuffer(self.times).reshape(-1, 2).T
        self.times = array("d")  # which would be most of what a long table costs
        if self.is_clock:
            given = [each for each in (month_first, day_first) if np.isfinite(each).all()]
            return np.array(min(given or [np.nan_to_num(month_first)], key=_disorder))
        by = self.seconds
        if by is None:
            by = next((by for least, by in _EPOCHS if abs(month_first[0]) > least), 1.0)
        return np.asarray(month_first * by)


def _disorder(time: npt.NDArray[np.float64]) -> tuple[int, float]:
    """Return how often times go back, and how far they reach."""
    moves = np.diff(time)
    return int((moves < 0).sum()), float(np.abs(moves).sum())


def _of_clock(clock: re.Match[str]) -> tuple[float, float] | None:
    """Return seconds of a time of day, with its date's and zone's where they stand."""
    hour = int(clock[5])
    if clock[8] is not None:
        hour = hour % 12 + (12 if clock[8].lower() == "pm" else 0)
    seconds = hour * 3600 + int(clock[6]) * 60 + float(clock[7].replace(",", "."))
    if clock[9] is not None:
        offset = int(clock[10]) * 3600 + int(clock[11]) * 60
        seconds -= offset if clock[9] == "+" else -offset
    if clock[1] is None:
        return seconds, seconds
    a, b, c = int(clock[1]), int(clock[3]), int(clock[4])
    if len(clock[1]) == 4:
        days = (before_day(a, b, c),) * 2
    else:
        days = (before_day(c, a, b), before_day(c, b, a))
    both = (days[0] + seconds, days[1] + seconds)
    return None if math.isnan(both[0]) and math.isnan(both[1]) else both


def _float(value: float) -> float:
    """Return a float; NaN for an integer that none can hold."""
    try:
        return float(value)
    except OverflowError:
        return math.nan
