"""The app's log: its grammar and variants, what is wrong with it, and the tables it becomes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from listen2lab import device
from listen2lab.device.formats.app_log_tables import Tables
from listen2lab.device.judging import curve_of, judge_log, overlaps
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.notice import Notice
from listen2lab.pipeline.log import AppLog
from listen2lab.units import MIB

LAB_LOG = Path(__file__).parents[1] / "data" / "reference" / "device" / "session-1.log"
TOTAL_TIME = "[SynthesisQueue] 📊 Total time for paragraph"
PREFIX = "2025-11-15 10:22:{:09.6f}-0800 Listen2[{}:77] "


def paragraph(n, memory=100.0, *, audio_s=5.0, before=None):
    """Return the lines of one paragraph, as the lab's own pipeline writes them."""
    out = []
    now = [int((before if before is not None else memory) * MIB)]
    log = AppLog(out.append, lambda: now[0])
    log.line("pre-started", n=n)
    log.line("synthesized", samples=int(audio_s * 22050), rate=22050)
    now[0] = int(memory * MIB)
    log.line("pre-done", n=n, seconds=0.5)
    log.line("aligned", n=n, words=12, audio_s=audio_s)
    log.line("evicted-audio", n=max(n - 1, 0))
    return out


def notes_of(evidence):
    """Return the codes and lines of the first file's notes."""
    return [(note.code, note.values["line"]) for note in evidence.sources[0].notes]


def whole(n=20, start=0, **kwargs):
    """Return the lines of some paragraphs."""
    return [line for k in range(start, start + n) for line in paragraph(k, **kwargs)]


@pytest.fixture
def read(tmp_path):
    """Return a function that reads lines or bytes as a log."""

    def of(content, name="phone.log"):
        file = tmp_path / name
        if not isinstance(content, bytes):
            content = ("\n".join(content) + "\n").encode()
        file.write_bytes(content)
        return device.read(file)

    return of


def test_the_labs_own_log_is_understood_line_by_line():
    """One parser reads the phone's logs and the lab's: nothing is ignored."""
    evidence = device.read(LAB_LOG)
    (source,) = evidence.sources
    assert source.recognised == source.lines > 300
    (session,) = evidence.sessions
    syntheses = session.frame("syntheses")
    assert syntheses["paragraph"].tolist() == list(range(len(syntheses)))
    assert syntheses["audio_s"].notna().all()
    assert (syntheses["memory_after"] > 0).all()
    aligned = session.frame("alignments").set_index("paragraph")["audio_s"]
    assert np.allclose(
        syntheses.set_index("paragraph")["audio_s"][aligned.index], aligned, atol=0.01
    )
    text = LAB_LOG.read_text()
    assert len(session.tables["evictions"]) == text.count("Evicted")
    assert len(session.tables["breakdowns"]) == text.count("[MEMORY] Total")
    assert len(session.tables["totals"]) == text.count("Total time")


