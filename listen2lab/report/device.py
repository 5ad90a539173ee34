"""What a phone's evidence looks like: the parts of a page, which a terminal prints as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from listen2lab.device.answer import FEWEST_IN_A_SERIES
from listen2lab.device.lab_match import FEATURES
from listen2lab.report import device_plots as plots
from listen2lab.report.style import to_svg
from listen2lab.report.template import template
from listen2lab.report.text import device as words
from listen2lab.report.text import device_reports as of_reports
from listen2lab.report.text.device_log import log_answers
from listen2lab.report.text.device_next import next_step
from listen2lab.report.text.format import number, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

    from listen2lab.device.answer import Answer, SeriesSummary
    from listen2lab.device.formats.schema import Category, Snapshot
    from listen2lab.device.judging import Judged
    from listen2lab.device.lab_match import LabMatch, Shape
    from listen2lab.device.log_summary import LogSummary

__all__ = ["Part", "Table", "evidence_section", "page", "parts"]

_COLUMNS = ("counted", "dirty", "swapped", "clean", "reclaimable")
_ALL = (*_COLUMNS, "resident", "virtual")
_MOST_ROWS = 40
_MOST_CLASSES = 12
_MOST_REPORTS = 4
"""Of more of one process the first and the last are shown; the rest is in the series."""
_MOST_PICTURES = 3
"""Of more series the largest have a picture."""


@dataclass(frozen=True)
class Table:
    """A table: the first column names the row.

    Attributes
    ----------
    columns, rows
        As they are shown.
    is_detail
        Whether only a page shows it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_detail: bool = False


@dataclass(frozen=True)
class Part:
    """A part of what is shown, in this order: title, verdict, lines, picture, facts, tables.

    Attributes
    ----------
    curves
        What a terminal shows for a picture: bytes, and a name.
    draw, label, caption
        The picture, what it shows for those who cannot see it, and what to see in it.
    commands
        To copy.
    """

    title: str = ""
    judged: Judged | None = None
    verdict: str = ""
    lines: Sequence[str] = ()
    curves: Sequence[tuple[Sequence[float], str]] = ()
    draw: Callable[[], Figure] | None = None
    label: str = ""
    caption: str = ""
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    commands: Sequence[str] = ()

    @property
    def codes(self) -> list[tuple[str, str]]:
        """The verdict's codes, each with its sentence, but for what the verdict says itself."""
        if self.judged is None:
            return []
        codes = (*self.judged.reasons, *self.judged.caveats)
        sentences = [(code, words.sentence_of(code)) for code in codes]
        return [(code, text) for code, text in sentences if text not in self.verdict]

    @property
    def is_folded(self) -> bool:
        """Whether a page folds the tables: behind a picture, or where one holds details."""
        return bool(self.tables) and (bool(self.draw) or any(t.is_detail for t in self.tables))

    def svg(self) -> str:
        """Return the picture."""
        assert self.draw is not None
        return to_svg(self.draw(), label=self.label)


def parts(answer: Answer) -> Iterator[Part]:
    """Yield the parts of what is shown of evidence.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    """
    if answer.log is not None:
        yield _of_log(answer.log)
    yield from _over_time(answer)
    if answer.app is not None:
        yield Part(lines=[of_reports.app_sentence(answer)])
    yield from _compared(answer)
    yield from _of_snapshots(answer)
    yield from _of_blocks(answer)
    if answer.lab is not None:
        yield _beside_the_lab(answer, answer.lab)
        if answer.lab.ceiling is not None:
            lines = of_reports.ceiling_lines(answer.lab.ceiling)
            yield Part("What the lab can explain", lines=lines)
    many = len(answer.next)
    for k, step in enumerate(answer.next, start=1):
        why, commands = next_step(step)
        which = f", {k} of {many}" if many > 1 else ""
        yield Part(f"What to do next{which}", lines=[why], commands=commands)


def _over_time(answer: Answer) -> Iterator[Part]:
    if answer.runs is not None:
        yield Part(
            f"{len(answer.series)} runs together",
            judged=answer.runs,
            verdict=words.verdict(answer.runs),
        )
    for k, one in enumerate(answer.series):
        part = _of_series(one, is_one_of_many=answer.runs is not None)
        yield part if k < _MOST_PICTURES else replace(part, draw=None)


