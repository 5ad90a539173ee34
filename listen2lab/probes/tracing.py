"""Trace allocations with memray, and reduce a capture to a compact table of who holds what.

A profiler changes what it measures, so a traced run explains *who* allocated and never gives a
level or a rate. Native symbols resolve only on the machine that recorded, so a capture is reduced
by the process that made it, right after recording.

A capture holds tens of thousands of stacks. Kept with their frames are those that hold most at any
moment, and those that grew most over the later half of the steps; what the others hold is a sum, so
that each moment adds up to the whole heap. Little changes from one moment to the next, so a moment
is told by what did: a trace of many steps is a table of a few dozen KB.
"""

from __future__ import annotations

import bisect
import gc
import json
import os
import re
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

from listen2lab.errors import ProbeError
from listen2lab.probes.libraries import Libraries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["recording", "reduce_capture", "write_reduced"]

_MAX_POINTS = 300  # points kept of the heap's curve: what a plot can show
_LARGEST = 120  # stacks that are kept because they hold most: resolving symbols takes time
_GROWN = 60  # stacks that are kept because they grew
_SMALL_STACK = 4096  # bytes: a stack that allocated less in the whole run is told in the rest
_MAX_STEPS = 60  # steps that are kept as moments of their own
_FRAMES = 20  # from the innermost: the operator of a model stands at most so deep
_LINES = 3  # Python's own frames, from the innermost
_STEP_ENDS = re.compile(r"step \d+")
_PEAK_SEEN = 0.98
# memray looks at the heap every 10 ms. A peak that fell between two looks is worth another pass.
_LATE_S = 0.02
_UNRESOLVED = 0.9  # share of native frames without a name from which on it is said
_UNKNOWN = "<unknown>"
_BEHIND_S = (0.1, 0.5)
# memray looks at the heap every 10 ms. Its last look may be this much earlier than the last mark,
# or on a busy machine three times the longest pause between two looks, but at most the second.


def recording(path: str, *, small_objects: bool = False) -> AbstractContextManager[Any]:
    """Record every allocation with native frames while the context is open, one at a time.

    With `small_objects` also what Python hands out of its arenas, and not the arenas themselves.
    """
    import memray  # only traced runs load it

    return memray.Tracker(
        destination=memray.FileDestination(path, overwrite=True),
        native_traces=True,
        trace_python_allocators=small_objects,
    )


def write_reduced(capture: str, path: str, marks: Sequence[tuple[str, float]] = ()) -> bool:
    """Reduce a capture and write it as JSON; return whether it goes up to the last mark.

    memray stops without an error when it cannot write on.
    """
    heap = reduce_capture(capture, marks)
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(heap, file, separators=(",", ":"))
    os.replace(temporary, path)
    return any(moment["name"] == "not-freed" for moment in heap["moments"])


def reduce_capture(capture: str, marks: Sequence[tuple[str, float]] = ()) -> dict[str, Any]:
    """Reduce a capture to its curve, and to what was live at each moment that matters.

    `marks` are names of moments (``setup``, ``step 0``) with seconds since 1970, in order. A
    capture that a kill cut short is read as far as it goes.

    ``allocations`` (how many), ``peak`` (bytes), ``curve`` (``epoch_s``, ``heap`` and ``rss``
    bytes, thinned so that the peak stays); ``frames``, each ``[function, file, line]``;
    ``libraries``, each with the numbers of its native frames; ``stacks``, numbers of frames from
    the innermost: ``frames``, native and Python's together, and ``lines``, Python's own;
    ``moments`` in the order of time, each ``{"name", "bytes", "changes"}`` with changes ``[stack,
    bytes, blocks]`` of what a stack holds now, where that is not what it held at the moment before:
    every mark, the highest point of each step (``step 0 peak``), the whole capture's ``peak``, and
    ``not-freed`` at the end of the recording; and ``notes`` of what this capture cannot tell:
    ``capture-cut``, ``capture-ends-before`` a mark, ``nothing-allocated``, ``no-native-traces``
    (libraries' allocations stand at the Python line that called them), ``native-names-unknown``
    (another machine's capture, or no symbols), ``recording-not-ended`` (the run was killed).
    """
    import memray  # only traced runs load it

    try:
        reader: Any = memray.FileReader(capture)
    except OSError as error:
        raise ProbeError(
            f"{os.path.basename(capture)} is no capture that memray can read ({error}); "
            "nothing is known of who allocated; trace the condition again"
        ) from error
    was_on = gc.isenabled()
    gc.disable()  # a hundred thousand small lists hold no cycles, and would be looked at again
    try:
        with reader:
            return _Reduction(reader, marks).result(capture)
    finally:
        if was_on:
            gc.enable()
    raise AssertionError("memray's reader swallows no exception")  # pragma: no cover


