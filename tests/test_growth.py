"""Who holds what grew: libraries by their names, small objects, and what no trace saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

import listen2lab as lab
from listen2lab.account.attribute import filling, leaks
from listen2lab.account.growth import Grown, Growth, what_grew
from listen2lab.account.owners import SMALL_STACKS, fingerprints, growth, holders
from listen2lab.cli import app
from listen2lab.errors import InputError
from listen2lab.probes.libraries import library_name
from listen2lab.report.markdown import issue
from listen2lab.report.text import growth as words
from listen2lab.study.trace_records import Curve, Moment, Stack, Trace

CASES = Path(__file__).parent / "fixtures" / "watch"
SITE = "/x/lib/python3.11/site-packages"
WORKER = "/x/listen2lab/experiment/worker.py"
OWN = ("step", "/home/x/own.py", 7)
KIB = 1024


def trace(frames, libraries=None, *, blocks=(1, 11), lines=()):
    """Return a trace of one stack of 10 and then 110 KiB."""
    named = [each if isinstance(each, tuple) else (each, "", 0) for each in [*frames, *lines]]
    n = len(frames)
    held = [Moment(f"step {k}", 10 * KIB, ((0, 10 * KIB, blocks[0]),)) for k in range(5)]
    return Trace(
        allocations=2, peak=110 * KIB, curve=Curve(), frames=tuple(named),
        stacks=(Stack(tuple(range(n)), tuple(range(n, len(named)))),),
        libraries=libraries or {},
        moments=(
            *held,
            Moment("step 9", 110 * KIB, ((0, 110 * KIB, blocks[1]),)),
            Moment("peak", 110 * KIB),
            Moment("not-freed", 110 * KIB),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/lib/x86_64-linux-gnu/libsqlite3.so.0", "libsqlite3"),
        (f"{SITE}/lxml/etree.cpython-311-x86_64-linux-gnu.so", "lxml.etree"),
        (f"{SITE}/pillow.libs/libjpeg-a41b0190.so.62.4.0", "libjpeg (pillow)"),
        (f"{SITE}/_cffi_backend.cpython-311-x86_64-linux-gnu.so", "_cffi_backend"),
        (f"{SITE}/cryptography/hazmat/_rust.abi3.so", "cryptography.hazmat._rust"),
        ("/x/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so",
         "json (standard library)"),
        ("/x/lib/libpython3.11.so.1.0", "Python"),
        ("/usr/bin/python3.12", "Python"),
        ("/home/x/leaky.so", "leaky"),
    ],
)  # fmt: skip
def test_a_library_has_a_name_without_its_build(path, name):
    """Extensions by module, what a package brings along with the package, others by themselves."""
    assert library_name(path) == name


@pytest.mark.parametrize(
    ("frames", "libraries", "owner", "function"),
    [
        (["sqlite3Malloc", "sqlite3_step", "_PyEval_Vector", OWN],
         {"libsqlite3": (0, 1), "Python": (2,)}, "libsqlite3", "sqlite3_step (libsqlite3)"),
        (["malloc", "<unknown>", "cfunction_call", OWN],
         {"libc": (0,), "lxml.etree": (1,), "Python": (2,)}, "lxml", "(called by step (own.py))"),
        (["_PyObject_Malloc", "PyDict_New", "parse", ("loads", f"{SITE}/fast/api.py", 3), OWN],
         {"Python": (0, 1), "fast._core": (2,)}, "fast", "parse (fast._core)"),
        (["PyMem_Malloc", "ffi_call", "call", OWN],
         {"Python": (0,), "libffi": (1,), "ctypes (standard library)": (2,)},
         "own.py", "step (own.py)"),
        (["list_resize", "list_append", OWN], {"Python": (0, 1)}, "own.py", "step (own.py)"),
        (["gc_alloc", ("compile", "/x/lib/python3.11/re/__init__.py", 9), OWN], {"Python": (0,)},
         "re (standard library)", "compile (re/__init__.py)"),
        (["mmap", "blas_memory_alloc", ("f", "/x/listen2lab/pipeline/alignment.py", 1)],
         {"libscipy_openblas64_ (numpy)": (0, 1)}, "OpenBLAS: working memory",
         "blas_memory_alloc (libscipy_openblas64_ (numpy))"),
    ],
)  # fmt: skip
def test_what_is_no_rule_s_is_named_by_whom_it_was_allocated_for(
    frames, libraries, owner, function
):
    """Never the interpreter, the C library or what passes a call on."""
    found = trace([*frames, ("steps", WORKER, 158)], libraries)
    for by, name in (("owner", owner), ("function", function)):
        assert growth(found, "step 4", "step 9", by)[by].tolist() == [name]


@pytest.mark.parametrize(
    ("frames", "is_lab"),
    [
        (["dumps", ("encode", "/x/lib/python3.11/json/encoder.py", 9), ("write", WORKER, 1),
          ("steps", WORKER, 2)], True),
        (["list_resize", ("read", "/x/listen2lab/probes/a.py", 1), ("steps", WORKER, 2)], True),
        (["list_resize", ("steps", WORKER, 2)], True),
        (["list_resize", OWN, ("steps", WORKER, 2)], False),
        (["work", ("steps", WORKER, 2)], False),
    ],
)  # fmt: skip
def test_the_lab_is_in_no_ranking(frames, is_lab):
    """What it allocates to measure stands in the last row; what it calls is the workload's."""
    found = trace([*frames, ("_run", WORKER, 3)], {"own": (0,)} if frames[0] == "work" else {})
    names = holders(found, "step 9")["owner"].tolist()
    assert (names == [SMALL_STACKS]) == is_lab
    assert fingerprints(found, "step 9").empty == is_lab


