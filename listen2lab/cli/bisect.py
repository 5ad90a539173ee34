"""The command ``bisect``: which release of a package began to leak."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from listen2lab.cli.status import EXIT_FAILED

__all__ = ["bisect"]


def bisect(
    file: Annotated[Path, typer.Argument(help="A Python file with step(i), maybe setup().")],
    *,
    package: Annotated[str, typer.Option(help="The package, as pip calls it.")],
    good: Annotated[str, typer.Option(help="A release that does not leak.")],
    bad: Annotated[str, typer.Option(help="A later one that does.")],
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", help="What else the workload needs; may be repeated."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Measured steps of a run.")] = 200,
    repeats: Annotated[int, typer.Option(help="Fresh processes for a release.")] = 3,
    out: Annotated[Path | None, typer.Option(help="A folder for environments and studies.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find which release of a package began to leak, each in a fresh environment.

    Exit status: 0 when one release is surely the first, 1 otherwise.
    """
    import msgspec

    from listen2lab.release_search import bisect as search
    from listen2lab.report.text.bisect import bisected, probed

    def tell(probe: object) -> None:
        typer.echo(probed(probe), err=True)  # type: ignore[arg-type]

    found = search(
        file, package, good, bad, out=out, beside=beside or (), steps=steps, repeats=repeats,
        tell=tell,
    )  # fmt: skip
    print(msgspec.json.encode(found).decode() if as_json else bisected(found))
    if found.ended != "sure":
        raise typer.Exit(EXIT_FAILED)
