"""vmmap, footprint, heap, leaks, dumpsys and tables of time and memory, in one schema."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.device.formats.heap import compare_heaps
from listen2lab.device.formats.numbers import read_number, read_size
from listen2lab.device.formats.owners import OWNERS, owner_of
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.notice import Notice
from listen2lab.report.device_terminal import as_text
from listen2lab.report.text.device import nothing_read
from listen2lab.units import KIB, MIB

FIXTURES = Path(__file__).parent / "fixtures" / "device"
GOLDEN = FIXTURES / "golden"
REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "device"


def only(name):
    """Return the evidence of one fixture."""
    return device.read(FIXTURES / name)


def category(snapshot, name):
    """Return a category by name."""
    (found,) = (c for c in snapshot.categories if c.name == name)
    return found


@pytest.mark.parametrize(
    ("text", "size"),
    [("0K", 0), ("824", 824), ("36.2M", 37958451), ("1,024.0M", 2**30), ("4.0G", 2**32),
     ("6592 KB", 6592 * KIB), ("0 B", 0), ("12345678 B", 12345678), ("2.290,0 MB", 2401239040),
     ("1\u00a0234,5 MB", 1294467072), ("1,234 KB", 1234 * KIB), ("2,5 MB", 2621440),
     ("3.9T", 4288095348326)],
)  # fmt: skip
def test_sizes_in_all_units_and_locales(text, size):
    """Units are powers of 1024; a comma is a decimal or a thousands mark by what follows."""
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "-5K", "1..2K", "1,2,3K", "nan", "1e9", "9999999999G", "²K"]
)
def test_what_is_no_size_is_none(text):
    """Nothing is guessed out of a damaged number."""
    assert read_size(text) is None
    assert read_number("1,23,4") is read_number("1e9") is read_number("1_0") is None


def test_vmmap_summary():
    """Columns, names with spaces and numbers, peak lines, zones, and what the kill limit counts."""
    evidence = only("vmmap_summary.txt")
    (snapshot,) = evidence.snapshots
    assert (snapshot.process, snapshot.pid, snapshot.tool) == ("Listen2", 512, "vmmap")
    assert snapshot.footprint == round(1.9 * 2**30)
    assert snapshot.peak == round(2113.5 * MIB)
    assert snapshot.resident == round(2.2 * 2**30)
    assert len(snapshot.categories) == 19
    assert category(snapshot, "Memory Tag 255").dirty == 20 * MIB
    assert category(snapshot, "Memory Tag 255 (reserved)").virtual == 2**30
    assert category(snapshot, "__CTF").resident == 824
    large = category(snapshot, "MALLOC_LARGE")
    assert large.counted == round(1.5 * 2**30) + 64 * MIB
    # malloc's pages that are resident and not dirty were freed, and marked reusable.
    assert large.reclaimable == round(1.6 * 2**30) - round(1.5 * 2**30)
    assert large.clean == 0
    # The system counts what it holds for the process, dirty or not.
    assert category(snapshot, "owned unmapped (graphics)").counted == 72 * MIB
    # Here the resident size holds what is compressed: nothing of it is clean.
    assert category(snapshot, "IOSurface").clean == 0
    assert category(snapshot, "mapped file").clean == 61 * MIB
    zones = {zone.name: zone for zone in snapshot.zones}
    assert zones["DefaultMallocZone"].blocks == 225610
    assert zones["AttributeGraph graph data"].allocated == 2496
    (source,) = evidence.sources
    assert source.malformed == 0
    assert source.recognised + source.ignored == source.lines
    assert source.ignored == (FIXTURES / "vmmap_summary.txt").read_text().count("\n\n")


def test_vmmap_without_its_summary_adds_the_regions_up():
    """A report that was cut still says what the regions hold."""
    (snapshot,) = only("vmmap_regions.txt").snapshots
    assert category(snapshot, "MALLOC_LARGE").regions == 2
    assert category(snapshot, "MALLOC_LARGE").counted == (273 + 8) * MIB
    assert category(snapshot, "mapped file").clean == 44 * MIB + 16 * KIB
    assert snapshot.footprint == 310 * MIB
    assert snapshot.owner("stacks").virtual == 56 * MIB


def test_footprint_text_of_several_processes():
    """One snapshot a process; their summary is none; Dirty holds what is swapped."""
    snapshots = only("footprint_two.txt").snapshots
    assert [(s.process, s.footprint) for s in snapshots] == [
        ("Listen2", 2264 * MIB),
        ("mediaserverd", 30 * MIB),
    ]
    large = category(snapshots[0], "MALLOC_LARGE")
    assert (large.dirty, large.swapped, large.counted) == (1864 * MIB, 16 * MIB, 1880 * MIB)
    assert category(snapshots[0], "app-specific tag 14").counted == 64 * MIB
    assert category(snapshots[1], "MALLOC_SMALL").swapped is None
    assert snapshots[0].peak == 2290 * MIB
    assert sum(o.counted for o in snapshots[0].owners) == 2264 * MIB


def test_footprint_json_and_its_samples(tmp_path):
    """Units are in the file; several samples make a series."""
    (snapshot,) = only("footprint.json").snapshots
    page = 16384
    assert snapshot.footprint == 5000 * page
    assert snapshot.peak == 5500 * page
    assert category(snapshot, "MALLOC_LARGE").dirty == 3500 * page
    assert snapshot.owner("mapped files").clean == 3904 * page
    whole = json.loads((FIXTURES / "footprint.json").read_text())
    samples = [
        {"start_time": {"wall_time_s": 100.0 + k},
         "processes": [{"pid": 1, "auxiliary": {"phys_footprint": 100 + k}}]}
        for k in range(20)
    ]  # fmt: skip
    file = tmp_path / "samples"
    file.write_text(json.dumps({"bytes per unit": whole["bytes per unit"], "samples": samples}))
    (series,) = device.read(file).series
    assert series.footprint
    assert series.memory[-1] == 119 * page
    file.write_text('{\n "processes": [{"name": "x", "auxiliary": {"phys_foot')
    with pytest.raises(device.NothingReadError) as caught:
        device.read(file)
    values = caught.value.problems[0].values
    assert (values["first_code"], values["first_line"]) == ("json-damaged", 2)


def test_heap_and_leaks():
    """Classes with spaces keep their names; what leaks could not read, it says."""
    (heap,) = only("heap.txt").heaps
    assert (heap.blocks, heap.size) == (225619, 1648774664)
    assert [(c.name, c.kind, c.binary) for c in heap.classes[:2]] == [
        ("non-object", "", ""),
        ("CFString", "ObjC", "CoreFoundation"),
    ]
    assert ("Class.data (class_rw_t)", "C", "libobjc.A.dylib") in {
        (c.name, c.kind, c.binary) for c in heap.classes
    }
    assert next(c for c in heap.classes if c.kind == "Swift").size == 512 * KIB
    (leaks,) = only("leaks.txt").leaks
    assert (leaks.count, leaks.size, leaks.limited) == (3, 5120, True)
    assert leaks.live == 1610131 * KIB
    assert dict(leaks.roots) == {"NSMutableData": 4 * KIB, "Player": KIB}


def test_heaps_subtract(tmp_path):
    """What grew comes first."""
    text = (FIXTURES / "heap.txt").read_text()
    later = tmp_path / "later"
    later.write_text(text.replace("180000 1638000000", "190000 1738000000"))
    evidence = device.read([FIXTURES / "heap.txt", later])
    grew = compare_heaps(*evidence.heaps)
    assert [(c.name, c.binary, c.blocks, c.size) for c in grew] == [
        ("non-object", "", 10000, 100000000)
    ]


def test_dumpsys():
    """Private dirty and swapped is the nearest pair of a footprint; details are not added twice."""
    (snapshot,) = only("meminfo.txt").snapshots
    assert (snapshot.process, snapshot.pid) == ("com.example.listen2", 8118)
    assert snapshot.footprint == (422450 + 147) * KIB
    assert snapshot.resident == 456390 * KIB
    assert len(snapshot.categories) == 9
    assert snapshot.owner("heap, small blocks").counted == (382944 + 62) * KIB
    assert snapshot.owner("graphics and UI").counted == (11136 + 9000) * KIB
    assert snapshot.owner("code").clean == 4140 * KIB


def test_dumpsys_with_all_columns(tmp_path):
    """`dumpsys meminfo -a` of an older Android has other columns, in another order."""
    file = tmp_path / "x"
    file.write_text(
        "** MEMINFO in pid 7 [a] **\n"
        "         Pss   Pss Shared Private Shared Private Swapped  Heap  Heap  Heap\n"
        "       Total Clean  Dirty   Dirty  Clean   Clean   Dirty  Size Alloc  Free\n"
        "      ------ ----- ------ ------- ------ ------- ------- ----- ----- -----\n"
        "  Native Heap 18071  0    640   18004      0       7      18 29696 22848  6847\n"
        "      Gfx dev 14500  0      0   11136      0    3364       0\n"
        "        TOTAL 32571  0    640   29140      0    3371      18 29696 22848  6847\n"
    )
    (snapshot,) = device.read(file).snapshots
    native = category(snapshot, "Native Heap")
    assert (native.dirty, native.clean, native.swapped) == (18004 * KIB, 7 * KIB, 18 * KIB)
    assert snapshot.footprint == (29140 + 18) * KIB


@pytest.mark.parametrize(
    ("name", "owner"),
    [("MALLOC_LARGE (empty)", "heap, freed and kept"), ("MALLOC_TINY", "heap, small blocks"),
     ("MALLOC_NANO", "heap, small blocks"), ("untagged (VM_ALLOCATE)", "VM allocate"),
     ("mapped file", "mapped files"), ("Stack Guard", "stacks"), ("STACK GUARD", "stacks"),
     ("__DATA_CONST", "code"), ("unused dyld shared cache area", "code"), ("stack", "stacks"),
     ("VM_ALLOCATE (graphics)", "graphics and UI"), ("CG backing stores", "graphics and UI"),
     ("ImageIO", "graphics and UI"), ("SQLite page cache", "frameworks and others"),
     (".apk mmap", "code"), ("Other mmap", "mapped files"), ("IOKit", "frameworks and others")],
)  # fmt: skip
def test_each_category_has_an_owner(name, owner):
    """The grouping of the attribution, by the tools' names."""
    assert owner_of(name) == owner
    assert owner in OWNERS


