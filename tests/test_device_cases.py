"""Outputs as people post them, in our own words: what is right of each.

The inputs are in ``fixtures/device/cases``; a case's numbers were counted by hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.device.formats.schema import Series
from listen2lab.device.judging import judge_series
from listen2lab.report.device_terminal import as_text
from listen2lab.report.text import device as words
from listen2lab.report.text import device_reports as reports
from listen2lab.units import KIB, MIB

CASES = Path(__file__).parent / "fixtures" / "device" / "cases"


def read(*names):
    """Return the evidence of some cases."""
    return device.read([CASES / f"{name}.txt" for name in names])


LINE = {
    "csv-available-first": "mem_used_mb",
    "csv-camel": "rssMb",
    "csv-elapsed-min": "footprint_mb",
    "csv-epoch-ms": "rss_mb",
    "csv-limit-first": "memory_mb",
    "csv-peak-first": "rss_mb",
    "csv-percent-first": "memory_mb",
    "csv-quoted": "Real Memory (MiB)",
    "csv-straight-line": "rss_mb",
    "csv-us-dates": "RSS_MB",
    "jsonl-nested": "totals.rss",
    "list-mprof": "memory",
    "list-time-size": "memory",
    "log-lines": "footprint",
    "table-blanks": "Real (MB)",
}


@pytest.mark.parametrize("name", LINE)
def test_the_column_that_is_memory_in_use_and_the_unit_of_time(name):
    """Each holds the same line: 2 MiB each 10 s, in another layout."""
    evidence = read(name)
    (series,) = answer(evidence).series
    assert series.quantity == LINE[name]
    assert (series.samples, series.judged.unit) == (60, "minute")
    assert series.seconds == pytest.approx(590, abs=0.5)
    assert series.range.first == pytest.approx(300 * MIB, rel=0.01)
    assert series.judged.rate == pytest.approx(12 * MIB, rel=0.02)
    assert evidence.sources[0].malformed == 0


@pytest.mark.parametrize("name", ["csv-straight-line", "csv-line-with-spikes"])
def test_a_steady_rise_is_no_plateau(name):
    """One short run may be too little for a leak; that it grows to the end is said."""
    (series,) = answer(read(name)).series
    judged = series.judged
    assert judged.grows
    text = words.verdict(judged)
    assert "MiB a minute" in text
    assert "as likely as none" not in text


@pytest.mark.parametrize("seed", range(25))
def test_steady_lines_and_others(seed):
    """A line of 15 times its noise is never settled; steps, a level, a saturation are no line."""
    rng = np.random.default_rng(seed)
    step = np.arange(60)
    noise = rng.normal(0, 1.0, 60) * MIB

    def judged(memory):
        return judge_series(Series("rss_mb", 10.0 * step, memory + noise, "x", footprint=True))

    line = judged((300 + 2.0 * step) * MIB)
    assert line.grows
    assert line.verdict != "leak"
    for other in (300 + 0 * step, 300 + 20 * (step // 15), 400 - 100 * np.exp(-step / 10.0)):
        found = judged(other * MIB)
        assert not found.grows


def test_lines_without_a_time_count_as_steps():
    """The first number of `key-values` counts requests: it is no time."""
    (series,) = answer(read("key-values")).series
    assert (series.quantity, series.timed, series.judged.unit) == ("rss", False, "sample")
    assert series.judged.rate == pytest.approx(2 * MIB, rel=0.02)


def test_several_processes_are_several_series():
    """One is flat, one grows, the largest first; neither jumps between both."""
    grows, flat = answer(read("csv-two-pids")).series
    assert (flat.process, grows.process) == ("100", "101")
    assert flat.range.first == flat.range.highest == 40 * MIB
    assert grows.judged.rate == pytest.approx(12 * MIB, rel=0.02)
    assert flat.judged.verdict == "baseline"


def test_no_input_is_named_where_the_file_holds_none():
    """A rise in steps is a shape; that it follows the largest input is not known."""
    (series,) = answer(read("csv-steps-no-inputs")).series
    assert series.judged.verdict == "high-water"
    assert "follows" not in words.verdict(series.judged)


def one(name):
    """Return the snapshot of a case, and the codes of what is worth telling of it."""
    evidence = read(name)
    (snapshot,) = evidence.snapshots
    assert evidence.sources[0].malformed == 0
    return snapshot, {note.code: note.values for note in snapshot.notes}


def counted(snapshot):
    """Return what is counted of each category, in KiB."""
    return {c.name: round(c.counted / KIB) for c in snapshot.categories}


@pytest.mark.parametrize(
    ("name", "held", "reclaimable"),
    [("owned-unmapped-counted", 39, 0), ("owned-unmapped-reclaimable", 1, 38)],
)
def test_the_heading_decides_what_is_counted(name, held, reclaimable):
    """The same rows under two headings: the reading whose sum meets the footprint is taken."""
    snapshot, _ = one(name)
    owned = next(c for c in snapshot.categories if c.name.startswith("owned"))
    assert (owned.counted, owned.reclaimable) == (held * MIB, reclaimable * MIB)
    assert sum(o.counted for o in snapshot.owners) == snapshot.footprint


def test_regions_that_are_mapped_nowhere():
    """Purgeable ones are reclaimable; together they are the heading's footprint."""
    snapshot, notes = one("vmmap-unmapped-rows")
    assert counted(snapshot) == {
        "MALLOC_SMALL": 2048,
        "owned unmapped (graphics)": 512,
        "owned unmapped (graphics) (purgeable)": 0,
        "owned unmapped": 640,
    }
    assert sum(c.counted for c in snapshot.categories) == snapshot.footprint == 3200 * KIB
    assert sum(c.reclaimable or 0 for c in snapshot.categories) == 9216 * KIB
    assert not notes


