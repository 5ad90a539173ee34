"""A study folder loses nothing and is never written by two."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace
from small_studies import edit, plan_of

from listen2lab.errors import DamagedError, NewerStudyError, StudyError
from listen2lab.study.folder import StudyFolder
from listen2lab.study.records import FORMAT, Manifest, Spec

MANIFEST = Manifest(plan=plan_of({"own": 0}))


@pytest.fixture
def study(tmp_path):
    """Return an empty study that this process does not hold."""
    folder = StudyFolder(tmp_path / "study")
    folder.create(MANIFEST, ["one", "two"])
    folder.release()
    return folder


def test_a_study_is_not_made_over_another(study):
    """Neither a study nor anyone's files are written over."""
    with pytest.raises(StudyError, match="--resume"):
        StudyFolder(study.path).create(MANIFEST, [])
    (study.path.parent / "other").mkdir()
    (study.path.parent / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(StudyError, match="nothing was written"):
        StudyFolder(study.path.parent / "other").create(MANIFEST, [])
    assert [p.name for p in (study.path.parent / "other").iterdir()] == ["thesis.txt"]


def test_a_study_being_written_by_another_process_is_refused(study):
    """Nothing is touched; when the process is gone, its lock is too."""
    code = (
        "import sys, time; from listen2lab.study.folder import StudyFolder; "
        "held = StudyFolder(sys.argv[1]); held.acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(study.path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match="being written by another process"):
            study.acquire()
        other.kill()
    study.acquire()
    study.release()


def test_a_newer_format_is_refused_and_a_damaged_manifest_named(study):
    """A study of another version is not misread."""
    edit(study.manifest_path, lambda manifest: manifest.update(format=FORMAT + 1))
    with pytest.raises(NewerStudyError):
        study.manifest()
    study.manifest_path.write_text("{")
    with pytest.raises(StudyError, match="damaged"):
        study.manifest()
    study.manifest_path.unlink()
    with pytest.raises(StudyError, match="is no study"):
        study.manifest()


def test_a_last_line_cut_short_is_left_out_and_a_damaged_one_named(study):
    """A kill loses the line being written; damage in the middle is not passed over."""
    run = study.run("a/b/00")
    run.prepare(Spec())
    run.steps_path.write_text('{"phase":"start"}\n{"phase":"setup"}\n{"phase":"st')
    assert [sample.phase for sample in run.samples()] == ["start", "setup"]
    run.steps_path.write_text('{"phase":"start"}\n{"pha\n{"phase":"setup"}\n')
    with pytest.raises(DamagedError) as raised:
        run.samples()
    assert raised.value.line == 2


def test_an_interrupted_attempt_is_moved_aside(study):
    """Preparing a run again keeps what the attempt before had measured."""
    run = study.run("a/b/00")
    for text in ("first", "second", "third"):
        run.prepare(Spec())
        run.steps_path.write_text(text)
    kept = sorted(path.name for path in run.path.parent.iterdir())
    assert kept == ["00", "00.cut-1", "00.cut-2"]
    assert (run.path.parent / "00.cut-1" / "steps.jsonl").read_text() == "first"


def test_a_failed_write_leaves_the_old_file(study, monkeypatch):
    """A record is replaced in one rename: a full disk leaves what was there."""
    before = study.manifest_path.read_text()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StudyError, match=r"free some room, then go on with --resume"):
        study.write_manifest(replace(MANIFEST, created="today"))
    assert study.manifest_path.read_text() == before
    assert study.manifest() == (MANIFEST, [])


def test_a_read_only_folder_says_what_to_do(tmp_path):
    """A folder that cannot be made is an error with a way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot write in"):
        StudyFolder(tmp_path / "file" / "study").create(MANIFEST, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop its rights")
@pytest.mark.parametrize("readable", [True, False])
def test_a_folder_without_permission_says_so(readable):
    """Writing as somebody else ends in the same sentence, not in a traceback."""
    code = (
        "import os, sys; from listen2lab.study.folder import StudyFolder\n"
        "os.setuid(65534)\n"
        "try: StudyFolder(sys.argv[1]).begin()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others anyway
        Path(folder).chmod(0o755 if readable else 0o700)
        done = subprocess.run(
            [sys.executable, "-c", code, f"{folder}/study"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout.startswith("StudyError")
    assert "make the folder writable" in done.stdout


def test_a_study_that_could_not_be_made_is_not_held(tmp_path, monkeypatch):
    """The lock is let go, so that a second try says what is wrong and not that another writes."""

    def full(*_args):
        raise OSError(28, "No space left on device")

    folder = StudyFolder(tmp_path / "study")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StudyError, match="free some room"):
            folder.create(MANIFEST, [])
    other = StudyFolder(tmp_path / "study")
    other.acquire()
    other.release()
