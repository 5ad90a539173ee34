"""The command line, put together: parse, call, print."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from listen2lab.cli import attribute, cures, device, notebook, report, run, studies, voice
from listen2lab.cli.status import EXIT_MISUSED
from listen2lab.errors import LabError
from listen2lab.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does it leak, or is that the baseline; what holds the memory; what would change it?",
)


def main() -> None:
    """Run a command; a `LabError` is a sentence and an exit status, never a traceback."""
    try:
        app()
    except LabError as error:
        print(f"listen2lab: {error}", file=sys.stderr)
        sys.exit(EXIT_MISUSED)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        print(f"listen2lab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


run.register(app)
cures.register(app)
report.register(app)
studies.register(app)
attribute.register(app)
device.register(app)
notebook.register(app)
app.add_typer(voice.app, name="voice")
