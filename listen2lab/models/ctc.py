"""The recognizer: random features of a few frames, and a least-squares reading of them.

Its file looks to the engine like a NeMo CTC model. Random ReLU features with a linear layer [1]_
need no training loop, so it is fitted in seconds, on audio of the voice that it is to read.

References
----------
.. [1] A. Rahimi, B. Recht, "Weighted sums of random kitchen sinks", NIPS 2008.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from listen2lab.models.alphabet import ALPHABET, HEARD, HOP, SAMPLE_RATE, SYMBOLS
from listen2lab.models.features import FRAME_SHIFT_S, MEL_BINS, RECOGNIZER_RATE, log_mel, resample
from listen2lab.models.graph import Values, model_of
from listen2lab.models.vits import DURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["write_recognizer"]

_FEATURES = 1024
_CONTEXT = 7  # frames that a feature sees
_SUBSAMPLING = 2
# How much a feature hears of each frame: a character of three voice frames lasts 35 ms only.
_TAPER = (0.1, 0.3, 0.7, 1.0, 0.7, 0.3, 0.1)
_RIDGE = 1e-3
_BATCH = 4096
# The least-squares reading is about 1 for what is there and 0 for the rest; times this, the
# softmax makes it log-probabilities of a use to forced alignment.
_SHARPNESS = 14.0

_BLANK = len(HEARD)
_CLASSES = len(HEARD) + 1
_FIRST_HEARD = len(SYMBOLS) - len(HEARD)  # token numbers below it are gaps

# Frames are normalised over an utterance, so short and long ones look different; as many
# characters of each length are fitted.
_LENGTHS = (2, 4, 8, 25, 60, 150)
_CHARACTERS_PER_LENGTH = 1500
_LETTERS = 26
_OTHERS_SHARE = 0.15  # of the random words end in another character
_DURATION_NOISES = (0.0, 0.8)
_GUARDS: tuple[Literal["floor"], Literal["add"]] = ("floor", "add")  # both versions' features


class _Utterance(NamedTuple):
    frames: NDArray[np.float32]  # (frames, MEL_BINS)
    labels: NDArray[np.int64]  # one class for each output


def write_recognizer(folder: Path, voice: Path, seed: int) -> dict[str, Any]:
    """Fit a recognizer on a voice's ``model.onnx`` and write it; return facts for its stamp."""
    random = np.random.default_rng(seed)
    weights = random.standard_normal((_FEATURES, MEL_BINS, _CONTEXT), np.float32)
    weights *= np.array(_TAPER, np.float32)
    weights /= np.linalg.norm(weights.reshape(_FEATURES, -1), axis=1)[:, None, None]
    biases = random.uniform(-1, 1, _FEATURES).astype(np.float32)

    size = _FEATURES + 1
    gram = np.zeros((size, size))
    target = np.zeros((size, _CLASSES))
    rows = 0
    for windows, labels in _batches(_utterances(voice, random)):
        values = np.maximum(windows @ weights.reshape(_FEATURES, -1).T + biases, 0)
        features = np.hstack([values, np.ones((len(values), 1), np.float32)])
        gram += features.T @ features
        target += features.T @ np.eye(_CLASSES, dtype=np.float32)[labels]
        rows += len(features)
    gram[np.diag_indices(size)] += _RIDGE * rows
    solution = np.linalg.solve(gram, target).astype(np.float32)

    model = _model(weights, biases, solution)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    symbols = [*HEARD.replace(" ", "▁"), "<blk>"]
    lines = (f"{symbol} {number}\n" for number, symbol in enumerate(symbols))
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    return {
        "features": _FEATURES,
        "fitted_outputs": rows,
        "sample_rate": RECOGNIZER_RATE,
        "subsampling": _SUBSAMPLING,
        "blank": _BLANK,
    }


