"""A notebook's file: read, and written again as a notebook or as a page for anybody."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["first_code_cell", "read", "write"]

# nbconvert's page without the scripts that it would load from a network.
_OFFLINE = (
    "{% extends 'lab/index.html.j2' %}"
    "{% block html_head_js_requirejs %}{% endblock %}"
    "{% block html_head_js_mathjax %}{% endblock %}"
    "{% block html_head_js_mermaidjs %}{% endblock %}"
    "{% block jupyter_widgets %}{% endblock %}"
)


def read(path: Path) -> Any:
    """Read a notebook of any version as one of version 4."""
    import nbformat  # noqa: PLC0415 - only where a notebook is run

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nbformat.read(path, as_version=4)
    except OSError as error:
        raise InputError(f"cannot read the notebook {path}: {error.strerror}") from error
    except Exception as error:  # nbformat raises what its readers raise
        raise InputError(f"{path} is no notebook: {error}") from error


def first_code_cell(notebook: Any, path: Path) -> Any:
    """Return the cell that holds the parameters."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            return cell
    raise InputError(f"{path} has no code cell, and so no parameters")


def write(notebook: Any, target: Path, title: str, shortened: Mapping[str, str]) -> None:
    """Write a notebook or, as ``.html``, its page.

    Parameters
    ----------
    notebook
        With its outputs.
    target
        The file; its folder is made.
    title
        Of the page.
    shortened
        Text that must not be in the file, each with what stands for it.
    """
    import nbformat  # noqa: PLC0415

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
    import jinja2  # noqa: PLC0415
    from nbconvert import HTMLExporter  # noqa: PLC0415

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(".ipynb)", ".html)")
    exporter = HTMLExporter(extra_loaders=[jinja2.DictLoader({"offline": _OFFLINE})])
    exporter.template_file = "offline"
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(page)
