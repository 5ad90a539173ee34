"""A comparison of two studies as a picture and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.errors import InputError, StudyError
from listen2lab.report.plots import MOST_PANELS, curves
from listen2lab.report.style import (
    DASHES,
    INK,
    MARKERS,
    SERIES,
    new_figure,
    safe_label,
    styled,
    to_png,
    to_svg,
    to_svg_file,
)
from listen2lab.report.template import template
from listen2lab.report.text import compare as text

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.comparison.comparison import Change, Comparison, Pair
    from listen2lab.study.data import StudyData

__all__ = ["plot_comparison", "plot_pairs", "write_comparison"]

_LABEL = "Memory at the end of A and B, and their differences"


def plot_comparison(comparison: Comparison) -> Figure:
    """Plot memory at the end, one mark a process, and beside them the differences."""
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
            _ends_of(left, k, pair, is_first=k == 0)
            _difference_of(right, k, pair.end)
        left.set_yticks(
            range(len(pairs)), [text.pair_name(pair).replace(" → ", "\n→ ") for pair in pairs]
        )
        left.set_ylim(len(pairs) - 0.4, -0.6)
        left.set_xlim(left=0)
        left.set_xlabel("memory at the end, MiB resident")
        right.axvline(0, color=INK, linewidth=1)
        right.set_xlabel("B − A, MiB, with 95 % interval")
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _ends_of(axes: Axes, k: int, pair: Pair, *, is_first: bool) -> None:
    for side, values, offset in (("A", pair.end.each_a, -0.14), ("B", pair.end.each_b, 0.14)):
        which = 0 if side == "A" else 1
        axes.plot(
            values, [k + offset] * len(values), linestyle="none", marker=MARKERS[which],
            color=SERIES[which], markersize=7, alpha=0.85, label=side if is_first else None,
        )  # fmt: skip


def _difference_of(axes: Axes, k: int, change: Change) -> None:
    if change.difference is None:
        return
    if change.interval is not None:
        axes.plot(change.interval, [k, k], color=INK, linewidth=1.6)
    axes.plot([change.difference], [k], marker="D", color=INK, markersize=6)


def plot_pairs(comparison: Comparison, a: StudyData, b: StudyData) -> Figure:
    """Plot resident memory over the steps, a panel a pair, a line a process."""
    pairs = comparison.pairs[:MOST_PANELS]
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    figure = new_figure(3.1 * columns + 0.4 if columns > 1 else 7.2, 2.1 * rows + 0.9)
    with styled():
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
        for k, panel in enumerate(panels):
            if k >= len(pairs):
                panel.set_visible(False)
                continue
            both = (("A", a, pairs[k].a), ("B", b, pairs[k].b))
            for which, (side, study, where) in enumerate(both):
                label = side if k == 0 else None
                for steps, resident in curves(study, *where):
                    panel.plot(
                        steps, resident, color=SERIES[which], linestyle=DASHES[which], label=label
                    )
                    label = None
            panel.set_title(safe_label(text.pair_name(pairs[k])).replace(" → ", "\n→ "))
            panel.set_ylim(bottom=0)
        figure.supylabel("resident, MiB", fontsize=10, color=INK)
        figure.supxlabel("step", fontsize=10, color=INK)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def write_comparison(
    comparison: Comparison, path: Path, studies: tuple[StudyData, StudyData] | None = None
) -> Path:
    """Write a comparison as a picture or a page, which has curves where studies are given."""
    kind = path.suffix.lower()
    if kind not in {".svg", ".png", ".html"}:
        raise InputError(f"{path.name} is no picture or page; name a .svg, .png or .html file")
    content = (
        _page(comparison, studies).encode() if kind == ".html" else _picture(comparison, kind[1:])
    )
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StudyError(f"cannot write {path}: {error.strerror}") from error
    return path


def _picture(comparison: Comparison, kind: str) -> bytes:
    figure = plot_comparison(comparison)
    return to_png(figure) if kind == "png" else to_svg_file(figure, label=_LABEL).encode()


def _page(comparison: Comparison, studies: tuple[StudyData, StudyData] | None) -> str:
    svg = to_svg(plot_comparison(comparison), label=_LABEL)
    label = "Resident memory over the steps, A and B"
    curves_svg = studies and to_svg(plot_pairs(comparison, *studies), label=label)
    return template("compare.html.j2").render(
        comparison=comparison,
        picture=svg,
        curves=curves_svg,
        rows=[
            (
                text.pair_name(pair),
                [
                    (name, *text.change_row(change, digits))
                    for name, change, digits in text.quantities(pair)
                ],
                (pair.verdict_a, pair.verdict_b, text.outcome(pair)),
            )
            for pair in comparison.pairs
        ],
        caveats=text.caveats(comparison),
        differences=[
            (text.difference_name(each), each.before or "none", each.now or "none")
            for each in comparison.differences
        ],
        sentences=[text.pair_text(pair) for pair in comparison.pairs],
    )
