"""heap, of a process or a memory graph: live blocks by class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from listen2lab.device.formats.numbers import read_count, read_size
from listen2lab.device.formats.reading import Header, no_row, report

if TYPE_CHECKING:
    from listen2lab.device.formats.reading import Said

__all__ = ["FORMAT", "BlockClass", "ClassChange", "HeapCensus", "compare_heaps"]

_NUMBER = r"[\d.,'\u00a0\u202f]+"
_NODES = re.compile(rf"All zones:\s+({_NUMBER}) nodes?\s+\(({_NUMBER}\s?\w*?)(?: bytes)?\)")
_MALLOCED = re.compile(
    rf"All zones:\s+({_NUMBER}) nodes? malloced(?:\s+-\s+({_NUMBER}\s?[KMG]?B)\s*$)?"
)
_BLOCKS = re.compile(rf"({_NUMBER}\s?[KMG]?B?)\[({_NUMBER})\]")
_ADDRESS = re.compile(r"_0x[0-9a-f]+$")
_ROW = re.compile(rf"(-?{_NUMBER})\s+(-?{_NUMBER}[BKMGT]?B?)\s+(-?{_NUMBER}[BKMGT]?B?)\s+(\S.*)$")
_TYPED = re.compile(r"(.*?)\s{2,}(ObjC|Swift|C\+\+|C|CFType|CoreFoundation)(?:\s+(\S.*))?$")
_PLAIN = re.compile(
    r"Process \d+: \d+ zones?|All zones:|Zone |Found|Type names|Derived|COUNT|=====|-----|\.{3,}"
)


class BlockClass(msgspec.Struct, frozen=True):
    """Live blocks of one class.

    Attributes
    ----------
    name, kind, binary
        As printed; ``non-object`` has neither kind nor binary.
    count, size
        Blocks, and their bytes.
    """

    name: str
    kind: str
    binary: str
    count: int
    size: int


class HeapCensus(msgspec.Struct, frozen=True):
    """What ``heap`` counted, or what of it malloc_history tells by stack.

    Attributes
    ----------
    blocks, size
        Live blocks of all zones and their bytes; None where not printed.
    classes
        Largest first.
    block_sizes
        Size and number of blocks, those that hold most first.
    """

    process: str
    pid: int
    footprint: int | None
    peak: int | None
    blocks: int | None
    size: int | None
    classes: tuple[BlockClass, ...]
    block_sizes: tuple[tuple[int, int], ...]
    when: str
    source: str
    line: int
    platform: str = ""
    tool: str = "heap"


class ClassChange(msgspec.Struct, frozen=True):
    """How many blocks and bytes of a class are more than before.

    `renamed_from` is a class that shrank by as much: heap derives names anew each time.
    """

    name: str
    binary: str
    blocks: int
    size: int
    renamed_from: str | None = None


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[HeapCensus] = []
        self.header = Header()
        self.in_table = False
        self.classes: dict[tuple[str, str, str], list[int]] = {}
        self.blocks: int | None = None
        self.size: int | None = None
        self.block_sizes: list[tuple[int, int]] = []

    def feed(self, number: int, text: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if not text:
            return False
        header = Header.begun(text, number)
        if header is not None or text.startswith("Process:"):
            self.end()
            self.header = header or self.header
            return header is not None
        known = self.header.feed(text)
        if known is not False:
            return known
        if (total := _NODES.match(text)) is not None:
            self.blocks, self.size = read_count(total[1]), read_size(total[2])
            self.in_table = False
        elif (total := _MALLOCED.match(text)) is not None:
            self.blocks = read_count(total[1])
            self.size = read_size(total[2]) if total[2] else self.size
            sizes = [(read_size(size), read_count(many)) for size, many in _BLOCKS.findall(text)]
            some = [(size, many) for size, many in sizes if size and many]
            self.block_sizes = sorted(some, key=lambda each: -each[0] * each[1])[:10]
        elif "CLASS_NAME" in text:
            self.in_table = True
        elif not _PLAIN.match(text):
            return self._row(text) if self.in_table else False
        return True

    def _row(self, text: str) -> Said:
        row = _class(text)
        if row is None:
            return no_row(text, "heap")
        sums = self.classes.setdefault((row.name, row.kind, row.binary), [0, 0])
        sums[0] += row.count
        sums[1] += row.size
        return True

    def end(self) -> None:
        """Close the process that was being read."""
        if self.classes or self.blocks is not None:
            rows = (BlockClass(*key, *sums) for key, sums in self.classes.items())
            head = self.header
            self.found.append(
                HeapCensus(
                    head.process, head.pid, head.footprint, head.peak, self.blocks, self.size,
                    tuple(sorted(rows, key=lambda c: -c.size)), tuple(self.block_sizes), head.when,
                    self.source, head.line, head.platform,
                )
            )  # fmt: skip
        self.classes, self.blocks, self.size, self.in_table = {}, None, None, False
        self.block_sizes = []


FORMAT = report("heap", _Reader, b"CLASS_NAME", b"All zones: ")


def _class(line: str) -> BlockClass | None:
    row = _ROW.match(line)
    if row is None:
        return None
    count, size = read_count(row[1]), read_size(row[2])
    if count is None or size is None:
        return None
    typed = _TYPED.match(row[4])
    if typed is None:  # the column of the type may be blank
        name, _, binary = re.sub(r"\s{2,}", "\t", row[4]).partition("\t")
        return BlockClass(_ADDRESS.sub("", name), "", binary, count, size)
    return BlockClass(typed[1].strip(), typed[2], (typed[3] or "").strip(), count, size)


def compare_heaps(before: HeapCensus, after: HeapCensus) -> list[ClassChange]:
    """Return what grew and what shrank from one census to another, most bytes first."""
    sides = [{(c.name, c.binary): c for c in census.classes} for census in (before, after)]
    out = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = sides[0].get(key), sides[1].get(key)
        size = (b.size if b else 0) - (a.size if a else 0)
        blocks = (b.count if b else 0) - (a.count if a else 0)
        if size or blocks:
            out.append((ClassChange(*key, blocks, size), a is None, b is None))
    gone = [change for change, _, is_gone in out if is_gone]
    changes = []
    for change, is_new, is_gone in out:
        twin = next((g for g in gone if is_new and _alike(change, g)), None)
        if twin is not None:
            gone.remove(twin)
            blocks, size = change.blocks + twin.blocks, change.size + twin.size
            changes.append(ClassChange(change.name, change.binary, blocks, size, twin.name))
        elif not is_gone:
            changes.append(change)
    return sorted([*changes, *gone], key=lambda row: -row.size)


def _alike(new: ClassChange, gone: ClassChange) -> bool:
    """Return whether a class that is new holds what another held that is gone, within 1 %."""
    sizes = (new.size, -gone.size), (new.blocks, -gone.blocks)
    return all(abs(a - b) <= 0.01 * max(a, b) for a, b in sizes)
