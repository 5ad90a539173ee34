"""The generated models, on the real engine: known lengths, a recognizer that reads, the cache."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_times import heard, known_samples, known_timing, known_words
from scipy.signal import resample_poly

from listen2lab.errors import InputError, UnknownNameError, VoiceError
from listen2lab.models import generate
from listen2lab.models.alphabet import ALPHABET, BLANK_FRAMES, HOP, SAMPLE_RATE
from listen2lab.models.features import log_mel, resample

# Nothing of these was in what the recognizer is fitted on, which is random letters.
READ_TEXTS = [
    "The kettle had been singing for a while before anyone thought of tea; the yard lay under fog.",
    '"You will miss the 7:45," she said - and he did, by a minute or two, as on most days!',
    "ISBN 978-3-16-148410-0, telephone +44 20 7946 0958, postcode EC1A 1BB. Printed in 2019.",
    "Whole files: for name in sorted(files): print(name, sizes[name] / 1024) # in KiB",
    "Zoë's café in Århus sells crème brûlée, jalapeño soup and — on Fridays — Käsespätzle…",
    "Little balloons, gathered in committee, swiftly passed all hills of Tennessee.",
]
LENGTH_TEXTS = [
    "hello world",
    "Hello, World. How are you? Fine! Dots... and: more",
    "Ends in a dot.",
    "Capital É, “quoted” – naïve… and a space at the end ",
    "a new\nline, a\ttab, 日本 and a snow\u00adman",
    "snake_case costs $5 ^ 2",
    "a",
    "?!.:",
    "  quiet   for   longer   than   0.2 s ,,,,,,,,          ",
]
SPEEDS = [1.0, 0.5, 0.8, 0.92, 1.15, 1.3, 2.0]


def in_engine(script, *arguments):
    """Run a script on the engine in its own process: a bad model would end this one."""
    prelude = """
        import json, sys
        import numpy as np
        import sherpa_onnx

        def voice(folder, noise_scale_w, max_num_sentences=1):
            vits = sherpa_onnx.OfflineTtsVitsModelConfig(
                model=f"{folder}/model.onnx",
                tokens=f"{folder}/tokens.txt",
                noise_scale_w=noise_scale_w,
            )
            model = sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=2)
            config = sherpa_onnx.OfflineTtsConfig(
                model=model, max_num_sentences=max_num_sentences
            )
            return sherpa_onnx.OfflineTts(config)

        def recognizer(folder):
            return sherpa_onnx.OfflineRecognizer.from_nemo_ctc(
                model=f"{folder}/model.onnx", tokens=f"{folder}/tokens.txt", num_threads=1
            )

        def read(recognizer, samples):
            stream = recognizer.create_stream()
            stream.accept_waveform(16000, samples)
            recognizer.decode_stream(stream)
            return stream.result

        given = json.load(sys.stdin)
    """
    whole = textwrap.dedent(prelude) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", whole],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with the tiny voice."""
    folder = tmp_path_factory.mktemp("voices")
    generate.ensure("tiny", folder)
    return folder


@pytest.fixture(scope="module")
def root(small):
    """Return a folder with the tiny and medium voice and the recognizer: half a minute's work."""
    for name in ("medium", "recognizer"):
        generate.ensure(name, small)
    return small


# What the engine makes of a text


@pytest.mark.engine
def test_number_of_samples_is_known(small):
    """Sentences, unknown characters, pauses and speeds come out as `known_samples` says."""
    script = """
        folder, texts, speeds = given
        one, five = voice(folder, 0.0), voice(folder, 0.0, 5)
        counts = [[len(one.generate(t, 0, s).samples) for s in speeds] for t in texts]
        print(json.dumps([counts, [len(five.generate(t).samples) for t in texts]]))
    """
    counts, batched = in_engine(script, str(small / "tiny"), LENGTH_TEXTS, SPEEDS)
    for text, of_text in zip(LENGTH_TEXTS, counts, strict=True):
        assert of_text == [known_samples(text, speed) for speed in SPEEDS], text
    assert batched == [known_samples(text) for text in LENGTH_TEXTS]


@pytest.mark.engine
def test_durations_are_random_with_noise(small):
    """With the app's noise a text has another length every call, and the same on average."""
    script = """
        folder, text = given
        tts = voice(folder, 0.8)
        print(json.dumps([len(tts.generate(text).samples) for _ in range(12)]))
    """
    text = READ_TEXTS[0]
    counts = in_engine(script, str(small / "tiny"), text)
    assert len(set(counts)) >= 6  # of some 80 likely lengths, so that two may be the same
    assert np.mean(counts) == pytest.approx(known_samples(text), rel=0.05)


