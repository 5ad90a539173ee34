"""The command line: parse, call, print."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from listen2lab.cli import attribute, device, notebook, studies
from listen2lab.errors import InputError, LabError, StudyError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

EXIT_FAILED = 1
"""The verdict is the one that `--fail-on` names."""
EXIT_MISUSED = 2
"""What was given cannot be used, or nothing was measured."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells count it."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does it leak, or is that the baseline; what holds the memory; what would change it?",
)
voice_app = typer.Typer(no_args_is_help=True, help="Build, fetch and check voices.")
app.add_typer(voice_app, name="voice")


def main() -> None:
    """Run a command; a `LabError` is a sentence and an exit status, never a traceback."""
    try:
        app()
    except LabError as error:
        print(f"listen2lab: {error}", file=sys.stderr)
        sys.exit(EXIT_MISUSED)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Experiments; none or all: every one. See list.")
    ] = None,
    *,
    voice: Annotated[str, typer.Option(help="tiny, medium, high, or a voice's folder.")] = "tiny",
    recognizer: Annotated[str, typer.Option(help="A recognizer's folder.")] = "recognizer",
    text: Annotated[
        list[Path] | None, typer.Option(help="A .txt, .md or .epub to read; may be repeated.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Plain runs of each condition.")] = 3,
    steps: Annotated[int | None, typer.Option(help="Measured paragraphs of a run.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Paragraphs before them.")] = None,
    max_characters: Annotated[
        int | None, typer.Option(help="The longest paragraph, but for the longest of all.")
    ] = None,
    levels: Annotated[str | None, typer.Option(help="Only these levels: 1,2.")] = None,
    knob: Annotated[
        list[str] | None, typer.Option("--set", help="KNOB=VALUE in every condition.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every order.")] = 0,
    study: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Kill a run at this much: 2.5GB is the phone's.")
    ] = None,
    step_timeout: Annotated[float, typer.Option(help="Seconds until a step is hung.")] = 600.0,
    trace: Annotated[bool, typer.Option(help="Traced runs as well, where they tell most.")] = True,
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time on a machine, if they fit; none: 2.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="A Dask scheduler, tcp://host:8786: its workers run it.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Short paragraphs and few: minutes.")] = False,
    python: Annotated[str | None, typer.Option(help="Another interpreter for the runs.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Complete this study; only --jobs and --on apply.")
    ] = None,
) -> None:
    """Run experiments, each condition in fresh processes, and write the report."""
    from listen2lab import api  # noqa: PLC0415 - a quick --help

    folder = resume or study or api.new_folder()
    with _said_how_to_resume(folder):
        if resume is not None:
            api.resume(resume, jobs=jobs, on=on)
        else:
            api.run(
                names or (),
                levels=None if levels is None else [name.strip() for name in levels.split(",")],
                voice=voice,
                recognizer=recognizer,
                texts=text or (),
                repeats=repeats,
                steps=steps,
                warmup=warmup,
                max_characters=max_characters,
                knobs=_knobs(knob or []),
                seed=seed,
                study=folder,
                memory_limit=memory_limit,
                step_timeout=step_timeout,
                trace=trace,
                jobs=jobs,
                on=on,
                quick=quick,
                python=python,
                command=shlex.join(["listen2lab", *_repeatable(sys.argv[1:])]),
            )
    _report(folder, as_json=False)


