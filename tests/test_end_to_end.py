"""The lab as people use it: commands, the real engine, the tiny voice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_studies import plan_of

import listen2lab as lab
from listen2lab.account.owners import holders
from listen2lab.study.folder import StudyFolder
from listen2lab.study.records import Manifest, Spec

pytestmark = pytest.mark.slow  # runs of their own processes


SHORT = ("--quick", "--steps", "12", "--repeats", "1", "--trace", "none")


def command(*arguments, **options):
    """Run ``listen2lab`` and return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "listen2lab", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of two conditions with a heap trace each."""
    folder = tmp_path_factory.mktemp("lab") / "study"
    return lab.run("cache-size", levels=[1, None], quick=True, repeats=2, out=folder)


def test_every_run_is_complete_and_in_a_process_of_its_own(study):
    """Conditions share nothing: each run has its own process."""
    assert list(study.runs["outcome"]) == ["complete"] * 6
    pids = set()
    for path in (study.folder.path / "runs").rglob("steps.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        pids |= {line["pid"] for line in lines if line["phase"] == "meter"}
    assert len(pids) == 6
    assert os.getpid() not in pids


def test_the_cache_holds_what_its_knob_says(study):
    """One paragraph's audio with a window of 1; all of it when unbounded."""
    steps = study.samples.query("phase == 'step' and not traced")
    held = steps.groupby("condition")["component.audio_cache"].max()
    # 13 short paragraphs and one of 35 s against the largest one or two of them
    assert held["unbounded"] > 1.5 * held["1"]
    growing = steps[steps["condition"] == "unbounded"].groupby("repeat")["component.audio_cache"]
    assert growing.apply(lambda values: values.is_monotonic_increasing).all()


def test_the_engine_gives_its_memory_back_when_its_session_goes(study):
    """What the long paragraph left goes with the teardown: held, not lost."""
    rss = study.samples.query("not traced").groupby("phase")["rss"].mean() / 2**20
    assert rss["end"] - rss["setup"] > 40
    assert rss["released"] < rss["setup"] + 30


def test_the_level_steps_up_where_the_longest_sentence_was_spoken(study):
    """The covariate of a step is the longest sentence that the engine spoke in it."""
    steps = study.samples.query("phase == 'step' and not traced")
    for _, rows in steps.groupby(["condition", "repeat"]):
        jump = rows["rss"].diff().idxmax()
        # nearly: with a window of one paragraph it is spoken twice, each time in another length
        assert rows.loc[jump, "size"] > 0.8 * rows["size"].max()
        assert rows["size"].max() > 20


def test_the_log_is_in_the_app_s_grammar(study):
    """What the pipeline writes is what the app writes."""
    text = next((study.folder.path / "runs").rglob("events.log")).read_text()
    assert "[SynthesisQueue] 🔄 Pre-synthesis paragraph 1, memory: " in text
    assert "📊 [MEMORY] Total: " in text
    assert "[PiperTTS] Synthesized " in text


def test_a_heap_trace_names_the_engine(study):
    """Native frames resolve in the process that recorded them."""
    trace = study.trace("cache-size", "1")
    assert trace.record.peak > 80 * 2**20
    largest = holders(trace.record, by="library").iloc[0]
    assert largest["library"].startswith("libonnxruntime")
    assert largest["share"] > 0.5


def test_the_summary_has_the_promised_numbers(study):
    """Other tools read a study through summary.json."""
    page = study.report()
    summary = json.loads((study.folder.path / "summary.json").read_text())
    numbers = summary["experiments"]["cache-size"]["conditions"]["1"]
    assert numbers["runs"]["complete"] == 2
    assert numbers["peak_mib"] >= numbers["end_mib"] > numbers["anonymous_mib"] > 50
    low, high = numbers["rate_interval_kib_per_step"]
    assert low <= numbers["rate_kib_per_step"] <= high
    whole = sum(numbers["components_mib"].values()) + numbers["unaccounted_mib"]
    assert whole == pytest.approx(numbers["end_mib"], abs=0.1)
    shown = command("report", study.folder.path, "--json")
    assert json.loads(shown.stdout) == summary
    assert page.stat().st_size < 2**20


def test_the_report_needs_no_network_and_tells_no_secrets(study):
    """One file; neither this machine's paths nor the texts are in it."""
    page = study.report().read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert str(study.folder.path) not in page
    assert str(Path.home()) not in page
    paragraphs = study.folder.paragraphs()
    assert not any(text in page for text in paragraphs if len(text) > 20)


def test_pictures_can_be_drawn(study):
    """Both pictures have a line or mark a repeat."""
    curves = study.plot("cache-size")
    assert [axes.get_title("left") for axes in curves.axes] == ["1", "unbounded"]
    assert all(len(axes.lines) >= 4 for axes in curves.axes)
    assert study.plot_ends().axes
    with pytest.raises(lab.LabError, match="did you mean 'cache-size'"):
        study.plot("cache-sise")


def test_a_manifest_says_what_it_was(study):
    """Seed, voice, versions, machine and settings: enough to run it again."""
    manifest = study.manifest
    assert len(manifest.inputs.voice_hash) == 64
    assert manifest.setup.versions["sherpa-onnx"]
    assert manifest.setup.environment["OMP_NUM_THREADS"] == "1"
    assert manifest.plan.seed == 0
    assert list(manifest.hypotheses) == list(lab.HYPOTHESES)
    assert set(manifest.plan.experiments[0].predictions) == {"H4"}


