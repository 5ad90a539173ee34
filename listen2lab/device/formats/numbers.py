"""Numbers, sizes, times and process ids, as people's tools print them."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from listen2lab.device.formats.tally import Tally

__all__ = [
    "CLOCK", "DAY", "MOST_BYTES", "PID", "before_day", "read_count", "read_number", "read_size",
    "straighten", "to_seconds",
]  # fmt: skip


MOST_BYTES = 2**50
"""More than a pebibyte is no size of anything here: it is a damaged number. Reserved address space
reaches some tebibytes, so the limit is not lower."""

_FACTORS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = re.compile(
    r"([+-]?[\d.,'\u2019\u00a0\u202f]*\d)\s?([BKMGTP]?)(?:i?B)?(?:ytes)?\Z", re.IGNORECASE
)
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_SIMPLE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?\Z")
_MARKED = re.compile(r"[+-]*\d[\d.,'\u2019\u00a0\u202f]{0,39}\Z")
_GROUPS = re.compile(r"\d{1,3}(?:([.,'\u2019\u00a0\u202f])\d{3})(?:\1\d{3})*\Z")


def read_number(text: str) -> float | None:
    """Return a number written with a point or a comma, with or without thousands marks.

    Parameters
    ----------
    text
        ``1234.5``, ``1,234.5``, ``1.234,5``, ``1 234,5`` (no-break spaces) or ``2290,0``. A single
        comma before three digits marks thousands, as in ``12,345``; a single point is a decimal
        point always.

    Returns
    -------
    float or None
        None for anything that is no number.
    """
    if _SIMPLE.match(text):
        return float(text)
    text = text.strip()
    if not _MARKED.match(text):
        return None  # most often a size or a time
    sign = -1.0 if text.startswith("-") else 1.0
    body = text.lstrip("+-")
    for mark in "'\u2019\u00a0\u202f":
        body = body.replace(mark, "")
    if "," in body and "." in body:
        thousands = "," if body.rindex(".") > body.rindex(",") else "."
        body = body.replace(thousands, "")
    elif "," in body and (body.count(",") > 1 or _GROUPS.match(body)):
        if not _GROUPS.match(body):
            return None
        body = body.replace(",", "")
    elif body.count(".") > 1:
        if not _GROUPS.match(body):
            return None
        body = body.replace(".", "")
    body = body.replace(",", ".")
    return sign * float(body) if _PLAIN.match(body) else None


def read_count(text: str) -> int | None:
    """Return a count as an integer, or None for anything that is none, or negative."""
    value = read_number(text)
    return None if value is None or value < 0 else int(value)


@lru_cache(maxsize=8192)  # a report prints few sizes many times
def read_size(text: str, unit: str = "") -> int | None:
    """Return bytes, or None for anything that is no size between 0 and `MOST_BYTES`.

    Parameters
    ----------
    text
        A number with B, K, M, G, T or P, or ``KB``, ``MiB``, ...; every unit is a power of 1024, as
        in the tools of macOS and Android.
    unit
        What a number without a unit is in.
    """
    match = _SIZE.match(text.strip())
    if match is None:
        return None
    value = read_number(match[1])
    if value is None:
        return None
    size = value * _FACTORS[(match[2] or unit).upper()]
    return round(size) if 0 <= size <= MOST_BYTES else None


CLOCK = re.compile(
    rb"(?:(\d{4})-(\d\d)-(\d\d)[T ])?(?<!\d)(\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)(?![\d:])"
)
"""An optional date, and a time of day; groups year, month, day, hour, minute, seconds."""

PID = re.compile(rb"[\w)]\[(\d{1,7})[:\]]")
"""A process id, as consoles print it behind the process's name."""

DAY = 86400.0
_BACKWARDS = 1.0
"""Seconds: threads that print at once may stand a moment out of order."""


def to_seconds(clock: re.Match[bytes]) -> float:
    """Return seconds of the day, with the days before it where a date stands; NaN if neither."""
    hour, minute, second = int(clock[4]), int(clock[5]), float(clock[6])
    if hour > 23 or minute > 59 or second >= 61:
        return float("nan")
    before = 0.0
    if clock[1] is not None:
        before = before_day(int(clock[1]), int(clock[2]), int(clock[3]))
    return before + hour * 3600 + minute * 60 + second


def before_day(year: int, month: int, day: int) -> float:
    """Return the seconds before a day; NaN for a day that there is not."""
    try:
        return dt.date(year, month, day).toordinal() * DAY
    except ValueError:
        return float("nan")


def straighten(
    times: npt.NDArray[np.float64], lines: npt.NDArray[Any], tally: Tally
) -> npt.NDArray[np.float64]:
    """Return times that go on over midnight, and note those that go backwards.

    Parameters
    ----------
    times
        Seconds in the order of the lines; NaN where a line has none.
    lines
        Their line numbers.
    tally
        Gets a note for each time that goes back by more than a second.
    """
    good = np.isfinite(times)
    if np.count_nonzero(good) < 2:
        return times
    given, numbers = (times, lines) if good.all() else (times[good], lines[good])
    moves = np.diff(given)
    wraps = (moves < -0.5 * DAY) & (given[1:] < DAY) & (given[:-1] < DAY)
    for k in np.flatnonzero((moves < -_BACKWARDS) & ~wraps).tolist():
        tally.note(int(numbers[k + 1]), "time-goes-back", seconds=float(-moves[k]))
    if not wraps.any():
        return times
    out = times.copy()
    out[np.flatnonzero(good)[1:]] += DAY * np.cumsum(wraps)
    return out
