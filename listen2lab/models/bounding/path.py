"""The path from tokens to frames, by Gather instead of by a matrix of zeros and ones.

VITS spreads each token's mean and log-scale over its frames with a product of two matrices, one of
which is frames x tokens of zeros and one 1 a row. Whole durations say directly which token a frame
belongs to: as many tokens ended at or before the frame as stand before its own.
"""

from __future__ import annotations

from typing import NamedTuple

from onnx import TensorProto

from listen2lab.models.bounding.building import Builder
from listen2lab.models.bounding.structure import Structure, not_understood

__all__ = ["Path", "find_path", "gather_path"]

_COMPARISONS = frozenset({"Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
# Beside them a path's matrix is made of shapes, reshapes and products of masks.
_NOT_OF_A_PATH = frozenset({
    "Conv", "ConvTranspose", "Einsum", "Gemm", "If", "Loop", "MatMul", "RandomNormalLike", "Scan",
    "Softmax", "Tanh",
})  # fmt: skip


class Path(NamedTuple):
    """Where a voice spreads tokens over frames."""

    durations: str
    """Whole frames of each token, [1, 1, tokens]."""
    products: tuple[int, ...]
    """The nodes that multiply the matrix with something of each token."""


def find_path(s: Structure, frames: str) -> Path:
    """Find the durations and the products with the path's matrix.

    Parameters
    ----------
    s
        The voice's graph.
    frames
        The decoder's input.

    Raises
    ------
    VoiceError
        They are not there as VITS has them.
    """
    above = s.upstream([frames])
    sums = s.kinds("CumSum")
    # others round too: only the durations are summed up as the tokens go by
    whole = [
        i for i in s.kinds("Ceil") if i in above and s.downstream(s.nodes[i].output) & set(sums)
    ]
    if len(whole) != 1:
        raise not_understood(
            "whole durations were looked for (a Ceil that is summed up and that the decoder "
            f"depends on) and {len(whole)} were found"
        )
    durations = s.nodes[whole[0]].output[0]
    shape = s.shape(durations)
    if shape is not None and (len(shape) != 3 or shape[1] not in (1, None)):
        raise not_understood(
            f"its durations have the shape {shape} and [1, 1, tokens] was expected"
        )
    timed = s.downstream([durations])
    products = tuple(
        i
        for i in sorted(timed)
        if s.nodes[i].op_type == "MatMul"
        and s.producer.get(s.nodes[i].input[1]) not in timed
        and s.nodes[i].input[1] not in s.weights
        and _is_path(s, s.nodes[i].input[0], timed)
    )
    used = [i for i in products if i in above]
    if len(used) < 2:
        raise not_understood(
            "two products of a path's matrix with means and log-scales were looked for (MatMul "
            f"behind CumSum and Less) and {len(used)} were found"
        )
    return Path(durations, products)


def _is_path(s: Structure, name: str, timed: set[int]) -> bool:
    kinds = {s.nodes[i].op_type for i in s.upstream([name]) & timed}
    return bool(
        "CumSum" in kinds and kinds & _COMPARISONS and "Sub" in kinds
        and not kinds & _NOT_OF_A_PATH
    )  # fmt: skip


def gather_path(s: Structure, path: Path) -> None:
    """Replace each product by a Gather of each frame's token.

    A token without frames (silenced by a length of 0, or padding) has no place in it, as it has
    none in the matrix; an utterance without any frame takes the first token.

    Parameters
    ----------
    s
        The voice's graph; changed.
    path
        Of this graph.
    """
    b = Builder("path")
    zero, one = b.number(0), b.number(1)
    frames = b.op("Squeeze", path.durations, b.numbers(0, 1))
    whole = b.op("Cast", frames, to=TensorProto.INT64)
    spoken = b.op("Reshape", b.op("NonZero", whole), b.numbers(-1))
    ends = b.op("CumSum", b.op("Gather", whole, spoken), zero)
    total = b.op("Max", b.op("ReduceSum", whole, keepdims=0), one)
    # a 1 where a token ends; the last one ends behind the last frame
    room = b.op("ConstantOfShape", b.listed(b.op("Add", total, one)), value=b.filling(0))
    ones = b.op("ConstantOfShape", b.op("Shape", ends), value=b.filling(1))
    steps = b.op("ScatterElements", room, ends, ones, axis=0)
    place = b.op("CumSum", b.slice(steps, zero, total, 0), zero)
    token = b.op("Gather", b.op("Concat", spoken, b.numbers(0), axis=0), place)
    for i in path.products:
        node = s.nodes[i]
        b.named(node.output[0], "Gather", node.input[1], token, axis=1)
    s.add_weights(b.constants)
    # the last product's place: what the others read stands before theirs
    first = path.products[0]
    made = b.nodes[: -len(path.products)]
    gathers = b.nodes[-len(path.products) :]
    for gather, i in zip(reversed(gathers), reversed(path.products), strict=True):
        s.replace(i, [i], [gather])
    s.replace(first, [], made)