def test_snapshots_subtract(tmp_path):
    """By owner and category; another process is said to be one."""
    text = (FIXTURES / "footprint_two.txt").read_text()
    early = tmp_path / "early"
    early.write_text(text.replace("1880 MB", " 310 MB").replace("2264 MB", " 694 MB"))
    evidence = device.read([early, FIXTURES / "footprint_two.txt"])
    change = device.difference(evidence.snapshots[0], evidence.snapshots[2])
    assert change.counted == 1570 * MIB
    assert {o.name: o.counted for o in change.owners}["heap, large blocks"] == 1570 * MIB
    assert {c.name: c.counted for c in change.categories}["IOSurface"] == 0


def test_table_of_time_and_memory(tmp_path):
    """Units come from the header; decimal commas and clock times are read."""
    file = tmp_path / "x"
    file.write_text(
        "Zeit;time;Real Mem (MB)\nx;0:00:01;1.234,5\ny;0:00:02;1.240,0\nz;0:00:03;kaputt\n"
    )
    evidence = device.read(file)
    (series,) = evidence.series
    assert series.memory[0] == 1234.5 * MIB
    assert series.time.tolist() == [0.0, 1.0]
    assert evidence.sources[0].notes == (Notice("no-memory", {"line": 4, "text": "kaputt"}),)
    file.write_text("time,rss_kb,phys_footprint_bytes\n0,100,2048\n1,100,4096\n")
    (series,) = device.read(file).series
    assert series.footprint
    assert series.memory.tolist() == [2048, 4096]


