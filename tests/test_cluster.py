"""A plan on a Dask cluster of separate processes: one study in the end, whatever goes wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from listen2lab.errors import InputError, StudyError
from listen2lab.experiment import cluster, inputs, remote, run_study
from listen2lab.study.data import open_study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import Experiment, Level, Plan

pytestmark = pytest.mark.slow  # runs of their own processes


WORKLOAD = """
import os, time
held = []
def setup(): pass
def step(i):
    held.append(bytearray(1 << 20))
    time.sleep(0.05)
"""
WITHOUT_THE_LAB = (
    "import sys; sys.modules['listen2lab'] = None; "
    "from distributed.cli.dask_worker import main; main()"
)


class LocalCluster:
    """A scheduler and workers, each a process of its own, ended with the test."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.address = None

    def _start(self, *arguments):
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *map(str, arguments)], cwd=self.folder, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def scheduler(self):
        """Start the scheduler, on a port that is free."""
        path = self.folder / "scheduler.json"
        process = self._start(
            "-m", "distributed.cli.dask_scheduler", "--port", 0, "--no-dashboard",
            "--host", "127.0.0.1", "--scheduler-file", path,
        )  # fmt: skip
        wait_for(path.exists)
        wait_for(lambda: path.read_text().endswith("}"))
        self.address = json.loads(path.read_text())["address"]
        return process

    def worker(self, *start, threads=1):
        """Start a worker, which may not be answering yet."""
        return self._start(
            *(start or ("-m", "distributed.cli.dask_worker")), self.address, "--nthreads", threads,
            "--no-nanny", "--no-dashboard", "--local-directory", self.folder,
        )  # fmt: skip

    def close(self):
        """End what is left."""
        for process in self.processes:
            process.kill()
            process.wait()


class Heard:
    """What a study tells while it goes."""

    def __init__(self, on_end=lambda _n: None):
        self.said, self.ended, self.samples, self.done = [], [], [], None
        self._on_end = on_end

    def begin(self, _total, done):
        """Keep how much was done before."""
        self.done = done

    def sample(self, run, sample):
        """Keep a sample."""
        self.samples.append((run.key, sample))

    def end(self, run, result):
        """Keep an end, and do what the test wants at it."""
        self.ended.append((run.key, result))
        self._on_end(len(self.ended))


