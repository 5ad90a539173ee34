"""dumpsys meminfo of Android: a process's memory by kind of mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.numbers import read_number
from listen2lab.device.formats.reading import Header, no_row, report
from listen2lab.device.formats.schema import Category, Snapshot, make_snapshot
from listen2lab.notice import Notice
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT"]

_PROCESS = re.compile(r"\*\* MEMINFO in pid (\d+) \[(.*?)\](?: \*\*)?")
_ROW = re.compile(r"([A-Za-z.?][\w.?/ ()-]*?)\s+((?:-?[\d,]+\s+)*-?[\d,]+)$")
_TOTALS = re.compile(r"TOTAL (PSS|RSS|SWAP PSS|SWAP \(KB\)):\s+(-?[\d,]+)")
_RULE = re.compile(r"[-\s]+$")
_BEFORE = re.compile(r"Applications Memory Usage|------")
_UPTIME = re.compile(r"Uptime: (\d{1,15})")
_SUMMARY = re.compile(
    r"(Java Heap|Native Heap|Code|Stack|Graphics|Private Other|System|Unknown):((?:\s+[\d,]+)*)$"
)
_OBJECT = re.compile(r"([A-Za-z][\w ]*):\s+(\d{1,12})")
_OF_DEVICE = re.compile(r"([\d,]+)\s?[kK]B?: (\S+) \(pid (\d+)[^)]*\)")
_CHECKIN = re.compile(r"[34],\d{1,9},[\w.:-]+,\d+,")
"""What --checkin prints of a process: version, id, name, then sums in fours (native, Java, other,
all): size, allocated, free, PSS, swappable, shared dirty and clean, private dirty and clean,
swapped. Other areas follow, and are in "other"."""
_OLD = re.compile(r"\(?(size|allocated|free|Pss|shared dirty|priv dirty)\)?:\s+(\d[\d\sN/A]*)$")
"""A row of the table of Android 2 and 3, whose columns are native, dalvik, other and total."""
_PARTS = ("Native Heap", "Dalvik Heap", "Other")
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
_SECTIONS = {"App Summary": "summary", "Objects": "objects", "SQL": "other", "DATABASES": "other"}
MOST_KIB = 2**40
"""More is a damaged number."""


def _is_checkin(first: list[bytes]) -> bool:
    return any(_CHECKIN.match(line.decode("utf-8", "replace")) for line in first)


class _Reader:
    """Numbers are KiB; details below the table repeat what is in it, and are left out."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self.header: Header | None = None
        self.titles: list[str] = []
        self.above: list[str] = []
        self.uptime: float | None = None
        self._begin(None)
        self.of_device = False

    def _begin(self, header: Header | None) -> None:
        self.header = header
        self.rows: list[Category] = []
        self.summary: list[Category] = []
        self.objects: list[tuple[str, int]] = []
        self.total: dict[str, int] = {}
        self.old: dict[str, list[int | None]] = {}
        self.free = 0
        self.section = ""

    def feed(self, number: int, text: str) -> Said:  # noqa: PLR0911 - one for each kind of line
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        begin = _PROCESS.search(text)
        if begin is not None:
            self.end()
            self._begin(Header(begin[2], int(begin[1][:15]), number))
            return True
        if _CHECKIN.match(text):
            return self._checkin(number, text.split(","))
        if self._between(text):
            return True
        if self.of_device and self.header is None:
            return self._of_device(number, text)
        if self.header is None or not text:
            return False
        if text in _SECTIONS:
            self.section = _SECTIONS[text]
            return True
        if self._heading(text.split()):
            return True
        return self._row(text) if self.section == "table" else self._below(text)

    def _between(self, text: str) -> bool:
        """Read a line that stands between two processes' reports."""
        uptime = _UPTIME.match(text)
        of_device = text.startswith("Total PSS by ")
        if uptime is not None or of_device:
            self.end()
            self._begin(None)
        if uptime is not None:
            self.uptime = int(uptime[1]) / 1000
        if of_device:
            self.of_device = text.startswith("Total PSS by process")
        return uptime is not None or of_device or _BEFORE.match(text) is not None

    def _checkin(self, number: int, cells: list[str]) -> Said:
        """Read a process's line of ``--checkin``."""
        self.end()
        sums = [[self._kib(cell) for cell in cells[k : k + 4]] for k in range(3, 43, 4)]
        if len(sums[-1]) < 4 or sums[7][3] is None:
            return no_row(",".join(cells), "meminfo")
        self._begin(Header(cells[2], int(cells[1]), number))
        names = ("size", "allocated", "free", "Pss", "", "", "", "priv dirty", "clean", "swapped")
        self.old = dict(zip(names, sums, strict=True))
        self.end()
        return True

    def _rows_of_old(self) -> None:
        """Make categories of sums that stand by kind: native, Java's, other, all."""
        none: list[int | None] = [None] * 4
        kinds = ("Pss", "priv dirty", "clean", "swapped")
        columns = [self.old.get(name, none) for name in kinds]
        for k, name in enumerate(_PARTS):
            pss, dirty, clean, swapped = (values[k] for values in columns)
            counted = None if dirty is None else dirty + (swapped or 0)
            self.rows.append(Category(name, None, pss, dirty, clean, None, swapped, counted))
        if columns[1][3] is not None:
            self.total["counted"] = columns[1][3] + (columns[3][3] or 0)
        self.free = self.old.get("free", none)[0] or 0

    def _of_device(self, number: int, text: str) -> Said:
        """Read a process of ``dumpsys meminfo`` without one's name."""
        found = _OF_DEVICE.match(text)
        if found is None:
            self.of_device = bool(not text)
            return False
        size = self._kib(found[1])
        head = Header(found[2], int(found[3][:15]), number)
        head.platform = "Android"
        self.found.append(
            make_snapshot(
                "dumpsys", head, size, None, None, (), self.source, quantity="pss",
                uptime=self.uptime,
            )
        )  # fmt: skip
        return True

    def _below(self, text: str) -> Said:
        """Read a line below the table."""
        totals = _TOTALS.findall(text)
        for name, value in totals:
            size = self._kib(value)
            if size is not None:
                self.total.setdefault(name, size)
        if totals:
            return True
        old = _OLD.match(text)
        if old is not None:
            values = [self._kib(value) for value in old[2].split()]
            self.old[old[1]] = [*values, *[None] * 4][:4]
            return True
        row = _SUMMARY.match(text)
        if row is not None:
            sizes = [self._kib(value) for value in row[2].split()]
            both = sizes if len(sizes) == 2 else [*sizes[:1], None]
            if sizes and row[1] != "Unknown":
                self.summary.append(Category(row[1], resident=both[1], counted=both[0]))
            return True
        objects = _OBJECT.findall(text) if self.section == "objects" else []
        self.objects += [(name.strip(), int(value)) for name, value in objects]
        return bool(objects)

    def _heading(self, words: list[str]) -> bool:
        """Read one of the two lines of titles."""
        if set(words) <= _HEADINGS:
            self.above = words
            return True
        if words == ["native", "dalvik", "other", "total"]:
            return True
        above = self.above
        if above and words[0] == "Pss":  # of Android 4.3 and before: nothing stands above it
            above, words = ["Pss", *above], ["Total", *words[1:]]
        if above and len(words) == len(above) and "Dirty" in words:
            pairs = zip(above, words, strict=True)
            self.titles = [_TITLES.get(pair, "") for pair in pairs]
            self.above, self.section = [], "table"
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
            self.section = ""
            self.total |= {"counted": counted or 0}
            if by.get("resident") is not None:
                self.total["RSS"] = by["resident"] or 0
            return True
        if row[1] in {"Native Heap", "Native"}:
            self.free = by.get("heap_free") or 0
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
        head, total = self.header, self.total
        if self.old:
            self._rows_of_old()
        if head is None or not (self.rows or self.summary or total):
            return
        head.platform = "Android"
        rows, counted, quantity = self.rows, total.get("counted"), "private-dirty"
        if not rows:
            rows, counted, quantity = self.summary, total.get("PSS"), "pss"
        notes = []
        if self.free > _WORTH_FREE:
            notes.append(Notice("heap-free", {"size": self.free}))
        if quantity == "pss" and total.get("SWAP PSS") is not None:
            notes.append(Notice("swap", {"size": total["SWAP PSS"]}))
        self.found.append(
            make_snapshot(
                "dumpsys", head, counted, None, total.get("RSS", total.get("PSS")), rows,
                self.source, quantity=quantity, objects=tuple(self.objects), notes=notes,
                is_cut=counted is None, uptime=self.uptime,
            )
        )  # fmt: skip
        self._begin(None)


_WORTH_FREE = 4 * MIB
"""Less free memory in its heaps is what any app keeps."""


FORMAT = report(
    "dumpsys", _Reader, b"** MEMINFO in pid ", b"Total PSS by process:", begins=_is_checkin
)
