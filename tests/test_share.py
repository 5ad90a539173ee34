"""What is shared tells nothing of its owner, whatever a study holds."""

from __future__ import annotations

import json
import platform
import re
import shutil
import string
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listen2lab.report.command import command
from listen2lab.study.public_names import Names, model

from listen2lab.device import read as read_evidence
from listen2lab.device.answer import answer
from listen2lab.experiment import catalog
from listen2lab.facade import Study
from listen2lab.report.html import page
from listen2lab.report.write import write_report
from listen2lab.study import redaction as private
from listen2lab.study.folder import StudyFolder
from listen2lab.study.payload import read
from listen2lab.study.plan import Experiment, Level, Plan, schedule

USER, HOST = "mallory", "zeus-ws12"
SECRETS = (
    USER, HOST, "zeus-ws12.corp.example", "10.77.3.9",
    "My Secret Books", "Secret", "Bücher", "größe", "grösse",
    "mallory@corp.example", "corp.example", "Call me Ishmael", "C:\\Users", "C:/Users", "Users\\",
)  # fmt: skip
PHONE = Path(__file__).parents[1] / "data" / "reference" / "device"
HOME = f"/home/{USER}/My Secret Books"
WINDOWS = f"C:\\Users\\{USER}\\Secret\\voice"
BOOK = f"Call me Ishmael, or write to {USER}@corp.example from the /srv/Bücher/größe shelf."
MIB = 2**20


def sample(phase, step=None, level=60 * MIB, **more):
    """Return a line as the worker writes it."""
    line = {
        "phase": phase, "t": 1.0, "rss": level, "peak": level,
        "anonymous": level // 2, "private_dirty": level // 2, "in_use": level // 3,
        "kept": MIB, "mapped": MIB, "swap": 0, "gc_found": 0, "components": {},
    }  # fmt: skip
    if step is not None:
        line |= {"step": step, "steps": 1, "wall_s": 0.1, "cpu_s": 0.1, "python_blocks": 100000}
    return {**line, **more}


def write_runs(folder, plan, *, because="", components=None, heap=None):
    """Write runs of a plan: quiet, the last one crashed."""
    runs = schedule(plan)
    for run in runs:
        there = folder.run(run.key)
        there.prepare({"workload": {"voice": HOME}, "traced": run.traced})
        lines = [sample(phase) for phase in ("start", "import", "setup")]
        lines += [
            sample(
                "step", k, 60 * MIB + 4096 * (k % 3), components=components or {}, size=k % 5 + 1.0
            )
            for k in range(20)
        ]
        lines += [
            sample(phase, components=components or {})
            for phase in ("end", *run.experiment.phases, "released")
        ]
        there.steps_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        there.write_output(f"{HOST}: {BOOK}\n".encode())
        is_last = run is runs[-1]
        there.write_result(
            {
                "outcome": "crashed" if is_last else "complete",
                "because": because if is_last else "",
                "signal": None, "status": 0, "wall_s": 1.0, "peak_rss": 60 * MIB, "last_step": 19,
            }
        )  # fmt: skip
        if run.traced and heap is not None:
            there.write_heap(heap)


def manifest_of(plan, inputs, command):
    """Return a manifest with a secret wherever one can come from."""
    facts = {
        "machine": {
            "system": "Linux", "kernel": f"6.1.0-{HOST}", "cpu": f"AMD EPYC of {USER}", "cores": 2,
            "memory": 2**34, "swap": 0, "libc": "glibc 2.36", "page": 4096,
            "transparent_hugepages": "madvise", "aslr": "2", "host": HOST,
        },
        "versions": {"python": "3.11.7", "listen2lab": "0.1.0", "sherpa-onnx": f"2.0.1+{USER}"},
        "environment": {"MALLOC_ARENA_MAX": "1", "LD_PRELOAD": f"{HOME}/lib.so", "NODE": HOST},
        "git": "4b33f5758156+",
    }  # fmt: skip
    return {
        "created": "2026-11-23T17:41:52+00:00", "command": command,
        "python": f"/home/{USER}/venv/bin/python", "plan": plan.to_json(), "inputs": inputs,
        "hypotheses": {"H0": {"claim": f"{HOME} leaks"}}, "user": USER,
        "machines": {HOST: {"id": "0" * 16, **facts}, "machine-2": facts}, **facts,
    }  # fmt: skip


class Shared(NamedTuple):
    """A study, and the text of each of its files that are to be shared."""

    study: Study
    texts: dict[str, str]


