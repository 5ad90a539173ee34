"""The bounded voice: the same bits from a rewritten graph, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from piper_like import piper_like, tokens, write_voice

from listen2lab.errors import InputError, LabError, VoiceError
from listen2lab.models import bound as bounding
from listen2lab.models.bound import MARK, bound, bounded_model
from listen2lab.models.bounding.decoder import find_decoder
from listen2lab.models.bounding.structure import Structure
from listen2lab.models.generate import build_voice
from listen2lab.models.vits import SIZES, voice_model

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SHORT = (0.2, 0.5, 1.0)


def speak(model, ids, speaker=0, scales=(0.0, 1.0, 0.0)):
    """Return the samples, by one thread."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feed = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array(scales, np.float32),
        "sid": np.array([speaker], np.int64),
    }
    wanted = {each.name for each in session.get_inputs()}
    (audio,) = session.run(None, {k: v for k, v in feed.items() if k in wanted})
    return audio


def seen(folder):
    """Return what a folder and all beside it hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# The same bits


@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"rank": 3, "opset": 13},
        {"speakers": 4, "resblock": 1, "opset": 16},
        {"opset": 17, "resblock": 1, "rates": ((2, 4), (2, 4), (2, 4))},
    ],
    ids=["piper", "rank 3", "speakers", "attention"],
)
def test_same_bits_at_every_length(traits):
    """Shorter than a window, a window, a frame more, many windows: every sample is the same."""
    model = piper_like(**traits)
    changed, did = bounded_model(model, 32)
    onnx.checker.check_model(changed, full_check=True)
    assert (did.margin, did.products) == (did.reach + 1, 2)
    assert did.attentions == (2 if traits.get("opset") == 17 else 0)
    lengths = set()
    for count in (1, 2, 3, 9, 20, 21, 22, 23, 24, 25, 60, 300):
        ids = tokens(count, seed=count)
        was, now = (speak(each, ids, speaker=1) for each in (model, changed))
        assert was.shape == now.shape
        assert was.tobytes() == now.tobytes()
        lengths.add(was.size // did.hop)
    assert min(lengths) < 32 < max(lengths) // 8


def test_same_bits_where_a_token_has_no_frame():
    """At a length of 0 no token sounds; half of a token's frame is still one."""
    model = piper_like()
    changed, _ = bounded_model(model, 32)
    for length in (0.001, 0.3, 3.0):
        was, now = (speak(each, tokens(80), scales=(0, length, 0)) for each in (model, changed))
        assert was.tobytes() == now.tobytes()
    assert (
        speak(changed, tokens(9), scales=(0, 0, 0)).size
        == speak(model, tokens(9), scales=(0, 0, 0)).size
    )


@pytest.mark.parametrize("size", ["tiny", "high"])
def test_reach_is_what_samples_depend_on(size):
    """A margin of the reach is enough, and one frame less is not."""
    of_decoder = ("upsamplings", "resblock", "kernels", "dilations")
    shapes = {key: getattr(SIZES[size], key) for key in of_decoder}
    model = voice_model(SIZES["tiny"]._replace(**shapes), 0)
    s = Structure(model)
    decoder = find_decoder(s)
    assert (decoder.hop, decoder.reach) == (256, {"tiny": 11, "high": 13}[size])
    cuts = {"tiny": [(1, 8), (8, 1), (64, 1)], "high": [(1, 10), (8, 2), (64, 1), (128, 1)]}
    assert [(cut.rate, cut.reach) for cut in decoder.cuts] == cuts[size]
    was = speak(model, tokens(60))
    enough, _ = bounded_model(model, 40, margin=decoder.reach)
    assert speak(enough, tokens(60)).tobytes() == was.tobytes()
    short, _ = bounded_model(model, 40, margin=decoder.reach - 2)
    assert speak(short, tokens(60)).tobytes() != was.tobytes()


def test_what_is_dead_is_removed():
    """The matrix of frames x tokens is gone with everything that made it, and the mark is set."""
    model = piper_like()
    before = model.SerializeToString()
    changed, did = bounded_model(model, 64)
    kinds = [node.op_type for node in changed.graph.node]
    assert kinds.count("Loop") == 1
    assert not {"Conv", "ConvTranspose"} & set(kinds[kinds.index("Loop") :])
    assert "Less" in kinds  # masks
    assert not {"Pad", "MatMul"} & set(kinds)
    assert did.nodes_after == len(kinds) < did.nodes_before
    assert {each.key: each.value for each in changed.metadata_props}[MARK].startswith("window=64")
    assert model.SerializeToString() == before


