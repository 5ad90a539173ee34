"""A study that was cut or edited by hand: what is wrong is named, and the rest is used."""

from __future__ import annotations

import shutil
import sys

import pytest
from small_studies import edit, edit_lines, holding, page

from listen2lab.errors import StudyError
from listen2lab.facade import Study
from listen2lab.study.folder import FORMAT


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the folder of a study of two conditions."""
    made = holding(tmp_path_factory.mktemp("sound"), 20, against=sys.executable)
    assert made.damage == []
    return made.folder.path


@pytest.fixture
def folder(sound, tmp_path):
    """Return a copy of it, to be damaged."""
    return shutil.copytree(sound, tmp_path / "study")


def run_of(folder, repeat="01"):
    """Return the folder of one run."""
    return folder / "runs" / "holds" / "this" / repeat


def levels(study):
    """Return how many levels each condition has."""
    conditions = study.summary()["experiments"]["holds"]["conditions"]
    return {name: len(numbers["level_each_mib"]) for name, numbers in conditions.items()}


def words_for_a_number(folder):
    """Write a word where a number was."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.update(rss="a lot"))


def no_phase(folder):
    """Take the phase out of every line."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.pop("phase"))


def component_in_words(folder):
    """Write a word where a component's size was."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.update(components={"x": "big"}))


def line_cut(folder):
    """Cut a line in the middle of the file."""
    path = run_of(folder) / "steps.jsonl"
    path.write_text(path.read_text().replace('{"phase":"step"', '{"phase":"st', 1))


def samples_lost(folder):
    """Lose the samples of a run that was complete."""
    (run_of(folder) / "steps.jsonl").unlink()


def result_half(folder):
    """Leave half of a result."""
    (run_of(folder) / "result.json").write_text('{"outcome": "comp')


def result_a_list(folder):
    """Write another kind of JSON."""
    (run_of(folder) / "result.json").write_text("[]")


def outcome_invented(folder):
    """Give an end that there is not."""
    edit(run_of(folder) / "result.json", lambda result: result.update(outcome="fine"))


def peak_in_words(folder):
    """Write a size as people do."""
    edit(run_of(folder) / "result.json", lambda result: result.update(peak_rss="1 GB"))


def other_steps(folder):
    """Make the run's spec another than the plan."""
    edit(run_of(folder) / "spec.json", lambda spec: spec.update(steps=99))


def spec_half(folder):
    """Leave half of a spec."""
    (run_of(folder) / "spec.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (words_for_a_number, "steps.jsonl, line 1: rss is 'a lot', no number"),
        (no_phase, "steps.jsonl, line 1: it has no phase"),
        (component_in_words, "the component x is 'big', no number"),
        (line_cut, "of steps.jsonl is damaged"),
        (samples_lost, "steps.jsonl holds none of its steps"),
        (result_half, "result.json is damaged"),
        (result_a_list, "result.json is damaged"),
        (outcome_invented, "outcome is 'fine', none of complete"),
        (peak_in_words, "peak_rss is '1 GB', no number"),
        (other_steps, "the manifest plans steps 16, but spec.json says 99"),
        (spec_half, "spec.json is damaged"),
    ],
)
def test_a_damaged_run_is_named_and_left_out(folder, damage, said):
    """One run is out, with file and reason; the others are judged as before."""
    damage(folder)
    study = Study(folder)
    assert levels(study) == {"this": 2, "against": 3}
    (sentence,) = study.damage
    assert sentence.startswith("holds/this/01: ")
    assert said in sentence
    bad = study.runs.query("condition == 'this' and repeat == 1").iloc[0]
    assert bad["outcome"] == "missing"
    assert said in bad["because"]


def test_a_run_that_is_missing_is_missing(folder):
    """No folder, or one without result: the run has not ended, and nothing else is wrong."""
    shutil.rmtree(run_of(folder, "00"))
    (run_of(folder) / "result.json").unlink()
    study = Study(folder)
    assert levels(study) == {"this": 1, "against": 3}
    assert sorted(study.runs.query("condition == 'this'")["outcome"]) == [
        "complete", "missing", "missing",
    ]  # fmt: skip
    assert study.damage == []


def test_a_renamed_condition_is_noticed(folder):
    """In the folder or in the manifest: what has no partner is said, with a guess."""
    (folder / "runs/holds/this").rename(folder / "runs/holds/that")
    study = Study(folder)
    assert levels(study) == {"this": 0, "against": 3}
    (sentence,) = study.damage
    assert sentence.startswith("runs/holds/that: 3 run(s) that the manifest does not plan")
    assert "holds/this has no run: if it was renamed" in sentence


def test_more_runs_than_planned_are_left_out(folder):
    """A manifest edited to fewer repeats leaves runs over."""
    edit(folder / "manifest.json", lambda m: m["plan"].update(repeats=2))
    study = Study(folder)
    assert levels(study) == {"this": 2, "against": 2}
    assert len(study.damage) == 2
    assert "1 run(s) that the manifest does not plan" in study.damage[0]


