"""The synthesizer and its sessions, with the real engine in processes of their own."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from engine_child import run_child
from known_times import known_samples

from listen2lab.models import generate
from listen2lab.models.check import check_voice
from listen2lab.models.phonemes import sherpa_version
from listen2lab.pipeline.synthesis import wav_bytes

pytestmark = pytest.mark.engine

SHORT = "Hello world, this is a test"
THREE = "One. Two three? Four five six"
LONG = "a long word, " * 30


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """Ask one child everything that one process can answer."""
    scratch = tmp_path_factory.mktemp("scratch")
    return run_child(
        """
        import base64, os
        import sherpa_onnx
        from listen2lab.pipeline.synthesis import Synthesizer

        voice = VoiceFiles(**given["voice"])
        short, three, long = given["texts"]

        def synthesizer(**knobs):
            made = Synthesizer(voice, Knobs(**{"noise_scale_w": 0.0, **knobs}), given["scratch"])
            made.load()
            return made

        def refused(text, **kwargs):
            try:
                plain.synthesize(text, **kwargs)
            except LabError as error:
                return [type(error).__name__, str(error)]

        plain = synthesizer()
        speech = plain.synthesize(three)
        answer = {"wav": base64.b64encode(speech.wav).decode(), "stretches": speech.stretches}
        answer["samples"] = speech.n_samples, speech.sample_rate, speech.seconds
        config = sherpa_onnx.GenerationConfig()
        config.silence_scale = 1.0
        answer["engines_own"] = list(plain._session.generate(three, config).samples)
        answer["known"] = [plain.synthesize(text).n_samples for text in (short, three, long)]
        answer["empty"], answer["blank"] = refused(""), refused(" \\n")
        answer["at_limit"] = refused("\\u00e9" * 5000 + "x")
        answer["unspeakable"] = refused("\\u4f60\\u597d")
        answer["n_done"] = plain.n_done
        plain.cleanup()
        answer["cleaned"] = refused(short), plain.n_done
        plain.load()
        answer["reloaded"] = plain.synthesize(short).n_samples, plain.n_done

        answer["two_at_once"] = synthesizer(max_num_sentences=2).synthesize(three).stretches
        split = synthesizer(split_sentences_s=15.0)
        answer["split"] = split.synthesize(long).stretches
        answer["unsplit"] = split.synthesize(three).stretches
        random = synthesizer(noise_scale_w=0.8)
        answer["random"] = len({random.synthesize(short).n_samples for _ in range(6)})
        synthesizer(cpu_mem_arena=False, mem_pattern=False).synthesize(short)
        answer["left_behind"] = os.listdir(given["scratch"])
        """,
        texts=[SHORT, THREE, LONG],
        scratch=str(scratch),
    )


def test_the_wav_holds_what_the_engine_made(facts):
    """16 bits, one channel, the engine's samples within one step of rounding."""
    import base64

    n_samples, rate, seconds = facts["samples"]
    with wave.open(io.BytesIO(base64.b64decode(facts["wav"]))) as file:
        shape = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
        pcm = np.frombuffer(file.readframes(n_samples), "<i2")
    assert shape == (1, 2, 22050, n_samples)
    assert (rate, seconds) == (22050, n_samples / 22050)
    wanted = np.clip(np.array(facts["engines_own"]), -1, 1) * 32767
    assert len(pcm) == len(wanted)
    # The engine's noise differs between two calls; the tones, 0.25 loud, are the same.
    assert np.corrcoef(pcm, wanted)[0, 1] > 0.99
    assert np.abs(pcm).max() > 0.2 * 32767


def test_lengths_without_randomness_are_known(facts):
    """With noise_scale_w 0 the samples are those that the voice's table gives."""
    assert facts["known"] == [known_samples(text) for text in (SHORT, THREE, LONG)]


def test_stretches_are_the_sentences(facts):
    """One stretch a sentence, or what max_num_sentences puts together; they sum to all."""
    assert len(facts["stretches"]) == 3
    assert sum(facts["stretches"]) == facts["samples"][0]
    first, second, third = facts["stretches"]
    assert facts["two_at_once"] == [first + second, third]


