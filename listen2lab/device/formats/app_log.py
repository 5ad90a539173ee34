"""The app's log into columns: streaming, one row of floats a recognised line, no objects kept.

A line's digits are replaced by zeros, and what comes of it is looked up. A line whose like was not
seen before is read by the grammar, strictly, and remembered; the numbers of those that are alike
then stand at the same places, and are read many at a time.
"""

from __future__ import annotations

from itertools import pairwise, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.device.formats.app_log_grammar import APP, Grammar, mojibake
from listen2lab.device.formats.numbers import (
    CLOCK,
    PID,
    before_day,
    read_number,
    straighten,
    to_seconds,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    import numpy.typing as npt

    from listen2lab.device.formats.tally import Tally

    Array = npt.NDArray[np.float64]

__all__ = ["MOST", "ROW", "read_applog"]

ROW = np.dtype([
    ("kind", "u1"), ("line", "u4"), ("time", "f8"), ("pid", "u4"), ("paragraph", "f4"),
    ("memory", "f8"), ("seconds", "f8"), ("count", "f4"), ("extra", "f4"),
])  # fmt: skip
"""A recognised line in 45 bytes, for a log may have millions. ``time`` is seconds, NaN without a
console prefix; ``pid`` 0 where none is printed; ``memory`` bytes; ``count`` and ``extra`` differ
by kind: of a total time they are the seconds of its parts."""

_COLUMNS = ROW.names or ()

MOST = {"p": 1e7, "m": 2.0**40, "s": 1e6, "n": 1e12}
"""Above these a paragraph, a memory in bytes, seconds and a count are damaged numbers."""

_UNITS = {b"K": 1024.0, b"M": 1024.0**2, b"G": 1024.0**3}
_WHERE = {"p": (4,), "m": (5,), "s": (6, 8, 7), "n": (7, 8)}
_NAMES = {"p": "paragraph", "m": "memory", "s": "seconds", "n": "count"}
_ZEROS = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_MOST_LEARNED = 20_000
_MOST_SHOWN = 30
_NAN = float("nan")


def read_applog(
    batches: Iterable[tuple[int, list[bytes]]], tally: Tally, grammar: Grammar = APP
) -> npt.NDArray[np.void]:
    """Read a log in the app's grammar.

    Parameters
    ----------
    batches
        First line numbers and lines (see `listen2lab.device.formats.lines.Content.batches`).
    tally
        Gets what was recognised and what was malformed, with line numbers.
    grammar
        How the app logs.

    Returns
    -------
    ndarray
        One `ROW` a line of the app, whatever else is between them. Lines that begin
        like one and do not go on like one are malformed; they are counted and left out.
    """
    reader = _Reader(tally, grammar)
    for first, lines in batches:
        reader.feed(first, lines)
    reader.say_encoding()
    rows = np.frombuffer(reader.out, dtype=ROW)
    if np.isfinite(rows["time"]).any():
        rows["time"] = straighten(rows["time"], rows["line"], tally)
    return rows


class _Known(NamedTuple):
    """Where the digits stand in lines that are alike but for their digits.

    Attributes
    ----------
    kind
        Of the line.
    digits
        The places of all digits that matter.
    weights
        Shape (digits, numbers): what each digit counts in each number.
    fields
        What each number is and its column; then come hour, minute, seconds and date, if any.
    """

    kind: int
    digits: npt.NDArray[np.intp]
    weights: Array
    fields: tuple[tuple[str, int, tuple[int, int]], ...]
    timed: bool
    dated: bool
    with_pid: bool


class _Reader:
    """Turns lines into rows."""

    def __init__(self, tally: Tally, grammar: Grammar) -> None:
        self.tally, self.grammar = tally, grammar
        self.out = bytearray()
        self.between: dict[bytes, None] = {}
        self.ids: dict[bytes, int] = {}
        self.known: list[_Known] = []
        self.days: dict[float, float] = {}

    def feed(self, first: int, lines: list[bytes]) -> None:
        """Read a batch."""
        keys = b"\n".join(lines).translate(_ZEROS).split(b"\n")
        places = np.arange(len(lines))
        parts: list[Array] = []
        strange = self._known_ones(lines, keys, places, first, parts)
        whole = b"\n".join([lines[i] for i in strange])
        if any(tag in whole for tag in self.grammar.tags):
            ours = [i for i in strange if self.grammar.head.search(lines[i])]
            # One of each kind is read slowly; those like it are then known.
            one_each = {keys[i]: i for i in reversed(ours)}
            parts += [self._one(lines[i], first + i, key) for key, i in one_each.items()]
            rest = np.array([i for i in ours if one_each[keys[i]] != i], dtype=np.intp)
            still = self._known_ones(lines, keys, rest, first, parts)
            parts += [self._one(lines[i], first + i, keys[i]) for i in still]
        if parts:
            rows = np.concatenate(parts)
            rows = rows[np.argsort(rows[:, 1], kind="stable")]
            self.tally.many_recognised += len(np.unique(rows[:, 1]))
            packed = np.empty(len(rows), dtype=ROW)
            for k, name in enumerate(_COLUMNS):
                packed[name] = rows[:, k]
            self.out += packed.tobytes()

    def _known_ones(
        self,
        lines: list[bytes],
        keys: list[bytes],
        places: npt.NDArray[np.intp],
        first: int,
        parts: list[Array],
    ) -> list[int]:
        """Read the lines whose like is known, of those at `places`; return the other places."""
        ids = np.fromiter(
            map(self.ids.get, [keys[i] for i in places.tolist()], repeat(-1)), np.int64, len(places)
        )
        order = np.argsort(ids, kind="stable")
        bounds = [0, *(np.flatnonzero(np.diff(ids[order])) + 1).tolist(), len(order)]
        strange: list[int] = []
        for begin, end in pairwise(bounds):
            if begin == end:
                continue
            group = places[order[begin:end]]
            which = int(ids[order[begin]])
            if which < 0:
                strange = group.tolist()
            else:
                some = [lines[i] for i in group.tolist()]
                parts.append(self._many(self.known[which], some, group + first))
        return strange

    def _many(self, like: _Known, lines: list[bytes], numbers: npt.NDArray[np.int64]) -> Array:
        """Read lines whose digits stand at known places."""
        n = len(lines)
        block = np.frombuffer(b"".join(lines), np.uint8).reshape(n, -1)
        values = (block[:, like.digits] - 48.0) @ like.weights
        rows = np.full((n, len(_COLUMNS)), _NAN)
        rows[:, 0], rows[:, 1], rows[:, 3] = like.kind, numbers, 0.0
        good = np.ones(n, dtype=bool)
        k = 0
        for field, column, span in like.fields:
            wrong = values[:, k] > MOST[field]
            if wrong.any():
                for i in np.flatnonzero(wrong & good).tolist():
                    self._refuse(int(numbers[i]), field, lines[i][slice(*span)])
                good &= ~wrong
            rows[:, column] = values[:, k]
            k += 1
        if like.timed:
            hour, minute, second = values[:, k : k + 3].T
            time = hour * 3600 + minute * 60 + second
            time[(hour > 23) | (minute > 59) | (second >= 61)] = _NAN
            k += 3
            if like.dated:
                time += self._dates(values[:, k])
                k += 1
            rows[:, 2] = time
        if like.with_pid:
            rows[:, 3] = values[:, k]
        return rows[good]

    def _dates(self, stamps: Array) -> Array:
        """Return the seconds before each line's day; most lines of a batch have one day."""
        found = np.unique(stamps)
        for stamp in set(found.tolist()) - self.days.keys():
            year, month, day = int(stamp) // 10000, int(stamp) // 100 % 100, int(stamp) % 100
            self.days[stamp] = before_day(year, month, day)
        days = np.array([self.days[stamp] for stamp in found.tolist()])
        return np.asarray(days[np.searchsorted(found, stamps)])

    def _one(self, line: bytes, number: int, key: bytes) -> Array:
        """Read a line by the grammar; remember it where its numbers are plain ones."""
        heads = list(self.grammar.head.finditer(line))
        time, pid, clock, process = _prefix(line[: heads[0].start()])
        rows: list[list[float]] = []
        # Two entries may stand in one line, where two threads printed at once.
        for head in heads:
            between, words = head.groups()
            if len(self.between) < 200:
                self.between.setdefault(between)
            for shape in self.grammar.shapes[words]:
                found = shape.pattern.match(line, head.end())
                if found is not None:
                    break
            else:
                self.tally.note(number, "cut-or-damaged", kind="malformed", words=words.decode())
                continue
            row = [float(shape.kind), float(number), time, pid, *[_NAN] * 5]
            places = self._values(shape.fields, found, row, number)
            if places is None:
                continue
            rows.append(row)
            if len(heads) == 1 and len(self.known) < _MOST_LEARNED:
                self._learn(key, line, shape.kind, places, clock, process)
        if not rows:
            self.tally.many_malformed += 1
        return np.array(rows).reshape(-1, len(_COLUMNS))

    def _values(
        self, fields: str, found: re.Match[bytes], row: list[float], number: int
    ) -> list[tuple[str, int, tuple[int, int], float]] | None:
        """Fill a row in; return each number's field, column, span and factor, or None."""
        group, taken = 1, dict.fromkeys(_WHERE, 0)
        places = []
        for field in fields:
            text, span, factor = found[group], found.span(group), 1.0
            group += 1
            if field == "m":
                factor = _UNITS[found[group][:1]]
                group += 1
            value = read_number(text.decode("utf-8", "replace").replace(" ", "\u00a0"))
            if value is None or not 0 <= value * factor <= MOST[field]:
                self._refuse(number, field, text, counted=True)
                return None
            column = _WHERE[field][taken[field]]
            taken[field] += 1
            row[column] = value * factor
            places.append((field, column, span, factor))
        return places

    def _learn(  # noqa: PLR0917 - what was found in one line
        self,
        key: bytes,
        line: bytes,
        kind: int,
        places: list[tuple[str, int, tuple[int, int], float]],
        clock: re.Match[bytes] | None,
        process: re.Match[bytes] | None,
    ) -> None:
        """Remember where a line's numbers stand, if each is digits with at most a point."""
        numbers = [_digits(line, span, factor) for _, _, span, factor in places]
        if clock is not None:
            numbers += [_digits(line, clock.span(k), 1.0) for k in (4, 5, 6)]
        dated = clock is not None and clock[1] is not None
        if clock is not None and dated:
            parts = (_digits(line, clock.span(k), by) for k, by in ((1, 1e4), (2, 1e2), (3, 1.0)))
            numbers.append({at: by for part in parts for at, by in (part or {}).items()})
        if process is not None:
            numbers.append(_digits(line, process.span(1), 1.0))
        if any(number is None for number in numbers):
            return
        at = sorted({place for number in numbers for place in number or ()})
        weights = np.array([[(number or {}).get(place, 0.0) for number in numbers] for place in at])
        self.known.append(
            _Known(
                kind,
                np.array(at, dtype=np.intp),
                weights.reshape(len(at), len(numbers)),
                tuple((field, column, span) for field, column, span, _ in places),
                clock is not None,
                dated,
                process is not None,
            )
        )
        self.ids[key] = len(self.known) - 1

    def _refuse(self, number: int, field: str, text: bytes, *, counted: bool = False) -> None:
        """Note a number that cannot be; `counted` where the line is counted elsewhere."""
        code = "number-negative" if text.startswith(b"-") else "number-absurd"
        shown = text[:_MOST_SHOWN].decode("ascii", "replace")
        self.tally.note(number, code, kind="malformed", field=_NAMES[field], text=shown)
        self.tally.many_malformed += not counted

    def say_encoding(self) -> None:
        """Say how the file's emoji were decoded, where not as they should."""
        ways = list(dict.fromkeys(filter(None, map(mojibake, self.between))))
        if ways:
            right = any(between.strip() and mojibake(between) is None for between in self.between)
            partly = right or len(ways) > 1
            self.tally.note(
                0,
                "emoji-misread",
                codecs=[codec for codec, _ in ways],
                times=[times for _, times in ways],
                partly=partly,
            )


def _prefix(
    prefix: bytes,
) -> tuple[float, float, re.Match[bytes] | None, re.Match[bytes] | None]:
    """Return time, process id, and where they stand."""
    clock = CLOCK.search(prefix)
    process = PID.search(prefix)
    time = _NAN if clock is None else to_seconds(clock)
    return time, 0.0 if process is None else float(process[1]), clock, process


def _digits(line: bytes, span: tuple[int, int], factor: float) -> dict[int, float] | None:
    """Return what each digit of a number counts, by its place; None for other characters."""
    text = line[slice(*span)]
    whole, _, fraction = text.partition(b".")
    if not whole.isdigit() or not (fraction + b"0").isdigit():
        return None
    out = {}
    for k in range(len(whole)):
        out[span[0] + k] = factor * 10.0 ** (len(whole) - 1 - k)
    for k in range(len(fraction)):
        out[span[0] + len(whole) + 1 + k] = factor * 10.0 ** (-1 - k)
    return out