def test_times_and_sizes_that_no_number_holds(tmp_path):
    """An integer of four hundred digits is no time, and no crash."""
    file = tmp_path / "x"
    rows = [
        '{"t": 1, "rss": 5000000}',
        '{"t": ' + "9" * 400 + ', "rss": 1}',
        '{"t": 2, "rss": 1e999}',
    ]
    file.write_text("\n".join(rows))
    evidence = device.read(file)
    assert len(evidence.series[0].memory) == 1
    assert evidence.sources[0].malformed == 2
    file.write_text('{"processes": [{"pid": 1, "footprint": ' + "9" * 400 + ', "categories": {}}]}')
    with pytest.raises(InputError):
        device.read(file)


@pytest.mark.parametrize(
    "times",
    [("2025-11-15 10:00:00.123 +0100", "2025-11-15 10:00:30.123 +0100"),
     ("2025-11-15T09:00:00Z", "2025-11-15T09:00:30Z"), ("00:00.500.000", "00:30.500.000"),
     ("9:59:45,5", "10:00:15,5"), ("2025-11-15 23:59:45", "2025-11-16 00:00:15")],
)  # fmt: skip
def test_times_as_tools_write_them(tmp_path, times):
    """With a zone behind a space, as Instruments writes them, with a decimal comma."""
    file = tmp_path / "x"
    file.write_text("when;footprint\n" + "".join(f"{t};2 MB\n" for t in times))
    (series,) = device.read(file).series
    assert series.time.tolist() == pytest.approx([0.0, 30.0])
    assert series.memory.tolist() == [2 * MIB] * 2  # its own unit stands: nothing is guessed


