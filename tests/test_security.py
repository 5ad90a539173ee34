"""What comes from somebody else is data: none of it is executed, nothing outside is touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import platformdirs
import pytest
from msgspec.structs import replace
from small_studies import edit, edit_lines, holding, page

import listen2lab as lab
from listen2lab import api
from listen2lab.comparison.merge import merge
from listen2lab.comparison.rerun import rerun
from listen2lab.errors import DamagedError, InputError, StudyError
from listen2lab.experiment import run_study
from listen2lab.experiment.runner import execute
from listen2lab.experiment.trust import is_own, marked
from listen2lab.findings.summary import summary_of
from listen2lab.study.data import open_study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.payload import read_payload
from listen2lab.study.plan import Plan
from listen2lab.study.redact import PublicNames, Redaction
from listen2lab.study.trace_records import Curve, Objects, Trace


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
        rerun(report, out=tmp_path / "again")
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
        rerun(own, out=tmp_path / "again")
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
    rerun(small, out=tmp_path / "again", tell=said.append)
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


# -- nothing outside is touched or read


@pytest.fixture
def outside(tmp_path):
    """Return a folder outside of any study, with a file that must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "key").write_text("-----BEGIN")
    return folder


def untouched(outside):
    """Tell whether nothing was written there."""
    return [(p.name, p.read_text()) for p in outside.iterdir()] == [("key", "-----BEGIN")]


@pytest.mark.parametrize(
    "name", ["report.html", "summary.json", "summary.md", "ISSUE.md", "device.json", "lock"]
)
def test_a_linked_file_leads_nothing_outside(own, outside, name):
    """What is written replaces the link; a lock that is one is refused."""
    (own / name).unlink(missing_ok=True)
    (own / name).symlink_to(outside / "key")
    folder = open_study(own).folder
    if name == "lock":
        with pytest.raises(StudyError, match=r"cannot write in|no plain file"):
            folder.acquire()
    else:
        folder.write(name, "new")
        assert not (own / name).is_symlink()
    assert untouched(outside)


@pytest.mark.parametrize("name", ["pictures", "notebooks", "runs", "runs/holds", "runs/holds/this"])
def test_a_linked_folder_is_refused(own, outside, name):
    """Neither pictures nor runs are written through it, and no run is read through it."""
    moved = outside.parent / "moved"
    if (own / name).exists():
        (own / name).rename(moved)
    (own / name).symlink_to(moved if moved.exists() else outside)
    study = open_study(own)
    with pytest.raises(StudyError, match="cannot write in"):
        study.folder.write(f"{name}/x.svg", "new")
    if name.startswith("runs"):
        assert {x.code for x in study.damage} == {"run-damaged"}
        assert "is a link" in study.damage[0].values["message"]
        with pytest.raises(StudyError, match="cannot write in"):
            study.folder.run("holds/this/00").prepare(None)
        assert not list(moved.rglob("*.cut-*"))
    assert untouched(outside)


@pytest.mark.parametrize("name", ["result.json", "steps.jsonl", "spec.json"])
@pytest.mark.parametrize("kind", ["link", "fifo", "zero", "large"])
def test_odd_files_are_named_and_neither_hang_nor_fill_memory(own, outside, name, kind):
    """A link, a pipe without a writer, an endless device, a file of a terabyte."""
    path = own / "runs/holds/this/00" / name
    path.unlink()
    if kind == "link":
        path.symlink_to(outside / "key")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    study = open_study(own)
    (notice,) = study.damage
    assert (notice.code, notice.values["file"]) == ("run-damaged", name)
    assert list(study.runs["outcome"]).count("missing") == 1


def test_odd_manifests_are_errors(own, outside):
    """And a report that is no plain file is none."""
    path = own / "manifest.json"
    path.unlink()
    path.symlink_to(outside / "key")
    with pytest.raises(StudyError, match="is a link"):
        open_study(own)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StudyError, match="no plain file"):
        open_study(own)
    with pytest.raises(StudyError, match="no plain file"):
        read_payload(path)
    with pytest.raises(StudyError, match="no plain file"):
        read_payload(Path("/dev/zero"))


