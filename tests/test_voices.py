"""A folder that the engine would end the process on is refused first, with a reason."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import model_bytes

from listen2lab.errors import TextError, VoiceError
from listen2lab.models import phonemes
from listen2lab.models.check import check_recognizer, check_voice
from listen2lab.models.generate import build_voice
from listen2lab.models.onnx_file import metadata_entries, read_model
from listen2lab.models.phonemes import sherpa_version
from listen2lab.models.voices import (
    RecognizerFiles,
    VoiceFiles,
    read_tokens,
    require_unchanged,
)

ROOT = Path(__file__).parents[1]
VOICE = {
    "comment": "piper",
    "language": "English",
    "voice": "en-us",
    "sample_rate": "22050",
    "n_speakers": "1",
}
RECOGNIZER = {"vocab_size": "4", "subsampling_factor": "2", "normalize_type": "per_feature"}
TOKENS = "_ 0\n^ 1\n$ 2\n  3\na 4\nA 4\n\u00a0 3\n"
HEARD = "a 0\n▁b 1\n  2\n<blk> 3\n"
CONFIG = {
    "audio": {"sample_rate": 22050},
    "espeak": {"voice": "en-us"},
    "phoneme_type": "espeak",
    "num_speakers": 1,
    "language": {"name_english": "English"},
    "phoneme_id_map": {"_": [0], "^": [1], "$": [2], " ": [3], "a": [4], "aɪ": [5], "\n": [6]},
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Build the tiny generated voice once."""
    folder = tmp_path_factory.mktemp("voices") / "tiny"
    build_voice("tiny", folder)
    return folder


@pytest.fixture
def voice(tmp_path):
    """Return a function that writes a voice folder; None leaves a file out."""

    def write(model=None, tokens=TOKENS, metadata=None, name="model.onnx", **extra):
        folder = tmp_path / "voice"
        folder.mkdir(exist_ok=True)
        if model is None:
            model = model_bytes({**VOICE, "frontend": "characters", **(metadata or {})})
        (folder / name).write_bytes(model)
        if tokens is not None:
            (folder / "tokens.txt").write_bytes(tokens.encode())
        for file, content in extra.items():
            (folder / file).write_text(content)
        return folder

    return write


@pytest.fixture
def recognizer(tmp_path):
    """Return a function that writes a recognizer folder."""

    def write(metadata=RECOGNIZER, tokens=HEARD, name="model.onnx", inputs=("x", "n")):
        folder = tmp_path / "recognizer"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(model_bytes(metadata, inputs))
        (folder / "tokens.txt").write_bytes(tokens.encode())
        return folder

    return write


@pytest.fixture
def raw(tmp_path):
    """Return a function that writes a voice as Piper's own project hands it out."""

    def write(config=CONFIG, metadata=()):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        (folder / "en_US-x-low.onnx").write_bytes(model_bytes(dict(metadata)))
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / "en_US-x-low.onnx.json").write_text(text)
        return folder

    return write


def run(code, *arguments):
    """Run code in its own process, because the engine may end it."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip


# Reading a model


def test_a_model_says_what_it_is(tiny):
    """Metadata, inputs and size of the lab's own voice."""
    facts = read_model(tiny / "model.onnx")
    assert facts.metadata["frontend"] == "characters"
    assert facts.metadata["sample_rate"] == "22050"
    assert facts.inputs == ("input", "input_lengths", "scales")
    assert facts.n_bytes == (tiny / "model.onnx").stat().st_size


def test_appended_metadata_belong_to_the_model(tiny, tmp_path):
    """Bytes at the end are read as metadata, and the model stays a valid one."""
    path = tmp_path / "model.onnx"
    path.write_bytes((tiny / "model.onnx").read_bytes() + metadata_entries({"häh": "x" * 300}))
    facts = read_model(path)
    assert facts.metadata["häh"] == "x" * 300
    assert facts.metadata["sample_rate"] == "22050"
    onnx.checker.check_model(onnx.load(path))