def wait_for(condition, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def pids(study):
    """Return the process of each run that a study has."""
    found = {}
    for path in (study.path / "runs").rglob("steps.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[path.parent] = next(line["pid"] for line in lines if line["phase"] == "meter")
    return found


def runs_under_way(workers):
    """Return the workers that a run's process belongs to; those left over belong to none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"spec.json") and b"/listen2lab-" in word for word in words):
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
                found += [worker for worker in workers if worker.pid == parent]
    return found


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Return a cluster of two good workers and one without the lab."""
    tmp = tmp_path_factory.mktemp("dask")
    made = LocalCluster(tmp)
    try:
        made.scheduler()
        made.good = [made.worker(), made.worker()]
        made.bad = made.worker("-c", WITHOUT_THE_LAB)
        log = tmp / "dask.log"
        wait_for(lambda: log.read_text().count("Registered to") == len(made.processes) - 1)
        yield made
    finally:
        made.close()


@pytest.fixture
def workload(tmp_path):
    """Return the inputs of a workload file that holds more with each step."""
    (tmp_path / "grows.py").write_text(WORKLOAD)
    return inputs.open_file(tmp_path / "grows.py")


def plan(**settings):
    """Return a plan of two conditions."""
    experiment = Experiment(
        "grows", "?", "x", (Level("a"), Level("b")), steps=12, warmup=0, unit="step"
    )
    return Plan((experiment,), **{"repeats": 2, "jobs": 2, "traced": "none", **settings})


def test_a_killed_worker_is_made_up_for_and_a_bad_one_left_out(dask, workload, tmp_path):
    """One study of fresh processes, complete, with the label of the machine of each run."""

    def kill_one():
        wait_for(lambda: runs_under_way(dask.good))
        dask.killed = runs_under_way(dask.good)[0]
        dask.killed.kill()

    killer = threading.Thread(target=kill_one)
    heard = Heard(lambda ended: killer.start() if ended == 2 else None)
    folder = run_study.start(
        plan(traced="telling"), workload, tmp_path / "study", on=dask.address,
        progress=heard, notify=heard.said.append,
    )  # fmt: skip
    study = open_study(folder.path)
    assert list(study.runs["outcome"]) == ["complete"] * 5  # one trace: the conditions are the same
    own = pids(folder)
    assert len(set(own.values())) == 5
    assert not set(own.values()) & {process.pid for process in dask.processes}
    assert {result.machine for _, result in heard.ended} == {"machine-1"}
    assert list(study.manifest.machines) == ["machine-1"]
    assert study.manifest.setup.machine == study.manifest.machines["machine-1"].machine
    assert sorted(notice.code for notice in heard.said) == ["run-lost", "worker-refused"]
    (refused,) = (notice for notice in heard.said if notice.code == "worker-refused")
    assert "listen2lab is not installed there" in refused.values["message"]
    assert dask.bad.poll() is None
    assert study.trace("grows", "a").peak > 10 * 2**20
    held = study.samples.query("phase == 'step' and not traced").groupby(["condition", "repeat"])[
        "rss"
    ]
    assert ((held.last() - held.first()) > 10 * 2**20).all()
    assert {key for key, _ in heard.samples} <= {key for key, _ in heard.ended}
    assert heard.samples
    assert not runs_under_way(dask.processes)
    dask.good.remove(dask.killed)


def test_an_interruption_ends_what_runs_there_and_the_study_is_completed_here(
    dask, workload, tmp_path
):
    """Ctrl-C kills the runs under way, keeps the finished ones, and resume needs no cluster."""

    def interrupt(_ended):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study.start(
            plan(), workload, tmp_path / "study", on=dask.address,
            progress=Heard(interrupt),
        )  # fmt: skip
    wait_for(lambda: not runs_under_way(dask.processes), seconds=10)
    heard = Heard()
    run_study.resume(tmp_path / "study", jobs=2, progress=heard)
    assert 1 <= heard.done <= 2
    assert len(heard.ended) == 4 - heard.done
    assert set(open_study(tmp_path / "study").runs["outcome"]) == {"complete"}
    # begun here as much as there: it is the same machine
    assert {result.machine for _, result in heard.ended} == {"machine-1"}


def test_a_study_begun_here_is_completed_there_with_the_same_engine_only(dask, tmp_path):
    """A voice is spoken there by its name and hash; another engine's version is refused."""
    book = inputs.open_book("tiny", paragraphs=["one two three", "four five six"])
    steady = {"noise_scale_w": 0.0}  # a text has the same length every time
    experiment = Experiment("reads", "?", None, (Level("app", steady),), steps=2, warmup=1)
    whole = Plan((experiment,), repeats=2, traced="none")
    folder = run_study.start(replace(whole, repeats=1), book, tmp_path / "study")
    manifest, _ = folder.manifest()
    manifest = replace(manifest, plan=whole)
    other = replace(manifest.setup, versions={**manifest.setup.versions, "sherpa-onnx": "1.0"})
    folder.write_manifest(replace(manifest, setup=other))
    with pytest.raises(InputError, match=r"it has sherpa-onnx .* runs with sherpa-onnx 1\.0"):
        run_study.resume(folder.path, on=dask.address)
    folder.write_manifest(manifest)
    run_study.resume(folder.path, on=dask.address)
    study = open_study(folder.path)
    assert list(study.runs["outcome"]) == ["complete"] * 2
    here, there = study.samples.query("phase == 'end'")["rss"]
    assert here > 40 * 2**20
    assert there == pytest.approx(here, rel=0.05)


def test_a_scheduler_without_workers_is_an_error_and_nothing_is_written(workload, tmp_path):
    """It says how to start some."""
    made = LocalCluster(tmp_path)
    try:
        made.scheduler()
        with pytest.raises(InputError, match="has had no workers for 1 s; start some with"):
            cluster.ClusterBackend(made.address, plan(), workload, None, notify=print, patience_s=1)
    finally:
        made.close()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "nonsense://x", "", "host:x"])
