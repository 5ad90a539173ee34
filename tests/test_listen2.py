"""The workload listen2 with the real engine: each knob does something, and nothing stays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from engine_child import checked_recognizer, run_child, voice
from known_times import known_samples, known_words

from listen2lab.errors import InputError
from listen2lab.models.check import check_voice
from listen2lab.pipeline.knobs import Knobs
from listen2lab.pipeline.listen2 import Listen2

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TEXTS = [
    "The first is quite short.",
    "The second has two. Here it is.",
    "The third, with commas, is longer.",
    "Four.",
    "The fifth ends the book.",
]

_MAKE = """
from listen2lab.pipeline.listen2 import Listen2

def make(texts=None, *, log=lambda line: None, scratch="/tmp", **knobs):
    made = Listen2(
        texts or given["texts"], voice=VoiceFiles(**given["voice"]),
        recognizer=RecognizerFiles(**given["recognizer"]),
        log=log, resident=resident, scratch=scratch,
        knobs=Knobs(**{"noise_scale_w": 0.0, "alignment": "off", **knobs}),
    )
    made.setup()
    return made

def read(n, **kwargs):
    made = make(**kwargs)
    facts, held, sizes = [], [], []
    for i in range(n):
        facts.append(made.step(i))
        held.append(made.components())
        sizes.append(made.size(i))
    made.teardown()
    return {"facts": facts, "held": held, "sizes": sizes}
"""


def child(code, **given):
    """Run code with `make` and `read` at hand."""
    import textwrap

    given.setdefault("texts", TEXTS)
    given.setdefault("recognizer", checked_recognizer())
    return run_child(_MAKE + textwrap.dedent(code), **given)


@pytest.fixture(scope="module")
def runs():
    """Read the book under many conditions, in one child."""
    return child(
        """
        answer = {name: read(given["n"], **knobs) for name, knobs in given["knobs"].items()}
        """,
        n=7,
        knobs={
            "plain": {},
            "again": {},
            "cache 1": {"max_cache_size": 1},
            "unbounded": {"max_cache_size": None},
            "ahead 3": {"lookahead_count": 3, "in_flight": 3, "sessions": "each"},
            "skips": {"reading": "skips"},
            "retains": {"player": "retains"},
            "new session": {"session_every": 2},
            "after long": {"recreate_after_s": 2.0},
            "new voice": {"voice_change_every": 3},
            "split": {"split_sentences_s": 1.0},
            "recognizer": {"alignment": "recognizer"},
            "forced": {"alignment": "forced"},
            "first use": {"alignment": "recognizer", "recognizer_loaded": "at-first-use"},
            "each use": {"alignment": "forced", "recognizer_loaded": "each-use"},
            "loaded": {"alignment": "loaded"},
            "no service": {"alignment": "recognizer", "service_cache_size": 0},
        },
    )


def _column(run, name):
    return [facts[name] for facts in run["facts"]]


def _held(run, name):
    return [held[name] for held in run["held"]]


def test_a_step_plays_a_paragraph_and_makes_the_next(runs):
    """The facts are those of the texts; the book is read again after its end."""
    run = runs["plain"]
    known = [known_samples(text) / 22050 for text in TEXTS]
    assert _column(run, "paragraph") == [0, 1, 2, 3, 4, 0, 1]
    assert _column(run, "audio_s") == pytest.approx([*known, *known[:2]], abs=1e-3)
    assert _column(run, "characters")[:5] == list(map(len, TEXTS))
    # Two at the beginning, then one ahead each, none at the end.
    assert _column(run, "syntheses") == [2, 1, 1, 1, 0, 2, 1]
    made = [known[0] + known[1], *known[2:], 0.0]
    assert _column(run, "made_s")[:5] == pytest.approx(made, abs=1e-3)
    assert _column(run, "in_flight_peak") == [1, 1, 1, 1, 0, 1, 1]
    assert _column(run, "evictions") == [0, 1, 1, 1, 0, 0, 1]


def test_the_size_is_the_longest_stretch_made_in_the_step(runs):
    """Known after the step, in seconds; 0 where nothing was made."""
    run = runs["plain"]
    sentences = [known_samples(text) / 22050 for text in TEXTS[2:]]
    assert run["sizes"][1:5] == pytest.approx([*sentences, 0.0])
    assert _column(run, "longest_s") == pytest.approx(run["sizes"], abs=1e-3)
    first = [TEXTS[0], "The second has two.", " Here it is."]
    assert run["sizes"][0] == pytest.approx(max(map(known_samples, first)) / 22050)


def test_new_lengths_are_counted_once(runs):
    """The second reading of the book makes nothing new when durations are not random."""
    run = runs["plain"]
    assert sum(_column(run, "new_lengths")[:5]) == 6
    assert _column(run, "new_lengths")[5:] == [0, 0]


def test_a_condition_is_deterministic(runs):
    """Without random durations, two runs have the same facts and hold the same bytes."""
    random = {"waited_s", "audio_crc"}  # the voice's noise stays
    plain, again = (
        {
            **run,
            "facts": [{k: v for k, v in step.items() if k not in random} for step in run["facts"]],
        }
        for run in (runs["plain"], runs["again"])
    )
    assert plain == again


def test_the_cache_holds_what_the_knob_says(runs):
    """One, two, all; with one, what is made ahead is dropped again and made twice."""
    wav = [44 + 2 * known_samples(text) for text in TEXTS]
    overhead = 33  # of a bytes object
    two = [a + b + 2 * overhead for a, b in pairwise(wav)]
    assert _held(runs["plain"], "audio_cache")[:4] == two
    one = [a + overhead for a in wav]
    assert _held(runs["cache 1"], "audio_cache")[:5] == one
    assert _column(runs["cache 1"], "syntheses") == [2, 2, 2, 2, 1, 2, 2]
    assert _held(runs["unbounded"], "audio_cache")[4] == sum(one)


def test_several_in_flight(runs):
    """With three ahead and three permits, three are in the engine at once."""
    assert _column(runs["ahead 3"], "in_flight_peak")[:2] == [3, 3]


def test_skipping_shows_the_apps_fault(runs):
    """Mid-way in every third paragraph: two at once, one of them for nothing."""
    assert _column(runs["skips"], "is_skipped") == [False, False, True] * 2 + [False]
    assert _column(runs["skips"], "in_flight_peak")[2] == 2
    extra = sum(_column(runs["skips"], "syntheses")) - sum(_column(runs["plain"], "syntheses"))
    assert extra == 2


def test_a_retaining_player_grows_by_what_was_played(runs):
    """Each paragraph's WAV stays, and is counted once although the cache holds it, too."""
    total = [
        held["player"] + held["audio_cache"] - plain["audio_cache"]
        for held, plain in zip(runs["retains"]["held"], runs["plain"]["held"], strict=True)
    ]
    wav = [33 + 44 + 2 * known_samples(text) for text in TEXTS]
    # What is still in the cache counts there: after step 4 those are paragraphs 3 and 4.
    assert total[4] == sum(wav[:3])
    assert _held(runs["plain"], "player") == [0] * 7