def written(study):
    """Write everything that is shared of a study."""
    write_report(study, pictures=True)
    folder = study.folder.path
    names = ["report.html", "summary.md", "ISSUE.md"]
    texts = {name: (folder / name).read_text() for name in names}
    texts |= {path.name: path.read_text() for path in (folder / "pictures").glob("*.svg")}
    return Shared(study, texts)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Return a study of the pipeline, full of secrets."""
    plan = Plan((catalog.EXPERIMENTS["stop-release"].__class__(
        **{**vars(catalog.EXPERIMENTS["stop-release"]), "steps": 20, "warmup": 0, "traced": None}
    ),), repeats=3, traced=True)  # fmt: skip
    inputs = {
        "voice": WINDOWS, "voice_hash": "ab" * 32, "recognizer": f"/srv/Bücher/größe/{HOST}",
        "recognizer_hash": "cd" * 32, "paragraphs_hash": "ef" * 32,
        "texts": [
            {"name": f"{USER}@corp.example Secret.epub", "paragraphs": 3, "notes": [BOOK]},
            {"name": "novel.md", "paragraphs": 52, "notes": [HOME]},
        ],
    }  # fmt: skip
    folder = StudyFolder(tmp_path_factory.mktemp("shared") / "größe Secret")
    typed = (
        f"listen2lab run stop-release --text '{HOME}/größe.txt' --voice={WINDOWS!r} "
        f"--python /home/{USER}/v/bin/python --on tcp://{HOST}:8786 --repeats 3 --set num_threads=2"
    )
    folder.create(manifest_of(plan, inputs, typed), [BOOK])
    folder.release()
    place = {"bytes": MIB, "blocks": 1, "engine": False}
    heap = {
        "allocations": 10, "peak": 60 * MIB,
        "curve": {"epoch_s": [1.0, 2.0], "heap": [1, 60 * MIB], "rss": [1, 60 * MIB]},
        "at_peak": [
            {"bytes": MIB, "blocks": 1, "function": "onnxruntime::BFCArena::AllocateRawInternal",
             "file": f"{HOME}/a.py", "engine": True},
            {**place, "function": f"{HOME}/b.so", "file": "größe.py"},
            {**place, "function": f"read_for_{USER}", "file": ""},
        ],
    }  # fmt: skip
    write_runs(folder, plan, because=f"OSError: {HOST} refused {HOME}: {BOOK}", heap=heap)
    evidence = tmp_path_factory.mktemp("phone")
    for name, told in (("session-1.log", "größe Secret.log"), ("early.txt", f"{USER}.txt")):
        shutil.copy(PHONE / name, evidence / told)
    phone = answer(read_evidence(sorted(map(str, evidence.iterdir()))))
    folder.device_path.write_text(msgspec.json.encode(phone).decode(), "utf-8")
    return written(Study(folder.path))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return a study of somebody's workload, whose very names are secrets."""
    experiment = Experiment(
        name=f"{USER}-Secret", question=f"Does {USER}-Secret.py hold more memory with every step?",
        factor="interpreter", predictions={}, steps=20, warmup=0, unit="step",
        levels=(Level("this"), Level("against", python=f"/home/{USER}/v/bin/python")),
    )  # fmt: skip
    plan = Plan((experiment,), repeats=3, traced=False)
    folder = StudyFolder(tmp_path_factory.mktemp("shared") / "own")
    inputs = {"workload": f"{HOME}/{USER}-Secret.py", "workload_hash": "ab" * 32}
    called = f"lab.watch('{HOME}/{USER}-Secret.py', steps=20, repeats=3)"
    folder.create(manifest_of(plan, inputs, called), [])
    folder.release()
    write_runs(
        folder, plan, because=f"the workload ended the process: sys.exit({HOME!r})",
        components={f"{HOME}/cache": MIB, "plain cache": MIB, BOOK: 1},
    )  # fmt: skip
    damaged = folder.run(f"{USER}-Secret/this/01").steps_path
    damaged.write_text('{"phase": "' + BOOK + '\n{"phase":"end"}\n')
    return written(Study(folder.path))


@pytest.fixture(params=["pipeline", "own"])
def secret(request):
    """Return each of both studies."""
    return request.getfixturevalue(request.param)


def test_no_secret_is_in_a_shared_file(secret):
    """Manifest, reasons, logs, heap places, texts, interpreter and command: none of it leaks."""
    assert sum(name.endswith(".svg") for name in secret.texts) >= 2
    for name, text in secret.texts.items():
        # An embedded text may be escaped in JSON or in HTML.
        plain = text + text.encode().decode("unicode_escape", "replace")
        told = [word for word in SECRETS if word and word.lower() in plain.lower()]
        assert not told, name
        # A machine may be called "vm": only the name itself counts, not a word that is like it.
        assert not re.search(rf"(?<![\w-]){re.escape(platform.node())}(?![\w-])", plain), name
    for path in (secret.study.folder.path / "pictures").glob("*.png"):
        assert USER.encode() not in path.read_bytes()
        assert USER not in path.name


