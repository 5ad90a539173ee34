"""The command ``device``: evidence from a phone, read and judged."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations when it runs
from typing import Annotated

import typer

from listen2lab.errors import StudyError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the lab's."""
    app.command("device")(device)


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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read evidence from a phone, and judge it with the words of the lab's own runs."""
    from listen2lab.device import read  # noqa: PLC0415 - a quick --help
    from listen2lab.device.answer import answer  # noqa: PLC0415 - a quick --help
    from listen2lab.report.device_terminal import told  # noqa: PLC0415 - a quick --help

    opened = None
    if study is not None:
        from listen2lab.facade import Study  # noqa: PLC0415 - a quick --help

        opened = Study(study)
    evidence = read(files, process=process)
    found = answer(evidence, opened)
    print(
        json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) if as_json else told(found)
    )
    folder = out if out is not None or opened is None else opened.folder.path
    if folder is not None:
        page = write(folder, found)
        print(f"\n{page}" if not as_json else page, file=sys.stderr if as_json else sys.stdout)


def write(folder: Path, found: dict[str, object]) -> Path:
    """Write device.json and device.html; return the page's path."""
    from listen2lab.report.device import page  # noqa: PLC0415 - a quick --help
    from listen2lab.study.folder import StudyFolder  # noqa: PLC0415 - a quick --help

    data = StudyFolder(folder).device_path
    path = data.with_suffix(".html")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
        data.write_text(text + "\n", "utf-8")
        path.write_text(page(found), "utf-8")
    except OSError as error:
        raise StudyError(
            f"cannot write in {folder}: {error.strerror}; what was found was printed; name another "
            "folder with --out"
        ) from error
    return path
