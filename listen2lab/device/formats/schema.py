"""The one schema for what the tools print of a process's memory.

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

import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "COLUMNS",
    "LAB_OWNERS",
    "OWNERS",
    "Category",
    "Snapshot",
    "Zone",
    "difference",
    "owner_of",
]

COLUMNS = ("virtual", "resident", "dirty", "clean", "reclaimable", "swapped", "counted")
"""Columns that are bytes."""

_RULES = (
    ("graphics and UI", (r"graphics|iosurface|ioaccelerator|\bcg |^core(animation|ui|image)"
      r"|coregraphics|colorsync|image ?io|gfx|egl|\bgl mtrack|metal|layer|__glslbuiltins|^view")),
    ("stacks", r"^stack|\bstack( guard)?$|thread"),
    ("heap, large blocks", r"malloc[_ ](large|huge)"),
    ("heap, small blocks", r"malloc|native heap"),
    ("VM allocate", r"vm_allocate|memory tag|app-specific tag|untagged"),
    ("code", r"^__|dyld|shlib|\.(so|jar|apk|ttf|dex|oat|art|vdex) mmap|^code$"),
    ("mapped files", r"mapped file|mmap|ashmem"),
)  # fmt: skip

OWNERS = (*(name for name, _ in _RULES[2:5]), "mapped files", "graphics and UI", "stacks", "code",
          "frameworks and others")  # fmt: skip
"""Owners, in the order in which they are shown."""

LAB_OWNERS = (*OWNERS[:4], "stacks")
"""Owners whose memory the lab's pipeline has too: its engine, models, audio and alignments."""

_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)


def owner_of(category: str) -> str:
    """Return the owner of a category, by its name.

    Parameters
    ----------
    category
        As a tool prints it: ``MALLOC_LARGE (empty)``, ``__DATA_CONST``, ``EGL mtrack``.

    Returns
    -------
    str
        One of `OWNERS`; what no rule knows is ``frameworks and others``.
    """
    for name, pattern in _PATTERNS:
        if pattern.search(category):
            return name
    return OWNERS[-1]


@dataclass(frozen=True)
class Category:
    """One category of a snapshot; see the module for its columns."""

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


@dataclass(frozen=True)
class Zone:
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
    allocated: int | None
    held: int | None
    blocks: int | None


@dataclass(frozen=True)
class Snapshot:
    """A process's memory at one moment.

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
    categories, zones
        In the order printed.
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
    categories: tuple[Category, ...]
    zones: tuple[Zone, ...] = ()
    when: str = ""
    source: str = ""
    line: int = 0

    @property
    def counted(self) -> int | None:
        """What the kill limit counts: the footprint, or else the categories' sum."""
        return self.footprint if self.footprint is not None else _sum(self.categories, "counted")

    @property
    def swapped(self) -> int | None:
        """Compressed or swapped bytes, where the tool says."""
        return _sum(self.categories, "swapped")

    def by_owner(self) -> dict[str, dict[str, int | None]]:
        """Return the columns' sums by owner, in the order of `OWNERS`; owners of nothing left out.

        What the footprint holds beyond all categories stands as ``not in any category``.
        """
        out: dict[str, dict[str, int | None]] = {}
        for owner in OWNERS:
            mine = [c for c in self.categories if c.owner == owner]
            if mine:
                out[owner] = {column: _sum(mine, column) for column in COLUMNS}
        known = _sum(self.categories, "counted")
        if self.footprint is not None and known is not None and self.footprint > known:
            rest = dict.fromkeys(COLUMNS, None) | {"counted": self.footprint - known}
            if self.footprint - known > 0.01 * self.footprint:
                out["not in any category"] = rest
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; bytes."""
        out = asdict(self)
        out["categories"] = [{**asdict(c), "owner": c.owner} for c in self.categories]
        out["zones"] = [asdict(z) for z in self.zones]
        return {**out, "counted": self.counted, "owners": self.by_owner()}


def difference(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Subtract two snapshots.

    Parameters
    ----------
    before, after
        Of the same process; from the same tool, or only `counted` can be compared.

    Returns
    -------
    dict
        ``counted`` and ``resident`` (after less before, bytes, None where unknown), ``owners`` and
        ``categories``: name to column to difference. A category that only one of them has counts
        as nothing in the other. ``same_tool`` and ``same_process`` say how far to trust it.
    """
    same = before.tool == after.tool
    columns = COLUMNS if same else ("counted",)
    sides = [{c.name: c for c in _merged(s.categories)} for s in (before, after)]
    categories = {
        name: {
            column: _minus(*(getattr(side.get(name), column, 0) for side in reversed(sides)))
            for column in columns
        }
        for name in dict.fromkeys([*sides[0], *sides[1]])
    }  # fmt: skip
    owners = [s.by_owner() for s in (before, after)]
    nothing = dict.fromkeys(COLUMNS, 0)
    return {
        "same_tool": same,
        "same_process": before.process == after.process,
        "counted": _minus(after.counted, before.counted),
        "resident": _minus(after.resident, before.resident) if same else None,
        "owners": {
            owner: {
                column: _minus(
                    owners[1].get(owner, nothing)[column], owners[0].get(owner, nothing)[column]
                )
                for column in columns
            }
            for owner in dict.fromkeys([*owners[0], *owners[1]])
        },
        "categories": categories if same else {},
    }


def _merged(categories: Iterable[Category]) -> list[Category]:
    """Return categories with those of one name added up."""
    out: dict[str, Category] = {}
    for each in categories:
        if each.name in out:
            both = (out[each.name], each)
            sums = {f.name: _sum(both, f.name) for f in fields(Category) if f.name != "name"}
            out[each.name] = Category(each.name, **sums)
        else:
            out[each.name] = each
    return list(out.values())


def _sum(categories: Iterable[Category], column: str) -> int | None:
    values = [getattr(c, column) for c in categories]
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _minus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a - b
