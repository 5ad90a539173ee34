"""footprint, as text and as JSON: what the kill limit counts, by category."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.formats.numbers import MOST_BYTES, read_count, read_size
from listen2lab.device.formats.reading import (
    Format,
    Header,
    clean,
    loaded,
    no_row,
    no_size,
    report,
)
from listen2lab.device.formats.schema import Category, Series, Snapshot, make_snapshot

if TYPE_CHECKING:
    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "FORMAT_JSON", "read_footprint_json"]

_SIZE = r"[\d.,'\u2019\u00a0\u202f]*\d\s?(?:bytes|[KMGTP]i?B?|B)?"
_PROCESS = re.compile(
    rf"(.*?)\s*\[(\d+)\](?:\s*\([^)]*\))?:(?:\s*\d+-bit)?(?:\s*\([^)]*\))?\s+Footprint:\s+({_SIZE})"
)
_ROW = re.compile(rf"((?:{_SIZE}\s+)+?)(\d[\d,.]*)\s{{2,}}(\S.*)$")
_UNITS_ROW = re.compile(
    r"((?:\d[\d.,]*\s?(?:bytes|[KMGTP]i?B|B)\s+)+)(\d[\d,.]*)\s+([A-Za-z_\"(.].*)$"
)
"""The same where every size has its unit: blanks may have been lost, as on a web page."""
_USUAL = {
    3: ["Dirty", "Clean", "Reclaimable"],
    4: ["Dirty", "Swapped", "Clean", "Reclaimable"],
}
"""Columns of rows whose heading was left out, by the number of sizes."""
_AUXILIARY = re.compile(rf"(phys_footprint(?:_peak)?):\s+({_SIZE})\s*$")
_SIZES = re.compile(_SIZE)
_COLUMNS = ("Dirty", "Swapped", "Clean", "Reclaimable", "Wired")
_PLAIN = re.compile(r"=+$|[-\s]+$|Auxiliary data:|\w+: ")


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Snapshot] = []
        self.header: Header | None = None
        self.columns: list[str] = []
        self.rows: list[Category] = []
        self.auxiliary: dict[str, int] = {}
        self.in_table = False
        self.skipping = self.has_total = False

    def feed(self, number: int, text: str) -> Said:  # noqa: PLR0911 - a return for each kind of line
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if not text:
            return False
        begin = _PROCESS.match(text)
        if begin is not None:
            self.end()
            self.skipping = False
            self.header = Header(begin[1], int(begin[2][:15]), number)
            self.header.footprint = read_size(begin[3])
            self.columns, self.in_table = [], True  # the heading of the columns may be missing
            return True
        if self.skipping:  # all processes together: not another one
            self.skipping = not text.endswith(" TOTAL")
            return True
        if "Dirty" in text and "Category" in text:
            self.columns = [name for name in re.findall(r"\w+", text) if name in _COLUMNS]
            self.in_table = True
            self.header = self.header or Header(line=number)
            return True
        if text.startswith("Summary"):
            self.end()
            self.skipping = True
            return True
        known = _AUXILIARY.match(text)
        if known is not None:
            return self._auxiliary(known, number)
        return self._row(text) if self.in_table else False

    def _auxiliary(self, known: re.Match[str], number: int) -> Said:
        size = read_size(known[2])
        if size is None:
            return no_size(known[0])
        self.auxiliary[known[1]] = size
        self.header = self.header or Header(line=number)
        return True

    def _row(self, text: str) -> Said:
        row = _UNITS_ROW.match(text) or _ROW.match(text)
        if row is None:
            if _PLAIN.match(text):
                return True
            return no_row(text, "footprint") if text[0] in "-0123456789" else False
        sizes = [read_size(size) for size in _SIZES.findall(row[1])]
        regions = read_count(row[2])
        columns = self.columns or _USUAL.get(len(sizes), [])
        if len(sizes) != len(columns) or None in sizes or regions is None:
            return no_row(text, "footprint")
        if row[3] == "TOTAL":
            self.in_table, self.has_total = False, True
            return True
        by = {name.lower(): size for name, size in zip(columns, sizes, strict=True)}
        self.rows.append(_category(row[3], by, regions))
        return True

    def end(self) -> None:
        """Close the process that was being read."""
        head = self.header
        if head is not None and (self.rows or self.auxiliary or head.footprint):
            footprint = self.auxiliary.get("phys_footprint", head.footprint)
            peak = self.auxiliary.get("phys_footprint_peak")
            self.found.append(
                make_snapshot(
                    "footprint", head, footprint, peak, None, self.rows, self.source,
                    is_cut=bool(self.rows) and not self.has_total,
                )
            )  # fmt: skip
        self.header, self.rows, self.auxiliary, self.in_table = None, [], {}, False
        self.has_total = False


def _category(name: str, by: dict[str, int | None], regions: int) -> Category:
    """Return a category; footprint's Dirty holds what is swapped, too."""
    both, swapped = by.get("dirty"), by.get("swapped")
    dirty = both if swapped is None or both is None else max(both - swapped, 0)
    return Category(
        name,
        dirty=dirty,
        clean=by.get("clean"),
        reclaimable=by.get("reclaimable"),
        swapped=swapped,
        counted=both,
        regions=regions,
    )