@app.command()
def watch(
    file: Annotated[Path, typer.Argument(help="A Python file with setup() and step(i).")],
    *,
    steps: Annotated[int, typer.Option(help="Measured steps of a run: 10 to 100,000.")] = 200,
    warmup: Annotated[int | None, typer.Option(help="Steps before them.")] = None,
    repeats: Annotated[int, typer.Option(help="Fresh processes.")] = 5,
    python: Annotated[str | None, typer.Option(help="Another interpreter.")] = None,
    against: Annotated[str | None, typer.Option(help="A second one to compare with.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the order of runs.")] = 0,
    study: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Kill a run at this much.")] = None,
    step_timeout: Annotated[float, typer.Option(help="Seconds until a step is hung.")] = 600.0,
    trace: Annotated[bool, typer.Option(help="One traced run as well.")] = False,
    jobs: Annotated[int, typer.Option(help="Runs at a time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    fail_on: Annotated[str | None, typer.Option(help="Exit with 1 on this verdict: leak.")] = None,
) -> None:
    """Step a workload of your own in fresh processes, and judge what its memory does."""
    from listen2lab import api  # noqa: PLC0415 - a quick --help
    from listen2lab.report import terminal  # noqa: PLC0415
    from listen2lab.report.text.study import VERDICTS  # noqa: PLC0415

    if fail_on is not None and fail_on not in VERDICTS:
        raise UnknownNameError("verdict", fail_on, VERDICTS)
    folder = study or api.new_folder()
    with _said_how_to_resume(folder):
        watched = api.watch(
            file,
            steps=steps,
            warmup=warmup,
            repeats=repeats,
            python=python,
            against=against,
            seed=seed,
            study=folder,
            memory_limit=memory_limit,
            step_timeout=step_timeout,
            trace=trace,
            jobs=jobs,
            command=shlex.join(["listen2lab", *_repeatable(sys.argv[1:])]),
        )
    watched.report()
    answer = watched.answer()
    print(json.dumps(answer, indent=1) if as_json else terminal.watched(watched, answer))
    conditions = answer.get("conditions", {"this": answer}).values()
    if not all(each["runs"]["complete"] for each in conditions):
        raise StudyError(terminal.nothing_measured(watched))
    if any(each["verdict"] == fail_on for each in conditions):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="A study's folder.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary, as JSON.")] = False,
    include_private: Annotated[
        bool, typer.Option(help="Also paths, messages and the texts; not to be shared.")
    ] = False,
    pictures: Annotated[bool, typer.Option(help="Each picture as PNG and SVG.")] = False,
    notebooks: Annotated[bool, typer.Option(help="The notebooks, executed on it.")] = False,
) -> None:
    """Write a study's report.html, summary.md and ISSUE.md, to be shared, and summary.json."""
    _report(
        study, as_json=as_json,
        include_private=include_private, pictures=pictures, notebooks=notebooks,
    )  # fmt: skip


@contextlib.contextmanager
def _said_how_to_resume(folder: Path) -> Iterator[None]:
    """On Ctrl-C, say what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"interrupted; what was measured is kept; go on with: listen2lab run --resume {folder}",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _report(folder: Path, *, as_json: bool, **wanted: bool) -> None:
    """Write a study's report, with what is wanted besides (see `write_report`)."""
    from listen2lab.facade import Study  # noqa: PLC0415 - pandas and matplotlib
    from listen2lab.report.answers import findings_table  # noqa: PLC0415
    from listen2lab.report.write import write_report  # noqa: PLC0415

    study = Study(folder)
    summary, path, left_out = write_report(study, **wanted)
    for sentence in [*study.damage, *left_out]:
        print(f"left out: {sentence}", file=sys.stderr)
    if as_json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    else:
        _print_summary(summary)
        if summary["findings"]:
            print(findings_table(summary), end="\n\n")
        print(path)
    if not any(numbers["runs"]["complete"] for numbers in _conditions(summary)):
        raise StudyError(f"no run of {folder} was complete: nothing was measured")


