"""The decoder, put into windows: the same samples, with room for one window only.

From the masked frames to the samples the decoder of VITS is convolutional: a sample depends on a
few frames each way. So it may run over windows of frames, one after the other, in the body of an
ONNX Loop. Each step reads its window and a margin on both sides, *clamped* to the utterance: each
layer's own zero padding is right at the true ends, and what it spoils elsewhere lies in the margin
and is cropped; the more the less of it what follows needs. The weights stay the outer graph's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.models.bounding.building import Builder, Steps
from listen2lab.models.bounding.structure import PREFIX, Structure, attributes, not_understood

if TYPE_CHECKING:
    import onnx

__all__ = ["Cut", "Decoder", "find_decoder", "put_in_windows"]

# What gives each place of its output from the same place of its inputs.
_PLACE_BY_PLACE = frozenset({
    "Abs", "Add", "Cast", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Identity", "LeakyRelu",
    "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Sigmoid", "Sin",
    "Softplus", "Sqrt", "Sub", "Sum", "Tanh",
})  # fmt: skip
_LAYERS = frozenset({"Conv", "ConvTranspose"})
_TIME = 2  # axis of [1, channels, frames]


class Cut(NamedTuple):
    """A tensor inside a decoder that all that follows depends on, and on nothing before it."""

    tensor: str
    rate: int
    """Places of it a frame."""
    reach: int
    """Frames on either side, at this rate, that a frame's samples depend on."""


class Decoder(NamedTuple):
    """The part of a voice that makes samples of frames."""

    frames: str
    """What it is given, [1, channels, frames]."""
    samples: str
    """What it makes, [1, 1, samples]."""
    nodes: tuple[int, ...]
    """Between the two, in the graph's order."""
    hop: int
    """Samples a frame."""
    reach: int
    """Frames on either side of a frame that its samples depend on."""
    cuts: tuple[Cut, ...]
    """Before an upsampling: from there on less of the margin is needed."""


def find_decoder(s: Structure) -> Decoder:
    """Find the decoder: from the Conv before the first ConvTranspose to the last Tanh.

    Parameters
    ----------
    s
        The voice's graph.

    Returns
    -------
    Decoder
        Of which is known how far it looks.

    Raises
    ------
    VoiceError
        There is none, there are several, or it is not convolutional.
    """
    frames, first = _first_layer(s)
    samples = _last_tanh(s, first)
    inside = s.downstream([frames]) & s.upstream([samples])
    nodes = tuple(sorted(inside))
    names = {name for i in nodes for name in s.nodes[i].output}
    for name in names - {samples}:
        if name in s.outputs or not inside.issuperset(s.consumers.get(name, ())):
            raise not_understood(f"{name!r}, from inside its decoder, is also read outside of it")
    _check_inputs(s, nodes, names | {frames})
    hop, reach, cuts = _reach(s, nodes, frames, samples)
    return Decoder(frames, samples, nodes, hop, reach, cuts)


def _first_layer(s: Structure) -> tuple[str, int]:
    """Return the decoder's input, and its first Conv: of several, the one that sees durations."""
    upsampling = s.kinds("ConvTranspose")
    looked_for = "a decoder was looked for (Conv, ConvTransposes, Tanh)"
    if not upsampling:
        raise not_understood(f"{looked_for} and the graph has no ConvTranspose")
    behind = {i: s.upstream(s.nodes[i].input) for i in upsampling}
    firsts = [i for i in upsampling if not behind[i].intersection(upsampling)]
    if len(firsts) != 1:
        raise not_understood(f"{looked_for} and {len(firsts)} were found")
    timed = s.downstream(name for i in s.kinds("Ceil") for name in s.nodes[i].output)
    near = s.upstream([s.nodes[firsts[0]].input[0]], stop=lambda i: s.nodes[i].op_type == "Conv")
    convs = [i for i in near & timed if s.nodes[i].op_type == "Conv"]
    if len(convs) != 1:
        raise not_understood(
            f"{looked_for}, and {len(convs)} Convs that depend on durations (a Ceil) come right "
            "before the first ConvTranspose, where one was expected"
        )
    return s.nodes[convs[0]].input[0], convs[0]


