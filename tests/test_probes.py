"""The meter reads what the kernel and the allocator say, and names what it cannot read."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from listen2lab.probes.process import Meter, outside
from listen2lab.units import MIB

PLANTED = 64 * MIB


@pytest.fixture
def meter() -> Meter:
    """Return a meter of this process."""
    return Meter()


def test_a_planted_mapping_moves_resident_and_anonymous_by_its_size(meter):
    """An anonymous mapping of known size shows in both, and goes when it is unmapped."""
    before = meter.read()
    with mmap.mmap(-1, PLANTED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        block.write(b"\1" * PLANTED)
        during = meter.read()
    after = meter.read()
    for name in ("rss", "anonymous"):
        assert during[name] - before[name] == pytest.approx(PLANTED, rel=0.02)
        assert during[name] - after[name] == pytest.approx(PLANTED, rel=0.02)


def test_a_file_mapping_is_resident_and_not_anonymous(meter, tmp_path):
    """Clean pages of a file count as resident, and are nothing a kill would give back."""
    path = tmp_path / "file"
    path.write_bytes(b"\1" * PLANTED)
    before = meter.read()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        for page in range(0, PLANTED, 4096):
            mapped[page]
        during = meter.read()
    assert during["rss"] - before["rss"] == pytest.approx(PLANTED, rel=0.02)
    assert abs(during["anonymous"] - before["anonymous"]) < MIB


def test_a_native_block_moves_in_use_and_comes_back_when_freed(meter):
    """``mallinfo2`` counts a malloc of known size, and not after the free."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    before = meter.read()
    block = library.malloc(PLANTED)
    during = meter.read()
    library.free(block)
    after = meter.read()
    assert during["in_use"] - before["in_use"] == pytest.approx(PLANTED, rel=0.02)
    assert after["in_use"] == pytest.approx(before["in_use"], abs=MIB)
    assert during["mapped"] - before["mapped"] == pytest.approx(PLANTED, rel=0.02)
    assert during["rss"] - before["rss"] < MIB, "a block that is not touched is not resident"


def test_the_peak_is_of_the_time_since_the_last_reset(meter):
    """A block that came and went shows in the peak once, and not after a reset."""
    with mmap.mmap(-1, PLANTED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        for page in range(0, PLANTED, 4096):
            block[page] = 1
    seen = meter.read()
    assert seen["peak"] - seen["rss"] == pytest.approx(PLANTED, rel=0.05)
    meter.reset_peak()
    again = meter.read()
    assert again["peak"] - again["rss"] < MIB


def _proc(tmp_path, *, rollup=True, clear_refs=True):
    """Make a folder like /proc/self, with a fixed content."""
    (tmp_path / "status").write_text(
        "Name:\tx\nVmHWM:\t 300 kB\nVmRSS:\t 200 kB\nRssAnon:\t 90 kB\n"
    )
    if rollup:
        (tmp_path / "smaps_rollup").write_text("0-1 ---p\nRss: 200 kB\nAnonymous: 100 kB\n")
    if clear_refs:
        (tmp_path / "clear_refs").write_text("")
    return str(tmp_path)


def test_without_smaps_rollup_the_status_counter_stands_in_and_it_is_said(tmp_path):
    """A kernel without smaps_rollup gives anonymous memory by another way, named in the gaps."""
    meter = Meter(_proc(tmp_path, rollup=False))
    sample = meter.read()
    assert sample["anonymous"] == 90 * 1024
    assert "private_dirty" not in sample
    assert meter.gaps["private_dirty"] == meter.gaps["lazy_free"] == "no-smaps-rollup"


def test_with_smaps_rollup_its_exact_number_wins(tmp_path):
    """The page walk is exact; the counter of status is batched."""
    assert Meter(_proc(tmp_path)).read()["anonymous"] == 100 * 1024


def test_counters_that_lag_are_not_trusted(tmp_path):
    """A status that does not follow touched pages sends every reading to the page walk."""
    meter = Meter(_proc(tmp_path))
    assert meter.read(walk=False)["anonymous"] == 100 * 1024


def test_without_the_walk_the_numbers_are_the_same(meter):
    """Counter or walk: a planted mapping moves anonymous memory by its size."""
    before = meter.read(walk=False)
    with mmap.mmap(-1, PLANTED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        block.write(b"\1" * PLANTED)
        during = meter.read(walk=False)
    assert during["anonymous"] - before["anonymous"] == pytest.approx(PLANTED, rel=0.02)


def test_without_permission_for_clear_refs_the_peak_is_a_gap_not_a_lie(tmp_path):
    """A peak that cannot be reset would be of the whole life: it is left out and named."""
    meter = Meter(_proc(tmp_path, clear_refs=False))
    assert "peak" not in meter.read()
    assert meter.gaps["peak"] == "peak-not-reset"


def test_without_proc_psutil_gives_what_it_has(tmp_path):
    """On a system without /proc, resident and unique memory come from psutil."""
    meter = Meter(str(tmp_path / "none"))
    sample = meter.read()
    assert meter.gaps["anonymous"] == "no-proc"
    assert sample["rss"] > 0
    assert sample["anonymous"] > 0
    assert "peak" not in sample


def test_another_process_is_read_from_outside(meter):
    """The parent's view of a process agrees with the process's own."""
    assert outside(os.getpid())["rss"] == pytest.approx(meter.read()["rss"], rel=0.05)
    assert outside(2**22 + 1) == {}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells")
def test_looking_at_what_grows_outside_is_no_growth():
    """Thousands of open files cost the one who counts them no memory, nor what was seen before."""
    code = """if True:
        import os, resource
        from listen2lab.probes.process import Meter
        from listen2lab.probes.tree import TreeProbe
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (5000, most))
        probe, meter = TreeProbe(), Meter()
        for k in range(700):
            os.write(os.memfd_create("kept"), bytes(4096))
        before = probe.read()
        start = meter.read()["anonymous"]
        for k in range(3000):
            os.dup(1)
            if k % 40 == 0:
                after = probe.read()
        after = probe.read()
        grown = meter.read()["anonymous"] - start
        more = [after[name] - before[name] for name in ("shm_files", "descriptors")]
        print(*more, grown, before["shm_files"])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shm, descriptors, grown, seen = (int(float(x)) for x in done.stdout.split())
    assert shm == 0
    assert seen > 400 * 4096  # of the first descriptors, whatever comes after them
    assert descriptors == 3000
    assert grown < 64 * 1024


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux tells")  # noqa: S108
def test_shared_memory_that_came_between_steps_is_somebody_elses():
    """What another program writes meanwhile is not what the step left there."""
    from listen2lab.probes.tree import TreeProbe

    probe = TreeProbe()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        probe.begin()
        Path(folder, "own").write_bytes(bytes(4 << 20))
        probe.end()
        Path(folder, "other").write_bytes(bytes(32 << 20))
        probe.begin()
        probe.end()
        assert probe.read()["shm_files"] == pytest.approx(4 << 20, abs=2 << 20)
        probe.begin()
        Path(folder, "own").unlink()
        probe.end()
        assert probe.read()["shm_files"] < 2 << 20
