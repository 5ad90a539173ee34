"""What is shared tells nothing of its owner, whatever a study holds."""

from __future__ import annotations

import platform
import re
import shutil
import string
import typing
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_studies import SETUP, build_study

from listen2lab.comparison import comparison, differences, reproduced
from listen2lab.device import answer, read
from listen2lab.experiment.catalog import EXPERIMENTS, public_names
from listen2lab.findings import records as findings_records
from listen2lab.findings.summary import summary_of
from listen2lab.notice import Notice
from listen2lab.report.html import page
from listen2lab.report.text.command import rendered
from listen2lab.report.write import write_report
from listen2lab.study import plan as study_plan
from listen2lab.study import records as study_records
from listen2lab.study.data import open_study
from listen2lab.study.payload import read_payload
from listen2lab.study.plan import Experiment, Level, Plan
from listen2lab.study.records import (
    Call,
    HypothesisRecord,
    InputsRecord,
    MachineFacts,
    Manifest,
    RunRecord,
    SourceText,
)
from listen2lab.study.redact import Redaction
from listen2lab.study.trace_records import Curve, Moment, Stack, Trace
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.study.data import StudyData

pytestmark = pytest.mark.slow  # runs of their own processes


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


def manifest(call, inputs):
    """Return fields of a manifest with a secret wherever one can come from."""
    machine = MachineFacts(
        system="Linux", kernel=f"6.1.0-{HOST}", cpu=f"AMD EPYC of {USER}", cores=2,
        memory=2**34, libc="glibc 2.36",
    )  # fmt: skip
    setup = replace(
        SETUP, machine=machine, identity="0123456789abcdef", git="4b33f5758156+",
        versions={**SETUP.versions, "sherpa-onnx": f"2.0.1+{USER}"},
        environment={"MALLOC_ARENA_MAX": "1", "LD_PRELOAD": f"{HOME}/lib.so", "NODE": HOST},
    )  # fmt: skip
    claim = HypothesisRecord(
        claim=f"{HOME} leaks", supported_when=f"{USER} says so", refuted_when="never"
    )
    return {
        "call": call, "inputs": inputs, "setup": setup, "hypotheses": {"H0": claim},
        "python": f"/home/{USER}/venv/bin/python", "machines": {HOST: setup, "machine-2": setup},
    }  # fmt: skip


class Shared(NamedTuple):
    """A study, and the text of each of its files that are to be shared."""

    study: StudyData
    texts: dict[str, str]


