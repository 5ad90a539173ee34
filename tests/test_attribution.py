"""Who holds it: owners, fingerprints, the command and the picture."""

from __future__ import annotations

import json
import re
import shutil
import textwrap

import msgspec
import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import listen2lab as lab
from listen2lab.account.attribute import attribute, grown, held, leaks, survivors
from listen2lab.account.categories import account, categories
from listen2lab.account.flamegraph import flame_graph, links, temporal_graph
from listen2lab.account.owners import (
    SMALL_STACKS,
    arena_note,
    fingerprints,
    growth,
    holders,
    new_since,
)
from listen2lab.account.stacks import BY, read_rules
from listen2lab.account.traces import trace_of, traced_run
from listen2lab.cli import attribute as part
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import catalog
from listen2lab.facade import Study
from listen2lab.notice import Notice
from listen2lab.probes.tracing import reduce_capture
from listen2lab.report.account import plot_account, section
from listen2lab.report.text.account import caption
from listen2lab.study.data import open_study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import Plan
from listen2lab.study.records import Manifest, Spec
from listen2lab.study.trace_records import Curve, Moment, Stack, Trace
from listen2lab.units import MIB

WORKLOAD = """
    held = []
    def setup(): held.append(bytearray(20 << 20))
    def step(i): held.append(bytearray(b"1" * (4 << 20)))
    def size(i): return i + 1.0
    def teardown(): del held[:-1]
"""

ARENA = ["operator new(unsigned long)", "onnxruntime::BFCArena::AllocateRawInternal"]
KERNEL = ["onnxruntime::ExecuteKernel", "onnxruntime::InferenceSession::Run", "<unknown>"]
RELU = "onnxruntime::ElementWiseKernel<onnxruntime::functors::LeakyRelu<float> >::Compute"
PYTHON = [("_generate", "/x/listen2lab/pipeline/synthesis.py", 212)]


def trace(*stacks, rest=0):
    """Return a trace of one moment, with a MiB a stack."""
    frames, tables = [], []
    for names in stacks:
        own = [each if isinstance(each, tuple) else (each, "", 0) for each in names]
        at = range(len(frames), len(frames) + len(own))
        frames += own
        lines = tuple(k for k, each in zip(at, own, strict=True) if each[1].endswith(".py"))
        tables.append(Stack(tuple(at), lines))
    rows = tuple((number, MIB, 1) for number in range(len(tables)))
    total = len(rows) * MIB + rest
    names = ("peak", "step 0", "step 5", "not-freed")
    return Trace(
        allocations=len(rows),
        peak=total,
        curve=Curve(),
        frames=tuple(frames),
        stacks=tuple(tables),
        moments=tuple(Moment(name, total, rows) for name in names),
    )


def copied(study, tmp_path):
    """Return a copy of a study, and the folder of its traced run."""
    copy = shutil.copytree(study.folder.path, tmp_path / "copy")
    return copy, copy / "runs" / "own" / "this" / "traced"


def codes(found):
    """Return the codes of what an attribution notes."""
    return {note.code for note in found.notes}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of a workload of one's own, with a traced run."""
    folder = tmp_path_factory.mktemp("attribution")
    file = folder / "own.py"
    file.write_text(textwrap.dedent(WORKLOAD))
    return lab.watch(file, steps=6, warmup=1, repeats=1, trace=True, out=folder / "study").data


@pytest.fixture
def command():
    """Return a function that runs ``attribute``."""
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(part.attribute)

    def run(*arguments):
        return CliRunner().invoke(app, ["attribute", *map(str, arguments)])

    return run


@pytest.mark.parametrize(
    ("names", "owner"),
    [
        ([*ARENA, "onnxruntime::Conv<float>::Compute", *KERNEL], "ONNX Runtime: arena"),
        (["malloc", "onnxruntime::Conv<float>::Compute", *KERNEL], "ONNX Runtime: operator Conv"),
        (["malloc", "onnxruntime::SliceBase::Compute", "onnxruntime::Slice10::Compute", *KERNEL],
         "ONNX Runtime: operator Slice"),
        (["malloc", RELU, *KERNEL], "ONNX Runtime: operator LeakyRelu"),
        (["malloc", "onnxruntime::utils::TensorProtoToOrtValue", "OrtApis::CreateSession"],
         "ONNX Runtime: weights"),
        (["malloc", "sherpa_onnx::OfflineTts::Generate"], "sherpa-onnx"),
        (["malloc", "espeak_Synth"], "espeak-ng"),
        (["default_malloc", "PyDataMem_UserNEW", "array_astype"], "numpy"),
        (["malloc", "_PyBytes_FromSize", *PYTHON], "pipeline: synthesis"),
        (["mmap", "new_arena", "_PyObject_Malloc"], "interpreter: arenas of small objects"),
        (["malloc", ("f", "/p/site-packages/mine/a.py", 3)], "mine"),
        (["malloc", "_PyDict_New"], "interpreter"),
        (["<unknown>"], "(no name)"),
    ],
)  # fmt: skip
def test_frames_name_an_owner(names, owner):
    """Each kind of stack goes to the owner that the table names first."""
    assert holders(trace(names), by="owner")["owner"].tolist() == [owner]