def test_every_kind_of_line(read):
    """Each line of the grammar lands in its table, with its numbers."""
    evidence = read(
        [
            "📊 [MEMORY] Total: 2290.0 MB",
            "📊 [MEMORY] Audio cache: 2 entries, 25.3 MB",
            "📊 [MEMORY] Alignment cache: 2 entries, ~0.2 MB estimated",
            "📊 [MEMORY] Synthesizing: 1 active",
            "📊 [MEMORY] Tasks: 3 active",
            "📊 [MEMORY] Unaccounted: ~2264.5 MB (frameworks, ONNX)",
            "[SynthesisQueue] 🔄 Starting on-demand synthesis for paragraph 7, memory: 66.0 MB",
            "[PiperTTS] Synthesized 2480896 samples at 22050 Hz",
            (
                "[SynthesisQueue] ✅ On-demand synthesis for paragraph 7 completed in 3.21s, "
                "memory: 80.8 MB (+14.8 MB)"
            ),
            (
                "[SynthesisQueue] 📊 Total time for paragraph 7: 3.36s (synthesis: 3.21s, "
                "alignment: 0.15s), final memory: 83.3 MB"
            ),
            "[SynthesisQueue] ⏭️  Skipping pre-synthesis - already cached",
            "[SynthesisQueue] 🔄 Pre-synthesis paragraph 8, memory: 83.3 MB",
            "[SynthesisQueue] ❌ Pre-synthesis failed for paragraph 8 after 0.04s: no voice",
            "[SynthesisQueue] 🗑️ Evicted alignment cache for paragraph 6",
            "[PhonemeAlign] ✅ Cache hit for paragraph 7 (hits: 3, misses: 9, rate: 25.0%)",
        ]
    )
    assert evidence.sources[0].recognised == 15
    (session,) = evidence.sessions
    done, failed = session.frame("syntheses").to_dict("records")
    assert done["audio_s"] == pytest.approx(112.512, abs=1e-3)
    assert done["memory_before"] == 66 * MIB
    assert done["memory_after"] == pytest.approx(80.8 * MIB)
    assert failed["failed"] == 1
    assert session.frame("totals").iloc[0][["total_s", "synthesis_s", "alignment_s"]].tolist() == [
        3.36, 3.21, 0.15,
    ]  # fmt: skip
    parts = session.frame("breakdowns").iloc[0]
    assert parts["audio_cache"] == pytest.approx(25.3 * MIB)
    assert (parts["synthesizing"], parts["tasks"], parts["audio_entries"]) == (1, 3, 2)
    assert parts["unaccounted"] == pytest.approx(2264.5 * MIB)
    assert session.frame("evictions").iloc[0].tolist() == [
        6,
        14,
        pytest.approx(np.nan, nan_ok=True),
        1,
    ]
    assert session.frame("alignment hits").iloc[0][["hits", "misses"]].tolist() == [3, 9]


@pytest.mark.parametrize(
    ("line", "table", "column", "value"),
    [("📊 [MEMORY] Audio cache: 25.3 MB", "breakdowns", "audio_cache", 25.3),
     ("📊 [MEMORY] Alignment cache: 4 entries", "breakdowns", "alignment_entries", 4 / MIB),
     ("📊 [MEMORY] Unaccounted: 1.5 GB", "breakdowns", "unaccounted", 1536),
     ("📊 [MEMORY] Total: 2.290,0 MB", "breakdowns", "total", 2290),
     ("[SynthesisQueue] ✅ Pre-synthesis paragraph 3 done - 0.06s, memory: 91,1 MB", "syntheses",
      "memory_after", 91.1),
     ("[SynthesisQueue] Pre-synthesis paragraph 3 done - 0.06s", "syntheses", "seconds",
      0.06 / MIB),
     ("[MEMORY] Total: 12 MB\r", "breakdowns", "total", 12)],
)  # fmt: skip
def test_variants_of_other_revisions_and_locales(read, line, table, column, value):
    """Without the count, without memory, with GB, with a decimal comma, without the emoji."""
    (session,) = read([line]).sessions
    assert session.column(table, column)[0] == pytest.approx(value * MIB)


def test_total_times_without_memory_and_sizes_with_no_break_spaces(read):
    """Other revisions and locales: recognised, with what they print."""
    evidence = read(
        [
            f"{TOTAL_TIME} 7: 3.36s (synthesis: 3.21s, alignment: 0.15s)",
            f"{TOTAL_TIME} 8: 3.36s",
            "📊 [MEMORY] Total: 1\u202f100,5\u00a0MB",
            f"{TOTAL_TIME} 9: 3.36s (synthesis: 3.2",
        ]
    )
    (session,) = evidence.sessions
    assert session.column("totals", "total_s").tolist() == [3.36, 3.36]
    assert session.column("breakdowns", "total")[0] == 1100.5 * MIB
    assert notes_of(evidence) == [("cut-or-damaged", 4)]


