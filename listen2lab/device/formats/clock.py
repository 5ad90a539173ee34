"""Times and process ids out of console prefixes, whatever console wrote them."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from listen2lab.device.formats.tally import Tally

__all__ = ["CLOCK", "DAY", "PID", "before_day", "straighten", "to_seconds"]

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
    times: npt.NDArray[np.float64], lines: npt.NDArray[np.float64], tally: Tally
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
    known = np.flatnonzero(np.isfinite(times))
    if len(known) < 2:
        return times
    given = times[known]
    moves = np.diff(given)
    undated = (given[1:] < DAY) & (given[:-1] < DAY)
    wraps = undated & (moves < -0.5 * DAY)
    out = times.copy()
    out[known[1:]] += DAY * np.cumsum(wraps)
    for k in np.flatnonzero((moves < -_BACKWARDS) & ~wraps).tolist():
        text = f"the time goes back by {-moves[k]:,.0f} s"
        tally.note(int(lines[known[k + 1]]), text, "backwards")
    return out
