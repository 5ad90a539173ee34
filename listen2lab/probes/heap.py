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
        bytes, thinned so that the peak stays), ``at_peak`` and ``not_freed``: lists of
        ``{"bytes", "blocks", "function", "file", "engine"}`` by the innermost function, the
        largest first; a last one, ``"(others)"``, holds the rest, so that a list sums to the whole.
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
            "not_freed": _places(reader.get_leaked_allocation_records(merge_threads=True)),
        }
    raise AssertionError("memray's reader swallows no exception")  # pragma: no cover


def _thin(points: list[tuple[float, int, int]]) -> dict[str, list[float]]:
    """Keep of each stretch the point with the largest heap."""
    width = max(1, -(-len(points) // _MAX_POINTS))
    kept = [max(points[k : k + width], key=_heap_of) for k in range(0, len(points), width)]
    names = ("epoch_s", "heap", "rss")
    return {name: [p[k] for p in kept] for k, name in enumerate(names)}


def _heap_of(point: tuple[float, int, int]) -> int:
    return point[1]


def _places(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Sum records by the innermost frame, native or Python."""
    sums: dict[tuple[str, str, bool], list[int]] = {}
    for record in records:
        stack = record.hybrid_stack_trace()
        function, file, _line = stack[0] if stack else ("(no frame)", "", 0)
        engine = any(mark in frame[0] for frame in stack for mark in _ENGINE)
        entry = sums.setdefault((function, os.path.basename(file), engine), [0, 0])  # noqa: PTH119
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
