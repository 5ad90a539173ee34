"""A study is repeated from its folder or its report, and what came out the same is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_studies import edit, edit_lines, holding, page

import listen2lab as lab
from listen2lab.comparison.reproduced import points
from listen2lab.comparison.rerun import rerun
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import catalog, inputs
from listen2lab.findings.records import ConditionNumbers, ExperimentSummary, Summary
from listen2lab.findings.summary import summary_of
from listen2lab.study.data import open_study
from listen2lab.study.payload import payload, read_payload
from listen2lab.study.plan import Plan
from listen2lab.study.records import FORMAT, InputsRecord, Manifest, SourceText

pytestmark = pytest.mark.slow  # runs of their own processes


NO_NUMBERS = Summary(format=FORMAT, created="", inputs=InputsRecord())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of a workload that holds 20 MiB."""
    return holding(tmp_path_factory.mktemp("rerun")).data


@pytest.fixture
def book_manifest():
    """Return the manifest of a study of the tiny voice that nobody has run."""
    plan = catalog.quick(Plan((catalog.experiment("baseline"),), repeats=1, traced="none"))
    given = inputs.open_book("tiny").record
    return Manifest(plan=plan.with_lengths(2, 1), inputs=given, created="2026-01-01")


def numbers(ends, *, rate=0.0, verdict="baseline"):
    """Return an experiment of a summary with one condition."""
    condition = ConditionNumbers(
        verdict=verdict,
        end_each_mib=tuple(ends),
        rate_kib_per_step=rate,
        rate_interval_kib_per_step=(rate - 1, rate + 1),
    )
    item = ExperimentSummary(question="", factor=None, unit="step", conditions={"c": condition})
    return {"e": item}


def by_quantity(before, now):
    """Return the points of two studies of one condition by their quantity."""
    return {point.quantity: point for point in points(before, now)}


def with_inputs(manifest, **changes):
    """Return a manifest whose inputs say something else."""
    return replace(manifest, inputs=replace(manifest.inputs, **changes))


def test_a_rerun_reproduces_a_steady_workload(study, tmp_path):
    """Ends are within 2 %, verdicts are the same, and the new study says so."""
    again, done = rerun(study, out=tmp_path / "again")
    assert [point.quantity for point in done.points] == ["verdict", "end", "rate"]
    assert done.is_reproduced, done
    assert abs(done.points[1].share) < 0.02
    assert done.differences == ()
    stored = json.loads((tmp_path / "again" / "reproduced.json").read_text())
    assert [point["is_reproduced"] for point in stored["points"]] == [True] * 3
    for name in ("plan", "inputs", "call"):
        assert getattr(again.manifest, name) == getattr(study.manifest, name)


def test_a_part_of_a_study_is_repeated(study, tmp_path):
    """Experiments that are named, and a wrong name suggests the right one."""
    item = study.plan.experiments[0]
    both = replace(study.plan, experiments=(item, replace(item, name="other")))
    report = page(tmp_path / "r.html", replace(study.manifest, plan=both), NO_NUMBERS)
    given = {"workload": study.manifest.inputs.workload}
    again, _ = rerun(report, "other", out=tmp_path / "again", **given)
    assert [item.name for item in again.plan.experiments] == ["other"]
    assert again.manifest.call.name == "rerun"
    assert again.manifest.call.arguments == {"source": "r.html", "experiments": ["other"]}
    with pytest.raises(UnknownNameError, match="did you mean 'other'"):
        rerun(report, "othr", out=tmp_path / "third", **given)


