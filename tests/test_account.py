"""What is planted in a fresh process moves its own category by its size, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listen2lab.account.at_end import GROUPS
from listen2lab.account.categories import (
    CATEGORIES,
    account,
    cannot_tell,
    categories,
    libraries,
)
from listen2lab.experiment.runner import child_environment, execute
from listen2lab.facade import Study
from listen2lab.probes.allocator import is_engine_block, parse_stats, python_heap
from listen2lab.probes.mappings import areas, file_name, kind_of
from listen2lab.probes.process import Meter
from listen2lab.probes.readings import SPLIT, AccountProbe, split
from listen2lab.report.text.account import how_measured, label
from listen2lab.units import MIB

PLANTED = 50 * MIB

MALLOC = """
    library = ctypes.CDLL(None); library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
"""
NATIVE = (
    MALLOC
    + """
    held = library.malloc(N); ctypes.memset(held, 1, N)
"""
)
SMALL_NATIVE = (
    MALLOC
    + """
    for _ in range(N // 2032): ctypes.memset(library.malloc(2016), 1, 2016)
"""
)
NUMPY = """
    import numpy
    before = look()
    held = numpy.ones(N // 8)
"""
MAPPED_FILE = """
    file = open(sys.argv[1], 'rb')
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    for page in range(0, N, 4096): held[page]
"""
PYTHON_LIST = """
    held = [None] * (N // 480)
    before = look()
    for k in range(len(held)): held[k] = bytes(447)  # 480 bytes each, with their header
"""
AUDIO = """
    held = bytes(bytearray(b'1') * N)
"""
PLANTS = {
    "native block": (NATIVE, "native"),
    "many small native blocks": (SMALL_NATIVE, "native"),
    "numpy array": (NUMPY, "native"),
    "mapped file": (MAPPED_FILE, "files"),
    "Python list": (PYTHON_LIST, "python"),
    "audio buffer": (AUDIO, "native"),
}

CHILD = """\
    import ctypes, gc, json, mmap, sys
    from listen2lab.probes.readings import AccountProbe, split
    from listen2lab.probes.process import Meter
    meter, probe, N = Meter(), AccountProbe(), SIZE
    def look():
        gc.collect()
        sample = meter.read()
        return split(sample, probe.read(sample, level=LEVEL))
    probe.read(meter.read(), level=True)
    before = look()
    PLANT
    after = look()
    print(json.dumps([before, after]))
"""


def moved(plant, tmp_path, *, level):
    """Return by how much each category moved in a fresh process in which something is planted."""
    big = tmp_path / "big"
    big.write_bytes(b"\1" * PLANTED)
    child = textwrap.dedent(CHILD).replace("PLANT", textwrap.dedent(plant))
    code = child.replace("SIZE", str(PLANTED)).replace("LEVEL", str(level))
    done = subprocess.run(
        [sys.executable, "-c", code, str(big)],
        capture_output=True, text=True, check=True, env=child_environment(),
    )  # fmt: skip
    before, after = json.loads(done.stdout)
    return {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_planted_moves_its_own_category(tmp_path, name):
    """By its size within 2 %, and no other category by more than an arena and a half."""
    plant, category = PLANTS[name]
    change = moved(plant, tmp_path, level=True)
    assert change[category] == pytest.approx(PLANTED, rel=0.02)
    others = {each: change[each] for each in (*SPLIT, "unaccounted") if each != category}
    assert all(abs(size) < 1.5 * MIB for size in others.values()), others


@pytest.mark.parametrize("name", ["native block", "Python list", "mapped file"])
def test_between_two_walks_the_counters_say_whose_it_is(tmp_path, name):
    """After a step, without a walk over the mappings or with one, the same category moves."""
    plant, category = PLANTS[name]
    change = moved(plant, tmp_path, level=False)
    assert change[category] == pytest.approx(PLANTED, rel=0.02)


def test_what_is_reserved_and_not_touched_stands_beside_the_sum(tmp_path):
    """A block of malloc that nobody wrote to is untouched, and no part of what is resident."""
    plant, _ = PLANTS["native block"]
    change = moved(plant.replace("ctypes.memset(held, 1, N)", "pass"), tmp_path, level=True)
    assert change["untouched"] == pytest.approx(PLANTED, rel=0.02)
    assert all(abs(change[name]) < MIB for name in (*SPLIT, "unaccounted"))


@pytest.mark.parametrize("use", ["pass", "for page in range(0, len(beside), 4096): beside[page]"])
def test_addresses_reserved_beside_a_block_hold_nothing(tmp_path, use):
    """The kernel shows both as one mapping; what was only read is the page of zeros, not memory."""
    # Not whole huge pages: those the kernel would place apart.
    beside = f"""
    beside = mmap.mmap(-1, 2 * N + 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    {use}
    """
    change = moved(NATIVE + beside, tmp_path, level=True)
    assert change["native"] == pytest.approx(PLANTED, rel=0.02)
    assert abs(change["unaccounted"]) < MIB


def test_freed_memory_that_malloc_keeps_is_kept_free(tmp_path):
    """Small blocks given back below one that stays leave in-use and stay resident."""
    plant = (
        MALLOC
        + """
    library.free.argtypes = [ctypes.c_void_p]
    held = [library.malloc(2016) for _ in range(N // 2032)]
    for each in held: ctypes.memset(each, 1, 2016)
    stays = library.malloc(2016)
    before = look()
    for each in held: library.free(each)
"""
    )
    change = moved(plant, tmp_path, level=True)
    assert change["native_kept"] == pytest.approx(PLANTED, rel=0.02)
    assert change["native"] == pytest.approx(-PLANTED, rel=0.02)


def test_an_anonymous_mapping_of_nobody_is_unaccounted(tmp_path):
    """What belongs to no allocator is named as such, and given to nobody."""
    plant = """
    held = mmap.mmap(-1, N, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); held.write(b'1' * N)
"""
    change = moved(plant, tmp_path, level=True)
    assert change["unaccounted"] == pytest.approx(PLANTED, rel=0.05)


def test_a_thread_s_own_malloc_heap_is_native(tmp_path):
    """Where threads have heaps of their own, their blocks are found as well."""
    plant = (
        MALLOC
        + """
    import threading
    def fill():
        for _ in range(N // 2032): ctypes.memset(library.malloc(2016), 1, 2016)
        done.set(); go.wait()
    done, go = threading.Event(), threading.Event()
    thread = threading.Thread(target=fill, daemon=True); thread.start(); done.wait()
"""
    )
    change = moved(plant, tmp_path, level=True)
    assert change["native"] == pytest.approx(PLANTED, rel=0.02)


def test_a_workload_s_account_adds_up_at_every_sample(prepared):
    """Components are taken out of what is there; every row sums to resident memory."""
    run = prepared("""
        held = []
        def setup(): pass
        def step(i): held.append(bytes(bytearray(b"1") * (8 << 20)))
        def size(i): return 1.0
        def components(): return {"audio": len(held) * (8 << 20)}
        def teardown(): held.clear()
    """)
    assert execute(run).outcome == "complete"
    table = account(_samples(run), between_phases=True)
    parts = categories(table)
    assert table[parts].sum(axis=1).to_numpy() == pytest.approx(table["rss"].to_numpy(), abs=1)
    # A row's parts but the remainder are measured, and the remainder is small.
    assert (table["unaccounted"].abs() <= 0.02 * table["rss"]).all()
    steps = table[table["phase"] == "step"]
    grown = steps["audio"].iloc[-1] - steps["audio"].iloc[0]
    assert grown == 3 * 8 * MIB
    assert abs(steps["native_in_use"].iloc[-1] - steps["native_in_use"].iloc[0]) < MIB
    assert (steps["engine_arena_idle"] == 0).all(), "there is no engine in this workload"
    assert table["instrument"].between(0.5 * MIB, 4 * MIB).all()


def test_code_is_told_by_library(prepared):
    """Between phases each mapped file is named with its resident bytes."""
    run = prepared("import math\ndef setup(): pass\ndef step(i): pass")
    execute(run)
    table = libraries(_samples(run))
    at_end = table[table["phase"] == "end"].set_index("file")["bytes"]
    assert any(name.startswith("libc") for name in at_end.index)
    assert at_end.sum() == pytest.approx(_samples(run)["account.file"].max(), rel=0.3)


def _samples(run):
    lines = [json.loads(line) for line in run.steps_path.read_text().splitlines()]
    return pd.DataFrame(
        {**line, **{f"component.{k}": v for k, v in line.get("components", {}).items()}}
        for line in lines
        if line["phase"] not in ("meter", "error")
    )


def test_without_mappings_counters_tell_as_far_as_they_go():
    """Without readings of the mappings, files, malloc's bytes and the engine's can be told."""
    common = {"swap": 0, "size": None, "kept": 0}
    samples = pd.DataFrame(
        [
            {**common, "phase": "import", "rss": 50e6, "anonymous": 20e6, "in_use": 8e6},
            {**common, "phase": "setup", "rss": 130e6, "anonymous": 100e6, "in_use": 88e6},
            {**common, "phase": "step", "step": 0, "rss": 500e6, "anonymous": 470e6,
             "in_use": 700e6, "size": 14.0, "component.audio_cache": 2e6},
            {**common, "phase": "step", "step": 1, "rss": 500e6, "anonymous": 470e6,
             "in_use": 700e6, "size": 7.0, "component.audio_cache": 2e6},
        ]
    )  # fmt: skip
    table = account(samples)
    assert list(table["engine_weights"]) == pytest.approx([80e6] * 2)
    arena = table["engine_arena_in_use"] + table["engine_arena_idle"]
    assert list(arena) == pytest.approx([368e6] * 2)
    assert list(table["engine_arena_in_use"]) == pytest.approx([368e6, 184e6])
    assert (table["unaccounted"] == 0).all()
    assert [note.code for note in cannot_tell(samples)] == ["no-mappings"]
    assert [note.code for note in cannot_tell(samples.iloc[:0])] == ["no-samples"]


def test_every_category_has_words_and_a_certainty():
    """What is shown is explained, and its certainty is one of three words."""
    for name in CATEGORIES:
        what, certainty, how = label(name)
        assert certainty in {"exact", "derived", "estimated"}, name
        assert what
        assert how.endswith(".")
    assert all(how_measured(name, "account") for name in GROUPS)


SIZES = st.integers(0, 2**33)
READINGS = ("file", "data", "stack", "heap", "mapped", "other", "python", "python_free")


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(dict.fromkeys(("rss", "in_use", "kept", "mapped"), SIZES)),
    st.fixed_dictionaries(dict.fromkeys(READINGS, SIZES)),
)
def test_the_account_parts_pages_as_the_probe_does(sample, reading):
    """One rule, in the worker and in tables: kinds and what is left are the same."""
    sample["in_use"] += sample["mapped"]  # which are a part of it
    kinds = split(sample, reading)
    row = {**sample, "phase": "end", **{f"account.{k}": v for k, v in reading.items()}}
    (found,) = account(pd.DataFrame([row]), between_phases=True).to_dict("records")
    for name in ("files", "library_data", "stacks", "python", "python_kept", "native_kept"):
        assert found[name] == kinds[name], name
    assert found["native_in_use"] == kinds["native"]
    assert (found["unaccounted"], found["untouched"]) == (kinds["unaccounted"], kinds["untouched"])


def test_where_the_mappings_cannot_be_read_it_is_said(tmp_path):
    """Without smaps there is no account, and the gap has a reason; nothing is guessed."""
    probe = AccountProbe(str(tmp_path))
    assert probe.gaps["account"] == "smaps-unreadable"
    assert probe.read(Meter().read(), level=True) == {}
    assert probe.parts(Meter().read()) == {}


def test_with_a_part_of_proc_the_rest_is_told(tmp_path):
    """With smaps and without the process's memory, large blocks are told by malloc's count."""
    (tmp_path / "smaps").symlink_to("/proc/self/smaps")
    probe = AccountProbe(str(tmp_path))
    assert probe.gaps["account.blocks"] == "memory-unreadable"
    held = bytes(bytearray(b"1") * PLANTED)
    sample = Meter().read()
    parts = split(sample, probe.read(sample, level=True))
    assert parts["native"] > len(held)


def test_the_error_output_of_others_is_untouched(capfd):
    """Asking the interpreter leaves nothing behind on the error output."""
    assert python_heap() is not None
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@given(st.binary(max_size=400))
def test_any_text_of_an_interpreter_is_read_or_refused(text):
    """Another interpreter's words give None or bounds that hold, never an error."""
    heap = parse_stats(text)
    assert heap is None or 0 <= heap.free <= heap.arenas


SMAPS = b"""\
1000-3000 r-xp 00000000 fe:00 12 /lib/libx.so.1 (deleted)
Size:                  8 kB
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd ex mr
3000-4000 rw-p 00002000 fe:00 12 /lib/libx.so.1 (deleted)
Rss:                   4 kB
Anonymous:             4 kB
4000-5000 rw-p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             4 kB
6000-7000 ---p 00000000 00:00 0
Rss:                   0 kB
Anonymous:             0 kB
7000-9000 rw-p 00000000 00:00 0
Rss:                   8 kB
Anonymous:             8 kB
a000-b000 rw-p 00000000 00:00 0 [heap]
Rss:                   4 kB
"""


def test_mappings_are_told_by_what_stands_beside_them():
    """A library's zeroed data follow it, a stack follows its guard page."""
    found = areas(SMAPS)
    assert len(found) == 6
    kinds = [(kind, area.start) for kind, area in kind_of(found)]
    assert kinds == [
        ("file", 0x1000), ("file", 0x3000), ("data", 0x4000), ("stack", 0x7000), ("heap", 0xA000),
    ]  # fmt: skip
    assert file_name(found[0]) == "libx.so.1"
    assert sum(area.rss for area in found) == 24 * 1024


@given(st.integers(0, len(SMAPS)))
def test_a_text_that_is_cut_short_is_read_as_far_as_it_goes(length):
    """A mapping whose lines are not all there is left out or read whole."""
    assert len(areas(SMAPS[:length])) <= 6


def test_the_sizes_of_the_engine_s_arena():
    """Powers of two from one MiB, or up to a page more."""
    assert is_engine_block(1 << 20)
    assert is_engine_block((256 << 20) + 4096)
    assert not is_engine_block(1 << 19)
    assert not is_engine_block(50 << 20)


@pytest.mark.engine
def test_a_study_gives_its_account(tmp_path):
    """Models, arena and caches of the pipeline are named; its log says what is left."""
    import listen2lab as lab

    study = lab.run(
        "baseline", quick=True, steps=8, repeats=1, trace="none", out=tmp_path / "study"
    )
    table = account(Study(study.folder.path).samples)
    measured = table[table["phase"] == "step"]
    assert (measured["unaccounted"].abs() <= 0.02 * measured["rss"]).all()
    assert measured["engine_weights"].min() > 5 * MIB
    arena = measured["engine_arena_in_use"] + measured["engine_arena_idle"]
    assert arena.iloc[-1] > 20 * MIB
    assert (measured["audio_cache"] > 0).all()
    log = next((tmp_path / "study" / "runs").rglob("events.log")).read_text()
    line = next(line for line in log.splitlines() if "Unaccounted" in line)
    assert float(line.split("~")[1].split(" MB")[0]) < 5
