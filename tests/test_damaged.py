"""A study that was cut or edited by hand: what is wrong is named, and the rest is used."""

from __future__ import annotations

import shutil

import pytest
from msgspec.structs import replace
from small_studies import build_study, edit, edit_lines, page, plan_of

import listen2lab as lab
from listen2lab.errors import StudyError
from listen2lab.findings.summary import summary_of
from listen2lab.notice import Notice
from listen2lab.report import terminal
from listen2lab.report.text.escape import printable
from listen2lab.study.data import open_study
from listen2lab.study.plan import schedule
from listen2lab.study.records import FORMAT


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the folder of a study of two conditions."""
    shapes = {"holds/this": 20, "holds/against": 20}
    made = build_study(tmp_path_factory.mktemp("sound") / "study", shapes, paragraphs=["A text."])
    assert made.damage == []
    return made.folder.path


@pytest.fixture
def folder(sound, tmp_path):
    """Return a copy of it, to be damaged."""
    return shutil.copytree(sound, tmp_path / "study")


def run_of(folder, repeat="01"):
    """Return the folder of one run."""
    return folder / "runs" / "holds" / "this" / repeat


def complete(study):
    """Return how many runs of each condition are complete."""
    runs = study.runs
    return {
        name: int((runs.loc[runs["condition"] == name, "outcome"] == "complete").sum())
        for name in ("this", "against")
    }


def words_for_a_number(folder):
    """Write a word where a number was."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.update(rss="a lot"))


def no_phase(folder):
    """Take the phase out of every line."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.pop("phase"))


def component_in_words(folder):
    """Write a word where a component's size was."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.update(components={"x": "big"}))


def no_distance(folder):
    """Say that no step lies between a sample and the one before."""
    edit_lines(run_of(folder) / "steps.jsonl", lambda line: line.update(steps=0))


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
    ("damage", "code", "values"),
    [
        (words_for_a_number, "run-damaged", {"file": "steps.jsonl", "line": 1}),
        (no_phase, "run-damaged", {"file": "steps.jsonl", "line": 1}),
        (component_in_words, "run-damaged", {"file": "steps.jsonl", "line": 1}),
        (no_distance, "run-damaged", {"file": "steps.jsonl", "line": 1}),
        (line_cut, "run-damaged", {"file": "steps.jsonl", "line": 6}),
        (samples_lost, "complete-without-steps", {}),
        (result_half, "run-damaged", {"file": "result.json"}),
        (result_a_list, "run-damaged", {"file": "result.json"}),
        (outcome_invented, "run-damaged", {"file": "result.json"}),
        (peak_in_words, "run-damaged", {"file": "result.json"}),
        (other_steps, "not-as-planned", {"field": "steps"}),
        (spec_half, "run-damaged", {"file": "spec.json"}),
    ],
)
def test_a_damaged_run_is_named_and_left_out(folder, damage, code, values):
    """One run is out, with file and reason; the others are judged as before."""
    damage(folder)
    study = open_study(folder)
    assert complete(study) == {"this": 2, "against": 3}
    (notice,) = study.damage
    assert notice.code == code
    assert notice.values["run"] == "holds/this/01"
    assert values.items() <= notice.values.items()
    bad = study.runs.query("condition == 'this' and repeat == 1").iloc[0]
    assert bad["outcome"] == "missing"
    assert bad["why"] == notice


def bare(line):
    """Leave of a sample when it was, and nothing that was measured."""
    for name in set(line) - {"phase", "step"}:
        del line[name]


ODD_FACTS = {"work_done": "much", "failed": [], "x_entries": {}, "x_capacity": "9", "made_s": None}


@pytest.mark.parametrize(
    "change",
    [
        bare,
        lambda line: line.pop("steps", None),
        lambda line: line.update(rss=0, anonymous=0),
        lambda line: line.update(facts=ODD_FACTS, components={"x": 5}),
        lambda line: line.update(step=1e300 / (1 + (line.get("step") or 0))),
    ],
)
def test_what_no_sample_says_is_done_without(folder, change):
    """Whatever is odd in all of them alike: the study has a summary, and it can be shown."""
    for path in folder.rglob("steps.jsonl"):
        edit_lines(path, change)
    study = open_study(folder)
    summary = summary_of(study)
    assert set(summary.experiments["holds"].conditions) == {"this", "against"}
    assert printable(overview := terminal.overview(study, summary)) == overview


def test_a_run_that_is_missing_is_missing(folder):
    """No folder, or one without result: the run has not ended, and nothing else is wrong."""
    shutil.rmtree(run_of(folder, "00"))
    (run_of(folder) / "result.json").unlink()
    study = open_study(folder)
    assert complete(study) == {"this": 1, "against": 3}
    assert sorted(study.runs.query("condition == 'this'")["outcome"]) == [
        "complete", "missing", "missing",
    ]  # fmt: skip
    assert study.damage == []


def test_a_renamed_condition_is_noticed(folder):
    """In the folder or in the manifest: what has no partner is said, with a guess."""
    (folder / "runs/holds/this").rename(folder / "runs/holds/that")
    study = open_study(folder)
    assert complete(study) == {"this": 0, "against": 3}
    lost = {"condition": "holds/that", "runs": 3, "without": ["holds/this"]}
    assert study.damage == [Notice("not-planned", lost)]


