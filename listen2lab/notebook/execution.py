"""Run a notebook with other parameters, and keep it as far as it came."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError, LabError
from listen2lab.notebook import parameters as _cells
from listen2lab.notebook.file import first_code_cell, read, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


__all__ = ["execute", "given", "parameters"]

_LONGEST_CELL_S = 3600


def parameters(path: Path | str) -> dict[str, _cells.Parameter]:
    """Return the parameters of a notebook, by name.

    Raises
    ------
    InputError
        It is no notebook, or its first code cell holds something that cannot be checked.
    """
    return _cells.parameters_of(first_code_cell(read(Path(path)), Path(path)).source)


def given(path: Path | str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` pairs of a command line as a notebook's parameters.

    Parameters
    ----------
    path
        The notebook.
    pairs
        Such as ``repeats=5``.

    Raises
    ------
    InputError
        A pair without ``=``. Names and types are checked by `execute`.
    """
    known = parameters(path)
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"a parameter is given as name=value, not {pair!r}")
        values[name] = _cells.from_text(known[name], text) if name in known else text
    return values


def execute(
    path: Path | str,
    parameters: Mapping[str, Any] | None = None,
    out: Path | str | None = None,
) -> Any:
    """Run a notebook from top to bottom, in a kernel of its own and in the current folder.

    Parameters
    ----------
    path
        The notebook; it is not changed.
    parameters
        Values that stand in the first code cell in place of its own.
    out
        Where to write it: ``.ipynb``, or ``.html`` for a page that opens without a network. The
        paths among `parameters` are cut down to their last part there: where a study lies is
        nobody's business. None: nowhere.

    Returns
    -------
    NotebookNode
        The notebook with its outputs.

    Raises
    ------
    InputError
        It is no notebook, it has no parameter of that name, or a value is not of its type.
    LabError
        A cell failed; where `out` is given, the notebook as far as it came is there.
    """
    import nbclient  # noqa: PLC0415 - only where a notebook is run

    path, target = Path(path), None if out is None else Path(out)
    if target is not None and target.suffix not in (".ipynb", ".html"):
        raise InputError(f"{target.name} is neither .ipynb nor .html; a notebook becomes one")
    notebook = read(path)
    cell = first_code_cell(notebook, path)
    values = {
        k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in (parameters or {}).items()
    }
    cell.source = _cells.replaced(cell.source, values)
    client = nbclient.NotebookClient(
        notebook,
        timeout=_LONGEST_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    failed: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own, about its own parts
        try:
            client.execute()
        except (
            nbclient.exceptions.CellExecutionError,
            nbclient.exceptions.CellTimeoutError,
            nbclient.exceptions.DeadKernelError,
        ) as error:
            failed = error
    if target is not None:
        write(notebook, target, path.stem, _shortened(values.values()))
    if failed is not None:
        kept = "" if target is None else f"; as far as it came it is in {target}"
        what = getattr(failed, "ename", type(failed).__name__)
        why = getattr(failed, "evalue", failed)
        raise LabError(f"{path.name}: a cell failed: {what}: {why}{kept}")
    return notebook


def _shortened(values: Iterable[Any]) -> dict[str, str]:
    """Return the paths among values, each with what stands for it in something shared."""
    found: dict[str, str] = {}
    for value in values:
        leaf = Path(value).name if isinstance(value, str) and os.sep in value else ""
        if leaf:
            spellings = {value, str(Path(value).resolve()), os.path.relpath(value)}
            found |= {path: leaf for path in spellings if path.endswith(os.sep + leaf)}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
