"""memray's own flame graphs of a traced run: one file each, which opens without a network."""

from __future__ import annotations

import datetime as dt
import io
from functools import partial
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from listen2lab.account.owners import SMALL_STACKS, moment_of
from listen2lab.account.traces import traced_run
from listen2lab.errors import ProbeError, StudyError, UnknownNameError
from listen2lab.study.plan import TRACED

if TYPE_CHECKING:
    from pathlib import Path

    from listen2lab.study.data import StudyData
    from listen2lab.study.folder import RunFolder
    from listen2lab.study.trace_records import Trace

__all__ = ["flame_graph", "links", "page_of", "temporal_graph"]

_PEAK, _BY_TIME = "flame.html", "flame-temporal.html"
_MAX_STACKS = 3000
# A capture has tens of thousands of stacks, and a browser as many boxes to draw. The largest three
# thousand hold nearly all bytes; the page says what the others held.


def flame_graph(
    study: StudyData, experiment: str, condition: str, steps: tuple[int, int] | None = None
) -> Path:
    """Write the flame graph of a traced run's peak, or of what a range of steps kept.

    Of first and last step: what was allocated in them and still live after them. The page stands
    beside the capture and holds everything it needs.

    Raises
    ------
    StudyError
        There is no capture; `ProbeError`: memray cannot read it.
    UnknownNameError
        There are no such steps.
    """
    folder = traced_run(study, experiment, condition)
    capture = _capture(folder, experiment, condition)
    if steps is None:
        return _write(folder, capture, _PEAK)
    ends = {
        int(sample.step): sample.epoch_s
        for sample in folder.samples()
        if sample.epoch_s is not None and sample.step is not None
    }
    for step in steps:
        if step not in ends:
            raise UnknownNameError("step of this traced run", str(step), map(str, ends))
    begins = [time for step, time in ends.items() if step < steps[0]]
    between = (max(begins) if begins else 0.0, ends[steps[1]])
    name = f"flame-{steps[0]}-{steps[1]}.html"
    return _write(folder, capture, name, between=between)


def temporal_graph(study: StudyData, experiment: str, condition: str) -> Path:
    """Write the flame graph in which a reader chooses the stretch of time; see `flame_graph`."""
    folder = traced_run(study, experiment, condition)
    capture = _capture(folder, experiment, condition)
    return _write(folder, capture, _BY_TIME, temporal=True)


def page_of(trace: Trace, at: str) -> str:
    """Return memray's flame graph of one moment of a trace, made of the stacks that it kept."""
    import memray

    moment = moment_of(trace, at)
    live = trace.live(moment.name)
    stacks = [
        ([trace.frames[k] for k in trace.stacks[number].frames], size, blocks)
        for number, (size, blocks) in live.items()
    ]
    rest = moment.bytes - sum(size for _, size, _ in stacks)
    stacks.append(([(SMALL_STACKS, "", 0)], rest, 1))
    times = trace.curve.epoch_s or (0.0,)
    begin, end = (dt.datetime.fromtimestamp(s, dt.timezone.utc) for s in (times[0], times[-1]))
    metadata = memray.Metadata(
        start_time=begin, end_time=end, total_allocations=trace.allocations,
        total_frames=len(trace.frames), peak_memory=trace.peak, command_line=moment.name, pid=0,
        main_thread_id=0, python_allocator="", has_native_traces=True,
        trace_python_allocators=False, file_format=memray.FileFormat.ALL_ALLOCATIONS,
    )  # fmt: skip
    points = [
        memray.MemorySnapshot(int(1000 * at_s), rss, heap)
        for at_s, heap, rss in zip(*msgspec.structs.astuple(trace.curve), strict=True)
    ]
    records = []
    for frames, size, blocks in stacks:
        get: Any = partial(list, frames)
        records.append(_record(size, blocks, get, get))
    return _page(records, points, metadata, leaks=False)


