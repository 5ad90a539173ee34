"""One specimen for each tool that samples a process, and for the system's own reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.device.formats.columns import find_columns
from listen2lab.units import KIB, MIB

TOOLS = Path(__file__).parent / "fixtures" / "device" / "tools"


@pytest.mark.parametrize(
    ("name", "column", "timed"),
    [("ps.txt", "RSS", False), ("top.txt", "RES", False), ("pidstat.txt", "RSS", True),
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
    assert others == ({"1"} if name in {"ps.txt", "top.txt"} else set())


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