def test_merge_copies_nothing_that_a_link_points_to(own, small, outside, tmp_path):
    """A key from the home folder would be shared."""
    item = small.plan.experiments[0]
    edit(own / "manifest.json", lambda m: m["plan"].update(seed=7))
    for path in own.glob("runs/*/*/*/steps.jsonl"):
        edit_lines(path, lambda line: line.update(t=line["t"] + 1))
    (own / "runs" / item.name / "this/00/events.log").symlink_to(outside / "key")
    with pytest.raises(StudyError, match="is a link"):
        merge(small, own, out=tmp_path / "merged")
    copied = [p for p in (tmp_path / "merged").rglob("*") if p.is_file()]
    assert not any("BEGIN" in p.read_text() for p in copied)


def test_the_digest_of_a_study_is_as_it_was_stored(own):
    """Numbers that were stored stay believed: links and all are no part of it."""
    before = open_study(own).folder.digest()
    (own / "runs/holds/this/00/events.log").write_text("more")
    assert open_study(own).folder.digest() == before
    (own / "runs/holds/this/00/result.json").write_text("{}")
    assert open_study(own).folder.digest() != before


# -- no value is odd enough to make a study unreadable


@pytest.mark.parametrize(
    ("code", "outcome", "said"),
    [
        ("def components(): return {'a': float('inf'), 'b': 10**400, 'c': 2.5}", "complete", None),
        ("def size(i): return [1.0, float('nan'), float('inf'), 10**400][i % 4]", "complete", None),
        ("def step(i): return {'x': '\\ud800', 'y': 1e999, 'z': [object()] * 2}", "complete", None),
        ("def components(): return {'\\ud800' * 9000: 1}", "complete", None),
        ("def components(): return {'cache': 'much'}", "crashed", "components()['cache'] is str"),
        ("def size(i): return 'long'", "crashed", "size(0) is str"),
        ("def step(i): raise ValueError('x' * (50 << 20))", "crashed", "characters)"),
        ("def step(i): raise ValueError('half \\ud800')", "crashed", "half \\ud800"),
        (
            "class E(Exception):\n    def __str__(self): raise KeyError\ndef step(i): raise E",
            "crashed",
            "KeyError",
        ),
        (
            "import sys\ndef step(i): sys.stdout.close(); sys.stderr.close(); 1 / 0",
            "crashed",
            "zero",
        ),
    ],
)
def test_whatever_a_workload_says_its_run_can_be_read(prepared, code, outcome, said):
    """What is written is checked where it is written: the run keeps its result and its lines."""
    run = prepared(f"def setup(): pass\ndef step(i): pass\n{code}\n")
    result = execute(run)
    assert result.outcome == outcome
    assert run.result() == result
    assert run.samples()
    assert run.steps_path.stat().st_size < 200_000
    if said is not None:
        assert said in result.message


@pytest.mark.parametrize("name", ["spec.json", "result.json", "steps.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        b'{"workload":{"a":' + b"[" * 100_000 + b"\n",
        b"[]\n", b"null\n", b"7\n", b'""\n', b"{}\n", b'{"phase":"\\ud800"}\n', b"\xff\xfe\n",
        b'{"phase":"step"}\n', b'{"phase":"step","step":1e999}\n', b'{"outcome":"complete"}\n',
        b'{"phase":"end","components":{"a":"b"}}\n', b'{"t":1}\n', b"[],\n" * 3_000_000,
    ],
)  # fmt: skip
def test_an_odd_file_costs_its_run_alone(own, name, content):
    """What is readable is shown, what is not is named."""
    (own / "runs/holds/this/00" / name).write_bytes(content)
    study = open_study(own)
    assert list(study.runs["outcome"]).count("complete") >= 1
    readable = {"spec.json": (b"{}\n",), "result.json": (b'{"outcome":"complete"}\n',)}
    if content not in readable.get(name, ()):
        assert [notice.code for notice in study.damage] in (
            ["run-damaged"], ["not-as-planned"], ["complete-without-steps"],
        )  # fmt: skip
    assert len(study.samples)


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("python", "x" * 2_000_000),
        ("machines", {f"m{k}": {} for k in range(100_000)}),
        ("hypotheses", {f"h{k}": {"claim": "c"} for k in range(30_000)}),
        ("merged", {"parts": [{"name": "x"}] * 30_000}),
    ],
)
def test_a_fact_of_a_megabyte_is_none(own, fact, value):
    """A manifest is gone through many times: what is too large in it is named, and left out."""
    edit(own / "manifest.json", lambda m: m.update({fact: value}))
    study = open_study(own)
    assert [(x.code, x.values["field"]) for x in study.damage] == [("fact-unknown", fact)]
    assert len(msgspec.json.encode(study.manifest)) < 100_000


