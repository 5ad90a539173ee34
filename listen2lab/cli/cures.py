"""The command ``cures``: what brings the memory under a limit, and what it costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from listen2lab.cli.status import EXIT_INTERRUPTED
from listen2lab.errors import StudyError

__all__ = ["cures"]


def cures(
    *,
    voice: Annotated[str, typer.Option(help="tiny, medium, high, or a voice's folder.")] = "tiny",
    recognizer: Annotated[str, typer.Option(help="A recognizer's folder.")] = "recognizer",
    text: Annotated[
        list[Path] | None, typer.Option(help="A .txt, .md or .epub to read; may be repeated.")
    ] = None,
    under: Annotated[str | None, typer.Option(help="A limit besides 1 GB and 500 MB.")] = None,
    repeats: Annotated[int, typer.Option(help="Runs of each condition that is verified.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides every order.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at a time; none: 2.")] = None,
    quick: Annotated[bool, typer.Option(help="Few conditions, few short paragraphs.")] = False,
) -> None:
    """Find what brings a voice's memory under a limit, verify it, and say what it costs."""
    from listen2lab import api
    from listen2lab.cure_search import cures as find
    from listen2lab.cure_search import limits_of
    from listen2lab.report import terminal

    limits = limits_of(under)
    folder = out or api.new_folder()
    try:
        found = find(
            voice=voice,
            recognizer=recognizer,
            texts=text or (),
            under=under,
            repeats=repeats,
            seed=seed,
            out=folder,
            jobs=jobs,
            quick=quick,
            from_shell=True,
        )
    except KeyboardInterrupt:
        print(
            f"interrupted; what was measured is kept; listen2lab report {folder} says it",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    path = found.report()
    answers = found.summary().answers
    if answers is None or answers.cures is None:
        raise StudyError(
            f"the app's own condition has no complete run in {folder}, so nothing can be said of "
            "what would help; its report says how runs ended"
        )
    print(f"\n{terminal.cures(answers.cures, limits)}\n\n{path}")