@pytest.mark.engine
def test_codepoints_route(tmp_path):
    """A voice for phoneme codepoints speaks them, with a begin and an end of each sentence."""
    import sherpa_onnx

    if not hasattr(sherpa_onnx, "GenerationConfig") or not hasattr(
        sherpa_onnx.GenerationConfig(), "phoneme_codepoints"
    ):
        pytest.skip("this version of sherpa-onnx takes no codepoints")
    generate.build_voice("tiny", tmp_path, route="codepoints")
    script = """
        folder, sentences = given
        config = sherpa_onnx.GenerationConfig()
        config.phoneme_codepoints = [[ord(c) for c in s] for s in sentences]
        print(json.dumps(len(voice(folder, 0.0).generate("", config).samples)))
    """
    sentences = ["hello there", " again"]
    count = in_engine(script, str(tmp_path), sentences)
    framed = 2 * 2 * BLANK_FRAMES * HOP
    assert count == sum(map(known_samples, sentences)) + framed


# The recognizer


def _edits(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize(("size", "texts"), [("tiny", READ_TEXTS), ("medium", READ_TEXTS[:3])])
def test_recognizer_reads_the_voice(root, size, texts, noise):
    """It reads texts it was not fitted on, and hears each character when it sounds."""
    script = """
        from listen2lab.models.features import resample

        voice_folder, recognizer_folder, noise, texts = given
        tts, asr = voice(voice_folder, noise), recognizer(recognizer_folder)
        results = []
        for text in texts:
            samples = np.array(tts.generate(text).samples, np.float32)
            result = read(asr, resample(samples, 22050, 16000))
            results.append([result.text, result.tokens, result.timestamps])
        print(json.dumps(results))
    """
    folders = str(root / size), str(root / "recognizer")
    results = in_engine(script, *folders, noise, texts)
    wrong, errors_s = 0, []
    for text, (read_text, tokens, times) in zip(texts, results, strict=True):
        expected = heard(text)
        read = "".join(tokens).replace("▁", " ")
        wrong += _edits(expected, read)
        assert read_text.strip() == read.strip()
        if read == expected:
            known = [i.start_s for i in known_timing(text) if heard(i.text)]
            errors_s.extend(np.subtract(times, known))
    allowed = 0.005 if noise == 0 else 0.01  # random durations blur a character now and then
    assert wrong <= allowed * len(heard("".join(texts)))
    if noise == 0:
        assert len(errors_s) > 150
        assert np.abs(errors_s).max() <= 0.020


@pytest.mark.slow
@pytest.mark.engine
def test_log_probs_read_as_the_engine_does(root):
    """The features module and onnxruntime give the log-probabilities that the engine decodes."""
    import onnxruntime

    script = """
        from listen2lab.models.features import resample

        voice_folder, recognizer_folder, text = given
        samples = np.array(voice(voice_folder, 0.0).generate(text).samples, np.float32)
        samples = resample(samples, 22050, 16000)
        result = read(recognizer(recognizer_folder), samples)
        print(json.dumps([samples.tolist(), result.tokens, result.timestamps]))
    """
    folder = root / "recognizer"
    samples, tokens, times = in_engine(script, str(root / "tiny"), str(folder), READ_TEXTS[0])
    frames = log_mel(np.array(samples, np.float32))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    feed = {"audio_signal": frames.T[None], "length": np.array([len(frames)])}
    (log_probs,) = session.run(["logprobs"], feed)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1, atol=1e-4)

    facts = json.loads((folder / "recognizer.json").read_text())
    lines = (folder / "tokens.txt").read_text(encoding="utf-8").splitlines()
    symbols = [line.rsplit(" ", 1)[0] for line in lines]
    assert symbols[facts["blank"]] == "<blk>"
    best = log_probs[0, : len(frames) // facts["subsampling"]].argmax(axis=1)
    starts = [k for k, b in enumerate(best) if b != facts["blank"] and (k == 0 or b != best[k - 1])]
    assert [symbols[best[k]].replace("▁", " ") for k in starts] == tokens
    np.testing.assert_allclose([k * facts["subsampling"] * 0.01 for k in starts], times, atol=1e-4)


@pytest.mark.engine
def test_log_mel_is_what_the_engine_feeds(tmp_path):
    """A model that answers with one bin's level shows the engine's own frames to 0.01."""
    from onnx import TensorProto, helper, numpy_helper, save

    levels = (np.arange(701, dtype=np.float32) - 300) / 50
    bins = [0, 5, 17, 79]  # the first ones are nearly silent
    for place in bins:
        # the level nearest to f has the largest 2 f l - l**2
        weights = np.zeros((702, 80, 1), np.float32)
        weights[:701, place, 0] = 2 * levels
        offsets = np.append(-(levels**2), np.float32(-1e9))
        nodes = [
            helper.make_node("Conv", ["x", "weights", "offsets"], ["y"]),
            helper.make_node("Transpose", ["y"], ["scores"], perm=[0, 2, 1]),
        ]
        graph = helper.make_graph(
            nodes,
            "bin",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 80, "t"]),
                helper.make_tensor_value_info("length", TensorProto.INT64, [1]),
            ],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "t", 702])],
            [
                numpy_helper.from_array(weights, "weights"),
                numpy_helper.from_array(offsets, "offsets"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        props = {"vocab_size": "701", "subsampling_factor": "1", "normalize_type": "per_feature"}
        helper.set_model_props(model, props)
        folder = tmp_path / str(place)
        folder.mkdir()
        save(model, folder / "model.onnx")
        lines = [f"v{k} {k}\n" for k in range(701)]
        (folder / "tokens.txt").write_text("".join([*lines, "<blk> 701\n"]))

    random = np.random.default_rng(3)
    time_s = np.arange(24123) / 16000
    samples = np.sin(2 * np.pi * (200 + 900 * time_s) * time_s) * 0.3
    samples = (samples + random.normal(0, 0.01, len(samples))).astype(np.float32)
    script = """
        folders, samples = given
        results = [read(recognizer(folder), np.array(samples, np.float32)) for folder in folders]
        print(json.dumps([[r.tokens, r.timestamps] for r in results]))
    """
    results = in_engine(script, [str(tmp_path / str(b)) for b in bins], samples.tolist())
    frames = log_mel(samples)
    assert frames.shape == (151, 80)
    for place, (tokens, times) in zip(bins, results, strict=True):
        seen = np.full(len(frames), np.nan)
        for token, start_s in zip(tokens, times, strict=True):
            seen[round(start_s / 0.01) :] = levels[int(token[1:])]
        np.testing.assert_allclose(frames[:, place], seen, atol=0.0101)


# Resampling


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22050, 16000), (44100, 16000), (8000, 16000)])
def test_resample_agrees_with_scipy(from_hz, to_hz):
    """Below the transition band it does what scipy's polyphase filter does, at any chunk."""
    random = np.random.default_rng(0)
    count, lowest = 40_000, min(from_hz, to_hz)
    time_s = np.arange(count) / from_hz
    tones_hz = random.uniform(50, 0.85 * lowest / 2, 12)
    samples = sum(np.sin(2 * np.pi * f * time_s + f) for f in tones_hz).astype(np.float32) / 12
    common = np.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    expected = resample_poly(samples.astype(float), up, down, window=("kaiser", 12.0))
    got = resample(samples, from_hz, to_hz)
    assert got.dtype == np.float32
    assert len(got) == len(expected)
    at_s = np.arange(len(got)) / to_hz
    exact = sum(np.sin(2 * np.pi * f * at_s + f) for f in tones_hz) / 12
    inside = slice(200, -200)
    np.testing.assert_allclose(got[inside], exact[inside], atol=2e-3)
    assert np.corrcoef(got[inside], expected[inside])[0, 1] > 0.999


