"""Whatever a file holds, reading it ends in evidence or in a sentence.

Some thousand inputs by default. For a hundred thousand (some ten minutes)::

    DEVICE_FUZZ=7700 python -m pytest tests/test_device_fuzz.py -p no:cacheprovider

An input is a good file and a few wounds: numbers that say where, how and with what it is damaged.
So inputs are cheap to draw, and a failing one is shrunk to few wounds.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_device_log import whole

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.device.formats import (
    dumpsys,
    footprint,
    heap,
    jetsam,
    leaks,
    linux_proc,
    malloc_history,
    metrickit,
    table,
    vmmap,
)
from listen2lab.device.formats.app_log import read_applog
from listen2lab.device.formats.app_log_grammar import APP, mojibake
from listen2lab.device.formats.app_log_sessions import split_sessions
from listen2lab.device.formats.app_log_tables import TABLES as TABLES_OF_LOG
from listen2lab.device.formats.schema import COLUMNS, Series, difference
from listen2lab.device.formats.tally import Tally
from listen2lab.errors import InputError
from listen2lab.report.device_terminal import as_text

FIXTURES = Path(__file__).parent / "fixtures" / "device"
EXAMPLES = int(os.environ.get("DEVICE_FUZZ", "80"))
"""Inputs for each test."""

READERS = {
    "vmmap_summary.txt": vmmap.FORMAT.read,
    "vmmap_regions.txt": vmmap.FORMAT.read,
    "footprint_two.txt": footprint.FORMAT.read,
    "heap.txt": heap.FORMAT.read,
    "leaks.txt": leaks.FORMAT.read,
    "meminfo.txt": dumpsys.FORMAT.read,
    "tools/meminfo_old.txt": dumpsys.FORMAT.read,
    "tools/meminfo_4_3.txt": dumpsys.FORMAT.read,
    "tools/meminfo_checkin.txt": dumpsys.FORMAT.read,
    "tools/showmap.txt": linux_proc.FORMAT.read,
    "tools/smaps.txt": linux_proc.FORMAT.read,
    "tools/status.txt": linux_proc.FORMAT.read,
    "tools/malloc_history.txt": malloc_history.FORMAT.read,
    "tools/metrickit.json": metrickit.FORMAT.read,
    "tools/jetsam.ips": jetsam.FORMAT.read,
}
TEXTS = {name: (FIXTURES / name).read_text() for name in READERS}
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

PIECES = ("-", "-1", "999999999999999999999", "1e309", "nan", "0x", "\t", "%", "[", "]", "(", "{",
          '"', "\\", "0", "²", "٣", "\u202f", "\u00a0", ",", ".", ":", "K", "G", " MB", "\x00",
          "\ufffd", "📊", " ", "  ", "9" * 40, "\x1b[31m", "a" * 500, "\r", "\x85", "\u2028",
          "Process: x [1]", "TOTAL", "[MEMORY] Total: 1.0 MB ", "\udcff", "é")  # fmt: skip
number = st.integers(0, 2**20)
wounds = st.lists(st.tuples(number, number, number), max_size=6)


class Lines:
    """Stands for a file's content: lines that were read already."""

    def __init__(self, lines):
        self.lines = lines

    def texts(self):
        """Return them with their numbers, as text that was decoded from a file."""
        return enumerate((line.encode("utf-8", "replace").decode() for line in self.lines), 1)


def encoded(records):
    """Return records as JSON; fails for what is none."""
    return msgspec.json.encode([one for one in records if not isinstance(one, Series)])


