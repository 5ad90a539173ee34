"""Studies are joined without mixing the levels of machines, voices or settings."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from small_studies import edit, holding

import listen2lab as lab
from listen2lab.comparison.comparison import compare
from listen2lab.comparison.merge import merge
from listen2lab.comparison.rerun import rerun
from listen2lab.errors import InputError, StudyError
from listen2lab.findings.summary import summary_of
from listen2lab.study.data import open_study

pytestmark = pytest.mark.slow  # runs of their own processes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folders of two studies of one workload on one machine; the second is traced."""
    folder = tmp_path_factory.mktemp("merge")
    holding(folder, 20, "a", repeats=2, against=sys.executable)
    holding(folder, 20, "b", repeats=3, against=sys.executable, seed=0, trace=True)
    return folder


def of_another_machine(made, tmp_path, name="b"):
    """Return a copy of a study as if it came from a machine with another kernel."""
    folder = shutil.copytree(made / name, tmp_path / f"{name}-elsewhere")

    def change(manifest):
        manifest["setup"]["machine"]["kernel"] = "9.9"
        manifest["machines"]["machine-1"]["machine"]["kernel"] = "9.9"

    edit(folder / "manifest.json", change)
    return folder


def counts(study):
    """Return how many complete plain runs each condition has."""
    runs = study.runs.query("outcome == 'complete' and not traced")
    return {"/".join(key): len(rows) for key, rows in runs.groupby(["experiment", "condition"])}


def test_runs_of_one_machine_and_setting_become_repeats(made, tmp_path):
    """Two and three repeats are five, each with its samples and where it comes from."""
    merged, _ = merge(made / "a", made / "b", out=tmp_path / "m")
    assert counts(merged) == {"holds/this": 5, "holds/against": 5}
    assert set(merged.runs["outcome"]) == {"complete"}
    assert merged.damage == []
    ends = [
        summary_of(study).experiments["holds"].conditions["this"].end_each_mib
        for study in (open_study(made / "a"), open_study(made / "b"), merged)
    ]
    assert ends[2] == ends[0] + ends[1]
    results = [json.loads(p.read_text()) for p in (tmp_path / "m").rglob("result.json")]
    assert {r["study"] for r in results} == {"study-1", "study-2"}
    assert {r["machine"] for r in results} == {"machine-1"}
    assert len(merged.runs.query("traced")) == 2
    assert merged.trace("holds", "this") is not None
    assert lab.Study(tmp_path / "m").report().is_file()


def test_levels_of_another_machine_stay_apart(made, tmp_path):
    """They are an experiment of their own, with contrasts of their own."""
    merged, notes = merge(made / "a", of_another_machine(made, tmp_path), out=tmp_path / "m")
    assert counts(merged) == {
        "holds/this": 2, "holds/against": 2,
        "holds@machine-2/this": 3, "holds@machine-2/against": 3,
    }  # fmt: skip
    assert [(n.code, n.values["experiment"], n.values["apart"]) for n in notes] == [
        ("merged-experiment", "holds", None),
        ("merged-experiment", "holds@machine-2", "machine"),
    ]
    for name in ("holds", "holds@machine-2"):
        assert summary_of(merged).experiments[name].contrasts["against"].to == "this"
    runs = merged.runs
    assert set(runs[runs["experiment"] == "holds@machine-2"]["machine"]) == {"machine-2"}
    path = merged.folder.path
    found = compare(f"{path}:holds/this", f"{path}:holds@machine-2/this")
    assert [each.name for each in found.differences if each.about == "machine"] == ["kernel"]
    assert found.caveats[0].code == "other-machine"


def test_other_settings_or_inputs_stay_apart(made, tmp_path):
    """Fewer steps, another file: not repeats of the same condition."""
    holding(tmp_path, 20, "short", repeats=1, steps=12, against=sys.executable)
    holding(tmp_path, 21, "other", repeats=1, against=sys.executable)
    given = (made / "a", tmp_path / "short", tmp_path / "other")
    merged, notes = merge(*given, out=tmp_path / "m")
    names = [item.name for item in merged.plan.experiments]
    assert names == ["holds", "holds@study-2", "holds@study-3"]
    assert [each.values["apart"] for each in notes] == [None, "setting", "setting"]
    assert summary_of(merged).experiments["holds@study-2"].conditions["this"].steps == 12