def test_a_long_name_is_looked_through_once(small):
    """Users and hosts are looked for in every string, in a time that grows with it."""
    manifest = replace(small.manifest, python="x." * 500_000, machines={
        f"host{k}": small.manifest.setup for k in range(300)})  # fmt: skip
    began = time.process_time()
    Redaction(manifest, PublicNames()).record(manifest)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("name", ["manifest.json", "paragraphs.json", "device.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b"null", b"\xff", b'{"plan":{}}'])
def test_an_odd_file_beside_the_runs_is_an_error_or_left_out(own, name, content):
    """Never a traceback; what cannot be done is a sentence."""
    (own / "summary.json").write_bytes(content)
    (own / name).write_bytes(content)
    try:
        study = open_study(own)
        lab.Study(study).report()
        study.folder.paragraphs()
    except StudyError:
        assert name != "device.json"


@pytest.mark.parametrize(
    "page_of",
    [
        lambda n: b"<script " * (n // 8),
        lambda n: b"<script id=" * (n // 11),
        lambda n: b'listen2lab-study"' * (n // 17),
        lambda n: b'<script id="listen2lab-study"' * (n // 29),
        lambda n: b'<script id="listen2lab-study">{' + b'"a":1,' * (n // 6),
        lambda n: b'<script id="listen2lab-study">{"manifest":' + b"[" * n,
        lambda n: b'<script id="listen2lab-study">{"manifest":{"plan":' + b"[]," * (n // 3),
        lambda n: b'<script id="listen2lab-study">' + b"{" * n,
        lambda n: b'<script id="listen2lab-study">{"format":' + b"9" * n,
        lambda n: b'<script id="listen2lab-study">{' + b" " * n,
    ],
)
def test_a_page_is_looked_through_in_a_time_that_grows_with_it(tmp_path, page_of):
    """Whatever stands in 10 MB of it, it is refused within a second or two."""
    path = tmp_path / "r.html"
    path.write_bytes(page_of(10_000_000))
    began = time.process_time()
    with pytest.raises(StudyError):
        read_payload(path)
    assert time.process_time() - began < 3


# -- nothing is lost


@pytest.mark.parametrize("left", [["lock"], ["lock", "paragraphs.json"]])
def test_a_folder_that_was_killed_before_its_manifest_is_taken_up(small, tmp_path, left):
    """Neither a kill nor a full disk between the first files blocks it."""
    folder = StudyFolder(tmp_path / "new")
    folder.path.mkdir()
    for name in (*left, ".paragraphs.json.0123.tmp"):
        (folder.path / name).write_text("[")
    folder.create(small.manifest, ["one"])
    folder.release()
    assert open_study(folder.path).folder.paragraphs() == ["one"]


def test_a_run_that_was_killed_from_outside_is_repeated(own):
    """It says nothing of the workload; what the lab kills at a limit has another outcome."""
    path = own / "runs/holds/this/00/result.json"
    edit(path, lambda r: r.update(outcome="crashed", signal="SIGKILL", why=None))
    said = []
    run_study.resume(own, notify=said.append)
    assert [x.code for x in said] == ["run-killed", "will-run"]
    assert set(open_study(own).runs["outcome"]) == {"complete"}
    edit(path, lambda r: r.update(outcome="killed", signal="SIGKILL"))
    run_study.resume(own, notify=said.append)
    assert len(said) == 2


@pytest.mark.parametrize(
    ("code", "outcome", "why"),
    [
        ("def teardown(): os._exit(0)", "crashed", "ended-early"),
        ("def step(i): [os.close(k) for k in (0, 1, 2) if i == 1]", "complete", None),
        ("def step(i): os.closerange(0, 500)", "crashed", "status"),
    ],
)
def test_an_end_that_is_odd_is_said(prepared, code, outcome, why):
    """A run that ends before its last line is not complete; closed files are its own doing."""
    run = prepared(f"import os\ndef setup(): pass\ndef step(i): pass\n{code}\n")
    result = execute(run)
    assert result.outcome == outcome
    assert (result.why and result.why.code) == why
    assert run.samples()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells")
def test_processes_that_left_the_session_end_with_the_run(prepared):
    """They would go on beside later runs, and hold what those measure."""
    run = prepared("""
        import subprocess
        def setup(): subprocess.Popen(["sleep", "123"], start_new_session=True)
        def step(i): pass
    """)
    result = execute(run)
    assert (result.outcome, result.left_behind) == ("complete", 1)


def test_a_folder_that_cannot_be_written_says_so(own, monkeypatch):
    """A flame graph's too: it goes the same way."""

    def full(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("listen2lab.study.files.write", full)
    with pytest.raises(StudyError, match="make the folder writable"):
        open_study(own).folder.run("holds/this/00").write("flame.html", b"")


def test_what_a_worker_sends_is_checked_before_it_is_written(own, tmp_path):
    """A payload that is no run's leaves no folder behind, and nothing outside of it."""
    there = open_study(own).folder.run("holds/this/00")
    good = there.pack()
    folder = StudyFolder(tmp_path / "new")
    folder.path.mkdir()
    for bad in (
        None, 7, [], {}, {"result.json": b"{}"}, {**good, "result.json": b"["},
        {**good, "steps.jsonl": b"7\n"}, {**good, "spec.json": b"[" * 99_999},
        {**good, "../../x": b""}, {**good, "a": "text"}, {**good, 7: b""},
    ):  # fmt: skip
        with pytest.raises((msgspec.DecodeError, DamagedError)):
            folder.run("holds/this/00").unpack(bad)
    assert not list(folder.path.iterdir())
    folder.run("holds/this/00").unpack(good)
    assert folder.run("holds/this/00").content_hash() == there.content_hash()


def test_an_error_prints_no_control_characters(own):
    """A name from somebody else must not clear a terminal, or pass for another line of it."""
    edit(own / "manifest.json", lambda m: m["inputs"].update(workload="/x/\x1b[2Jholds\u202e.py"))
    cut(own)
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "run", "--resume", own],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--workload" in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.stderr)


# -- what is too large is refused before it takes memory of its own


@pytest.mark.parametrize("about", ["facts", "plan"])
def test_a_manifest_that_is_too_large_is_refused(own, about):
    """By its values, before each becomes an object; and by the bytes of its plan."""
    manifest = json.loads((own / "manifest.json").read_text())
    if about == "facts":
        manifest["machines"] = {f"m{k}": {} for k in range(300_000)}
    else:
        manifest["plan"]["experiments"][0]["question"] = "q" * (9 << 20)
    (own / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StudyError, match="500,000 values" if about == "facts" else "8 MiB"):
        open_study(own)


def test_how_a_run_ended_is_a_small_file(own):
    """A message of many megabytes is not handed on to every page."""
    (result,) = own.glob("runs/*/this/01/result.json")
    result.write_text('{"outcome": "killed", "message": "' + "x" * (2 << 20) + '"}')
    study = open_study(own)
    assert list(study.runs["outcome"]) == ["complete", "missing"]
    assert [notice.code for notice in study.damage] == ["run-damaged"]


def test_only_so_many_names_become_columns(own):
    """Neither time nor memory grows with the names that samples say."""
    (steps,) = own.glob("runs/*/this/00/steps.jsonl")
    steps.write_text("".join(
        f'{{"phase":"step","step":{k},"components":{{"c{k}":1,"d{k}":2,"all":{k}}}}}\n'
        for k in range(2_000)))  # fmt: skip
    samples = open_study(own).samples
    assert sum(name.startswith(("component.", "fact.")) for name in samples) <= 300
    assert samples["component.all"].max() == 1_999
    assert samples["component.d7"].sum() == 2


def test_a_curve_has_as_many_moments_as_bytes():
    """One that has not cannot be drawn."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"epoch_s": [1, 2], "heap": [3], "rss": [4, 5]}', type=Curve)


@pytest.mark.parametrize(
    ("record", "content"),
    [
        (Curve, b'{"epoch_s": [1], "heap": [%d], "rss": [4]}'),
        (Trace, b'{"allocations": 1, "peak": %d, "curve": {}}'),
        (Objects, b'{"buffers_in_all": %d}'),
    ],
)
def test_a_number_that_no_table_holds_is_no_trace_s(record, content):
    """It would be one in a table of objects, which nothing can be drawn of."""
    msgspec.json.decode(content % (2**63 - 1), type=record)
    with pytest.raises(msgspec.ValidationError, match="9223372036854775807"):
        msgspec.json.decode(content % 2**63, type=record)
