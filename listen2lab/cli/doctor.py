"""The command ``doctor``: whether everything works that is installed here."""

from __future__ import annotations

from typing import Annotated

import typer

from listen2lab.cli.status import EXIT_FAILED

__all__ = ["doctor"]


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the environment, and say what is missing and how to get it.

    Exit status: 0 when everything that is installed works, 1 otherwise.
    """
    import msgspec

    from listen2lab.experiment.doctor import examine
    from listen2lab.report.text.doctor import said
    from listen2lab.report.text.escape import printable

    checks = examine()
    is_well = all(check.state != "broken" for check in checks)
    if as_json:
        answer = msgspec.json.encode({"works": is_well, "checks": checks})
        print(msgspec.json.format(answer, indent=1).decode())
    else:
        print(printable("\n".join(map(said, checks))))
    if not is_well:
        raise typer.Exit(EXIT_FAILED)
