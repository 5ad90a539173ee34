"""The command ``device``: evidence from a phone, read and judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listen2lab.errors import InputError, StudyError
from listen2lab.units import parse_bytes

if TYPE_CHECKING:
    from listen2lab.device import Answer

__all__ = ["device"]


def device(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="The app's log; what vmmap, footprint, heap, leaks or dumpsys meminfo printed; a "
            "CSV or JSONL of time and memory. Plain or .gz; - is standard input.",
        ),
    ],
    *,
    study: Annotated[Path | None, typer.Option(help="A lab study to put beside it.")] = None,
    process: Annotated[
        str | None, typer.Option(help="The app's process, where the reports hold several.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write device.html and device.json here; with --study: the study."),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(help="Footprint at which the system kills the app: 2.5GB, 1400MiB."),
    ] = None,
    grammar: Annotated[
        Path | None, typer.Option(help="A TOML file that says how another app logs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read evidence from a phone, and judge it with the words of the lab's own runs."""
    # A quick --help: these load numpy, and a study pandas.
    import msgspec

    from listen2lab.device import NothingReadError, answer, read
    from listen2lab.report.device_terminal import as_text
    from listen2lab.report.text.device import nothing_read
    from listen2lab.report.text.escape import printable

    opened = None
    if study is not None:
        from listen2lab.study.data import open_study

        opened = open_study(study)
    try:
        evidence = read(files, process=process, grammar=grammar)
    except NothingReadError as error:
        raise InputError(nothing_read(error.problems)) from error
    found = answer(evidence, opened, limit=None if limit is None else parse_bytes(limit))
    data = msgspec.json.format(msgspec.json.encode(found), indent=1)
    print(printable(data.decode()) if as_json else as_text(found))
    folder = out if out is not None or opened is None else opened.folder.path
    if folder is not None:
        page = write(folder, found, data)
        print(f"\n{page}" if not as_json else page, file=sys.stderr if as_json else sys.stdout)


def write(folder: Path, found: Answer, data: bytes) -> Path:
    """Write device.json and device.html; return the page's path."""
    from listen2lab.report.device import page
    from listen2lab.study.folder import StudyFolder

    stored = StudyFolder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored.write(stored.device_path.name, data + b"\n")
        return stored.write(stored.device_path.with_suffix(".html").name, page(found))
    except (OSError, StudyError) as error:
        raise StudyError(
            f"cannot write in {folder} ({error}); what was found was printed; name another "
            "folder with --out"
        ) from error
