"""heap, of a process or a memory graph: live blocks by class."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.device.formats.header import Header, feed
from listen2lab.device.formats.reading import no_row, no_size, read_report
from listen2lab.device.formats.sizes import read_count, read_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.device.formats.reading import Said
    from listen2lab.device.formats.tally import Tally

__all__ = ["BlockClass", "HeapCensus", "compare_heaps", "read_heap"]

_NUMBER = r"[\d.,'\u00a0\u202f]+"
_NODES = re.compile(rf"All zones:\s+({_NUMBER}) nodes?\s+\(({_NUMBER}\s?\w*?)(?: bytes)?\)")
_MALLOCED = re.compile(rf"All zones:\s+({_NUMBER}) nodes? malloced")
_ROW = re.compile(rf"(-?{_NUMBER})\s+(-?{_NUMBER}[BKMGT]?B?)\s+(-?{_NUMBER}[BKMGT]?B?)\s+(\S.*)$")
_TYPED = re.compile(r"(.*?)\s{2,}(ObjC|Swift|C\+\+|C|CFType|CoreFoundation)(?:\s+(\S.*))?$")
_PLAIN = re.compile(r"Process \d+: \d+ zones?|All zones:|Zone |Found|Type names|COUNT|=====|-----")


@dataclass(frozen=True)
class BlockClass:
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


@dataclass(frozen=True)
class HeapCensus:
    """What ``heap`` counted.

    Attributes
    ----------
    blocks, size
        Live blocks of all zones and their bytes; None where not printed.
    classes
        Largest first.
    """

    process: str
    pid: int
    footprint: int | None
    peak: int | None
    blocks: int | None
    size: int | None
    classes: tuple[BlockClass, ...]
    when: str = ""
    source: str = ""
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; the fifty largest classes."""
        out = asdict(self)
        out["classes"] = list(out["classes"][:50])
        return out


def read_heap(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[HeapCensus]:
    """Read what ``heap`` printed.

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
    list of HeapCensus
        One a process. A class that several zones hold is added up.
    """
    return read_report(lines, tally, _Reader(source))


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[HeapCensus] = []
        self.header = Header()
        self.in_table = False
        self.classes: dict[tuple[str, str, str], list[int]] = {}
        self.blocks: int | None = None
        self.size: int | None = None

    def feed(self, number: int, text: str) -> Said:
        """Read a line; see `listen2lab.device.formats.reading.Said`."""
        if not text:
            return False
        if text.startswith("Process:"):
            self.end()
        known = feed(self.header, text, number)
        if known is not None:
            return no_size(text) if known == "bad" else True
        if (total := _NODES.match(text)) is not None:
            self.blocks, self.size = read_count(total[1]), read_size(total[2])
            self.in_table = False
        elif (total := _MALLOCED.match(text)) is not None:
            self.blocks = read_count(total[1])
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
                    tuple(sorted(rows, key=lambda c: -c.size)), head.when, self.source, head.line,
                )
            )  # fmt: skip
        self.classes, self.blocks, self.size, self.in_table = {}, None, None, False


def _class(line: str) -> BlockClass | None:
    row = _ROW.match(line)
    if row is None:
        return None
    count, size = read_count(row[1]), read_size(row[2])
    if count is None or size is None:
        return None
    typed = _TYPED.match(row[4])
    if typed is None:
        return BlockClass(row[4], "", "", count, size)
    return BlockClass(typed[1].strip(), typed[2], (typed[3] or "").strip(), count, size)


def compare_heaps(before: HeapCensus, after: HeapCensus) -> list[dict[str, Any]]:
    """Return what grew from one census to another, most bytes first.

    Returns
    -------
    list of dict
        ``name``, ``binary``, ``blocks`` and ``size`` (after less before), of classes that changed.
    """
    sides = [{(c.name, c.binary): c for c in census.classes} for census in (before, after)]
    out = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = sides[0].get(key), sides[1].get(key)
        size = (b.size if b else 0) - (a.size if a else 0)
        blocks = (b.count if b else 0) - (a.count if a else 0)
        if size or blocks:
            out.append({"name": key[0], "binary": key[1], "blocks": blocks, "size": size})
    return sorted(out, key=lambda row: -row["size"])