def _batches(
    utterances: Iterable[_Utterance],
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield what each output sees, (outputs, MEL_BINS * _CONTEXT), and its class, many at once."""
    half = _CONTEXT // 2
    windows: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    for utterance in utterances:
        padded = np.pad(utterance.frames, ((half, half), (0, 0)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT, axis=0)[::_SUBSAMPLING]
        windows.append(seen.reshape(len(seen), MEL_BINS * _CONTEXT))
        labels.append(utterance.labels)
        if sum(map(len, labels)) >= _BATCH:
            yield np.concatenate(windows), np.concatenate(labels)
            windows, labels = [], []
    if labels:
        yield np.concatenate(windows), np.concatenate(labels)


def _utterances(voice: Path, random: np.random.Generator) -> Iterator[_Utterance]:
    """Speak random texts and yield their frames and labels."""
    session = _seeded_session(voice, int(random.integers(1 << 20)))
    lengths = [n for n in _LENGTHS for _ in range(_CHARACTERS_PER_LENGTH // n)]
    for turn, length in enumerate(lengths):
        numbers = _random_numbers(random, length, is_prose=turn % 4 != 0)
        tokens = np.zeros((1, 2 * len(numbers) + 1), np.int64)
        tokens[0, 1::2] = numbers
        inputs = {
            "input": tokens,
            "input_lengths": np.array([tokens.shape[1]], np.int64),
            "scales": np.array([0.667, 1.0, _DURATION_NOISES[turn % 2]], np.float32),
        }
        audio, durations = session.run(["output", DURATIONS], inputs)
        samples = resample(audio.ravel(), SAMPLE_RATE, RECOGNIZER_RATE)
        frames = log_mel(samples, guard=_GUARDS[turn // 2 % 2])
        yield _Utterance(frames, _labels(tokens[0], durations.ravel(), len(frames)))


def _seeded_session(voice: Path, seed: int) -> Any:
    """Open the voice with its noise made repeatable, and its durations as a second output."""
    import onnxruntime  # only where the recognizer is built

    model = onnx.load(voice)
    for node in model.graph.node:
        if node.op_type == "RandomNormalLike":
            node.attribute.append(helper.make_attribute("seed", float(seed)))
    model.graph.output.append(helper.make_tensor_value_info(DURATIONS, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums in the same order every time
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _random_numbers(
    random: np.random.Generator, length: int, *, is_prose: bool
) -> NDArray[np.int64]:
    """Return a random text's token numbers: words as in prose, or every character alike."""
    everything = np.arange(_FIRST_HEARD, len(SYMBOLS))
    if not is_prose:
        return random.choice(everything, length)
    letters = everything[:_LETTERS]  # the most frequent first
    shares = np.linspace(1.0, 0.05, _LETTERS)
    text: list[int] = []
    while len(text) < length:
        text.extend(random.choice(letters, random.integers(1, 9), p=shares / shares.sum()))
        if random.random() < _OTHERS_SHARE:
            text.append(random.choice(everything))
        text.append(ALPHABET[" "])
    return np.array(text[:length])


def _labels(
    tokens: NDArray[np.int64], durations: NDArray[np.float32], frame_count: int
) -> NDArray[np.int64]:
    """Return the class that sounds at the centre of each output's frame."""
    ends_s = np.cumsum(durations) * (HOP / SAMPLE_RATE)
    centres_s = (np.arange(0, frame_count, _SUBSAMPLING) + 0.5) * FRAME_SHIFT_S
    places = np.minimum(np.searchsorted(ends_s, centres_s, side="right"), len(tokens) - 1)
    numbers = tokens[places]
    return np.where(numbers >= _FIRST_HEARD, numbers - _FIRST_HEARD, _BLANK)


def _model(
    weights: NDArray[np.float32], biases: NDArray[np.float32], solution: NDArray[np.float32]
) -> onnx.ModelProto:
    reading = np.ascontiguousarray(solution[:-1].T[:, :, None]) * np.float32(_SHARPNESS)
    constant = solution[-1] * np.float32(_SHARPNESS)
    half = _CONTEXT // 2
    nodes = [
        helper.make_node(
            "Conv", ["audio_signal", "weights", "biases"], ["sums"], "features",
            kernel_shape=[_CONTEXT], strides=[_SUBSAMPLING], pads=[half, half],
        ),
        helper.make_node("Relu", ["sums"], ["features"], "relu"),
        helper.make_node(
            "Conv", ["features", "reading", "constant"], ["scores"], "reading", kernel_shape=[1]
        ),
        helper.make_node("Transpose", ["scores"], ["turned"], "turn", perm=[0, 2, 1]),
        helper.make_node("LogSoftmax", ["turned"], ["logprobs"], "logprobs", axis=-1),
    ]  # fmt: skip
    arrays = {"weights": weights, "biases": biases, "reading": reading, "constant": constant}
    inputs: Values = {
        "audio_signal": (TensorProto.FLOAT, ["batch", MEL_BINS, "frames"]),
        "length": (TensorProto.INT64, ["batch"]),
    }
    outputs: Values = {"logprobs": (TensorProto.FLOAT, ["batch", "outputs", _CLASSES])}
    metadata = {
        "model_type": "EncDecCTCModel",
        "vocab_size": str(len(HEARD)),
        "subsampling_factor": str(_SUBSAMPLING),
        "normalize_type": "per_feature",
    }
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return model_of(
        "recognizer", nodes, initializers, inputs=inputs, outputs=outputs, metadata=metadata
    )