FORMAT = report("footprint", _Reader, b" Footprint: ", b"phys_footprint: ", b"Reclaimable")


def read_footprint_json(content: Content, tally: Tally) -> list[Snapshot | Series]:
    """Read what ``footprint --json FILE`` wrote: all of its lines are understood, or none.

    Returns
    -------
    list of Snapshot or Series
        One snapshot a process; of several samples, those of the last one, and a series of each
        sample's first process.
    """
    try:
        data = json.loads("\n".join(line for _, line in content.texts()))
    except (ValueError, RecursionError) as error:
        tally.bad(getattr(error, "lineno", 0), "json-damaged")
        return []
    if not isinstance(data, dict):
        return []
    scale = _bytes(data.get("bytes per unit", 1), 1.0) or 1
    samples = data.get("samples")
    points = []
    if isinstance(samples, list) and samples:
        for sample in samples:
            one = _processes(sample, scale, tally.name)
            start = sample.get("start_time") if isinstance(sample, dict) else None
            time = start.get("wall_time_s") if isinstance(start, dict) else None
            if one and one[0].footprint is not None and time is not None and _is_number(time):
                points.append((float(time), float(one[0].footprint)))
        data = samples[-1]
    found: list[Snapshot | Series] = [*_processes(data, scale, tally.name)]
    if len(points) > 1:
        time, memory = np.array(points).T
        found.append(Series("phys_footprint", time - time[0], memory, tally.name, footprint=True))
    if found:
        tally.many_recognised += tally.lines
    return found


def _is_json(first: list[bytes]) -> bool:
    """Tell one object of footprint's from lines of objects."""
    if not first[0].lstrip().startswith(b"{") or (
        len(first) > 1 and isinstance(loaded(first[0]), dict)
    ):
        return False
    whole = b"".join(first)
    return any(mark in whole for mark in (b'"processes"', b'"bytes per unit"', b'"samples"'))


FORMAT_JSON = Format("footprint-json", read_footprint_json, begins=_is_json)


def _processes(data: Any, scale: float, source: str) -> list[Snapshot]:
    processes = data.get("processes") if isinstance(data, dict) else None
    out = []
    for one in processes if isinstance(processes, list) else []:
        if not isinstance(one, dict):
            continue
        raw, extra = one.get("categories"), one.get("auxiliary")
        categories = [
            _category(
                clean(str(name)),
                {
                    key: _bytes(values.get(key), scale)
                    for key in ("dirty", "swapped", "clean", "reclaimable")
                },
                int(_bytes(values.get("regions"), 1.0) or 0),
            )
            for name, values in (raw.items() if isinstance(raw, dict) else ())
            if isinstance(values, dict) and name != "total"
        ]
        extra = extra if isinstance(extra, dict) else {}
        footprint = _bytes(extra.get("phys_footprint", one.get("footprint")), scale)
        if footprint is None and not categories:
            continue
        pid = one.get("pid")
        head = Header(clean(str(one.get("name", ""))), pid if isinstance(pid, int) else 0, 1)
        peak = _bytes(extra.get("phys_footprint_peak"), scale)
        out.append(make_snapshot("footprint", head, footprint, peak, None, categories, source))
    return out


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < MOST_BYTES * MOST_BYTES and math.isfinite(value)


def _bytes(value: Any, scale: float) -> int | None:
    """Return bytes, or None for what is no size."""
    if not _is_number(value):
        return None
    size = float(value) * scale
    return round(size) if 0 <= size <= MOST_BYTES else None
