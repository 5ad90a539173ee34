"""A study as an object: its tables, its summary and when that is made again, how it is shown."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from small_studies import edit, holding

import listen2lab as lab
from listen2lab import notebook
from listen2lab.experiment.catalog import IN_ALL
from listen2lab.study.records import Call

ROOT = Path(__file__).parents[1]
STORED = "when it was stored"
CALM = {"verdict": "plateau"}
LEAKING = {
    "consumes": {}, "leak": {"verdict": "leak", "experiment": "nosuch"}, "cause": {},
    "under": {"kill_mib": 2048.0}, "untested": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of one condition, with its summary stored."""
    made = holding(tmp_path_factory.mktemp("study"))
    made.folder.write("summary.json", made.summary(anew=True))
    return made


@pytest.fixture
def copy(study, tmp_path):
    """Return a function that opens a copy of the study, whose stored summary says so."""
    folder = tmp_path / "copy"
    shutil.copytree(study.folder.path, folder)
    edit(folder / "summary.json", lambda stored: stored.update(created=STORED))
    return lambda: lab.Study(folder)


def test_steps_are_the_measured_ones_of_complete_plain_runs(study):
    """16 steps of 3 repeats, without warm-up, with what the documentation names."""
    assert study.steps.groupby("repeat").size().to_list() == [16, 16, 16]
    assert not {"phase", "traced"} & set(study.steps.columns)
    warmup = study.samples["phase"].eq("warmup").sum()
    assert warmup
    assert study.steps["step"].min() == warmup / 3
    quantities = (ROOT / "docs" / "quantities.md").read_text()
    for column in study.steps.columns:
        name = column.split(".")[0]
        assert f"`{name}`" in quantities or f"`{name}.NAME`" in quantities, column


def test_a_condition_has_the_rows_that_all_complete_ones_have_of_it(study):
    """What is taken of one condition is what a copy of all complete runs holds of it."""
    data = study.data
    (item,) = data.plan.experiments
    for condition in (None, item.reference.name):  # it has no other
        mine = data.complete_of(item.name, condition).reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, data.complete)
    assert data.complete_of(item.name, "nosuch").empty


def test_a_table_is_the_same_in_whatever_blocks_it_is_read(study, monkeypatch):
    """Runs go over the edges of blocks, and the last one is not full."""
    monkeypatch.setattr("listen2lab.study.data._BLOCK", 7)
    pd.testing.assert_frame_equal(lab.Study(study.data.folder.path).samples, study.samples)


def test_runs_that_map_the_same_files_share_the_record_of_them(study):
    """What thousands of runs have in common takes memory once."""
    files = study.samples["account.files"].dropna()
    assert len({*map(id, files)}) == len({*map(repr, files)}) < len(files)


def test_a_run_that_was_not_complete_has_no_steps(copy):
    """A killed run's samples stay in `samples` and out of `steps`."""
    path = next((copy().folder.path / "runs").rglob("01/result.json"))
    edit(path, lambda result: result.update(outcome="killed"))
    changed = copy()
    assert set(changed.steps["repeat"]) == {0, 2}
    assert set(changed.samples["repeat"]) == {0, 1, 2}


def test_a_summary_is_computed_once(study):
    """Reports, answers and cards of one object share it."""
    assert study.summary() is study.summary()
    assert study.summary(anew=True) is study.summary()


def test_a_stored_summary_is_used_where_nothing_has_changed(copy):
    """Not the files' times count, which a copy or a checkout changes, but what is in them."""
    for path in (copy().folder.path / "runs").rglob("*"):
        os.utime(path)
    assert copy().summary().created == STORED
    assert copy().summary(anew=True).created != STORED


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored["experiments"].clear(),
        lambda stored: stored["experiments"]["holds"]["conditions"].update(other=CALM),
        lambda stored: stored["findings"].update(H99={"claim": "x", "finding": "supported"}),
        lambda stored: stored.update(answers=LEAKING),
    ],
)
def test_a_stored_summary_that_names_what_is_not_there_is_not_used(copy, change):
    """Its pages would look for it."""
    edit(copy().folder.path / "summary.json", change)
    assert copy().summary().created != STORED


@pytest.mark.parametrize("change", ["sample", "run", "version", "cut", "old"])
def test_a_stored_summary_is_not_used_where_something_has_changed(copy, change):
    """Another sample, a run less, another version of the package, a damaged or an older file."""
    folder = copy().folder.path
    stored = folder / "summary.json"
    steps = next((folder / "runs").rglob("steps.jsonl"))
    if change == "sample":
        steps.write_text(steps.read_text() + steps.read_text().splitlines()[-1] + "\n")
    elif change == "run":
        shutil.rmtree(steps.parent)
    elif change == "version":
        edit(stored, lambda summary: summary["made_from"].update(listen2lab="0.0.1"))
    elif change == "cut":
        stored.write_text(stored.read_text()[:100])
    else:
        edit(stored, lambda summary: summary.pop("made_from") and None)
    assert copy().summary().created != STORED


def test_conditions_and_phases_are_in_mib(study):
    """20 MiB are loaded by the setup, and are held at the end."""
    numbers = study.conditions().loc[("holds", "this")]
    phases = study.phases().loc["this"]
    assert list(phases.index)[:3] == ["start", "import", "setup"]
    assert phases.loc["setup", "rss"] - phases.loc["start", "rss"] > 19
    assert numbers["end_mib"] == pytest.approx(phases.loc["end", "rss"], abs=0.1)
    assert numbers["complete"] == 3


