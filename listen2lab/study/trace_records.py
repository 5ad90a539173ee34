"""What traced runs tell, as records: a memray capture reduced to tables, and Python's objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

from listen2lab.notice import Notice
from listen2lab.privacy import Fact, FunctionName, Private, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Buffer", "Container", "Curve", "Moment", "Objects", "Stack", "Survivor", "Trace", "TypeGrowth",
]  # fmt: skip

Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that a table can hold: JSON's may have any number of digits."""

_STEP = re.compile(r"step (\d+)")


class Curve(msgspec.Struct, frozen=True):
    """The heap and resident memory of a traced run over time: seconds of the clock, and bytes."""

    epoch_s: tuple[float, ...] = ()
    heap: tuple[Whole, ...] = ()
    rss: tuple[Whole, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.epoch_s) == len(self.heap) == len(self.rss):
            raise ValueError("its curve has not as many moments as bytes")


class Stack(msgspec.Struct, frozen=True):
    """A call stack: indices into `Trace.frames`, the innermost first, native and Python's lines."""

    frames: tuple[Whole, ...]
    lines: tuple[Whole, ...] = ()


class Moment(msgspec.Struct, frozen=True):
    """One moment: the bytes that were live, and what stacks hold now and did not before.

    ``changes`` are rows of (stack, bytes, blocks); 0 bytes where a stack holds nothing any more.
    """

    name: Fact
    bytes: Whole
    changes: tuple[tuple[Whole, Whole, Whole], ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A memray capture reduced to tables: ``heap.json``; see `listen2lab.probes.tracing`.

    ``moments`` are in the order of time: ``setup``, ``step 0 peak``, ``step 0``, ..., ``end``,
    ``not-freed``, and among them the whole run's ``peak``. ``libraries`` are shared
    libraries with the numbers of the native frames that lie in them.
    """

    allocations: Whole
    peak: Whole
    curve: Curve
    frames: tuple[tuple[FunctionName, SourceFile, Whole], ...] = ()
    stacks: tuple[Stack, ...] = ()
    moments: tuple[Moment, ...] = ()
    libraries: dict[FunctionName, tuple[Whole, ...]] = {}
    notes: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        used = {each for stack in self.stacks for each in (*stack.frames, *stack.lines)}
        used.update(*self.libraries.values())
        changed = {row[0] for moment in self.moments for row in moment.changes}
        for numbers, table in ((used, self.frames), (changed, self.stacks)):
            if numbers and not 0 <= min(numbers) <= max(numbers) < len(table):
                raise ValueError(f"it names number {max(numbers)} of {len(table)}")
        if self.moments and not any(moment.name == "peak" for moment in self.moments):
            raise ValueError("it tells of moments, and not of the peak")

    def walk(self) -> Iterator[tuple[Moment, dict[int, tuple[int, int]]]]:
        """Yield each moment with what was live: stack to bytes and blocks, changed as it goes."""
        live: dict[int, tuple[int, int]] = {}
        for moment in self.moments:
            for stack, size, blocks in moment.changes:
                if size:
                    live[stack] = (size, blocks)
                else:
                    live.pop(stack, None)
            yield moment, live

    def live(self, name: str) -> dict[int, tuple[int, int]]:
        """Return what was live at a moment: stack to bytes and blocks; empty where it is not."""
        return next((dict(live) for moment, live in self.walk() if moment.name == name), {})

    def steps(self) -> list[int]:
        """Return the steps after which the heap was looked at."""
        found = (_STEP.fullmatch(moment.name) for moment in self.moments)
        return [int(each[1]) for each in found if each]

    def last_half(self) -> tuple[int, int] | None:
        """Return the steps in which the last half begins and ends, None where there are not two."""
        steps = self.steps()
        return (steps[len(steps) // 2], steps[-1]) if steps[1:] else None


class TypeGrowth(msgspec.Struct, frozen=True):
    """Objects of a type: how many more than in the phase before, and how many there are."""

    type: FunctionName
    objects: Whole
    now: Whole


class Buffer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the largest buffers that Python held at the end, and how one gets to it."""

    type: FunctionName
    bytes: Whole
    path: FunctionName
    holder: FunctionName


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A list, dictionary or cache with more items at the end than after the setup."""

    path: FunctionName
    type: FunctionName
    items: Whole
    more: Whole


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of the workload's own classes that were there after its teardown."""

    type: FunctionName
    objects: Whole
    chain: FunctionName
    picture: Private | None = None


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """What a traced run tells of Python's objects: ``objects.json``."""

    growth: dict[Fact, tuple[TypeGrowth, ...]] = {}
    buffers: tuple[Buffer, ...] = ()
    buffers_in_all: Whole = 0
    containers: tuple[Container, ...] = ()
    cycles: tuple[Any, ...] = ()
    survivors: tuple[Survivor, ...] = ()
    notes: tuple[Notice, ...] = ()
