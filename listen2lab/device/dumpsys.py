"""dumpsys meminfo of Android: a process's memory by kind of mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device._sizes import read_number
from listen2lab.device.schema import Category, Snapshot
from listen2lab.device.tally import MOST_ROW
from listen2lab.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.device.tally import Tally

__all__ = ["read_dumpsys"]

_PROCESS = re.compile(r"\*\* MEMINFO in pid (\d+) \[(.*?)\](?: \*\*)?")
_ROW = re.compile(r"\s*([A-Za-z.?][\w.?/ ()-]*?)\s+((?:-?[\d,]+\s+)*-?[\d,]+)\s*$")
_TOTALS = re.compile(r"TOTAL (PSS|RSS|SWAP PSS|SWAP \(KB\)):\s+(-?[\d,]+)")
_SUMMARY = re.compile(
    r"\s*(Java Heap|Native Heap|Code|Stack|Graphics|Private Other|System|Unknown):"
)
_TITLES = {
    ("Pss", "Total"): "pss",
    ("Pss", "Clean"): "pss_clean",
    ("Shared", "Dirty"): "shared_dirty",
    ("Shared", "Clean"): "shared_clean",
    ("Private", "Dirty"): "dirty",
    ("Private", "Clean"): "clean",
    ("SwapPss", "Dirty"): "swapped",
    ("Swap", "Dirty"): "swapped",
    ("Swapped", "Dirty"): "swapped",
    ("Rss", "Total"): "resident",
    ("Heap", "Size"): "heap_size",
    ("Heap", "Alloc"): "heap_alloc",
    ("Heap", "Free"): "heap_free",
}
_HEADINGS = {"Pss", "Private", "Shared", "SwapPss", "Swap", "Swapped", "Rss", "Heap"}
MOST_KIB = 2**40
"""More is a damaged number."""


def read_dumpsys(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[Snapshot]:
    """Read what ``dumpsys meminfo PROCESS`` printed, with or without ``-a``.

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
    list of Snapshot
        One a process. Numbers of the report are KiB. Details below the table (Dalvik's own
        parts, objects, databases) repeat what is in it and are left out.
    """
    reader = _Reader(tally, source)
    for number, line in lines:
        reader.feed(number, line[:MOST_ROW].rstrip())
    reader.end()
    return reader.found


class _Reader:
    def __init__(self, tally: Tally, source: str) -> None:
        self.tally, self.source = tally, source
        self.found: list[Snapshot] = []
        self.process: tuple[str, int, int] | None = None
        self.titles: list[str] = []
        self.above: list[str] = []
        self.rows: list[Category] = []
        self.total: dict[str, int] = {}
        self.in_table = False

    def feed(self, number: int, line: str) -> None:  # noqa: C901 - a branch for each kind of line
        text = line.strip()
        if not text:
            return
        begin = _PROCESS.search(text)
        if begin is not None:
            self.end()
            self.process = (begin[2], int(begin[1][:15]), number)
        elif text.startswith(("Applications Memory Usage", "Uptime:", "App Summary", "------")):
            pass
        elif self.process is None:
            return
        elif set(words := text.split()) <= _HEADINGS:
            self.above = words
        elif self.above and len(words) == len(self.above) and {"Total", "Dirty"} <= set(words):
            pairs = zip(self.above, words, strict=True)
            self.titles = [_TITLES.get(pair, "") for pair in pairs]
            self.above, self.in_table = [], True
        elif (totals := _TOTALS.findall(text)) and not self.in_table:
            for name, value in totals:
                size = self._kib(value)
                if size is not None:
                    self.total.setdefault(name, size)
        elif self.in_table:
            self._row(line, text, number)
            return
        elif not _SUMMARY.match(line):
            return
        self.tally.saw(number)

    def _row(self, line: str, text: str, number: int) -> None:
        row = _ROW.match(line)
        if row is None:
            if not re.match(r"[-\s]+$", text):
                self.tally.bad(number, f"{text[:80]!r} is no row of a meminfo table")
            return
        values = [self._kib(value) for value in row[2].split()]
        if any(value is None for value in values) or len(values) > len(self.titles):
            self.tally.bad(number, f"{text[:80]!r} is no row of a meminfo table")
            return
        self.tally.saw(number)
        by = dict(zip(self.titles, values, strict=False))
        dirty, swapped = by.get("dirty"), by.get("swapped")
        counted = None if dirty is None else dirty + (swapped or 0)
        if row[1] == "TOTAL":
            self.in_table = False
            self.total |= {"counted": counted or 0}
            if by.get("resident") is not None:
                self.total["RSS"] = by["resident"] or 0
            return
        resident = by.get("resident", by.get("pss"))
        category = Category(
            row[1], None, resident, dirty, by.get("clean"), None, swapped, counted, None
        )
        self.rows.append(category)

    def _kib(self, text: str) -> int | None:
        value = read_number(text)
        return None if value is None or not 0 <= value <= MOST_KIB else round(value * KIB)

    def end(self) -> None:
        """Close the process that was being read."""
        if self.process is not None and (self.rows or self.total):
            name, pid, line = self.process
            self.found.append(
                Snapshot(
                    "dumpsys", name, pid, self.total.get("counted"), None,
                    self.total.get("RSS", self.total.get("PSS")), tuple(self.rows),
                    source=self.source, line=line,
                )
            )  # fmt: skip
        self.process, self.rows, self.total, self.titles = None, [], {}, []
        self.in_table = False
