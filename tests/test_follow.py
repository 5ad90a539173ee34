"""Any program, followed from outside: by the lines that it prints, or by time."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from small_studies import edit

import listen2lab as lab
from listen2lab.errors import InputError, StudyError
from listen2lab.experiment.trust import is_own
from listen2lab.findings.conditions import evenly
from listen2lab.probes.tree import Tree, started
from listen2lab.report.text.command import rendered
from listen2lab.study.redact import LEFT_OUT
from listen2lab.units import KIB, MIB, parse_seconds

GROWS = """
import sys, time
kept = []
for i in range(int(sys.argv[1])):
    kept.append(b"x" * (100 * 1024))
    time.sleep(float(sys.argv[2]))
    print(i)
"""


@pytest.fixture
def grows(tmp_path):
    """Return a function that gives the command of a program that keeps 100 KiB a line."""
    file = tmp_path / "grows.py"
    file.write_text(GROWS)
    return lambda lines, pause=0.03: [sys.executable, str(file), str(lines), str(pause)]


def only(study):
    """Return the numbers of a study's only condition."""
    ((_, numbers),) = study.summary().conditions()
    return numbers


def test_uneven_samples_are_laid_on_one_grid():
    """Samples that came ever more rarely, otherwise in each run, are one series a step apart."""
    rows = []
    for repeat, gaps in enumerate(([1] * 40 + [2] * 30, [1] * 20 + [2] * 40)):
        step = 4.0 + np.cumsum(gaps)
        rows.append(
            pd.DataFrame({"repeat": repeat, "step": step, "steps": gaps, "rss": 1e6 + 1e3 * step})
        )
    even = evenly(pd.concat(rows, ignore_index=True))
    assert set(even["steps"]) == {2.0}
    assert (even["rss"] == 1e6 + 1e3 * even["step"]).all()
    first, second = (even.loc[even["repeat"] == k, "step"].to_numpy() for k in (0, 1))
    assert (first == second[: len(first)]).all()
    assert evenly(rows[0].iloc[:40]).equals(rows[0].iloc[:40])


def test_times_are_read_with_their_unit():
    """Seconds where nothing is said; no time is an error."""
    assert [parse_seconds(x) for x in ("60s", "1.5m", "2h", "7")] == [60, 90, 7200, 7]
    for wrong in ("0s", "-1s", "soon", "5d"):
        with pytest.raises(InputError, match="is no time"):
            parse_seconds(wrong)


@pytest.mark.slow
def test_a_program_that_keeps_something_with_each_line_leaks(grows, tmp_path):
    """The rate is right, what cannot be told is said, and the study can be repeated and shared."""
    study = lab.watch(command=grows(90), steps=60, repeats=2, out=tmp_path / "study")
    numbers = only(study)
    assert numbers.verdict == "leak", numbers.reasons
    assert numbers.rate_kib_per_step == pytest.approx(100, rel=0.05)
    assert "live-bytes-unknown" in numbers.reasons
    assert "in_use" not in numbers.quantities
    assert rendered(study.manifest.call).startswith("lab.watch(command=[")
    assert is_own(study.manifest)
    assert lab.resume(study.data.folder.path).data.runs["outcome"].eq("complete").all()
    page = study.report().read_text("utf-8")
    assert str(tmp_path) not in page
    assert LEFT_OUT in page

    other = shutil.copytree(study.data.folder.path, tmp_path / "sent")
    edit(other / "manifest.json", lambda manifest: manifest.update(mark=None))
    with pytest.raises(InputError, match=r"grows\.py 90"):
        lab.rerun(other, out=tmp_path / "again")
    named = shlex.join(grows(90))
    with pytest.raises(InputError, match="another one"):
        lab.rerun(other, out=tmp_path / "again", workload=shlex.join(grows(91)))
    again = lab.rerun(other, out=tmp_path / "again", workload=named).study
    assert only(again).rate_kib_per_step == pytest.approx(100, rel=0.1)