def test_json_lines_and_gzip(tmp_path):
    """The lab's own samples are such a table; .gz is unpacked, whatever its name."""
    lines = "".join(json.dumps({"t": k, "rss": 5_000_000 + k, "x": {}}) + "\n" for k in range(30))
    file = tmp_path / "no-extension"
    file.write_bytes(gzip.compress(lines.encode()))
    (series,) = device.read(file).series
    assert np.array_equal(series.memory, 5_000_000 + np.arange(30))
    assert not series.footprint
    file.write_bytes(gzip.compress(lines.encode() * 2000)[:-5000])
    evidence = device.read(file)
    assert len(evidence.series[0].memory) > 100
    assert "ends-early" in {note.code for note in evidence.sources[0].notes}


def test_an_array_of_objects(tmp_path):
    """As an exporter writes it: one JSON value over many lines."""
    file = tmp_path / "x"
    rows = [{"ts": k, "memoryUsage": {"rss": 5_000_000 + k, "heapTotal": 9}} for k in range(9)]
    file.write_text(json.dumps(rows, indent=1))
    evidence = device.read(file)
    assert evidence.series[0].quantity == "memoryUsage.rss"
    assert evidence.series[0].memory.tolist() == [5_000_000 + k for k in range(9)]
    assert evidence.sources[0].ignored == 0


def test_several_outputs_in_one_file(tmp_path):
    """What was put into one file is read as all that it is; each line counts once."""
    names = ("footprint_two.txt", "heap.txt", "vmmap_summary.txt", "leaks.txt")
    file = tmp_path / "all"
    file.write_text("\n".join((FIXTURES / name).read_text() for name in names))
    evidence = device.read(file)
    assert [s.tool for s in evidence.snapshots].count("footprint") == 2
    assert [s.tool for s in evidence.snapshots].count("vmmap") == 1
    assert len(evidence.heaps) == 1
    assert len(evidence.leaks) == 1
    (source,) = evidence.sources
    assert set(source.kinds) == {"vmmap", "footprint", "heap", "leaks"}
    assert source.recognised <= source.lines


def test_the_app_among_several_processes(tmp_path):
    """By the log's process id, else by how often it is there, else the largest; or as told."""
    both = (FIXTURES / "footprint_two.txt").read_text()
    large = tmp_path / "all"
    large.write_text(both.replace("30 MB", "9000 MB"))
    assert device.read(large).snapshots_of_app()[0].process == "mediaserverd"
    assert device.read(large, process="Listen2").snapshots_of_app()[0].process == "Listen2"
    with pytest.raises(UnknownNameError, match="did you mean 'Listen2'"):
        device.read(large, process="Listen")
    one = tmp_path / "one"
    one.write_text(both[: both.index("mediaserverd")])
    assert {s.process for s in device.read([one, large]).snapshots_of_app()} == {"Listen2"}
    pid = device.read(FIXTURES / "footprint_two.txt").snapshots[0].pid
    log = tmp_path / "log"
    log.write_text(f"2025-11-15 10:22:33.1 Listen2[{pid}:7] [MEMORY] Total: 5.0 MB\n")
    found = answer(device.read([log, large]))
    assert found.app == "Listen2"
    assert "mediaserverd" not in as_text(found)