def test_address_space_says_nothing_of_use():
    """A crash report's summary of regions."""
    snapshot, notes = one("vmmap-virtual-only")
    assert notes.keys() == {"address-space-only"}
    assert snapshot.counted is None
    assert [step.code for step in answer(read("vmmap-virtual-only")).next] == ["whole-report"]


def test_a_footprint_above_all_that_is_resident():
    """Something that is in no region is counted."""
    _, notes = one("footprint-above-resident")
    assert notes["in-no-region"]["size"] == pytest.approx(1433.6 * MIB, rel=0.001)


def test_a_listing_that_was_cut_holds_no_sums():
    """Nothing is said of what holds the footprint, or of resident size."""
    snapshot, notes = one("vmmap-regions-cut")
    assert notes["regions-only"] == {"regions": 2}
    assert snapshot.is_cut
    assert snapshot.resident is None
    assert answer(read("vmmap-regions-cut")).next[-1].code == "whole-report"


def test_a_table_without_its_total_says_at_least():
    """The sum of the rows that there are; and what the native heap keeps free."""
    snapshot, notes = one("meminfo-cut")
    assert snapshot.is_cut
    assert snapshot.counted == 165620 * KIB
    assert notes["heap-free"]["size"] == 32798 * KIB
    assert "at least" in reports.snapshot_lines(snapshot, None)[0]


def test_rows_without_a_heading_and_with_single_blanks():
    """As grepped, and as copied from a web page."""
    snapshot, _ = one("footprint-grepped")
    assert (snapshot.footprint, snapshot.peak) == (3303 * MIB, 3348 * MIB)
    assert snapshot.owner("not in any category").counted == 270 * MIB
    assert snapshot.categories[0].reclaimable == 10 * MIB
    assert snapshot.is_cut
    snapshot, _ = one("footprint-collapsed")
    assert counted(snapshot) == {
        'untagged ("VM_ALLOCATE")': 9040,
        "__DATA_CONST": 1568,
        "MALLOC_TINY": 2704,
    }
    assert snapshot.categories[1].clean == 1040 * KIB


def test_freed_and_kept_is_no_leak():
    """Most of it was freed, and malloc keeps it: nobody is asked who allocated it."""
    snapshot, notes = one("malloc-large-empty")
    assert notes["freed-and-kept"]["size"] == 3072 * MIB
    assert notes["freed-and-kept"]["share"] == pytest.approx(0.59, abs=0.01)
    assert snapshot.owner("heap, large blocks").counted == 2048 * MIB
    codes = [step.code for step in answer(read("malloc-large-empty")).next]
    assert "freed-and-kept" in codes
    assert "who-allocated" not in codes


def test_gpu_buffers_are_not_only_a_user_interface():
    """A model's weights lie there, too."""
    snapshot, _ = one("gpu-model-memory")
    assert snapshot.owner("GPU buffers").counted == 1536 * MIB
    assert answer(read("gpu-model-memory")).next[-1].code == "look-at-gpu"


def test_the_recorders_own_memory():
    """Malloc stack logging was on: no size may be taken from it."""
    snapshot, notes = one("stack-logging-counted")
    assert notes["recorder"] == {"size": 16 * MIB, "without": 76 * MIB}
    assert snapshot.owner("frameworks and others") is None


def test_no_limit_of_a_phone_that_nobody_named():
    """A limit comes from whoever knows it; the next step is one for a process."""
    found = answer(read("simulator-or-mac"))
    assert found.limit is None
    text = as_text(found)
    assert "test phone" not in text
    assert "kill limit" not in text
    assert "devicectl" not in text
    assert "explain" not in text
    assert "2,853 MiB above the kill limit" in as_text(
        answer(read("simulator-or-mac"), limit=2_500_000_000)
    )


