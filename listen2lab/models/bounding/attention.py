"""The text encoder's attention by blocks of rows: exact, without a matrix of tokens x tokens.

Each token's row of scores, its softmax and its sum of values need no other row. So blocks of rows
go one after the other through an ONNX Loop. Relative positions, which VITS pads to all distances
and shifts into place by reshaping [1]_, are shifted for the block's own rows: row i looks at
distances from N - 1 - i on, so in a block each row begins one place before the row above.

References
----------
.. [1] C.-Z. A. Huang et al., "Music transformer", ICLR 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listen2lab.models.bounding.building import Builder, Steps
from listen2lab.models.bounding.structure import Structure, attributes

if TYPE_CHECKING:
    import onnx

__all__ = ["Attention", "Operand", "find_attention", "put_in_blocks"]

_ROWS = 2  # axis of [1, heads, tokens, width]
# What relative positions are shifted by, from the result back.
_TO_PLACES = ("Slice", "Slice", "Reshape", "Pad", "Reshape", "Pad")
_TO_DISTANCES = ("Slice", "Reshape", "Pad", "Reshape", "Pad")


class Operand(NamedTuple):
    """One side of a product: a tensor, and what is done to it just before.

    A runtime makes one operator of a product and the transposing and scaling before it, which
    rounds otherwise than one after the other. So they go together with the product.
    """

    base: str
    before: tuple[onnx.NodeProto, ...]

    def axis(self, of_operand: int) -> int:
        """Return the base's axis that is this one of the operand."""
        for node in reversed(self.before):
            if node.op_type == "Transpose":
                of_operand = attributes(node)["perm"][of_operand]
        return of_operand

    def remade(self, t: Builder, base: str) -> str:
        """Do to another tensor what was done to the base; return the operand."""
        for node in self.before:
            base = t.op(node.op_type, base, *node.input[1:], **attributes(node))
        return base


class Attention(NamedTuple):
    """A layer of self-attention with relative positions; names of tensors."""

    queries: Operand
    """[1, heads, tokens, width], as the values."""
    keys: Operand
    """[1, heads, width, tokens]."""
    key_distances: Operand
    """[1, 1 or heads, width, 2 tokens - 1]."""
    values: Operand
    value_distances: Operand
    """[1, 1 or heads, 2 tokens - 1, width]."""
    row_mask: str
    """[1, 1, tokens, 1], 0 where a token is none; its columns are [1, 1, 1, tokens]."""
    column_mask: str
    masked: str
    """What a masked score is."""
    result: str
    """As the queries."""


def find_attention(s: Structure) -> list[Attention]:
    """Find the layers whose memory grows with the square of the tokens; none is no error."""
    layers = (_layer(s, i) for i in s.kinds("Softmax"))
    return [layer for layer in layers if layer is not None]


def _layer(s: Structure, softmax: int) -> Attention | None:
    """Look at a Softmax's surroundings; None if they are not those of such a layer."""
    node = s.nodes[softmax]
    if attributes(node).get("axis", -1) not in (-1, 3):
        return None
    where = _made_by(s, node.input[0], "Where")
    total = None if where is None else _made_by(s, where[2], "Add")
    masks = None if where is None else _masks(s, where[0])
    if where is None or total is None or masks is None:
        return None
    # scores of keys directly, scores of distances after a shift
    scores = [_made_by(s, name, "MatMul") for name in total]
    shifted = [_made_by(s, _behind(s, name, _TO_PLACES), "MatMul") for name in total]
    by_key = next((each for each in scores if each is not None), None)
    by_distance = next((each for each in shifted if each is not None), None)
    if by_key is None or by_distance is None or by_key[0] != by_distance[0]:
        return None
    chances = node.output[0]
    sums = [(i, s.nodes[i]) for i in s.downstream([chances]) if s.nodes[i].op_type == "MatMul"]
    of_values = [each for each in sums if each[1].input[0] == chances]
    of_distances = [each for each in sums if _behind(s, each[1].input[0], _TO_DISTANCES) == chances]
    if len(of_values) != 1 or len(of_distances) != 1:
        return None
    pair = {of_values[0][1].output[0], of_distances[0][1].output[0]}
    ends = [i for name in pair for i in s.consumers.get(name, ())]
    if len(set(ends)) != 1 or s.nodes[ends[0]].op_type != "Add":
        return None
    return Attention(
        queries=_operand(s, by_key[0]),
        keys=_operand(s, by_key[1]),
        key_distances=_operand(s, by_distance[1]),
        values=_operand(s, of_values[0][1].input[1]),
        value_distances=_operand(s, of_distances[0][1].input[1]),
        row_mask=masks[0],
        column_mask=masks[1],
        masked=where[1],
        result=s.nodes[ends[0]].output[0],
    )


