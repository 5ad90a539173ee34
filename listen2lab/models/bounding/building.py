"""Nodes under construction for graphs that are changed, and loops over parts of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from listen2lab.models.bounding.structure import PREFIX

if TYPE_CHECKING:
    import onnx

__all__ = ["Builder", "Steps"]


class Builder:
    """A list of nodes; every call adds one and returns its output's name.

    Parameters
    ----------
    part
        Of what; it is part of every name.
    constants
        Where constants are collected, which the outer graph takes as initializers.
    """

    def __init__(self, part: str, constants: dict[str, TensorProto] | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {} if constants is None else constants
        self._part = f"{PREFIX}{part}/"

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        name = f"{self._part}{kind}_{len(self.nodes)}"
        return self.named(name, kind, *inputs, **attributes)

    def named(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node whose output has this name."""
        node = helper.make_node(kind, inputs, [name], name, **attributes)
        self.nodes.append(node)
        return name

    def number(self, value: int) -> str:
        """Return a whole scalar."""
        return self.constant(str(value), np.array(value, np.int64))

    def numbers(self, *values: int) -> str:
        """Return a list of whole numbers."""
        return self.constant(f"list{'_'.join(map(str, values))}", np.array(values, np.int64))

    def constant(self, key: str, array: np.ndarray[Any, Any]) -> str:
        """Return a constant, made once by its key."""
        if key not in self.constants:
            name = f"{PREFIX}constant/{key}"
            self.constants[key] = numpy_helper.from_array(array, name)
        return str(self.constants[key].name)

    @staticmethod
    def filling(value: int) -> TensorProto:
        """Return what ConstantOfShape fills with."""
        return numpy_helper.from_array(np.array([value], np.int64))

    def listed(self, scalar: str) -> str:
        """Make a list of one number of a scalar."""
        return self.op("Reshape", scalar, self.numbers(1))

    def slice(self, x: str, begin: str, end: str, axis: int) -> str:
        """Take places of an axis, between two scalars."""
        return self.op("Slice", x, self.listed(begin), self.listed(end), self.numbers(axis))

    def length(self, x: str, axis: int) -> str:
        """Return a tensor's length on an axis, a scalar."""
        return self.op("Gather", self.op("Shape", x), self.number(axis))


class Steps:
    """A Loop over a length, cut into as few equal steps as a limit allows.

    The last step overlaps the one before by less places than there are steps: outputs that are
    collected must have one shape.

    Parameters
    ----------
    b
        Of the graph that gets the Loop.
    part
        Its name in new names.
    length
        A scalar.
    most
        The limit.

    Attributes
    ----------
    body
        Of the Loop's body.
    size, start
        A step's length, and where it begins, a scalar of the body.
    """

    def __init__(self, b: Builder, part: str, length: str, most: int) -> None:
        self._outer = b
        self._name = f"{PREFIX}{part}/step"
        self._length = length
        limit, before_limit = b.number(most), b.number(most - 1)
        self._count = b.op("Div", b.op("Add", length, before_limit), limit)
        rounding = b.op("Sub", b.op("Add", length, self._count), b.number(1))
        self.size = b.op("Div", rounding, self._count)
        last = b.op("Sub", length, self.size)
        self.body = Builder(f"{part}/step", b.constants)
        self.start = self.body.op("Min", self.body.op("Mul", self._number, self.size), last)

    @property
    def _number(self) -> str:
        return self._name + "/number"

    def loop(self, out: str, rank: int) -> str:
        """Add the Loop; return what its steps collected: [steps, ...]."""
        b, go_on = self._outer, self._name + "/go_on"
        still = self.body.op("Identity", go_on)
        body = helper.make_graph(
            self.body.nodes,
            self._name,
            [
                helper.make_tensor_value_info(self._number, TensorProto.INT64, []),
                helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
            ],
            [
                helper.make_tensor_value_info(still, TensorProto.BOOL, []),
                helper.make_tensor_value_info(out, TensorProto.FLOAT, [None] * rank),
            ],
        )
        always = b.constant("true", np.array(True))  # noqa: FBT003 - an array of it
        return b.op("Loop", self._count, always, body=body)

    def join(self, name: str, collected: str, axis: int, each: str) -> None:
        """Leave out of all steps' places, on one axis, what the last one doubled.

        Parameters
        ----------
        name
            Of the result.
        collected
            The steps' outputs, one behind the other.
        axis
            Of them.
        each
            How many places of them one place of the length has, a scalar.
        """
        b = self._outer
        step = b.op("Mul", self.size, each)
        all_steps = b.op("Mul", self._count, step)
        but_last = b.op("Sub", all_steps, step)
        new = b.op("Sub", b.op("Mul", self._length, each), but_last)
        parts = (
            b.slice(collected, b.number(0), but_last, axis),
            b.slice(collected, b.op("Sub", all_steps, new), all_steps, axis),
        )
        b.named(name, "Concat", *parts, axis=axis)