@pytest.mark.slow
def test_what_children_hold_counts_and_a_limit_holds_for_the_tree(grows, tmp_path):
    """By time, rates are by the second; what the command's child takes is its own."""
    script = f"{shlex.join(grows(1000, 0.01))} > {tmp_path}/none & wait"
    study = lab.watch(
        command=["sh", "-c", script], seconds=3, warmup=1, repeats=1, out=tmp_path / "study"
    )
    (experiment,) = study.plan.experiments
    assert (experiment.unit, experiment.steps) == ("second", 3)
    numbers = only(study)
    assert numbers.verdict == "leak", numbers.reasons
    assert 3000 < numbers.rate_kib_per_step < 10_500
    steps = study.steps
    assert (steps["fact.processes"] == 2).all()
    killed = lab.watch(
        command=["sh", "-c", script],
        seconds=20,
        repeats=1,
        memory_limit="30MiB",
        out=tmp_path / "k",
    )
    (why,) = killed.data.runs["why"]
    assert why.code == "over-limit"
    assert 30 * MIB < why.values["footprint"] < 60 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "outcome", "code", "words"),
    [
        ("true", "crashed", "raised", "--for 60s"),
        ("echo one; echo boom >&2; exit 4", "crashed", "status", "boom"),
        ("for i in 1 2 3 4 5 6 7 8; do echo; sleep 0.02; done; kill -SEGV $$", "crashed", "signal",
         None),
        ("sleep 60", "timed-out", "no-sample", None),
        ("head -c 3000000 /dev/zero; sleep 60", "timed-out", "no-sample", None),
    ],
)  # fmt: skip
def test_a_program_that_prints_nothing_or_fails_is_told(tmp_path, script, outcome, code, words):
    """It is ended, and how it ended stands in the study; nothing hangs."""
    study = lab.watch(
        command=["sh", "-c", script], steps=20, warmup=2, repeats=1, step_timeout=2,
        out=tmp_path / "study",
    )  # fmt: skip
    (run,) = study.data.runs.to_dict("records")
    assert (run["outcome"], run["why"].code) == (outcome, code)
    if words is not None:
        assert words in run["message"]
    assert only(study).n_complete == 0


@pytest.mark.slow
def test_gigabytes_of_output_are_neither_kept_nor_waited_for(tmp_path):
    """What is printed is bounded in the study, and lines that come too fast are thinned."""
    script = "head -c 300000000 /dev/zero; for i in 1 2 3; do yes | head -n 100000; sleep 0.1; done"
    study = lab.watch(
        command=["sh", "-c", script], steps=200_000, warmup=0, repeats=1, out=tmp_path / "study"
    )
    assert list(study.data.runs["outcome"]) == ["complete"]
    assert sum(x.stat().st_size for x in (tmp_path / "study" / "runs").rglob("*.*")) < MIB
    assert study.steps["steps"].sum() >= 200_000


@pytest.mark.slow
def test_a_process_that_runs_is_looked_at_and_left_alone(grows, tmp_path):
    """One run with the caveats of one run; it goes on, and cannot be run again."""
    child = subprocess.Popen(grows(10_000, 0.01), stdout=subprocess.DEVNULL)
    try:
        study = lab.watch(pid=child.pid, seconds=4, warmup=1, out=tmp_path / "study")
        assert child.poll() is None
        numbers = only(study)
        assert numbers.runs["complete"] == 1
        assert {"one-repeat", "live-bytes-unknown"} <= set(numbers.reasons)
        assert 3000 < numbers.rate_kib_per_step < 10_500
        with pytest.raises(InputError, match="memory-limit"):
            lab.watch(pid=child.pid, memory_limit="1GB", out=tmp_path / "none")
        with pytest.raises(StudyError, match="which no run can start again"):
            lab.rerun(study, out=tmp_path / "again")
        assert started(child.pid) is not None
    finally:
        child.kill()
        child.wait()
    assert started(child.pid) is None
    with pytest.raises(InputError, match="there is no process"):
        lab.watch(pid=child.pid, out=tmp_path / "none")
    with pytest.raises(InputError, match="one of them"):
        lab.watch(out=tmp_path / "none")


@pytest.mark.slow
def test_reading_a_large_tree_takes_little(tmp_path):
    """A tree is read by its counters, which does not depend on how much it holds."""
    code = "import time; kept = b'x' * (300 << 20); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"\n"
        tree = Tree(child.pid)
        clock = time.thread_time()
        for _ in range(20):
            held = tree.read()
        assert (time.thread_time() - clock) / 20 < 0.002
        assert held["anonymous"] > 300 * MIB
        assert held["processes"] == held["threads"] == 1
        elsewhere = tree._read_elsewhere()
        assert elsewhere["anonymous"] == pytest.approx(held["anonymous"], abs=512 * KIB)
        assert set(elsewhere) <= set(held)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert tree.read() == {}
