"""heap and leaks, of a process or a memory graph: blocks by class, and what is unreachable."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.device._header import Header, feed
from listen2lab.device._sizes import read_number, read_size
from listen2lab.device.tally import MOST_ROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.device.tally import Tally

__all__ = ["BlockClass", "HeapCensus", "Leaks", "compare_heaps", "read_heap", "read_leaks"]

_NUMBER = r"[\d.,'\u00a0\u202f]+"
_NODES = re.compile(rf"All zones:\s+({_NUMBER}) nodes?\s+\(({_NUMBER}\s?\w*?)(?: bytes)?\)")
_MALLOCED = re.compile(
    rf"(?:All zones|Process \d+):\s+({_NUMBER}) nodes? malloced(?: for| -)?"
    rf"\s*({_NUMBER}\s?[KMG]?B)?"
)
_ROW = re.compile(
    rf"\s*(-?{_NUMBER})\s+(-?{_NUMBER}[BKMGT]?B?)\s+(-?{_NUMBER}[BKMGT]?B?)\s+(\S.*?)\s*$"
)
_TYPED = re.compile(r"(.*?)\s{2,}(ObjC|Swift|C\+\+|C|CFType|CoreFoundation)(?:\s+(\S.*))?$")
_LEAKED = re.compile(rf"Process (\d+):\s+({_NUMBER}) leaks? for ({_NUMBER}) total leaked bytes")
_ROOT = re.compile(
    r"\s*(?:([\d.,]+) \(([^)]+)\) )?ROOT (LEAK|CYCLE):"
    r"\s+(?:<([^>]*?)(?: 0x[0-9a-fA-F]+)?>|(0x[0-9a-fA-F]+))"
)
_MEMBER = re.compile(r"\s*[\d.,]+ \([^)]+\) \S")
_PLAIN = re.compile(
    r"Process \d+: \d+ zones?|All zones:|Zone |Found|Type names|COUNT|=====|-----|leaks Report"
    r"|STACK OF|====|Binary Images|\d+\s+\S+\s+0x[0-9a-fA-F]+ |.*is not debuggable"
)  # fmt: skip


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


@dataclass(frozen=True)
class Leaks:
    """What ``leaks`` found that nothing refers to.

    Attributes
    ----------
    count, size
        Unreachable blocks and their bytes.
    blocks, live
        All malloc blocks and their bytes.
    roots
        What heads each leak or cycle, to its bytes; largest first.
    limited
        The tool was not allowed to read all of the process: what it says is a guess.
    """

    process: str
    pid: int
    count: int
    size: int
    blocks: int | None
    live: int | None
    roots: tuple[tuple[str, int], ...]
    limited: bool = False
    source: str = ""
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; the thirty largest roots."""
        return {**asdict(self), "roots": [list(root) for root in self.roots[:30]]}


def read_heap(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[HeapCensus]:  # noqa: C901 - a branch for each kind of line
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
    header, in_table = Header(), False
    found: list[HeapCensus] = []
    classes: dict[tuple[str, str, str], list[int]] = {}
    blocks = size = None

    def close() -> None:
        if classes or blocks is not None:
            rows = (BlockClass(*key, *sums) for key, sums in classes.items())
            found.append(
                HeapCensus(
                    header.process, header.pid, header.footprint, header.peak, blocks, size,
                    tuple(sorted(rows, key=lambda c: -c.size)), header.when, source, header.line,
                )
            )  # fmt: skip

    for number, line in lines:
        text = line[:MOST_ROW].strip()
        if text.startswith("Process:"):
            close()
            classes, blocks, size, in_table = {}, None, None, False
        known = feed(header, text, number) if text else None
        if known == "bad":
            tally.bad(number, f"{text[:80]!r} holds no size")
        elif known is not None:
            tally.saw(number)
        elif (total := _NODES.match(text)) is not None:
            count, whole = read_number(total[1]), read_size(total[2])
            blocks = None if count is None else int(count)
            size, in_table = whole, False
            tally.saw(number)
        elif text.startswith("All zones") and (total := _MALLOCED.match(text)) is not None:
            count = read_number(total[1])
            blocks = None if count is None else int(count)
            tally.saw(number)
        elif "CLASS_NAME" in text:
            in_table = True
            tally.saw(number)
        elif _PLAIN.match(text):
            tally.saw(number)
        elif in_table and text:
            row = _class(text)
            if row is None:
                tally.bad(number, f"{text[:80]!r} is no row of a heap table")
                continue
            key = (row.name, row.kind, row.binary)
            sums = classes.setdefault(key, [0, 0])
            sums[0] += row.count
            sums[1] += row.size
            tally.saw(number)
    close()
    return found


def _class(line: str) -> BlockClass | None:
    row = _ROW.match(line)
    if row is None:
        return None
    count, size = read_number(row[1]), read_size(row[2])
    if count is None or size is None or count < 0:
        return None
    typed = _TYPED.match(row[4])
    if typed is None:
        return BlockClass(row[4], "", "", int(count), size)
    return BlockClass(typed[1].strip(), typed[2], (typed[3] or "").strip(), int(count), size)


def read_leaks(lines: Iterable[tuple[int, str]], tally: Tally, source: str) -> list[Leaks]:  # noqa: C901 - a branch for each kind of line
    """Read what ``leaks`` printed.

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
    list of Leaks
        One a process. *Unreachable* only: memory that something still refers to is no leak to
        this tool, however much it grows.
    """
    header = Header()
    found: list[Leaks] = []
    blocks = live = None
    limited = False
    roots: dict[str, int] = {}
    summary: tuple[int, int, int, int] | None = None

    def close() -> None:
        if summary is not None:
            pid, count, size, line = summary
            order = tuple(sorted(roots.items(), key=lambda item: -item[1]))
            found.append(
                Leaks(header.process, header.pid or pid, count, size, blocks, live, order,
                      limited, source, line)
            )  # fmt: skip

    for number, line in lines:
        text = line[:MOST_ROW].strip()
        if not text:
            continue
        if text.startswith("Process:"):
            close()
            # That a process may not be read stands before its block, and not in it.
            limited = limited and summary is None
            summary, roots, blocks, live = None, {}, None, None
        known = feed(header, text, number)
        if "is not debuggable" in text:
            limited = True
        if known == "bad":
            tally.bad(number, f"{text[:80]!r} holds no size")
        elif known is not None:
            tally.saw(number)
        elif (some := _MALLOCED.match(text)) is not None:
            count = read_number(some[1])
            blocks = None if count is None else int(count)
            live = None if some[2] is None else read_size(some[2])
            tally.saw(number)
        elif (some := _LEAKED.match(text)) is not None:
            count, total = read_number(some[2]), read_number(some[3])
            if count is None or total is None:
                tally.bad(number, f"{text[:80]!r} holds no count")
                continue
            summary = (int(some[1][:15]), int(count), int(total), number)
            tally.saw(number)
        elif (some := _ROOT.match(text)) is not None:
            name = some[4] or "a block without a type"
            roots[name] = roots.get(name, 0) + (
                read_size((some[2] or "").replace(" bytes", "")) or 0
            )
            tally.saw(number)
        elif _PLAIN.match(text) or _MEMBER.match(text):
            tally.saw(number)
    close()
    return found


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
