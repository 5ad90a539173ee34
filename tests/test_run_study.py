"""Runs at a time on this machine: memory, machines, and an end that is clean."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace
from small_studies import edit

from listen2lab.errors import StudyError
from listen2lab.experiment import inputs, local, run_study
from listen2lab.experiment.machine import Machine, collect
from listen2lab.notice import Notice
from listen2lab.study.data import open_study
from listen2lab.study.plan import Experiment, Level, Plan
from listen2lab.study.records import Call, HypothesisRecord
from listen2lab.units import MIB

pytestmark = pytest.mark.slow  # runs of their own processes


class Heard:
    """Counts the runs under way, and keeps what is said."""

    def __init__(self):
        self.under_way, self.most, self.ended, self.said = set(), 0, [], []

    def begin(self, _total, _done):
        """Take no notice."""

    def sample(self, run, _sample):
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
        "own", "?", "x", (Level("a"), Level("b")), steps=4, warmup=0, unit="step"
    )
    return Plan((experiment,), **{"repeats": 2, "traced": "none", **settings})


@pytest.fixture
def workload(tmp_path):
    """Return the inputs of a workload file whose steps take a while."""
    path = tmp_path / "slow.py"
    path.write_text("import time\ndef setup(): pass\ndef step(i): time.sleep(0.1)\n")
    return inputs.open_file(path)


def test_two_at_a_time_hold_what_one_at_a_time_holds(tmp_path, monkeypatch):
    """What the real engine holds does not depend on what runs beside it."""
    monkeypatch.setattr(local, "available_memory", lambda: 1 << 40)
    book = inputs.open_book("tiny", paragraphs=["one two three four", "five six", "seven eight"])
    experiment = Experiment(
        "reads", "?", None, (Level("app", {"noise_scale_w": 0.0}),), steps=4, warmup=1
    )
    held = {}
    for jobs in (1, 2):
        heard = Heard()
        folder = run_study.start(
            Plan((experiment,), repeats=2, traced="none", jobs=jobs), book, tmp_path / str(jobs),
            progress=heard,
        )  # fmt: skip
        assert heard.most == jobs
        ends = open_study(folder.path).samples.query("phase == 'end'")
        held[jobs] = ends[["rss", "anonymous"]].mean()
    assert list(held[2]) == pytest.approx(list(held[1]), rel=0.02)


def test_without_room_for_two_they_run_one_after_the_other(workload, tmp_path, monkeypatch):
    """Never more than fit; what does not even fit alone runs alone, and it is said."""
    monkeypatch.setattr(local, "available_memory", lambda: 500 * MIB)
    heard = Heard()
    run_study.start(
        plan(jobs=2, memory_limit=200 * MIB), workload, tmp_path / "study",
        progress=heard, notify=heard.said.append,
    )  # fmt: skip
    assert heard.most == 1
    assert len(heard.ended) == 4
    assert {notice.code for notice in heard.said} == {"runs-alone"}
    assert heard.said[0].values["expected"] == 200 * MIB
    assert heard.said[0].values["available"] == 500 * MIB


def test_another_machine_has_another_label(workload, tmp_path, monkeypatch):
    """A study that moved says of each run where it was; the same machine is known again."""
    here = local.this_machine()
    folder = run_study.start(plan(), workload, tmp_path / "study")

    def lose(repeat):
        for level in ("a", "b"):
            (folder.run(f"own/{level}/{repeat:02d}").path / "result.json").unlink()

    lose(1)
    monkeypatch.setattr(local, "this_machine", lambda *_: Machine("moon-base", here.setup))
    run_study.resume(folder.path, jobs=2)
    lose(0)
    monkeypatch.undo()
    said = []
    run_study.resume(folder.path, notify=said.append)
    assert said[-1] == Notice("several-machines", {"machines": 2})
    where = {key: folder.run(key).result().machine for key in ("own/a/00", "own/b/01")}
    assert where == {"own/a/00": "machine-1", "own/b/01": "machine-2"}
    manifest, _ = folder.manifest()
    assert list(manifest.machines) == ["machine-1", "machine-2"]
    assert "moon-base" not in folder.manifest_path.read_text()
    assert here.identity not in folder.manifest_path.read_text()


def test_other_versions_on_the_same_machine_have_another_label(workload, tmp_path, monkeypatch):
    """An update between two parts of a study can change memory: it is not passed over."""
    folder = run_study.start(plan(repeats=1), workload, tmp_path / "study")
    (folder.run("own/b/00").path / "result.json").unlink()
    here = local.this_machine()
    newer = replace(here.setup, versions={**here.setup.versions, "numpy": "99"})
    monkeypatch.setattr(local, "this_machine", lambda *_: Machine(here.identity, newer))
    run_study.resume(folder.path)
    assert folder.run("own/b/00").result().machine == "machine-2"


def test_a_study_whose_texts_or_models_changed_does_not_go_on(workload, tmp_path):
    """Two workloads in one study would be two studies in one."""
    folder = run_study.start(plan(repeats=1), workload, tmp_path / "study")
    workload.path.write_text("def setup(): pass\ndef step(i): pass\n")
    with pytest.raises(StudyError, match="the workload is not what the study was begun with"):
        run_study.resume(folder.path)


def test_a_manifest_says_what_was_called_and_what_was_given(workload, tmp_path):
    """The records that came in go out again."""
    call = Call("run", {"experiments": ["all"]})
    claim = HypothesisRecord(claim="It leaks.", supported_when="it grows", refuted_when="it stays")
    folder = run_study.start(
        plan(repeats=1), workload, tmp_path / "study", call=call, hypotheses={"H9": claim}
    )
    manifest, notices = folder.manifest()
    assert not notices
    assert (manifest.call, manifest.hypotheses) == (call, {"H9": claim})
    assert manifest.inputs == workload.record
    assert manifest.plan == plan(repeats=1)
    assert manifest.setup.is_like(manifest.machines["machine-1"])


def test_an_error_in_one_run_ends_the_others_and_lets_the_study_go(workload, tmp_path):
    """What goes wrong at one place is raised where the study was asked for, at once."""

    class Breaks(Heard):
        def end(self, _run, _result):
            raise RuntimeError("broken bar")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="broken bar"):
        run_study.start(plan(repeats=3), workload, tmp_path / "study", progress=Breaks())
    assert time.monotonic() - began < 10
    run_study.resume(tmp_path / "study", jobs=2)
    assert set(open_study(tmp_path / "study").runs["outcome"]) == {"complete"}


def test_a_run_whose_files_are_damaged_is_run_again(workload, tmp_path):
    """A power cut can leave an empty result: what no reader believes is not done."""
    folder = run_study.start(plan(repeats=1), workload, tmp_path / "study")
    (folder.run("own/a/00").path / "result.json").write_text("")
    said = []
    run_study.resume(folder.path, notify=said.append)
    assert [notice.code for notice in said] == ["run-damaged", "run-again", "will-run"]
    assert said[0].values["file"] == "result.json"
    assert {notice.values["run"] for notice in said[:2]} == {"own/a/00"}
    assert set(open_study(folder.path).runs["outcome"]) == {"complete"}
    assert (folder.path / "runs/own/a/00.cut-1").is_dir()


def test_a_selftest_is_not_completed(workload, tmp_path):
    """Which fault a level stands for is in no plan: its runs would be clean."""
    folder = run_study.start(plan(repeats=1), workload, tmp_path / "study")
    edit(folder.manifest_path, lambda m: m["plan"]["experiments"][0].update(factor="fault"))
    with pytest.raises(StudyError, match="listen2lab selftest"):
        run_study.resume(folder.path)


def test_what_is_set_for_runs_does_not_depend_on_the_shell(monkeypatch):
    """The manifest names each variable that a run gets, whatever was exported before."""
    before = collect(environment={"MALLOC_ARENA_MAX": "1"}).environment
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert collect(environment={"MALLOC_ARENA_MAX": "1"}).environment == before
    assert before["OMP_NUM_THREADS"] == before["MALLOC_ARENA_MAX"] == "1"