def test_a_wrong_address_is_a_sentence_and_nothing_is_written(
    address, workload, tmp_path, monkeypatch
):
    """Nobody there, or no address at all."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        given = address.format(port=unused.getsockname()[1])
        with pytest.raises(InputError, match="no Dask scheduler answers at"):
            run_study.start(plan(), workload, tmp_path / "study", on=given)
    assert not (tmp_path / "study").exists()


def test_without_dask_the_command_says_what_to_install(tmp_path):
    """The extra is optional: everything else works without it."""
    code = (
        "import sys; sys.modules['distributed'] = None; "
        "from listen2lab.cli import main; sys.argv[0] = 'listen2lab'; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "baseline", "--on", "tcp://127.0.0.1:1"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'listen2lab[dask]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("manifest.json"))


def asked(given, **changes):
    """Return what a worker machine is told of a plan."""
    made = remote.JobRequest(plan(), given.record, given.paragraphs, None)
    return msgspec.json.encode(replace(made, **changes))


def test_the_code_of_a_machine_is_all_that_measures(tmp_path, monkeypatch):
    """A change in a folder below a room tells, too: a worker makes its own bounded voice."""
    home = Path(remote.__file__).parents[1]
    shutil.copytree(home, tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(remote, "__file__", str(tmp_path / "lab/experiment/remote.py"))
    before = remote.code_hash()
    with (tmp_path / "lab/models/bounding/path.py").open("a") as file:
        file.write("# another\n")
    assert remote.code_hash() != before


def test_a_machine_that_would_measure_something_else_is_refused(workload, tmp_path):
    """Another version or code of the lab, another workload or voice, no such interpreter."""
    book = inputs.open_book("tiny", paragraphs=["one"])
    code = remote.code_hash()
    good = remote.status(code, asked(book))
    assert good.machine.setup.versions["sherpa-onnx"]
    assert not good.refused
    other_voice = replace(book.record, voice_hash="0" * 64)
    no_folder = replace(book.record, voice=str(tmp_path / "none"))
    other_file = replace(workload.record, workload_hash="0" * 64)
    for code_there, request, words in (
        ("0", b"what only other code can read", "other code"),
        (code, asked(book, inputs=other_voice), r"its voice (tiny) is not the one"),
        (code, asked(book, inputs=no_folder), "no voice is named"),
        (code, asked(workload, inputs=other_file), "its workload"),
        (code, asked(book, python="no-such-python"), "no Python that can be started"),
    ):
        found = remote.status(code_there, request)
        assert found.machine is None
        assert words in found.refused


def test_another_version_there_is_refused(dask, workload, tmp_path, monkeypatch):
    """It is asked before anything is sent that only the same version could read."""
    monkeypatch.setattr(cluster, "__version__", "9.9")
    with pytest.raises(InputError, match=r"it has listen2lab 0\.1\.0, not 9\.9; install the same"):
        run_study.start(plan(), workload, tmp_path / "study", on=dask.address)
    assert not (tmp_path / "study").exists()


def test_a_voice_that_cannot_be_built_there_is_refused(monkeypatch, tmp_path):
    """The worker's machine has no place for models: a sentence, not a run."""
    request = asked(inputs.open_book("tiny", paragraphs=["one"]))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(inputs, "models_root", lambda: tmp_path / "file" / "voices")
    assert "cannot be built" in remote.status(remote.code_hash(), request).refused


def test_a_cluster_that_goes_away_leaves_a_study_to_be_completed(
    dask, workload, tmp_path, monkeypatch
):
    """A sentence, every finished run, nothing left running, and resume. The last to use it."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    heard = Heard(lambda _ended: dask.processes[0].kill())
    with pytest.raises(StudyError, match=r"went away; every finished run is kept.*--resume"):
        run_study.start(plan(), workload, tmp_path / "study", on=dask.address, progress=heard)
    wait_for(lambda: not runs_under_way(dask.processes), seconds=10)
    finished = len(pids(StudyFolder(tmp_path / "study")))
    assert 1 <= finished <= 2
    heard = Heard()
    run_study.resume(tmp_path / "study", progress=heard)
    assert (heard.done, len(heard.ended)) == (finished, 4 - finished)
    assert set(open_study(tmp_path / "study").runs["outcome"]) == {"complete"}


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_another_service_is_recognised_within_ten_seconds(greeting, workload, tmp_path):
    """Whether it says nothing, or something else."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with contextlib.suppress(OSError):
                there, _ = server.accept()
                with there:
                    there.sendall(greeting)
                    there.recv(1)  # until the client gives up

        threading.Thread(target=answer, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            run_study.start(
                plan(), workload, tmp_path / "study",
                on=f"tcp://127.0.0.1:{server.getsockname()[1]}",
            )  # fmt: skip
        assert time.monotonic() - began < 10