def test_resample_removes_what_would_fold_back():
    """A tone above the new Nyquist frequency does not come back as another one."""
    samples = np.sin(2 * np.pi * 9000 * np.arange(22050) / 22050).astype(np.float32)
    assert np.abs(resample(samples, 22050, 16000)[200:-200]).max() < 1e-3


def test_resample_needs_little_memory():
    """Beside input and output it needs some MB, however long the recording."""
    samples = np.zeros(22050 * 60, np.float32)
    resample(samples[:100], 22050, 16000)
    tracemalloc.start()
    result = resample(samples, 22050, 16000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < samples.nbytes + result.nbytes + 12e6


def test_resample_edges():
    """Equal rates and no samples pass; a rate that is not positive is an error."""
    samples = np.arange(5, dtype=np.float32)
    assert resample(samples, 16000, 16000) is samples
    assert len(resample(samples[:0], 22050, 16000)) == 0
    assert len(resample(samples[:1], 22050, 16000)) == 1
    with pytest.raises(InputError, match="positive"):
        resample(samples, 0, 16000)


# Known times


@given(st.text(), st.sampled_from(SPEEDS))
def test_known_times_hold_together(text, speed):
    """Times follow each other inside the audio, and words cover the characters they consist of."""
    timing = known_timing(text, speed)
    words = known_words(text, speed)
    end_s = known_samples(text, speed) / SAMPLE_RATE
    for intervals in (timing, words):
        times = [t for i in intervals for t in (i.start_s, i.end_s)]
        assert times == sorted(times)
        assert not times or (times[0] > 0 and times[-1] < end_s)
    spoken = [c for c in text if c in ALPHABET]
    assert [i.text for i in timing] == spoken
    speakable = [w for w in text.split() if any(c in ALPHABET for c in w)]
    assert [w.text for w in words] == speakable


def test_known_words_begin_with_their_first_character():
    """A word sounds from its first to its last character; the blank after it is not its."""
    words = known_words("ab cd")
    frames = [(round(w.start_s * 22050 / 256), round(w.end_s * 22050 / 256)) for w in words]
    assert frames == [(2, 14), (23, 35)]


def test_heard_is_what_sounds():
    """Capitals, typographic quotes and rarer accents are heard as their plain characters."""
    assert heard("“Él” said Łukasz’s $_^日 mother") == '"él" said lukasz\'s  mother'


# The cache


def test_same_seed_same_bytes(small, tmp_path):
    """A voice is a function of its size and seed."""
    for seed in (0, 1):
        generate.build_voice("tiny", tmp_path / str(seed), seed=seed)
    assert generate.content_hash(tmp_path / "0") == generate.content_hash(small / "tiny")
    assert generate.content_hash(tmp_path / "1") != generate.content_hash(small / "tiny")


@pytest.mark.slow
@pytest.mark.engine
def test_same_seed_same_recognizer(small, tmp_path):
    """The recognizer's texts, noise and sums repeat."""
    from listen2lab.models import ctc as _ctc

    models = []
    for seed in (0, 0, 1):
        _ctc.write_recognizer(tmp_path, small / "tiny" / "model.onnx", seed)
        models.append((tmp_path / "model.onnx").read_bytes())
    assert models[0] == models[1] != models[2]


def _truncate(folder):
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])


