"""Runs at a time on this machine: levels, memory, machines, and an end that is clean."""

from __future__ import annotations

import json
import time

import pytest

from listen2lab.errors import StudyError
from listen2lab.experiment import inputs, local
from listen2lab.experiment import machine as facts
from listen2lab.experiment import run_study as conduct
from listen2lab.experiment.machines import Machine
from listen2lab.facade import Study
from listen2lab.study.plan import Experiment, Level, Plan
from listen2lab.units import MIB


class Heard:
    """Counts the runs under way, and keeps what is said."""

    def __init__(self):
        self.under_way, self.most, self.ended, self.said = set(), 0, [], []

    def begin(self, _total, _done):
        """Take no notice."""

    def sample(self, run, _line):
        """Count the runs that have begun and not ended."""
        self.under_way.add(run.key)
        self.most = max(self.most, len(self.under_way))

    def end(self, run, result):
        """Take the run out."""
        self.under_way.discard(run.key)
        self.ended.append((run.key, result))


def plan(**settings):
    """Return a plan of two conditions that do next to nothing."""
    experiment = Experiment(
        "own", "?", "x", (Level("a"), Level("b")), {}, steps=4, warmup=0, unit="step"
    )
    return Plan((experiment,), **{"repeats": 2, "traced": False, **settings})


@pytest.fixture
def workload(tmp_path):
    """Return the inputs of a workload file whose steps take a while."""
    path = tmp_path / "slow.py"
    path.write_text("import time\ndef setup(): pass\ndef step(i): time.sleep(0.1)\n")
    return inputs.open_file(path)


def test_two_at_a_time_hold_what_one_at_a_time_holds(tmp_path, monkeypatch):
    """The levels of the real engine do not depend on what runs beside it."""
    monkeypatch.setattr(local, "available_memory", lambda: 1 << 40)
    book = inputs.open_book("tiny", paragraphs=["one two three four", "five six", "seven eight"])
    experiment = Experiment(
        "reads", "?", None, (Level("app", {"noise_scale_w": 0.0}),), {}, steps=4, warmup=1
    )
    levels = {}
    for jobs in (1, 2):
        heard = Heard()
        folder = conduct.start(
            Plan((experiment,), repeats=2, traced=False, jobs=jobs), book, tmp_path / str(jobs),
            command="x", progress=heard,
        )  # fmt: skip
        assert heard.most == jobs
        ends = Study(folder.path).samples.query("phase == 'end'")
        levels[jobs] = ends[["rss", "anonymous"]].mean()
    assert list(levels[2]) == pytest.approx(list(levels[1]), rel=0.02)


def test_without_room_for_two_they_run_one_after_the_other(workload, tmp_path, monkeypatch):
    """Never more than fit; what does not even fit alone runs alone, and it is said."""
    monkeypatch.setattr(local, "available_memory", lambda: 500 * MIB)
    heard = Heard()
    conduct.start(
        plan(jobs=2, memory_limit=200 * MIB), workload, tmp_path / "study", command="x",
        progress=heard, say=heard.said.append,
    )  # fmt: skip
    assert heard.most == 1
    assert len(heard.ended) == 4
    assert all("it runs alone" in sentence for sentence in heard.said)


def test_another_machine_has_another_label(workload, tmp_path, monkeypatch):
    """A study that moved says of each run where it was; the same machine is known again."""
    here = local.this_machine()
    folder = conduct.start(plan(), workload, tmp_path / "study", command="x")

    def lose(repeat):
        for level in ("a", "b"):
            (folder.run(f"own/{level}/{repeat:02d}").path / "result.json").unlink()

    lose(1)
    monkeypatch.setattr(local, "this_machine", lambda *_: Machine("moon-base", here.facts))
    conduct.resume(folder.path, jobs=2)
    lose(0)
    monkeypatch.undo()
    said = []
    conduct.resume(folder.path, say=said.append)
    assert "on 2 machines" in said[-1]
    where = {key: folder.run(key).result()["machine"] for key in ("own/a/00", "own/b/01")}
    assert where == {"own/a/00": "machine-1", "own/b/01": "machine-2"}
    machines = folder.manifest()["machines"]
    assert list(machines) == ["machine-1", "machine-2"]
    assert "moon-base" not in json.dumps(folder.manifest())
    assert here.identity not in json.dumps(folder.manifest())


def test_other_versions_on_the_same_machine_have_another_label(workload, tmp_path, monkeypatch):
    """An update between two parts of a study can change levels: it is not passed over."""
    folder = conduct.start(plan(repeats=1), workload, tmp_path / "study", command="x")
    (folder.run("own/b/00").path / "result.json").unlink()
    here = local.this_machine()
    newer = {**here.facts, "versions": {**here.facts["versions"], "numpy": "99"}}
    monkeypatch.setattr(local, "this_machine", lambda *_: Machine(here.identity, newer))
    conduct.resume(folder.path)
    assert folder.run("own/b/00").result()["machine"] == "machine-2"


def test_a_study_from_before_machines_had_labels_goes_on(workload, tmp_path):
    """Its one machine is the first."""
    folder = conduct.start(plan(repeats=1), workload, tmp_path / "study", command="x")
    manifest = folder.manifest()
    del manifest["machines"]
    folder.manifest_path.write_text(json.dumps(manifest))
    (folder.run("own/b/00").path / "result.json").unlink()
    conduct.resume(folder.path)
    assert folder.run("own/b/00").result()["machine"] == "machine-1"


def test_an_error_in_one_run_ends_the_others_and_lets_the_study_go(workload, tmp_path):
    """What goes wrong at one place is raised where the study was asked for, at once."""

    class Breaks(Heard):
        def end(self, run, result):
            raise RuntimeError("broken bar")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="broken bar"):
        conduct.start(plan(repeats=3), workload, tmp_path / "study", command="x", progress=Breaks())
    assert time.monotonic() - began < 10
    conduct.resume(tmp_path / "study", jobs=2)
    assert set(Study(tmp_path / "study").runs["outcome"]) == {"complete"}


def test_a_run_whose_files_are_damaged_is_run_again(workload, tmp_path):
    """A power cut can leave an empty result: what no reader believes is not done."""
    folder = conduct.start(plan(repeats=1), workload, tmp_path / "study", command="x")
    (folder.run("own/a/00").path / "result.json").write_text("")
    said = []
    conduct.resume(folder.path, say=said.append)
    assert said[0].startswith("own/a/00: result.json is damaged; it is run again")
    assert set(Study(folder.path).runs["outcome"]) == {"complete"}
    assert (folder.path / "runs/own/a/00.cut-1").is_dir()


def test_a_selftest_is_not_completed(workload, tmp_path):
    """Which fault a level stands for is in no plan: its runs would be clean."""
    folder = conduct.start(plan(repeats=1), workload, tmp_path / "study", command="x")
    manifest = folder.manifest()
    manifest["plan"]["experiments"][0]["factor"] = "fault"
    folder.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(StudyError, match="listen2lab selftest"):
        conduct.resume(folder.path)


def test_what_is_set_for_runs_does_not_depend_on_the_shell(monkeypatch):
    """The manifest names each variable that a run gets, whatever was exported before."""
    before = facts.collect(environment={"MALLOC_ARENA_MAX": "1"})["environment"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert facts.collect(environment={"MALLOC_ARENA_MAX": "1"})["environment"] == before
    assert before["OMP_NUM_THREADS"] == before["MALLOC_ARENA_MAX"] == "1"