def _last_tanh(s: Structure, first: int) -> str:
    after = s.downstream(s.nodes[first].output)
    tanhs = [i for i in after if s.nodes[i].op_type == "Tanh"]
    last = [i for i in tanhs if not s.downstream(s.nodes[i].output).intersection(tanhs)]
    if len(last) != 1:
        raise not_understood(
            f"a decoder's end was looked for (the last Tanh) and {len(last)} were found"
        )
    return str(s.nodes[last[0]].output[0])


def _check_inputs(s: Structure, nodes: tuple[int, ...], inside: set[str]) -> None:
    """Refuse operators that are not known to be local, and outer tensors that have a time."""
    for i in nodes:
        node = s.nodes[i]
        if node.domain not in ("", "ai.onnx") or node.op_type not in _PLACE_BY_PLACE | _LAYERS:
            raise not_understood(
                f"its decoder holds {node.op_type} ({node.name!r}), of which it is not known "
                "that a sample depends on near frames only"
            )
        if node.op_type in _LAYERS:
            if any(name in inside for name in node.input[1:]):
                raise not_understood(f"{node.name!r} in its decoder computes its weights")
            continue
        for name in node.input:
            if not name or name in inside:
                continue
            shape = s.shape(name)
            if shape is None or (len(shape) > 0 and shape[-1] != 1):
                raise not_understood(
                    f"{node.op_type} ({node.name!r}) in its decoder reads {name!r}, whose shape "
                    f"{'is not known' if shape is None else shape} and must end in 1"
                )


