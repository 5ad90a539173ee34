"""Somebody's own function: stepped in fresh processes, kept in the study, opened for them alone."""

from __future__ import annotations

import json
import shutil
import sys
import threading

import pytest

import listen2lab as lab
from listen2lab.errors import InputError, StudyError, WorkloadError
from listen2lab.experiment import trust
from listen2lab.report.text.command import rendered

pytestmark = pytest.mark.slow  # runs of their own processes

held = []


def keep(i):
    """Leak 100 kB a step, into a list of this module."""
    held.append(bytes(bytearray(100_000 + i % 2)))


def numbers(study):
    """Return what the one condition of a study comes to."""
    ((_, found),) = study.summary().conditions()
    return found


def test_a_closure_is_stepped_with_what_it_refers_to(tmp_path):
    """By value, with setup and sizes; nothing of it happens in this process."""
    kept, size = [], 50_000

    def load():
        kept.append(b"loaded")

    def step(i):
        assert kept[0] == b"loaded"
        kept.append(bytes(bytearray(size)))

    study = lab.watch(
        step, setup=load, teardown=kept.clear, size=lambda i: size + i % 2,
        steps=60, repeats=3, out=tmp_path / "study",
    )  # fmt: skip
    found = numbers(study)
    assert found.verdict == "leak"
    assert found.rate_kib_per_step == pytest.approx(size / 1024, rel=0.1)
    assert found.largest_input == size + 1
    assert kept == []
    assert study.plan.experiments[0].name == "step"
    called = rendered(study.manifest.call)
    assert called.startswith("lab.watch(step, setup=load, teardown=clear, size=<lambda>, steps=60")


def test_a_function_of_a_module_goes_by_its_name_and_may_take_nothing(tmp_path):
    """A method, a lambda and a function of a module that is only importable from here."""
    found = numbers(lab.watch(keep, steps=30, repeats=3, out=tmp_path / "a"))
    assert (found.verdict, held) == ("leak", [])
    clean = lab.watch(lambda: sum(range(1000)), steps=30, repeats=1, out=tmp_path / "b")
    assert numbers(clean).n_complete == 1


