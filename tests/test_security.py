"""What comes from somebody else is data: none of it is executed, nothing outside is touched."""

from __future__ import annotations

import os
import shutil
import stat

import platformdirs
import pytest
from msgspec.structs import replace
from small_studies import edit, holding, page

import listen2lab as lab
from listen2lab import api
from listen2lab.comparison.rerun import rerun
from listen2lab.errors import InputError, StudyError
from listen2lab.experiment import run_study
from listen2lab.experiment.trust import is_own, marked
from listen2lab.findings.summary import summary_of
from listen2lab.study.data import open_study
from listen2lab.study.payload import read_payload
from listen2lab.study.plan import Plan


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a small study that was begun here."""
    return holding(tmp_path_factory.mktemp("own"), mib=1, repeats=2, steps=4).data


@pytest.fixture
def own(small, tmp_path):
    """Return a copy of it that may be changed."""
    return shutil.copytree(small.folder.path, tmp_path / "study")


@pytest.fixture
def trap(tmp_path):
    """Return a workload that leaves a file where it is executed, and that file's path."""
    sprung = tmp_path / "sprung"
    file = tmp_path / "trap.py"
    file.write_text(f"open({str(sprung)!r}, 'w')\ndef setup(): pass\ndef step(i): pass\n")
    return file, sprung


def hostile(manifest, file):
    """Return a manifest that names a file, with the file's own hash."""
    import hashlib

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    given = replace(manifest.inputs, workload=str(file), workload_hash=digest)
    return replace(manifest, inputs=given)


def cut(folder):
    """Take away how a run ended, so that it is left to do."""
    next(folder.glob("runs/*/this/01/result.json")).unlink()


# -- nothing is executed that the user did not name or this machine did not write


def test_a_report_s_paths_are_never_executed(small, trap, tmp_path):
    """Its hash is the sender's own; the file must be named."""
    file, sprung = trap
    report = page(tmp_path / "r.html", hostile(small.manifest, file), summary_of(small))
    with pytest.raises(InputError, match=r"2 runs of .*trap\.py.*--workload"):
        rerun(report, study=tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not sprung.exists()
    assert read_payload(report).manifest.mark is None


@pytest.mark.parametrize("field", ["workload", "python", "level", "voice"])
def test_a_received_study_s_paths_are_never_executed(small, own, trap, tmp_path, field):
    """Neither a rerun nor --resume follows what was edited: the mark does not fit any more."""
    file, sprung = trap
    file.chmod(0o755)
    manifest = hostile(small.manifest, file)
    if field != "workload":
        manifest = small.manifest
    if field == "python":
        manifest = replace(manifest, python=str(file))
    if field == "level":
        item = manifest.plan.experiments[0]
        item = replace(item, levels=(replace(item.levels[0], python=str(file)),))
        manifest = replace(manifest, plan=replace(manifest.plan, experiments=(item,)))
    if field == "voice":
        given = replace(manifest.inputs, workload=None, voice=str(tmp_path), recognizer="/x")
        manifest = replace(manifest, inputs=given)
    assert not is_own(manifest)
    lab_folder = open_study(own).folder
    lab_folder.write_manifest(manifest)
    cut(own)
    with pytest.raises(InputError, match="not begun by you on this machine"):
        run_study.resume(own)
    with pytest.raises(InputError, match="not begun by you on this machine"):
        rerun(own, study=tmp_path / "again")
    assert not sprung.exists()
    assert not (tmp_path / "again").exists()


def test_what_is_named_is_run_and_need_not_be_named_again(small, own, tmp_path, monkeypatch):
    """A study from elsewhere is completed with what the user names; hashes are checked."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another-user"))
    cut(own)
    said = []
    with pytest.raises(InputError, match=r"plans 2 runs with workload .*--workload"):
        run_study.resume(own)
    other = tmp_path / "other.py"
    other.write_text("def setup(): pass\ndef step(i): pass\n")
    with pytest.raises(StudyError, match="not what the study was begun with"):
        run_study.resume(own, workload=other)
    run_study.resume(own, workload=small.manifest.inputs.workload, notify=said.append)
    assert [(x.code, x.values["runs"]) for x in said] == [("will-run", 1)]
    assert said[0].values["given"].endswith("holds.py")
    assert said[0].values["seconds"] > 0
    assert set(open_study(own).runs["outcome"]) == {"complete"}
    cut(own)
    api.resume(own)


def test_a_rerun_says_what_it_will_run(small, tmp_path):
    """How many runs, of what, with which interpreter, and roughly how long."""
    said = []
    rerun(small, study=tmp_path / "again", tell=said.append)
    assert said[0].code == "will-run"
    assert said[0].values["runs"] == 2
    assert "python" in said[0].values["python"]
    assert 0 < said[0].values["seconds"] < 60


def test_the_secret_is_the_user_s_alone(small):
    """A file of its owner; one that others can read is none."""
    path = platformdirs.user_config_path("listen2lab") / "study-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_own(small.manifest)
    path.chmod(0o644)
    assert not is_own(small.manifest)
    assert marked(small.manifest).mark is None
    path.chmod(0o600)
    assert path.parent.stat().st_uid == os.geteuid()


def test_a_mark_is_of_one_plan(small):
    """Any change of what is run costs it; what was measured since does not."""
    assert is_own(replace(small.manifest, machines={}, created="later"))
    assert not is_own(replace(small.manifest, plan=replace(small.manifest.plan, repeats=3)))
    assert not is_own(replace(small.manifest, mark=small.manifest.mark[:-1] + "é"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repeats": 10**9}, "repeats is 1,000,000,000"),
        ({"jobs": 10**9}, "jobs is"),
        ({"max_samples": 10**9}, "max_samples is"),
        ({"seed": 2**63}, "63 bits"),
        ({"step_timeout": float("inf")}, "step_timeout"),
        ({"step_timeout": float("nan")}, "step_timeout"),
        ({"memory_limit": -1}, "memory_limit"),
    ],
)
def test_a_plan_has_upper_bounds(small, own, change, said):
    """What nobody could carry out is refused at once, also where it is only read."""
    with pytest.raises(InputError, match=said):
        Plan(small.plan.experiments, **change)
    (value,) = change.values()
    if not isinstance(value, float):
        edit(own / "manifest.json", lambda m: m["plan"].update(change))
        with pytest.raises(StudyError):
            lab.Study(own).report()


def test_names_have_upper_bounds(small):
    """A folder's name cannot be longer, and steps are counted."""
    item = small.plan.experiments[0]
    for change in ({"name": "x" * 201}, {"steps": 10**9}, {"warmup": 10**9}):
        with pytest.raises(InputError):
            Plan((replace(item, **change),))
