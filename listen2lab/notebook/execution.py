"""Run a notebook with other parameters, and keep it as far as it came."""

from __future__ import annotations

import ast
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError, LabError, need
from listen2lab.experiment.catalog import IN_ALL
from listen2lab.notebook import parameter_cell as _cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


__all__ = ["execute", "given", "opened_by", "parameters"]

_LONGEST_CELL_S = 3600
_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # a kernel's warning about its own debugger
# nbconvert's page without the scripts that it would load from a network.
_OFFLINE = (
    "{% extends 'lab/index.html.j2' %}"
    "{% block html_head_js_requirejs %}{% endblock %}"
    "{% block html_head_js_mathjax %}{% endblock %}"
    "{% block html_head_js_mermaidjs %}{% endblock %}"
    "{% block jupyter_widgets %}{% endblock %}"
)


def parameters(path: Path | str) -> dict[str, _cells.Parameter]:
    """Return the parameters of a notebook, by name.

    Raises
    ------
    InputError
        It is no notebook, or its first code cell holds something that cannot be checked.
    """
    return _cells.parameters_of(_first_code_cell(_read(Path(path)), Path(path)).source)


def opened_by(path: Path | str) -> list[str]:
    """Return the experiments that a notebook opens, as `open_or_run` and `open_cures` name them."""
    found: list[str] = []
    for cell in _read(Path(path)).cells:
        if cell.cell_type != "code":
            continue
        found += ["cures"] if "open_cures(" in cell.source else []
        for names in re.findall(_OPENS, cell.source):
            wanted = ast.literal_eval(names)
            found += [wanted] if isinstance(wanted, str) else wanted or list(IN_ALL)
    return found


_OPENS = r"open_or_run\(\s*(\[[^\]]*\]|\"[^\"]*\")"


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
    path: Path | str, parameters: Mapping[str, Any] | None = None, out: Path | str | None = None
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
    need("a notebook that is run", "nbclient", "nbformat")
    import nbclient  # only where a notebook is run

    path, target = Path(path), None if out is None else Path(out)
    if target is not None and target.suffix not in (".ipynb", ".html"):
        raise InputError(f"{target.name} is neither .ipynb nor .html; a notebook becomes one")
    notebook = _read(path)
    cell = _first_code_cell(notebook, path)
    values = {
        k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in (parameters or {}).items()
    }
    cell.source = _cells.replaced(cell.source, values)
    client = nbclient.NotebookClient(
        notebook,
        timeout=_LONGEST_CELL_S,
        kernel_name="python3",
        extra_arguments=["--log-level=40"],  # a kernel's warnings are about itself
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    failed: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own, about its own parts
        try:
            client.execute(env=os.environ | _QUIET)
        except (
            nbclient.exceptions.CellExecutionError,
            nbclient.exceptions.CellTimeoutError,
            nbclient.exceptions.DeadKernelError,
        ) as error:
            failed = error
    if target is not None:
        _write(notebook, target, path.stem, _shortened(values.values()))
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


def _read(path: Path) -> Any:
    """Read a notebook of any version as one of version 4."""
    import nbformat  # only where a notebook is run

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nbformat.read(path, as_version=4)
    except OSError as error:
        raise InputError(f"cannot read the notebook {path}: {error.strerror}") from error
    except Exception as error:  # nbformat raises what its readers raise
        raise InputError(f"{path} is no notebook: {error}") from error


def _first_code_cell(notebook: Any, path: Path) -> Any:
    """Return the cell that holds the parameters."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            return cell
    raise InputError(f"{path} has no code cell, and so no parameters")


def _write(notebook: Any, target: Path, title: str, shortened: Mapping[str, str]) -> None:
    """Write a notebook or, as ``.html``, its page; some texts of it stand shortened."""
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = nbformat.writes(notebook)
        for long, short in shortened.items():
            text = text.replace(long, short)
        if target.suffix == ".html":
            text = _page(nbformat.reads(text, as_version=4), title)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name another place") from error


def _page(notebook: Any, title: str) -> str:
    """Return a notebook as one HTML file; links to other notebooks lead to their pages."""
    import jinja2
    from nbconvert import HTMLExporter

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(".ipynb)", ".html)")
    exporter = HTMLExporter(extra_loaders=[jinja2.DictLoader({"offline": _OFFLINE})])
    exporter.template_file = "offline"
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(page)