def test_the_command_says_what_was_not_reproduced_and_exits_with_1(study, tmp_path):
    """A study whose levels were another machine's is repeated, but not reproduced."""
    before = shutil.copytree(study.folder.path, tmp_path / "before")
    for path in before.rglob("steps.jsonl"):
        edit_lines(path, lambda line: line.update(rss=line.get("rss", 0) * 2))
    edit(
        before / "manifest.json",
        lambda m: m["machines"]["machine-1"]["versions"].update(numpy="1.0"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "rerun", before, "--out", tmp_path / "again",
         "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    (end,) = (point for point in told["points"] if point["quantity"] == "end")
    assert end["share"] == pytest.approx(-0.5, abs=0.03)
    assert not end["is_reproduced"]
    assert [each["name"] for each in told["differences"]] == ["numpy"]


def test_a_report_is_enough_and_what_it_leaves_out_is_asked_for(study, tmp_path):
    """A report carries plan and numbers, but not where the workload lay."""
    report = lab.Study(shutil.copytree(study.folder.path, tmp_path / "study")).report()
    carried = read_payload(report)
    assert carried.manifest.inputs.workload_hash == study.manifest.inputs.workload_hash
    was = summary_of(study).experiments["holds"].conditions
    assert msgspec.json.decode(carried.summary, type=Summary).experiments["holds"].conditions == was
    with pytest.raises(InputError, match=r"is a report.*3 runs of holds\.py.*--workload"):
        rerun(report, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    file = study.manifest.inputs.workload
    _, done = rerun(report, out=tmp_path / "again", workload=file)
    assert done.is_reproduced
    assert done.differences == ()  # though a report leaves out what names a kernel's build


def test_of_a_cut_report_what_can_be_read_is_used(study, tmp_path):
    """Cut within the numbers: repeated, not compared. Cut within the manifest: an error."""
    report = page(tmp_path / "report.html", study.manifest, summary_of(study))
    whole = report.read_text()
    report.write_text(whole[: whole.index('"conditions"')])
    again, done = rerun(report, out=tmp_path / "a", workload=study.manifest.inputs.workload)
    assert set(again.runs["outcome"]) == {"complete"}
    assert not done.is_reproduced
    assert [note.code for note in done.notes] == ["no-numbers-before"]
    for end, message in (
        (whole.index('"experiments"'), "cut within its manifest"),
        (whole.index("<script"), "was cut, or is no report"),
        (None, "no report of listen2lab"),
    ):
        report.write_text(whole[:end] if end else "<html></html>")
        with pytest.raises(StudyError, match=message):
            rerun(report, out=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_another_workload_is_refused(study, tmp_path):
    """What is repeated must be the same file, by its hash."""
    other = tmp_path / "other.py"
    other.write_text("def setup(): pass\ndef step(i): pass\n")
    with pytest.raises(InputError, match="the workload is another one"):
        rerun(study, out=tmp_path / "again", workload=other)
    assert not (tmp_path / "again").exists()


@pytest.mark.engine
def test_the_lab_s_own_texts_are_found_again(book_manifest, tmp_path):
    """A report of the lab's own texts and voice is repeated with nothing but the package."""
    report = page(tmp_path / "report.html", book_manifest, NO_NUMBERS)
    again, done = rerun(report, out=tmp_path / "again")
    assert list(again.runs["outcome"]) == ["complete"]
    assert again.manifest.inputs == book_manifest.inputs
    assert done.points == ()
    assert not done.is_reproduced


@pytest.mark.engine
def test_a_user_s_book_must_be_given_again(book_manifest, tmp_path):
    """A report leaves a book's text out; a book that is given is checked by its hash."""
    book = tmp_path / "mine.txt"
    book.write_text("It was night.\n\nIt was day, and the town slept on.\n")
    given = inputs.open_book("tiny", texts_given=[book]).record
    assert given.texts == (SourceText("mine.txt", 2),)
    report = page(tmp_path / "report.html", replace(book_manifest, inputs=given), NO_NUMBERS)
    with pytest.raises(InputError, match=r"mine\.txt \(2 paragraphs\).*--text"):
        rerun(report, out=tmp_path / "again")
    changed = tmp_path / "changed.txt"
    changed.write_text("It was dark.\n")
    with pytest.raises(InputError, match="not those that were read"):
        rerun(report, out=tmp_path / "again", texts=[changed])
    again, _ = rerun(report, out=tmp_path / "again", texts=[book])
    assert list(again.runs["outcome"]) == ["complete"]


def test_another_voice_is_refused_and_what_builds_it_named(book_manifest, tmp_path):
    """A generated voice of another hash cannot be built: the versions that did are named."""
    setup = replace(book_manifest.setup, versions={"onnx": "1.0", "python": "3.9"})
    manifest = with_inputs(replace(book_manifest, setup=setup), voice_hash="0" * 64)
    report = page(tmp_path / "report.html", manifest, NO_NUMBERS)
    with pytest.raises(InputError, match=r"the voice is another one.*onnx 1\.0 then"):
        rerun(report, out=tmp_path / "again")
    manifest = with_inputs(manifest, voice="/home/me/amy")
    report = page(tmp_path / "report.html", manifest, NO_NUMBERS)
    with pytest.raises(InputError, match=r"amy'.*--voice"):
        rerun(report, out=tmp_path / "again")


@pytest.mark.engine
def test_a_recognizer_fitted_elsewhere_is_named_and_not_refused(book_manifest, tmp_path):
    """Its last digits depend on the processor; its shapes, which memory follows, do not."""
    manifest = with_inputs(book_manifest, recognizer_hash="0" * 64)
    _, done = rerun(page(tmp_path / "report.html", manifest, NO_NUMBERS), out=tmp_path / "again")
    assert "recognizer" in {each.name for each in done.differences if each.about == "input"}
    own = tmp_path / "mine"
    shutil.copytree(inputs.models_root() / "recognizer", own)
    manifest = with_inputs(manifest, recognizer=str(own))
    with pytest.raises(InputError, match="the recognizer is another one"):
        rerun(
            page(tmp_path / "own.html", manifest, NO_NUMBERS),
            out=tmp_path / "third",
            recognizer=own,
        )


def test_an_interrupted_rerun_is_completed_and_compared(study, tmp_path):
    """What was measured stays, and the answer comes all the same."""
    again = tmp_path / "again"
    rerun(study, out=again)
    lost = open_study(again).folder.run("holds/this/01").path / "result.json"
    kept = open_study(again).folder.run("holds/this/00").path / "result.json"
    lost.unlink()
    (again / "reproduced.json").unlink()
    before = kept.stat().st_mtime_ns
    _, done = rerun(study, out=again, resume=True)
    assert done.is_reproduced, done
    assert lost.exists()
    assert kept.stat().st_mtime_ns == before
    assert (again / "reproduced.json").exists()
    other = holding(tmp_path, repeats=2, name="other")
    with pytest.raises(InputError, match="its plan is another one"):
        rerun(study, out=other.data.folder.path, resume=True)


def test_a_selftest_is_not_repeated_without_its_faults(book_manifest, tmp_path):
    """The plan of a selftest does not hold what is planted."""
    plan = book_manifest.plan
    planted = replace(plan, experiments=(replace(plan.experiments[0], factor="fault"),))
    report = page(tmp_path / "report.html", replace(book_manifest, plan=planted), NO_NUMBERS)
    with pytest.raises(StudyError, match="listen2lab selftest"):
        rerun(report, out=tmp_path / "again")


def test_an_end_is_reproduced_within_two_percent_or_the_interval():
    """Near enough to act alike, or no farther than the processes are from each other."""
    steady = numbers([100.0, 100.1, 99.9])
    near = by_quantity(steady, numbers([101.0, 101.1, 100.9]))["end"]
    assert near.is_within_share
    assert near.is_within_interval is False
    assert near.is_reproduced
    wide = by_quantity(numbers([90.0, 100, 110]), numbers([95.0, 105, 115]))["end"]
    assert (wide.is_within_share, wide.is_within_interval, wide.is_reproduced) == (
        False, True, True,
    )  # fmt: skip
    far = by_quantity(steady, numbers([103.0, 103.1, 102.9]))["end"]
    assert not far.is_reproduced
    assert far.interval[0] > 2
    alone = by_quantity(numbers([100.0]), numbers([103.0]))["end"]
    assert (alone.interval, alone.is_reproduced) == (None, False)


def test_a_rate_and_a_verdict_are_points_of_their_own():
    """A leak that doubled is not reproduced, though ends agree; nor is another verdict."""
    was = numbers([100.0, 100, 100], rate=100, verdict="leak")
    found = by_quantity(was, numbers([100.0, 100, 100], rate=200, verdict="leak"))
    assert (found["end"].is_reproduced, found["verdict"].is_reproduced) == (True, True)
    assert not found["rate"].is_reproduced
    assert found["rate"].interval == pytest.approx((100 - 2**0.5, 100 + 2**0.5))
    flat = by_quantity(numbers([100.0], rate=5), numbers([100.0], rate=50))["rate"]
    assert (flat.is_within_interval, flat.is_reproduced) == (False, True)
    other = by_quantity(was, numbers([100.0, 100, 100], rate=100))
    assert not other["verdict"].is_reproduced
    assert not any(point.is_reproduced for point in points(was, {}))
    assert not points({}, was)


@given(
    st.lists(st.floats(1, 1e4), min_size=1, max_size=5),
    st.floats(-1e4, 1e4),
    st.sampled_from(["leak", "plateau", "inconclusive"]),
)
def test_the_same_numbers_are_always_reproduced(ends, rate, verdict):
    """A study is reproduced by itself, however its numbers scatter."""
    same = numbers(ends, rate=rate, verdict=verdict)
    assert all(point.is_reproduced for point in points(same, same))


@given(st.text(), st.text(), st.data())
def test_what_a_page_carries_is_read_back(tmp_path_factory, question, voice, data):
    """Whatever a study holds: nothing ends the element early, and a cut loses only its end."""
    item = replace(catalog.experiment("baseline"), question=question + "</script><!--\u2028")
    inputs_given = InputsRecord(voice=voice)
    manifest = Manifest(plan=Plan((item,)), inputs=inputs_given, created="2026-01-01")
    assert "<" not in payload(manifest, NO_NUMBERS)
    path = page(tmp_path_factory.getbasetemp() / "p.html", manifest, NO_NUMBERS)
    found = read_payload(path)
    assert found.manifest == manifest
    assert msgspec.json.decode(found.summary, type=Summary) == NO_NUMBERS
    whole = path.read_text()
    path.write_text(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        found = read_payload(path)
    except StudyError:
        return
    assert found.manifest == manifest