def test_a_rule_of_one_s_own_comes_first(tmp_path):
    """The table is extended by a file, and a broken one is refused."""
    own = tmp_path / "owners.json"
    own.write_text(json.dumps([{"owner": "my part", "file": "synthesis"}]))
    rules = read_rules(own)
    table = holders(trace(["malloc", *PYTHON]), rules=rules)
    assert table["owner"].tolist() == ["my part"]
    for text in ("{", '[{"nobody": 1}]', '[{"owner": "x", "file": "("}]'):
        own.write_text(text)
        with pytest.raises(InputError, match="no table of owners"):
            read_rules(own)


def test_every_grouping_adds_up_and_tells_nothing_of_the_machine():
    """Rows and small stacks sum to the moment's heap; paths begin with the package."""
    heap = trace(["malloc", *PYTHON], [*ARENA, *KERNEL], ["<unknown>"], rest=5 * MIB)
    for by in BY:
        table = holders(heap, by=by)
        assert table["bytes"].sum() == 8 * MIB
        assert not table[by].str.contains("/x/").any()
    assert "listen2lab/pipeline/synthesis.py:212 _generate" in set(holders(heap, by="line")["line"])


def test_what_grew_between_two_moments_is_ranked():
    """Largest growth first, then what shrank, small stacks last; the bytes add up."""
    heap = trace(["malloc", *PYTHON], ["malloc", "espeak_Synth"], ["malloc", "knf::make"])
    now = Moment("step 9", 7 * MIB, ((0, 4 * MIB, 2), (1, 0, 0)))
    heap = msgspec.structs.replace(heap, moments=(*heap.moments, now))
    table = growth(heap, "step 3", "step 9")
    assert table["owner"].tolist() == ["pipeline: synthesis", "espeak-ng", SMALL_STACKS]
    assert table["bytes"].tolist() == [3 * MIB, -MIB, 2 * MIB]
    assert table["blocks"].tolist() == [1, -1, 0]
    assert table["share"].tolist() == [0.6, -0.2, 0.4]
    assert growth(heap, "step 0", "step 5").empty
    with pytest.raises(UnknownNameError, match="did you mean 'peak'"):
        growth(heap, "peek", "step 5")


def test_the_arena_is_said_to_hide_the_operators():
    """With the arena on it is noted who is charged; without it nothing is."""
    note = arena_note(trace([*ARENA, *KERNEL], ["malloc", *PYTHON]))
    assert note == Notice("arena-hides-operators", {"hidden": MIB, "heap": 2 * MIB})
    assert arena_note(trace(["malloc", *PYTHON])) is None


def test_a_fingerprint_outlives_lines_and_builds_and_marks_what_is_new():
    """Another line number is the same leak; another function is a new one."""
    moved = [("_generate", "/elsewhere/listen2lab/pipeline/synthesis.py", 999)]
    then = fingerprints(trace(["malloc", *PYTHON]))
    now = new_since(fingerprints(trace(["malloc", *moved], ["malloc", "leak_here"])), then)
    assert now.set_index("new")["fingerprint"].get(False) == then["fingerprint"].iloc[0]
    assert sorted(now["new"]) == [False, True]


def test_unknown_moments_and_groupings_are_refused_with_a_hint():
    """A step that was not kept stands for the one before; other names have a suggestion."""
    heap = trace(["malloc"])
    assert holders(heap, "step 3")["bytes"].sum() == MIB
    with pytest.raises(UnknownNameError, match="did you mean 'peak'"):
        holders(heap, "peek")
    with pytest.raises(UnknownNameError, match="did you mean 'owner'"):
        holders(heap, by="owners")


@settings(deadline=None)  # the first one waits for pandas
@given(st.lists(st.lists(st.text(max_size=30), max_size=6), max_size=5))
def test_any_frames_have_an_owner(stacks):
    """Whatever a library calls its functions, every byte has a row in every grouping."""
    heap = trace(*stacks)
    for by in BY:
        assert holders(heap, by=by)["bytes"].sum() == len(stacks) * MIB