def test_texts_that_cannot_be_spoken(facts):
    """Empty, too long in bytes, without a known character: an error that says what to do."""
    for name in ("empty", "blank"):
        assert facts[name] == [
            "TextError",
            "the paragraph is empty; nothing was synthesized; leave it out",
        ]
    kind, words = facts["at_limit"]
    assert kind == "TextError"
    assert "10,001 bytes" in words
    kind, words = facts["unspeakable"]
    assert kind == "EngineError"
    assert "no sound" in words


def test_cleanup_and_load(facts):
    """Without a session there is an error; a new one works and is counted."""
    assert facts["n_done"] == 4
    (kind, words), n_done = facts["cleaned"]
    assert (kind, n_done) == ("EngineError", 0)
    assert "load()" in words
    assert facts["reloaded"] == [known_samples(SHORT), 1]


def test_splitting_shortens_the_longest_stretch(facts):
    """Sentences over 15 s are cut, and texts without one are left as they are."""
    assert max(facts["split"]) <= 15 * 22050 < facts["known"][2]
    assert sum(facts["split"]) > 0.98 * facts["known"][2]
    assert facts["unsplit"] == facts["stretches"]


def test_durations_are_random_with_the_engines_default(facts):
    """At 0.8 the same text has another length every time."""
    assert facts["random"] >= 4


def test_no_options_file_stays(facts):
    """The file of session options lives only while the session is built."""
    assert facts["left_behind"] == []


def _levels(**knobs):
    return run_child(
        """
        from listen2lab.pipeline.synthesis import Synthesizer

        knobs = Knobs(noise_scale_w=0.0, **given["knobs"])
        synthesizer = Synthesizer(VoiceFiles(**given["voice"]), knobs, "/tmp")
        synthesizer.load()
        answer = [settled()]
        for _ in range(2):
            synthesizer.synthesize("a long word, " * 30)
            answer.append(settled())
        synthesizer.cleanup()
        answer.append(settled())
        """,
        knobs=knobs,
    )


@pytest.mark.slow
def test_the_session_options_reach_onnx_runtime():
    """Without the arena a long sentence's memory goes back; without the pattern no second step."""
    mib = 1024 * 1024
    loaded, first, second, dropped = _levels()
    assert first - loaded > 60 * mib
    assert second - first > 30 * mib  # the memory pattern of a shape that comes again
    assert dropped - loaded < 30 * mib
    loaded, first, second, _ = _levels(mem_pattern=False)
    assert first - loaded > 60 * mib
    assert second - first < 10 * mib
    loaded, first, second, _ = _levels(cpu_mem_arena=False, mem_pattern=False)
    assert second - loaded < 30 * mib


def test_the_number_of_threads_reaches_onnx_runtime():
    """A session with three threads has more of them than one with one."""
    few, many = run_child(
        """
        import os
        import numpy  # which may start threads of its own
        from listen2lab.pipeline.synthesis import Synthesizer

        def added(n):
            before = len(os.listdir("/proc/self/task"))
            made = Synthesizer(VoiceFiles(**given["voice"]), Knobs(num_threads=n), "/tmp")
            made.load()
            made.synthesize("some words")
            return len(os.listdir("/proc/self/task")) - before

        answer = added(1), added(3)
        """
    )
    assert few == 0
    assert many >= 2


def test_sessions():
    """Shared or one each, recreated, changed: as many as the knobs say, at any moment."""
    answer = run_child(
        """
        import threading, weakref
        from concurrent.futures import ThreadPoolExecutor
        from listen2lab.pipeline.sessions import Sessions
        from listen2lab.pipeline.synthesis import Synthesizer

        voice = VoiceFiles(**given["voice"])

        def sessions(**knobs):
            made = Sessions(voice, Knobs(noise_scale_w=0.0, **knobs), "/tmp")
            made.create()
            return made

        def read(made, n):
            with ThreadPoolExecutor(4) as pool:
                texts = [f"some words {k}" for k in range(n)]
                speeches = list(pool.map(made.synthesize, texts))
            return len({speech.n_samples for speech in speeches})

        answer = {}
        shared, each = sessions(in_flight=3), sessions(in_flight=3, sessions="each")
        answer["lengths"] = read(shared, 6), read(each, 6)
        answer["created"] = shared.n_created, each.n_created
        each.create()
        answer["again"] = each.n_created
        each.drop()
        try:
            each.synthesize("some words")
        except EngineError as error:
            answer["error"] = str(error)

        often = sessions(session_every=2)
        created = []
        for k in range(5):
            often.synthesize("some words")
            created.append(often.n_created)
        answer["session_every"] = created
        long = sessions(recreate_after_s=2.0)
        created = []
        for text in ("some words", "some more words, of which there are many", "some words"):
            long.synthesize(text)
            created.append(long.n_created)
        answer["recreate_after_s"] = created
        busy = sessions(session_every=1, in_flight=2, sessions="each")
        answer["busy"] = read(busy, 6), busy.n_created

        changed = sessions()
        before = weakref.ref(changed._all[0]._session)
        load, there = Synthesizer.load, []
        Synthesizer.load = lambda self: (there.append(before() is not None), load(self))
        changed.change_voice()
        answer["changed"] = there, before() is None, changed.n_created
        """
    )
    assert answer["lengths"] == [1, 1]
    assert answer["created"] == [1, 3]
    assert answer["again"] == 3
    assert "no engine session" in answer["error"]
    assert answer["session_every"] == [1, 2, 2, 3, 3]
    assert answer["recreate_after_s"] == [1, 2, 2]
    assert answer["busy"][0] == 1
    assert 2 < answer["busy"][1] <= 8
    assert answer["changed"] == [[True], True, 2]  # as in the app, the old is there meanwhile