def test_no_matrix_of_all_tokens_is_left():
    """Each layer of attention is a loop; what stays outside has one row, or no square."""
    model = voice_model(SIZES["tiny"], 0)
    changed, did = bounded_model(model, 256)
    assert did.attentions == SIZES["tiny"].layers
    kinds = [node.op_type for node in changed.graph.node]
    assert kinds.count("Loop") == did.attentions + 1
    assert "Softmax" not in kinds
    # of the path, the speech's products and the tones' are left as one with the waves
    assert (did.products, kinds.count("MatMul")) == (3, 1)
    for count in (1, 2, 5, 256, 257, 600):
        was, now = (speak(each, tokens(count)) for each in (model, changed))
        assert was.tobytes() == now.tobytes()


# The whole way


def test_bound_writes_a_voice_like_the_one_given(tmp_path):
    """Everything but the graph is alike, and what was measured is of the written file."""
    voice, out = tmp_path / "voice", tmp_path / "deep" / "out"
    build_voice("tiny", voice)
    (voice / "MODEL_CARD").write_text("of whom")
    before = seen(voice)
    report = bound(voice, out, window=128, lengths_s=(1.0, 4.0))
    assert seen(voice) == before
    after = seen(out)
    assert set(after) == set(before)
    assert after["tokens.txt"] == before["tokens.txt"]
    assert after["MODEL_CARD"] == before["MODEL_CARD"]
    stamp = json.loads(after["voice.json"])
    model = after["model.onnx"]
    assert stamp["files"]["model.onnx"]["sha256"] == hashlib.sha256(model).hexdigest()
    assert [path.name for path in out.parent.iterdir()] == ["out"]

    assert report.model == str(out / "model.onnx")
    assert report.difference == 0.0
    assert [round(check.seconds) for check in report.checks] == [1, 4]
    for check in report.checks:
        for cost in (check.before, check.after):
            assert cost.peak >= cost.end > cost.loaded > 0
            assert cost.cpu_s > 0


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        ({128: 0.99, 256: 0.94, 512: 0.90}, 256),  # dearer by less than 5 % and not dearer than 1
        ({128: 1.02, 256: 1.001, 512: 0.96}, 512),
        ({128: 1.15, 256: 1.06, 512: 1.045}, 256),  # where all are dearer, by less than 2 %
    ],
)
def test_window_is_chosen_by_cost(tmp_path, monkeypatch, costs, chosen):
    """The smallest that costs hardly more than the cheapest; a given one is not measured."""
    voice = write_voice(tmp_path / "voice", piper_like())
    monkeypatch.setattr(bounding, "window_costs", lambda speaker, candidates: costs)
    report = bound(voice, tmp_path / "out", lengths_s=SHORT[:1])
    assert report.rewriting.window == chosen
    assert report.windows == costs


def test_window_costs_are_measured(tmp_path):
    """Each is a ratio to the original; the speakers take turns in the checks."""
    voice = write_voice(tmp_path / "voice", piper_like(speakers=3, rates=((8, 16), (8, 16))))
    report = bound(voice, tmp_path / "out", lengths_s=SHORT)
    assert set(report.windows) == {128, 192, 256, 512, 1024}
    assert all(cost > 0 for cost in report.windows.values())
    assert [check.speaker for check in report.checks] == [0, 2, 0]


def test_same_samples_from_the_engine(tmp_path):
    """Through sherpa-onnx the bounded voice says the same, at a fraction of the memory."""
    voice, out = tmp_path / "voice", tmp_path / "out"
    build_voice("tiny", voice)
    bound(voice, out, window=256, lengths_s=(1.0,))
    script = """
import hashlib, json, sys
import numpy as np, sherpa_onnx
folder, text = sys.argv[1], "the quick brown fox jumps over it " * 40
vits = sherpa_onnx.OfflineTtsVitsModelConfig(
    model=f"{folder}/model.onnx", tokens=f"{folder}/tokens.txt", noise_scale=0, noise_scale_w=0)
model = sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=1)
tts = sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=model, max_num_sentences=1))
audio = np.asarray(tts.generate(text).samples, np.float32)
print(json.dumps([audio.size, hashlib.sha256(audio.tobytes()).hexdigest()]))
"""
    said = []
    for folder in (voice, out):
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        said.append(json.loads(done.stdout.splitlines()[-1]))
    assert said[0] == said[1]
    assert said[0][0] > 22050 * 40


def test_command_prints_what_was_verified(tmp_path):
    """It says where and what; a second time the folder is there."""
    voice, out = tmp_path / "voice", tmp_path / "out"
    build_voice("tiny", voice)
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "voice", "bound", str(voice), "--out", str(out),
         "--window", "300"],
        capture_output=True, text=True, timeout=240, check=False,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(out / "model.onnx") in done.stdout
    assert "300 frames" in done.stdout
    again = subprocess.run(done.args, capture_output=True, text=True, check=False,
                           cwd=Path(__file__).parents[1])  # fmt: skip
    assert again.returncode == 2
    assert "Traceback" not in again.stderr


