"""The panel: choose, run, stop; with real runs of the tiny voice."""

from __future__ import annotations

import sys
import time

import pytest
from markupsafe import escape

import listen2lab as lab

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
    assert (panel.progress.value, panel.progress.max) == (1, 1)
    kinds = [type(child).__name__ for child in panel.result.children]
    assert kinds == ["Image", "Image", "HTML", "HTML"]
    assert "H4" in panel.result.children[-1].value
    assert not panel.run.disabled
    assert panel.stop.disabled


def test_a_run_can_be_stopped_and_completed(panel):
    """Stop keeps what was measured, and says what goes on with it."""
    panel.start()
    wait_for(lambda: "step" in panel.status.value)
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


def test_without_widgets_the_error_names_what_to_install_and_the_plain_call(monkeypatch):
    """A widget is never the only way to a number."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(lab.LabError, match=r"listen2lab\[panel\].*lab\.run\("):
        lab.panel()
