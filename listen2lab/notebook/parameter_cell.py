"""The typed parameters of a notebook: read from its first code cell, checked, and replaced."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Parameter", "from_text", "parameters_of", "replaced"]

_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "None": (type(None),),
}


@dataclass(frozen=True)
class Parameter:
    """An annotated assignment such as ``repeats: int = 3``.

    Parameters
    ----------
    name, annotation
        As they are written.
    value
        The value in the cell: a literal.
    place
        Where the value stands: line and byte of its start, line and byte of its end.
    """

    name: str
    annotation: str
    value: Any
    place: tuple[int, int, int, int]

    def fits(self, value: Any) -> bool:
        """Tell whether a value is of the annotated type; a bool is no int."""
        return _fits(ast.parse(self.annotation, mode="eval").body, value)


def parameters_of(source: str) -> dict[str, Parameter]:
    """Read a cell's parameters."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise InputError(f"the parameters' cell is no Python: {error}") from error
    found = {}
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name, annotation = node.target.id, ast.unparse(node.annotation)
        if node.value is None:
            raise InputError(f"the parameter {name!r} has no value; give it one in the first cell")
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            raise InputError(
                f"the parameter {name!r} is {ast.unparse(node.value)}; write a plain value"
            ) from None
        end = (node.value.end_lineno or 0, node.value.end_col_offset or 0)
        place = (node.value.lineno, node.value.col_offset, *end)
        found[name] = Parameter(name, annotation, value, place)
        _checked(found[name], value)
    return found


def replaced(source: str, values: Mapping[str, Any]) -> str:
    """Return a cell with other values."""
    known = parameters_of(source)
    for name in values:
        if name not in known:
            raise UnknownNameError("parameter of this notebook", name, known)
    lines = source.encode().splitlines(keepends=True)  # ast counts bytes
    for name, parameter in reversed(known.items()):  # from the end: places before it stay true
        if name not in values:
            continue
        given = values[name]
        value = os.fspath(given) if isinstance(given, os.PathLike) else given
        _checked(parameter, value)
        first, start, last, end = parameter.place
        head, tail = lines[first - 1][:start], lines[last - 1][end:]
        lines[first - 1 : last] = [head + repr(value).encode() + tail]
    return b"".join(lines).decode()


def from_text(parameter: Parameter, text: str) -> Any:
    """Return the value that a text stands for, as a command line gives it.

    JSON or a Python literal where that is of the parameter's type (``3``, ``true``, ``None``), else
    the text itself; `replaced` then says what does not fit.
    """
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if parameter.fits(value):
            return value
    return text


def _checked(parameter: Parameter, value: Any) -> None:
    if not parameter.fits(value):
        raise InputError(
            f"the parameter {parameter.name!r} must be {parameter.annotation}, not {value!r} "
            f"({type(value).__name__})"
        )


def _fits(kind: ast.expr, value: Any) -> bool:
    """Tell whether a value is of an annotated type."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _fits(kind.left, value) or _fits(kind.right, value)
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "list":
        return isinstance(value, list) and all(_fits(kind.slice, item) for item in value)
    name = ast.unparse(kind)
    if name not in _PLAIN:
        known = ", ".join(_PLAIN)
        raise InputError(
            f"{name!r} is no type for a parameter; there are {known}, list[...] and A | B"
        )
    return isinstance(value, _PLAIN[name]) and (name == "bool" or not isinstance(value, bool))
