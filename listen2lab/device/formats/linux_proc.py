"""A process's memory by mapping on Linux and Android: smaps, its rollup, status, pmap, showmap."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.reading import Header, report
from listen2lab.device.formats.schema import Category, Snapshot, make_snapshot
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT"]

_MAPPING = re.compile(r"([0-9a-f]+)-[0-9a-f]+ [-rwxps]{4} [0-9a-f]+ \S+ \d+\s*(.*)$")
_FIELD = re.compile(r"([A-Za-z_]+):\s+(\d{1,15}) kB$")
_NAME = re.compile(r"(Name|Pid):\s+(.+)$")
_FLAGS = re.compile(r"(VmFlags|THPeligible|ProtectionKey|[A-Za-z_]+):\s|[-\s]+$|total kB|Address ")
_PMAP = re.compile(r"[0-9a-f]{8,16}\s+(\d{1,15})\s+(\d{1,15})\s+(\d{1,15})\s+[-rwxsp]{5}\s+(.*)$")
_PMAP_OF = re.compile(r"(\d{1,9}):\s+(\S+)")
_SHOWMAP = re.compile(r"((?:\d{1,15}\s+){7,12})([A-Za-z/\[<].*)$")
_SHOWMAP_TITLES = re.compile(r"(?:virtual\s|size\s+RSS\s)")
_COLUMNS = ("virtual", "resident", "dirty", "clean", "reclaimable", "swapped")
_SMAPS = {
    "Size": "virtual", "Rss": "resident", "Private_Dirty": "dirty", "Private_Clean": "clean",
    "LazyFree": "reclaimable", "Swap": "swapped",
}  # fmt: skip
_STATUS = {"RssAnon": "anonymous", "RssFile": "files", "RssShmem": "shared memory"}
_ANDROID = re.compile(r"dalvik|\.(?:oat|odex|vdex|apk)\b|scudo|/system/")


class _Reader:
    """One snapshot each time that a process begins again.

    What is private, dirty or swapped is counted: the nearest pair of a footprint. pmap does not
    say what is private: all that is dirty is counted.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self._begin(Header())

    def _begin(self, header: Header) -> None:
        self.header = header
        self.tool, self.mapping, self.at = "smaps", "", 0
        self.sums: dict[str, dict[str, int]] = {}
        self.status: dict[str, int] = {}
        self.is_android = False

    def feed(self, number: int, text: str) -> Said:  # noqa: PLR0911 - one for each kind of line
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        self.header.line = self.header.line or number
        mapping = _MAPPING.match(text)
        if mapping is not None:
            at = int(mapping[1], 16)
            if self.sums and at <= self.at:  # addresses rise: this is another look
                self.end()
            self.at = at
            self._map(mapping[2])
            return True
        field = _FIELD.match(text)
        if field is not None:
            self._field(field[1], int(field[2]) * KIB)
            return True
        row = _PMAP.match(text)
        if row is not None:
            name = row[4].replace("[ ", "[").replace(" ]", "]")
            self._row("pmap", name, [int(row[1]), int(row[2]), int(row[3])])
            return True
        row = _SHOWMAP.match(text)
        if row is not None and row[2] != "TOTAL":
            size, resident, _, _, _, clean, dirty, *more = map(int, row[1].split())
            swapped = more[0] if len(more) > 1 else 0
            self._row("showmap", row[2], [size, resident, dirty, clean, 0, swapped])
            return True
        head = _NAME.match(text) or _PMAP_OF.match(text)
        if head is not None:
            if head[1] == "Pid":
                self.header.pid = int(head[2][:15]) if head[2].isdecimal() else 0
                return True
            self.end()
            self._begin(Header(head[2], 0 if head[1] == "Name" else int(head[1]), number))
            return True
        if _SHOWMAP_TITLES.match(text) and self.sums and not text.startswith("size"):
            self.end()
        return row is not None or bool(_FLAGS.match(text) or _SHOWMAP_TITLES.match(text))

    def _map(self, name: str) -> dict[str, int]:
        """Begin a mapping; return the sums of its name."""
        self.is_android = self.is_android or _ANDROID.search(name) is not None
        self.mapping = name.rpartition("/")[2] or "anonymous"
        sums = self.sums.setdefault(self.mapping, dict.fromkeys((*_COLUMNS, "regions"), 0))
        sums["regions"] += 1
        return sums

    def _row(self, tool: str, name: str, sizes: list[int]) -> None:
        self.tool = tool
        sums = self._map(name)
        for column, size in zip(_COLUMNS, sizes, strict=False):
            sums[column] += size * KIB

    def _field(self, name: str, size: int) -> None:
        if not self.mapping:
            if name in self.status:
                self.end()
            self.status[name] = size
        elif name in _SMAPS:
            self.sums[self.mapping][_SMAPS[name]] += size
        elif name == "Anonymous" and self.mapping == "[rollup]":
            self.status["RssAnon"] = size

    def end(self) -> None:
        """Close the process that was being read."""
        if self.mapping == "[rollup]":
            self._add_rollup(self.sums["[rollup]"], self.status.get("RssAnon", 0))
        elif self.sums:
            rows = [
                Category(name, counted=sums["dirty"] + sums["swapped"], **sums)
                for name, sums in self.sums.items()
            ]
            self._add(self.tool, sum(row.resident or 0 for row in rows), rows)
        elif "VmRSS" in self.status:
            swapped = self.status.get("VmSwap", 0)
            rows = [
                Category(name, resident=size, counted=size if name != "files" else 0)
                for field, name in _STATUS.items()
                if (size := self.status.get(field))
            ]
            rows += [Category("swapped", swapped=swapped, counted=swapped)] if swapped else []
            rows = rows or [Category("resident", resident=self.status["VmRSS"])]
            self._add("status", self.status["VmRSS"], rows)

    def _add_rollup(self, sums: dict[str, int], anonymous: int) -> None:
        """Add the sums of all mappings: by what they are, for nothing says of which they are."""
        dirty, swapped = sums["dirty"], sums["swapped"]
        own = min(anonymous, dirty)
        rows = [
            Category("anonymous", resident=anonymous, dirty=own, counted=own),
            Category(
                "files", resident=max(sums["resident"] - anonymous, 0), dirty=dirty - own,
                clean=sums["clean"], counted=dirty - own,
            ),
        ]  # fmt: skip
        rows += [Category("swapped", swapped=swapped, counted=swapped)] if swapped else []
        self._add("smaps_rollup", sums["resident"], rows)

    def _add(self, tool: str, resident: int, rows: list[Category]) -> None:
        self.header.platform = "Android" if self.is_android or tool == "showmap" else "Linux"
        self.found.append(
            make_snapshot(
                tool, self.header, None, None, resident, rows, self.source,
                quantity="private-dirty",
            )
        )  # fmt: skip
        self._begin(Header(self.header.process, self.header.pid))


FORMAT = report(
    "linux-proc",
    _Reader,
    b"Private_Dirty: ",
    b"VmRSS:",
    b"RssAnon:",
    b"Kbytes     RSS   Dirty Mode",
    b"shared   shared  private  private",
)