def test_only_the_lines_that_a_handoff_greps(read):
    """A log of final memories alone has its curve; so has one of breakdowns alone."""
    parts = "3.4s (synthesis: 3.2s, alignment: 0.2s), final memory:"
    evidence = read([f"{TOTAL_TIME} {k}: {parts} {500 + k}.0 MB" for k in range(20)])
    session = evidence.sessions[0]
    memory, _, rows = curve_of(session)
    assert (memory / MIB).tolist() == [500.0 + k for k in range(20)]
    assert session.column("syntheses", "end_line")[rows].tolist() == list(range(1, 21))
    judged = judge_log(read([f"📊 [MEMORY] Total: {900 + 4 * k}.0 MB" for k in range(40)]))
    assert (judged.grows, judged.unit) == (True, "breakdown")
    judged = judge_log(read([f"📊 [MEMORY] Unaccounted: ~{900 + 4 * k}.0 MB" for k in range(40)]))
    assert (judged.grows, judged.unit) == (True, "breakdown")


def test_no_process_holds_nothing(read):
    """0.0 MB is what the app logs when it cannot read its memory: no sample, and no baseline."""
    evidence = read([line for k in range(20) for line in paragraph(k, 0.0)])
    assert judge_log(evidence) is None
    mixed = [line for k in range(20) for line in paragraph(k, 0.0 if k == 9 else 100.0)]
    assert len(curve_of(read(mixed).sessions[0])[0]) == 19


def test_a_hole_of_nul_bytes(read):
    """A file that was grown ahead and not filled is still text."""
    evidence = read("\n".join(whole(4)).encode() + b"\n" + bytes(8192) + b"\n")
    assert evidence.sources[0].recognised == 20


def test_notes_stand_in_the_order_of_the_lines(read):
    """Whichever way a line was read, quick or strict."""
    bad = [
        "📊 [MEMORY] Total: -5.0 MB",
        "[SynthesisQueue] 🔄 Pre-synthesis paragraph -1, memory: 5.0 MB",
    ]
    evidence = read([*whole(2), *bad, *whole(2), *bad])
    assert [line for _, line in notes_of(evidence)] == [11, 12, 23, 24]


def test_prefixes_interleaving_and_other_output(read):
    """Console prefixes, other libraries' lines between, two entries in one line."""
    lines = []
    for k, line in enumerate(whole(12)):
        lines.append(PREFIX.format(k * 0.37, 512) + line)
        lines.append(f"{k} [AVFoundation] state [1:2] \U0001f600 paragraph {k}, memory: 1.0 MB")
    lines[0] = lines[0] + lines.pop(2)[len(PREFIX.format(0, 512)) :]
    evidence = read(lines)
    (session,) = evidence.sessions
    assert session.pid == 512
    assert len(session.tables["syntheses"]) == 12
    assert session.column("syntheses", "audio_s").tolist() == [5.0] * 12
    assert evidence.sources[0].ignored == 60
    times = session.lines("time")
    assert np.diff(times).sum() == pytest.approx(59 * 0.37, abs=0.38)


