"""The voice's graph: a Piper VITS export in shapes and operators, with weights from a seed.

The architecture is that of VITS [1]_ in Piper's sizes, with a duration table in the place of
the stochastic duration predictor. What is heard is a codebook of tones; the decoder's output is
added at a hundredth, so that nothing can be optimised away.

References
----------
.. [1] J. Kim, J. Kong, J. Son, "Conditional variational autoencoder with adversarial learning
   for end-to-end text-to-speech", ICML 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto

from listen2lab.models.alphabet import HOP, SAMPLE_RATE, SYMBOLS, TONES
from listen2lab.models.encoder import TOKENS, text_encoder
from listen2lab.models.graph import Graph, Values, model_of

__all__ = ["DURATIONS", "SIZES", "VoiceSize", "parameter_count", "voice_model"]

_FLOWS = 4
_FLOW_LAYERS = 4
_DECODER_SHARE = 0.01
_NOISE_CENTRE = -0.9

#: The name of the tensor with each token's frames.
DURATIONS = "frames"


class VoiceSize(NamedTuple):
    """What differs between the voices."""

    hidden: int
    filter: int
    layers: int
    decoder: int
    upsamplings: tuple[tuple[int, int], ...]  # rate, kernel
    resblock: int  # 1 has two convolutions a dilation, 2 has one
    kernels: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]


_RESBLOCK2 = ((1, 2), (2, 6), (3, 12))
SIZES = {
    "tiny": VoiceSize(
        16, 48, 2, 32, ((8, 16), (8, 16), (4, 8)), 2, (3, 5, 7), _RESBLOCK2
    ),
    "medium": VoiceSize(
        192, 768, 6, 256, ((8, 16), (8, 16), (4, 8)), 2, (3, 5, 7), _RESBLOCK2
    ),
    "high": VoiceSize(
        192, 768, 6, 512, ((8, 16), (8, 16), (2, 4), (2, 4)), 1, (3, 7, 11), ((1, 3, 5),) * 3
    ),
}  # fmt: skip


def voice_model(size: VoiceSize, seed: int, *, takes_text: bool = True) -> onnx.ModelProto:
    """Build a voice; `takes_text`: the metadata ask for the engine's characters frontend.

    Inputs ``input`` (int64, [1, tokens]), ``input_lengths`` (int64, [1]) and ``scales`` (float32,
    [3]: noise, length, duration noise); output ``output`` (float32, [1, 1, samples]).
    """
    g = Graph(seed)
    count = g.op("Gather", g.op("Shape", "input"), g.number_int(1))
    noise, length, duration_noise = (g.op("Gather", "scales", g.number_int(k)) for k in range(3))
    text_mask = g.unsqueeze(g.length_mask("input_lengths", count), 1)
    x = text_encoder(g, text_mask, count, hidden=size.hidden, inner=size.filter, layers=size.layers)
    both = g.op("Mul", g.conv(x, size.hidden, 2 * size.hidden, 1, gain=0.5), text_mask)
    mean, log_scale = g.halves(both, size.hidden)

    frames = _durations(g, x, text_mask, length, duration_noise, hidden=size.hidden)
    total = g.op("ReduceSum", frames, g.ints(1, 2), keepdims=0)
    total = g.op("Cast", g.op("Max", total, g.number(1.0)), to=TensorProto.INT64)
    audio_frames = g.op("Squeeze", total, g.ints(0))
    audio_mask = g.unsqueeze(g.length_mask(total, audio_frames), 1)
    path = _path(g, frames, text_mask, audio_mask, audio_frames)

    z = _prior(g, path, mean, log_scale, noise)
    z = _flow(g, size, z, audio_mask)
    speech = _decoder(g, size, g.op("Mul", z, audio_mask))

    share = g.op("Mul", speech, g.number(_DECODER_SHARE))
    samples = g.op("Add", share, _tones(g, path))
    g.named("output", "Identity", samples)

    frontend = {"frontend": "characters"} if takes_text else {}
    inputs: Values = {
        "input": (TensorProto.INT64, [1, "tokens"]),
        "input_lengths": (TensorProto.INT64, [1]),
        "scales": (TensorProto.FLOAT, [3]),
    }
    return model_of(
        "voice",
        g.nodes,
        g.weights,
        inputs=inputs,
        outputs={"output": (TensorProto.FLOAT, [1, 1, "samples"])},
        metadata={**_METADATA, **frontend},
    )


def parameter_count(model: onnx.ModelProto) -> int:
    """Return how many numbers the model's weights hold."""
    return sum(math.prod(weight.dims) for weight in model.graph.initializer)


_METADATA = {
    "model_type": "vits", "comment": "piper", "language": "tones", "voice": "tones",
    "sample_rate": str(SAMPLE_RATE), "n_speakers": "1", "add_blank": "1",
    "blank_id": "0", "bos_id": "1", "eos_id": "2", "pad_id": "0",
    # with 1, the engine adds an empty sentence after a text that ends in .:?!
    "use_eos_bos": "0",
}  # fmt: skip


