"""What a phone's evidence says: verdicts, questions, the lab beside it, words, command and page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest
import typer
from test_device_log import paragraph
from typer.testing import CliRunner

from listen2lab import device
from listen2lab.cli.device import device as command
from listen2lab.device.answer import FORMAT, answer
from listen2lab.device.judging import CAVEATS, judge_log
from listen2lab.device.lab_match import compare_with_study, differ, find_ceiling, shape_of
from listen2lab.device.redaction import FILES, NAMES, PUBLIC, redacted
from listen2lab.errors import LabError
from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.notice import Notice
from listen2lab.report.device import page
from listen2lab.report.device_terminal import as_text
from listen2lab.report.text import device as words
from listen2lab.report.text.device_next import LAB_EXPERIMENTS, next_step
from listen2lab.units import KIB, MIB
from listen2lab.verdict.reasons import Reason

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures" / "device"
REFERENCE = ROOT / "data" / "reference" / "device"


def log_of(levels, lengths=None, breakdown_every=0):
    """Return a log whose memory after each paragraph is as given."""
    lengths = np.full(len(levels), 5.0) if lengths is None else lengths
    lines = []
    for k, (level, length) in enumerate(zip(levels, lengths, strict=True)):
        lines += paragraph(k, float(level), audio_s=float(length))
        if breakdown_every and k % breakdown_every == 0:
            lines += [
                f"📊 [MEMORY] Total: {level:.1f} MB",
                "📊 [MEMORY] Audio cache: 2 entries, 25.0 MB",
                f"📊 [MEMORY] Unaccounted: ~{level - 25:.1f} MB (rest)",
            ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def logs(tmp_path):
    """Return a function that writes logs, and reads them."""

    def of(*texts, extra=()):
        files = []
        for k, text in enumerate(texts):
            files.append(tmp_path / f"{k}.log")
            files[-1].write_text(text)
        return device.read([*files, *extra])

    return of


def series(kind, seed, n=60):
    """Return levels in MiB and lengths in seconds."""
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(3, 20, n)
    lengths[rng.integers(20, 40)] = 110.0
    noise = rng.normal(0, 1.0, n)
    if kind == "leak":
        return 400 + 4.0 * np.arange(n) + noise, lengths
    if kind == "high-water":
        return 300 + 15.0 * np.maximum.accumulate(lengths) + noise, lengths
    return 500 + noise, lengths


@pytest.mark.parametrize("kind", ["leak", "high-water", "baseline"])
def test_a_log_is_judged_as_the_labs_own_runs(logs, kind):
    """The same words; rates in KiB a paragraph; resident size is said to be what it is."""
    evidence = logs(*(log_of(*series(kind, seed)) for seed in range(5)))
    judged = judge_log(evidence)
    assert judged.verdict == kind
    assert judged.caveats == ("resident-size",)
    assert (judged.unit, judged.steps, judged.repeats) == ("paragraph", 300, 5)
    if kind == "leak":
        assert judged.rate == pytest.approx(4096 * KIB, rel=0.05)


def test_a_small_log_is_inconclusive_and_says_why(logs):
    """Ten paragraphs, as a handoff plays them, decide nothing."""
    evidence = logs(log_of(np.linspace(1900, 2290, 10), breakdown_every=5))
    found = answer(evidence)
    assert found.verdict == "inconclusive"
    assert found.reasons[0] == "too-few-steps"
    parts = found.log.unaccounted
    assert "few-breakdowns" in parts.judged.caveats
    assert (parts.breakdowns, parts.memory.lowest) == (2, 1875 * MIB)
    assert found.next[0].code == "more-steps"


@pytest.mark.parametrize(
    ("share", "says"),
    [(1.0, "held"), (2.0, "more"), (0.5, "partly"), (0.0, "freed"), (None, "no-rise")],
)
def test_the_log_and_two_footprints_together(logs, tmp_path, share, says):
    """A rise that the footprint shares is held; one that it does not was freed pages."""
    text = (FIXTURES / "footprint_two.txt").read_text()
    level = series("leak" if share is not None else "baseline", 1)[0]
    rise = 0 if share is None else round(share * (level[-1] - level[0]))
    early, late = tmp_path / "early", tmp_path / "late"
    early.write_text(text)
    text = text.replace("Footprint: 2264 MB", f"Footprint: {2264 + rise} MB")
    late.write_text(text.replace("phys_footprint: 2264 MB", f"phys_footprint: {2264 + rise} MB"))
    found = answer(logs(log_of(level), extra=[early, late]))
    assert found.together.says == says
    assert found.together.counted == rise * MIB


def test_there_is_always_a_next_measurement(logs):
    """Whatever was given, something is proposed, with commands; on Android its own."""
    for name in ("footprint_two.txt", "heap.txt", "leaks.txt", "meminfo.txt", "vmmap_regions.txt"):
        found = answer(device.read(FIXTURES / name))
        steps = [next_step(step) for step in found.next]
        assert steps
        assert all(why and commands for why, commands in steps)
        said = "\n".join(line for _, commands in steps for line in commands)
        assert ("adb shell" in said) == (name == "meminfo.txt")
        assert "xcrun" not in said  # none of these names a phone
    long = answer(logs(log_of(series("baseline", 1, 120)[0] + 60 * np.sin(np.arange(120) / 9))))
    assert "more-steps" not in {step.code for step in long.next}
    assert {name for names in LAB_EXPERIMENTS.values() for name in names} <= set(EXPERIMENTS)


def test_unaccounted_is_judged_where_there_are_enough_breakdowns(logs):
    """Twenty breakdowns that grow are growth of their own."""
    rows = [log_of(*series("leak", seed, 100), breakdown_every=2) for seed in range(3)]
    parts = answer(logs(*rows)).log.unaccounted
    assert parts.breakdowns == 150
    assert parts.judged.verdict == "leak"
    assert parts.share_of_total > 0.9


def test_compressed_memory_takes_the_verdict_back(logs, tmp_path):
    """Resident size says too little where the system compresses: the report shows that it does."""
    report = tmp_path / "fp"
    text = (FIXTURES / "footprint_two.txt").read_text()
    report.write_text(text.replace("16 MB        0 B       12 MB", "916 MB       0 B       12 MB"))
    rows = [log_of(*series("baseline", seed)) for seed in range(5)]
    evidence = logs(*rows, extra=[report])
    judged = judge_log(evidence)
    assert (judged.verdict, judged.taken_back) == ("inconclusive", "baseline")
    assert judged.caveats[0] == "compressed"
    assert words.CAVEATS["compressed"] in words.verdict(judged)
    assert judge_log(logs(*rows, extra=[FIXTURES / "footprint_two.txt"])).verdict == "baseline"


def test_restarts_split_the_series(logs):
    """Two processes in one file count as two repeats, and are said to be."""
    on_demand = (
        "[SynthesisQueue] 🔄 Starting on-demand synthesis for paragraph 0, memory: 90.0 MB\n"
    )
    one, two = (on_demand + log_of(*series("leak", seed)) for seed in (1, 2))
    evidence = logs(one + two)
    judged = judge_log(evidence)
    assert len(evidence.sessions) == 2
    assert "restarted" in judged.caveats
    assert judged.repeats == 2
    assert answer(evidence).log.sessions[1].began.code == "reads-again"


def test_a_run_given_twice_counts_once(logs):
    """A copy of a log, or an earlier save of it, is no second repeat."""
    text = log_of(*series("leak", 1))
    half = text[: len(text) // 2]
    for texts in ((text, text), (half, text), (text, half)):
        evidence = logs(*texts)
        assert [len(s.tables["syntheses"]) for s in evidence.sessions] == [60]
        assert [problem.code for problem in evidence.problems] == ["same-run"]
        assert judge_log(evidence).repeats == 1
    assert len(logs(text, log_of(*series("leak", 2))).sessions) == 2


def test_a_log_without_lengths_says_so(logs):
    """Growth that follows the inputs cannot be told from growth by itself."""
    rows = [log_of(*series("leak", seed)) for seed in range(2)]
    rows = [
        "\n".join(x for x in row.splitlines() if "Syn" not in x[:20] or "Align" not in x)
        for row in rows
    ]
    rows = [
        "\n".join(x for x in row.splitlines() if "[PiperTTS]" not in x and "Alignment c" not in x)
        for row in rows
    ]
    judged = judge_log(logs(*rows))
    assert "no-audio-lengths" in judged.caveats


def test_a_lost_length_is_a_missing_sample(logs):
    """One paragraph of unknown length does not cost the others theirs."""
    text = log_of(*series("high-water", 3))
    lines = text.splitlines()
    lost = [k for k, x in enumerate(lines) if "[PiperTTS]" in x or "Alignment c" in x][:2]
    evidence = logs("\n".join(x for k, x in enumerate(lines) if k not in lost))
    judged = judge_log(evidence)
    assert "no-audio-lengths" not in judged.caveats
    assert answer(evidence).log.longest.audio_s == pytest.approx(110, abs=0.01)


def test_the_longest_paragraph(logs):
    """A curve that follows it rises there and nowhere else; one that grows does not."""
    for kind, least, most in (("high-water", 0.8, 1.0), ("leak", 0.0, 0.4)):
        longest = answer(logs(log_of(*series(kind, 4)))).log.longest
        assert longest.audio_s == pytest.approx(110, abs=0.01)
        assert least <= longest.share_at_records <= most
    assert longest.rise < 10 * MIB


def test_a_series_over_time_is_judged_per_minute(tmp_path):
    """A footprint is what the limit counts, so there is no caveat; uneven times are evened."""
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.choice([1.0, 5.0], 200))
    file = tmp_path / "x.csv"
    rows = [f"{t},{300 + t * 0.1 + rng.normal(0, 0.3):.2f}" for t in time]
    file.write_text("time,phys_footprint_mb\n" + "\n".join(rows))
    found = answer(device.read(file))
    judged = found.series[0].judged
    assert found.verdict == judged.verdict == "inconclusive"  # one run, of inputs unknown
    assert judged.grows
    assert judged.unit == "minute"
    assert judged.rate == pytest.approx(6144 * KIB, rel=0.1)
    assert judged.caveats == ("uneven-times",)


def test_what_the_lab_can_explain():
    """N of M by owner, bounded by what the lab ever held; the rest is named."""
    evidence = device.read(FIXTURES / "footprint_two.txt")
    found = find_ceiling(evidence, None)
    assert found.of == 2264 * MIB
    assert found.like == found.at_most == (1880 + 96 + 44 + 64) * MIB
    assert (found.beyond[0].owner, found.beyond[0].size) == ("graphics and UI", 180 * MIB)
    assert found.beyond[0].categories[0] == ("IOSurface", 88 * MIB)
    assert find_ceiling(evidence, 200 * MIB).at_most == 200 * MIB


def test_shapes():
    """What makes a shape does not depend on the level, nor on where the longest input stands."""
    level, lengths = series("high-water", 1)
    early = shape_of(level * MIB, lengths)
    again = shape_of(*(x if k else x * 3 * MIB for k, x in enumerate(series("high-water", 2))))
    leak = shape_of(series("leak", 1)[0] * MIB, series("leak", 1)[1])
    assert abs(early.at_records - again.at_records) < 0.2
    assert leak.at_records < 0.4 < early.at_records
    assert leak.largest_step < 0.1 < early.largest_step
    assert shape_of(level[:5], None) is None
    assert shape_of(np.full(30, 5e8), None).rise == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of a workload that steps up at its largest input."""
    import listen2lab as lab

    root = tmp_path_factory.mktemp("beside")
    (root / "high.py").write_text(
        "held = []\ndef setup(): pass\ndef size(i): return 110.0 if i == 14 else 5.0 + i % 3\n"
        "def step(i):\n    if i == 14: held.append(b'x' * 60_000_000)\n"
    )
    return lab.watch(root / "high.py", steps=24, warmup=1, repeats=1, out=root / "study").data