def test_blocks_that_came_with_each_step_stand_first():
    """As many blocks as steps, or a multiple, is how a leak in each call looks."""
    one = fingerprints(trace([OWN], blocks=(1, 30)), "step 9")
    assert one["per_step"].tolist() == [3]
    assert fingerprints(trace([OWN], blocks=(1, 35)), "step 9")["per_step"].tolist() == [0]
    assert fingerprints(trace([OWN], blocks=(1, 9)), "step 9")["per_step"].tolist() == [1]


def test_what_no_trace_saw_is_said():
    """Only where plain runs grew by much more."""
    row = Grown(owner="x", function="f", line="own.py:1 f", bytes=200_000, blocks=9, share=1.0)
    found = Growth(since=5, until=10, rows=(row,), owners=3, seen=200_000, grown=5 * KIB * KIB)
    assert found.is_unseen
    assert words.coverage(found).startswith("The trace saw 0.2 MiB of 5.0 MiB of growth")
    for grown in (None, 200_000, 300_000):
        assert not msgspec.structs.replace(found, grown=grown).is_unseen
    # What shrank less in a plain run than in the traced one did not grow past the trace.
    assert not msgspec.structs.replace(found, seen=-500_000, grown=-60_000).is_unseen
    assert words.cut(1, 3) == " (1 of 3)"


def watched(name, tmp_path, steps=20):
    """Watch a case with a traced run; return the study and what was printed."""
    folder = tmp_path / "study"
    options = ["--steps", str(steps), "--warmup", "2", "--repeats", "1", "--trace"]
    done = CliRunner().invoke(
        app, ["watch", str(CASES / f"{name}.py"), *options, "--out", str(folder)]
    )
    assert done.exit_code == 0, done.output
    return lab.Study(folder), done.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "owner", "function"),
    [
        ("native_owner", "libsqlite3", "(libsqlite3)"),
        ("small_objects_owner", "json (standard library)", "_parse_object"),
    ],
)
def test_the_library_that_allocates_comes_first(tmp_path, name, owner, function):
    """In the growth of the last half, with the function; under the verdict and in the issue."""
    study, printed = watched(name, tmp_path)
    found = what_grew(study.data, name, "this")
    assert (found.since, found.until) == (11, 21)
    assert found.rows[0].owner == owner
    assert function in found.rows[0].function
    assert f"{name}.py" in found.rows[0].line
    assert not found.is_unseen
    assert found.rows[0].share > 0.5
    assert owner in printed
    told = issue(study.data, study.summary())
    assert "| blocks a step |\n|---|" in told
    assert f"|\n| {owner} | `{found.rows[0].function}` | `" in told
    assert owner in study.report().read_text()
    assert leaks(study.data, name, "this")["per_step"].iloc[0] > 0
    assert filling(study.data, name, "this")["path"].iloc[0] == f"{name}.kept"
    said = CliRunner().invoke(
        app, ["attribute", str(study.data.folder.path), "--between", "5-15", "--json"]
    )
    answer = json.loads(said.stdout)["growth"]
    assert (answer["since"], answer["until"]) == (5, 15)
    assert answer["rows"][0]["owner"] == owner
    for wrong in ("5", "15-5", "5-99"):
        with pytest.raises(InputError):
            CliRunner().invoke(
                app,
                ["attribute", str(study.data.folder.path), "--between", wrong],
                catch_exceptions=False,
            )


@pytest.mark.slow
def test_what_is_allocated_past_the_trace_is_said(tmp_path):
    """A leak through a handle of dlopen: plain runs tell its size."""
    study, printed = watched("past_the_trace", tmp_path)
    found = what_grew(study.data, "past_the_trace", "this")
    assert found.is_unseen
    assert found.grown == pytest.approx(10 * 65536, rel=0.1)
    assert found.seen < 0.1 * found.grown
    assert "allocated past it" in printed


_WAITS = """
import subprocess, sys
from listen2lab.probes.libraries import _DUMP
child = subprocess.Popen([sys.executable, "-c", _DUMP, sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process that dies with its parent")
def test_a_capture_is_read_no_longer_than_its_worker_lives(tmp_path):
    """A dump takes seconds, and nobody reads it when the worker was killed."""
    os.mkfifo(tmp_path / "heap.bin")  # memray waits for what comes
    command = [sys.executable, "-c", _WAITS, str(tmp_path / "heap.bin")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        stat = Path(f"/proc/{int(worker.stdout.readline())}/stat")
        with (tmp_path / "heap.bin").open("wb"):  # it reads by now
            worker.kill()
            until = time.monotonic() + 5
            while _runs(stat) and time.monotonic() < until:
                time.sleep(0.02)
            assert not _runs(stat)


def _runs(stat):
    return stat.exists() and b") Z " not in stat.read_bytes()
