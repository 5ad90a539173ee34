"""What this process's resident memory is made of, at little cost: readings, and how they add up.

The rule by which nothing is counted twice: every resident page belongs to exactly one mapping, and
every mapping to one kind (a file, a library's written data, a stack, malloc's heap, a block of
malloc in a mapping of its own, an arena of Python's objects, or unknown). Within malloc and within
Python's arenas, what is handed out comes before what is kept free; what was reserved and never
touched is not resident, so it is told beside the sum and not in it. Who holds what is handed out
(caches, the engine, the instrument) is decided afterwards, in `listen2lab.account.categories`.

A walk over every mapping costs some 30 ms a GiB, whichever file of /proc tells it. So it is done
between phases, and after a step only when memory has moved and a small share of the time that the
steps took has been saved up for it; in between, counters that are exact say how much moved, and
malloc's and Python's own counters say whose it is.
"""

from __future__ import annotations

import sys
import time

from listen2lab.probes.allocator import Memory, Pages, PythonHeap, is_engine_block, python_heap
from listen2lab.probes.mappings import areas, file_name, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from listen2lab.probes.allocator import Block
    from listen2lab.probes.mappings import Area

__all__ = ["SPLIT", "AccountProbe", "split"]

SPLIT = ("files", "library_data", "stacks", "python", "python_kept", "native", "native_kept")
"""The kinds into which `split` parts resident memory; what is left is ``unaccounted``."""

_ALLOWANCE = 0.005
# Of the process's own time since the last reading, what is saved up for walks. A reading without
# one takes 1-2 ms.
_RARELY, _MANY_BLOCKS = 10.0, 64
# Asking the interpreter what its arenas hold takes 0.7 ms: after steps of a millisecond it is not
# asked each time, unless so many small blocks came or went.
_MOVED = 1024 * 1024  # bytes: what is worth a walk,
_MOVED_SHARE = 0.002  # or this share of what is resident
_ENGINE = ("onnxruntime", "sherpa")
_PYTHON_ARENA = 1024 * 1024