class _Reduction:
    """One capture on its way to a table."""

    def __init__(self, reader: Any, marks: Sequence[tuple[str, float]]) -> None:
        self._meta = reader.metadata
        self._native = bool(self._meta.has_native_traces)
        self._notes: list[dict[str, Any]] = []
        self._frames: dict[tuple[str, str, int, str], int] = {}
        self._points = [(s.time / 1000, s.heap, s.rss) for s in reader.get_memory_snapshots()]
        self._small: dict[str, int] = {}
        self._records: list[Any] = []  # one a stack, whose frames can be asked for
        self._moments = self._live(reader, marks)

    def _live(
        self, reader: Any, marks: Sequence[tuple[str, float]]
    ) -> dict[str, dict[int, list[int]]]:
        """Return bytes and blocks by stack at each moment."""
        marks, is_whole = self._reached(marks)
        # In the order of time, so that each stretch of a stack's life meets a run of moments.
        ordered = self._looks(_thinned(marks))
        at = [k for k, _ in ordered]
        names = [*(name for _, name in ordered), "not-freed"]
        moments: dict[str, dict[int, list[int]]] = {name: {} for name in names}
        tables = [moments[name] for name in names]
        small = [0] * (len(names) + 1)  # what begins with a moment, less what ends with it
        try:
            for record in reader.get_temporal_allocation_records(merge_threads=True):
                spans = record.intervals
                is_small = sum(span.n_bytes for span in spans) < _SMALL_STACK
                stack = len(self._records)
                if not is_small:
                    self._records.append(record)
                for span in spans:
                    end, size = span.deallocated_before_snapshot, span.n_bytes
                    first = bisect.bisect_left(at, span.allocated_before_snapshot)
                    last = len(names) if end is None else bisect.bisect_left(at, end)
                    if is_small:
                        small[first] += size
                        small[last] -= size
                        continue
                    for table in tables[first:last]:
                        _add(table, stack, size, span.n_allocations)
            self._small = dict(zip(names, accumulate(small), strict=False))
            seen = self._small["peak"] + sum(size for size, _ in moments["peak"].values())
            if seen < _PEAK_SEEN * self._meta.peak_memory:
                moments["peak"] = peak = {}
                self._small["peak"] = 0
                for record in reader.get_high_watermark_allocation_records(merge_threads=True):
                    peak[len(self._records)] = [record.size, record.n_allocations]
                    self._records.append(record)
        except OSError as error:
            is_whole = False
            self._note("capture-cut", message=str(error))  # what was written before is told
        if not is_whole:  # what is live where a capture was cut is not what was never freed
            del moments["not-freed"]
        return moments

    def _looks(self, marks: Sequence[tuple[str, float]]) -> list[tuple[int, str]]:
        """Return at which of memray's looks each moment is, in the order of time."""
        times = [time for time, _, _ in self._points]
        looks = [(self._highest(0, len(times)), "peak")]
        before = 0
        for name, time in marks:
            at = bisect.bisect_right(times, time) - 1
            if name.startswith("step ") and before < at:
                highest = self._highest(before, at + 1)
                if highest < at:  # else the step ends at its peak
                    looks.append((highest, f"{name} peak"))
            looks.append((at, name))
            before = at + 1
        return sorted(looks, key=itemgetter(0))

    def _highest(self, first: int, last: int) -> int:
        """Return the look, from one up to another, at which the heap was largest."""
        return max(range(first, last), key=lambda k: self._points[k][1], default=-1)

    def _reached(
        self, marks: Sequence[tuple[str, float]]
    ) -> tuple[Sequence[tuple[str, float]], bool]:
        """Return the marks up to which the capture goes, and whether it goes to the last."""
        times = [time for time, _, _ in self._points] or [0.0]
        pause = max((b - a for a, b in pairwise(times)), default=0.0)
        end = times[-1] + min(max(_BEHIND_S[0], 3 * pause), _BEHIND_S[1])
        there = [(name, time) for name, time in marks if time <= end]
        if len(there) < len(marks):  # memray could not write on (a full disk), or was killed
            self._note("capture-ends-before", phase=marks[len(there)][0])
        return there, len(there) == len(marks)

    def result(self, capture: str) -> dict[str, Any]:
        """Look the largest stacks' frames up, and return the table."""
        chosen = self._largest()
        numbers = {record: k for k, record in enumerate(chosen)}
        records = [self._records[number] for number in chosen]
        libraries = None
        if self._native and (last := max((each.native_stack_id for each in records), default=0)):
            libraries = Libraries(capture, last)
        stacks: list[dict[str, list[int]]] = []
        native: list[str] = []
        for record in records:
            frames, lines = self._stack(record)
            native += [name for name, file, _ in frames if not file.endswith(".py")]
            found = _libraries_of(record, frames, libraries) if libraries else [""] * len(frames)
            stacks.append(
                {
                    "frames": [*map(self._frame, frames, found)],
                    "lines": [self._frame(line, "") for line in lines],
                }
            )
        self._note_limits(native)
        totals = {
            name: self._small.get(name, 0) + sum(size for size, _ in live.values())
            for name, live in self._moments.items()
        }
        named = [(*frame, k) for frame, k in self._frames.items()]
        return {
            "allocations": self._meta.total_allocations,
            "peak": max(self._meta.peak_memory, totals["peak"]),
            "curve": _thin(self._points),
            "frames": [frame[:3] for frame in self._frames],
            "libraries": {
                name: [k for *_, library, k in named if library == name]
                for name in dict.fromkeys(library for *_, library, _ in named if library)
            },
            "stacks": stacks,
            "moments": [
                {"name": name, "bytes": totals[name], "changes": changes}
                for name, changes in _changes(self._moments, numbers)
            ],
            "notes": self._notes,
        }

    def _largest(self) -> list[int]:
        """Return the stacks that hold most, at whichever moment, and those that grew most."""
        most: dict[int, int] = {}
        for live in self._moments.values():
            for stack, (size, _) in live.items():
                most[stack] = max(most.get(stack, 0), size)
        steps = [live for name, live in self._moments.items() if _STEP_ENDS.fullmatch(name)]
        then, now = (steps[len(steps) // 2], steps[-1]) if steps else ({}, {})
        grown = {stack: size - then.get(stack, (0, 0))[0] for stack, (size, _) in now.items()}
        ranked = sorted(most, key=lambda stack: -most[stack])[:_LARGEST]
        rising = sorted((stack for stack in grown if grown[stack] > 0), key=lambda k: -grown[k])
        return list(dict.fromkeys([*ranked, *rising[:_GROWN]]))

    def _stack(self, record: Any) -> tuple[list[Any], list[Any]]:
        lines = record.stack_trace(_LINES)
        try:
            frames = record.hybrid_stack_trace(_FRAMES) if self._native else lines
        except (NotImplementedError, RuntimeError):
            self._native, frames = False, lines
        return list(frames) or list(lines), list(lines)

    def _frame(self, frame: tuple[str, str, int], library: str) -> int:
        """Return a frame's number in the table."""
        function, file, line = frame
        is_python = file.endswith(".py")
        clean = (_short(function), file.replace(_UNKNOWN, ""), line if is_python else 0, library)
        return self._frames.setdefault(clean, len(self._frames))

    def _note(self, code: str, **values: object) -> None:
        self._notes.append({"code": code, "values": values})

    def _note_limits(self, native: list[str]) -> None:
        """Note what the frames and the end of the recording do not tell."""
        if not self._records:
            self._note("nothing-allocated")
        elif not self._native:
            self._note("no-native-traces")
        elif native.count(_UNKNOWN) > _UNRESOLVED * len(native):
            self._note("native-names-unknown")
        # memray writes the end's time at the end; until then the beginning's stands there.
        ended = self._meta.end_time.timestamp()
        if self._points and self._points[-1][0] > ended + _LATE_S:
            self._note("recording-not-ended")


def _libraries_of(
    record: Any, frames: Sequence[tuple[str, str, int]], libraries: Libraries
) -> list[str]:
    """Return the library of each frame of a stack, "" for Python's lines.

    One address has a frame for each function that was inlined there, which memray tells when it is
    asked for one address more; of the native frames it leaves out those that evaluate Python.
    """
    native: list[tuple[tuple[str, str, int], str]] = []
    addresses = libraries.of(record.native_stack_id, record.native_segment_generation)
    for depth, library in enumerate(addresses, 1):
        if len(native) >= 2 * len(frames):
            break
        told = record.native_stack_trace(depth)
        native += [(frame, library) for frame in told[len(native) :]]
    found, at = [], 0
    for frame in frames:
        there = [k for k in range(at, len(native)) if native[k][0] == frame]
        found.append(native[there[0]][1] if there else "")
        at = there[0] + 1 if there else at
    return found


def _thinned(marks: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Keep all phases, and of many steps some at even distances; the last of each name counts."""
    unique = dict(marks)
    steps = [name for name in unique if name.startswith("step ")]
    every = max(1, -(-len(steps) // _MAX_STEPS))
    dropped = {name for k, name in enumerate(steps) if (len(steps) - 1 - k) % every}
    return [(name, time) for name, time in unique.items() if name not in dropped]


def _add(sums: dict[Any, list[int]], key: Any, size: int, blocks: int) -> None:
    entry = sums.setdefault(key, [0, 0])
    entry[0] += size
    entry[1] += blocks


def _changes(
    moments: dict[str, dict[int, list[int]]], numbers: dict[int, int]
) -> Iterator[tuple[str, list[list[int]]]]:
    """Yield each moment with what the stacks hold that held something else before."""
    before: dict[int, list[int]] = {}
    for name, live in moments.items():
        now = {stack: held for stack, held in live.items() if stack in numbers}
        gone = [stack for stack in before if stack not in now]
        changed = [stack for stack, held in now.items() if before.get(stack) != held]
        yield name, [[numbers[k], *now.get(k, [0, 0])] for k in sorted([*gone, *changed])]
        before = now


def _thin(points: list[tuple[float, int, int]]) -> dict[str, list[float]]:
    """Keep of each stretch the point with the largest heap."""
    width = max(1, -(-len(points) // _MAX_POINTS))
    kept = [max(points[k : k + width], key=itemgetter(1)) for k in range(0, len(points), width)]
    names = ("epoch_s", "heap", "rss")
    return {name: [p[k] for p in kept] for k, name in enumerate(names)}


def _short(function: str) -> str:
    """Return a function's name without what the compiler and C++ add to it."""
    name = function.partition(" [clone")[0]
    if "::" in name and not name.startswith("("):
        name = name.partition("(")[0]  # C++ brings its arguments' types along
    return name