def _operand(s: Structure, name: str) -> Operand:
    before: list[onnx.NodeProto] = []
    while (i := s.producer.get(name)) is not None:
        node = s.nodes[i]
        is_scale = node.op_type in ("Div", "Mul") and np.size(s.constant(node.input[1])) == 1
        if not is_scale and (node.op_type != "Transpose" or "perm" not in attributes(node)):
            break
        before.insert(0, node)
        name = node.input[0]
    return Operand(name, tuple(before))


def _made_by(s: Structure, name: str | None, kind: str) -> list[str] | None:
    """Return the inputs of the node that makes a tensor if it is of this operator."""
    i = None if name is None else s.producer.get(name)
    return list(s.nodes[i].input) if i is not None and s.nodes[i].op_type == kind else None


def _behind(s: Structure, name: str, kinds: tuple[str, ...]) -> str | None:
    """Return what stands before a chain of operators, from its end back."""
    for kind in kinds:
        inputs = _made_by(s, name, kind)
        if inputs is None:
            return None
        name = inputs[0]
    return name


def _masks(s: Structure, name: str) -> tuple[str, str] | None:
    """Return the masks whose product is compared with 0: of rows and of columns."""
    cast = _made_by(s, name, "Cast")
    compared = _made_by(s, name if cast is None else cast[0], "Equal")
    if compared is None or np.any(s.constant(compared[1]) != 0):
        return None
    factors = _made_by(s, compared[0], "Mul")
    shapes = [s.shape(factor) for factor in factors or ()]
    if factors is None or any(shape is None or len(shape) != 4 for shape in shapes):
        return None
    rows = [f for f, shape in zip(factors, shapes, strict=True) if shape is not None
            and shape[3] == 1 != shape[2]]  # fmt: skip
    columns = [f for f, shape in zip(factors, shapes, strict=True) if shape is not None
               and shape[2] == 1 != shape[3]]  # fmt: skip
    return (rows[0], columns[0]) if len(rows) == len(columns) == 1 else None