def test_a_step_is_taken_apart_and_the_trace_says_who(study):
    """The account of the last step, and the lines that allocated at the peak."""
    found = attribute(study, by="line")
    assert found.parts["bytes"].sum() == found.resident
    assert found.parts["category"].iloc[-1] == "unaccounted"
    assert "own.py:4 step" in set(found.who["line"])
    assert found.who["bytes"].sum() >= 44 * MIB
    assert json.dumps(found.to_json())
    early = attribute(study, at=1, by="line")
    assert early.moment == "step 1"
    assert early.resident < found.resident - 15 * MIB
    assert early.who["bytes"].sum() < found.who["bytes"].sum() - 15 * MIB


def test_each_phase_is_a_moment_of_the_trace(study):
    """Setup, steps, the end, and what was not freed."""
    heap = study.trace("own", "this")
    names = [moment.name for moment in heap.moments]
    assert {"peak", "setup", "step 0", "step 6", "end", "released", "not-freed"} <= set(names)
    assert holders(heap, "setup")["bytes"].sum() == pytest.approx(20 * MIB, rel=0.05)


def test_what_was_not_freed_has_a_fingerprint_and_is_known_again(study):
    """The one block that the teardown keeps; against the same study nothing is new."""
    lost = leaks(study, "own", "this", since=study)
    assert lost["bytes"].iloc[0] == pytest.approx(4 * MIB, rel=0.05)
    assert not lost["new"].any()


def test_the_path_to_what_python_holds(study):
    """By holder: the list of the workload's module."""
    rows = held(study, "own", "this")
    assert rows["holder"].iloc[0] == "own[...][...]"
    assert rows["example"].iloc[0] == "own['held'][0]"


def test_what_grew_and_what_the_teardown_left(study, tmp_path):
    """Types by phase; where a picture was drawn, its place in the study, also in the report."""
    where = ("own", "this")
    assert "setup -> end" in set(grown(study, *where)["between"])
    assert survivors(study, *where).empty
    folder, traced = copied(study, tmp_path)
    path = traced / "objects.json"
    left = [
        {"type": "x.Y", "objects": 2, "chain": "x -> Y", "picture": "kept-0.svg"},
        {"type": "x.Z", "objects": 1, "chain": "x -> Z", "picture": None},
    ]
    path.write_text(json.dumps({**json.loads(path.read_text()), "survivors": left}))
    copy = Study(folder)
    pictures = survivors(copy.data, *where)["picture"].tolist()
    assert pictures == ["runs/own/this/traced/kept-0.svg", ""]
    page = copy.report(include_private=True).read_text()
    assert f'href="{pictures[0]}"' in page
    assert "1 <code>x.Z</code> were there after the teardown: x -&gt; Z." in page
    assert "x.Z" not in copy.report().read_text()


def test_the_command_prints_and_answers_in_json(study, command):
    """Both forms hold the same; a step that is not there is an error with a hint."""
    said = command(study.folder.path, "--by", "line")
    assert "native, in use" in said.stdout
    assert "own.py:4 step" in said.stdout
    answer = json.loads(command(study.folder.path, "--at", "2", "--json").stdout)
    assert answer["step"] == 2
    assert sum(part["bytes"] for part in answer["parts"]) == answer["resident"]
    wrong = command(study.folder.path, "--at", "99")
    assert isinstance(wrong.exception, InputError)
    assert isinstance(command(study.folder.path, "--flame", "x").exception, InputError)


def test_flame_graphs_are_pages_that_need_no_network(study, command):
    """Peak, by time and of a range of steps; the report finds them."""
    page = flame_graph(study, "own", "this")
    by_time = temporal_graph(study, "own", "this")
    assert "flame-3-4.html" in command(study.folder.path, "--flame", "3-4").stdout
    for each in (page, by_time):
        assert not re.search(r"<(script|link)[^>]+(src|href)=", each.read_text())
    assert [what for what, _ in links(study, "own", "this")] == ["3-4", "time", "peak"]
    with pytest.raises(UnknownNameError):
        flame_graph(study, "own", "this", (3, 99))


def test_without_a_trace_it_is_said(study, tmp_path):
    """No capture: the account stands, and a note says what is not known."""
    copy, traced = copied(study, tmp_path)
    shutil.rmtree(traced)
    found = attribute(open_study(copy))
    assert found.who.empty
    assert found.notes[-1].code == "not-traced-workload"
    with pytest.raises(StudyError, match="no capture"):
        flame_graph(open_study(copy), "own", "this")


