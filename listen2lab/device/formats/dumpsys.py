"""dumpsys meminfo of Android: a process's memory by kind of mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.numbers import read_number
from listen2lab.device.formats.reading import Format, Header, no_row, read_report
from listen2lab.device.formats.schema import Category, Snapshot, make_snapshot
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "read_dumpsys"]

_PROCESS = re.compile(r"\*\* MEMINFO in pid (\d+) \[(.*?)\](?: \*\*)?")
_ROW = re.compile(r"([A-Za-z.?][\w.?/ ()-]*?)\s+((?:-?[\d,]+\s+)*-?[\d,]+)$")
_TOTALS = re.compile(r"TOTAL (PSS|RSS|SWAP PSS|SWAP \(KB\)):\s+(-?[\d,]+)")
_RULE = re.compile(r"[-\s]+$")
_BEFORE = re.compile(r"Applications Memory Usage|Uptime:|App Summary|------")
_SUMMARY = re.compile(r"(Java Heap|Native Heap|Code|Stack|Graphics|Private Other|System|Unknown):")
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


def read_dumpsys(content: Content, tally: Tally) -> list[Snapshot]:
    """Read what ``dumpsys meminfo PROCESS`` printed, with or without ``-a``.

    Numbers of the report are KiB. Details below the table (Dalvik's own parts, objects, databases)
    repeat what is in it and are left out.
    """
    return read_report(content, tally, _Reader(tally.name))


FORMAT = Format("dumpsys", read_dumpsys, marks=(b"** MEMINFO in pid ",))


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self.header: Header | None = None
        self.titles: list[str] = []
        self.above: list[str] = []
        self.rows: list[Category] = []
        self.total: dict[str, int] = {}
        self.in_table = False

    def feed(self, number: int, text: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        begin = _PROCESS.search(text)
        if begin is not None:
            self.end()
            self.header = Header(begin[2], int(begin[1][:15]), number)
            return True
        if _BEFORE.match(text):
            return True
        if self.header is None or not text:
            return False
        if self._heading(text.split()):
            return True
        if self.in_table:
            return self._row(text)
        totals = _TOTALS.findall(text)
        for name, value in totals:
            size = self._kib(value)
            if size is not None:
                self.total.setdefault(name, size)
        return bool(totals) or _SUMMARY.match(text) is not None

    def _heading(self, words: list[str]) -> bool:
        """Read one of the two lines of titles."""
        if set(words) <= _HEADINGS:
            self.above = words
            return True
        if self.above and len(words) == len(self.above) and {"Total", "Dirty"} <= set(words):
            pairs = zip(self.above, words, strict=True)
            self.titles = [_TITLES.get(pair, "") for pair in pairs]
            self.above, self.in_table = [], True
            return True
        return False

    def _row(self, text: str) -> Said:
        row = _ROW.match(text)
        if row is None:
            return _RULE.match(text) is not None or no_row(text, "meminfo")
        values = [self._kib(value) for value in row[2].split()]
        if any(value is None for value in values) or len(values) > len(self.titles):
            return no_row(text, "meminfo")
        by = dict(zip(self.titles, values, strict=False))
        dirty, swapped = by.get("dirty"), by.get("swapped")
        counted = None if dirty is None else dirty + (swapped or 0)
        if row[1] == "TOTAL":
            self.in_table = False
            self.total |= {"counted": counted or 0}
            if by.get("resident") is not None:
                self.total["RSS"] = by["resident"] or 0
            return True
        resident = by.get("resident", by.get("pss"))
        self.rows.append(
            Category(row[1], None, resident, dirty, by.get("clean"), None, swapped, counted, None)
        )
        return True

    def _kib(self, text: str) -> int | None:
        value = read_number(text)
        return None if value is None or not 0 <= value <= MOST_KIB else round(value * KIB)

    def end(self) -> None:
        """Close the process that was being read."""
        if self.header is not None and (self.rows or self.total):
            resident = self.total.get("RSS", self.total.get("PSS"))
            self.found.append(
                make_snapshot(
                    "dumpsys", self.header, self.total.get("counted"), None, resident, self.rows,
                    self.source,
                )
            )  # fmt: skip
        self.header, self.rows, self.total, self.titles = None, [], {}, []
        self.in_table = False
