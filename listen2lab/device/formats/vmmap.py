"""vmmap and vmmap -summary: the regions of a process by type, and its malloc zones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.device.formats.numbers import read_count, read_size
from listen2lab.device.formats.reading import Header, no_row, report
from listen2lab.device.formats.schema import Category, Snapshot, Zone, make_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT"]

_SIZE = r"[\d.,'\u2019\u00a0\u202f]*\d(?:[BKMGTP](?:i?B)?)?"
_ROW = re.compile(rf"(\S.*?)\s{{1,}}((?:-?{_SIZE}%?\s+)+-?{_SIZE}%?)(?:\s{{2,}}\D.*)?\s*$")
_REGION = re.compile(
    r"(\S.*?)\s+(?:[0-9a-fA-F]{5,16}\s?-\s?[0-9a-fA-F]{5,16}|unmapped-unmapped)\s*\[\s*([^\]]*)\]\s*(\S{3}/\S{2,3})?(.*)"
)
_COLUMNS = ("VIRTUAL", "RESIDENT", "DIRTY", "SWAPPED", "VOLATILE", "NONVOL", "EMPTY")
_ZONE_COLUMNS = 9
_ZONE_VIRTUAL = 5
_RULE = re.compile(r"=[=\s]*$")
_ADDRESS = re.compile(r"_?0x[0-9a-f]+$")
_OWNED = re.compile(r"owned (?:unmapped|physical footprint)", re.IGNORECASE)
_PLAIN = re.compile(
    r"Virtual Memory Map of process|Output report format|VM page size|Sort order|====|SM=|COW"
    r"|SHM|PURGE|ZER|V=|ReadOnly portion|Writable regions|VM Region Summary"
)


class _Reader:
    """A state for each table; where the summary is missing, the regions are added up instead."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self.table = ""
        self.columns: list[str] = []
        self.above: list[str] = []
        self._begin(Header())

    def _begin(self, header: Header) -> None:
        self.header = header
        self.rows: list[tuple[str, dict[str, int | None], int]] = []
        self.regions: dict[str, list[int]] = {}
        self.zones: list[Zone] = []
        self.resident: int | None = None
        self.has_total = False
        self.table = ""

    def feed(self, number: int, text: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if self.table == "regions" and "[" in text and self._region(text):
            return True  # most lines of a whole vmmap are such
        if not text:
            self.table = "" if self.table == "regions" else self.table
            return False
        header = Header.begun(text, number)
        if header is not None:
            self.end()
            self._begin(header)
            return True
        known = self.header.feed(text)
        if known is not False:
            return known
        if text.startswith("REGION TYPE") and "START" in text:
            self.table = "regions"
        elif text.startswith(("REGION TYPE", "MALLOC ZONE")):
            self.table = "zones" if text.startswith("MALLOC") else "summary"
            self.columns = [name for name in self.above if name in _COLUMNS]
        elif text.startswith("VIRTUAL"):
            self.above = text.replace("%", " ").split()
        elif not _RULE.match(text) and not _PLAIN.match(text):
            return self._row(text)
        return True

    def _row(self, text: str) -> Said:
        if not self.table:
            return False
        rows = {"regions": self._region, "summary": self._summary, "zones": self._zone}
        good = rows[self.table](text)
        if good is None:
            self.table = ""
            return False
        return good or no_row(text, "vmmap")

    def _region(self, text: str) -> bool | None:
        found = _REGION.match(text)
        if found is None:
            return False if "[" in text else None
        sizes = [read_size(part) for part in found[2].split()]
        if not sizes or None in sizes:
            return False
        name = found[1].strip()
        if _OWNED.match(name) and "PURGE=V" in found[4]:
            name = f"{name} (purgeable)"
        sums = self.regions.setdefault(name, [0, 0, 0, 0, 0])
        for k, size in enumerate(sizes[:4]):
            sums[k] += size or 0
        sums[4] += 1
        return True

    def _summary(self, text: str) -> bool | None:
        found = _ROW.match(text)
        if found is None:
            return False
        values = found[2].split()
        columns = self.columns or ["VIRTUAL"]
        if len(values) < len(columns):
            return False
        # A name may end in a number ("Memory Tag 255"): the columns are the last ones.
        extra = len(values) - len(columns) - 1
        name = " ".join([found[1], *values[: max(extra, 0)]])
        values = values[max(extra, 0) :]
        sizes = [read_size(value) for value in values[: len(columns)]]
        count = read_count(values[len(columns)]) if len(values) > len(columns) else 0
        if None in sizes or count is None:
            return False
        by = dict(zip(columns, sizes, strict=True))
        if name.startswith("TOTAL"):
            if "minus" not in name:
                self.resident, self.has_total = by.get("RESIDENT"), True
            return True
        self.rows.append((name, by, count))
        return True

    def _zone(self, text: str) -> bool | None:
        found = _ROW.match(text)
        if found is None:
            return False
        values = found[2].split()
        if len(values) < _ZONE_COLUMNS:
            return len(values) >= _ZONE_VIRTUAL  # address space only
        name = " ".join([found[1], *values[:-_ZONE_COLUMNS]])
        values = values[-_ZONE_COLUMNS:]
        sizes = [read_size(value) for value in (values[2], values[3], values[5])]
        blocks = read_count(values[4])
        if None in sizes or blocks is None:
            return False
        if name != "TOTAL":
            dirty, swapped, allocated = (size or 0 for size in sizes)
            zone = Zone(_ADDRESS.sub("", name), allocated, dirty + swapped, blocks)
            self.zones.append(zone)
        return True

    def end(self) -> None:
        """Close the process that was being read."""
        if not self.rows and not self.regions:
            return
        rows = self.rows or [
            (name, dict(zip(_COLUMNS[:4], sums[:4], strict=True)), sums[4])
            for name, sums in self.regions.items()
        ]
        head, notes = self.header, []
        categories = self._as_heading(rows)
        swapped = sum(c.swapped or 0 for c in categories)
        is_virtual = all(c.resident is None for c in categories)
        if is_virtual:
            notes.append(Notice("address-space-only"))
        elif self.resident is not None and head.footprint is not None:
            beyond = head.footprint - self.resident - swapped
            if beyond > _BEYOND * head.footprint:
                notes.append(Notice("in-no-region", {"size": beyond}))
        is_cut = not self.has_total and not is_virtual
        if not self.rows:
            counted = sum(c.counted or 0 for c in categories)
            is_cut = head.footprint is None or counted < (1 - _BEYOND) * head.footprint
            if is_cut:
                notes.append(Notice("regions-only", {"regions": sum(row[2] for row in rows)}))
            else:
                self.resident = sum(c.resident or 0 for c in categories)
        self.found.append(
            make_snapshot(
                "vmmap", head, head.footprint, head.peak, self.resident, categories, self.source,
                zones=self.zones, notes=notes, is_cut=is_cut,
            )
        )  # fmt: skip

    def _as_heading(self, rows: list[tuple[str, dict[str, int | None], int]]) -> list[Category]:
        """Return categories, read so that their sum meets the footprint in the heading.

        What the system holds for the process (graphics) is counted whole in some reports, and is
        reclaimable but for its dirty pages in others, with the same rows.
        """
        readings = [[_category(*row, whole=whole) for row in rows] for whole in (True, False)]
        heading = self.header.footprint
        if heading is None or not self.rows:
            return readings[0]
        sums = [sum(c.counted or 0 for c in each) for each in readings]
        return min(zip(readings, sums, strict=True), key=lambda each: abs(each[1] - heading))[0]


_BEYOND = 0.05
"""A footprint this share above all that is resident or swapped holds something else."""


def _category(
    name: str, by: dict[str, int | None], regions: int, *, whole: bool = True
) -> Category:
    """Return a category from vmmap's columns; see `_Reader._as_heading` for `whole`."""
    resident, dirty, swapped = by.get("RESIDENT"), by.get("DIRTY"), by.get("SWAPPED")
    reclaimable = by.get("VOLATILE")
    clean = counted = None
    if resident is not None and dirty is not None:
        rest = max(resident - dirty - (reclaimable or 0), 0)
        counted = dirty + (swapped or 0)
        if _OWNED.match(name):
            whole = whole and not name.endswith("(purgeable)")
            counted = resident + (swapped or 0) if whole else counted
            reclaimable, clean = (reclaimable or 0) + (0 if whole else rest), 0
        elif name.upper().startswith("MALLOC"):
            # malloc's pages come from no file: those not dirty are freed, and marked reusable.
            reclaimable, clean = (reclaimable or 0) + rest, 0
        elif by.get("NONVOL"):
            clean = max(rest - (swapped or 0), 0)  # resident holds what is compressed, here
        else:
            clean = rest
    return Category(
        name, by.get("VIRTUAL"), resident, dirty, clean, reclaimable, swapped, counted, regions
    )


FORMAT = report("vmmap", _Reader, b"REGION TYPE ")