def links(study: StudyData, experiment: str, condition: str) -> list[tuple[str, str]]:
    """Return what each page there is shows (``peak``, ``time``, steps: ``3-4``), and its path."""
    folder = study.folder.run(f"{experiment}/{condition}/{TRACED}").path
    kinds = {_PEAK: "peak", _BY_TIME: "time"}
    return [
        (
            kinds.get(page.name, page.stem.removeprefix("flame-")),
            page.relative_to(study.folder.path).as_posix(),
        )
        for page in sorted(folder.glob("flame*.html"))
    ]


def _capture(folder: RunFolder, experiment: str, condition: str) -> Path:
    if not folder.has_capture():
        raise StudyError(
            f"{experiment}/{condition} has no capture: it was not traced, or the capture was left "
            f"out of a shared study; `listen2lab run {experiment} --levels {condition}` traces it"
        )
    return folder.capture_path


def _write(
    folder: RunFolder,
    capture: Path,
    name: str,
    *,
    temporal: bool = False,
    between: tuple[float, float] | None = None,
) -> Path:
    """Write memray's page in one rename."""
    import memray

    try:
        with memray.FileReader(str(capture)) as reader:
            points = tuple(reader.get_memory_snapshots())
            records: Any
            highest = None
            if temporal:
                records, highest = reader.get_temporal_high_water_mark_allocation_records(
                    merge_threads=True
                )
            elif between is None:
                records = reader.get_high_watermark_allocation_records(merge_threads=True)
            else:
                records = _within(reader, points, between)
            kept = sorted(records, key=_most if temporal else attrgetter("size"), reverse=True)
            page = _page(
                kept[:_MAX_STACKS], points, reader.metadata, leaks=between is not None,
                by_time=highest,
            )  # fmt: skip
    except OSError as error:
        raise ProbeError(
            f"the flame graph of {'/'.join(capture.parent.parts[-3:])} could not be made "
            f"({error}); trace the condition again"
        ) from error
    return folder.write(name, page.encode("utf-8", "backslashreplace"))


def _page(records: Any, points: Any, metadata: Any, *, leaks: bool, by_time: Any = None) -> str:
    """Return memray's page of some records, which opens without a network."""
    from memray.reporters.flamegraph import FlameGraphReporter

    page = io.StringIO()
    given = {"memory_records": points, "native_traces": metadata.has_native_traces}
    make: Any = FlameGraphReporter.from_snapshot
    if by_time is not None:
        make, given["high_water_mark_by_snapshot"] = (
            FlameGraphReporter.from_temporal_snapshot, by_time,
        )  # fmt: skip
    make(records, **given).render(
        outfile=page, metadata=metadata, show_memory_leaks=leaks, merge_threads=True,
        inverted=False, no_web=True,
    )  # fmt: skip
    return page.getvalue()


def _most(record: Any) -> int:
    """Return the most bytes that one stretch of a stack's life held."""
    return max((int(span.n_bytes) for span in record.intervals), default=0)


def _within(reader: Any, points: Any, between: tuple[float, float]) -> list[Any]:
    """Return what was allocated in a stretch of time, and live at its end, by stack."""
    times = [point.time / 1000 for point in points]
    first = sum(time <= between[0] for time in times)
    last = sum(time <= between[1] for time in times) - 1
    found = []
    for record in reader.get_temporal_allocation_records(merge_threads=True):
        size = blocks = 0
        for span in record.intervals:
            end = span.deallocated_before_snapshot
            if first <= span.allocated_before_snapshot <= last and (end is None or end > last):
                size += span.n_bytes
                blocks += span.n_allocations
        if size:
            found.append(_record(size, blocks, record.hybrid_stack_trace, record.stack_trace))
    return found


def _record(size: int, blocks: int, hybrid: Any, lines: Any) -> SimpleNamespace:
    """Return what memray's reporter asks of a record; stacks are asked for by calling."""
    return SimpleNamespace(
        tid=-1,  # memray's mark for "all threads"
        thread_name="",
        size=size,
        n_allocations=blocks,
        hybrid_stack_trace=hybrid,
        stack_trace=lines,
    )