def test_a_blank_type_and_a_renamed_class():
    """The binary is no part of the name; what was renamed did not grow."""
    evidence = read("heap-blank-type-early", "heap-blank-type-late")
    first = evidence.heaps[0]
    assert [(c.name, c.kind, c.binary, c.count, c.size) for c in first.classes] == [
        ("__PicStorage._bytes (malloc)", "", "Foundation", 600, 19_200_000),
        ("non-object in zone SceneGraph", "", "<unknown>", 900, 57_600),
        ("Class.data (class_rw_t)", "C", "libobjc.A.dylib", 1200, 38_400),
    ]
    assert "59.6 MiB" in reports.heap_lines(first)[1]
    found = answer(evidence)
    assert found.live_growth == 37_120
    assert [(c.name.split()[0], c.blocks, c.size, c.renamed_from) for c in found.heap_growth] == [
        ("Wombats.HotKey.cell", 1, 32_000, "__PicStorage._bytes (malloc)"),
        ("non-object", 80, 5_120, None),
    ]


def test_a_list_of_classes_that_was_cut():
    """How much is listed is said, and the sizes of blocks answer anyway."""
    (heap,) = read("heap-head-cut").heaps
    assert heap.block_sizes[0] == (525_392 * KIB, 4)
    text = " ".join(reports.heap_lines(heap))
    assert "2 % of it" in text
    assert "heap -s" in text
    assert "4 blocks" in text
    assert "largest" not in text


def test_an_older_heap():
    """Its total stands in another line, and a line of dots is what somebody left out."""
    evidence = read("heap-old-zones")
    (heap,) = evidence.heaps
    assert (heap.blocks, heap.size) == (13_993, 160_779 * KIB)
    assert (heap.classes[0].name, heap.classes[0].count) == ("WombatBuffer", 1000)
    assert evidence.sources[0].malformed == 0


def test_roots_of_leaks():
    """Nested cycles are a part of their root, and a generic name is whole."""
    (leaks,) = read("leaks-nested-generics").leaks
    assert (leaks.count, leaks.size, leaks.footprint) == (545, 58_300, 960 * MIB)
    assert [name for name, _ in leaks.roots] == [
        "Kit._DictStorage<Kit.AnyKey, Kit.WeakBox<Kit.AnyPlace>>",
        "WombatView",
    ]
    assert dict(leaks.roots)["WombatView"] == 128
    text = as_text(answer(read("leaks-nested-generics")))
    assert "56.9 KiB" in text
    assert "128 bytes" in text
    assert "0.0058 % of the footprint" in text


def test_what_piles_up_on_android():
    """The table of objects names the leak; Java's heap has a name of its own."""
    found = answer(read("meminfo-activities-early", "meminfo-activities-late"))
    assert found.change.counted == 7476 * KIB
    assert found.change.seconds == pytest.approx(300.5, abs=0.1)
    objects = {name: (first, last) for name, first, last in found.change.objects}
    assert (objects["Activities"], objects["Views"]) == ((6, 50), (182, 1480))
    by = {o.name: o.counted for o in found.change.owners}
    assert (by["heap, small blocks"], by["Java heap"]) == (5752 * KIB, 1724 * KIB)


def test_many_reports_of_one_process_are_a_series():
    """Forty reports are judged as one, and two of them are shown."""
    found = answer(read("meminfo-many"))
    (series,) = found.series
    assert (series.quantity, series.samples) == ("private-dirty", 40)
    assert (series.range.first, series.range.last) == (8352 * KIB, 23_562 * KIB)
    assert series.judged.rate == pytest.approx(4255 * KIB, rel=0.01)
    assert series.judged.grows
    text = as_text(found)
    assert text.count("by category") == 2
    assert "40, meminfo-many.txt" not in text  # a terminal shows the first rows of a table


def test_a_summary_alone_and_a_whole_device():
    """Android's other two tables."""
    snapshot, notes = one("meminfo-summary-only")
    assert (snapshot.quantity, snapshot.counted) == ("pss", 118_268 * KIB)
    assert snapshot.resident == 276_816 * KIB
    assert notes["swap"]["size"] == 12 * KIB
    assert counted(snapshot) == {
        "Java Heap": 28_048, "Native Heap": 21_120, "Code": 37_168, "Stack": 1632,
        "Graphics": 17_200, "Private Other": 4100, "System": 9000,
    }  # fmt: skip
    found = answer(read("meminfo-device"))
    held = {snapshot.process: snapshot.counted for snapshot in found.snapshots}
    assert held["org.example.wombat"] == 128_781 * KIB
    assert held["org.example.wombat:player"] == 92_656 * KIB
    assert [step.code for step in found.next] == ["android-one-process"]


def test_each_case_is_asserted_here():
    """A case that no test names would be a promise only."""
    names = [path.stem for path in CASES.iterdir()]
    assert len(names) == 42
    assert not [name for name in names if f'"{name}"' not in Path(__file__).read_text("utf-8")]
