"""The command ``attribute``: who holds the memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from listen2lab.errors import InputError

__all__ = ["attribute"]


def attribute(
    study: Annotated[Path, typer.Argument(help="A study's folder.")],
    *,
    at: Annotated[int | None, typer.Option(help="The step; the last one, and the peak.")] = None,
    between: Annotated[
        str | None, typer.Option(help="Rank what grew between two steps: 10-20; the last half.")
    ] = None,
    by: Annotated[str, typer.Option(help="owner, function, library or line.")] = "owner",
    experiment: Annotated[str | None, typer.Option(help="The first, unless named.")] = None,
    condition: Annotated[str | None, typer.Option(help="The first, unless named.")] = None,
    repeat: Annotated[int | None, typer.Option(help="The first, unless named.")] = None,
    owners: Annotated[Path | None, typer.Option(help="A JSON table of owners of your own.")] = None,
    since: Annotated[
        Path | None, typer.Option(help="Another study: mark what was not freed and is new.")
    ] = None,
    flame: Annotated[
        str | None,
        typer.Option(
            help="Write memray's flame graph: of steps (10 or 5-12), of the peak, by time."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what memory was made of after a step, and who allocated it."""
    from listen2lab.account.attribute import attribute as take_apart
    from listen2lab.account.attribute import filling, held, leaks, survivors
    from listen2lab.probes.tracing import reduce_capture
    from listen2lab.report import terminal
    from listen2lab.report.text.account import label
    from listen2lab.study.data import open_study  # pandas

    opened = open_study(study)
    found = take_apart(
        opened,
        experiment=experiment,
        condition=condition,
        repeat=repeat,
        at=at,
        between=None if between is None else _range("--between", between),
        by=by,
        owners=owners,
        reduce=reduce_capture,
    )
    words = found.parts["category"].map(label)
    found.parts["label"], found.parts["how"] = words.str[0], words.str[2]
    lost = leaks(
        opened,
        found.experiment,
        found.condition,
        since=None if since is None else open_study(since),
        owners=owners,
        reduce=reduce_capture,
    )
    kept = held(opened, found.experiment, found.condition)
    left = survivors(opened, found.experiment, found.condition)
    growing = filling(opened, found.experiment, found.condition)
    page = None
    if flame is not None:
        from listen2lab.account.flamegraph import flame_graph, temporal_graph  # memray

        run = (opened, found.experiment, found.condition)
        if flame == "time":
            page = temporal_graph(*run)
        else:
            page = flame_graph(*run, None if flame == "peak" else _range("--flame", flame))
    if as_json:
        answer: dict[str, Any] = {**found.to_json(), "not_freed": lost.to_dict("records")}
        answer["held"] = kept.to_dict("records")
        answer["containers"] = growing.to_dict("records")
        answer["survivors"] = left.to_dict("records")
        if page is not None:
            answer["flame"] = str(page)
        print(json.dumps(answer, indent=1, default=str))
        return
    print(terminal.attribution(found, lost, kept, left, growing))
    if page is not None:
        print(f"\n{page}")


def _range(option: str, text: str) -> tuple[int, int]:
    """Read ``10`` or ``5-12``."""
    first, dash, last = text.partition("-")
    try:
        steps = int(first), int(last) if dash else int(first)
    except ValueError:
        more = ", 'peak' or 'time'" if option == "--flame" else ""
        raise InputError(
            f"{option} takes a step, a range such as 5-12{more}, not {text!r}"
        ) from None
    if steps[0] > steps[1]:
        raise InputError(f"{option} {text}: the first step comes after the last one")
    return steps