def damaged(text, wounds):
    """Return a text's lines, some lost, doubled, cut, swapped, or with pieces put in."""
    lines = text.splitlines()
    for where, how, what in wounds:
        k = where % len(lines)
        line, at = lines[k], what % (len(lines[k]) + 1)
        way = how % 6
        if way == 0 and len(lines) > 1:
            del lines[k]
        elif way == 1:
            lines.insert(k, line)
        elif way == 2:
            lines[k] = line[:at]
        elif way == 3:
            other = what % len(lines)
            lines[k], lines[other] = lines[other], line
        else:
            piece, skip = PIECES[how // 6 % len(PIECES)], how // 6 % 7 if way == 5 else 0
            lines[k] = line[:at] + piece + line[at + skip :]
    return lines


@pytest.mark.parametrize("name", READERS)
@given(wounds=wounds)
@fuzzed
def test_damaged_reports(name, wounds):
    """A reader of reports keeps what it understands, and its numbers stay sizes."""
    lines = damaged(TEXTS[name], wounds)
    tally = Tally(name, lines=len(lines))
    found = READERS[name](Lines(lines), tally)
    assert tally.recognised + tally.malformed <= len(lines)
    assert encoded(found)
    for one in found:
        for category in getattr(one, "categories", ()):
            values = [getattr(category, column) for column in (*COLUMNS, "regions")]
            assert all(v is None or v >= 0 for v in values)
    if len(found) > 1 and hasattr(found[0], "categories"):
        difference(found[0], found[1])


@given(wounds=wounds)
@fuzzed
def test_damaged_json(wounds):
    """A damaged report in JSON is read as far as it is JSON, or not at all."""
    lines = damaged((FIXTURES / "footprint.json").read_text(), wounds)
    tally = Tally("x", lines=len(lines))
    found = footprint.FORMAT_JSON.read(Lines(lines), tally)
    assert encoded(found)
    assert all(one.counted is None or one.counted >= 0 for one in found)
    assert tally.recognised + tally.malformed <= tally.lines


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
    assert encoded(footprint.FORMAT_JSON.read(Lines([text]), Tally("x", lines=1)))


OTHERS = [
    "csv-two-pids",
    "table-blanks",
    "key-values",
    "list-mprof",
    "log-lines",
    "jsonl-nested",
    "csv-quoted",
]
CASES = [(FIXTURES / "cases" / f"{name}.txt").read_text() for name in OTHERS]
CASES += [(FIXTURES / "tools" / f"{name}.txt").read_text() for name in ("ps", "top", "pidstat")]
CSV = "time,rss_mb\n" + "".join(f"{k},{100 + k}\n" for k in range(6))
JSONL = "".join(json.dumps({"t": k, "rss": 100 + k}) + "\n" for k in range(6))
TABLES = {"csv": (table.FORMAT.read, CSV), "jsonl": (table.FORMAT_JSON.read, JSONL)}


@pytest.mark.parametrize("kind", TABLES)
@given(wounds=wounds)
@fuzzed
def test_damaged_tables(kind, wounds):
    """What stays of a table is times and sizes."""
    reader, text = TABLES[kind]
    lines = damaged(text, wounds)
    tally = Tally("x", lines=len(lines))
    for one in reader(Lines(lines), tally):
        assert (one.memory >= 0).all()
        assert np.isfinite(one.time).all()
    assert tally.recognised + tally.malformed <= len(lines)


LOG = "\n".join([*whole(3), "📊 [MEMORY] Total: 12.5 MB", "📊 [MEMORY] Unaccounted: ~1.0 MB (x)",
                 "2025-11-15 10:22:01.5 Listen2[5:7] [MEMORY] Tasks: 3 active",
                 "[PhonemeAlign] ✅ Cache hit for paragraph 7 (hits: 3, misses: 9)"])  # fmt: skip


@given(wounds=wounds)
@fuzzed
def test_damaged_logs(wounds):
    """Any damage: each line is recognised, ignored or malformed, and the tables can be made."""
    lines = [line.encode("utf-8", "replace") for line in damaged(LOG, wounds)]
    tally = Tally("x", lines=len(lines))
    rows = read_applog([(1, lines)], tally)
    assert tally.recognised + tally.malformed <= len(lines)
    memory = rows["memory"]
    assert (np.isnan(memory) | (memory >= 0)).all()
    for session in split_sessions(rows, "x"):
        for name, columns in TABLES_OF_LOG.items():
            assert session.tables[name].shape[1] == len(columns)


WORDS = [words for words in sorted(APP.shapes) if words in LOG.encode()]
digits = st.one_of(
    st.integers(0, 10**6).map(str), st.integers(0, 10**7).map(lambda n: f"{n // 100}.{n % 100:02}")
)


@given(words=st.sampled_from(WORDS), numbers=st.lists(digits, min_size=1, max_size=5))
@fuzzed
def test_reading_many_alike_is_reading_each_alone(words, numbers):
    """The quick way and the strict one give the same numbers."""
    line = next(x for x in LOG.encode().split(b"\n") if words in x)
    lines = [line.replace(b"12", n.encode(), 1).replace(b"0.5", n.encode(), 1) for n in numbers]
    together = read_applog([(1, lines)], Tally("x"))
    alone = [read_applog([(k, [each])], Tally("x")) for k, each in enumerate(lines, 1)]
    rows = [row for part in alone for row in part]
    assert len(rows) == len(together)
    for one, other in zip(rows, together, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), nan_ok=True)


@given(between=st.binary(max_size=40))
@fuzzed
def test_any_bytes_before_the_words(between):
    """Whatever stands where the emoji was, it is emoji, mojibake or nothing."""
    found = mojibake(between)
    assert found is None or 0 <= found[1] <= 4


ANY = [LOG, CSV, JSONL, *TEXTS.values(), *CASES, "\n".join([LOG, *TEXTS.values()])]


@given(which=number, wounds=wounds, before=st.binary(max_size=20), end=number)
@fuzzed
def test_any_file(which, wounds, before, end, tmp_path_factory):
    """From any bytes to printed words, or to one sentence."""
    text = "\n".join(damaged(ANY[which % len(ANY)], wounds))
    content = text.encode("utf-8", "surrogateescape")
    way = which // len(ANY) % 4
    if way == 1:
        content = content.decode("utf-8", "replace").encode("utf-16", "replace")
    elif way == 2:
        content = before + content[: end % (len(content) + 1)]
    elif way == 3:
        content = gzip.compress(content, 1)[: end % 4000]
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    try:
        evidence = device.read(file)
    except InputError:
        return
    found = answer(evidence)
    assert msgspec.json.decode(msgspec.json.encode(found), type=device.Answer) == found
    assert as_text(found)


def test_a_hit_counter_that_goes_back_before_anything_was_read():
    """It begins no other process; nothing was read in this one."""
    hits = "[PhonemeAlign] ✅ Cache hit for paragraph 7 (hits: {}, misses: 1)"
    start = "[SynthesisQueue] 🔄 Pre-synthesis paragraph 8, memory: 83.3 MB"
    for lines in ([hits.format(3), hits.format(1)], [hits.format(3), hits.format(1), start]):
        rows = read_applog([(1, [line.encode() for line in lines])], Tally("x"))
        assert len(split_sessions(rows, "x")) == 1
