"""The one schema for what the tools print of a process's memory, and for memory over time.

Every tool names its categories and columns differently. Here each category has the same columns,
in bytes; None where the tool does not say:

=============  ==================================================================================
column         what it is
=============  ==================================================================================
`virtual`      address space; much of it never touched. Costs nothing by itself.
`resident`     in RAM now: dirty, clean and reclaimable together.
`dirty`        written to, and in RAM: nobody else can bring it back.
`swapped`      written to, then compressed or swapped out. Not resident, and still counted.
`clean`        in RAM, and the same as in a file: the system may drop it at any time.
`reclaimable`  given up by its owner (purgeable, or freed and marked reusable), not yet taken.
`counted`      what the kill limit counts of it: ``dirty + swapped``, and memory that the system
               owns for the process (graphics), which is counted whether dirty or not.
=============  ==================================================================================

`footprint` prints dirty and swapped as one number unless asked for ``--swapped``: then `dirty`
holds both, and `swapped` is None. Android has no footprint; there `dirty` is private dirty and
`swapped` is what went to zram, and `counted` is their sum, as the nearest pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from listen2lab.device.formats.owners import FREED, OWNERS, REST, owner_of
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.device.formats.reading import Header

__all__ = [
    "COLUMNS", "Category", "Change", "Series", "Snapshot", "Zone", "difference", "make_snapshot",
    "minus",
]  # fmt: skip

COLUMNS = ("virtual", "resident", "dirty", "clean", "reclaimable", "swapped", "counted")
"""Columns that are bytes."""


class Category(msgspec.Struct, frozen=True):
    """One category of a snapshot, or the sum of an owner's; see the module for its columns."""

    name: str
    virtual: int | None = None
    resident: int | None = None
    dirty: int | None = None
    clean: int | None = None
    reclaimable: int | None = None
    swapped: int | None = None
    counted: int | None = None
    regions: int | None = None

    @property
    def owner(self) -> str:
        """Whose it is."""
        return owner_of(self.name)


class Zone(msgspec.Struct, frozen=True):
    """A malloc zone: what is allocated in it, and what it holds.

    Attributes
    ----------
    name
        As printed, without its address.
    allocated
        Bytes of live blocks.
    held
        Dirty and swapped bytes of its regions.
    blocks
        Live blocks.
    """

    name: str
    allocated: int
    held: int
    blocks: int


class Snapshot(msgspec.Struct, frozen=True):
    """A process's memory at one moment; see `make_snapshot`.

    Attributes
    ----------
    tool
        ``vmmap``, ``footprint`` or ``dumpsys``.
    process, pid
        As printed; empty and 0 where not.
    footprint, peak
        The physical footprint (on Android: private dirty and swapped) and its highest value so
        far, in bytes; None where not printed.
    resident
        Resident bytes of the whole process.
    counted
        What the kill limit counts: the footprint, or else the categories' sum.
    quantity
        What `footprint` is: ``footprint``, ``private-dirty`` or ``pss`` (Android's).
    categories, zones
        In the order printed.
    objects
        Android's counts of what lives: Activities, Views, ...
    notes
        What is worth telling: see `listen2lab.report.text.device_reports`.
    is_cut
        Whether a part of the report is missing, so that sums are "at least".
    platform
        As printed: ``macOS``, ``iOS``, ``iOS Simulator``, ``Android``; empty where not.
    uptime
        Of the device, in seconds.
    owners
        The categories' sums by owner, in the order of `OWNERS`; owners of nothing are left out.
        `REST` is what the footprint holds beyond all categories.
    when
        Date and time as printed.
    source, line
        The file, and where in it the snapshot begins.
    """

    tool: str
    process: str
    pid: int
    footprint: int | None
    peak: int | None
    resident: int | None
    counted: int | None
    categories: tuple[Category, ...]
    zones: tuple[Zone, ...]
    owners: tuple[Category, ...]
    when: str
    source: str
    line: int
    quantity: str = "footprint"
    objects: tuple[tuple[str, int], ...] = ()
    notes: tuple[Notice, ...] = ()
    is_cut: bool = False
    platform: str = ""
    uptime: float | None = None

    @property
    def swapped(self) -> int | None:
        """Compressed or swapped bytes, where the tool says."""
        return _sum(self.categories, "swapped")

    def owner(self, name: str) -> Category | None:
        """Return the sums of an owner, or None where it has nothing."""
        return next((o for o in self.owners if o.name == name), None)