def test_a_damaged_trace_is_named_and_left_out(study, tmp_path):
    """Cut or edited by hand: the account stands, no traceback."""
    copy, traced = copied(study, tmp_path)
    whole = (traced / "heap.json").read_text()
    for content in (whole[:1000], '{"moments": [{"name": "peak"}]}'):
        (traced / "heap.json").write_text(content)
        found = attribute(open_study(copy))
        assert found.who.empty
        assert len(found.parts)
        assert "trace-damaged" in codes(found)
        assert leaks(open_study(copy), "own", "this").empty
    (traced / "objects.json").write_text("{")
    assert held(open_study(copy), "own", "this").empty


def test_a_capture_of_a_killed_run_is_read_as_far_as_it_goes(study, tmp_path):
    """Cut short and without a reduced trace, it still says who; broken, it says that."""
    copy, traced = copied(study, tmp_path)
    (traced / "heap.json").unlink()
    capture = traced / "heap.bin"
    opened = open_study(copy)
    found = attribute(opened, by="line", reduce=reduce_capture)
    assert "own.py:4 step" in set(found.who["line"])
    assert "capture-read-now" in codes(found)
    assert "not-traced-workload" in codes(attribute(opened))
    assert leaks(opened, "own", "this", reduce=reduce_capture).empty
    capture.write_bytes(capture.read_bytes()[: capture.stat().st_size // 2])
    assert attribute(opened, reduce=reduce_capture).resident == found.resident
    capture.write_bytes(b"no capture")
    assert "capture-unreadable" in codes(attribute(opened, reduce=reduce_capture))


def test_the_picture_and_its_sentence(study):
    """Bands under the line for a workload without an engine; a section for the report."""
    figure = plot_account(study, "own", "this")
    upper, lower = figure.axes
    assert upper.get_ylabel() == "MiB resident"
    texts = " ".join(text.get_text() for text in upper.texts)
    assert "native, in use" in texts
    assert "resident" in texts
    assert lower.get_ylabel().startswith("input")
    (item,) = section(study, "own", ["this"], include_private=True)
    assert "unaccounted at any step" in item["caption"]
    assert "<svg" in item["svg"]
    assert sum(row["mib"] for row in item["rows"]) == pytest.approx(
        account(study.samples.query("not traced"))["rss"].iloc[-1] / MIB, rel=0.01
    )
    assert item["held"]


def test_a_condition_without_a_step_has_no_picture(study):
    """Pictures of a study that has only begun leave out what was not measured."""
    assert plot_account(study, "own", "another") is None


def test_the_caption_names_the_step_that_the_engine_holds_memory_for():
    """Held bytes, the step whose sentence was longest, and what the last step needed."""
    common = {"in_use": 0, "kept": 0, "component.audio_cache": 0}
    rows = [
        {"phase": "import", "rss": 40 * MIB, "anonymous": 10 * MIB},
        {"phase": "setup", "rss": 90 * MIB, "anonymous": 60 * MIB},
        {"phase": "step", "step": 0, "rss": 2090 * MIB, "anonymous": 2060 * MIB, "size": 100.0},
        {"phase": "step", "step": 1, "rss": 2090 * MIB, "anonymous": 2060 * MIB, "size": 10.0},
    ]
    for row in rows:
        row.update(common)
        row["in_use"] = row["anonymous"] - 10 * MIB
    table = account(pd.DataFrame(rows))
    assert table[categories(table)].sum(axis=1).tolist() == [2090 * MIB] * 2
    sentence = caption(table)
    assert "1,800 of 2,090 MiB (86 %) are held by the engine's session for step 0" in sentence
    assert "the last step needed 200 MiB" in sentence


def test_a_condition_traced_elsewhere_is_found(tmp_path):
    """The trace of the same condition in another experiment tells of this one as well."""
    plan = Plan((catalog.experiment("baseline"), catalog.experiment("cache-size")))
    folder = StudyFolder(tmp_path / "study")
    folder.create(Manifest(plan=plan), [])
    folder.release()
    study = open_study(folder.path)
    assert traced_run(study, "cache-size", "2").key == "baseline/app/traced"
    assert traced_run(study, "cache-size", "1").key == "cache-size/1/traced"
    run = folder.run("baseline/app/traced")
    run.prepare(Spec(traced=True))
    noted = Notice("nothing-allocated")
    kept = Trace(allocations=0, peak=0, curve=Curve(), notes=(noted,))
    (run.path / "heap.json").write_bytes(msgspec.json.encode(kept))
    elsewhere = Notice("traced-elsewhere", {"run": "baseline/app/traced"})
    assert trace_of(study, "cache-size", "2") == (kept, [elsewhere, noted])
    missing = Notice("not-traced", {"experiment": "cache-size", "condition": "1"})
    assert trace_of(study, "cache-size", "1") == (None, [missing])
