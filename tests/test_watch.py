"""Anyone's workload: a verdict in fresh processes, whatever the workload does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import listen2lab as lab
from listen2lab.errors import WorkloadError
from listen2lab.report.terminal import watched
from listen2lab.study.records import Call

pytestmark = pytest.mark.slow  # runs of their own processes


LEAK_1_KIB = """
import ctypes
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
def setup(): pass
def step(i): ctypes.memset(library.malloc(1024), 1, 1024)
"""
CLEAN = "def setup(): pass\ndef step(i): sum(range(100))\n"


def command(*arguments, **options):
    """Run ``listen2lab watch`` and return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "listen2lab", "watch", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip


@pytest.fixture
def workload(tmp_path):
    """Return a function that writes a workload's file."""

    def write(code):
        path = tmp_path / "workload.py"
        path.write_text(code)
        return path

    return write


def test_one_kib_a_step_of_a_microsecond_workload_is_a_leak(workload, tmp_path):
    """The rate is right although pages come four steps apart; --fail-on makes it a gate."""
    done = command(
        workload(LEAK_1_KIB), "--steps", 500, "--json", "--fail-on", "leak",
        "--out", tmp_path / "study",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "leak"
    assert answer["rate_kib_per_step"] == pytest.approx(1.02, abs=0.05)
    low, high = answer["interval_kib_per_step"]
    assert low <= answer["rate_kib_per_step"] <= high
    assert 0 < answer["smallest_visible_kib_per_step"] < 1
    assert (answer["steps"], answer["repeats"]) == (500, 5)
    assert answer["study"] == str(tmp_path / "study")
    called = lab.Study(tmp_path / "study").manifest.call
    assert called == Call("watch", {"file": str(tmp_path / "workload.py"), "steps": 500})
    assert called.shell


def test_a_clean_workload_is_no_leak_and_exits_0(workload, tmp_path):
    """A verdict was reached, so the exit status is 0 whatever it is."""
    done = command(workload(CLEAN), "--steps", 100, "--fail-on", "leak", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert any(word in done.stdout.lower() for word in ("a baseline", "a plateau"))
    assert "MiB" in done.stdout


def test_a_leak_of_small_objects_shows_before_its_pages_do(workload, tmp_path):
    """Python's live blocks see a list that grows by a few objects a step."""
    path = workload(
        "kept = []\ndef setup(): pass\ndef step(i): kept.extend((i + 1000, i + 2000))\n"
    )
    # The account's own blocks, one a step, are all there after some 100 steps.
    study = lab.watch(path, steps=200, repeats=3, out=tmp_path / "study")
    numbers = study.summary().experiments["workload"].conditions["this"]
    assert numbers.quantities["python_blocks"].verdict == "leak"
    assert numbers.quantities["python_blocks"].rate_per_step == pytest.approx(2, abs=0.3)


def test_many_steps_are_thinned_and_it_is_said(workload, tmp_path):
    """Rates are per step, not per sample."""
    study = lab.watch(workload(LEAK_1_KIB), steps=5000, repeats=2, out=tmp_path / "study")
    answer = study.answer()
    assert answer["rate_kib_per_step"] == pytest.approx(1.02, abs=0.05)
    assert answer["steps"] == 5000
    assert answer["sample_every"] == 5


def test_two_interpreters_are_compared(workload, tmp_path):
    """The same file under two interpreters: two conditions of one study."""
    path = workload(CLEAN)
    study = lab.watch(path, steps=30, repeats=2, against=sys.executable, out=tmp_path / "study")
    item = study.summary().experiments["workload"]
    assert list(item.conditions) == ["this", "against"]
    assert set(study.answer()["conditions"]) == {"this", "against"}
    assert item.contrasts["against"].to == "this"
    found = study.answer()["contrast"]
    assert found["verdict"] in {"unchanged", "inconclusive"}
    assert found["to"] == "this"
    assert f"from this to against: {found['verdict']}. " in watched(study.data, study.summary())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def setup(: pass", "syntax error"),
        ("def setup(): pass", "no function step"),
        ("import sys\nstep = print\nsys.exit(0)", "sys.exit(0)"),
        ("def setup(): pass\ndef step(i):\n import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("def setup(): pass\ndef step(i):\n import os; os._exit(0)", "ended before its last step"),
        ("def setup(): raise OSError('no model')\ndef step(i): pass", "no model"),
        (
            "from threading import Lock\nk = Lock()\nsetup = k.acquire\ndef step(i): k.acquire()",
            "no new sample for 1 s",
        ),
    ],
)
def test_a_run_that_measured_nothing_is_an_error_with_a_sentence(workload, tmp_path, code, words):
    """Exit status 2, what happened, no traceback, and no hang."""
    done = command(workload(code), "--steps", 20, "--repeats", 1, "--step-timeout", 1, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """So are a folder and something that is no Python."""
    with pytest.raises(WorkloadError, match="cannot read the workload"):
        lab.watch(tmp_path / "none.py")
    (tmp_path / "binary.py").write_bytes(b"\0\1\2")
    with pytest.raises(WorkloadError, match=r"binary\.py"):
        lab.watch(tmp_path / "binary.py")


def test_a_misspelt_verdict_suggests_the_right_one(workload):
    """A gate that waits for a word that never comes would be no gate."""
    done = command(workload(CLEAN), "--fail-on", "leek")
    assert done.returncode == 2
    assert "did you mean 'leak'" in done.stderr


def test_a_leak_that_malloc_does_not_see_is_a_leak(workload, tmp_path):
    """A library that maps memory for itself: neither malloc nor Python knows of it."""
    path = workload(
        "import mmap\nkept = []\ndef setup(): pass\n"
        "def step(i):\n    block = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE)\n"
        "    block.write(b'1' * (1 << 16))\n    kept.append(block)\n"
    )
    study = lab.watch(path, steps=100, repeats=3, out=tmp_path / "study")
    numbers = study.summary().experiments["workload"].conditions["this"]
    assert numbers.verdict == "leak"
    assert numbers.rate_kib_per_step == pytest.approx(64, rel=0.05)


def test_pages_that_malloc_had_reserved_are_no_leak(workload, tmp_path):
    """One large block, touched little by little: resident memory grows, and nothing leaks."""
    path = workload(
        "import ctypes\nlibrary = ctypes.CDLL(None)\nlibrary.malloc.restype = ctypes.c_void_p\n"
        "library.malloc.argtypes = [ctypes.c_size_t]\nblock = library.malloc(64 << 20)\n"
        "def setup(): pass\ndef step(i): ctypes.memset(block + (i << 16), 1, 1 << 16)\n"
    )
    study = lab.watch(path, steps=100, repeats=3, out=tmp_path / "study")
    numbers = study.summary().experiments["workload"].conditions["this"]
    assert numbers.verdict == "inconclusive"
    assert "kept-by-allocator" in numbers.reasons


SHARED = """
import mmap
kept = []
def setup(): pass
def step(i):
    kept.append(mmap.mmap(-1, 1 << 20))
    kept[-1].write(b"x" * (1 << 20))
"""


def test_shared_memory_that_grows_is_a_leak_and_counts_at_the_limit(workload, tmp_path):
    """mmap(-1) is shared with children unless one says otherwise; no file backs it either."""
    path = workload(SHARED)
    answer = lab.watch(path, steps=30, repeats=3, out=tmp_path / "a").answer()
    assert answer["verdict"] == "leak"
    assert answer["rate_kib_per_step"] == pytest.approx(1024, rel=0.02)
    killed = lab.watch(path, steps=60, repeats=1, memory_limit="30MiB", out=tmp_path / "b")
    assert list(killed.runs["outcome"]) == ["killed"]


MAPPED = """
import mmap, os, tempfile
file = tempfile.TemporaryFile()
file.truncate(40 << 20)
kept = []
def setup(): pass
def step(i):
    kept.append(mmap.mmap(file.fileno(), 1 << 20, prot=mmap.PROT_READ, offset=i << 20))
    sum(kept[-1][k] for k in range(0, 1 << 20, 4096))
"""


def test_pages_of_files_that_grow_are_not_called_flat(workload, tmp_path):
    """They can be dropped when memory is short: no leak, and no baseline."""
    study = lab.watch(workload(MAPPED), steps=30, warmup=2, repeats=3, out=tmp_path / "study")
    answer = study.answer()
    assert answer["verdict"] == "inconclusive"
    assert "quantities-disagree" in answer["reasons"]
    numbers = study.summary().experiments["workload"].conditions["this"]
    assert "mapped" in numbers.grew


def test_the_gate_also_closes_for_the_second_interpreter(workload, tmp_path):
    """A leak in --against alone fails --fail-on leak."""
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    path = workload(
        "import sys\nkept = []\ndef setup(): pass\n"
        "def step(i): kept.append(b'x' * 50_000 if 'other' in sys.executable else b'')\n"
    )
    arguments = ["--steps", 40, "--repeats", 3, "--against", other, "--out", tmp_path / "study"]
    done = command(path, *arguments, "--fail-on", "leak")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "against leaks where this does not" in done.stdout


def test_a_sample_that_lacks_a_reading_is_left_out(workload, tmp_path):
    """One line without anonymous memory, or all of them: the rest is judged."""
    study = lab.watch(workload(CLEAN), steps=30, repeats=3, out=tmp_path / "study")
    for repeat, count in (("00", 1), ("01", 99), ("02", 99)):
        path = study.folder.run(f"workload/this/{repeat}").steps_path
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in [line for line in lines if line["phase"] == "step"][:count]:
            del line["anonymous"]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = lab.Study(study.folder.path).answer()
    assert answer["verdict"] in {"baseline", "plateau", "inconclusive"}


CASES = Path(__file__).parent / "fixtures" / "watch"


@pytest.mark.parametrize(
    ("name", "verdicts", "grew"),
    [
        ("touched_late_small", {"inconclusive", "plateau", "baseline"}, None),
        ("touched_late", {"inconclusive", "plateau", "baseline"}, None),
        ("doubling_pool", {"leak"}, None),
        ("child_keeps", {"leak"}, "children"),
        ("shm_files", {"leak"}, "shm_files"),
    ],
)
def test_what_others_reported(tmp_path, name, verdicts, grew):
    """Pages touched late are no leak; a pool that doubles is one; so is what grows outside."""
    study = lab.watch(CASES / f"{name}.py", steps=120, repeats=5, out=tmp_path / "study")
    ((_, numbers),) = study.summary().conditions()
    assert numbers.verdict in verdicts, numbers
    reasons = set(numbers.reasons)
    assert "kept-by-allocator" not in reasons or name.startswith("touched")
    if grew:
        assert grew in numbers.grew
        assert numbers.reasons[0] == "grows-outside"
        # Looking at what grows outside is no growth of the process.
        assert "leak" not in {numbers.quantities[x].verdict for x in ("anonymous", "in_use")}
        expected = {"children": 20480, "shm_files": 65536}[grew]
        assert numbers.quantities[grew].rate_per_step == pytest.approx(expected, rel=0.1)
    if name == "doubling_pool":
        assert numbers.rate_kib_per_step == pytest.approx(3, rel=0.1)