def _durations(g: Graph, x: str, mask: str, length: str, noise: str, *, hidden: int) -> str:
    """Whole frames of each token: table, log-normal noise, at least the least, times length.

    The noise is centred below zero: at Piper's 0.8, with the least durations, a text then lasts
    as long on average as without noise. A millionth of the encoder's output is added, so that
    this runs after the encoder, as in VITS; it changes no duration (see the means' fractions).
    """
    means, leasts = np.ones((2, TOKENS), np.float32)
    for token, symbol in enumerate(SYMBOLS):
        means[token], leasts[token] = symbol.mean_frames, symbol.least_frames
    logs = g.unsqueeze(g.op("Gather", g.weight(np.log(means)), "input"), 1)
    least = g.unsqueeze(g.op("Gather", g.weight(leasts), "input"), 1)
    random = g.op("Mul", g.op("RandomNormalLike", logs), noise)
    centre = g.op("Mul", g.op("Mul", noise, noise), g.number(_NOISE_CENTRE))
    logs = g.op("Add", g.op("Add", logs, random), centre)
    logs = g.op("Add", logs, g.conv(x, hidden, 1, 1, gain=1e-6))
    frames = g.op("Mul", g.op("Max", g.op("Exp", logs), least), mask)
    frames = g.op("Ceil", g.op("Mul", frames, length))
    return g.named(DURATIONS, "Identity", frames)


def _path(g: Graph, frames: str, text_mask: str, audio_mask: str, count: str) -> str:
    """Which token each frame belongs to: [1, frames, tokens], zeros and ones."""
    mask = g.op("Mul", g.unsqueeze(text_mask, 2), g.unsqueeze(audio_mask, -1))
    mask = g.op("Squeeze", mask, g.ints(1))
    ends = g.op("Squeeze", g.op("CumSum", frames, g.number_int(2)), g.ints(0, 1))
    ends = g.op("Cast", ends, to=TensorProto.INT64)
    until = g.unsqueeze(g.length_mask(ends, count), 0)
    before = g.op("Pad", until, g.ints(0, 1, 0, 0, 0, 0))
    before = g.slice(before, g.ints(0), g.ints(-1), 1)
    path = g.turn(g.op("Sub", until, before))
    return g.op("Mul", path, mask)


def _prior(g: Graph, path: str, mean: str, log_scale: str, noise: str) -> str:
    spread = []
    for x in (mean, log_scale):
        turned = g.op("MatMul", path, g.turn(x))
        spread.append(g.turn(turned))
    random = g.op("Mul", g.op("RandomNormalLike", spread[0]), g.op("Exp", spread[1]))
    return g.op("Add", spread[0], g.op("Mul", random, noise))


def _flow(g: Graph, size: VoiceSize, x: str, mask: str) -> str:
    """Residual coupling layers, run backwards: flip, then take the predicted mean away."""
    half = size.hidden // 2
    end = g.ints(np.iinfo(np.int64).min)
    for _ in range(_FLOWS):
        x = g.op("Slice", x, g.ints(-1), end, g.ints(1), g.ints(-1))
        first, second = g.halves(x, half)
        h = g.op("Mul", g.conv(first, half, size.hidden, 1), mask)
        h = _wavenet(g, size.hidden, h, mask)
        mean = g.op("Mul", g.conv(h, size.hidden, half, 1, gain=0.5), mask)
        second = g.op("Mul", g.op("Sub", second, mean), mask)
        x = g.op("Concat", first, second, axis=1)
    return x


def _wavenet(g: Graph, hidden: int, x: str, mask: str) -> str:
    """Gated convolutions, each with a way on and a way out."""
    total = ""
    for layer in range(_FLOW_LAYERS):
        both = g.conv(x, hidden, 2 * hidden, 5)
        half, whole = g.ints(hidden), g.ints(2 * hidden)
        wave = g.op("Tanh", g.slice(both, g.ints(0), half, 1))
        gate = g.op("Sigmoid", g.slice(both, half, whole, 1))
        acts = g.op("Mul", wave, gate)
        if layer == _FLOW_LAYERS - 1:
            total = g.op("Add", total, g.conv(acts, hidden, hidden, 1))
            break
        both = g.conv(acts, hidden, 2 * hidden, 1)
        x = g.op("Mul", g.op("Add", x, g.slice(both, g.ints(0), half, 1)), mask)
        way_out = g.slice(both, half, whole, 1)
        total = g.op("Add", total, way_out) if total else way_out
    return g.op("Mul", total, mask)


def _decoder(g: Graph, size: VoiceSize, z: str) -> str:
    """HiFi-GAN: upsampling, and after each the mean of several residual blocks."""
    channels = size.decoder
    x = g.conv(z, size.hidden, channels, 7)
    for rate, kernel in size.upsamplings:
        x = g.op("LeakyRelu", x, alpha=0.1)
        x = g.upsample(x, channels, channels // 2, rate, kernel)
        channels //= 2
        total = ""
        for block, dilations in zip(size.kernels, size.dilations, strict=True):
            y = x
            for dilation in dilations:
                h = g.op("LeakyRelu", y, alpha=0.1)
                h = g.conv(h, channels, channels, block, dilation=dilation, gain=0.5)
                if size.resblock == 1:
                    h = g.conv(g.op("LeakyRelu", h, alpha=0.1), channels, channels, block)
                y = g.op("Add", h, y)
            total = g.op("Add", total, y) if total else y
        x = g.op("Div", total, g.number(float(len(size.kernels))))
    x = g.op("LeakyRelu", x, alpha=0.01)
    return g.op("Tanh", g.conv(x, channels, 1, 7, gain=0.2))


def _tones(g: Graph, path: str) -> str:
    """Each frame's tones: amplitudes of its token, times one frame of each tone."""
    amplitudes = np.zeros((TOKENS, len(TONES)), np.float32)
    for token, symbol in enumerate(SYMBOLS):
        amplitudes[token] = symbol.amplitudes
    phase = 2 * np.pi * np.arange(HOP) / HOP
    waves = np.sin(np.outer(TONES, phase)).astype(np.float32)
    spoken = g.op("MatMul", path, g.op("Gather", g.weight(amplitudes), "input"))
    samples = g.op("MatMul", spoken, g.weight(waves))
    return g.op("Reshape", samples, g.ints(1, 1, -1))