def test_the_same_run_is_refused_twice(made, tmp_path):
    """By its content: a copy under another name would count as agreement."""
    copy = shutil.copytree(made / "a", tmp_path / "copy")
    with pytest.raises(StudyError, match="is the same run as"):
        merge(made / "a", copy, out=tmp_path / "m")
    first, _ = merge(made / "a", made / "b", out=tmp_path / "ab")
    with pytest.raises(StudyError, match="it would count twice"):
        merge(first, copy, out=tmp_path / "m")
    assert not (tmp_path / "m").exists()
    with pytest.raises(InputError, match="two studies or more"):
        merge(made / "a", out=tmp_path / "m")


def test_a_merged_study_can_be_merged_on(made, tmp_path):
    """Parts keep their names; machines that were apart stay apart, alike ones come together."""
    first, _ = merge(made / "a", of_another_machine(made, tmp_path), out=tmp_path / "one")
    holding(tmp_path, 20, "c", repeats=1, against=sys.executable)
    merged, _ = merge(first, tmp_path / "c", out=tmp_path / "two")
    assert counts(merged) == {
        "holds/this": 3, "holds/against": 3,
        "holds@machine-2/this": 3, "holds@machine-2/against": 3,
    }  # fmt: skip
    assert [part.name for part in merged.manifest.merged.parts] == [
        "study-1", "study-2", "study-3",
    ]  # fmt: skip


def test_what_a_study_lacks_stays_missing(made, tmp_path):
    """A run that has not ended is said to be missing, and one that is damaged why."""
    cut = of_another_machine(made, tmp_path)
    (cut / "runs/holds/this/00/result.json").unlink()
    (cut / "runs/holds/this/01/result.json").write_text("{")
    merged, notes = merge(made / "a", cut, out=tmp_path / "m")
    runs = merged.runs.query("experiment == 'holds@machine-2' and condition == 'this'")
    assert sorted(runs.query("not traced")["outcome"]) == ["complete", "missing", "missing"]
    (damaged,) = (each for each in notes if each.code == "run-damaged")
    assert damaged.values["file"] == "result.json"


def test_a_merged_study_is_not_run_on(made, tmp_path):
    """Nobody can continue two studies at once: the parts can be."""
    merged, _ = merge(made / "a", made / "b", out=tmp_path / "m")
    with pytest.raises(StudyError, match="continue or repeat the studies it was merged of"):
        lab.resume(tmp_path / "m")
    with pytest.raises(StudyError, match="repeat the studies it was merged of"):
        rerun(merged, out=tmp_path / "again")
    with pytest.raises(StudyError, match="holds a study already"):
        merge(made / "a", made / "b", out=tmp_path / "m")


def test_a_merged_study_without_its_parts_is_only_read(made, tmp_path):
    """A manifest that does not say of what it was merged, by hand or from a report."""
    merge(made / "a", of_another_machine(made, tmp_path), out=tmp_path / "m")
    edit(tmp_path / "m" / "manifest.json", lambda manifest: manifest.update(merged=True))
    merged = open_study(tmp_path / "m")
    assert merged.damage[0].values == {"field": "merged"}
    assert counts(merged)["holds@machine-2/this"] == 3
    assert compare(f"{tmp_path / 'm'}:holds/this", f"{tmp_path / 'm'}:holds/against").pairs
    holding(tmp_path, 20, "c", repeats=1, steps=12)
    with pytest.raises(StudyError, match="does not say of what"):
        merge(merged, tmp_path / "c", out=tmp_path / "again")


def test_a_merge_that_was_cut_short_is_no_study(made, tmp_path, monkeypatch):
    """The manifest comes last: nobody takes half of the runs for all of them."""

    def full(*_args, **_told):
        raise StudyError("no room")

    monkeypatch.setattr("listen2lab.study.folder.RunFolder.copy_from", full)
    with pytest.raises(StudyError, match="no room"):
        merge(made / "a", made / "b", out=tmp_path / "m")
    with pytest.raises(StudyError, match="is no study"):
        open_study(tmp_path / "m")


def test_a_run_without_its_spec_is_merged(made, tmp_path):
    """What readers accept is accepted here."""
    copy = shutil.copytree(made / "a", tmp_path / "copy")
    next(copy.glob("runs/*/this/00/spec.json")).unlink()
    merged, _ = merge(copy, made / "b", out=tmp_path / "m")
    assert counts(merged) == {"holds/this": 5, "holds/against": 5}
    assert merged.damage == []
