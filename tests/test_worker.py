"""A run in its own process: whole lines whatever happens, and a light worker."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from listen2lab.errors import StudyError
from listen2lab.experiment import worker
from listen2lab.experiment.runner import execute
from listen2lab.notice import Notice
from listen2lab.study.records import Sample
from listen2lab.study.trace_records import Objects, Trace
from listen2lab.units import MIB

pytestmark = pytest.mark.slow  # runs of their own processes


def phases(run):
    """Return the phases of a run's lines, in order."""
    return [line.phase for line in run.samples()]


def test_a_run_goes_through_its_phases_in_order(prepared):
    """Warm-up and steps share one numbering from 0."""
    run = prepared(warmup=2, steps=3)
    assert execute(run).outcome == "complete"
    levels = ["start", "meter", "import", "setup", "warmup", "warmup", *["step"] * 3]
    assert phases(run) == [*levels, "end", "released"]
    assert [line.step for line in run.samples() if line.step is not None] == [0, 1, 2, 3, 4]


def test_a_step_s_input_facts_and_components_are_in_its_line(prepared):
    """What a workload says of itself is kept with the sample."""
    run = prepared("""
        def setup(): pass
        def step(i): return {"words": i * 2}
        def size(i): return i / 2
        def components(): return {"cache": 100}
    """)
    execute(run)
    last = [line for line in run.samples() if line.phase == "step"][-1]
    assert last.facts == {"words": 8}
    assert last.size == 2.0
    assert last.components == {"cache": 100}


def test_many_steps_are_sampled_every_few(prepared):
    """A thinned sample holds the largest input and the sum of inputs since the one before."""
    run = prepared(
        "def setup(): pass\ndef step(i): pass\ndef size(i): return 1.0\n",
        steps=100, warmup=0, sample_every=10,
    )  # fmt: skip
    execute(run)
    steps = [line for line in run.samples() if line.phase == "step"]
    assert [line.step for line in steps] == list(range(9, 100, 10))
    assert {line.size_sum for line in steps} == {10.0}


def test_memory_that_is_held_shows_and_what_teardown_drops_goes(prepared):
    """Memory at the end holds 40 MiB that is not there after the teardown."""
    run = prepared(
        """
        held = []
        def setup(): pass
        def step(i): held.append(bytearray(10 << 20))
        def teardown(): held.clear()
    """,
        warmup=0,
    )
    execute(run)
    rss = {line.phase: line.rss for line in run.samples()}
    assert rss["end"] - rss["setup"] == pytest.approx(40 * MIB, rel=0.02)
    assert rss["released"] - rss["setup"] < 2 * MIB


@pytest.mark.parametrize(
    ("code", "why", "words"),
    [
        (
            "def setup(): pass\ndef step(i): 1/0",
            Notice("raised", {"type": "ZeroDivisionError"}), "division by zero",
        ),
        ("def setup(: pass", Notice("raised", {"type": "WorkloadError"}), "syntax error"),
        ("def setup(): pass", Notice("raised", {"type": "WorkloadError"}), "no function step"),
        ("import nonesuch", Notice("raised", {"type": "WorkloadError"}), "nonesuch"),
        ("import sys\nsys.exit(3)", Notice("raised", {"type": "SystemExit"}), "sys.exit(3)"),
        (
            "def setup(): print('so long')\ndef step(i):\n import os; os._exit(255)",
            Notice("status", {"status": 255}), "so long",
        ),
        (
            "def setup(): pass\ndef step(i):\n import os; os._exit(0)",
            Notice("ended-early"), None,
        ),
        (
            "def setup(): pass\ndef step(i):\n import ctypes; ctypes.string_at(0)",
            Notice("signal", {"name": "SIGSEGV"}), None,
        ),
    ],
)  # fmt: skip
def test_a_workload_that_fails_says_how(prepared, code, why, words):
    """Whatever a workload does to its process, the result says it and is written."""
    run = prepared(code)
    result = execute(run)
    assert (result.outcome, result.why) == ("crashed", why)
    assert words in result.message if words else result.message is None
    assert run.result() == result


def test_a_traced_run_that_cannot_be_loaded_says_why_and_leaves_no_capture(prepared):
    """Recording begins after the import: an empty capture would hide the workload's own error."""
    run = prepared("import nonesuch", key="own/file/traced", traced=True)
    assert "nonesuch" in execute(run).message
    assert not (run.path / "heap.bin").exists()


