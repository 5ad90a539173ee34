"""An ONNX graph under construction: nodes, weights from a seed, and the layers that voices use."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Graph", "Values", "model_of"]

_OPSET, _IR_VERSION = 17, 8

Values = dict[str, tuple[int, list[int | str]]]
"""Inputs or outputs: names to types and shapes."""


class Graph:
    """A graph under construction: every call adds a node and returns its output's name."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)
        self._constants: dict[tuple[Any, ...], str] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        name = f"{kind}_{len(self.nodes)}"
        return self.named(name, kind, *inputs, **attributes)

    def named(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node whose output has this name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def halves(self, x: str, width: int) -> tuple[str, str]:
        """Split channels in two of this width."""
        name = f"Split_{len(self.nodes)}"
        names = (name + "_first", name + "_second")
        split = helper.make_node("Split", [x, self.ints(width, width)], names, name, axis=1)
        self.nodes.append(split)
        return names

    def weight(self, array: np.ndarray[Any, Any]) -> str:
        """Add an initializer."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        """Return a constant list of whole numbers."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Return a constant scalar."""
        return self._constant(np.array(value, np.float32))

    def number_int(self, value: int) -> str:
        """Return a constant whole scalar."""
        return self._constant(np.array(value, np.int64))

    def _constant(self, array: np.ndarray[Any, Any]) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.weight(array)
        return self._constants[key]

    def normal(self, *shape: int, scale: float) -> str:
        """Add random weights of this deviation."""
        values = self.random.standard_normal(shape, np.float32)
        return self.weight(values * np.float32(scale))

    def conv(
        self, x: str, channels: int, out: int, kernel: int, *, dilation: int = 1, gain: float = 1.0
    ) -> str:
        """Add a convolution that keeps the length."""
        scale = gain / (channels * kernel) ** 0.5
        pad = dilation * (kernel - 1) // 2
        return self.op(
            "Conv", x, self.normal(out, channels, kernel, scale=scale),
            self.normal(out, scale=0.01 * gain),
            kernel_shape=[kernel], dilations=[dilation], pads=[pad, pad],
        )  # fmt: skip

    def upsample(self, x: str, channels: int, out: int, rate: int, kernel: int) -> str:
        """Add a transposed convolution that makes each place ``rate`` places."""
        pad = (kernel - rate) // 2
        scale = (rate / (channels * kernel)) ** 0.5
        return self.op(
            "ConvTranspose", x, self.normal(channels, out, kernel, scale=scale),
            self.normal(out, scale=0.01),
            kernel_shape=[kernel], strides=[rate], pads=[pad, pad],
        )  # fmt: skip

    def layer_norm(self, x: str, channels: int) -> str:
        """Normalise over channels."""
        turned = self.turn(x)
        ones = self.weight(np.ones(channels, np.float32))
        zeros = self.weight(np.zeros(channels, np.float32))
        normal = self.op("LayerNormalization", turned, ones, zeros, axis=-1, epsilon=1e-5)
        return self.turn(normal)

    def unsqueeze(self, x: str, *axes: int) -> str:
        """Add axes of length 1."""
        return self.op("Unsqueeze", x, self.ints(*axes))

    def turn(self, x: str) -> str:
        """Swap the last two of three axes."""
        return self.op("Transpose", x, perm=[0, 2, 1])

    def slice(self, x: str, start: str, end: str, axis: int) -> str:
        """Take places from start to end on one axis."""
        return self.op("Slice", x, start, end, self.ints(axis))

    def length_mask(self, lengths: str, count: str) -> str:
        """Return 1 where a position is below its length, else 0: [lengths, count]."""
        places = self.op("Range", self.number_int(0), count, self.number_int(1))
        column = self.unsqueeze(lengths, -1)
        below = self.op("Less", self.unsqueeze(places, 0), column)
        return self.op("Cast", below, to=TensorProto.FLOAT)


def model_of(
    name: str,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    *,
    inputs: Values,
    outputs: Values,
    metadata: dict[str, str],
) -> onnx.ModelProto:
    """Put nodes and weights into a model that the oldest engine that was tried reads."""
    into, out = (
        [helper.make_tensor_value_info(each, *kind) for each, kind in values.items()]
        for values in (inputs, outputs)
    )
    model = helper.make_model(
        helper.make_graph(nodes, name, into, out, weights),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="listen2lab",
    )
    helper.set_model_props(model, metadata)
    return model