def test_findings_are_a_table(study):
    """A workload of one's own tests no hypothesis: the table is empty, and has its columns."""
    found = study.findings()
    assert isinstance(found, pd.DataFrame)
    assert {"hypothesis", "claim", "finding", "effect_mib", "because"} <= set(found.columns)
    assert found.empty
    with pytest.raises(lab.LabError, match="no hypothesis"):
        notebook.answers(study)
    with pytest.raises(lab.LabError, match="no hypothesis is named 'H1'"):
        notebook.finding(study, "H1")


def test_a_study_shows_itself(study, tmp_path, monkeypatch):
    """In a terminal a line, in a notebook a card that does not say where the study lies."""
    assert "holds, 3 of 3 runs complete" in repr(study)
    monkeypatch.chdir(study.folder.path)
    card = study._repr_html_()
    assert "3 of 3 runs complete" in card
    assert study.conditions()["verdict"].iloc[0] in card
    assert str(study.folder.path) not in card
    assert "study.report()" in card
    study.folder.write("report.html", "<p>a report</p>")
    assert '<a href="report.html">' in study._repr_html_()
    assert "var(--jp-ui-font-color1, inherit)" in card  # the theme's colours, light and dark


def test_names_that_come_from_outside_are_escaped(tmp_path):
    """A study made by somebody else cannot put markup into a notebook."""
    given = holding(tmp_path, repeats=1)
    question = "<script>alert(1)</script>"
    edit(
        given.folder.manifest_path,
        lambda manifest: manifest["plan"]["experiments"][0].update(question=question),
    )
    assert "<script>" not in lab.Study(given.folder.path)._repr_html_()


def test_a_study_of_which_a_notebook_wants_more_than_there_is(study):
    """The error names what is missing, and what to do."""
    with pytest.raises(lab.LabError, match=r"holds no baseline .*it holds holds.*run_now"):
        notebook.open_or_run("baseline", study=study.folder.path)
    assert notebook.open_or_run("holds", study=str(study.folder.path)).plan == study.plan


def test_notebooks_run_their_experiments_when_asked(tmp_path, monkeypatch):
    """A live run is quick with the tiny voice, is traced as well, and lies in ./studies."""
    monkeypatch.chdir(tmp_path)
    study = notebook.open_or_run(["baseline"], run_now=True, repeats=1)
    assert study.folder.path.parent.resolve() == (tmp_path / "studies").resolve()
    assert list(study.runs["outcome"]) == ["complete", "complete"]
    assert list(study.runs["traced"]) == [False, True]
    assert study.plan.max_characters is not None
    assert "H7" in repr(notebook.finding(study, "H7"))


def test_the_reference_study_is_there(monkeypatch, tmp_path):
    """All experiments with the medium voice; an installation without it says so."""
    reference = lab.Study.reference()
    assert {item.name for item in reference.plan.experiments} == {*IN_ALL, "cures"}
    assert reference.manifest.inputs.voice == "medium"
    monkeypatch.setattr("listen2lab.facade.__file__", str(tmp_path / "listen2lab" / "facade.py"))
    with pytest.raises(lab.LabError, match="not installed with the package"):
        lab.Study.reference()


def test_names_are_found_and_misspelt_ones_suggest_the_right_one():
    """Tab completion lists names; every way in answers a typing error with the nearest name."""
    assert {"run", "panel", "Study", "experiments"} <= set(dir(lab))
    assert "cache_size" in dir(lab.experiments)
    assert lab.experiments.cache_size is lab.EXPERIMENTS["cache-size"]
    assert "cache-size: " in repr(lab.experiments)
    with pytest.raises(AttributeError, match="did you mean 'panel'"):
        lab.pannel  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'cache_size'"):
        lab.experiments.cachesize  # noqa: B018
    with pytest.raises(lab.LabError, match="did you mean 'cache-size'"):
        lab.run("cachesize")
    with pytest.raises(lab.LabError, match="did you mean 'tiny'"):
        lab.run("cache-size", voice="tyni")
    with pytest.raises(lab.LabError, match="did you mean 'unbounded'"):
        lab.run("cache-size", levels=["unbound"])


def test_no_room_takes_the_name_of_what_is_called():
    """A room that is imported becomes an attribute of the package, over a function of that name."""
    rooms = {path.parent.name for path in (ROOT / "listen2lab").glob("*/__init__.py")}
    assert not rooms & set(lab.__all__)


def test_the_manifest_of_a_call_names_the_call(tmp_path):
    """What is not the default is in it, so that it does the same again; where and how fast not."""
    study = lab.run(
        "cache-size", levels=[1], knobs={"num_threads": 2}, quick=True, steps=2, warmup=0,
        repeats=1, trace="none", jobs=1, out=tmp_path / "s",
    )  # fmt: skip
    told = {"levels": [1], "repeats": 1, "steps": 2, "warmup": 0, "knobs": {"num_threads": 2}}
    assert study.manifest.call == Call(
        "run", {"experiments": ["cache-size"], **told, "trace": "none", "quick": True}, shell=False
    )