@app.command()
def selftest(
    *,
    steps: Annotated[int, typer.Option(help="Measured steps of a run.")] = 60,
    repeats: Annotated[int, typer.Option(help="Runs of each fault.")] = 3,
    study: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
) -> None:
    """Plant faults of known size in the pipeline, and find each of them and nothing else."""
    from listen2lab import api  # noqa: PLC0415 - a quick --help
    from listen2lab.experiment.progress import Bar  # noqa: PLC0415
    from listen2lab.report.terminal import selftest_table  # noqa: PLC0415
    from listen2lab.selftest import selftest as plant  # noqa: PLC0415

    folder = study or api.new_folder()
    try:
        findings = plant(folder, steps=steps, repeats=repeats, progress=Bar())
    except KeyboardInterrupt:
        print("interrupted; a selftest cannot be completed later: start it again", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print(selftest_table(findings))
    if not all(finding.is_right for finding in findings):
        raise typer.Exit(EXIT_FAILED)


@app.command("list")
def list_names() -> None:
    """List experiments with their levels, and the knobs."""
    from listen2lab.experiment.catalog import EXPERIMENTS  # noqa: PLC0415 - quick --help
    from listen2lab.pipeline.knobs import Knobs  # noqa: PLC0415
    from listen2lab.report.text.knobs import KNOB_MEANINGS  # noqa: PLC0415

    for item in EXPERIMENTS.values():
        print(f"{item.name}: {item.question}")
        print(f"    {item.factor or 'one condition'}: {', '.join(x.name for x in item.levels)}")
    print("\nknobs (--set KNOB=VALUE), each with the app's value:")
    for name, value in Knobs()._asdict().items():
        print(f"    {name}={json.dumps(value)}: {KNOB_MEANINGS[name]}")


@voice_app.command("build")
def voice_build(
    name: Annotated[str, typer.Argument(help="tiny, medium, high, recognizer.")],
) -> None:
    """Build a generated voice or the recognizer, unless it is there."""
    from listen2lab.experiment.inputs import models_root  # noqa: PLC0415 - quick --help
    from listen2lab.models.generate import ensure  # noqa: PLC0415

    print(ensure(name, models_root()))


@voice_app.command("fetch")
def voice_fetch(
    name: Annotated[str, typer.Argument(help="A known voice, or any name with --url.")],
    *,
    url: Annotated[str | None, typer.Option(help="An archive of your own choice.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Its checksum; needed with --url.")] = None,
    recognizer: Annotated[bool, typer.Option(help="It is a recognizer.")] = False,
) -> None:
    """Download a voice, verify its checksum, unpack and check it."""
    from listen2lab.experiment.inputs import models_root  # noqa: PLC0415 - quick --help
    from listen2lab.models.fetch import fetch_voice  # noqa: PLC0415

    kind: Literal["voice", "recognizer"] = "recognizer" if recognizer else "voice"
    print(fetch_voice(name, models_root(), url=url, sha256=sha256, kind=kind))


@voice_app.command("check")
def voice_check(folder: Annotated[Path, typer.Argument(help="A voice's folder.")]) -> None:
    """Check a voice's files without loading them: the engine would end the process."""
    from listen2lab.models.check import check_voice  # noqa: PLC0415 - quick --help

    print(check_voice(folder))


@voice_app.command("bound")
def voice_bound(
    voice: Annotated[str, typer.Argument(help="tiny, medium, high, or a voice's folder.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    window: Annotated[int | None, typer.Option(help="Frames of a step; none: measured.")] = None,
) -> None:
    """Write a voice that says the same in memory that no sentence's length drives up."""
    from listen2lab.experiment.inputs import models_root  # noqa: PLC0415 - quick --help
    from listen2lab.models.bound import bound  # noqa: PLC0415 - onnx
    from listen2lab.models.generate import VOICES, ensure  # noqa: PLC0415
    from listen2lab.report.text.bound import bounded  # noqa: PLC0415

    folder = ensure(voice, models_root()) if voice in VOICES else Path(voice).expanduser()
    print(bounded(bound(folder, out, window=window)))


def _knobs(given: list[str]) -> dict[str, Any]:
    """Read KNOB=VALUE pairs; a value that is no JSON is a word."""
    knobs = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set takes KNOB=VALUE, not {pair!r}")
        try:
            knobs[name] = json.loads({"none": "null"}.get(value.lower(), value))
        except ValueError:
            knobs[name] = value
    return knobs


def _repeatable(arguments: list[str]) -> list[str]:
    """Leave out of the command that a manifest names what a rerun has of its own.

    That is the folder, and the address of a cluster, which is also nobody else's business.
    """
    kept, skip = [], False
    for argument in arguments:
        is_own = argument.split("=")[0] in ("--study", "--on")
        if not skip and not is_own:
            kept.append(argument)
        skip = is_own and "=" not in argument
    return kept


def _conditions(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for item in summary["experiments"].values() for c in item["conditions"].values()]


def _print_summary(summary: dict[str, Any]) -> None:
    print(f"\n{'experiment / condition':<40}{'verdict':<14}{'level':>9}{'peak':>9}")
    for name, item in summary["experiments"].items():
        for condition, numbers in item["conditions"].items():
            level, peak = (
                "-" if numbers[key] is None else f"{numbers[key]:.1f}"
                for key in ("level_mib", "peak_mib")
            )
            print(f"{name + ' / ' + condition:<40}{numbers['verdict']:<14}{level:>9}{peak:>9}")
    print("levels and peaks in MiB resident\n")


studies.register(app)
attribute.register(app)
device.register(app)
notebook.register(app)

if __name__ == "__main__":
    main()
