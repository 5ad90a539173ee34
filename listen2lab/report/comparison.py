"""A rerun and a comparison as people read them: words, a table, a picture, a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from listen2lab.errors import InputError, StudyError
from listen2lab.report.text import verdicts
from listen2lab.report.text.study import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.compare.comparison import Comparison
    from listen2lab.compare.conditions import Change, Pair
    from listen2lab.compare.reproduced import Point
    from listen2lab.compare.rerun import Rerun

__all__ = [
    "comparison_words",
    "pair_words",
    "plot_comparison",
    "point_words",
    "rerun_words",
    "write_comparison",
]

_UNITS = {"level": " MiB", "rate": " KiB a step", "verdict": ""}


def rerun_words(done: Rerun) -> str:
    """Say what a rerun reproduced, point by point.

    Parameters
    ----------
    done
        The rerun.

    Returns
    -------
    str
        The answer, a table of every level, rate and verdict, what else differs, and notes.
    """
    points = done.reproduction.points
    same = sum(point.is_reproduced for point in points)
    if not points:
        answer = "Nothing to compare with: no level of the study before is known."
    elif done.is_reproduced:
        others = sum(
            not (point.is_within_share or point.is_within_interval)
            for point in points
            if point.quantity == "rate"
        )
        answer = f"Reproduced: {len(points) - others} levels, rates and verdicts" + (
            f"; other rates: {others}, in conditions that leak in neither study." if others else "."
        )
    else:
        answer = f"Not reproduced: {len(points) - same} of {len(points)} points differ."
    rows = [
        (f"{point.experiment} / {point.condition}", point.quantity, *point_words(point))
        for point in points
    ]
    lines = [answer, *_table(("", "", "before", "now", "difference", ""), rows)]
    if done.differences:
        lines += ["Not as before:", *(f"  {each.said()}" for each in done.differences)]
    elif points:
        lines.append("Machine, versions and settings are those of the study before.")
    lines += [f"note: {sentence}" for sentence in done.notes]
    return "\n".join(lines)


def point_words(point: Point) -> tuple[str, str, str, str]:
    """Return before, now, difference and judgement of a point, as a table shows them."""
    unit = _UNITS[point.quantity]
    digits = 1 if point.quantity == "level" else 2
    before, now = (
        "–" if value is None else value if isinstance(value, str) else number(value, digits) + unit
        for value in (point.before, point.now)
    )
    if point.quantity == "verdict":
        return before, now, "", "the same" if point.is_reproduced else "ANOTHER VERDICT"
    if point.difference is None:
        return before, now, "", "NOT MEASURED"
    share = ""
    if point.quantity == "level" and point.share is not None:
        share = f" ({100 * point.share:+.1f} %)"
    difference = f"{_signed(point.difference, digits)}{share}{_between(point.interval, digits)}"
    if point.is_within_share:
        return before, now, difference, "within 2 %" if share else "the same"
    if point.is_within_interval:
        return before, now, difference, "within the interval"
    if point.is_reproduced:
        return before, now, difference, "another rate, but no leak in either"
    return before, now, difference, "NOT REPRODUCED"


def comparison_words(comparison: Comparison) -> str:
    """Say how B differs from A: caveats first, then the numbers, then each outcome.

    Parameters
    ----------
    comparison
        What `listen2lab.compare.comparison.compare` found.
    """
    lines = [f"A: {comparison.a}", f"B: {comparison.b}", *comparison.caveats]
    rows = []
    for pair in comparison.pairs:
        for name, change, digits in _changes(pair):
            title = pair_name(pair) if name == "level, MiB" else ""
            rows.append((title, name, *_change_words(change, digits)))
        rows.append(("", "verdict", pair.verdict_a, pair.verdict_b, _outcome(pair)))
    lines += _table(("", "", "A", "B", "B − A [95 %]"), rows)
    lines += [pair_words(pair) for pair in comparison.pairs]
    for name, conditions in (("A", comparison.only_a), ("B", comparison.only_b)):
        if conditions:
            lines.append(f"only in {name}: {', '.join(conditions)}")
    return "\n".join(lines)


def _outcome(pair: Pair) -> str:
    return f"{pair.about}: {pair.outcome}"


def pair_name(pair: Pair) -> str:
    """Return the name of what is compared: one where both are called the same."""
    return pair.a if pair.a == pair.b else f"{pair.a} → {pair.b}"


def _what_became(pair: Pair) -> str:
    if pair.contrast is None:
        return "One of them has no complete run."
    return verdicts.contrast("B", pair.contrast)


def pair_words(pair: Pair) -> str:
    """Say in a sentence or two what became of A's leak or level in B."""
    if pair.level.difference is None:
        return f"{pair_name(pair)}: nothing to compare; {_what_became(pair)}"
    way = "above" if pair.level.difference > 0 else "below"
    between = _between(pair.level.interval, 1).strip()
    bounds = f" (95 %: {between[1:-1]})" if between else " (too few runs for an interval)"
    level = f"B ends {number(abs(pair.level.difference))} MiB {way} A{bounds}"
    if pair.about == "rate":
        return f"{pair_name(pair)}: {pair.outcome}. {_what_became(pair)} {level}."
    meaning = {
        "reduced": "less",
        "worse": "more",
        "unchanged": "no difference worth acting on",
        "inconclusive": "not known well enough to say",
    }
    return f"{pair_name(pair)}: {level}: {meaning[pair.outcome]}."