def test_a_log_in_json_lines_is_still_the_apps_log(read):
    """`log show --style ndjson` wraps each entry, and may escape the emoji."""
    lines = [f'{{"timestamp":"2025-11-15 10:22:33.1","eventMessage":"{x}"}}' for x in whole(9)]
    lines = [line.encode("ascii", "backslashreplace").decode() for line in lines]
    (session,) = read(lines).sessions
    assert len(session.tables["syntheses"]) == 9


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("codec", ["latin-1", "cp1252", "mac_roman"])
def test_mojibake_is_recognised(read, codec, times):
    """The emoji may have been read in another encoding, twice; the line is understood."""
    data = "\n".join(whole(8)).encode()
    for _ in range(times):
        text = "".join(
            bytes([b]).decode(codec, "ignore") or chr(b) for b in data
        )  # what a codec leaves undefined passes through
        data = text.encode()
    evidence = read(data)
    assert len(evidence.sessions[0].tables["syntheses"]) == 8
    (source,) = evidence.sources
    assert source.malformed == 0
    (note,) = source.notes
    assert note.code == "emoji-misread"
    assert note.values["times"] == [times]
    assert not note.values["partly"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_other_encodings_of_unicode(read, codec):
    """With and without a byte order mark."""
    evidence = read("\n".join(whole(8)).encode(codec))
    assert len(evidence.sessions[0].tables["syntheses"]) == 8
    assert evidence.sources[0].recognised == 40


def test_mixed_encodings(read):
    """Lines of several encodings in one file are understood, and that is said."""
    good, bad = "\n".join(whole(4)), "\n".join(whole(4, start=4))
    data = (
        good.encode()
        + b"\n\xff\xfe broken \xc3\n"
        + bad.encode().decode("cp1252", "ignore").encode()
    )
    evidence = read(data)
    assert len(evidence.sessions[0].tables["syntheses"]) == 8
    assert evidence.sources[0].notes[0].values["partly"]


def test_nul_bytes_and_long_lines(read):
    """Both are named with the line, and cost nothing else."""
    lines = "\n".join(whole(4)).encode()
    data = lines + b"\n" + b"x" * 10_000_000 + b"\n" + b"\0" * 50 + lines + b"\n"
    evidence = read(data)
    assert notes_of(evidence) == [("line-too-long", 21), ("nul-bytes", 22)]
    assert evidence.sources[0].lines == 41
    assert evidence.sources[0].recognised == 40
    assert evidence.sources[0].malformed == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [("[SynthesisQueue] 🔄 Pre-synthesis paragraph 3, memory: -5.0 MB", "number-negative"),
     ("[SynthesisQueue] 🔄 Pre-synthesis paragraph -3, memory: 5.0 MB", "number-negative"),
     ("📊 [MEMORY] Total: 99999999999.0 MB", "number-absurd"),
     ("[SynthesisQueue] ✅ Pre-synthesis paragraph 3 done - 99999999s, memory: 5.0 MB",
      "number-absurd"),
     ("[PiperTTS] Synthesized 99999999999999 samples at 22050 Hz", "number-absurd"),
     ("[SynthesisQueue] ✅ Pre-synthesis paragraph 3 done - 0.0", "cut-or-damaged"),
     ("📊 [MEMORY] Total: nan MB", "cut-or-damaged"),
     ("📊 [MEMORY] Total: 1.2.3 MB", "number-absurd"),
     ("[SynthesisQueue] ✅ On-demand synthesis for paragraph", "cut-or-damaged")],
)  # fmt: skip
def test_absurd_numbers_are_named_with_their_line(read, line, code):
    """What was understood is kept."""
    for again in (1, 3):  # the same damage many times takes the quick way
        evidence = read([*whole(4), *[line] * again, *whole(4, start=4)])
        (source,) = evidence.sources
        assert source.malformed == again
        assert notes_of(evidence)[0] == (code, 21)
        assert len(evidence.sessions[0].tables["syntheses"]) == 8


def test_lines_alike_with_an_absurd_number_later(read):
    """A number that is too large in a line whose like was learned is refused just the same."""
    lines = ["📊 [MEMORY] Total: 1000000.0 MB", "📊 [MEMORY] Total: 9000000.0 MB"]
    evidence = read([*lines, *lines])
    assert [line for _, line in notes_of(evidence)] == [2, 4]
    assert evidence.sessions[0].column("breakdowns", "total").tolist() == [1e6 * MIB] * 2


def test_time_that_goes_backwards_and_midnight(read):
    """Midnight is none; anything else is noted with its line."""
    clock = ["23:59:58.5", "23:59:59.5", "00:00:01.0", "00:00:02.0", "00:00:00.5", "99:00:00.0"]
    lines = [f"{c} {line}" for c, line in zip(clock, whole(2), strict=False)]
    evidence = read(lines)
    assert notes_of(evidence) == [("time-goes-back", 5)]
    assert evidence.sources[0].notes[0].values["seconds"] == 1.5
    times = evidence.sessions[0].lines("time")
    assert times[3] - times[0] == pytest.approx(3.5)