# Bad input


def quantized():
    """Return a graph with an operator of 8 bits."""
    model = piper_like()
    (first,) = [node for node in model.graph.node if node.op_type == "RandomNormalLike"]
    first.op_type = "DynamicQuantizeLinear"
    return model


def with_time_outside():
    """Return a graph whose samples depend on all others, which no window may cut."""
    model = piper_like()
    (last,) = [node for node in model.graph.node if node.op_type == "Unsqueeze"][-1:]
    tanh = next(node for node in model.graph.node if node.output[0] == last.input[0])
    end = next(node for node in model.graph.node if node.output[0] == tanh.input[0])
    end.op_type = "InstanceNormalization"
    del end.attribute[:]
    end.input[2] = end.input[1]
    return model


def renamed_inputs():
    """Return a graph that takes something else."""
    model = piper_like()
    model.graph.input[0].name = "audio_signal"
    return model


def one_product():
    """Return a graph whose log-scales are spread otherwise."""
    model = piper_like()
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    products[-1].op_type = "Add"
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: piper_like(decoders=0), "no ConvTranspose"),
        (lambda: piper_like(decoders=2), "2 were found"),
        (quantized, "quantized"),
        (lambda: piper_like(opset=12), "opset 12"),
        (lambda: bounded_model(piper_like(), 32)[0], "bounded already"),
        (renamed_inputs, "audio_signal"),
        (with_time_outside, "InstanceNormalization"),
        (one_product, "1 were found"),
    ],
    ids=["none", "two", "int8", "opset", "again", "inputs", "not local", "one product"],
)
def test_graphs_that_are_refused(tmp_path, model, words):
    """Each is refused with what was looked for, and nothing is left."""
    voice = write_voice(tmp_path / "voice", model())
    before = seen(tmp_path)
    with pytest.raises(VoiceError, match=words) as caught:
        bound(voice, tmp_path / "out", window=32, lengths_s=SHORT)
    assert "othing was written" in str(caught.value) or "nothing was written" in str(caught.value)
    assert seen(tmp_path) == before


def test_folders_that_are_refused(tmp_path):
    """A folder that is there, the voice itself, no voice; windows of no sense."""
    voice = write_voice(tmp_path / "voice", piper_like())
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "alias").symlink_to(voice)
    before = seen(tmp_path)
    for name in ("voice", "voice/inside", "there", "file", "dangling", "alias"):
        with pytest.raises(InputError):
            bound(voice, tmp_path / name, window=32, lengths_s=SHORT)
    for given in ("missing", "file", "there"):
        with pytest.raises(LabError):
            bound(tmp_path / given, tmp_path / "out", window=32, lengths_s=SHORT)
    for window in (0, -5, 31, 1 << 30):
        with pytest.raises(InputError):
            bound(voice, tmp_path / "out", window=window, lengths_s=SHORT)
    assert seen(tmp_path) == before


def test_recognizer_is_no_voice(tmp_path):
    """It is said to be one, perhaps."""
    model = piper_like()
    for each, name in zip(model.graph.input, ("audio_signal", "length", "x"), strict=True):
        each.name = name
    voice = write_voice(tmp_path / "recognizer", model)
    with pytest.raises(VoiceError, match="recognizer"):
        bound(voice, tmp_path / "out", window=32, lengths_s=SHORT)


def test_truncated_model_is_refused(tmp_path):
    """Half a file is no model."""
    voice = write_voice(tmp_path / "voice", piper_like())
    data = (voice / "model.onnx").read_bytes()
    (voice / "model.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(VoiceError):
        bound(voice, tmp_path / "out", window=32, lengths_s=SHORT)
    assert not (tmp_path / "out").exists()


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """What was begun is removed, and it is said to free some room."""
    voice = write_voice(tmp_path / "voice", piper_like())
    before = seen(tmp_path)

    def full(model, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bounding, "_write", full)
    with pytest.raises(VoiceError, match="free some room"):
        bound(voice, tmp_path / "out", window=32, lengths_s=SHORT)
    assert seen(tmp_path) == before


def test_windows_that_differ_are_deleted_and_refused(tmp_path, monkeypatch):
    """Were the margin computed too small, the check on the very file would say so."""
    voice = write_voice(tmp_path / "voice", piper_like())
    before = seen(tmp_path)
    true = bounding.bounded_model
    monkeypatch.setattr(bounding, "bounded_model", lambda m, window: true(m, window, margin=0))
    with pytest.raises(VoiceError, match="speaks otherwise"):
        bound(voice, tmp_path / "out", window=32, lengths_s=SHORT)
    assert seen(tmp_path) == before