def test_phonemes_reach_the_engine(tmp_path):
    """On the route of a real Piper voice, the phonemes' codepoints are what is spoken."""
    generate.build_voice("tiny", tmp_path / "piper", route="codepoints")
    if sherpa_version().startswith("1."):  # which phonemizes by itself, and never takes this route
        assert check_voice(tmp_path / "piper", needs_route=False).route == "espeak-data"
        return
    n_samples, stretches = run_child(
        """
        from listen2lab.models import phonemes
        from listen2lab.pipeline.synthesis import Synthesizer

        folder = given["folder"]
        voice = VoiceFiles(folder, folder + "/model.onnx", 0, folder + "/tokens.txt", "phonemes",
                           "", "xx", 22050, 1, "tones")
        # espeak-ng is not under test: each sentence is spelled.
        phonemes.phonemize = lambda text, voice: [list(map(ord, s)) for s in text.split(".")]
        synthesizer = Synthesizer(voice, Knobs(noise_scale_w=0.0), "/tmp")
        synthesizer.load()
        speech = synthesizer.synthesize("one two.three")
        answer = speech.n_samples, speech.stretches
        """,
        folder=str(tmp_path / "piper"),
    )
    assert len(stretches) == 2
    assert sum(stretches) == n_samples > 20_000


def test_a_wav_is_what_the_standard_library_reads():
    """Also for no samples at all; 44 bytes of header and the samples."""
    for chunks in ([], [b"\x01\x02", b"\x03\x04\x05\x06"]):
        made = wav_bytes(chunks, 16000)
        assert made[44:] == b"".join(chunks)
        with wave.open(io.BytesIO(made)) as file:
            assert file.getframerate() == 16000
            assert file.readframes(9) == b"".join(chunks)


def test_the_engine_at_hand_takes_entries_of_its_configuration():
    """By its own strings and by what it does: a device's allocator for weights, known and not."""
    answer = run_child(
        """
        from listen2lab.pipeline.knobs import knobs_from
        from listen2lab.pipeline.session_options import (
            ignored_options, loaded_libraries, session_options,
        )
        from listen2lab.pipeline.synthesis import Synthesizer

        def made(**config):
            knobs = knobs_from({"noise_scale_w": 0.0, "session_config": config})
            made = Synthesizer(VoiceFiles(**given["voice"]), knobs, "/tmp")
            made.load()
            ignored = ignored_options(session_options(knobs), loaded_libraries())
            return made.synthesize("some words").n_samples, ignored

        plain = made()
        answer = {
            "plain": plain,
            "known": made(**{"session.disable_prepacking": "1"}),
            "unknown": made(**{"session.no_such_entry": "1"}),
        }
        try:
            made(**{"session.load_model_format": "ORT"})
        except Exception as error:
            answer["refused"] = str(error)
        """
    )
    if sherpa_version().startswith("1.12"):
        return
    n_samples, ignored = answer["plain"]
    assert ignored == {}
    assert answer["known"] == [n_samples, {}]
    code = "runtime-ignores-option"
    assert "refused" in answer  # a graph of the other format was asked for, and this is none
    assert answer["unknown"] == [n_samples, {"SessionConfig.session.no_such_entry": code}]