def put_in_blocks(s: Structure, layer: Attention, block: int, part: str) -> None:
    """Put a layer into a Loop over blocks of rows.

    Parameters
    ----------
    s
        The voice's graph; changed.
    layer
        Of this graph.
    block
        The most rows of a step; all steps have as many, and the last one overlaps.
    part
        The layer's name in new names.
    """
    b = Builder(part)
    row_axis = layer.queries.axis(_ROWS)
    tokens = b.length(layer.queries.base, row_axis)
    steps = Steps(b, part, tokens, block)
    # one distance more, of zeros, so that no row of them is ever narrower than a row of tokens
    distance_axis = layer.key_distances.axis(3)
    key_distances = _one_more(b, layer.key_distances.base, distance_axis)
    of_values = layer.value_distances
    value_distances = _one_more(b, of_values.base, of_values.axis(2))
    twice = b.op("Add", tokens, tokens)

    t = steps.body
    end = t.op("Add", steps.start, steps.size)
    # queries are remade for each product: a runtime makes one operator of both
    some = t.slice(layer.queries.base, steps.start, end, row_axis)
    keys = layer.keys.remade(t, layer.keys.base)
    scores = t.op("MatMul", layer.queries.remade(t, some), keys)
    # distances that these rows look at: as many as tokens and rows
    nearest, farthest = t.op("Sub", tokens, end), t.op("Sub", twice, steps.start)
    seen = t.slice(key_distances, nearest, farthest, distance_axis)
    seen = layer.key_distances.remade(t, seen)
    by_distance = t.op("MatMul", layer.queries.remade(t, some), seen)
    scores = t.op("Add", scores, _to_places(t, by_distance, tokens, steps.size))
    mask = t.op("Mul", t.slice(layer.row_mask, steps.start, end, _ROWS), layer.column_mask)
    is_masked = t.op("Equal", mask, b.constant("zero", np.array(0, np.float32)))
    scores = t.op("Where", is_masked, layer.masked, scores)
    chances = t.op("Softmax", scores, axis=-1)
    by_value = t.op("MatMul", chances, layer.values.remade(t, layer.values.base))
    chances = _to_distances(t, chances, tokens, steps)
    out = t.op("Add", by_value, t.op("MatMul", chances, of_values.remade(t, value_distances)))

    # [blocks, 1, heads, rows, width] -> [1, heads, blocks * rows, width]
    blocks = b.op("Transpose", steps.loop(out, 4), perm=[1, 2, 0, 3, 4])
    leading = b.slice(b.op("Shape", blocks), b.number(0), b.number(2), 0)
    width = b.slice(b.op("Shape", blocks), b.number(4), b.number(5), 0)
    shape = b.op("Concat", leading, b.numbers(-1), width, axis=0)
    steps.join(layer.result, b.op("Reshape", blocks, shape), _ROWS, b.number(1))
    s.add_weights(b.constants)
    at = s.producer[layer.result]
    s.replace(at, [at], b.nodes)


def _to_places(t: Builder, x: str, tokens: str, rows: str) -> str:
    """[1, heads, rows, tokens + rows] by distance -> [1, heads, rows, tokens] by place.

    Row r begins at rows - 1 - r: flattened, each row begins one place less than a row further.
    """
    same = t.numbers(0)
    flat = t.op("Reshape", x, t.op("Concat", same, same, t.numbers(-1), axis=0))
    first = t.op("Sub", rows, t.number(1))
    width = t.op("Add", tokens, first)
    flat = t.slice(flat, first, t.op("Add", first, t.op("Mul", rows, width)), 2)
    shape = t.op("Concat", same, same, t.listed(rows), t.listed(width), axis=0)
    return t.slice(t.op("Reshape", flat, shape), t.number(0), tokens, 3)


def _to_distances(t: Builder, x: str, tokens: str, steps: Steps) -> str:
    """[1, heads, rows, tokens] by place -> [1, heads, rows, 2 tokens] by distance.

    The same way back: the utterance's row i gets tokens - 1 - i places before it.
    """
    same = t.numbers(0)
    less = t.op("Sub", tokens, t.number(1))
    x = t.op("Pad", x, t.op("Concat", t.numbers(*[0] * 7), t.listed(less), axis=0))
    flat = t.op("Reshape", x, t.op("Concat", same, same, t.numbers(-1), axis=0))
    before = t.op("Sub", less, steps.start)
    behind = t.op("Sub", steps.size, before)
    pads = [t.numbers(0, 0), t.listed(before), t.numbers(0, 0), t.listed(behind)]
    flat = t.op("Pad", flat, t.op("Concat", *pads, axis=0))
    twice = t.op("Add", tokens, tokens)
    shape = t.op("Concat", same, same, t.listed(steps.size), t.listed(twice), axis=0)
    return t.op("Reshape", flat, shape)


def _one_more(b: Builder, name: str, axis: int) -> str:
    """Put a row of zeros behind the others on an axis of four."""
    pads = [0] * 8
    pads[4 + axis] = 1
    return b.op("Pad", name, b.numbers(*pads))
