"""Commands that measure: run, watch, selftest; and list, what there is to measure."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from typer.core import TyperCommand

from listen2lab.cli.report import print_report
from listen2lab.cli.status import EXIT_FAILED, EXIT_INTERRUPTED
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.units import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CommandBehind", "list_names", "run", "selftest", "watch"]


def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments; none or all: every one but cures. See list."),
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
    vary: Annotated[
        list[str] | None,
        typer.Option(help="KNOB=A,B,...: instead of its own levels; several are crossed."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every order.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Kill a run at this much: 2.5GB is the phone's.")
    ] = None,
    step_timeout: Annotated[float, typer.Option(help="Seconds until a step is hung.")] = 600.0,
    trace: Annotated[
        Literal["all", "telling", "none"],
        typer.Option(help="Traced runs as well: of all, where they tell most, of none."),
    ] = "telling",
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time on a machine, if they fit; none: 2.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="A Dask scheduler, tcp://host:8786: its workers run it.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Short paragraphs and few: minutes.")] = False,
    python: Annotated[str | None, typer.Option(help="Another interpreter for the runs.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Complete this study; --jobs and --on apply.")
    ] = None,
    workload: Annotated[
        Path | None,
        typer.Option(
            help="With --resume of a study that was begun elsewhere: its workload's file; so "
            "--voice, --recognizer and --python."
        ),
    ] = None,
) -> None:
    """Run experiments, each condition in fresh processes, and write the report."""
    from listen2lab import api
    from listen2lab.experiment import catalog

    folder = resume or out or api.new_folder()
    with _resumable(folder):
        if resume is not None:
            api.resume(
                resume,
                jobs=jobs,
                on=on,
                workload=workload,
                voice=None if voice == "tiny" else voice,
                recognizer=None if recognizer == "recognizer" else recognizer,
                python=python,
            )
        else:
            varied: dict[str, Any] = {
                name: _values(text) for name, text in _pairs("--vary", vary or [])
            }
            api.run(
                [catalog.vary(of=name, **varied) for name in names or ["baseline"]]
                if varied
                else names or (),
                levels=None if levels is None else [name.strip() for name in levels.split(",")],
                voice=voice,
                recognizer=recognizer,
                texts=text or (),
                repeats=repeats,
                steps=steps,
                warmup=warmup,
                max_characters=max_characters,
                knobs={name: _value(text) for name, text in _pairs("--set", knob or [])},
                seed=seed,
                out=folder,
                memory_limit=memory_limit,
                step_timeout=step_timeout,
                trace=trace,
                jobs=jobs,
                on=on,
                quick=quick,
                python=python,
                from_shell=True,
            )
    print_report(folder)


class CommandBehind(TyperCommand):
    """A command of which all that stands behind ``--`` is another one, with its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the other command away, so that none of its words is read as an option."""
        at = args.index("--") if "--" in args else len(args)
        ctx.obj = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


def watch(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE | -- COMMAND ARGS]",
            help="A Python file with step(i), maybe setup(); or, behind --, any program that "
            "prints a line a step.",
        ),
    ] = None,
    *,
    pid: Annotated[int | None, typer.Option(help="Look at a process that runs already.")] = None,
    seconds: Annotated[
        str | None,
        typer.Option("--for", help="Of a command or process: read it by time, so long: 60s, 5m."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Measured steps of a run: 10 to 100,000.")] = 200,
    warmup: Annotated[int | None, typer.Option(help="Steps before them.")] = None,
    repeats: Annotated[int, typer.Option(help="Fresh processes.")] = 5,
    python: Annotated[
        str | None, typer.Option(help="Another interpreter, or a virtual environment's folder.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="A second one to compare with.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the order of runs.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Kill a run at this much.")] = None,
    step_timeout: Annotated[float, typer.Option(help="Seconds until a step is hung.")] = 600.0,
    trace: Annotated[bool, typer.Option(help="One traced run as well.")] = False,
    jobs: Annotated[int, typer.Option(help="Runs at a time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    fail_on: Annotated[str | None, typer.Option(help="Exit with 1 on this verdict: leak.")] = None,
) -> None:
    """Step a workload of your own, or follow any program, and judge what its memory does."""
    from listen2lab import api
    from listen2lab.findings.records import VerdictName
    from listen2lab.report import terminal

    verdicts = get_args(VerdictName)
    if fail_on is not None and fail_on not in verdicts:
        raise UnknownNameError("verdict", fail_on, verdicts)
    folder = out or api.new_folder()
    with _resumable(folder):
        watched = api.watch(
            file,
            command=context.obj or (),
            pid=pid,
            seconds=None if seconds is None else parse_seconds(seconds),
            steps=steps,
            warmup=warmup,
            repeats=repeats,
            python=python,
            against=against,
            seed=seed,
            out=folder,
            memory_limit=memory_limit,
            step_timeout=step_timeout,
            trace=trace,
            jobs=jobs,
            from_shell=True,
        )
    watched.report()
    summary = watched.summary()
    if as_json:
        print(json.dumps(watched.answer(), indent=1))
    else:
        print(terminal.watched(watched.data, summary))
    conditions = [numbers for _, numbers in summary.conditions()]
    if not all(numbers.n_complete for numbers in conditions):
        raise StudyError(terminal.nothing_measured(watched.data))
    if any(numbers.verdict == fail_on for numbers in conditions):
        raise typer.Exit(EXIT_FAILED)


@contextlib.contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """On Ctrl-C, say what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"interrupted; what was measured is kept; go on with: listen2lab run --resume {folder}",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def selftest(
    *,
    steps: Annotated[int, typer.Option(help="Measured steps of a run.")] = 60,
    repeats: Annotated[int, typer.Option(help="Runs of each fault.")] = 3,
    out: Annotated[Path | None, typer.Option(help="The study's folder, new or empty.")] = None,
) -> None:
    """Plant faults of known size in the pipeline, and find each of them and nothing else."""
    from listen2lab import api
    from listen2lab.report import terminal
    from listen2lab.selftest import selftest as plant

    folder = out or api.new_folder()
    try:
        findings = plant(folder, steps=steps, repeats=repeats, progress=api.progress_bar())
    except KeyboardInterrupt:
        print("interrupted; a selftest cannot be completed later: start it again", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print(terminal.selftest(findings))
    if not all(finding.is_right for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def list_names() -> None:
    """List experiments with their levels, and the knobs."""
    from listen2lab.experiment.catalog import EXPERIMENTS
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.report.text.knobs import KNOB_MEANINGS

    for item in EXPERIMENTS.values():
        print(f"{item.name}: {item.question}")
        print(f"    {item.factor or 'one condition'}: {', '.join(x.name for x in item.levels)}")
    print("\nknobs (--set KNOB=VALUE, --vary KNOB=A,B to compare), each with the app's value:")
    for name, value in Knobs()._asdict().items():
        print(f"    {name}={json.dumps(value)}: {KNOB_MEANINGS[name]}")


def _pairs(option: str, given: list[str]) -> Iterator[tuple[str, str]]:
    """Read KNOB=VALUE pairs."""
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{option} takes KNOB=VALUE, not {pair!r}")
        yield name, value


def _value(text: str) -> Any:
    """Return a knob's value; what is no JSON is a word."""
    try:
        return json.loads({"none": "null"}.get(text.strip().lower(), text))
    except ValueError:
        return text.strip()


def _values(text: str) -> list[Any]:
    """Return the values of a knob, with commas between them; JSON may have its own."""
    several = _value(f"[{text}]")
    return several if isinstance(several, list) else [_value(each) for each in text.split(",")]
