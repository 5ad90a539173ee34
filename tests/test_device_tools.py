"""One specimen for each tool that samples a process, and for the system's own reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.device.formats.columns import find_columns
from listen2lab.report.device_terminal import as_text
from listen2lab.report.text import device as words
from listen2lab.units import KIB, MIB

TOOLS = Path(__file__).parent / "fixtures" / "device" / "tools"


@pytest.mark.parametrize(
    ("name", "column", "timed"),
    [("ps.txt", "RSS", False), ("top.txt", "RES", True), ("pidstat.txt", "RSS", True),
     ("docker.txt", "MEM USAGE / LIMIT", False)],
)  # fmt: skip
def test_tools_that_sample_a_process(name, column, timed):
    """Blanks between columns, headers again and again, KiB without a unit."""
    evidence = device.read(TOOLS / name)
    series = next(s for s in answer(evidence).series if s.range.last > s.range.first)
    assert (series.quantity, series.timed, series.samples) == (column, timed, 6)
    assert (series.range.first, series.range.last) == (300 * MIB, 310 * MIB)
    assert evidence.sources[0].malformed == 0
    others = {s.process for s in evidence.series} - {series.process}
    assert others == {"ps.txt": {"1 (/sbin/init)"}, "top.txt": {"1 (init)"}}.get(name, set())


@pytest.mark.parametrize(
    ("name", "column", "samples"),
    [("con-duct.jsonl", "totals.rss", 8), ("psrecord.txt", "Real (MB)", 21),
     ("mprof.dat", "memory", 21), ("pidstat_u.txt", "RSS", 5)],
)  # fmt: skip
def test_what_samplers_really_write(name, column, samples):
    """Each file is the tool's own output, of a run that kept something; no unit is guessed."""
    evidence = device.read(TOOLS / name)
    (series,) = evidence.series
    assert (evidence.sources[0].notes, evidence.sources[0].malformed) == ((), 0)
    assert (np.diff(series.memory) >= 0).all()
    assert (series.quantity, len(series.time), series.timed) == (column, samples, True)
    assert 3.0 < series.time[-1] < 5.0


def test_smaps_and_status():
    """Private, dirty and swapped memory by mapping; a model that is mapped costs nothing."""
    (snapshot,) = device.read(TOOLS / "smaps.txt").snapshots
    assert snapshot.counted == (200_000 + 10_000 + 98_000 + 100) * KIB
    held = {o.name: o.counted for o in snapshot.owners}
    assert held["heap, small blocks"] == 210_000 * KIB
    assert held["VM allocate"] == 98_000 * KIB
    assert held["code"] == 100 * KIB
    (model,) = (c for c in snapshot.categories if c.name == "model.onnx")
    assert (model.counted, model.clean) == (0, 60_000 * KIB)
    (snapshot,) = device.read(TOOLS / "status.txt").snapshots
    assert (snapshot.process, snapshot.pid) == ("wombat", 4711)
    assert (snapshot.resident, snapshot.counted) == (400_000 * KIB, 324_000 * KIB)
    assert [step.code for step in answer(device.read(TOOLS / "smaps.txt")).next] == [
        "linux-two-reports"
    ]


def test_a_jetsam_report():
    """Who was killed, why, and what it held."""
    found = answer(device.read(TOOLS / "jetsam.ips"))
    killed, other = found.snapshots
    assert (killed.process, killed.footprint) == ("Wombat", 150_000 * 16_384)
    assert killed.peak == 152_587 * 16_384
    assert killed.notes[0].values == {"reason": "per-process-limit"}
    assert (other.process, other.notes) == ("wombatd", ())


def test_figures_alone():
    """One line of a report, or of the system's log."""
    (snapshot,) = device.read(TOOLS / "figure.txt").snapshots
    assert snapshot.footprint == round(1.9 * 2**30)
    found = answer(device.read(TOOLS / "limit.txt"))
    assert found.limit == 2098 * MIB
    assert found.snapshots[0].counted is None


@pytest.mark.parametrize(
    ("names", "taken"),
    [("time,MemAvailable,MemUsed", "MemUsed"), ("t,residentMb", "residentMb"),
     ("ts,usedMemory,totalMemory", "usedMemory"), ("time,footprintMB,rss", "footprintMB"),
     ("time,heapUsed,rss", "rss"), ("time,heapUsed,heapTotal", "heapUsed"),
     ("time,memory_percent", None), ("time,peak_rss_mb", None), ("time,vsz_kb", None),
     ("time,mem_available_mb", None), ("time,MB", "MB"), ("time,cpu", None)],
)  # fmt: skip
def test_names_of_memory_in_use(names, taken):
    """Never what is available, a limit, a percentage, a peak or address space."""
    columns = find_columns(names.split(","))
    assert (None if columns is None else names.split(",")[columns.memory]) == taken


def test_android_from_another_side():
    """showmap, and meminfo as --checkin and older versions print it."""
    (snapshot,) = device.read(TOOLS / "showmap.txt").snapshots
    assert (snapshot.tool, snapshot.platform) == ("showmap", "Android")
    assert (snapshot.counted, snapshot.resident) == (18_000 * KIB, 81_440 * KIB)
    held = {o.name: o.counted for o in snapshot.owners}
    assert held["heap, small blocks"] == 12_500 * KIB
    assert held["Java heap"] == 5500 * KIB
    for name, counted, free in (
        ("meminfo_old", 7200, 5000), ("meminfo_4_3", 14_300, 6000), ("meminfo_checkin", 7260, 5000)
    ):  # fmt: skip
        evidence = device.read(TOOLS / f"{name}.txt")
        (snapshot,) = evidence.snapshots
        assert (snapshot.process, snapshot.counted) == ("org.example.wombat", counted * KIB)
        assert [note.values["size"] for note in snapshot.notes] == [free * KIB]
        assert not snapshot.is_cut
        assert evidence.sources[0].malformed == 0