def _reach(
    s: Structure, nodes: tuple[int, ...], frames: str, samples: str
) -> tuple[int, int, tuple[Cut, ...]]:
    """Return the samples a frame, how many frames away one frame's samples look, and the cuts.

    Ranges of places are followed backwards, from the samples of frame 0 to the frames they need.
    """
    rate = {frames: 1}
    for i in nodes:
        node = s.nodes[i]
        rates = {rate[name] for name in node.input if name in rate}
        if len(rates) != 1:
            raise not_understood(f"{node.name!r} in its decoder joins different rates")
        factor = _upsampling(s, node) if node.op_type in _LAYERS else 1
        rate[node.output[0]] = rates.pop() * factor
    hop = rate[samples]
    needed = {samples: (0, hop - 1)}
    for i in reversed(nodes):
        node = s.nodes[i]
        low, high = needed[node.output[0]]
        if node.op_type in _LAYERS:
            (kernel, stride, dilation, begin) = _layer(s, node)
            span = dilation * (kernel - 1)
            if node.op_type == "Conv":
                low, high = low - begin, high - begin + span
            else:
                low, high = -(-(low + begin - span) // stride), (high + begin) // stride
        for name in node.input:
            if name in rate:
                was = needed.get(name, (low, high))
                needed[name] = (min(was[0], low), max(was[1], high))
    low, high = needed[frames]
    cuts = []
    for i in nodes:
        name = s.nodes[i].input[0]
        if s.nodes[i].op_type == "ConvTranspose" and _is_passed_by_all(s, nodes, name):
            low_there, high_there = needed[name]
            places = max(-low_there, high_there - rate[name] + 1)
            cuts.append(Cut(name, rate[name], -(-places // rate[name])))
    return hop, max(-low, high), tuple(cuts)


def _is_passed_by_all(s: Structure, nodes: tuple[int, ...], name: str) -> bool:
    """Tell whether nothing behind a tensor reads what is made before it."""
    behind = s.downstream([name]).intersection(nodes)
    made = {out for i in set(nodes) - behind for out in s.nodes[i].output} - {name}
    return not any(made.intersection(s.nodes[i].input) for i in behind)


def _layer(s: Structure, node: onnx.NodeProto) -> tuple[int, int, int, int]:
    """Return kernel, stride, dilation and the padding before, of one axis."""
    given = attributes(node)
    shape = s.shape(node.input[1])
    kernel = given.get("kernel_shape") or (shape or [])[2:]
    if len(kernel) != 1 or kernel[0] is None:
        raise not_understood(f"{node.op_type} ({node.name!r}) in its decoder has not one axis")
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("output_shape"):
        raise not_understood(f"{node.op_type} ({node.name!r}) in its decoder pads by itself")
    (stride,) = given.get("strides") or [1]
    (dilation,) = given.get("dilations") or [1]
    return kernel[0], stride, dilation, (given.get("pads") or [0, 0])[0]


def _upsampling(s: Structure, node: onnx.NodeProto) -> int:
    """Return how many places a layer makes of one; it must be exactly as many, ends included."""
    kernel, stride, dilation, begin = _layer(s, node)
    given = attributes(node)
    pads = begin + (given.get("pads") or [0, 0])[1]
    span = dilation * (kernel - 1)
    if node.op_type == "Conv":
        is_even = stride == 1 and pads == span
        stride = 1
    else:
        is_even = span + 1 - pads + sum(given.get("output_padding") or [0]) == stride
    if not is_even:
        raise not_understood(
            f"{node.op_type} ({node.name!r}) in its decoder does not make a whole number of "
            "places of each place"
        )
    return int(stride)


def put_in_windows(s: Structure, decoder: Decoder, window: int, margin: int) -> None:
    """Put the decoder into a Loop over windows.

    Parameters
    ----------
    s
        The voice's graph; changed.
    decoder
        Of this graph.
    window
        The most frames of one step.
    margin
        Frames more, on either side; at least the decoder's reach.
    """
    b = Builder("windows")
    length = b.length(decoder.frames, _TIME)
    steps = Steps(b, "windows", length, window)
    hop = b.number(decoder.hop)
    t = steps.body

    def begin(reach: int) -> tuple[str, str]:
        """Return where a step's places begin with this margin, and how many they are."""
        read = b.op("Min", length, b.op("Add", steps.size, b.number(2 * reach)))
        first = t.op("Max", t.op("Sub", steps.start, b.number(reach)), b.number(0))
        return t.op("Min", first, b.op("Sub", length, read)), read

    def cropped(x: str, rate: int, was: str, now: str, read: str) -> str:
        places = b.number(rate)
        first = t.op("Mul", t.op("Sub", now, was), places)
        return t.slice(x, first, t.op("Add", first, t.op("Mul", read, places)), _TIME)

    at, read = begin(margin)
    frames = t.slice(decoder.frames, at, t.op("Add", at, read), _TIME)
    renamed = {decoder.frames: frames, decoder.samples: PREFIX + "windows/samples"}
    cuts = {cut.tensor: cut for cut in decoder.cuts}
    spare = margin - decoder.reach  # the same at every cut
    for i in decoder.nodes:
        node = s.nodes[i]
        cut = next((cuts.pop(name) for name in node.input if name in cuts), None)
        if cut is not None and max(0, cut.reach + spare) < margin:
            margin = max(0, cut.reach + spare)
            was, (at, read) = at, begin(margin)
            renamed[cut.tensor] = cropped(cut.tensor, cut.rate, was, at, read)
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
        t.nodes.append(node)
    out = cropped(renamed[decoder.samples], decoder.hop, at, steps.start, steps.size)

    row = b.op("Reshape", steps.loop(out, 3), b.numbers(-1))
    steps.join(PREFIX + "windows/joined", row, 0, hop)
    b.named(decoder.samples, "Reshape", PREFIX + "windows/joined", b.numbers(1, 1, -1))
    s.add_weights(b.constants)
    s.replace(decoder.nodes[-1] + 1, decoder.nodes, b.nodes)
