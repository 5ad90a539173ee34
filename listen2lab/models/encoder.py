"""The voice's text encoder: self-attention with relative positions, as VITS has it.

Positions are relative in a window of four tokens each way [1]_, for queries and for values; the
change between "by distance" and "by place" is the padding trick of [2]_.

References
----------
.. [1] P. Shaw, J. Uszkoreit, A. Vaswani, "Self-attention with relative position
   representations", NAACL 2018.
.. [2] C.-Z. A. Huang et al., "Music transformer", ICLR 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from listen2lab.models.graph import Graph

__all__ = ["TOKENS", "text_encoder"]

TOKENS = 256  # as many as Piper has, most of them unused
_HEADS = 2
_WINDOW = 4  # relative positions that attention tells apart, each way


def text_encoder(g: Graph, mask: str, count: str, *, hidden: int, inner: int, layers: int) -> str:
    """Encode the graph's ``input``, token numbers: [1, hidden, tokens].

    `mask` is 1 where a token is, [1, 1, tokens]; `count` their number; `inner` the channels between
    the two convolutions of a layer.
    """
    table = g.normal(TOKENS, hidden, scale=hidden**-0.5)
    x = g.op("Mul", g.op("Gather", table, "input"), g.number(hidden**0.5))
    x = g.op("Mul", g.turn(x), mask)
    pair_mask = g.op("Mul", g.unsqueeze(mask, 2), g.unsqueeze(mask, -1))
    is_masked = g.op("Equal", pair_mask, g.number(0.0))
    for _ in range(layers):
        x = g.layer_norm(g.op("Add", x, _attention(g, hidden, x, is_masked, count)), hidden)
        y = g.op("Relu", g.conv(g.op("Mul", x, mask), hidden, inner, 3))
        y = g.op("Mul", g.conv(g.op("Mul", y, mask), inner, hidden, 3), mask)
        x = g.layer_norm(g.op("Add", x, y), hidden)
    return g.op("Mul", x, mask)


def _attention(g: Graph, hidden: int, x: str, is_masked: str, count: str) -> str:
    """Self-attention with relative positions in a window, for queries and values."""
    width = hidden // _HEADS
    shape = g.ints(1, _HEADS, width, -1)
    query, key, value = (g.op("Reshape", g.conv(x, hidden, hidden, 1), shape) for _ in range(3))
    query = g.op("Transpose", query, perm=[0, 1, 3, 2])
    value = g.op("Transpose", value, perm=[0, 1, 3, 2])
    query = g.op("Div", query, g.number(width**0.5))
    scores = g.op("MatMul", query, key)
    key_places = g.op("Transpose", _relative_table(g, width, count), perm=[0, 1, 3, 2])
    by_distance = g.op("MatMul", query, key_places)
    scores = g.op("Add", scores, _to_absolute(g, by_distance, count))
    scores = g.op("Where", is_masked, g.number(-1e4), scores)
    chances = g.op("Softmax", scores, axis=-1)
    out = g.op("MatMul", chances, value)
    by_distance = _to_relative(g, chances, count)
    out = g.op("Add", out, g.op("MatMul", by_distance, _relative_table(g, width, count)))
    out = g.op("Reshape", g.op("Transpose", out, perm=[0, 1, 3, 2]), g.ints(1, hidden, -1))
    return g.conv(out, hidden, hidden, 1)


def _relative_table(g: Graph, width: int, count: str) -> str:
    """Return the vectors of all 2 count - 1 distances; zero outside the window."""
    table = g.normal(1, 1, 2 * _WINDOW + 1, width, scale=width**-0.5)
    count_1d = g.unsqueeze(count, 0)
    beyond = g.op("Sub", count_1d, g.ints(_WINDOW + 1))
    pad = g.op("Max", beyond, g.ints(0))
    zero = g.ints(0)
    pads = g.op("Concat", zero, zero, pad, zero, zero, zero, pad, zero, axis=0)
    padded = g.op("Pad", table, pads)
    start = g.op("Max", g.op("Neg", beyond), g.ints(0))
    distances = g.op("Sub", g.op("Mul", count_1d, g.ints(2)), g.ints(1))
    return g.slice(padded, start, g.op("Add", start, distances), 2)


def _to_absolute(g: Graph, x: str, count: str) -> str:
    """[1, heads, T, 2T - 1] by distance -> [1, heads, T, T] by place."""
    count_1d = g.unsqueeze(count, 0)
    less = g.op("Sub", count_1d, g.ints(1))
    x = g.op("Pad", x, g.ints(0, 0, 0, 0, 0, 0, 0, 1))
    x = g.op("Reshape", x, g.ints(1, _HEADS, -1))
    zero = g.ints(0)
    x = g.op("Pad", x, g.op("Concat", zero, zero, zero, zero, zero, less, axis=0))
    row = g.op("Sub", g.op("Mul", count_1d, g.ints(2)), g.ints(1))
    shape = g.op("Concat", g.ints(1, _HEADS), g.op("Add", count_1d, g.ints(1)), row, axis=0)
    x = g.op("Reshape", x, shape)
    x = g.slice(x, zero, count_1d, 2)
    return g.slice(x, less, g.ints(np.iinfo(np.int64).max), 3)


def _to_relative(g: Graph, x: str, count: str) -> str:
    """[1, heads, T, T] by place -> [1, heads, T, 2T - 1] by distance."""
    count_1d = g.unsqueeze(count, 0)
    less = g.op("Sub", count_1d, g.ints(1))
    zero = g.ints(0)
    x = g.op("Pad", x, g.op("Concat", g.ints(0, 0, 0, 0, 0, 0, 0), less, axis=0))
    x = g.op("Reshape", x, g.ints(1, _HEADS, -1))
    x = g.op("Pad", x, g.op("Concat", zero, zero, count_1d, zero, zero, zero, axis=0))
    row = g.op("Mul", count_1d, g.ints(2))
    x = g.op("Reshape", x, g.op("Concat", g.ints(1, _HEADS), count_1d, row, axis=0))
    return g.slice(x, g.ints(1), g.ints(np.iinfo(np.int64).max), 3)