def test_more_runs_than_planned_are_left_out(folder):
    """A manifest edited to fewer repeats leaves runs over."""
    edit(folder / "manifest.json", lambda m: m["plan"].update(repeats=2))
    study = open_study(folder)
    assert complete(study) == {"this": 2, "against": 2}
    assert [(each.code, each.values["runs"]) for each in study.damage] == [("not-planned", 1)] * 2


@pytest.mark.parametrize("name", ["created", "call", "inputs", "setup", "machines", "python"])
@pytest.mark.parametrize("value", ["lost", 7, "words"])
def test_a_manifest_without_a_fact_still_opens(folder, name, value):
    """What was run and measured does not depend on it; the report says that it is unknown."""

    def change(manifest):
        if value == "lost":
            del manifest[name]
        else:
            manifest[name] = value

    edit(folder / "manifest.json", change)
    study = open_study(folder)
    assert complete(study) == {"this": 3, "against": 3}
    may_be_lost = value == "lost" and name in ("call", "python", "machines")
    is_fine = may_be_lost or (value == "words" and name in ("created", "python"))
    unknown = [] if is_fine else [Notice("fact-unknown", {"field": name})]
    assert study.damage == unknown


def test_a_fact_that_is_odd_does_not_cost_the_others(folder):
    """Of machine and inputs, each field is read by itself."""

    def change(manifest):
        manifest["setup"]["machine"]["memory"] = "much"
        manifest["inputs"]["voice"] = 3

    edit(folder / "manifest.json", change)
    study = open_study(folder)
    assert study.manifest.setup.machine.kernel == "6.1.0"
    assert study.manifest.inputs.workload == "own.py"
    fields = {notice.values["field"] for notice in study.damage}
    assert fields == {"setup.machine.memory", "inputs.voice"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan.update(repeats="three"), "repeats|int"),
        (lambda plan: plan.update(repeats=2.5), "repeats"),
        (lambda plan: plan.update(experiments=[]), "it has no experiment"),
        (lambda plan: plan.update(experiments=7), "experiments"),
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
        open_study(folder)


def test_a_manifest_that_is_lost_is_an_error_or_comes_from_the_report(folder):
    """Half a manifest, or none: the error counts the runs; a report beside it has it, too."""
    study = open_study(folder)
    manifest, summary = study.manifest, summary_of(study)
    path = folder / "manifest.json"
    whole = path.read_text()
    path.write_text(whole[:200])
    with pytest.raises(StudyError, match=r"manifest\.json is damaged.*untouched"):
        open_study(folder)
    path.unlink()
    with pytest.raises(StudyError, match=r"holds 6 run\(s\) but no manifest\.json"):
        open_study(folder)
    page(folder / "report.html", manifest, summary)
    found = open_study(folder)
    assert complete(found) == {"this": 3, "against": 3}
    assert found.damage[0].code == "manifest-of-report"


@pytest.mark.parametrize("written", [FORMAT + 1, "one", None, True])
def test_a_format_that_is_not_known_is_refused(folder, written):
    """A newer one could be misread; a word is damage."""
    edit(folder / "manifest.json", lambda manifest: manifest.update(format=written))
    said = "newer listen2lab" if written == FORMAT + 1 else "damage"
    with pytest.raises(StudyError, match=said):
        open_study(folder)


def test_no_report_stands_in_for_a_newer_study(folder):
    """Its runs could be misread, whatever an older report beside it says."""
    study = open_study(folder)
    page(folder / "report.html", study.manifest, summary_of(study))
    edit(folder / "manifest.json", lambda manifest: manifest.update(format=FORMAT + 1))
    with pytest.raises(StudyError, match="newer listen2lab"):
        open_study(folder)


def test_a_summary_is_made_anew_when_a_spec_was_edited(folder):
    """A run that is left out now must not stay in the stored numbers."""
    study = open_study(folder)
    study.folder.write("summary.json", summary_of(study))
    edit(next(folder.glob("runs/*/this/01/spec.json")), lambda spec: spec.update(steps=999))
    study = open_study(folder)
    (item,) = summary_of(study).experiments.values()
    assert item.conditions["this"].n_complete == 2


@pytest.mark.parametrize("content", ["{", '"one text"', "[1, 2]", None])
def test_damaged_texts_hinder_only_another_run(folder, content):
    """A study can be read without its texts; what cannot be done is said."""
    path = folder / "paragraphs.json"
    path.unlink() if content is None else path.write_text(content)
    study = open_study(folder)
    assert complete(study) == {"this": 3, "against": 3}
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
            open_study(tmp_path / name)


def test_a_plan_that_leaves_out_the_condition_that_others_are_compared_with(tmp_path):
    """It has no run, as any that was not reached; page, card and tables are written."""
    names = {"cache-size/2": 60, "cache-size/1": 70}
    plan = plan_of(names)
    only = tuple(run.key for run in schedule(plan) if run.level.name == "1")
    study = lab.Study(build_study(tmp_path / "study", names, plan=replace(plan, only=only)))
    found = study.summary().experiments["cache-size"]
    assert {name: n.n_complete for name, n in found.conditions.items()} == {"2": 0, "1": len(only)}
    assert found.contrasts == {"1": None}
    assert study.report().is_file()
    assert study._repr_html_()
