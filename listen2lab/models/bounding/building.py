"""Nodes and whole constants under construction, for graphs that are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from listen2lab.models.bounding.structure import PREFIX

if TYPE_CHECKING:
    import onnx

__all__ = ["Builder"]


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
