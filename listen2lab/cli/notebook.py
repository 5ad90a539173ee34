"""The command that runs a notebook with other parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(notebook)


def notebook(
    path: Annotated[Path, typer.Argument(help="The notebook; it is not changed.")],
    *,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="NAME=VALUE; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="An .ipynb or .html; else NAME.html in this folder.")
    ] = None,
) -> None:
    """Run a notebook with other parameters, and write it with its outputs."""
    from listen2lab.notebook import execute, given

    target = out or Path(f"{path.stem}.html")
    execute(path, given(path, parameter or ()), target)
    print(target)