def test_a_hung_step_is_killed(prepared):
    """A step that does not end is a result after the time limit."""
    run = prepared("import time\ndef setup(): pass\ndef step(i): time.sleep(60)")
    result = execute(run, step_timeout=2.0)
    assert result.outcome == "timed-out"
    assert result.why == Notice("no-sample", {"seconds": 2.0, "step": None})
    assert "setup" in phases(run)


def test_over_the_memory_limit_a_run_is_killed_and_says_where(prepared):
    """The samples before the kill are whole, and the result names step and limit."""
    run = prepared(
        "held = []\ndef setup(): pass\ndef step(i): held.append(bytearray(20 << 20))", steps=50
    )
    result = execute(run, memory_limit=100 * MIB)
    assert result.outcome == "killed"
    assert result.why.code == "over-limit"
    assert result.why.values["limit"] == 100 * MIB < result.why.values["footprint"]
    assert result.why.values["step"] == result.last_step
    assert 2 <= result.last_step <= 6
    assert [line.step for line in run.samples() if line.step is not None][-1] == result.last_step


def test_a_short_peak_over_the_limit_counts(prepared):
    """A peak that is gone before anyone looks is the kernel's to remember."""
    run = prepared(
        """
        import time
        def setup(): pass
        def step(i):
            block = bytearray(150 << 20)
            del block
            time.sleep(0.1)
    """
    )
    assert execute(run, memory_limit=100 * MIB).outcome == "killed"


def test_file_backed_memory_does_not_count_against_the_limit(prepared, tmp_path):
    """Clean pages of a mapped file are resident and not footprint."""
    big = tmp_path / "big"
    big.write_bytes(b"1" * (150 << 20))
    run = prepared(f"""
        import mmap
        file = open({str(big)!r}, "rb")
        m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        def setup(): pass
        def step(i): sum(m[k] for k in range(0, len(m), 4096))
    """)
    result = execute(run, memory_limit=100 * MIB)
    assert result.outcome == "complete", result
    assert result.peak_rss > 150 * MIB


def test_a_gigabyte_of_output_is_not_kept(prepared):
    """What is printed is kept from both ends and costs the parent no memory."""
    run = prepared("def setup(): print('first')\ndef step(i): print('x' * 10_000_000)\n"
                   "def teardown(): print('last')")  # fmt: skip
    assert execute(run).outcome == "complete"
    kept = (run.path / "output.log").read_bytes()
    assert kept.startswith(b"first")
    assert kept.endswith(b"last\n")
    assert len(kept) < 200_000


def test_a_fork_does_not_become_a_second_run(prepared):
    """A child that the workload forks and forgets writes no samples of its own."""
    run = prepared("import os\ndef setup(): pass\ndef step(i): os.fork()")
    execute(run, step_timeout=20)
    assert [line.step for line in run.samples() if line.step is not None] == [0, 1, 2, 3, 4]


def test_changing_the_directory_loses_nothing(prepared):
    """Samples go where they belong wherever the workload stands."""
    run = prepared("import os\ndef setup(): os.chdir('/')\ndef step(i): pass")
    assert execute(run).outcome == "complete"
    assert phases(run)[-1] == "released"


def test_a_full_disk_stops_the_study_and_is_no_result(prepared):
    """Samples that cannot be written make no crash of the workload: the study says so."""
    run = prepared()
    run.steps_path.symlink_to("/dev/full")
    with pytest.raises(StudyError, match="No space left"):
        execute(run)
    assert run.result() is None


def test_a_trace_that_a_full_disk_cut_short_is_no_result(prepared):
    """Memray stops without an error when it cannot write on: the study says why there is none."""
    run = prepared(
        """
        import os, resource, types
        def setup():
            # No capture larger than this, as if the disk were full; and it says that it is.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
            os.statvfs = lambda path: types.SimpleNamespace(f_bavail=1, f_bfree=1, f_frsize=4096)
        def step(i):
            held = [bytearray(600 + k % 1000) for k in range(200_000)]
        """,
        key="own/file/traced",
        traced=True,
    )
    with pytest.raises(StudyError, match="no space left for memray's capture"):
        execute(run)
    assert run.result() is None
    assert not (run.path / "heap.json").exists()


def test_a_worker_weighs_little_and_imports_nothing_of_weight(prepared):
    """The instrument is at most 4 MiB over bare Python, read by the worker's own meter."""
    run = prepared("import sys\ndef setup(): print(*sys.modules)\ndef step(i): pass")
    execute(run)
    started = next(line for line in run.samples() if line.phase == "start")
    code = "print(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert started.rss - int(pages.stdout) * 4096 < 4 * MIB
    loaded = set((run.path / "output.log").read_text().split())
    assert not loaded & {
        "numpy",
        "pandas",
        "scipy",
        "typer",
        "tqdm",
        "psutil",
        "asyncio",
        "memray",
        "typing",
    }


