"""A graph with the structural traits of Piper's exporter, and no more weights than needed.

Constants are nodes, tensors have other names than the lab's, the number of frames is made by Clip
and ReduceMax, the path by Pad of a flat comparison; several speakers add to the decoder's first
layer; samples may have an axis more.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from listen2lab.models.encoder import text_encoder
from listen2lab.models.graph import Graph

HIDDEN = 8
METADATA = {
    "model_type": "vits", "comment": "piper", "language": "tones", "voice": "tones",
    "sample_rate": "16000", "frontend": "characters", "add_blank": "1",
}  # fmt: skip


def piper_like(*, speakers=1, resblock=2, rank=4, opset=15, decoders=1, rates=((4, 8), (2, 4))):
    """Build the graph; ``decoders`` may be 0 to 2."""
    g = Graph(7)
    count = g.op("Gather", g.op("Shape", "input"), g.number_int(1))
    noise, length, _ = (g.op("Gather", "scales", g.number_int(k)) for k in range(3))
    text_mask = g.op("Unsqueeze", g.length_mask("input_lengths", count), g.ints(1))
    if opset >= 17:
        x = text_encoder(g, text_mask, count, hidden=HIDDEN, inner=16, layers=2)
    else:
        x = g.op("Gather", g.normal(256, HIDDEN, scale=1), "input")
        x = g.op("Transpose", x, perm=[0, 2, 1])
    mean, log_scale = g.halves(g.conv(x, HIDDEN, 2 * HIDDEN, 1), HIDDEN)
    speaker = ""
    if speakers > 1:
        row = g.op("Gather", g.normal(speakers, 6, scale=1), "sid")
        speaker = g.op("Unsqueeze", row, g.ints(-1))

    # whole durations, how many frames there are, and which are real
    logs = g.op("Mul", g.conv(x, HIDDEN, 1, 1), g.number(0.4))
    frames = g.op("Mul", g.op("Mul", g.op("Exp", logs), text_mask), length)
    frames = g.op("Ceil", frames)
    total = g.op("Clip", g.op("ReduceSum", frames, g.ints(1, 2), keepdims=0), g.number(1.0))
    total = g.op("Cast", total, to=TensorProto.INT64)
    longest = g.op("ReduceMax", total, keepdims=0)
    mask = g.op("Unsqueeze", g.length_mask(total, longest), g.ints(1))
    pairs = g.op(
        "Mul", g.op("Unsqueeze", text_mask, g.ints(2)), g.op("Unsqueeze", mask, g.ints(-1))
    )

    # [1, 1, frames, tokens]: what ended, less what ended before
    ends = g.op("Reshape", g.op("CumSum", frames, g.number_int(-1)), g.ints(-1))
    places = g.op("Range", g.number_int(0), longest, g.number_int(1))
    places = g.op("Unsqueeze", g.op("Cast", places, to=TensorProto.FLOAT), g.ints(0))
    below = g.op("Less", places, g.op("Unsqueeze", ends, g.ints(1)))
    below = g.op("Unsqueeze", g.op("Cast", below, to=TensorProto.FLOAT), g.ints(0))
    padded = g.slice(g.op("Pad", below, g.ints(0, 1, 0, 0, 0, 0)), g.ints(0), g.ints(-1), 1)
    path = g.op("Unsqueeze", g.op("Sub", below, padded), g.ints(1))
    path = g.op("Mul", g.op("Transpose", path, perm=[0, 1, 3, 2]), pairs)
    path = g.op("Squeeze", path, g.ints(1))
    spread = [
        g.op(
            "Transpose", g.op("MatMul", path, g.op("Transpose", x, perm=[0, 2, 1])), perm=[0, 2, 1]
        )
        for x in (mean, log_scale)
    ]
    random = g.op("Mul", g.op("RandomNormalLike", spread[0]), g.op("Exp", spread[1]))
    z = g.op("Add", spread[0], g.op("Mul", random, noise))
    z = g.op("Mul", g.op("Tanh", g.conv(z, HIDDEN, HIDDEN, 5)), mask)

    speech = [_decoder(g, z, speaker, resblock, rates) for _ in range(decoders)]
    if not speech:
        speech = [g.op("Tanh", g.conv(z, HIDDEN, 1, 7))]
    audio = speech[0] if decoders < 2 else g.op("Add", *speech)
    if rank == 4:
        g.named("output", "Unsqueeze", audio, g.ints(1))
    else:
        g.named("output", "Identity", audio)
    return _model(g, speakers, rank, opset)


def _decoder(g, z, speaker, resblock, rates):
    channels = 8
    x = g.conv(z, HIDDEN, channels, 7)
    if speaker:
        x = g.op("Add", x, g.conv(speaker, 6, channels, 1))
    for rate, kernel in rates:
        x = g.upsample(g.op("LeakyRelu", x, alpha=0.1), channels, channels // 2, rate, kernel)
        channels //= 2
        total = ""
        for block, dilations in ((3, (1, 2)), (5, (2, 3))):
            y = x
            for dilation in dilations:
                h = g.op("LeakyRelu", y, alpha=0.1)
                h = g.conv(h, channels, channels, block, dilation=dilation)
                if resblock == 1:
                    h = g.conv(g.op("LeakyRelu", h, alpha=0.1), channels, channels, block)
                y = g.op("Add", h, y)
            total = g.op("Add", total, y) if total else y
        x = g.op("Div", total, g.number(2.0))
    return g.op("Tanh", g.conv(g.op("LeakyRelu", x, alpha=0.01), channels, 1, 7))


def _model(g, speakers, rank, opset):
    large = [weight for weight in g.weights if len(weight.dims) > 1]
    constants = [
        helper.make_node("Constant", [], [weight.name], value=weight)
        for weight in g.weights
        if len(weight.dims) <= 1
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
    shape = ["batch", *[1] * (rank - 2), "time"]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)
    graph = helper.make_graph(constants + g.nodes, "main", inputs, [output], large)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, {**METADATA, "n_speakers": str(speakers)})
    return model


def write_voice(folder, model):
    """Write the model as a voice that the lab takes."""
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / "model.onnx"))
    symbols = "_^$ abcdefghijklmnopqrstuvwxyz"
    lines = "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols))
    (folder / "tokens.txt").write_text(lines)
    return folder


def tokens(count, seed=0):
    """Return token numbers."""
    return np.random.default_rng(seed).integers(3, 29, count).tolist()