@pytest.mark.parametrize(
    "name", ["created", "command", "inputs", "versions", "machine", "environment", "git", "python"]
)
@pytest.mark.parametrize("value", ["lost", 7, "words"])
def test_a_manifest_without_a_fact_still_opens(folder, name, value):
    """What was run and measured does not depend on it; the report says that it is unknown."""

    def change(manifest):
        if value == "lost":
            del manifest[name]
        else:
            manifest[name] = value

    edit(folder / "manifest.json", change)
    study = Study(folder)
    assert len(study.runs) == 6
    is_fine = name in ("git", "python") or (value == "words" and name in ("created", "command"))
    assert is_fine or name in study.damage[0]


def test_a_report_is_written_with_unknown_facts(folder):
    """A report is written all the same, and what was left out is known."""

    def change(manifest):
        for name in ("created", "versions", "environment", "hypotheses", "machines"):
            del manifest[name]
        manifest["machine"] = {"memory": "much"}
        manifest["inputs"] = {"voice": 3}

    edit(folder / "manifest.json", change)
    words_for_a_number(folder)
    study = Study(folder)
    page = study.report().read_text()
    for name in (
        "created is",
        "versions is",
        "the machine's cores, memory",
        "voice or texts",
        "rss is",
    ):
        assert any(name in sentence for sentence in study.damage)
    assert "unknown" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan.update(repeats="three"), "three|not supported"),
        (lambda plan: plan.update(repeats=2.5), "repeats is 2.5, no whole number"),
        (lambda plan: plan.update(experiments=[]), "it has no experiment"),
        (lambda plan: plan.update(experiments=7), "not iterable"),
        (lambda plan: plan.update(colour="red"), "colour"),
        (lambda plan: plan["experiments"][0].update(steps=0), "at least one step"),
        (lambda plan: plan["experiments"][0].update(name="../../etc"), "cannot be a folder's name"),
        (lambda plan: plan["experiments"][0].update(knobs={"cash": 1}), "cash"),
        (lambda plan: plan["experiments"][0]["levels"].clear(), "conditions of holds are none"),
        (lambda plan: plan["experiments"][0]["levels"][0].update(name="against"), "of one name"),
    ],
)
def test_a_plan_that_cannot_be_read_is_an_error_with_the_reason(folder, change, said):
    """Nothing can be made of the runs without it; they are untouched."""
    edit(folder / "manifest.json", lambda manifest: change(manifest["plan"]))
    with pytest.raises(StudyError, match=f"holds no plan that can be read.*(?:{said})"):
        Study(folder)


def test_a_manifest_that_is_lost_is_an_error_or_comes_from_the_report(folder):
    """Half a manifest, or none: the error counts the runs; a report beside it has it, too."""
    study = Study(folder)
    manifest, summary = study.manifest, study.summary()
    path = folder / "manifest.json"
    whole = path.read_text()
    path.write_text(whole[:200])
    with pytest.raises(StudyError, match=r"manifest\.json is damaged.*untouched"):
        Study(folder)
    path.unlink()
    with pytest.raises(StudyError, match=r"holds 6 run\(s\) but no manifest\.json"):
        Study(folder)
    page(folder / "report.html", manifest, summary)
    found = Study(folder)
    assert levels(found) == {"this": 3, "against": 3}
    assert "the report beside it carries is used" in found.damage[0]


@pytest.mark.parametrize("written", [FORMAT + 1, "one", None, True])
def test_a_format_that_is_not_known_is_refused(folder, written):
    """A newer one could be misread; a word is damage."""
    edit(folder / "manifest.json", lambda manifest: manifest.update(format=written))
    said = "newer listen2lab" if written == FORMAT + 1 else "damage"
    with pytest.raises(StudyError, match=said):
        Study(folder)


def test_no_report_stands_in_for_a_newer_study(folder):
    """Its runs could be misread, whatever an older report beside it says."""
    study = Study(folder)
    page(folder / "report.html", study.manifest, study.summary())
    edit(folder / "manifest.json", lambda manifest: manifest.update(format=FORMAT + 1))
    with pytest.raises(StudyError, match="newer listen2lab"):
        Study(folder)


def test_a_summary_is_made_anew_when_a_spec_was_edited(folder):
    """A run that is left out now must not stay in the stored numbers."""
    Study(folder).folder.write_summary(Study(folder).summary())
    edit(next(folder.glob("runs/*/this/01/spec.json")), lambda spec: spec.update(steps=999))
    study = Study(folder)
    (item,) = study.summary()["experiments"].values()
    assert item["conditions"]["this"]["runs"]["complete"] == 2


@pytest.mark.parametrize("content", ["{", '"one text"', "[1, 2]", None])
def test_damaged_texts_hinder_only_another_run(folder, content):
    """A study can be read without its texts; what cannot be done is said."""
    path = folder / "paragraphs.json"
    path.unlink() if content is None else path.write_text(content)
    study = Study(folder)
    assert levels(study) == {"this": 3, "against": 3}
    with pytest.raises(StudyError, match=r"paragraphs\.json.*run\s+again"):
        study.folder.paragraphs()


def test_what_is_no_folder_is_said(tmp_path):
    """A file, a folder that is not there, one of something else."""
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("file", "it is a file"),
        ("nowhere", "there is no such folder"),
        ("empty", "it has no manifest.json"),
    ):
        with pytest.raises(StudyError, match=said):
            Study(tmp_path / name)