def test_every_truncation_is_noticed_or_loses_only_metadata(tmp_path):
    """A model cut at any byte is refused; only whole trailing fields can go unnoticed."""
    whole = model_bytes(VOICE)
    path = tmp_path / "model.onnx"
    unnoticed = 0
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        try:
            facts = read_model(path)
        except VoiceError:
            continue
        unnoticed += 1
        assert facts.inputs == ("input", "input_lengths", "scales")
        assert len(facts.metadata) < len(VOICE)
    assert unnoticed == len(VOICE)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_real_model_cut_anywhere_is_refused(tiny, tmp_path_factory, share):
    """The weights are most of the file: a download that stopped is found by lengths."""
    whole = (tiny / "model.onnx").read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.onnx"
    path.write_bytes(whole[: int(share * (len(whole) - 1000))])
    with pytest.raises(VoiceError, match=r"is empty|not a whole ONNX model"):
        read_model(path)


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_models_raise_nothing_else(tmp_path_factory, data):
    """Changed bytes or mere noise: facts or a VoiceError, and soon."""
    path = tmp_path_factory.getbasetemp() / "fuzz.onnx"
    if data.draw(st.booleans()):
        content = bytearray(model_bytes(VOICE))
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    else:
        content = data.draw(st.binary(max_size=200))
    path.write_bytes(content)
    start = time.monotonic()
    try:
        facts = read_model(path)
    except VoiceError:
        facts = None
    assert facts is None or facts.n_bytes == len(content)
    assert time.monotonic() - start < 1


def test_endless_fields_are_refused_soon(tmp_path):
    """Megabytes of two-byte fields are no model, and take no time."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x01" * 5_000_000)
    start = time.process_time()
    with pytest.raises(VoiceError, match="not a whole ONNX model"):
        read_model(path)
    assert time.process_time() - start < 5


def test_a_sparse_giant_is_refused_unread(tmp_path):
    """A file larger than protobuf allows is not taken into memory."""
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(VoiceError, match="over 2 GiB"):
        read_model(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>not found</html>", "not a whole ONNX model"),
        (model_bytes(VOICE)[:-1], "not a whole ONNX model"),
        (b"\x08\x08", "no version, operator set or graph"),
    ],
)
def test_files_that_are_no_model_say_what_they_are(voice, content, words):
    """An empty file, a pointer, a web page, a truncated download."""
    with pytest.raises(VoiceError, match=words):
        check_voice(voice(content))


# Voices


def test_a_generated_voice_is_read_by_characters(tiny):
    """The lab's own folder needs nothing but the engine, of either version."""
    for version in ("1.13.8", "2.0.1", None):
        files = check_voice(tiny, version)
        assert files.route == "characters"
        assert files.folder == str(tiny)
        assert files.model == str(tiny / "model.onnx")
        assert files.tokens == str(tiny / "tokens.txt")
        assert (files.sample_rate, files.n_speakers) == (22050, 1)
        assert files.data_dir == files.espeak_voice == ""


def test_a_relative_folder_becomes_absolute(voice, monkeypatch):
    """A worker may run elsewhere."""
    folder = voice()
    monkeypatch.chdir(folder.parent)
    assert check_voice("voice").model == str(folder / "model.onnx")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"sample_rate": ""}, "lack 'sample_rate'"),
        ({"sample_rate": "-5"}, "sample_rate is '-5'"),
        ({"sample_rate": "22k"}, "sample_rate is '22k'"),
        ({"sample_rate": "٢٢٠٥٠"}, "sample_rate is"),
        ({"n_speakers": ""}, "lack 'n_speakers'"),
        ({"language": ""}, "lack 'language'"),
        ({"comment": ""}, "lack 'comment'"),
        ({"comment": "coqui"}, "no Piper voice"),
        ({"blank_id": "-1"}, "blank_id is '-1'"),
    ],
)
def test_metadata_that_end_the_process_are_refused(voice, metadata, words):
    """Each key that the engine insists on, missing or not a number."""
    with pytest.raises(VoiceError, match=words):
        check_voice(voice(metadata=metadata))


def test_other_inputs_are_refused(voice):
    """A VITS model with another interface could be loaded and not run."""
    model = model_bytes({**VOICE, "frontend": "characters"}, ("x", "x_lengths", "noise_scale"))
    with pytest.raises(VoiceError, match="takes x, x_lengths, noise_scale"):
        check_voice(voice(model))


