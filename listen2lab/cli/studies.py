"""Commands on studies that are there: rerun, compare, merge."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from listen2lab.cli.status import EXIT_FAILED, EXIT_INTERRUPTED

__all__ = ["compare", "merge", "rerun"]


def rerun(
    source: Annotated[Path, typer.Argument(help="A study's folder, or its report (HTML).")],
    experiments: Annotated[
        list[str] | None, typer.Argument(help="Only these; none: all of them.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="The new folder, new or empty.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Complete this rerun, which was interrupted.")
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(help="A book that was read, where a report leaves it out; in order."),
    ] = None,
    workload: Annotated[Path | None, typer.Option(help="Where the workload lies now.")] = None,
    voice: Annotated[Path | None, typer.Option(help="Where the voice's folder lies now.")] = None,
    recognizer: Annotated[Path | None, typer.Option(help="Where the recognizer's lies.")] = None,
    python: Annotated[str | None, typer.Option(help="The interpreter of the runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Repeat a study with the same seed, texts, voice and settings; say what came out the same.

    Exit status: 0 when memory, rate and verdict of each was reproduced, 1 when not, 2 when what was
    given cannot be used.
    """
    from listen2lab import api

    folder = resume or out or api.new_folder()
    try:
        done = api.rerun(
            source,
            *(experiments or ()),
            out=folder,
            resume=resume,
            texts=text or (),
            workload=workload,
            voice=voice,
            recognizer=recognizer,
            python=python,
        )
    except KeyboardInterrupt:
        asked = [str(source), *(experiments or ()), "--resume", str(folder)]
        print(
            "interrupted; what was measured is kept; go on with: "
            f"{shlex.join(['listen2lab', 'rerun', *asked])}",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print(json.dumps({**done.to_dict(), "study": str(folder)}, indent=1))
    else:
        print(done)
        print(f"study: {folder}")
    if not done.is_reproduced:
        raise typer.Exit(EXIT_FAILED)


def compare(
    a: Annotated[str, typer.Argument(help="STUDY, STUDY:experiment, STUDY:experiment/condition.")],
    b: Annotated[str, typer.Argument(help="The same; what it leaves open is A's.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="A picture (.svg, .png) or a page (.html) to write.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two studies or two conditions: memory, peaks and rates, with intervals."""
    from listen2lab import api

    found = api.compare(a, b)
    print(json.dumps(found.to_dict(), indent=1) if as_json else found)
    if out is not None:
        path = found.write(out)
        if not as_json:
            print(path)


def merge(
    studies: Annotated[list[Path], typer.Argument(help="Two studies or more.")],
    *,
    out: Annotated[Path, typer.Option(help="The new folder, new or empty.")],
) -> None:
    """Join studies, maybe of several machines, into one that keeps machines and voices apart."""
    from listen2lab import api

    print(api.merge(*studies, out=out, from_shell=True).words())