def test_the_phone_beside_a_study(logs, study):
    """The condition of the same shape is found; a curve of another shape is said to be one."""
    like = compare_with_study(logs(log_of(*series("high-water", 1))), study)
    assert [like.conditions[k].experiment for k in like.nearest] == ["high"]
    assert like.alike
    assert like.conditions[0].verdict != "leak"
    unlike = compare_with_study(logs(log_of(*series("leak", 1))), study)
    assert not unlike.alike
    assert unlike.ceiling.lab > 60 * MIB
    assert compare_with_study(device.read(FIXTURES / "heap.txt"), study).phone is None
    # A near shape is not enough where one is a leak and the other is none.
    by_verdict = compare_with_study(logs(log_of(*series("high-water", 1))), study, "leak")
    assert not by_verdict.alike
    assert not differ(None, "high-water")
    assert differ("leak", "high-water")
    assert not differ("leak", "inconclusive")


def test_the_record_is_what_is_stored_and_every_code_has_its_sentence(logs, study):
    """What is encoded is decoded as it was; a code that is printed can be looked up in the docs."""
    evidence = logs(
        log_of(*series("leak", 1), breakdown_every=5),
        extra=[p for p in sorted(FIXTURES.iterdir()) if p.suffix in {".txt", ".json"}],
    )
    found = answer(evidence, study)
    assert msgspec.json.decode(msgspec.json.encode(found), type=device.Answer) == found
    docs = (ROOT / "docs" / "from-the-phone.md").read_text()
    assert words.CAVEATS.keys() == CAVEATS.keys()
    for code, sentence in words.CAVEATS.items():
        assert f"`{code}` | {sentence}" in docs
    assert not set(CAVEATS) & {str(r) for r in Reason}
    assert page(found).count("<svg") >= 5
    assert "nan" not in as_text(found).lower().split()