def test_two_processes_in_one_file(read):
    """Known by their ids, even where their lines are interleaved."""
    one = [PREFIX.format(k, 11) + line for k, line in enumerate(whole(9, memory=100))]
    two = [PREFIX.format(k, 22) + line for k, line in enumerate(whole(9, memory=50))]
    sessions = read([line for pair in zip(one, two, strict=True) for line in pair]).sessions
    assert [s.pid for s in sessions] == [11, 22]
    assert [len(s.tables["syntheses"]) for s in sessions] == [9, 9]
    assert sessions[1].began == Notice("process", {"pid": 22})
    assert [s.number for s in sessions] == [0, 1]


def test_many_restarts_are_joined_as_each_alone(read):
    """Lines are lost, lengths stand elsewhere, some processes print no memory."""
    rng, lines = np.random.default_rng(0), []
    for pid in range(150):
        mine = [line for line in whole(int(rng.integers(1, 5))) if rng.random() > 0.1]
        if pid % 5 == 0:
            mine = [line for line in mine if "Synthesized" not in line]
        if pid % 7 == 0:
            mine = [line.partition(", memory")[0] for line in mine]
        lines += [f"2025-11-15 10:00:00.000000-0800 App[{1000 + pid}:7] {line}" for line in mine]
    sessions = read(lines).sessions
    assert sum("syntheses" in session.tables for session in sessions) > 100
    for session in sessions:
        alone = Tables(session.rows)["syntheses"]
        np.testing.assert_array_equal(session.tables["syntheses"], alone)


def test_a_restart_without_process_ids(read):
    """Reading begins again at the first paragraph with memory back: another process."""
    on_demand = "[SynthesisQueue] 🔄 Starting on-demand synthesis for paragraph 0, memory: {} MB"
    first = [on_demand.format("60.0"), *whole(12, start=1, memory=200)]
    second = [
        "📊 [MEMORY] Total: 60.0 MB",
        on_demand.format("61.0"),
        *whole(12, start=1, memory=210),
    ]
    sessions = read([*first, *second]).sessions
    assert len(sessions) == 2
    assert sessions[1].began == Notice("reads-again", {"line": 63, "paragraph": 0})
    assert sessions[1].lines("line")[0] == 62  # the breakdown before it belongs to it
    # A reader who goes back to the first paragraph restarts nothing.
    again = [on_demand.format("199.0"), *whole(12, start=1, memory=210)]
    assert len(read([*first, *again]).sessions) == 1
    hits = "[PhonemeAlign] ✅ Cache hit for paragraph 1 (hits: {}, misses: {}, rate: 1.0%)"
    counted = [*first, hits.format(3, 9), *again, hits.format(0, 1)]
    assert len(read(counted).sessions) == 2


def test_several_syntheses_at_once(read):
    """A start without an end between is an overlap only if both ended: a line may be lost."""
    start = "[SynthesisQueue] 🔄 Pre-synthesis paragraph {}, memory: 100.0 MB"
    end = "[SynthesisQueue] ✅ Pre-synthesis paragraph {} done - 1.00s, memory: 100.0 MB"
    audio = "[PiperTTS] Synthesized {} samples at 100 Hz"
    (session,) = read(
        [start.format(1), start.format(2), audio.format(100), start.format(3), end.format(1),
         audio.format(200), end.format(2), audio.format(300), end.format(3),
         start.format(4), start.format(5), end.format(5)]
    ).sessions  # fmt: skip
    assert overlaps(session) == (3, 2, 2)
    assert session.column("syntheses", "audio_s").tolist()[:3] == [1.0, 2.0, 3.0]
    assert np.isnan(session.column("syntheses", "end_line")).tolist() == [False] * 3 + [True, False]


def test_a_cut_start_and_a_cut_end(read):
    """Half a synthesis at either end of a log is kept as half a one."""
    lines = whole(3)
    (session,) = read(lines[1:-4]).sessions
    assert session.column("syntheses", "paragraph").tolist() == [0, 1, 2]
    assert np.isnan(session.column("syntheses", "start_line")).tolist() == [True, False, False]
    assert len(curve_of(session)[0]) == 2


