"""/proc/PID/smaps, smaps_rollup and status of Linux and Android: a process's memory by mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.reading import Format, Header, read_report
from listen2lab.device.formats.schema import Category, Snapshot, make_snapshot
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "read_linux_proc"]

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ [-rwxps]{4} [0-9a-f]+ \S+ \d+\s*(.*)$")
_FIELD = re.compile(r"([A-Za-z_]+):\s+(\d{1,15}) kB$")
_NAME = re.compile(r"(Name|Pid):\s+(.+)$")
_FLAGS = re.compile(r"(VmFlags|THPeligible|ProtectionKey|[A-Za-z_]+):\s")
_SMAPS = {
    "Size": "virtual", "Rss": "resident", "Private_Dirty": "dirty", "Private_Clean": "clean",
    "LazyFree": "reclaimable", "Swap": "swapped",
}  # fmt: skip
_STATUS = {"RssAnon": "anonymous", "RssFile": "files", "RssShmem": "shared memory"}


def read_linux_proc(content: Content, tally: Tally) -> list[Snapshot]:
    """Read what the kernel prints of a process: one snapshot a file, or a process.

    What is private, dirty or swapped is counted: the nearest pair of a footprint.
    """
    return read_report(content, tally, _Reader(tally.name))


FORMAT = Format(
    "linux-proc", read_linux_proc, marks=(b"\nPrivate_Dirty: ", b"\nVmRSS:", b"\nRssAnon:")
)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self._begin(Header())

    def _begin(self, header: Header) -> None:
        self.header = header
        self.mapping = ""
        self.sums: dict[str, dict[str, int]] = {}
        self.status: dict[str, int] = {}

    def feed(self, number: int, text: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        mapping = _MAPPING.match(text)
        if mapping is not None:
            self.mapping = mapping[1].rpartition("/")[2] or "anonymous"
            sums = self.sums.setdefault(self.mapping, dict.fromkeys(_SMAPS.values(), 0))
            sums["regions"] = sums.get("regions", 0) + 1
            return True
        field = _FIELD.match(text)
        if field is not None:
            size = int(field[2]) * KIB
            if self.mapping and field[1] in _SMAPS:
                self.sums[self.mapping][_SMAPS[field[1]]] += size
            elif not self.mapping:
                self.status[field[1]] = size
            return True
        name = _NAME.match(text)
        if name is not None:
            if name[1] == "Name":
                self.end()
                self._begin(Header(name[2], 0, number))
            elif name[2].isdigit():
                self.header.pid = int(name[2][:15])
            return True
        return _FLAGS.match(text) is not None

    def end(self) -> None:
        """Close the process that was being read."""
        if self.sums:
            rows = [
                Category(name, counted=sums["dirty"] + sums["swapped"], **sums)
                for name, sums in self.sums.items()
            ]
            resident = sum(row.resident or 0 for row in rows)
            self._add("smaps", resident, rows)
        elif "VmRSS" in self.status:
            swapped = self.status.get("VmSwap", 0)
            rows = [
                Category(name, resident=size, counted=size if name != "files" else 0)
                for field, name in _STATUS.items()
                if (size := self.status.get(field))
            ]
            rows += [Category("swapped", swapped=swapped, counted=swapped)] if swapped else []
            self._add("status", self.status["VmRSS"], rows)

    def _add(self, tool: str, resident: int, rows: list[Category]) -> None:
        self.header.platform = "Linux"
        self.found.append(
            make_snapshot(
                tool, self.header, None, None, resident, rows, self.source,
                quantity="private-dirty",
            )
        )  # fmt: skip
        self._begin(Header())