BAD_TOKENS = {
    "": "is empty",
    "version https://git-lfs.github.com/spec/v1\n": "Git LFS pointer",
    TOKENS + "\n": "is not a token and its number",
    TOKENS + "b c 5\n": "is not a token and its number",
    TOKENS + "b\n": "is not a token and its number",
    TOKENS + "b x\n": "is not a token and its number",
    TOKENS + "b -1\n": "is not a token and its number",
    TOKENS + "bc 5\n": "has 2 characters",
    TOKENS + "a 5\n": "line 8.* listed twice",
    TOKENS.replace("\n", "\r\n"): "line 4.*Windows line ends",
    TOKENS.replace("  3\n", ""): "lists no space",
}


@pytest.mark.parametrize("tokens", BAD_TOKENS)
def test_tokens_that_end_the_process_are_refused(voice, tokens):
    """Each kind of line that the engine does not accept, with its number."""
    with pytest.raises(VoiceError, match=BAD_TOKENS[tokens]):
        check_voice(voice(tokens=tokens))


def test_tokens_are_cut_at_ascii_whitespace_only(tmp_path):
    """A no-break space is a token; IDs may be shared; special names are passed over."""
    path = tmp_path / "tokens.txt"
    path.write_text(TOKENS + "<PAD> 9\n", encoding="utf-8")
    ids = read_tokens(str(path), single_characters=True)
    assert ids == {"_": 0, "^": 1, "$": 2, " ": 3, "a": 4, "A": 4, "\u00a0": 3}


@given(st.binary(max_size=60))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_as_tokens_are_a_table_or_an_error(tmp_path_factory, content):
    """Noise raises nothing but a VoiceError."""
    path = tmp_path_factory.getbasetemp() / "tokens.txt"
    path.write_bytes(content)
    for single in (True, False):
        try:
            table = read_tokens(str(path), single_characters=single)
        except VoiceError:
            continue
        assert all(number >= 0 for number in table.values())


