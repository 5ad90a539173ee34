"""Trace allocations with memray, and reduce a capture to what a report shows.

A profiler changes what it measures, so a traced run explains *who* allocated and never gives a
level or a rate. Native symbols resolve only on the machine that recorded, so a capture is reduced
by the process that made it, right after recording.
"""

from __future__ import annotations

import json
import os
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

__all__ = ["recording", "reduce_capture", "write_reduced"]

_MAX_POINTS = 600  # points kept of the heap's curve: more than a plot can show
_MAX_PLACES = 40  # places kept of a table of allocators
_RESOLVED = 1500
_FRAMES = 14
# Resolving native symbols is what takes time. A capture has tens of thousands of stacks, and all
# but the largest thousand hold some bytes each; the innermost frames say whose they are.
_ALLOCATORS = (
    "operator new",
    "malloc",
    "calloc",
    "realloc",
    "_PyObject_",
    "PyMem_",
    "_PyMem_",
    "PyObject_",
    "default_malloc",
    "__GI_",
    "posix_memalign",
    "aligned_alloc",
    "mmap",
)
_SMALL = ("(small blocks)", "", False)
_ENGINE = ("sherpa_onnx", "onnxruntime", "Ort", "BFCArena")


def recording(path: str) -> AbstractContextManager[Any]:
    """Record every allocation with native frames while the context is open.

    Parameters
    ----------
    path
        The capture to write; an older one there is overwritten.

    Returns
    -------
    context manager
        memray's tracker. Only one can be open in a process at a time.
    """
    import memray  # noqa: PLC0415 - only traced runs load it

    return memray.Tracker(
        destination=memray.FileDestination(path, overwrite=True), native_traces=True
    )


def write_reduced(capture: str, path: str) -> None:
    """Reduce a capture and write it as JSON, in one rename.

    Parameters
    ----------
    capture
        A memray capture.
    path
        The JSON file to write.
    """
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123 - in the worker
        json.dump(reduce_capture(capture), file)
    os.replace(temporary, path)  # noqa: PTH105


def reduce_capture(capture: str) -> dict[str, Any]:
    """Reduce a capture to its curve and its largest allocators.

    Parameters
    ----------
    capture
        A memray capture, recorded by this process.

    Returns
    -------
    dict
        ``allocations`` (how many), ``peak`` (bytes), ``curve`` (``epoch_s``, ``heap`` and ``rss``
        bytes, thinned so that the peak stays) and ``at_peak``, a list of
        ``{"bytes", "blocks", "function", "file", "engine"}`` by the innermost function that is no
        allocator, the largest first; the last, ``"(others)"``, holds the rest, so that a list sums
        to the whole. ``engine`` tells whether the speech engine stands behind an allocation.
    """
    import memray  # noqa: PLC0415 - only traced runs load it

    reader: Any = memray.FileReader(capture)
    with reader:
        points = [(s.time / 1000, s.heap, s.rss) for s in reader.get_memory_snapshots()]
        return {
            "allocations": reader.metadata.total_allocations,
            "peak": reader.metadata.peak_memory,
            "curve": _thin(points),
            "at_peak": _places(reader.get_high_watermark_allocation_records(merge_threads=True)),
        }
    raise AssertionError("memray's reader swallows no exception")  # pragma: no cover


def _thin(points: list[tuple[float, int, int]]) -> dict[str, list[float]]:
    """Keep of each stretch the point with the largest heap."""
    width = max(1, -(-len(points) // _MAX_POINTS))
    kept = [max(points[k : k + width], key=_heap_of) for k in range(0, len(points), width)]
    names = ("epoch_s", "heap", "rss")
    return {name: [p[k] for p in kept] for k, name in enumerate(names)}


def _place(stack: list[tuple[str, str, int]]) -> tuple[str, str, bool]:
    """Return the function, its file, and whether the engine stands behind it."""
    if not stack:
        return ("(no frame)", "", False)
    engine = any(mark in frame[0] for frame in stack for mark in _ENGINE)
    named = next((f for f in stack if not f[0].startswith(_ALLOCATORS)), stack[0])
    function = named[0].partition(" [clone")[0]
    if "::" in function and not function.startswith("("):
        function = function.partition("(")[0]  # C++ brings its arguments' types along
    return function, os.path.basename(named[1]).replace("<unknown>", ""), engine  # noqa: PTH119


def _size_of(record: Any) -> int:
    return int(record.size)


def _heap_of(point: tuple[float, int, int]) -> int:
    return point[1]


def _places(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Sum records by the innermost function that is no allocator."""
    sums: dict[tuple[str, str, bool], list[int]] = {}
    for rank, record in enumerate(sorted(records, key=_size_of, reverse=True)):
        place = _place(record.hybrid_stack_trace(_FRAMES)) if rank < _RESOLVED else _SMALL
        entry = sums.setdefault(place, [0, 0])
        entry[0] += record.size
        entry[1] += record.n_allocations
    ranked = sorted(sums.items(), key=lambda item: -item[1][0])
    places = [
        {"bytes": size, "blocks": blocks, "function": function, "file": file, "engine": engine}
        for (function, file, engine), (size, blocks) in ranked[:_MAX_PLACES]
    ]
    rest = ranked[_MAX_PLACES:]
    if rest:
        places.append(
            {
                "bytes": sum(size for _, (size, _) in rest),
                "blocks": sum(blocks for _, (_, blocks) in rest),
                "function": "(others)",
                "file": "",
                "engine": False,
            }
        )
    return places