def _of_snapshots(answer: Answer) -> Iterator[Part]:
    some = answer.snapshots_of_app()
    last = {snapshot.tool: snapshot for snapshot in some}  # only these get a picture
    for snapshot in some if len(some) <= _MOST_REPORTS else (some[0], some[-1]):
        if snapshot.categories or snapshot.notes or not _is_device(answer):
            where = _where(snapshot, some)
            is_last = last[snapshot.tool] is snapshot
            yield _of_snapshot(snapshot, where, answer.limit, has_picture=is_last)
    if _is_device(answer):
        yield _of_device(answer)


def _where(one: Any, all_of_them: Sequence[Any]) -> str:
    """Return a report's file, with the line where it begins if others stand in that file."""
    many = sum(each.source == one.source for each in all_of_them)
    return one.source if many < 2 else f"{one.source}, line {one.line:,}"


def _is_device(answer: Answer) -> bool:
    """Return whether these are processes of a whole device, of which only sums are told."""
    return len(answer.snapshots) > 1 and not any(s.categories for s in answer.snapshots)


def _of_device(answer: Answer) -> Part:
    most = sorted(answer.snapshots, key=lambda s: -(s.counted or 0))[:_MOST_ROWS]
    rows = [(s.process, f"{s.pid}", words.cell(s.counted)) for s in most]
    return Part(
        "Processes of the whole device",
        tables=[
            Table(("process", "pid", "PSS" if most[0].quantity == "pss" else "footprint"), rows)
        ],
    )


def _of_log(log: LogSummary) -> Part:
    curves = [(c.memory, words.session_name(log.sessions[c.session])) for c in log.curves]
    known = [s for s in log.sessions if s.began is not None and len(log.sessions) > 1]
    began = [f"{words.session_name(s)}: {words.session_began(s)}" for s in known[:_MOST_ROWS]]
    if len(known) > _MOST_ROWS:
        began.append(f"and {len(known) - _MOST_ROWS:,} more processes")
    judged = log.judged
    has_curve = any(curve.memory for curve in log.curves)
    return Part(
        "What the app's memory did, as it logged it",
        judged=judged,
        verdict="The log holds no memory, so there is nothing to judge."
        if judged is None
        else f"{words.subject(judged)}. {words.verdict(judged)}",
        lines=began,
        curves=[(memory, name) for memory, name in curves if memory][: plots.MOST_CURVES],
        draw=partial(plots.plot_log, log) if has_curve else None,
        label="Resident memory over the paragraphs of the phone",
        caption="Resident memory after each synthesis; one line a process. ▼ the longest "
        "paragraph. × what the app could not account for, at its breakdowns. Below: the longest "
        "paragraph so far.",
        facts=log_answers(log),
    )


def _of_series(one: SeriesSummary, *, is_one_of_many: bool) -> Part:
    return Part(
        of_reports.series_title(one),
        judged=None if is_one_of_many else one.judged,
        verdict="" if is_one_of_many else words.verdict(one.judged),
        curves=[(one.memory, "")],
        draw=partial(plots.plot_series, one),
        label=f"{of_reports.series_name(one)} over time",
    )


def _of_snapshot(snapshot: Snapshot, where: str, limit: int | None, *, has_picture: bool) -> Part:
    rows = sorted(
        (c for c in snapshot.categories if c.counted or c.clean),
        key=lambda c: (-(c.counted or 0), -(c.clean or 0)),
    )
    title = f"{snapshot.process or 'A process'}, by {snapshot.tool} ({where})"
    owners = [o for o in snapshot.owners if o.counted or o.clean or o.reclaimable]
    of_android = snapshot.tool == "dumpsys"  # whose own names for kinds are what people know
    tables = [
        Table(("by owner", *_COLUMNS), [_row(o, _COLUMNS) for o in owners], is_detail=of_android),
        Table(
            ("by category", *(_COLUMNS if of_android else _ALL)),
            [_row(c, _COLUMNS if of_android else _ALL) for c in rows[:_MOST_ROWS]],
            is_detail=not of_android,
        ),
    ]
    if snapshot.zones:
        zones = [
            (z.name, words.cell(z.allocated), words.cell(z.held), f"{z.blocks:,}")
            for z in snapshot.zones
        ]
        tables.append(Table(("malloc zone", "live", "held", "blocks"), zones, is_detail=True))
    if snapshot.uptime is not None:
        title += f", {seconds(snapshot.uptime)} after the device's start"
    return Part(
        title + (f", {snapshot.when}" if snapshot.when else ""),
        lines=of_reports.snapshot_lines(snapshot, limit),
        draw=partial(plots.plot_owners, snapshot) if snapshot.counted and has_picture else None,
        label=f"Memory by owner, by {snapshot.tool}",
        caption=f"Of {snapshot.source}. Counted is what is dirty, compressed or swapped"
        f"{', as the kill limit does' if snapshot.quantity == 'footprint' else ''}; clean and "
        "reclaimable pages can be taken at any time.",
        tables=tables if owners else (),
    )