def test_only_whoever_began_it_here_completes_and_repeats_it(tmp_path, monkeypatch):
    """Resume and rerun open the pickle of this user's own study, unchanged; nobody else's."""
    folder = tmp_path / "study"
    lab.watch(lambda: None, steps=10, repeats=2, out=folder)
    shutil.rmtree(folder / "runs" / "lambda" / "this" / "01")
    assert numbers(lab.resume(folder)).n_complete == 2
    assert lab.rerun(folder, out=tmp_path / "again").study.plan.repeats == 2
    with pytest.raises(InputError, match="no file can stand for it"):
        lab.resume(folder, workload=__file__)
    report = lab.Study(folder).report()
    with pytest.raises(StudyError, match="ask for its source"):
        lab.rerun(report, out=tmp_path / "from-report")

    shutil.rmtree(folder / "runs" / "lambda" / "this" / "01")
    mine = (folder / "workload.pickle").read_bytes()
    (folder / "workload.pickle").write_bytes(mine + b" ")
    with pytest.raises(StudyError, match="workload is not what the study was begun with"):
        lab.resume(folder)
    (folder / "workload.pickle").write_bytes(mine)
    monkeypatch.setattr(trust, "is_own", lambda _: False)
    monkeypatch.setattr("listen2lab.experiment.run_study.is_own", lambda _: False)
    monkeypatch.setattr("listen2lab.comparison.rerun.is_own", lambda _: False)
    with pytest.raises(StudyError, match="ask for its source"):
        lab.resume(folder)
    with pytest.raises(StudyError, match="ask for its source"):
        lab.rerun(folder, out=tmp_path / "of-a-stranger")
    assert not (folder / "runs" / "lambda" / "this" / "01").exists()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (threading.Lock().acquire_lock, "cannot be sent to a fresh process"),
        (lambda a, b: None, "takes neither"),
    ],
)
def test_what_cannot_be_stepped_is_refused_before_anything_runs(step, words, tmp_path):
    """A lock that it refers to, arguments that nobody gives."""
    with pytest.raises(WorkloadError, match=words):
        lab.watch(step, out=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_what_belongs_to_a_function_is_refused_beside_a_file(tmp_path):
    """And a function needs an interpreter that can read it."""
    path = tmp_path / "own.py"
    path.write_text("def step(i): pass\n")
    with pytest.raises(InputError, match="setup belong to a function"):
        lab.watch(path, setup=print)
    bare = tmp_path / "bare"
    (bare / "bin").mkdir(parents=True)
    (bare / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (bare / "bin" / "python").chmod(0o755)
    with pytest.raises(InputError, match="cloudpickle not installed"):
        lab.watch(keep, python=str(bare))
    with pytest.raises(InputError, match="a traced run needs memray"):
        lab.watch(path, python=str(bare), trace=True)
    with pytest.raises(InputError, match="without bin/python"):
        lab.watch(path, python=str(tmp_path))
    study = lab.watch(path, python=str(bare), steps=10, repeats=1, out=tmp_path / "study")
    assert numbers(study).n_complete == 1
    assert study.manifest.python == str(bare / "bin" / "python")


def test_a_file_without_a_step_is_refused_before_any_process(tmp_path):
    """One that imports it, or makes it at run time, is not; setup is optional."""
    path = tmp_path / "own.py"
    path.write_text("def steps(i): pass\n")
    with pytest.raises(WorkloadError, match="no function step; nothing was run"):
        lab.watch(path, out=tmp_path / "study")
    assert not (tmp_path / "study").exists()
    path.write_text("globals()['step'] = lambda i: None\n")
    assert numbers(lab.watch(path, steps=10, repeats=1, out=tmp_path / "study")).n_complete == 1


COROUTINES = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
kept, lock = [], None
async def setup():
    global lock
    lock = asyncio.Lock()  # of one loop, which all steps share
async def step(i):
    async with lock:
        await asyncio.to_thread(kept.append, bytes(bytearray(64 << 10)))
    if i == 0: asyncio.create_task(asyncio.sleep(1000))  # is cancelled at the end
async def teardown(): kept.clear()
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, Lock
kept, lock = [], Lock()
def setup():
    global pool
    pool = ThreadPoolExecutor(4)
def work(n):
    data = bytearray(1 << 20)
    with lock: kept.append(bytes(bytearray(8 << 10)))
def step(i):
    list(pool.map(work, range(4)))
    threads = [Thread(target=work, args=(n,)) for n in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
def teardown(): pool.shutdown()
"""
SPAWNED = """
import multiprocessing
def work(n): return n * n
def setup():
    global pool
    pool = multiprocessing.get_context("{method}").Pool(1)
def step(i):
    assert pool.apply(work, (i,)) == i * i
def teardown():
    pool.terminate(); pool.join()
"""


@pytest.mark.parametrize(("code", "kib"), [(COROUTINES, 64), (THREADS, 64)])
def test_coroutines_and_threads_are_stepped_as_anything_else(tmp_path, code, kib):
    """One loop for all of a run; what threads keep is a leak like any other."""
    path = tmp_path / "own.py"
    path.write_text(code)
    found = numbers(lab.watch(path, steps=60, repeats=3, out=tmp_path / "study"))
    assert found.runs["complete"] == 3
    assert found.verdict == "leak"
    assert found.rate_kib_per_step == pytest.approx(kib, rel=0.1)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_of_multiprocessing_import_the_workload(tmp_path, method):
    """Started afresh, they find its functions by its name, and nothing of the lab's worker."""
    path = tmp_path / "own-work.py"
    path.write_text(SPAWNED.format(method=method))
    study = lab.watch(path, steps=10, repeats=1, out=tmp_path / "study")
    assert list(study.runs["outcome"]) == ["complete"], study.runs["message"].iloc[0]


def test_a_coroutine_of_a_notebook_is_stepped(tmp_path):
    """As a function, too."""

    async def step():
        import asyncio

        await asyncio.sleep(0)

    assert numbers(lab.watch(step, steps=10, repeats=1, out=tmp_path / "s")).n_complete == 1
    spec = json.loads((tmp_path / "s/runs/step/this/00/spec.json").read_text())
    assert spec["workload"]["kind"] == "functions"