def _changes(pair: Pair) -> list[tuple[str, Change, int]]:
    return [
        ("level, MiB", pair.level, 1),
        ("peak, MiB", pair.peak, 1),
        ("rate, KiB a step", pair.rate, 2),
    ]


def _change_words(change: Change, digits: int) -> tuple[str, str, str]:
    difference = ""
    if change.difference is not None:
        difference = _signed(change.difference, digits) + _between(change.interval, digits)
    return number(change.a, digits), number(change.b, digits), difference


def _signed(value: float, digits: int) -> str:
    return f"{value:+,.{digits}f}".replace("-", "−")


def _between(interval: tuple[float, float] | None, digits: int) -> str:
    if interval is None:
        return ""
    return f" [{_signed(interval[0], digits)}, {_signed(interval[1], digits)}]"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of columns; a first column that repeats itself is said once."""
    if not rows:
        return []
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines, last = [], ""
    for row in [head, *rows]:
        first = "" if row[0] == last else row[0]
        last = row[0] or last
        cells = (first, *row[1:])
        lines.append(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        )
    return lines


def plot_comparison(comparison: Comparison) -> Figure:
    """Plot levels at the end, one mark a process, and beside them the differences.

    Parameters
    ----------
    comparison
        What `listen2lab.compare.comparison.compare` found.

    Returns
    -------
    Figure
        Left: MiB resident, A and B below each other; right: B less A with its 95 % interval.
    """
    from listen2lab.report.style import (  # noqa: PLC0415 - matplotlib, for the picture alone
        INK,
        new_figure,
        styled,
    )

    pairs = comparison.pairs
    figure = new_figure(8.6, 0.55 * len(pairs) + 1.5)
    with styled():
        left, right = figure.subplots(
            1, 2, sharey=True, width_ratios=[1.6, 1], gridspec_kw={"wspace": 0.08}
        )
        for axes in (left, right):
            axes.grid(visible=True, axis="x")
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
        for k, pair in enumerate(pairs):
            _levels_of(left, k, pair, is_first=k == 0)
            _difference_of(right, k, pair.level)
        left.set_yticks(
            range(len(pairs)), [pair_name(pair).replace(" → ", "\n→ ") for pair in pairs]
        )
        left.set_ylim(len(pairs) - 0.4, -0.6)
        left.set_xlim(left=0)
        left.set_xlabel("level at the end, MiB resident")
        right.axvline(0, color=INK, linewidth=1)
        right.set_xlabel("B − A, MiB, with 95 % interval")
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _levels_of(axes: Axes, k: int, pair: Pair, *, is_first: bool) -> None:
    from listen2lab.report.style import MARKERS, SERIES  # noqa: PLC0415 - as above

    for side, values, offset in (("A", pair.level.each_a, -0.14), ("B", pair.level.each_b, 0.14)):
        which = 0 if side == "A" else 1
        axes.plot(
            values, [k + offset] * len(values), linestyle="none", marker=MARKERS[which],
            color=SERIES[which], markersize=7, alpha=0.85, label=side if is_first else None,
        )  # fmt: skip


def _difference_of(axes: Axes, k: int, change: Change) -> None:
    from listen2lab.report.style import INK  # noqa: PLC0415 - as above

    if change.difference is None:
        return
    if change.interval is not None:
        axes.plot(change.interval, [k, k], color=INK, linewidth=1.6)
    axes.plot([change.difference], [k], marker="D", color=INK, markersize=6)


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write a comparison as a picture or a page.

    Parameters
    ----------
    comparison
        What to show.
    path
        Ends in ``.svg``, ``.png`` or ``.html``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The name ends in something else.
    StudyError
        The file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in {".svg", ".png", ".html"}:
        raise InputError(f"{path.name} is no picture or page; name a .svg, .png or .html file")
    content = _page(comparison).encode() if kind == ".html" else _picture(comparison, kind[1:])
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StudyError(f"cannot write {path}: {error.strerror}") from error
    return path


def _picture(comparison: Comparison, kind: str) -> bytes:
    from listen2lab.report.style import styled, to_png  # noqa: PLC0415 - as above

    figure = plot_comparison(comparison)
    if kind == "png":
        return to_png(figure)
    stream = io.BytesIO()
    with styled():
        figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None})
    return stream.getvalue()


def _page(comparison: Comparison) -> str:
    from markupsafe import Markup  # noqa: PLC0415 - for the page alone

    from listen2lab.report.html import template  # noqa: PLC0415 - as above
    from listen2lab.report.style import to_svg  # noqa: PLC0415 - as above

    svg = to_svg(plot_comparison(comparison), label="Levels of A and B, and their differences")
    return template("compare.html.j2").render(
        comparison=comparison,
        picture=Markup(svg),  # noqa: S704 - made by to_svg, whose label is escaped
        rows=[
            (
                pair_name(pair),
                [(name, *_change_words(change, digits)) for name, change, digits in _changes(pair)],
                (pair.verdict_a, pair.verdict_b, _outcome(pair)),
            )
            for pair in comparison.pairs
        ],
        sentences=[pair_words(pair) for pair in comparison.pairs],
    )