def wait_for(condition, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def results(folder):
    """Return the results that a study has, with their times."""
    return {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("result.json")}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_study_is_completed(tmp_path, how):
    """Ctrl-C or a kill of the parent: nothing measured is lost, and --resume does the rest."""
    folder = tmp_path / "study"
    # Whoever runs the tests in the background of a script has Ctrl-C ignored, and children inherit
    # that: the parent asks for it again.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from listen2lab.cli import main; main()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, "run", "cache-size", *SHORT, "--out", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with parent:
        wait_for(lambda: results(folder))
        wait_for(lambda: len(list((folder / "runs").rglob("steps.jsonl"))) > len(results(folder)))
        before = results(folder)
        parent.send_signal(how)
        out, _ = parent.communicate(timeout=30)
    if how is signal.SIGINT:
        assert parent.returncode == 130
        assert f"listen2lab run --resume {folder}" in out
    assert 1 <= len(before) < 3
    done = command("run", "--resume", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "report.html")
    after = results(folder)
    assert len(after) == 3
    assert {path: after[path] for path in before} == before


def test_a_killed_parent_leaves_no_worker_behind(tmp_path):
    """A worker that nobody watches would measure and eat memory for nothing."""
    study = StudyFolder(tmp_path / "study")
    study.create(Manifest(plan=plan_of({"own": 0})), [])
    study.release()
    file = tmp_path / "sleep.py"
    file.write_text("import time\ndef setup(): pass\ndef step(i): time.sleep(60)\n")
    run = study.run("a/b/00")
    run.prepare(Spec(workload={"kind": "file", "path": str(file)}, steps=1))
    code = (
        "import sys; from listen2lab.study.folder import StudyFolder; "
        "from listen2lab.experiment.runner import execute; "
        "execute(StudyFolder(sys.argv[1]).run('a/b/00'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(study.path)])
    wait_for(lambda: any(each.phase == "setup" for each in run.samples()))
    pid = next(each.pid for each in run.samples() if each.phase == "meter")
    parent.kill()
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds=10)


def test_over_the_limit_every_run_is_a_result_and_nothing_measured_is_an_error(tmp_path):
    """A phone's limit below the model's size: killed runs, a report, and exit status 2."""
    folder = tmp_path / "study"
    done = command("run", "baseline", *SHORT, "--memory-limit", "40MB", "--out", folder)
    assert done.returncode == 2
    assert "nothing was measured" in done.stderr
    assert (folder / "report.html").exists()
    study = lab.Study(folder)
    assert list(study.runs["outcome"]) == ["killed"]
    why = study.runs["why"][0]
    assert (why.code, why.values["limit"]) == ("over-limit", 40_000_000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "alignmnt"], "did you mean 'alignment'"),
        (["run", "baseline", "--set", "max_cachesize=1"], "did you mean 'max_cache_size'"),
        (["run", "baseline", "--set", "alignment=loud"], "takes one of"),
        (["run", "baseline", "--set", "num_threads"], "KNOB=VALUE"),
        (["run", "cache-size", "--levels", "3"], "no level of cache-size"),
        (["run", "baseline", "--voice", "tinny"], "did you mean 'tiny'"),
        (["run", "baseline", "--memory-limit", "much"], "is no size"),
        (["run", "baseline", "--repeats", "0"], "at least one run"),
        (["run", "--resume", "nowhere"], "is no study"),
        (["report", "nowhere"], "is no study"),
        (["run", "baseline", "--python", "no-such-python"], "no Python that can be started"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(tmp_path, arguments, words):
    """Bad input: exit status 2, one sentence that helps, no traceback, nothing written."""
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"ab\xff\xfecd", "UTF-8"),
        (b"word " * 2001, "10,0"),
    ],
)
def test_a_text_that_cannot_be_read_is_a_sentence(tmp_path, content, words):
    """Empty, badly encoded or too long for the app: said before anything runs."""
    (tmp_path / "book.txt").write_bytes(content)
    done = command("run", "baseline", "--text", "book.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_book_of_one_s_own_is_read(tmp_path):
    """Any text works, and the report tells neither its name nor its content."""
    (tmp_path / "mine.txt").write_text(
        "A short line of my own.\n\nAnother, somewhat longer line.\n"
    )
    done = command("run", "baseline", *SHORT, "--text", "mine.txt", "--out", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "mine" / "report.html").read_text()
    assert "text-1 (2)" in page
    assert "mine.txt" not in page
    assert "line of my own" not in page


def test_a_study_being_written_is_left_alone(tmp_path):
    """A second process that wants the same folder is told who has it."""
    study = StudyFolder(tmp_path / "study")
    study.create(Manifest(plan=plan_of({"own": 0})), [])
    done = command("run", "baseline", "--out", study.path)
    assert done.returncode == 2
    assert "holds a study already" in done.stderr
    study.release()


def test_names_and_knobs_are_listed():
    """Everything that can be asked for can be seen."""
    done = command("list")
    assert done.returncode == 0
    for name in (*lab.EXPERIMENTS, *lab.Knobs._fields):
        assert name in done.stdout