def written(study):
    """Write everything that is shared of a study."""
    write_report(study, summary_of(study), public_names(), with_pictures=True)
    folder = study.folder.path
    names = ["report.html", "summary.md", "ISSUE.md"]
    texts = {name: (folder / name).read_text() for name in names}
    texts |= {path.name: path.read_text() for path in (folder / "pictures").glob("*.svg")}
    return Shared(study, texts)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Return a study of the pipeline, full of secrets."""
    item = replace(EXPERIMENTS["stop-release"], steps=20, warmup=0, traced=None)
    inputs = InputsRecord(
        voice=WINDOWS, voice_hash="ab" * 32, recognizer=f"/srv/Bücher/größe/{HOST}",
        recognizer_hash="cd" * 32, paragraphs_hash="ef" * 32,
        texts=(
            SourceText(f"{USER}@corp.example Secret.epub", 3, (Notice("x", {"text": BOOK}),)),
            SourceText("novel.md", 52),
        ),
    )  # fmt: skip
    call = Call(
        "run",
        {"experiments": ["stop-release"], "texts": [f"{HOME}/größe.txt"], "voice": WINDOWS,
         "python": f"/home/{USER}/v/bin/python", "repeats": 3, "knobs": {"num_threads": 2}},
    )  # fmt: skip
    allocators = (
        ("onnxruntime::BFCArena::AllocateRawInternal", f"{HOME}/a.py"),
        (f"{HOME}/b.so", "größe.py"),
        (f"read_for_{USER}", ""),
    )
    trace = Trace(
        allocations=10, peak=60 * MIB, curve=Curve((1.0, 2.0), (1, 60 * MIB), (1, 60 * MIB)),
        frames=tuple((function, file, 0) for function, file in allocators),
        stacks=tuple(Stack((k,)) for k in range(len(allocators))),
        moments=(Moment("peak", 4 * MIB, tuple((k, MIB, 1) for k in range(len(allocators)))),),
    )  # fmt: skip
    refused = RunRecord(
        outcome="crashed", why=Notice("raised", {"type": "OSError"}), last_step=15,
        message=f"{HOST} refused {HOME}: {BOOK}", machine=HOST,
    )  # fmt: skip
    study = build_study(
        tmp_path_factory.mktemp("shared") / "größe Secret",
        {"stop-release/app": 60.0},
        plan=Plan((item,), repeats=3),
        results={"stop-release/app/02": refused},
        traces={"stop-release/app/traced": trace},
        paragraphs=[BOOK],
        manifest=manifest(call, inputs),
    )
    evidence = tmp_path_factory.mktemp("phone")
    for name, copied in (("session-1.log", "größe Secret.log"), ("early.txt", f"{USER}.txt")):
        shutil.copy(PHONE / name, evidence / copied)
    phone = answer(read(sorted(map(str, evidence.iterdir()))))
    study.folder.device_path.write_bytes(msgspec.json.encode(phone))
    return written(study)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return a study of somebody's workload, whose very names are secrets."""
    experiment = Experiment(
        name=f"{USER}-Secret", question=f"Does {USER}-Secret.py hold more memory with every step?",
        factor=f"interpreter of {USER}", steps=20, warmup=0, unit=f"{USER} page",
        predictions={"H1": f"{HOME} grows"}, phases=(f"{HOST} stopped",),
        levels=(Level("this"), Level("against", python=f"/home/{USER}/v/bin/python")),
    )  # fmt: skip
    ended = RunRecord(outcome="crashed", message=f"sys.exit({HOME!r})", last_step=15)
    components = {f"{HOME}/cache": MIB, "plain cache": MIB, BOOK: 1}
    study = build_study(
        tmp_path_factory.mktemp("shared") / "own",
        {"this": 20.0, "against": 20.0},
        plan=Plan((experiment,), repeats=3, traced="none"),
        results={f"{USER}-Secret/against/02": ended},
        change=lambda _, sample: replace(sample, components=components),
        manifest=manifest(
            Call("watch", {"file": f"{HOME}/{USER}-Secret.py", "steps": 20}, shell=False),
            InputsRecord(workload=f"{HOME}/{USER}-Secret.py", workload_hash="ab" * 32),
        ),
    )
    damaged = study.folder.run(f"{USER}-Secret/this/01").steps_path
    damaged.write_text('{"phase": "' + BOOK + '\n{"phase":"end"}\n')
    return written(open_study(study.folder.path))


@pytest.fixture(params=["pipeline", "own"])
def secret(request):
    """Return each of both studies."""
    return request.getfixturevalue(request.param)


def test_no_secret_is_in_a_shared_file(secret):
    """Manifest, reasons, units, phases, texts, interpreter and call: none of it leaks."""
    assert sum(name.endswith(".svg") for name in secret.texts) >= 2
    for name, text in secret.texts.items():
        # An embedded text may be escaped in JSON or in HTML.
        plain = text + re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)
        leaked = [word for word in SECRETS if word and word.lower() in plain.lower()]
        assert not leaked, name
        # A machine may be called "vm": only the name itself counts, not a word that is like it.
        assert not re.search(rf"(?<![\w-]){re.escape(platform.node())}(?![\w-])", plain), name
    for path in (secret.study.folder.path / "pictures").glob("*.png"):
        assert USER.encode() not in path.read_bytes()
        assert USER not in path.name


def test_what_matters_is_still_told(pipeline, own):
    """Numbers, versions, public names and the shape of the call stay."""
    texts = pipeline.texts
    for name in ("report.html", "summary.md", "ISSUE.md"):
        assert "--repeats 3 --set num_threads=2" in texts[name]
        assert "stop-release/app/2: crashed after step 15: OSError: (left out)" in texts[name]
    assert "novel.md (52)" in texts["report.html"]
    assert "a voice of one&#39;s own" in texts["report.html"].lower()
    assert '<section id="device">' in texts["report.html"]
    assert "onnxruntime::BFCArena::AllocateRawInternal" in texts["report.html"]
    assert "Linux 6.1.0, glibc 2.36" in texts["ISSUE.md"]
    assert "lab.watch(" in own.texts["summary.md"]
    assert "plain cache" in own.texts["report.html"]
    assert "experiment-1/this/01: steps.jsonl" in own.texts["summary.md"]


