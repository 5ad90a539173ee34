"""A study is repeated from its folder or its report, and what came out the same is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_studies import edit, edit_lines, holding, page

import listen2lab as lab
from listen2lab.compare.reproduced import reproduction
from listen2lab.compare.rerun import _only, rerun
from listen2lab.compare.rerun_inputs import Source
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import catalog, inputs
from listen2lab.study.payload import payload, read
from listen2lab.study.plan import Plan


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of a workload that holds 20 MiB."""
    return holding(tmp_path_factory.mktemp("rerun"))


@pytest.fixture
def book_manifest():
    """Return the manifest of a study of the tiny voice that nobody has run."""
    plan = catalog.quick(Plan((catalog.experiment("baseline"),), repeats=1, traced=False))
    plan = plan.with_lengths(2, 1)
    return {"plan": plan.to_json(), "inputs": inputs.open_book("tiny").described()}


def numbers(levels, *, rate=0.0, verdict="baseline"):
    """Return an experiment of a summary with one condition."""
    condition = {
        "level_each_mib": levels,
        "rate_kib_per_step": rate,
        "rate_interval": [rate - 1, rate + 1],
        "verdict": verdict,
    }
    return {"e": {"conditions": {"c": condition}}}


def by_quantity(found):
    """Return the points of a reproduction of one condition by their quantity."""
    return {point.quantity: point for point in found.points}


def test_a_rerun_reproduces_a_steady_workload(study, tmp_path):
    """Levels are within 2 %, verdicts are the same, and the new study says so."""
    done = rerun(study, study=tmp_path / "again")
    points = done.reproduction.points
    assert [point.quantity for point in points] == ["verdict", "level", "rate"]
    assert done.is_reproduced, str(done)
    assert abs(points[1].share) < 0.02
    assert done.differences == ()
    assert str(done).startswith(
        ("Reproduced: 3 levels, rates and verdicts.", "Reproduced: 2 levels, rates")
    )
    told = json.loads((tmp_path / "again" / "reproduced.json").read_text())
    assert told["reproduced"] is True
    again = lab.Study(tmp_path / "again").manifest
    for name in ("plan", "inputs", "command"):
        assert again[name] == study.manifest[name]