def inside(kind):
    """Yield a type and those that it is made of."""
    yield kind
    for each in get_args(kind):
        yield from inside(each)


def fields_of(record, seen):
    """Yield the text fields of a record and of the records in it."""
    seen.add(record)
    for field in msgspec.structs.fields(record):
        kinds = list(inside(field.type))
        if str in kinds and record is not Notice:
            yield record.__name__, field.name
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
                yield from fields_of(kind, seen)


def test_every_text_field_is_public_a_file_or_a_name():
    """So that a new field cannot leave the machine unfiltered.

    Of a notice's values, one that is not declared counts as a name.
    """
    found = list(fields_of(device.Answer, set()))
    assert len(found) > 30
    for record, field in found:
        kinds = [
            name
            for name, declared in (("file", FILES), ("name", NAMES), ("public", PUBLIC))
            if field in declared or f"{record}.{field}" in declared
        ]
        assert kinds, (record, field)


def test_evidence_can_be_told_to_others(logs):
    """Files are numbered; a name that tells something is whatever is made of it."""
    evidence = logs(log_of(*series("leak", 1)), extra=[FIXTURES / "footprint_two.txt"])
    found = redacted(answer(evidence), lambda kind, name: f"({kind})")
    text = msgspec.json.encode(found).decode()
    assert "0.log" not in text
    assert "Listen2" not in text
    assert [source.name for source in found.sources] == ["file 1", "file 2"]
    assert found.snapshots[0].source == "file 2"
    assert found.log.judged == answer(evidence).log.judged
    assert "file 2" in as_text(found)