def _flip(folder):
    model = folder / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)


def _other(key, value):
    def change(folder):
        stamp = folder / "voice.json"
        stamp.write_text(json.dumps({**json.loads(stamp.read_text()), key: value}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip,
        lambda folder: (folder / "tokens.txt").unlink(),
        lambda folder: (folder / "voice.json").write_text("[]"),
        _other("format_version", -1),
        _other("seed", 7),
        _other("files", {}),
    ],
    ids=["truncated", "one bit", "no tokens", "bad stamp", "version", "seed", "no hashes"],
)
def test_ensure_rebuilds_what_is_damaged(small, tmp_path, damage):
    """Whatever is wrong with a folder, it is whole again afterwards, and nothing is left over."""
    generate.build_voice("tiny", tmp_path / "tiny")
    (tmp_path / ".tiny-left").mkdir()
    damage(tmp_path / "tiny")
    folder = generate.ensure("tiny", tmp_path)
    assert generate.content_hash(folder) == generate.content_hash(small / "tiny")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "tiny"]


@pytest.mark.slow
def test_ensure_keeps_what_is_sound(root):
    """A second call builds nothing."""
    before = (root / "recognizer" / "model.onnx").stat().st_mtime_ns
    generate.ensure("recognizer", root)
    assert (root / "recognizer" / "model.onnx").stat().st_mtime_ns == before


def test_ensure_from_two_processes(tmp_path, small):
    """Two processes that ask at once both get the whole voice."""
    command = (
        "import sys; from pathlib import Path; from listen2lab.models import generate as v; "
        "print(v.content_hash(v.ensure('tiny', Path(sys.argv[1]))))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", command, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    hashes = {process.communicate(timeout=60)[0].strip() for process in both}
    assert hashes == {generate.content_hash(small / "tiny")}


def test_ensure_errors(tmp_path, monkeypatch):
    """An unknown name, a place that cannot be written and a build that fails say so."""
    with pytest.raises(UnknownNameError, match="'medium'"):
        generate.ensure("medum", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(VoiceError, match="cannot be built"):
        generate.ensure("tiny", tmp_path / "file")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "onnx.py").write_text("raise ImportError('no onnx here')")
    with pytest.raises(VoiceError, match="no onnx here"):
        generate.ensure("tiny", tmp_path)
    assert not (tmp_path / "tiny").exists()
    with pytest.raises(UnknownNameError, match="'tiny'"):
        generate.build_voice("tyny", tmp_path)


def test_content_hash_sees_names_and_bytes(tmp_path):
    """Another byte, name or file is another hash; hidden files are not."""
    (tmp_path / "a").write_text("x")
    hashes = [generate.content_hash(tmp_path)]
    (tmp_path / ".hidden").write_text("y")
    assert generate.content_hash(tmp_path) == hashes[0]
    (tmp_path / "a").write_text("z")
    hashes.append(generate.content_hash(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    hashes.append(generate.content_hash(tmp_path))
    (tmp_path / "c").write_text("")
    hashes.append(generate.content_hash(tmp_path))
    assert len(set(hashes)) == 4


@pytest.mark.slow
def test_lookup_imports_nothing_of_weight(root):
    """Finding a built model costs neither onnx nor numpy."""
    command = (
        "import sys; from pathlib import Path; from listen2lab.models import generate as v; "
        "v.ensure('recognizer', Path(sys.argv[1])); "
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'sherpa_onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