def test_breakdowns_in_pieces(read):
    """A breakdown without its total, or with a part twice, is split where it must be."""
    part = "📊 [MEMORY] Unaccounted: ~{} MB (x)"
    cache = "📊 [MEMORY] Audio cache: 1 entries, 1.0 MB"
    (session,) = read([cache, part.format(1), cache, part.format(2), part.format(3)]).sessions
    assert (session.column("breakdowns", "unaccounted") / MIB).tolist() == [1, 2, 3]


def test_standard_input_and_a_pipe_that_breaks(monkeypatch):
    """`-` is standard input; what came before a pipe broke is kept."""

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise BrokenPipeError("broken")
            return super().read(size)

    data = ("\n".join(whole(8)) + "\n").encode()
    for stream in (io.BytesIO(data), Broken(data), io.BytesIO(gzip.compress(data))):
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": stream}))
        evidence = device.read("-")
        assert evidence.sources[0].name == "standard input"
        assert len(evidence.sessions[0].tables["syntheses"]) == 8
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO()}))
    with pytest.raises(device.NothingReadError) as caught:
        device.read("-")
    assert caught.value.problems == (Notice("empty", {"file": "standard input"}),)


def test_old_line_ends(read):
    """Lines that end in a carriage return alone are lines."""
    assert read("\r".join(whole(5)).encode()).sources[0].lines == 25


GRAMMAR = """
tags = ["(tts)", "(mem)"]
[[line]]
kind = "ahead-started"
text = "Sentence {paragraph} begins, rss {memory}"
[[line]]
kind = "ahead-done"
text = "Sentence {paragraph} ready in {seconds} (rss {memory})"
[[line]]
kind = "audio-evicted"
text = "Evicted {paragraph}"
[[line]]
kind = "total"
text = "Held {memory}"
"""


def test_another_apps_log_is_taught_without_code(tmp_path):
    """Its lines in a file; the rest is as for the app's own."""
    grammar, log = tmp_path / "g.toml", tmp_path / "x.log"
    grammar.write_text(GRAMMAR)
    lines = []
    for k in range(40):
        lines += [f"10:00:{k:02}.0 (tts) Sentence {k} begins, rss {100 + 4 * k}.0 MB",
                  f"10:00:{k:02}.5 (tts) Sentence {k} ready in 0.5s (rss {102 + 4 * k}.0 MB)",
                  f"10:00:{k:02}.6 (tts) Evicted {max(k - 2, 0)}", "something else"]  # fmt: skip
    log.write_text("\n".join([*lines, "(mem) Held 512.0 MB", "(mem) Held", ""]))
    evidence = device.read(log, grammar=grammar)
    (session,) = evidence.sessions
    assert len(session.tables["syntheses"]) == 40
    assert session.column("syntheses", "memory_after")[-1] == 258 * MIB
    assert len(session.tables["evictions"]) == 40
    assert session.column("breakdowns", "total").tolist() == [512 * MIB]
    assert notes_of(evidence) == [("cut-or-damaged", 162)]
    assert judge_log(evidence).grows
    assert not device.read([log, LAB_LOG]).sessions[0].column("syntheses", "failed").any()


@pytest.mark.parametrize(
    ("text", "error"),
    [("[[line]]\nkind = 'done'\ntext = 'Ready {memory}'\n", UnknownNameError),
     ("[[line]]\nkind = 'total'\ntext = 'Ready {size}'\n", UnknownNameError),
     ("[[line]]\nkind = 'total'\ntext = '{memory} held'\n", InputError),
     ("[[line]]\nkind = 'total'\n", InputError), ("no toml", InputError), ("", InputError)],
)  # fmt: skip
def test_what_is_no_grammar_is_said(tmp_path, text, error):
    """An unknown kind or field, a text that begins with a number, and what is no such file."""
    grammar = tmp_path / "g.toml"
    grammar.write_text(text)
    with pytest.raises(error):
        device.read(LAB_LOG, grammar=grammar)
