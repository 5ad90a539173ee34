"""A graph with its edges in both directions, and the parts of a voice found in them.

Exporters name things differently, so nothing here looks at a name: parts are found by operators
and by what depends on what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper, numpy_helper, shape_inference

from listen2lab.errors import VoiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["PREFIX", "Structure", "attributes", "not_understood"]

PREFIX = "bounded/"
"""Begins the name of every tensor and node that the rewriting adds."""


def not_understood(what: str) -> VoiceError:
    """Return the refusal of a graph: what was looked for and what was found instead."""
    return VoiceError(
        f"the voice's graph cannot be bounded: {what}. Nothing was written. A voice exported by "
        "Piper's own exporter, or one of the lab's, can be"
    )


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name, as Python values."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


class Structure:
    """A model's graph, to be asked and changed.

    Parameters
    ----------
    model
        Changed once all is done, by `finish`.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self.nodes = list(self.graph.node)
        self._shapes: dict[str, list[int | None]] | None = None
        self._refresh()

    def _refresh(self) -> None:
        self.weights = {each.name: each for each in self.graph.initializer}
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output}
        self.consumers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for name in _reads(node):
                self.consumers.setdefault(name, []).append(i)
        self.outputs = {each.name for each in self.graph.output}

    def kinds(self, kind: str) -> list[int]:
        """Return the places of the nodes of an operator."""
        return [i for i, node in enumerate(self.nodes) if node.op_type == kind]

    def upstream(self, names: Iterable[str], *, stop: Callable[[int], bool] = bool) -> set[int]:
        """Return the nodes that tensors depend on.

        Parameters
        ----------
        names
            The tensors.
        stop
            Whether a node, which is still returned, is not looked behind. By default none is.
        """
        never = stop is bool
        found: set[int] = set()
        ahead = list(names)
        while ahead:
            i = self.producer.get(ahead.pop())
            if i is None or i in found:
                continue
            found.add(i)
            if never or not stop(i):
                ahead.extend(_reads(self.nodes[i]))
        return found

    def downstream(self, names: Iterable[str]) -> set[int]:
        """Return the nodes that depend on tensors."""
        found: set[int] = set()
        ahead = list(names)
        while ahead:
            for i in self.consumers.get(ahead.pop(), ()):
                if i not in found:
                    found.add(i)
                    ahead.extend(self.nodes[i].output)
        return found

    def shape(self, name: str) -> list[int | None] | None:
        """Return a tensor's shape as far as it can be inferred; None if not even its rank."""
        if name in self.weights:
            return list(self.weights[name].dims)
        if self._shapes is None:
            self._shapes = _inferred(self.model)
        return self._shapes.get(name)

    def constant(self, name: str) -> Any:
        """Return a tensor's value as an array if it is a constant, else None."""
        if name in self.weights:
            return numpy_helper.to_array(self.weights[name])
        i = self.producer.get(name)
        if i is not None and self.nodes[i].op_type == "Constant":
            value = attributes(self.nodes[i]).get("value")
            return None if value is None else numpy_helper.to_array(value)
        return None

    def replace(self, at: int, gone: Iterable[int], fresh: Iterable[onnx.NodeProto]) -> None:
        """Put nodes before the place ``at`` and take others out."""
        out = set(gone)
        nodes = [node for i, node in enumerate(self.nodes[:at]) if i not in out]
        nodes += fresh
        nodes += [node for i, node in enumerate(self.nodes[at:], at) if i not in out]
        self.nodes = nodes
        self._refresh()

    def add_weights(self, weights: Mapping[str, onnx.TensorProto]) -> None:
        """Add initializers, those that are new by their names."""
        fresh = {name: w for w in weights.values() if (name := w.name) not in self.weights}
        self.graph.initializer.extend(fresh.values())
        self.weights.update(fresh)

    def finish(self) -> None:
        """Remove nodes and weights that no output needs, and hand the rest to the model."""
        alive = self.upstream(self.outputs)
        self.nodes = [node for i, node in enumerate(self.nodes) if i in alive]
        read = {name for node in self.nodes for name in _reads(node)} | self.outputs
        # copied first: what is cleared may be gone
        kept = onnx.GraphProto()
        kept.node.extend(self.nodes)
        kept.initializer.extend(w for w in self.graph.initializer if w.name in read)
        for field in ("node", "initializer", "value_info"):
            self.graph.ClearField(field)
        self.graph.MergeFrom(kept)


def _reads(node: onnx.NodeProto) -> list[str]:
    """Return the tensors that a node needs, those that only its bodies read included."""
    names = [name for name in node.input if name]
    for each in node.attribute:
        for body in [each.g] if each.type == onnx.AttributeProto.GRAPH else each.graphs:
            inside = {given.name for given in [*body.input, *body.initializer]}
            inside.update(name for inner in body.node for name in inner.output)
            wanted = [name for inner in body.node for name in _reads(inner)]
            wanted += [given.name for given in body.output]
            names += [name for name in wanted if name not in inside]
    return names


def _inferred(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Infer shapes; a dimension that is not known, or only by a name, is None."""
    try:
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        last = str(error).strip().splitlines()[-1:] or ["no message"]
        raise not_understood(f"its shapes contradict each other ({last[0]})") from error
    shapes: dict[str, list[int | None]] = {}
    for each in [*graph.value_info, *graph.input, *graph.output]:
        if each.type.tensor_type.HasField("shape"):
            dims = each.type.tensor_type.shape.dim
            shapes[each.name] = [d.dim_value if d.HasField("dim_value") else None for d in dims]
    return shapes