def test_sessions_are_recreated_and_voices_changed(runs):
    """As often as the knobs say; a voice change drops the audio, so it is made again."""
    assert sum(_column(runs["new session"], "sessions_created")) == 4
    assert _column(runs["new voice"], "sessions_created") == [0, 0, 0, 1, 0, 0, 1]
    assert _column(runs["new voice"], "syntheses") == [2, 1, 1, 2, 0, 2, 2]
    assert sum(_column(runs["plain"], "sessions_created")) == 0
    # After each synthesis with a stretch above 2 s: those of paragraphs 0 and 2, twice each.
    made = [known_samples(text) / 22050 for text in TEXTS]
    assert [length > 2.0 for length in made] == [True, True, True, False, False]
    created, longest = (
        _column(runs["after long"], name) for name in ("sessions_created", "longest_s")
    )
    assert [n > 0 for n in created] == [length > 2.0 for length in longest]


def test_sentences_are_split_where_the_knob_says(runs):
    """In seconds; what is said stays."""
    split = runs["split"]
    assert max(_column(split, "longest_s")) < max(_column(runs["plain"], "longest_s"))
    assert _column(split, "made_s")[0] == pytest.approx(
        _column(runs["plain"], "made_s")[0], rel=0.1
    )


def test_alignment_by_each_means(runs):
    """Words are aligned when audio is made; loaded and off align none; the service keeps them."""
    words = [len(text.split()) for text in TEXTS]
    aligned = [words[0] + words[1], *words[2:], 0, words[0] + words[1], words[2]]
    for name in ("recognizer", "forced", "no service", "first use", "each use"):
        assert _column(runs[name], "words_aligned") == aligned
        assert min(_held(runs[name], "alignments")) > 0
    for name in ("plain", "loaded"):
        assert _column(runs[name], "words_aligned") == [0] * 7
        assert set(_held(runs[name], "alignments")) == {0}
    kept = _held(runs["recognizer"], "service_cache")
    assert kept[0] < kept[2] < kept[4]
    assert max(kept[5:]) < 1.3 * kept[4]  # the second reading adds nothing
    empty = _held(runs["no service"], "service_cache")
    assert len(set(empty)) == 1
    assert _column(runs["recognizer"], "trellis_bytes") == [0] * 7