def test_names_in_evidence_cannot_break_the_page(tmp_path):
    """A process's or a class's name is text, whatever is in it."""
    text = (
        (FIXTURES / "footprint_two.txt").read_text().replace("mediaserverd", "<script>x</script>")
    )
    file = tmp_path / "<b>.txt"
    file.write_text(text)
    html = page(answer(device.read(file)))
    assert "<script" not in html
    assert "<b>" not in html


@pytest.fixture
def run():
    """Return a function that runs the command."""
    app = typer.Typer()
    app.command("device")(command)
    app.command("other")(lambda: None)

    def of(*arguments, **kwargs):
        result = CliRunner().invoke(app, ["device", *map(str, arguments)], **kwargs)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return of


def test_the_command_prints_and_writes_only_where_asked(run, tmp_path, monkeypatch, study):
    """Words by default, one object with --json; files with --out or --study, and never else."""
    monkeypatch.chdir(tmp_path)
    log = REFERENCE / "session-1.log"
    assert "0 malformed" in run(log).output
    assert list(tmp_path.iterdir()) == []
    printed = json.loads(run(log, "--json").output)
    assert printed["log"]["syntheses"] > 50
    output = run(log, FIXTURES / "vmmap_summary.txt", "--out", tmp_path / "new" / "folder").output
    assert output.rstrip().endswith("device.html")
    page = (tmp_path / "new" / "folder" / "device.html").read_text()
    assert page.startswith("<!doctype html>")
    assert str(tmp_path) not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert json.loads((tmp_path / "new" / "folder" / "device.json").read_text())["format"] == FORMAT
    run(log, "--study", study.folder.path)
    assert (study.folder.path / "device.html").exists()


def test_the_command_reads_standard_input(run):
    """A pipe is as good as a file."""
    text = (REFERENCE / "session-1.log").read_bytes()
    assert "standard input" in run("-", input=text).output


def test_the_command_says_what_is_wrong(run, tmp_path):
    """Nothing understood, or a folder that cannot be written, is one sentence."""
    with pytest.raises(LabError, match="is a directory"):
        run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot write"):
        run(REFERENCE / "session-1.log", "--out", tmp_path / "file" / "x")


def test_a_reader_that_goes_away(tmp_path):
    """Printing into a pipe that closes is no traceback."""
    code = (
        "import typer\nfrom listen2lab.cli.device import device as command\n"
        "app = typer.Typer()\napp.command('device')(command)\n"
        "app.command('x')(lambda: None)\napp()\n"
    )
    command = (
        f'"{sys.executable}" -c "{code}" device {REFERENCE / "session-1.log"} --json | head -c 5'
    )
    done = subprocess.run(  # noqa: S602 - a pipe is under test
        command, shell=True, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.stdout == '{\n "f'
    assert "Traceback" not in done.stderr