def test_a_part_of_a_study_is_repeated(tmp_path):
    """Experiments that are named, and a wrong name suggests the right one."""
    manifest = {"command": "listen2lab run all", "plan": {}}
    plan = Plan((catalog.experiment("baseline"), catalog.experiment("cache-size")))
    whole = Source(
        "here/study",
        manifest,
        plan,
        {"baseline": 1, "cache-size": 2},
        None,
        is_report=False,
        notes=(),
    )
    part = _only(whole, ["cache-size"])
    assert [item.name for item in part.plan.experiments] == ["cache-size"]
    assert part.experiments == {"cache-size": 2}
    assert part.manifest["command"] == "listen2lab rerun study cache-size"
    assert _only(whole, []) is whole
    with pytest.raises(UnknownNameError, match="did you mean 'cache-size'"):
        _only(whole, ["cachesize"])


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
        [sys.executable, "-m", "listen2lab", "rerun", before, "--study", tmp_path / "again",
         "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    levels = [point for point in told["points"] if point["quantity"] == "level"]
    assert levels[0]["share"] == pytest.approx(-0.5, abs=0.03)
    assert not levels[0]["is_reproduced"]
    assert [each["name"] for each in told["differences"]] == ["numpy"]


def test_a_report_is_enough_and_what_it_leaves_out_is_asked_for(study, tmp_path):
    """A report carries plan and numbers, but not where the workload lay."""
    report = lab.Study(shutil.copytree(study.folder.path, tmp_path / "study")).report()
    manifest, summary = read(report)
    assert manifest["inputs"]["workload_hash"] == study.manifest["inputs"]["workload_hash"]
    (was,), (told,) = (x["experiments"].values() for x in (study.summary(), summary))
    assert told["conditions"] == was["conditions"]
    with pytest.raises(InputError, match=r"holds\.py is not at holds\.py.*--workload"):
        rerun(report, study=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    file = study.manifest["inputs"]["workload"]
    done = rerun(report, study=tmp_path / "again", workload=file)
    assert done.is_reproduced
    assert done.differences == ()  # though a report leaves out what names a kernel's build


def test_of_a_cut_report_what_can_be_read_is_used(study, tmp_path):
    """Cut within the numbers: repeated, not compared. Cut within the manifest: an error."""
    report = page(tmp_path / "report.html", study.manifest, study.summary())
    whole = report.read_text()
    report.write_text(whole[: whole.index('"conditions"')])
    done = rerun(report, study=tmp_path / "a", workload=study.manifest["inputs"]["workload"])
    assert set(done.study.runs["outcome"]) == {"complete"}
    assert not done.is_reproduced
    assert "cut within its numbers" in str(done)
    for end, message in (
        (whole.index('"experiments"'), "cut within its manifest"),
        (whole.index("<script"), "was cut, or is no report"),
        (None, "no report of listen2lab"),
    ):
        report.write_text(whole[:end] if end else "<html></html>")
        with pytest.raises(StudyError, match=message):
            rerun(report, study=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_another_workload_is_refused(study, tmp_path):
    """What is repeated must be the same file, by its hash."""
    other = tmp_path / "other.py"
    other.write_text("def setup(): pass\ndef step(i): pass\n")
    with pytest.raises(InputError, match="the workload is another one"):
        rerun(study, study=tmp_path / "again", workload=other)
    assert not (tmp_path / "again").exists()


def test_the_lab_s_own_texts_are_found_again(book_manifest, tmp_path):
    """A report of the lab's own texts and voice is repeated with nothing but the package."""
    report = page(tmp_path / "report.html", book_manifest, {"experiments": {}})
    done = rerun(report, study=tmp_path / "again")
    assert list(done.study.runs["outcome"]) == ["complete"]
    assert done.study.manifest["inputs"] == book_manifest["inputs"]
    assert "no level of the study before is known" in str(done)


def test_a_user_s_book_must_be_given_again(book_manifest, tmp_path):
    """A report leaves a book's text out; a book that is given is checked by its hash."""
    book = tmp_path / "mine.txt"
    book.write_text("It was night.\n\nIt was day, and the town slept on.\n")
    told = inputs.open_book("tiny", texts_given=[book]).described()
    report = page(tmp_path / "report.html", {**book_manifest, "inputs": told}, {})
    with pytest.raises(InputError, match=r"mine\.txt \(2 paragraphs\).*--text"):
        rerun(report, study=tmp_path / "again")
    changed = tmp_path / "changed.txt"
    changed.write_text("It was dark.\n")
    with pytest.raises(InputError, match="not those that were read"):
        rerun(report, study=tmp_path / "again", texts=[changed])
    assert list(rerun(report, study=tmp_path / "again", texts=[book]).study.runs["outcome"]) == [
        "complete"
    ]


def test_another_voice_is_refused_and_what_builds_it_named(book_manifest, tmp_path):
    """A generated voice of another hash cannot be built: the versions that did are named."""
    manifest = {**book_manifest, "versions": {"onnx": "1.0", "python": "3.9"}}
    manifest["inputs"] = {**manifest["inputs"], "voice_hash": "0" * 64}
    report = page(tmp_path / "report.html", manifest, {})
    with pytest.raises(InputError, match=r"the voice is another one.*onnx 1\.0 then"):
        rerun(report, study=tmp_path / "again")
    manifest["inputs"] = {**manifest["inputs"], "voice": "/home/me/amy"}
    report = page(tmp_path / "report.html", manifest, {})
    with pytest.raises(InputError, match=r"'amy'.*--voice"):
        rerun(report, study=tmp_path / "again")


def test_a_recognizer_fitted_elsewhere_is_named_and_not_refused(book_manifest, tmp_path):
    """Its last digits depend on the processor; its shapes, which memory follows, do not."""
    manifest = {**book_manifest, "inputs": {**book_manifest["inputs"], "recognizer_hash": "0" * 64}}
    done = rerun(page(tmp_path / "report.html", manifest, {}), study=tmp_path / "again")
    assert "recognizer: sha256 000000000000 before, sha256" in str(done)
    own = tmp_path / "mine"
    shutil.copytree(inputs.models_root() / "recognizer", own)
    manifest["inputs"] = {**manifest["inputs"], "recognizer": str(own)}
    with pytest.raises(InputError, match="the recognizer is another one"):
        rerun(page(tmp_path / "own.html", manifest, {}), study=tmp_path / "third", recognizer=own)


def test_an_interrupted_rerun_is_completed_and_compared(study, tmp_path):
    """What was measured stays, and the answer comes all the same."""
    again = tmp_path / "again"
    rerun(study, study=again)
    lost = lab.Study(again).folder.run("holds/this/01").path / "result.json"
    kept = lab.Study(again).folder.run("holds/this/00").path / "result.json"
    lost.unlink()
    (again / "reproduced.json").unlink()
    before = kept.stat().st_mtime_ns
    done = rerun(study, resume=again)
    assert done.is_reproduced, str(done)
    assert lost.exists()
    assert kept.stat().st_mtime_ns == before
    assert (again / "reproduced.json").exists()
    other = holding(tmp_path, repeats=2, name="other")
    with pytest.raises(InputError, match="its plan is another one"):
        rerun(study, resume=other.folder.path)


def test_a_selftest_is_not_repeated_without_its_faults(book_manifest, tmp_path):
    """The plan of a selftest does not hold what is planted."""
    book_manifest["plan"]["experiments"][0]["factor"] = "fault"
    report = page(tmp_path / "report.html", book_manifest, {})
    with pytest.raises(StudyError, match="listen2lab selftest"):
        rerun(report, study=tmp_path / "again")


def test_a_level_is_reproduced_within_two_percent_or_the_interval():
    """Near enough to act alike, or no farther than the processes are from each other."""
    steady = numbers([100.0, 100.1, 99.9])
    near = by_quantity(reproduction(steady, numbers([101.0, 101.1, 100.9])))["level"]
    assert near.is_within_share
    assert near.is_within_interval is False
    assert near.is_reproduced
    wide = by_quantity(reproduction(numbers([90.0, 100, 110]), numbers([95.0, 105, 115])))["level"]
    assert (wide.is_within_share, wide.is_within_interval, wide.is_reproduced) == (
        False, True, True,
    )  # fmt: skip
    far = by_quantity(reproduction(steady, numbers([103.0, 103.1, 102.9])))["level"]
    assert not far.is_reproduced
    assert far.interval[0] > 2
    alone = by_quantity(reproduction(numbers([100.0]), numbers([103.0])))["level"]
    assert (alone.interval, alone.is_reproduced) == (None, False)


def test_a_rate_and_a_verdict_are_points_of_their_own():
    """A leak that doubled is not reproduced, though levels agree; nor is another verdict."""
    was = numbers([100.0, 100, 100], rate=100, verdict="leak")
    found = by_quantity(reproduction(was, numbers([100.0, 100, 100], rate=200, verdict="leak")))
    assert (found["level"].is_reproduced, found["verdict"].is_reproduced) == (True, True)
    assert not found["rate"].is_reproduced
    assert found["rate"].interval == pytest.approx((100 - 2**0.5, 100 + 2**0.5))
    flat = by_quantity(reproduction(numbers([100.0], rate=5), numbers([100.0], rate=50)))["rate"]
    assert (flat.is_within_interval, flat.is_reproduced) == (False, True)
    other = reproduction(was, numbers([100.0, 100, 100], rate=100))
    assert not by_quantity(other)["verdict"].is_reproduced
    assert not reproduction(was, {}).is_reproduced
    assert not reproduction({}, was).points


@given(
    st.lists(st.floats(1, 1e4), min_size=1, max_size=5),
    st.floats(-1e4, 1e4),
    st.sampled_from(["leak", "plateau", "inconclusive"]),
)
def test_the_same_numbers_are_always_reproduced(levels, rate, verdict):
    """A study is reproduced by itself, however its numbers scatter."""
    same = numbers(levels, rate=rate, verdict=verdict)
    assert reproduction(same, same).is_reproduced


_VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["</script>", "<!--", "\u2028"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=4), st.data())
def test_what_a_page_carries_is_read_back(tmp_path_factory, summary, data):
    """Whatever a study holds: nothing ends the element early, and a cut loses only its end."""
    manifest = {"inputs": {"voice": "tiny"}, "plan": {}}
    carried = payload(manifest, summary, include_private=True)
    assert "<" not in carried
    path = page(tmp_path_factory.getbasetemp() / "p.html", manifest, summary, include_private=True)
    assert read(path) == (manifest, summary)
    whole = path.read_text()
    path.write_text(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        found = read(path)
    except StudyError:
        return
    assert found[0] == manifest
    assert found[1] in (None, summary)


def test_a_page_tells_neither_places_nor_people(study):
    """Paths, hosts and the identity of machines stay at home unless asked for."""
    manifest = {
        **study.manifest,
        "command": "listen2lab run --text '/home/anna/My Books/a.epub' --on tcp://host9:8786",
        "python": "/home/anna/venv/bin/python",
        "machines": {"machine-1": {"id": "f00d", "git": None}},
        "inputs": {"voice": "/home/anna/voices/amy", "voice_hash": "1"},
    }
    told = payload(manifest, {"because": "no file /home/anna/x"}, paragraphs=["a secret text"])
    for secret in ("anna", "f00d", "host9", "My Books", "secret"):
        assert secret not in told
    assert "a.epub" in told
    private = payload(manifest, {}, include_private=True, paragraphs=["a secret text"])
    assert "/home/anna/voices/amy" in private
    assert json.loads(private)["manifest"]["inputs"]["paragraphs"] == ["a secret text"]