def test_the_trellis_is_reported(runs):
    """Frames x (2 x tokens + 1) x 4 bytes, of the largest paragraph of the step."""
    peaks = _column(runs["forced"], "trellis_bytes")
    assert peaks[4:] == [0, 0, 0]  # nothing new: the second reading finds its alignments
    for text, peak in zip(TEXTS[2:], peaks[1:4], strict=True):
        frames = known_samples(text) / 22050 / 0.02
        cells = frames * (2 * len(text) + 1)
        assert peak == pytest.approx(4 * cells, rel=0.1)
    assert set(_held(runs["forced"], "trellis")) == {0}
    assert _column(runs["each use"], "trellis_bytes") == peaks


def test_the_log_is_in_the_apps_grammar():
    """Every line is one of the app's, and evictions in the log are those in the facts."""
    import re

    lines, evictions = child(
        """
        lines = []
        run = read(6, log=lines.append, alignment="recognizer", texts=given["texts"] * 2)
        answer = lines, sum(facts["evictions"] for facts in run["facts"])
        """
    )
    s, mb = r"\d+\.\d\ds", r"\d+\.\d MB"
    grammar = [
        rf"\[SynthesisQueue\] 🔄 Starting on-demand synthesis for paragraph \d+, memory: {mb}",
        (
            rf"\[SynthesisQueue\] ✅ On-demand synthesis for paragraph \d+ completed in {s}, "
            rf"memory: {mb} \([+-]{mb}\)"
        ),
        (
            rf"\[SynthesisQueue\] 📊 Total time for paragraph \d+: {s} "
            rf"\(synthesis: {s}, alignment: {s}\), final memory: {mb}"
        ),
        rf"\[SynthesisQueue\] 🔄 Pre-synthesis paragraph \d+, memory: {mb}",
        rf"\[SynthesisQueue\] ✅ Pre-synthesis paragraph \d+ done - {s}, memory: {mb}",
        r"\[SynthesisQueue\] 🗑️ Evicted (audio|alignment) cache for paragraph \d+",
        rf"\[SynthesisQueue\] ✅ Alignment completed for paragraph \d+: \d+ words, {s}",
        r"\[PiperTTS\] Synthesized \d+ samples at 22050 Hz",
        rf"📊 \[MEMORY\] (Total|Audio cache: \d entries,|Unaccounted): ?~?{mb}.*",
        rf"📊 \[MEMORY\] Audio cache: \d entries, {mb}",
        rf"📊 \[MEMORY\] Alignment cache: \d entries, ~{mb} estimated",
        r"📊 \[MEMORY\] (Synthesizing|Tasks): \d active",
    ]
    strange = [line for line in lines if not any(re.fullmatch(g, line) for g in grammar)]
    assert strange == []
    assert sum("Evicted audio" in line for line in lines) == evictions == 5
    assert sum("[MEMORY] Total" in line for line in lines) == 2  # paragraphs 0 and 5


def test_nothing_stays_after_a_teardown():
    """Sessions, recognizer, queue and workload are gone without the cycle collector's help."""
    answer = child(
        """
        import gc, threading, weakref

        answer = []
        gc.disable()
        for knobs in (
            {"alignment": "recognizer"}, {"alignment": "forced"},
            {"alignment": "recognizer", "recognizer_loaded": "each-use"},
            {"reading": "skips", "player": "retains", "lookahead_count": 2},
            {"session_every": 1, "in_flight": 2, "sessions": "each", "after_eviction": "clear"},
        ):
            made = make(**knobs)
            made.step(0)
            gc.collect()  # what imports left
            for i in range(1, 5):
                made.step(i)
            session = made._sessions._all[0]._session
            watched = [made, made._queue, made._player, session]
            del session
            if made._aligner is not None:
                watched += [made._aligner, getattr(made._aligner, "_engine", made._queue)]
            watched = [weakref.ref(each) for each in watched]
            found = gc.collect()  # cycles that the steps left behind
            made.teardown()
            del made
            answer.append([found, [each() is None for each in watched], threading.active_count()])
        """
    )
    for found, gone, n_threads in answer:
        assert found == 0
        assert all(gone)
        assert n_threads == 1