def test_a_metrickit_payload():
    """A day's peak is no level, and says nothing of growth; kilobytes are decimal there."""
    (snapshot,) = device.read(TOOLS / "metrickit.json").snapshots
    assert (snapshot.process, snapshot.platform) == ("org.example.wombat", "iOS")
    assert (snapshot.counted, snapshot.peak) == (None, 1_250_000_000)
    notes = {note.code: note.values for note in snapshot.notes}
    assert notes["suspended"]["size"] == 90_000_000
    assert notes["killed-in-a-day"] == {"in": "foreground", "limit": 3, "pressure": 0}
    assert as_text(answer(device.read(TOOLS / "metrickit.json")))


def test_stacks_of_malloc_history():
    """Each stack by its own last calls, without malloc's; two lists of them are compared."""
    (stacks,) = device.read(TOOLS / "malloc_history.txt").heaps
    assert [(s.name, s.binary, s.count, s.size) for s in stacks.classes] == [
        ("-[Speech speak:] < -[Player load] < main", "", 100, 104_857_600),
        ("Arena::Grow(unsigned long) < main < start", "onnx", 1, 33_554_432),
    ]
    assert "132 MiB" in as_text(answer(device.read(TOOLS / "malloc_history.txt")))


def test_one_process_looked_at_again_and_again(tmp_path):
    """Each look is one; eight of them are a series, and none is added to another."""
    look = "1000-2000 ---p 00000000 00:00 0  [rollup]\nRss: {} kB\nAnonymous: {} kB\n"
    look += "Private_Dirty: {} kB\nSwap: 0 kB\n"
    file = tmp_path / "rollups.txt"
    sizes = range(20_000, 36_000, 1000)
    file.write_text("".join(look.format(2 * k, k, k) for k in sizes))
    found = answer(device.read(file))
    assert [s.counted for s in found.snapshots] == [k * KIB for k in sizes]
    (series,) = found.series
    assert (series.quantity, series.timed, series.samples) == ("private-dirty", False, 16)
    file.write_text("".join(f"Sun Nov 29 01:33:00\nVmHWM: 1 kB\nVmRSS: {k} kB\n" for k in sizes))
    assert answer(device.read(file)).series[0].range.last == 35_000 * KIB


def test_times_between_rows_and_columns_that_hold_nothing(tmp_path):
    """Top's own line says when its rows were taken; a kernel's thread and a 0 are no memory."""
    file = tmp_path / "samples.txt"
    rows = "top - 23:59:{:02} up 3:56\nMiB Mem : 24105.6 total, 9.9 free\n\n"
    rows += "    PID    VIRT    RES COMMAND\n 4711  999999 {} wombat a b\n   2 0 0 [kthread]\n"
    file.write_text("".join(rows.format(k, 100_000 + k) for k in range(20, 40)))
    (series,) = answer(device.read(file)).series
    assert (series.process, series.timed, series.seconds) == ("4711 (wombat a b)", True, 19)
    assert series.range.first == 100_020 * KIB
    file.write_text("".join(f'{{"t": {k}, "rss": {9e7 + k}, "dirty": 0}}\n' for k in range(20)))
    assert answer(device.read(file)).series[0].quantity == "rss"
    clock = ("23:59:58", "23:59:59", "00:00:00", "00:00:01")
    file.write_text("time,rss_mb\n" + "".join(f"{time},5\n" for time in clock))
    assert answer(device.read(file)).series[0].seconds == 3


def test_several_files_of_one_quantity_are_runs(tmp_path):
    """Each is too little by itself; together they are judged as repeats."""
    rng = np.random.default_rng(0)
    for k in range(3):
        size = 300 + 2 * np.arange(60) + rng.normal(0, 1, 60)
        rows = "".join(f"{10 * at},{each:.2f}\n" for at, each in enumerate(size))
        (tmp_path / f"{k}.csv").write_text(f"time,footprint_mb\n{rows}")
    found = answer(device.read(sorted(tmp_path.iterdir())))
    assert (found.verdict, found.runs.repeats, found.runs.unit) == ("leak", 3, "minute")
    assert found.runs.rate == pytest.approx(12 * MIB, rel=0.03)


@pytest.mark.parametrize(
    ("content", "looks"),
    [("               total  used  free  shared  buff/cache  available\nMem: 9 8 7 6 5 4\n",
      "whole-machine"), ("1795915981  9924\n1795915982 11964\n" * 3, "table-without-names"),
     ("Applications Graphics Acceleration Info:\n", "gfxinfo")],
)  # fmt: skip
def test_what_is_recognised_and_cannot_answer(content, looks, tmp_path):
    """It is said what it looks like; nothing is guessed."""
    file = tmp_path / "x.txt"
    file.write_text(content)
    with pytest.raises(device.NothingReadError) as caught:
        device.read(file)
    assert caught.value.problems[0].values["looks"] == looks
    assert looks in words._LOOKS