class AccountProbe:
    """Reads of what resident memory is made.

    `instrument`: anonymous bytes that the lab itself had added when it began, repeated in each
    reading. `gaps` has what cannot be told here, each with the reason's code.
    """

    def __init__(self, proc: str = "/proc/self", *, instrument: int = 0) -> None:
        self.gaps: dict[str, str] = {}
        self._instrument = instrument
        self._smaps = f"{proc}/smaps"
        self._pages: Pages | None = None
        try:
            self._pages = Pages(proc)
        except OSError:  # areas that malloc shares with others are parted by size
            self.gaps["account.pagemap"] = "pagemap-unreadable"
        self._memory: Memory | None = None
        try:
            self._memory = Memory(proc, self._pages)
        except OSError:  # large blocks are told by malloc's count
            self.gaps["account.blocks"] = "memory-unreadable"
        if self._walk_text() is None:
            self.gaps["account"] = "smaps-unreadable"
        if python_heap() is None:
            self.gaps["account.python"] = "interpreter-silent"
        self._python = PythonHeap(0, 0)
        self._asked_s = self._asking_s = 0.0
        self._asked_blocks = 0
        self._last: dict[str, int] = {}
        self._at_walk: dict[str, int] = {}
        self._saved_s = 0.0
        self._used_s = time.process_time()
        self._walk_s = 0.0
        self._has_engine = False
        self._heap = (0, 0)

    def read(
        self, sample: Mapping[str, int], *, level: bool = False, engine: bool = False
    ) -> dict[str, Any]:
        """Take apart what a sample of `Meter.read` says is resident; empty where that is unknown.

        Resident bytes: ``file``, ``data`` (libraries' written pages), ``stack``, ``heap``,
        ``mapped`` (malloc's blocks in mappings of their own), ``other``, ``engine_mapped`` (in
        blocks of the sizes that ONNX Runtime's arena asks for). Resident or not: ``python`` and
        ``python_free``, handed out and free in Python's arenas. ``walked``: mappings were looked at
        just now; ``ms``: processor time.

        With `level` this is a reading between phases: walk whatever it costs, and give ``files``
        (name to resident bytes). With `engine` also ``engine_heap``, the arena's blocks in malloc's
        heap, looked for block by block: 20 ms for a session's 130,000 blocks.
        """
        if "account" in self.gaps or "anonymous" not in sample:
            return {}
        began = time.thread_time()
        used = time.process_time()
        blocks = sys.getallocatedblocks()
        spare = used - self._asked_s >= _RARELY * self._asking_s
        if level or spare or abs(blocks - self._asked_blocks) >= _MANY_BLOCKS:
            self._python = python_heap() or PythonHeap(0, 0)
            self._asked_blocks, self._asked_s = blocks, time.process_time()
            self._asking_s = self._asked_s - used
        counters = self._counters(sample)
        self._saved_s += _ALLOWANCE * (used - self._used_s)
        self._used_s = used
        found: dict[str, Any] | None = None
        if level or self._is_worth_it(counters, sample["rss"]):
            found = self._walk(counters, level=level)
        is_walked = found is not None
        if found is not None:
            self._walk_s = time.thread_time() - began
            self._saved_s -= 0 if level else self._walk_s
            self._at_walk = counters
            self._last = {name: value for name, value in found.items() if isinstance(value, int)}
            if engine and self._has_engine:
                memory = self._memory
                found["engine_heap"] = memory and memory.engine_blocks(*self._heap)
        elif self._last:
            found = self._carried(counters)
        else:
            return {}
        found |= {
            "python": counters["python"],
            "python_free": self._python.free,
            "instrument": self._instrument,
            "walked": is_walked,
        }
        found["ms"] = round(1e3 * (time.thread_time() - began), 3)
        return found

    def parts(self, sample: Mapping[str, int]) -> dict[str, int]:
        """Part what a sample says is resident, in the middle of a step: counters only, no walk."""
        if not self._last or "anonymous" not in sample:
            return {}
        counters = self._counters(sample)
        carried = self._carried(counters)
        python = {"python": counters["python"], "python_free": self._python.free}
        return split(sample, {**carried, **python})

    def _counters(self, sample: Mapping[str, int]) -> dict[str, int]:
        return {
            "anonymous": sample["anonymous"],
            "arenas": self._python.arenas,
            "python": self._python.arenas - self._python.free,
            "brk": sample.get("in_use", 0) - sample.get("mapped", 0) + sample.get("kept", 0),
            "hblkhd": sample.get("mapped", 0),
            "file": sample["rss"] - sample["anonymous"],
        }

    def _is_worth_it(self, now: Mapping[str, int], rss: int) -> bool:
        if not self._at_walk:
            return True
        moved = sum(abs(now[name] - self._at_walk[name]) for name in ("anonymous", "file"))
        if moved <= max(_MOVED, _MOVED_SHARE * rss):
            return False
        grown = rss / max(1, self._at_walk["anonymous"] + self._at_walk["file"])
        return self._walk_s * max(1.0, grown) <= self._saved_s

    def _walk_text(self) -> bytes | None:
        try:
            with open(self._smaps, "rb") as file:
                return file.read() or None
        except OSError:
            return None

    def _walk(self, counters: Mapping[str, int], *, level: bool) -> dict[str, Any] | None:
        text = self._walk_text()
        if text is None:
            return None
        found = areas(text)
        del text  # it is large, and what follows allocates
        sums = dict.fromkeys(("file", "data", "stack", "heap", "mapped", "other"), 0)
        files: dict[str, int] = {}
        others = []
        for kind, area in kind_of(found):
            if kind == "file":
                sums["file"] += area.rss - area.anonymous
                sums["data"] += area.anonymous
                name = file_name(area)
                files[name] = files.get(name, 0) + area.rss
            elif kind == "data":
                zeroed, rest = self._cut(area)
                sums["data"] += zeroed
                others += [rest] if rest.rss else []
            elif kind == "other":
                others.append(area)
            else:
                sums[kind] += area.rss
        sums["other"] = sum(area.rss for area in others)
        in_blocks, in_engine = self._blocks(others, counters["hblkhd"])
        sums["mapped"], sums["other"] = in_blocks, sums["other"] - in_blocks
        self._has_engine = any(mark in name for name in files for mark in _ENGINE)
        heap = [area for area in found if area.name == "[heap]"]
        self._heap = (heap[0].start, heap[-1].end) if heap else (0, 0)
        result: dict[str, Any] = {**sums, "engine_mapped": in_engine if self._has_engine else 0}
        if level:
            result["files"] = dict(sorted(files.items(), key=lambda item: -item[1]))
        return result

    def _blocks(self, others: list[Area], expected: int) -> tuple[int, int]:
        """Return the resident bytes of malloc's own mappings, and of the engine's among them."""
        if self._memory is None:
            return min(expected, sum(area.rss for area in others)), 0
        left, resident, engine = expected, 0, 0
        for area in sorted(_joined(others), key=lambda each: each.start - each.end):
            if left < _MOVED:  # small ones would be looked for on every page
                break
            blocks = self._memory.mapped_blocks(area.start, area.end)
            if not blocks:
                continue
            left -= sum(block.size for block in blocks)
            here = area.rss - self._between(area, blocks)
            small = sum(b.size for b in blocks if not is_engine_block(b.size))
            resident += here
            engine += max(0, here - small)
        return resident, engine

    def _cut(self, area: Area) -> tuple[int, Area]:
        """Cut a library's zeroed data from what was mapped right behind them.

        Blocks of malloc may follow, and arenas of Python's objects, which are whole MiB each: the
        kernel shows one mapping for all.
        """
        middle = area.start + (area.end - area.start) % _PYTHON_ARENA
        if self._memory is not None and (
            blocks := self._memory.mapped_blocks(area.start, area.end)
        ):
            middle = min(middle, blocks[0].start)
        zeroed = min(middle - area.start, area.rss)
        rest = area.rss - zeroed
        return zeroed, area._replace(start=middle, rss=rest, anonymous=rest)

    def _between(self, area: Area, blocks: list[Block]) -> int:
        """Return what is resident in an area outside of the blocks found in it."""
        edges = [area.start, *(x for b in blocks for x in (b.start, b.start + b.size)), area.end]
        gaps = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        if self._pages is None:
            whole = sum(b - a for a, b in gaps)
            return area.rss * whole // (area.end - area.start)
        return min(area.rss, sum(self._pages.resident(a, b) for a, b in gaps))

    def _carried(self, now: Mapping[str, int]) -> dict[str, Any]:
        """Carry the last walk on to now, by what the counters say has moved since."""
        then, last = self._at_walk, self._last
        moved = now["anonymous"] - then["anonymous"]
        python = now["python"] - then["python"] if now["arenas"] != then["arenas"] else 0
        heap = min(max(0, last["heap"] + now["brk"] - then["brk"]), now["brk"])
        malloc = last["heap"] + last["mapped"] + moved - python
        mapped = min(max(0, malloc - heap), now["hblkhd"])
        heap = min(max(0, malloc - mapped), now["brk"])
        other = last["other"] + python + (malloc - heap - mapped)
        grown = mapped - last["mapped"]
        return {
            "file": now["file"],
            "data": last["data"],
            "stack": last["stack"],
            "heap": heap,
            "mapped": mapped,
            "other": max(0, other),
            "engine_mapped": max(0, last["engine_mapped"] + grown) if self._has_engine else 0,
        }


