"""The panel: choose, run, stop; with real runs of the tiny voice."""

from __future__ import annotations

import sys
import time

import pytest
from markupsafe import escape

import listen2lab as lab
from listen2lab.errors import RunStoppedError
from listen2lab.notebook.live import Live
from listen2lab.study.plan import Run
from listen2lab.study.records import RunRecord, Sample

pytestmark = pytest.mark.slow  # runs of their own processes


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """Return a panel set to one short run; its studies go to a folder of the test."""
    pytest.importorskip("ipywidgets")
    monkeypatch.chdir(tmp_path)
    made = lab.panel()
    made.experiment.value = "cache-size"
    made.levels.value = ("1",)
    made.repeats.value = 1
    yield made
    made.stop.click()
    made.wait()


def wait_for(condition, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_the_levels_follow_the_experiment(panel):
    """All levels of the experiment are offered and chosen, and its question is shown."""
    panel.experiment.value = "session-options"
    assert panel.levels.options == ("arena+pattern", "arena", "pattern", "neither")
    assert panel.levels.value == panel.levels.options
    assert escape(lab.EXPERIMENTS["session-options"].question) in panel.question.value


def test_a_run_ends_in_pictures_and_sentences(panel):
    """A second click while it runs does nothing; afterwards everything can be chosen again."""
    panel.run.click()
    first = panel._thread
    panel.run.click()
    assert panel._thread is first
    assert panel.run.disabled
    assert not panel.stop.disabled
    panel.wait()
    assert panel.status.value.startswith("Done")
    assert list(panel.study.runs["outcome"]) == ["complete"]
    assert "1 of 1 runs done" in panel.live.value
    assert "<polyline" in panel.live.value
    card, *pictures, verdicts, finding = (child.value for child in panel.result.children)
    assert "cache-size" in card
    assert ["<svg" in each for each in pictures] == [True, True]
    assert "Ends at" in verdicts
    assert "H4" in finding
    assert panel.study.folder.report_path.is_file()
    assert "report.html" in panel.status.value
    assert not panel.run.disabled
    assert panel.stop.disabled


def test_a_run_can_be_stopped_and_completed(panel):
    """Stop keeps what was measured, and says what goes on with it."""
    panel.start()
    wait_for(lambda: ", step" in panel.live.value)
    panel.stop.click()
    panel.wait()
    assert "Stopped; what was measured is kept. lab.resume(" in panel.status.value
    assert panel.study is None
    assert not panel.run.disabled


def test_an_error_is_a_sentence(panel):
    """What cannot be run is said where the run would be shown."""
    panel.levels.value = ()
    panel.start()
    panel.wait()
    assert panel.status.value == "No level is chosen; choose at least one."
    assert not panel.run.disabled


def test_what_is_asked_follows_the_task(panel):
    """Only what a task needs is shown, with an estimate of how long it takes."""

    def shown():
        return {name for name, each in panel._choices.items() if each.layout.display != "none"}

    assert {"experiment", "levels", "knobs", "trace", "limit"} <= shown()
    assert panel.estimate.value == "1 run: less than a minute"
    panel.voice.value, panel.quick.value, panel.repeats.value = "medium", False, 9
    assert "9 runs: about" in panel.estimate.value
    panel.task.value = "cures"
    assert shown() == {"voice", "repeats", "under", "quick"}
    panel.task.value = "watch"
    assert shown() == {"file", "steps", "repeats", "trace", "limit"}
    panel.start()
    panel.wait()
    assert "name the Python file" in panel.status.value
    panel.task.value = "stored study"
    assert panel.run.description == "Open"
    assert panel.stored.options == ("reference",)


def test_a_knob_that_is_wrong_is_a_sentence(panel):
    """Knobs are read as the command line reads them."""
    panel.knobs.value = "num_threads=2, noise_scal=0"
    panel.start()
    panel.wait()
    assert "did you mean" in panel.status.value
    assert panel.study is None


def test_the_time_that_is_left_follows_the_pace():
    """Runs that are done and the share of those under way count alike."""
    shown = []
    live = Live(shown.append)
    live.begin(4, 0)
    assert live.left_s() is None
    run = Run(lab.EXPERIMENTS["baseline"], lab.EXPERIMENTS["baseline"].levels[0], 0)
    live._began -= 10
    for step in range(run.experiment.steps + run.experiment.warmup):
        live.sample(run, Sample(phase="step", t=0.0, step=step, rss=2**20 * step))
    assert live.left_s() == pytest.approx(30, rel=0.05)
    live.end(run, RunRecord(outcome="killed"))
    assert live.left_s() == pytest.approx(30, rel=0.05)
    assert "1 of 4 runs done; about 30 s left" in shown[-1]
    assert "baseline/app/00: killed" in shown[-1]
    live.is_stopped = True
    with pytest.raises(RunStoppedError):
        live.sample(run, Sample(phase="step", t=0.0, step=0))


def test_without_widgets_the_error_names_what_to_install_and_the_plain_call(monkeypatch):
    """A widget is never the only way to a number."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(lab.LabError, match=r"listen2lab\[panel\].*lab\.run\("):
        lab.panel()
