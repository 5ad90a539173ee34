"""Whatever a file holds, reading it ends in evidence or in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_device_log import whole

from listen2lab import device
from listen2lab.device import dumpsys, footprint, heap, regions, series
from listen2lab.device._grammar import SHAPES, mojibake
from listen2lab.device.answer import answer
from listen2lab.device.applog import read_applog
from listen2lab.device.schema import difference
from listen2lab.device.sessions import split_sessions
from listen2lab.device.tally import Tally
from listen2lab.device.words import told
from listen2lab.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures" / "device"
EXAMPLES = int(os.environ.get("DEVICE_FUZZ", "80"))
"""Inputs for each parser; DEVICE_FUZZ=7700 makes 100,000 in all."""

READERS = {
    "vmmap_summary.txt": regions.read_vmmap,
    "vmmap_regions.txt": regions.read_vmmap,
    "footprint_two.txt": footprint.read_footprint,
    "heap.txt": heap.read_heap,
    "leaks.txt": heap.read_leaks,
    "meminfo.txt": dumpsys.read_dumpsys,
}
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

pieces = st.one_of(
    st.sampled_from(["-", "-1", "999999999999999999999", "1e309", "nan", "0x", "\t", "%", "[", "]",
                     "0", "²", "٣", "\u202f", ",", ".", "K", "G", "\x00", "\ufffd", "📊", " "]),
    st.text(max_size=8),
)  # fmt: skip


@st.composite
def damaged(draw, text):
    """Return a text with lines lost, doubled, cut, swapped, and pieces put in."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 6))):
        k = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["lose", "double", "cut", "insert", "replace", "swap"]))
        if how == "lose" and len(lines) > 1:
            del lines[k]
        elif how == "double":
            lines.insert(k, lines[k])
        elif how == "cut":
            lines[k] = lines[k][: draw(st.integers(0, len(lines[k])))]
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[k], lines[other] = lines[other], lines[k]
        else:
            at = draw(st.integers(0, len(lines[k])))
            skip = draw(st.integers(0, 6)) if how == "replace" else 0
            lines[k] = lines[k][:at] + draw(pieces) + lines[k][at + skip :]
    return lines


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@fuzzed
def test_damaged_reports(name, data):
    """A reader of reports keeps what it understands, and its numbers stay sizes."""
    lines = data.draw(damaged((FIXTURES / name).read_text()))
    tally = Tally(name, lines=len(lines))
    found = READERS[name](enumerate(lines, 1), tally, name)
    assert tally.recognised + tally.malformed <= len(lines)
    for one in found:
        json.dumps(one.to_dict(), allow_nan=False)
        for category in getattr(one, "categories", ()):
            assert all(v is None or v >= 0 for k, v in vars(category).items() if k != "name")
    if len(found) > 1 and hasattr(found[0], "categories"):
        difference(found[0], found[1])


@given(text=st.one_of(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["processes", "categories", "auxiliary", "phys_footprint",
                     "samples", "bytes per unit", "name", "pid", "dirty", "regions", "x"]),
                inner, max_size=4,
            ),
        ),
        max_leaves=12,
    ).map(json.dumps),
    st.text(max_size=60),
))  # fmt: skip
@fuzzed
def test_any_json(text):
    """JSON of another shape is no footprint, and no crash."""
    found, _ = footprint.read_footprint_json(text, Tally("x", lines=1), "x")
    for one in found:
        json.dumps(one.to_dict(), allow_nan=False)


@given(data=st.data())
@fuzzed
def test_damaged_tables(data):
    """CSV and JSON lines."""
    table = "time,rss_mb\n" + "".join(f"{k},{100 + k}\n" for k in range(6))
    for one in series.read_csv(enumerate(data.draw(damaged(table)), 1), Tally("x"), "x"):
        assert (one.memory >= 0).all()
    rows = "".join(json.dumps({"t": k, "rss": 100 + k}) + "\n" for k in range(6))
    for one in series.read_jsonl(enumerate(data.draw(damaged(rows)), 1), Tally("x"), "x"):
        assert (one.memory >= 0).all()


LOG = "\n".join([*whole(3), "📊 [MEMORY] Total: 12.5 MB", "📊 [MEMORY] Unaccounted: ~1.0 MB (x)",
                 "2025-11-15 10:22:01.5 Listen2[5:7] [MEMORY] Tasks: 3 active",
                 "[PhonemeAlign] ✅ Cache hit for paragraph 7 (hits: 3, misses: 9)"])  # fmt: skip


@given(data=st.data())
@fuzzed
def test_damaged_logs(data):
    """Any damage: each line is recognised, ignored or malformed, and the tables can be made."""
    lines = [line.encode("utf-8", "replace") for line in data.draw(damaged(LOG))]
    lines = [line.replace(b"\n", b" ") for line in lines]
    tally = Tally("x", lines=len(lines))
    events = read_applog([(1, lines)], tally)
    assert tally.recognised + tally.malformed <= len(lines)
    for session in split_sessions(events, "x"):
        assert (session.events.column("memory") >= 0).sum() >= 0
        for table in session.tables.values():
            assert table.ndim == 2


@given(data=st.data())
@fuzzed
def test_reading_many_alike_is_reading_each_alone(data):
    """The quick way and the strict one give the same numbers."""
    words = data.draw(st.sampled_from(sorted(SHAPES)))
    line = (
        next(x for x in LOG.encode().split(b"\n") if words in x) if words in LOG.encode() else b""
    )
    number = st.one_of(st.integers(0, 10**6).map(str), st.decimals(0, 10**5, places=2).map(str))
    lines = []
    for _ in range(data.draw(st.integers(1, 5))):
        digits = data.draw(number).encode()
        lines.append(line.replace(b"12", digits, 1).replace(b"0.5", digits, 1))
    together = read_applog([(1, lines)], Tally("x")).rows
    alone = [read_applog([(k, [each])], Tally("x")).rows for k, each in enumerate(lines, 1)]
    rows = [row for part in alone for row in part]
    assert len(rows) == len(together)
    for one, other in zip(rows, together, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), nan_ok=True)


@given(between=st.binary(max_size=40))
@fuzzed
def test_any_bytes_before_the_words(between):
    """Whatever stands where the emoji was, it is emoji, mojibake or nothing."""
    assert mojibake(between) is None or isinstance(mojibake(between), str)


@given(data=st.data())
@fuzzed
def test_any_file(data, tmp_path_factory):
    """From any bytes to printed words, or to one sentence."""
    texts = [LOG, *((FIXTURES / name).read_text() for name in READERS)]
    lines = data.draw(damaged(data.draw(st.sampled_from(texts))))
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    codec = data.draw(st.sampled_from(["utf-8", "utf-16", "raw"]))
    if codec == "utf-16":
        content = content.decode("utf-8", "replace").encode("utf-16", "replace")
    elif codec == "raw":
        content = data.draw(st.binary(max_size=50)) + content[: data.draw(st.integers(0, 3000))]
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    try:
        evidence = device.read(file)
    except InputError:
        return
    assert told(answer(evidence))