def test_what_matters_is_still_told(pipeline, own):
    """Numbers, versions, public names and the shape of the command stay."""
    texts = pipeline.texts
    for name in ("report.html", "summary.md", "ISSUE.md"):
        assert (
            "--text TEXT --voice=VOICE --python PYTHON --on ON --repeats 3 --set num_threads=2"
            in texts[name]
        )
        assert "it raised OSError; its message is left out" in texts[name]
    assert "novel.md (52)" in texts["report.html"]
    assert "a voice of one&#39;s own" in texts["report.html"].lower()
    assert "onnxruntime::BFCArena::AllocateRawInternal" in texts["report.html"]
    assert '<section id="device">' in texts["report.html"]
    assert "Of file 2. The kill limit counts" in texts["report.html"]
    assert "Linux 6.1.0, glibc 2.36" in texts["ISSUE.md"]
    assert "LEFT_OUT" in own.texts["summary.md"]
    assert "plain cache" in own.texts["report.html"]
    assert "experiment-1/this/01 is damaged" in own.texts["summary.md"]


def test_the_embedded_study_can_be_read_back(pipeline):
    """A rerun from the report gets plan, hashes and seed."""
    manifest, summary = read(pipeline.study.folder.report_path)
    assert Plan.from_json(manifest["plan"]) == pipeline.study.plan
    assert manifest["inputs"]["voice_hash"] == "ab" * 32
    assert summary["experiments"].keys() == {"stop-release"}


def test_private_things_are_told_when_asked_for(pipeline, tmp_path):
    """With --include-private the report says everything, and can be rerun alone."""
    told = page(pipeline.study, pipeline.study.summary(), include_private=True)
    (tmp_path / "private.html").write_text(told)
    manifest, _ = read(tmp_path / "private.html")
    assert manifest["inputs"]["paragraphs"] == [BOOK]
    assert HOME in manifest["command"]
    assert "paragraphs" not in read(pipeline.study.folder.report_path)[0]["inputs"]


def test_looking_at_a_study_changes_nothing_of_it(own):
    """The view renames copies: the study's own tables keep their names."""
    own = own.study
    assert set(own.runs["experiment"]) == {f"{USER}-Secret"}
    assert f"component.{HOME}/cache" in own.samples.columns
    assert own.plan.experiments[0].name == f"{USER}-Secret"


class _Addresses(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.found.append((tag, name, value))


def test_the_page_asks_for_nothing(pipeline):
    """No script runs, nothing is fetched, every link leads within the page."""
    text = pipeline.texts["report.html"]
    parser = _Addresses()
    parser.feed(text)
    ids = set(re.findall(r'\bid="([^"]*)"', text))
    assert parser.found
    for tag, name, value in parser.found:
        assert value.startswith("#"), (tag, name, value)
        assert value[1:] in ids, value
    assert re.findall(r"<script\b[^>]*>", text) == [
        '<script type="application/json" id="listen2lab-study">'
    ]
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'" in text


@given(st.text(alphabet=string.printable + "äß中", max_size=60))
def test_a_message_of_others_is_never_told(text):
    """Whatever a workload's error says, only the lab's own words are shared."""
    names = Names({"command": HOME})
    said = private.because(f"ValueError: {text}", names)
    assert said == "it raised ValueError; its message is left out"
    told = private.because(f"ended the process with status 3; it last printed: {text}", names)
    assert told == "ended the process with status 3; its message is left out"


@given(st.lists(st.text(alphabet=string.printable, min_size=1, max_size=30), max_size=4))
def test_a_command_tells_only_options_numbers_and_public_names(words):
    """Whatever was typed, a word that is not public is not in the shared command."""
    import shlex

    plan = {"experiments": []}
    typed = shlex.join(["listen2lab", "run", "--text", *(f"{w}/{USER}" for w in words)])
    said = command(typed, {"plan": plan}, Names({}))
    assert USER not in said
    assert said.startswith("listen2lab run --text")


def test_common_words_are_no_names():
    """A user called root or a host called localhost must not empty a report."""
    names = Names({"command": "listen2lab run --text /home/user/a.txt", "cwd": "/home/root"})
    assert not names.tells("the root of the user's tree on localhost")
    assert names.of("experiment", "baseline") == "baseline"
    assert names.of("component", "audio_cache") == "audio_cache"


def test_a_folder_named_like_a_generated_model_is_somebody_s_own():
    """Told as the generated one, a rerun would take that instead."""
    names = Names({})
    assert model("recognizer", names) == "recognizer"
    assert model("/home/me/recognizer", names) is None
    assert model("/home/me/tiny/", names) is None
    assert model("/voices/en_US-amy-medium", names) == "en_US-amy-medium"
