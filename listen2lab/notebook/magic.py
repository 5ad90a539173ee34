"""The cell magic ``%%leak``: step a cell's body in fresh processes, show its curve and verdict."""

from __future__ import annotations

import ast
import symtable
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from listen2lab import api
from listen2lab.errors import InputError, LabError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.facade import Study

__all__ = ["load_ipython_extension", "step_of"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magic: ``%load_ext listen2lab``."""
    from IPython.core.error import UsageError
    from IPython.core.magic_arguments import MagicArgumentParser
    from IPython.display import display

    parser = MagicArgumentParser("%%leak")
    parser.add_argument("--steps", type=int, default=100, help="measured steps of a process")
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes")
    parser.add_argument(
        "--setup", nargs="+", default=[], metavar="NAME", help="functions to call before the steps"
    )

    def leak(line: str, cell: str) -> Study:
        """Step the cell's body in fresh processes; the step's number is ``i``."""
        given = parser.parse_argstring(line)
        try:
            step = step_of(cell, shell.user_ns)
            setup = [_function(shell.user_ns, name) for name in given.setup]
            study = api.watch(
                step, setup=(lambda: [each() for each in setup]) if setup else None,
                steps=given.steps, repeats=given.repeats,
            )  # fmt: skip
        except LabError as error:  # a sentence, and not forty lines of the lab's own
            raise UsageError(str(error)) from None
        display(study.plot())
        return study

    shell.register_magic_function(leak, "cell")


def step_of(cell: str, names: dict[str, Any]) -> Callable[..., object]:
    """Return a function that does what a cell does, with the names of a notebook.

    What the cell assigns stays from step to step, as in a notebook. It may await. The step's number
    is ``i``, unless the cell assigns that itself.

    Raises
    ------
    InputError
        It is empty, or no Python.
    """
    try:
        body = ast.parse(cell).body
        table = symtable.symtable(cell, "<leak>", "exec")
    except SyntaxError as error:
        raise InputError(
            f"line {error.lineno} of the cell is no Python ({error.msg}); nothing was run; magics "
            "and shell commands cannot be stepped"
        ) from error
    if not body:
        raise InputError("the cell is empty, so there is nothing to step")
    kept = [x.get_name() for x in table.get_symbols() if x.is_assigned() or x.is_imported()]
    head = f"async def cell({'_' if 'i' in kept else ''}i):\n    pass"
    (made,) = ast.parse(head if _awaits(body) else head.removeprefix("async ")).body
    assert isinstance(made, (ast.FunctionDef, ast.AsyncFunctionDef))
    made.body = [*([ast.Global(kept)] if kept else []), *body]
    code = compile(ast.fix_missing_locations(ast.Module([made], [])), "<leak>", "exec")
    return FunctionType(next(x for x in code.co_consts if isinstance(x, CodeType)), names)


def _awaits(body: list[Any]) -> bool:
    """Tell whether a cell awaits outside of the functions that it defines."""
    for node in body:
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        inside = not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if inside and _awaits(list(ast.iter_child_nodes(node))):
            return True
    return False


def _function(names: dict[str, Any], name: str) -> Callable[[], object]:
    found = names.get(name)
    if not callable(found):
        there = [each for each, value in names.items() if callable(value) and each[0] != "_"]
        raise UnknownNameError("function of this notebook", name, there)
    function: Callable[[], object] = found
    return function
