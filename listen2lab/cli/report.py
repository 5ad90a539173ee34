"""Commands that write for people: a study's report, a notebook run on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from listen2lab.errors import StudyError

__all__ = ["notebook", "print_report", "report"]


def report(
    study: Annotated[Path, typer.Argument(help="A study's folder.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary, as JSON.")] = False,
    include_private: Annotated[
        bool, typer.Option(help="Also paths, messages and the texts; not to be shared.")
    ] = False,
    pictures: Annotated[bool, typer.Option(help="Each picture as PNG and SVG.")] = False,
    notebooks: Annotated[bool, typer.Option(help="The notebooks, executed on it.")] = False,
    issue_for: Annotated[
        Literal["library", "engine"],
        typer.Option("--for", help="Whose maintainers ISSUE.md is for."),
    ] = "library",
) -> None:
    """Write a study's report.html, summary.md and ISSUE.md, to be shared, and summary.json."""
    print_report(
        study, as_json=as_json,
        include_private=include_private, pictures=pictures, notebooks=notebooks,
        for_engine=issue_for == "engine",
    )  # fmt: skip


def docs(
    page: Annotated[str | None, typer.Argument(help="A page's name, to print it.")] = None,
) -> None:
    """List the pages of the documentation, or print one."""
    from listen2lab.errors import UnknownNameError

    package = Path(__file__).resolve().parents[1]
    places = (package / "_docs", package.parent / "docs")
    pages = {each.stem: each for place in places for each in sorted(place.glob("*.md"))}
    if page is None:
        for each in pages.values():
            title = each.read_text("utf-8").partition("\n")[0].lstrip("# ")
            print(f"{each.stem:<18}{title}\n{'':<18}{each}")
    elif page.removesuffix(".md") in pages:
        print(pages[page.removesuffix(".md")].read_text("utf-8"), end="")
    else:
        raise UnknownNameError("page", page, pages)


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


def print_report(
    folder: Path,
    *,
    as_json: bool = False,
    include_private: bool = False,
    pictures: bool = False,
    notebooks: bool = False,
    for_engine: bool = False,
) -> None:
    """Write a study's report, and print what it says.

    Raises
    ------
    StudyError
        There is no complete run, or the study cannot be read or written.
    """
    import msgspec

    from listen2lab.findings.hypotheses import public_names
    from listen2lab.findings.summary import summary_of  # pandas
    from listen2lab.report import terminal  # matplotlib
    from listen2lab.report.text.escape import printable
    from listen2lab.report.text.study import damage
    from listen2lab.report.write import write_report
    from listen2lab.study.data import open_study  # pandas

    study = open_study(folder)
    summary = summary_of(study, anew=True)
    public = None if include_private else public_names()
    path = write_report(study, summary, public, with_pictures=pictures, for_engine=for_engine)
    left_out = damage(study)
    if notebooks:
        from listen2lab.notebook.pages import write_notebooks  # jupyter is slow

        left_out += write_notebooks(study, public)
    for sentence in left_out:
        print(printable(f"left out: {sentence}"), file=sys.stderr)
    if as_json:
        print(printable(msgspec.json.format(msgspec.json.encode(summary), indent=1).decode()))
    else:
        print(f"\n{terminal.overview(study, summary)}\n\n{path}")
    if not any(numbers.n_complete for _, numbers in summary.conditions()):
        raise StudyError(f"no run of {folder} was complete: nothing was measured")
