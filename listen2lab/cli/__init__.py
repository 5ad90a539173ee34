"""The command line: parse, call, print; one module a group of commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from listen2lab.cli import attribute, bisect, cures, device, doctor, report, run, studies, voice
from listen2lab.cli.status import EXIT_MISUSED
from listen2lab.errors import LabError, explained
from listen2lab.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does it leak, or is that the baseline; what holds the memory; what would change it?",
)


def main() -> None:
    """Run a command; a `LabError` is a sentence and an exit status, never a traceback.

    So is what only an extra brings.
    """
    try:
        app()
    except (LabError, ModuleNotFoundError) as error:
        from listen2lab.report.text.escape import printable  # only when something is wrong

        said = explained(error) if isinstance(error, ModuleNotFoundError) else error
        if said is None:
            raise
        print(printable(f"listen2lab: {said}"), file=sys.stderr)
        sys.exit(EXIT_MISUSED)


@app.callback(invoke_without_command=True)
def _options(
    *, version: Annotated[bool, typer.Option("--version", help="Say which.")] = False
) -> None:
    if version:
        print(f"listen2lab {__version__}")
        raise typer.Exit


for command in (
    *(run.run, cures.cures, run.selftest),
    *(report.report, studies.rerun, studies.compare, studies.merge),
    *(attribute.attribute, bisect.bisect, device.device, report.notebook, report.docs),
    doctor.doctor,
):
    app.command()(command)
app.command(cls=run.CommandBehind)(run.watch)
app.command("list")(run.list_names)
app.add_typer(voice.app, name="voice")