def test_missing_and_several_models_are_refused(voice, tmp_path):
    """The folder must leave no doubt which model is meant."""
    with pytest.raises(VoiceError, match="does not exist"):
        check_voice(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(VoiceError, match="is a file; give the folder"):
        check_voice(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VoiceError, match=r"no \.onnx model"):
        check_voice(tmp_path / "empty")
    folder = voice(name="one.onnx")
    assert check_voice(folder).model.endswith("one.onnx")
    voice(name="two.onnx")
    with pytest.raises(VoiceError, match=r"several models \(one.onnx, two.onnx"):
        check_voice(folder)
    (folder / "tokens.txt").unlink()
    (folder / "two.onnx").unlink()
    with pytest.raises(VoiceError, match=r"tokens\.txt cannot be read"):
        check_voice(folder)


# Routes of a real Piper voice


@pytest.fixture
def piper_voice(voice):
    """Write a Piper voice packed for sherpa-onnx, without espeak-ng's data."""
    return voice(model_bytes(VOICE), name="en_US-x-low.onnx")


def test_before_2_0_a_piper_voice_uses_espeak_data(piper_voice):
    """The voice's own data is found, if whole."""
    data = piper_voice / "espeak-ng-data"
    data.mkdir()
    for name in ("phontab", "phonindex", "phondata", "intonations"):
        (data / name).write_text("x")
    files = check_voice(piper_voice, "1.13.8")
    assert (files.route, files.data_dir, files.espeak_voice) == ("espeak-data", str(data), "en-us")


def test_data_that_is_not_whole_is_not_taken(piper_voice, monkeypatch):
    """The engine ends the process on a data folder without phontab."""
    monkeypatch.setattr(phonemes, "SYSTEM_ESPEAK", ())
    monkeypatch.setattr(phonemes, "espeak_data", lambda: None)
    (piper_voice / "espeak-ng-data").mkdir()
    with pytest.raises(VoiceError, match="phontab"):
        check_voice(piper_voice, "1.13.8")
    assert check_voice(piper_voice, "1.13.8", needs_route=False).data_dir == ""


@pytest.mark.parametrize("version", ["2.0.0", "2.0.1", "10.1", "2.1rc1+cpu"])
def test_from_2_0_a_piper_voice_needs_phonemes_from_outside(piper_voice, monkeypatch, version):
    """Without espeak-ng the error names the extra; with it the route is chosen."""
    monkeypatch.setattr(phonemes, "is_available", lambda: False)
    with pytest.raises(VoiceError, match=r"pip install 'listen2lab\[piper\]'"):
        check_voice(piper_voice, version)
    assert check_voice(piper_voice, version, needs_route=False).route == "phonemes"
    monkeypatch.setattr(phonemes, "is_available", lambda: True)
    assert check_voice(piper_voice, version).route == "phonemes"


def test_a_piper_voice_without_its_frame_is_refused(voice):
    """The engine looks up begin, end and pad without asking whether they are there."""
    folder = voice(model_bytes(VOICE), tokens=TOKENS.replace("^ 1\n", ""))
    with pytest.raises(VoiceError, match=r"lacks \^"):
        check_voice(folder, "2.0.1", needs_route=False)


# Raw Piper voices


def test_a_raw_piper_voice_is_copied_with_metadata(raw, tmp_path):
    """The copy is complete, made once, and the given folder stays as it was."""
    folder = raw(metadata={"sample_rate": "16000"})
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    files = check_voice(folder, "2.0.1", needs_route=False, cache=tmp_path / "cache")
    assert files.folder == str(folder)
    assert (files.sample_rate, files.espeak_voice, files.language) == (16000, "en-us", "English")
    assert read_tokens(files.tokens, single_characters=True) == {
        "_": 0, "^": 1, "$": 2, " ": 3, "a": 4,
    }  # fmt: skip
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    made = Path(files.model).stat().st_mtime_ns
    again = check_voice(folder, "2.0.1", needs_route=False, cache=tmp_path / "cache")
    assert again == files
    assert Path(again.model).stat().st_mtime_ns == made
    raw({**CONFIG, "audio": {"sample_rate": 8000}})
    other = check_voice(folder, "2.0.1", needs_route=False, cache=tmp_path / "cache")
    assert other.model != files.model
    assert [p.name for p in (tmp_path / "cache" / "piper").iterdir() if p.name[0] == "."] == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "Expected `object`, got `array`"),
        ({}, "missing required field `audio`"),
        ({**CONFIG, "audio": {}}, r"missing required field `sample_rate` - at `\$\.audio`"),
        ({**CONFIG, "audio": 5}, r"Expected `object`, got `int` - at `\$\.audio`"),
        ({**CONFIG, "audio": {"sample_rate": "x"}}, r"Expected `int`.*sample_rate"),
        ({**CONFIG, "phoneme_type": "pinyin"}, "'pinyin'"),
        ({**CONFIG, "phoneme_id_map": {"a": []}}, "no number for 'a'"),
        ({**CONFIG, "phoneme_id_map": {"a": [-1]}}, "no number for 'a'"),
        ({**CONFIG, "phoneme_id_map": 5}, r"got `int` - at `\$\.phoneme_id_map`"),
        ({**CONFIG, "phoneme_id_map": {"\ud800": [1], "a": [4]}}, "lists no space"),
    ],
)
def test_settings_that_are_not_pipers_are_refused(raw, tmp_path, config, words):
    """Each missing or mistyped part of the JSON is named."""
    with pytest.raises(VoiceError, match=words):
        check_voice(raw(config), "2.0.1", needs_route=False, cache=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_an_error(raw, tmp_path):
    """The message says where the copy was to go."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(VoiceError, match="XDG_CACHE_HOME"):
        check_voice(raw(), "2.0.1", needs_route=False, cache=tmp_path / "cache")


# Recognizers


def test_a_recognizer_is_checked(recognizer):
    """The blank is found, and counted whether the model counts it or not."""
    folder = recognizer()
    files = check_recognizer(folder)
    assert (files.blank_id, files.subsampling_factor) == (3, 2)
    assert files.normalize_type == "per_feature"
    assert check_recognizer(recognizer({**RECOGNIZER, "vocab_size": "3"})).blank_id == 3
    assert check_recognizer(recognizer({**RECOGNIZER, "normalize_type": "NA"})).normalize_type == ""
    recognizer(name="model.int8.onnx")
    assert check_recognizer(folder).model.endswith("model.int8.onnx")


@pytest.mark.parametrize(
    ("metadata", "tokens", "words"),
    [
        ({"vocab_size": ""}, HEARD, "lack 'vocab_size'"),
        ({"vocab_size": "9"}, HEARD, "not of the same recognizer"),
        ({"subsampling_factor": "0"}, HEARD, "subsampling_factor is '0'"),
        ({"normalize_type": ""}, HEARD, "normalize_type is ''"),
        ({"normalize_type": "all_features"}, HEARD, "exits on others"),
        ({}, HEARD.replace("<blk>", "x"), "lists no blank"),
        ({}, HEARD.replace("2", "7"), "not 0 to 3"),
        ({}, HEARD.replace("2", "1"), "not 0 to 3"),
        ({}, HEARD + "a 4\n", "listed twice"),
    ],
)
def test_recognizers_that_end_the_process_or_hear_nothing_are_refused(
    recognizer, metadata, tokens, words
):
    """Metadata and tokens must be of one recognizer, whole, and of a kind the engine knows."""
    with pytest.raises(VoiceError, match=words):
        check_recognizer(recognizer({**RECOGNIZER, **metadata}, tokens))


def test_a_recognizer_with_one_input_is_refused(recognizer):
    """A voice given as a recognizer by mistake, or another model."""
    with pytest.raises(VoiceError, match="takes 1 inputs"):
        check_recognizer(recognizer(inputs=("x",)))


# The engine itself


LOAD = """
import sys, sherpa_onnx as s
config = s.OfflineTtsConfig(model=s.OfflineTtsModelConfig(vits=s.OfflineTtsVitsModelConfig(
    model=sys.argv[1] + "/model.onnx", tokens=sys.argv[1] + "/tokens.txt")), max_num_sentences=1)
print(len(s.OfflineTts(config).generate("a cat sat").samples))
"""


@pytest.mark.engine
def test_the_engine_speaks_what_passes(tiny):
    """The positive case, so that the refusals below mean something."""
    done = run(LOAD, tiny)
    assert done.returncode == 0
    assert int(done.stdout.split()[-1]) > 1000


@pytest.mark.engine
@pytest.mark.parametrize("fault", ["duplicate", "two-characters", "windows", "blank", "no-rate"])
def test_the_engine_ends_the_process_on_what_is_refused(tiny, tmp_path, fault):
    """With the installed version these are no mere opinions: status 255 and no exception."""
    model = (tiny / "model.onnx").read_bytes()
    tokens = (tiny / "tokens.txt").read_bytes()
    if fault == "no-rate":
        model = model.replace(b"sample_rate", b"sample_data")
    tokens = {
        "duplicate": tokens + b"a 5\n",
        "two-characters": tokens + b"ab 5\n",
        "windows": tokens.replace(b"\n", b"\r\n"),
        "blank": tokens + b"\n",
    }.get(fault, tokens)
    (tmp_path / "model.onnx").write_bytes(model)
    (tmp_path / "tokens.txt").write_bytes(tokens)
    with pytest.raises(VoiceError):
        check_voice(tmp_path)
    done = run(LOAD, tmp_path)
    assert done.returncode == 255
    assert "Traceback" not in done.stderr


PHONEMES = """
import sys, sherpa_onnx as s
config = s.OfflineTtsConfig(model=s.OfflineTtsModelConfig(vits=s.OfflineTtsVitsModelConfig(
    model=sys.argv[1], tokens=sys.argv[2])), max_num_sentences=1)
voice = s.OfflineTts(config)
generation = s.GenerationConfig()
generation.phoneme_codepoints = [[ord(c) for c in "hello"], [ord("a")]]
print(voice.sample_rate, len(voice.generate("", generation).samples))
"""


@pytest.mark.engine
@pytest.mark.skipif(sherpa_version().startswith("1."), reason="phonemes came with 2.0")
def test_the_engine_speaks_a_raw_voices_copy(tiny, tmp_path):
    """A model without any metadata, with a Piper JSON: the copy loads and speaks phonemes."""
    model = onnx.load(str(tiny / "model.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "x.onnx"))
    characters = "_^$ abcdefghijklmnopqrstuvwxyz"
    config = {**CONFIG, "phoneme_id_map": {c: [i] for i, c in enumerate(characters)}}
    (tmp_path / "x.onnx.json").write_text(json.dumps({**config, "aɪ": [3]}))
    files = check_voice(tmp_path, needs_route=False, cache=tmp_path / "cache")
    done = run(PHONEMES, files.model, files.tokens)
    assert done.returncode == 0, done.stderr
    rate, samples = map(int, done.stdout.split()[-2:])
    assert rate == 22050
    assert samples > 1000


# Phonemes


@pytest.mark.skipif(phonemes.is_available(), reason="the extra is installed")
def test_without_the_extra_the_error_names_it():
    """A worker that got this far says what to install."""
    with pytest.raises(VoiceError, match=r"pip install 'listen2lab\[piper\]'"):
        phonemes.phonemize("hello", "en-us")


@pytest.mark.skipif(not phonemes.is_available(), reason="needs the extra 'piper'")
def test_phonemes_are_codepoints_by_sentence():
    """Marks stay, clauses stay apart, accents are combining, silence makes no sentence."""
    code = (
        "from listen2lab.models.phonemes import phonemize; import sys;"
        "heavy = [m for m in ('piper', 'onnxruntime') if m in sys.modules];"
        "print(phonemize(sys.argv[1], 'en-us'), phonemize('...', 'en-us'), heavy,"
        " phonemize('un bon vin', 'fr'), sep='\\n')"
    )
    done = run(code, "One, two; three. Late... and four?")
    assert done.returncode == 0, done.stderr
    english, silence, heavy, french = map(ast.literal_eval, done.stdout.splitlines())
    first, second = ("".join(map(chr, sentence)) for sentence in english)
    assert [part[-1] for part in first.split()] == [",", ";", "."]
    assert second.endswith("?")
    assert len(second.split()) == 3
    assert silence == heavy == []
    assert 0x303 in french[0]  # a nasal vowel's tilde stands apart


@pytest.mark.skipif(not phonemes.is_available(), reason="needs the extra 'piper'")
def test_an_unknown_espeak_voice_is_an_error():
    """The metadata may name a voice that this espeak-ng lacks."""
    with pytest.raises(VoiceError, match="no voice 'xx-none'"):
        phonemes.phonemize("hello", "xx-none")


def test_a_zero_character_is_refused_before_espeak():
    """It would end the text there, silently."""
    with pytest.raises(TextError, match="zero character"):
        phonemes.phonemize("a\0b", "en-us")


# Versions and weight


def test_the_version_is_found_without_loading_the_engine():
    """The installed package's own; a worker's is the one that it has loaded."""
    code = (
        "from listen2lab.models.phonemes import sherpa_version; import sys;"
        "print(sherpa_version(), 'sherpa_onnx' in sys.modules)"
    )
    assert run(code).stdout.split() == [importlib.metadata.version("sherpa-onnx"), "False"]


def test_a_checked_model_goes_through_a_spec(tiny, recognizer):
    """What the parent found is plain JSON, and the worker reads it back as the same record."""
    files = check_voice(tiny)
    assert VoiceFiles(**json.loads(json.dumps(files._asdict()))) == files
    heard = check_recognizer(recognizer())
    assert RecognizerFiles(**json.loads(json.dumps(heard._asdict()))) == heard


def test_a_model_that_changed_since_is_refused(voice):
    """A worker opens no model to check it again; another size is noticed."""
    folder = voice()
    files = check_voice(folder)
    require_unchanged(files)
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(VoiceError, match="was changed since"):
        require_unchanged(files)
    (folder / "model.onnx").unlink()
    with pytest.raises(VoiceError, match="cannot be read"):
        require_unchanged(files)


def test_taking_a_checked_voice_stays_light():
    """A worker reads the record and tokens: no onnx, numpy, json, pathlib or hashlib for it."""
    code = (
        "import sys, listen2lab.models.voices, listen2lab.models.phonemes;"
        "heavy = ('onnx', 'numpy', 'json', 'pathlib', 'hashlib', 'tempfile', 'importlib.metadata');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