def _joined(found: list[Area]) -> list[Area]:
    """Join areas that touch: the kernel cuts mappings where malloc's blocks do not end."""
    joined: list[Area] = []
    for area in found:
        if joined and joined[-1].end == area.start:
            left = joined[-1]
            joined[-1] = left._replace(
                end=area.end, rss=left.rss + area.rss, anonymous=left.anonymous + area.anonymous
            )
        else:
            joined.append(area)
    return joined


def split(sample: Mapping[str, Any], reading: Mapping[str, Any]) -> dict[str, int]:
    """Part what a sample says is resident into kinds that do not overlap, by `AccountProbe.read`.

    The kinds of `SPLIT`; ``unaccounted``, so that the sum is ``rss`` (negative when more was found
    than is resident); and, not part of the sum, ``untouched``: what malloc reserved and nobody
    touched.
    """
    in_use, kept, mapped = (int(sample.get(name, 0)) for name in ("in_use", "kept", "mapped"))
    heap, blocks, other = (int(reading[name]) for name in ("heap", "mapped", "other"))
    native_kept = min(max(0, heap - (in_use - mapped)), kept)
    python = min(int(reading["python"]), other)
    parts = {
        "files": int(reading["file"]),
        "library_data": int(reading["data"]),
        "stacks": int(reading["stack"]),
        "python": python,
        "python_kept": min(other - python, int(reading["python_free"])),
        "native": heap - native_kept + blocks,
        "native_kept": native_kept,
    }
    parts["unaccounted"] = int(sample["rss"]) - sum(parts.values())
    parts["untouched"] = max(0, in_use + kept - heap - blocks)
    return parts
