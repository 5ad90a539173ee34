"""What traced runs tell, as records: a memray capture reduced to tables, and Python's objects."""

from __future__ import annotations

from typing import Any

import msgspec

from listen2lab.notice import Notice
from listen2lab.privacy import Fact, FunctionName, Private

__all__ = [
    "Allocator", "Buffer", "Curve", "Moment", "Objects", "Stack", "Survivor", "Trace", "TypeGrowth",
]  # fmt: skip


class Curve(msgspec.Struct, frozen=True):
    """The heap and resident memory of a traced run over time: seconds of the clock, and bytes."""

    epoch_s: tuple[float, ...] = ()
    heap: tuple[int, ...] = ()
    rss: tuple[int, ...] = ()


class Allocator(msgspec.Struct, frozen=True, kw_only=True):
    """What one function, the innermost that is no allocator, held at the heap's peak."""

    bytes: int
    blocks: int
    function: FunctionName
    file: Private = ""
    engine: bool = False


class Stack(msgspec.Struct, frozen=True):
    """A call stack: indices into `Trace.frames`, the innermost first, native and Python's lines."""

    frames: tuple[int, ...]
    lines: tuple[int, ...] = ()


class Moment(msgspec.Struct, frozen=True):
    """What was live at one moment: rows of (stack, bytes, blocks), and bytes in small stacks."""

    name: Fact
    bytes: int
    rows: tuple[tuple[int, ...], ...]
    rest: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A memray capture reduced to tables: ``heap.json``; see `listen2lab.probes.tracing`."""

    allocations: int
    peak: int
    curve: Curve
    at_peak: tuple[Allocator, ...] = ()
    frames: tuple[tuple[FunctionName, Private, int], ...] = ()
    stacks: tuple[Stack, ...] = ()
    moments: tuple[Moment, ...] = ()
    notes: tuple[Notice, ...] = ()


class TypeGrowth(msgspec.Struct, frozen=True):
    """Objects of a type: how many more than in the phase before, and how many there are."""

    type: FunctionName
    objects: int
    now: int


class Buffer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the largest buffers that Python held at the end, and how one gets to it."""

    type: FunctionName
    bytes: int
    path: FunctionName
    holder: FunctionName


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of the workload's own classes that were there after its teardown."""

    type: FunctionName
    objects: int
    chain: FunctionName
    picture: Private | None = None


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """What a traced run tells of Python's objects: ``objects.json``."""

    growth: dict[Fact, tuple[TypeGrowth, ...]] = {}
    buffers: tuple[Buffer, ...] = ()
    cycles: tuple[Any, ...] = ()
    survivors: tuple[Survivor, ...] = ()
    notes: tuple[Notice, ...] = ()