def _row(category: Category, columns: Sequence[str]) -> list[str]:
    return [category.name, *(words.cell(getattr(category, column)) for column in columns)]


def _compared(answer: Answer) -> Iterator[Part]:
    """Yield the difference of two snapshots, and the log beside it."""
    change = answer.change
    if change is None:
        return
    lines = of_reports.change_lines(change)
    if answer.together is not None:
        lines.append(of_reports.together_line(answer.together))
    tables = []
    some = [s for s in answer.snapshots_of_app() if s.tool == answer.snapshots_of_app()[-1].tool]
    if 2 < len(some) < FEWEST_IN_A_SERIES:
        each = [(_where(s, some), words.cell(s.counted)) for s in some]
        tables.append(Table(("report", "counted"), each))
    by_name = some[-1].tool == "dumpsys"
    moved = sorted(
        (o for o in (change.categories if by_name else change.owners) if o.counted),
        key=lambda o: -abs(o.counted or 0),
    )
    yield Part(
        "From the first snapshot to the last",
        lines=lines,
        draw=partial(plots.plot_change, change),
        label="What changed, by owner",
        tables=[
            Table(
                ("category" if by_name else "owner", "counted"),
                [(o.name, words.signed(o.counted)) for o in moved],
            ),
            *tables,
        ][not moved :],
    )


def _of_blocks(answer: Answer) -> Iterator[Part]:
    """Yield what heap and leaks say of blocks."""
    for heap in answer.heaps:
        rows = [
            (c.name[:60], c.kind, c.binary, f"{c.count:,}", words.cell(c.size))
            for c in heap.classes[:_MOST_CLASSES]
        ]
        where = _where(heap, answer.heaps)
        yield Part(
            f"Live blocks of {heap.process or 'a process'}, by {heap.tool} ({where})",
            lines=of_reports.heap_lines(heap),
            tables=[Table(("class", "kind", "binary", "blocks", "size"), rows)],
        )
    if answer.heap_growth:
        grew = [
            (row.name[:60], row.binary, f"{row.blocks:+,}", words.signed(row.size))
            for row in answer.heap_growth[:_MOST_CLASSES]
        ]
        table = Table(("class", "binary", "blocks", "size"), grew)
        yield Part(
            "What changed most from the first heap to the last",
            lines=[of_reports.growth_line(answer)],
            tables=[table],
        )
    for leaks in answer.leaks:
        roots = [(name or "a block without a type", words.cell(held)) for name, held in leaks.roots]
        where = _where(leaks, answer.leaks)
        yield Part(
            f"Lost blocks of {leaks.process or 'a process'}, by leaks ({where})",
            lines=of_reports.leaks_lines(leaks),
            tables=[Table(("root of a leak or cycle", "size"), roots[:_MOST_CLASSES])],
        )


def _beside_the_lab(answer: Answer, lab: LabMatch) -> Part:
    log = answer.log if answer.log and any(c.memory for c in answer.log.curves) else None
    rows = [["phone", "", "", *_shape(lab.phone)]]
    rows += [
        [f"{c.experiment}/{c.condition}", c.verdict, number(c.distance, 2), *_shape(c.shape)]
        for c in lab.conditions
    ]
    names = [name.replace("_", " ") for name in ("rise", *FEATURES)]
    return Part(
        "Beside the lab",
        lines=[of_reports.lab_line(lab)],
        draw=partial(plots.plot_beside, log, lab) if log and lab.conditions else None,
        label="The phone's curve beside the lab's",
        caption="Each panel has its own scale: shapes are compared, sizes are not.",
        tables=[Table(("condition", "verdict", "distance", *names), rows, is_detail=True)],
    )


def _shape(shape: Shape | None) -> list[str]:
    return [number(getattr(shape, name, None), 2) for name in ("rise", *FEATURES)]


def evidence_section(answer: Answer) -> str:
    """Return the section on evidence for a report: HTML that is safe to insert.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    """
    return _render("section", answer)


def page(answer: Answer) -> str:
    """Return a page of its own, which opens without a network."""
    return _render("page", answer)


def _render(which: str, answer: Answer) -> str:
    shown = list(parts(answer))
    first = next((part for part in shown if part.title), None)  # which gives the answer
    return template("device.html.j2").render(
        is_page=which == "page", parts=shown, first=first, answer=answer, words=words
    )
