"""Captures that are unusual: empty, without native traces, of another machine, cut short."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import time

import msgspec
import pytest

from listen2lab.errors import ProbeError
from listen2lab.probes.tracing import reduce_capture
from listen2lab.study.trace_records import Trace

RECORD = """
    import memray, sys, time
    tracker = memray.Tracker(
        destination=memray.FileDestination(sys.argv[1], overwrite=True), native_traces=NATIVE
    )
    with tracker:
        BODY
"""


def codes(heap):
    """Return what a capture is said not to tell."""
    return [note["code"] for note in heap["notes"]]


def peak_of(heap):
    """Return the bytes at the moment of the peak."""
    return next(moment["bytes"] for moment in heap["moments"] if moment["name"] == "peak")


@pytest.fixture
def capture(tmp_path):
    """Return a function that records a capture in a process of its own."""

    def record(body="held = bytearray(9 << 20); time.sleep(0.03)", *, native=True, kill=False):
        path = tmp_path / "heap.bin"
        code = textwrap.dedent(RECORD).replace("BODY", body).replace("NATIVE", str(native))
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert kill or done.returncode == 0
        return str(path)

    return record


def test_a_plain_capture_adds_up_at_every_moment(capture):
    """Each moment's rows and small stacks are the whole heap; the peak is memray's."""
    heap = reduce_capture(capture())
    assert heap["peak"] == pytest.approx(9 << 20, rel=0.05)
    trace = msgspec.convert(heap, Trace)
    for moment, live in trace.walk():
        kept = sum(size for size, _ in live.values())
        assert 0 <= moment.bytes - kept < 0.02 * 2**20
    assert heap["notes"] == []


def test_a_peak_between_two_looks_is_found(capture):
    """A block that lives for less than memray's interval is in the peak all the same."""
    heap = reduce_capture(capture("bytearray(30 << 20); time.sleep(0.05)"))
    assert peak_of(heap) == pytest.approx(30 << 20, rel=0.05)


def test_without_native_traces_python_s_lines_are_told(capture):
    """What cannot be told is named."""
    heap = reduce_capture(capture(native=False))
    assert peak_of(heap) > 9 << 20
    assert codes(heap) == ["no-native-traces"]


def test_a_capture_of_nothing_is_told_as_such(capture):
    """Zero allocations give empty moments, no error."""
    heap = reduce_capture(capture("pass"), [("setup", 0.0)])
    assert {moment["name"] for moment in heap["moments"]} == {"peak", "setup", "not-freed"}
    assert heap["peak"] < 1 << 20


def test_moments_after_the_capture_s_end_are_not_told(capture):
    """Memray stops without an error when the disk is full: nobody may read its last look as now."""
    heap = reduce_capture(capture(), [("setup", 0.0), ("released", time.time() + 60)])
    assert {moment["name"] for moment in heap["moments"]} == {"peak", "setup"}
    assert heap["notes"] == [{"code": "capture-ends-before", "values": {"phase": "released"}}]


def test_a_killed_recording_is_read_as_far_as_it_goes(capture):
    """What was written before the kill is told, and that it is not all."""
    body = (
        "import os, signal\n"
        "    held = [bytearray(2000) for _ in range(50_000)]; time.sleep(0.05)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    heap = reduce_capture(capture(body, kill=True))
    assert peak_of(heap) > 10 << 20
    assert set(codes(heap)) & {"capture-cut", "recording-not-ended"}


def test_a_file_that_is_no_capture_is_refused(tmp_path):
    """A damaged or foreign file is an error with a next step."""
    (tmp_path / "heap.bin").write_bytes(b"nothing")
    with pytest.raises(ProbeError, match="no capture that memray can read"):
        reduce_capture(str(tmp_path / "heap.bin"))
    with pytest.raises(ProbeError):
        reduce_capture(str(tmp_path / "none.bin"))


def test_marks_show_the_heap_as_it_was(capture, tmp_path):
    """A mark's moment is the last look before it."""
    body = (
        "first = bytearray(5 << 20); time.sleep(0.05); mark = time.time()\n"
        "    second = bytearray(7 << 20); time.sleep(0.05)\n"
        f"    open({str(tmp_path / 'mark')!r}, 'w').write(repr(mark))"
    )
    path = capture(body)
    mark = float((tmp_path / "mark").read_text())
    moments = {m["name"]: m["bytes"] for m in reduce_capture(path, [("setup", mark)])["moments"]}
    assert moments["setup"] == pytest.approx(5 << 20, rel=0.05)
    assert moments["peak"] == pytest.approx(12 << 20, rel=0.05)


def test_a_step_has_its_own_peak_and_a_small_stack_that_grows_is_kept(capture, tmp_path):
    """Working memory of a step is seen where it is highest, growth among much larger stacks."""
    body = (
        "marks = []; held = []; big = [bytearray((1 << 20) + k) for k in range(30)]\n"
        "    for k in range(6):\n"
        "        work = bytearray(20 << 20); time.sleep(0.15); del work\n"
        "        held.append(bytearray(40 << 10)); time.sleep(0.1); marks.append(time.time())\n"
        f"    open({str(tmp_path / 'marks')!r}, 'w').write(repr(marks))"
    )
    path = capture(body)
    marks = ast.literal_eval((tmp_path / "marks").read_text())
    heap = reduce_capture(path, [(f"step {k}", mark) for k, mark in enumerate(marks)])
    trace = msgspec.convert(heap, Trace)
    names = [moment.name for moment in trace.moments]
    looks = [name for name in names if name not in ("peak", "not-freed")]
    seen = [k for k in range(6) if f"step {k} peak" in names]
    assert len(seen) >= 4  # a busy machine may keep memray from looking for a whole step
    assert looks == [
        f"step {k}{ending}" for k in range(6) for ending in (" peak", "") if not ending or k in seen
    ]
    size = {moment.name: moment.bytes for moment in trace.moments}
    for k in seen:
        assert size[f"step {k} peak"] - size[f"step {k}"] == pytest.approx(20 << 20, rel=0.05)
    then, now = trace.live("step 2"), trace.live("step 5")
    grown = {stack: held[0] - then.get(stack, (0, 0))[0] for stack, held in now.items()}
    assert sum(grown.values()) == pytest.approx(3 * (40 << 10), rel=0.1)


def test_a_trace_that_names_what_it_does_not_hold_is_refused():
    """Numbers of stacks and frames from a stranger lead nowhere else."""
    good = {"allocations": 1, "peak": 1, "curve": {}, "frames": [["f", "", 0]]}
    stack = {"frames": [0]}
    for stacks, row in (
        ([stack], [1, 1, 1]),
        ([stack], [-1, 1, 1]),
        ([{"frames": [7]}], [0, 1, 1]),
    ):
        moments = [{"name": "peak", "bytes": 1, "changes": [row]}]
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**good, "stacks": stacks, "moments": moments}, Trace)
    with pytest.raises(msgspec.ValidationError, match="not of the peak"):
        msgspec.convert({**good, "moments": [{"name": "end", "bytes": 1}]}, Trace)