def test_damaged_rows_are_named_and_the_rest_kept(tmp_path):
    """A damaged row costs itself only."""
    text = (FIXTURES / "vmmap_summary.txt").read_text()
    file = tmp_path / "x"
    file.write_text(
        text.replace("80.0M    64.0M", "80.0M    -4.0M").replace("48.0M    40.0M", "48.0Q    ??")
    )
    evidence = device.read(file)
    (snapshot,) = evidence.snapshots
    assert {"IOSurface", "VM_ALLOCATE"} & {c.name for c in snapshot.categories} == set()
    assert len(snapshot.categories) == 17
    assert [n.values["line"] for n in evidence.sources[0].notes] == [
        k for k, line in enumerate(text.splitlines(), 1) if line.startswith(("IOSurface", "VM_ALL"))
    ]


@pytest.mark.parametrize(
    ("content", "code", "what"),
    [(b"", "empty", None), (bytes(range(256)) * 40, "not-text", "binary"),
     (b"bplist00" + b"x" * 99, "not-text", "property-list"),
     (b"\x89PNG\r\n\x1a\n" + b"x" * 99, "not-text", "picture"),
     (b"Applications Graphics Acceleration Info:\n", "nothing-understood", "gfxinfo"),
     (b'{"memoryMetrics": {}}\n', "nothing-understood", "metrickit"),
     (b"hello\nworld\n", "nothing-understood", ""), (b"PK\x03\x04zip", "not-text", "zip"),
     (b"leaks cannot examine process 613 because\n", "nothing-understood", "not-allowed"),
     (gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "not-text", "gzip-twice"),
     (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "cannot-unpack", None),
     (b"0,100\n1,101\n", "nothing-understood", "table-without-names"),
     (b"<trace-query-result/>\n", "nothing-understood", "instruments")],
)  # fmt: skip
def test_what_cannot_be_used_is_said_and_the_rest_is_read(tmp_path, content, code, what):
    """One bad file does not cost the good ones; alone, it is an error."""
    bad = tmp_path / "bad"
    bad.write_bytes(content)
    with pytest.raises(device.NothingReadError) as caught:
        device.read(bad)
    evidence = device.read([bad, FIXTURES / "heap.txt"])
    assert len(evidence.heaps) == 1
    (problem,) = evidence.problems
    assert caught.value.problems == (problem,)
    assert problem.code == code
    assert problem.values.get("what", problem.values.get("looks")) == what
    assert nothing_read(evidence.problems).startswith(("bad ", "nothing was understood in bad"))


def test_no_such_file_and_a_directory(tmp_path):
    """Both are said, and the rest is read."""
    good = FIXTURES / "heap.txt"
    evidence = device.read([tmp_path / "none", tmp_path, good])
    assert [problem.code for problem in evidence.problems] == ["no-file", "directory"]
    with pytest.raises(InputError, match="no file"):
        device.read([])


NAMES = [path.name for path in sorted(FIXTURES.iterdir()) if path.suffix in {".txt", ".json"}]


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_each_report(name):
    """Everything that is printed, word by word; `UPDATE_GOLDEN=1` writes it anew."""
    found = answer(device.read(FIXTURES / name))
    same_as_golden(name, as_text(found) + "\n")


def test_the_text_of_logs_and_reports_together():
    """The project's own example, as the notebook shows it."""
    files = [path for path in sorted(REFERENCE.iterdir()) if path.suffix != ".md"]
    found = answer(device.read(files))
    same_as_golden("reference", as_text(found) + "\n")


def same_as_golden(name, text):
    """Compare with a file, or write it."""
    golden = GOLDEN / f"{name}.expected"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