def test_a_worker_runs_where_the_lab_is_not_installed(prepared):
    """Started by path in isolated mode, it finds its own package and nothing else of the lab's."""
    run = prepared("import sys\ndef setup(): print('listen2lab' in sys.modules)\ndef step(i): pass")
    done = subprocess.run(
        [sys.executable, "-I", "-S", worker.__file__, str(run.spec_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "True" in done.stdout


def test_a_worker_whose_parent_has_died_does_not_begin(prepared):
    """The parent may be killed before the worker could ask to be killed with it."""
    run = prepared("def step(i): pass")
    there, its = os.pipe()
    os.close(there)
    began = subprocess.run(
        [sys.executable, worker.__file__, str(run.spec_path)], stdout=its, check=False
    )
    os.close(its)
    assert began.returncode == worker.EXIT_ERROR
    assert not run.steps_path.exists()


def test_a_traced_run_says_who_allocated(prepared):
    """The capture is kept, and its reduction sums to the peak."""
    run = prepared(
        """
        held = []
        def setup(): pass
        def step(i): held.append(bytearray(10 << 20))
    """,
        traced=True,
        warmup=0,
    )
    assert execute(run).outcome == "complete"
    trace = run.trace()
    assert run.capture_path.exists()
    assert trace.peak == pytest.approx(40 * MIB, rel=0.05)
    assert sum(size for size, _ in trace.live("peak").values()) == pytest.approx(
        trace.peak, rel=0.01
    )
    assert max(trace.curve.heap) == pytest.approx(trace.peak, rel=0.05)


def test_a_traced_run_that_is_killed_keeps_its_capture(prepared):
    """What memray had written before the kill can still be read."""
    run = prepared(
        "held = []\ndef setup(): pass\ndef step(i): held.append(bytearray(20 << 20))",
        steps=50, traced=True,
    )  # fmt: skip
    assert execute(run, memory_limit=150 * MIB).outcome == "killed"
    code = (
        "import memray, sys; r = memray.FileReader(sys.argv[1]); "
        "print(sum(a.size for a in r.get_high_watermark_allocation_records()))"
    )
    command = [sys.executable, "-c", code, str(run.capture_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 40 * MIB


class Exact(Sample, forbid_unknown_fields=True):
    """A sample that may have no field that the records do not know."""


@pytest.mark.parametrize("traced", [False, True])
def test_the_worker_writes_what_the_records_declare(prepared, traced):
    """The worker knows no records: each of its lines is one by itself, with nothing else in it."""
    run = prepared(
        """
        def setup(): pass
        def step(i): return {"words": i}
        def size(i): return i / 2
        def components(): return {"cache": 100}
        """,
        traced=traced,
        phases=("trimmed",),
    )
    execute(run)
    lines = run.steps_path.read_bytes().splitlines()
    samples = [msgspec.json.decode(line, type=Exact) for line in lines]
    assert [sample.phase for sample in samples] == phases(run)
    read = samples[-1]
    assert min(read.rss, read.anonymous, read.private_dirty, read.in_use, read.account_heap) > 0
    for name, record in (("heap.json", Trace), ("objects.json", Objects)):
        if traced:
            msgspec.json.decode((run.path / name).read_bytes(), type=exact(record))


def exact(record):
    """Return a record that may have no field that is not declared."""
    name = f"Exact{record.__name__}"
    return msgspec.defstruct(name, [], bases=(record,), forbid_unknown_fields=True)


def test_a_run_that_raised_says_so_in_a_line_that_the_records_declare(prepared):
    """The line of an error, too."""
    run = prepared("def setup(): raise OSError('no model')\ndef step(i): pass")
    execute(run)
    last = msgspec.json.decode(run.steps_path.read_bytes().splitlines()[-1], type=Exact)
    assert (last.phase, last.type, last.error) == ("error", "OSError", "no model")


def test_the_harness_leaves_no_blocks_behind(prepared):
    """A workload that does nothing shows no growth of Python's blocks, from the tenth step on."""
    run = prepared("def setup(): pass\ndef step(i): pass\n", steps=120, warmup=10)
    execute(run)
    blocks = [each.python_blocks for each in run.samples() if each.phase == "step"]
    assert max(blocks) - min(blocks) <= 2