def test_the_embedded_study_can_be_read_back(pipeline):
    """A rerun from the report gets plan, hashes and seed."""
    carried = read_payload(pipeline.study.folder.report_path)
    assert carried.manifest.plan == pipeline.study.plan
    assert carried.manifest.inputs.voice_hash == "ab" * 32
    assert carried.manifest.inputs.paragraphs is None
    assert b'"stop-release"' in carried.summary


def test_private_things_are_told_when_asked_for(pipeline, tmp_path):
    """With --include-private the report says everything, and can be rerun alone."""
    study = pipeline.study
    path = tmp_path / "private.html"
    path.write_text(page(study, summary_of(study), include_private=True))
    carried = read_payload(path).manifest
    assert carried.inputs.paragraphs == (BOOK,)
    assert HOME in rendered(carried.call)


def test_looking_at_a_study_changes_nothing_of_it(own):
    """The view renames copies: the study's own tables keep their names."""
    study = own.study
    assert set(study.runs["experiment"]) == {f"{USER}-Secret"}
    assert f"component.{HOME}/cache" in study.samples.columns
    assert study.plan.experiments[0].name == f"{USER}-Secret"


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


def redaction(**fields):
    """Return what leaves private strings out of an empty study."""
    plan = Plan((EXPERIMENTS["baseline"],))
    return Redaction(Manifest(plan=plan, **fields), public_names())


TEXT = st.text(alphabet=string.printable + "äß中", max_size=60)


@given(TEXT)
def test_a_message_of_others_is_never_told(text):
    """Whatever a workload's error says, only the lab's own codes are shared."""
    ended = RunRecord(
        outcome="crashed", why=Notice("raised", {"type": "ValueError"}), message=f"{USER}{text}"
    )
    shared = redaction().record(ended)
    assert shared == replace(ended, message="(left out)")


@given(st.lists(TEXT, max_size=4))
def test_a_call_tells_only_numbers_and_public_names(words):
    """Whatever was given, a word that is not public is not in the shared call."""
    given_texts = [f"{w}/{USER}" for w in words]
    call = Call("run", {"texts": given_texts, "python": f"{USER}/python", "repeats": 3})
    said = rendered(redaction().record(call))
    assert USER not in said
    assert said.endswith("--repeats 3")


def test_common_words_are_no_names():
    """A user called root or a host called localhost must not empty a report."""
    names = redaction(call=Call("run", {"texts": ["/home/user/a.txt", "/home/root"]}))
    assert not names.tells("the root of the user's tree on localhost")
    assert names.name("experiment", "baseline") == "baseline"
    assert names.name("component", "audio_cache") == "audio_cache"


def test_a_folder_named_like_a_generated_model_is_somebody_s_own():
    """Told as the generated one, a rerun would take that instead."""
    for given_as, shared in (
        ("recognizer", "recognizer"),
        ("/home/me/recognizer", "(left out)"),
        ("/home/me/tiny/", "(left out)"),
        ("/voices/en_US-amy-medium", "en_US-amy-medium"),
    ):
        inputs = redaction().record(InputsRecord(voice=given_as))
        assert inputs.voice == shared


RECORDS = [
    record
    for module in (study_records, findings_records, study_plan, differences, comparison, reproduced)
    for record in vars(module).values()
    if isinstance(record, type) and issubclass(record, msgspec.Struct) and record is not Notice
]


def strings(declared):
    """Return the types of strings in a declared type."""
    if typing.get_origin(declared) is typing.Annotated or declared is str:
        return [declared]
    if typing.get_origin(declared) is typing.Literal:
        return []
    return [found for part in typing.get_args(declared) for found in strings(part)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_each_string_of_a_record_is_declared_public_or_private(record):
    """A bare ``str`` would be nobody's to decide."""
    for name, declared in typing.get_type_hints(record, include_extras=True).items():
        assert str not in strings(declared), name