def test_phases_of_stop_and_release():
    """Stopping empties the caches, the session's end gives the memory back, and it reads on."""
    answer = child(
        """
        made = make(given["texts"] + ["a long word, " * 30])
        loaded = settled()
        for i in range(6):
            made.step(i)
        played = settled()
        made.enter("stopped")
        held = made.components()
        stopped = settled()
        made.enter("session-dropped")
        dropped = settled()
        try:
            made.step(0)
        except EngineError as error:
            refused = str(error)
        made.enter("created-again")
        answer = [loaded, played, stopped, dropped], held, refused, made.step(0)["syntheses"]
        made.teardown()
        """
    )
    (loaded, played, stopped, dropped), held, refused, syntheses = answer
    mib = 1024 * 1024
    assert set(held.values()) == {0}
    assert "no engine session" in refused
    assert syntheses == 2
    assert played - loaded > 60 * mib  # the arena, which stop() does not touch
    assert played - stopped < 10 * mib
    assert stopped - dropped > 50 * mib


def test_forced_and_recognized_words_are_where_they_sound():
    """On the generated voice: forced within one output of the model, 20 ms, recognized near it."""
    texts = [
        "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea.",
        "It's 3.5 kilometres (or so) from the inn to Mrs. Jones's house: take bus no. 42!",
    ]
    answer = child(
        """
        from listen2lab.pipeline.forced import ForcedAligner
        from listen2lab.pipeline.recognizer import RecognizerAligner
        from listen2lab.pipeline.synthesis import Synthesizer

        voice = VoiceFiles(**given["voice"])
        synthesizer = Synthesizer(voice, Knobs(noise_scale_w=0.0), "/tmp")
        synthesizer.load()
        recognizer = RecognizerFiles(**given["recognizer"])
        forced, recognized = ForcedAligner(recognizer), RecognizerAligner(recognizer)
        answer = {"forced": [], "recognized": []}
        for text in given["texts"]:
            speech = synthesizer.synthesize(text)
            answer["forced"].append(forced.align(text, speech).words)
            answer["recognized"].append(recognized.align(text, speech).words)
        short = synthesizer.synthesize("Too short.")
        crowded = forced.align("far too many words for so little speech " * 3, short)
        answer["crowded"] = crowded.is_estimated, len(crowded.words), crowded.words[-1].end_s
        answer["short_s"] = short.seconds
        answer["held"] = forced.trellis_bytes, forced.peak_trellis_bytes > 0
        forced.close()
        try:
            forced.align("x", short)
        except EngineError as error:
            answer["closed"] = str(error)
        """,
        texts=texts,
    )
    known = [known_words(text) for text in texts]
    for name, tolerance_s, end_tolerance_s in (("forced", 0.02, 0.02), ("recognized", 0.04, 0.08)):
        for words, right in zip(answer[name], known, strict=True):
            assert [word[0] for word in words] == [word.text for word in right]
            assert max(abs(a[1] - b[1]) for a, b in zip(words, right, strict=True)) <= tolerance_s
            assert (
                max(abs(a[2] - b[2]) for a, b in zip(words, right, strict=True)) <= end_tolerance_s
            )
    is_estimated, n_words, end_s = answer["crowded"]
    assert (is_estimated, n_words) == (True, 24)
    assert end_s <= answer["short_s"]
    assert answer["held"] == [0, True]
    assert "was closed" in answer["closed"]


def test_the_worker_stays_light():
    """Reading imports the engine and numpy; the second engine only for forced alignment."""
    heavy, modules = child(
        """
        read(2, alignment="recognizer")
        answer = [sorted({name.partition(".")[0] for name in sys.modules}), [*sys.modules]]
        """
    )
    banned = (
        "pandas scipy matplotlib onnx onnxruntime kaldi_native_fbank typer rich msgspec jinja2 "
        "memray psutil"
    )
    assert set(heavy).isdisjoint(banned.split())
    rooms = {name.split(".")[1] for name in modules if name.startswith("listen2lab.")}
    assert rooms <= {"errors", "models", "pipeline", "texts", "units", "version"}


def test_what_cannot_be_read(tmp_path):
    """No paragraphs, or no recognizer where one is needed: an error before anything is loaded."""
    folder = voice()

    def make(texts, **knobs):
        return Listen2(
            texts,
            voice=check_voice(folder),
            recognizer=None,
            knobs=Knobs(**knobs),
            log=print,
            resident=lambda: 0,
            scratch=str(tmp_path),
        )

    with pytest.raises(InputError, match="no paragraph to read"):
        make([], alignment="off")
    for alignment in ("recognizer", "forced", "loaded"):
        with pytest.raises(InputError, match="needs a recognizer"):
            make(TEXTS, alignment=alignment)