def make_snapshot(  # noqa: PLR0917 - a record's fields
    tool: str,
    head: Header,
    footprint: int | None,
    peak: int | None,
    resident: int | None,
    categories: Iterable[Category],
    source: str,
    **more: Any,
) -> Snapshot:
    """Return a snapshot of what a tool printed, with what follows from its categories.

    Parameters
    ----------
    tool, footprint, peak, resident, categories, source, more
        See `Snapshot`.
    head
        Whose memory it is, when, and in which line the report begins.
    """
    some = tuple(categories)
    owners = [
        _added(owner, mine) for owner in OWNERS if (mine := [c for c in some if c.owner == owner])
    ]
    known = _sum(some, "counted")
    counted = known if footprint is None else footprint
    if footprint is not None and known is not None and footprint - known > 0.01 * footprint:
        owners.append(Category(REST, counted=footprint - known))
    notes = list(more.pop("notes", ()))
    zones = tuple(more.pop("zones", ()))
    recorder = sum(o.counted or 0 for o in owners if o.name == "measuring tools")
    freed = sum(o.counted or 0 for o in owners if o.name == FREED)
    fragments = sum(max(zone.held - zone.allocated, 0) for zone in zones)
    whole = counted or 0
    if recorder:
        notes.append(Notice("recorder", {"size": recorder, "without": whole - recorder}))
    if freed > _WORTH * whole:
        notes.append(Notice("freed-and-kept", {"size": freed, "share": freed / max(whole, 1)}))
    if fragments > _WORTH * whole:
        notes.append(Notice("fragments", {"size": fragments}))
    if known is not None and footprint is not None and known - footprint > _WORTH * footprint:
        notes.append(Notice("sum-over-heading", {"sum": known, "heading": footprint}))
    return Snapshot(
        tool, head.process, head.pid, footprint, peak, resident, counted, some, zones,
        tuple(owners), head.when, source, head.line, notes=tuple(notes), platform=head.platform,
        **more,
    )  # fmt: skip


_WORTH = 0.05
"""Less than this share of the footprint is not worth a sentence."""


class Change(msgspec.Struct, frozen=True):
    """What one snapshot holds more than another; negative where it holds less.

    Attributes
    ----------
    before, after
        The files.
    counted, resident
        Of the whole process, in bytes; None where unknown.
    owners, categories
        One that only one of the snapshots has counts as nothing in the other.
    objects
        Android's counts that changed: name, before, after.
    seconds
        Between both, by the device's uptime.
    is_cut
        Whether a part of one of the reports is missing.
    """

    before: str
    after: str
    counted: int | None
    resident: int | None
    owners: tuple[Category, ...]
    categories: tuple[Category, ...]
    objects: tuple[tuple[str, int, int], ...] = ()
    seconds: float | None = None
    is_cut: bool = False


def difference(before: Snapshot, after: Snapshot) -> Change:
    """Subtract two snapshots of one process.

    Parameters
    ----------
    before, after
        From the same tool.

    Returns
    -------
    Change
        After less before.
    """
    first = dict(before.objects)
    return Change(
        before.source,
        after.source,
        minus(after.counted, before.counted),
        minus(after.resident, before.resident),
        _subtracted(before.owners, after.owners),
        _subtracted(before.categories, after.categories),
        tuple(
            (name, first[name], last)
            for name, last in after.objects
            if first.get(name, last) != last
        ),
        None if before.uptime is None or after.uptime is None else after.uptime - before.uptime,
        before.is_cut or after.is_cut,
    )


def _subtracted(before: Iterable[Category], after: Iterable[Category]) -> tuple[Category, ...]:
    """Subtract categories by name; those of one name are added up first."""
    sides: list[dict[str, list[Category]]] = [{}, {}]
    for side, categories in zip(sides, (before, after), strict=True):
        for each in categories:
            side.setdefault(each.name, []).append(each)
    nothing = dict.fromkeys(COLUMNS, 0)
    out = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (
            _added(name, side[name]) if name in side else Category(name, **nothing)
            for side in sides
        )
        out.append(Category(name, **{c: minus(getattr(b, c), getattr(a, c)) for c in COLUMNS}))
    return tuple(out)


def _added(name: str, categories: Iterable[Category]) -> Category:
    some = tuple(categories)
    return Category(name, **{column: _sum(some, column) for column in (*COLUMNS, "regions")})


def _sum(categories: Iterable[Category], column: str) -> int | None:
    known = [v for c in categories if (v := getattr(c, column)) is not None]
    return sum(known) if known else None


def minus(a: int | None, b: int | None) -> int | None:
    """Return a difference; None where a side is not known."""
    return None if a is None or b is None else a - b


class Series(msgspec.Struct, frozen=True, eq=False):
    """Memory over time.

    Attributes
    ----------
    quantity
        The column's name.
    footprint
        Whether it is what a kill limit counts (a footprint or private dirty memory).
    time
        Seconds from the first sample: an array.
    memory
        Bytes: an array.
    source
        The file.
    process
        Whose memory it is, where the file holds several.
    timed
        Whether the file says when; else `time` counts the samples.
    """

    quantity: str
    time: Any
    memory: Any
    source: str
    footprint: bool
    process: str = ""
    timed: bool = True

    @property
    def is_even(self) -> bool:
        """Whether the samples stand about equally far from each other."""
        gaps = np.diff(self.time)
        if len(gaps) < 2 or not (gaps > 0).any():
            return True
        low, high = np.quantile(gaps, [0.05, 0.95])
        return bool(high <= 2.0 * max(low, 1e-9))
