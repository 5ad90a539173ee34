"""Commands on voices: build, fetch, check and bound them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Build, fetch, check and bound voices.")


@app.command("build")
def voice_build(
    name: Annotated[str, typer.Argument(help="tiny, medium, high, recognizer.")],
) -> None:
    """Build a generated voice or the recognizer, unless it is there."""
    from listen2lab.experiment.inputs import models_root
    from listen2lab.models.generate import ensure

    print(ensure(name, models_root()))


@app.command("fetch")
def voice_fetch(
    name: Annotated[str, typer.Argument(help="A known voice, or any name with --url.")],
    *,
    url: Annotated[str | None, typer.Option(help="An archive of your own choice.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Its checksum; needed with --url.")] = None,
    recognizer: Annotated[bool, typer.Option(help="It is a recognizer.")] = False,
) -> None:
    """Download a voice, verify its checksum, unpack and check it."""
    from listen2lab.experiment.inputs import models_root
    from listen2lab.models.fetch import fetch_voice

    kind: Literal["voice", "recognizer"] = "recognizer" if recognizer else "voice"
    print(fetch_voice(name, models_root(), url=url, sha256=sha256, kind=kind))


@app.command("check")
def voice_check(folder: Annotated[Path, typer.Argument(help="A voice's folder.")]) -> None:
    """Check a voice's files without loading them: the engine would end the process."""
    from listen2lab.models.check import check_voice

    print(check_voice(folder))


@app.command("bound")
def voice_bound(
    voice: Annotated[str, typer.Argument(help="tiny, medium, high, or a voice's folder.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    window: Annotated[int | None, typer.Option(help="Frames of a step; none: measured.")] = None,
) -> None:
    """Write a voice that says the same in memory that no sentence's length drives up."""
    from listen2lab.experiment.inputs import models_root
    from listen2lab.models.bound import bound  # onnx
    from listen2lab.models.generate import VOICES, ensure
    from listen2lab.report.text.bound import bounded

    folder = ensure(voice, models_root()) if voice in VOICES else Path(voice).expanduser()
    print(bounded(bound(folder, out, window=window)))
