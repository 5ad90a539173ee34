"""Pictures of cures: peak against price, and the law of the longest sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.findings.cures import CURES
from listen2lab.findings.law import LENGTHS, law_points, lengths_of
from listen2lab.report.style import (
    DASHES,
    INK,
    MARKERS,
    QUIET,
    SERIES,
    new_figure,
    safe_label,
    styled,
)
from listen2lab.report.text.answers import limits_mib
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.findings.cure_records import Cure, Cures
    from listen2lab.findings.law import Law
    from listen2lab.study.data import StudyData

__all__ = ["plot_both", "plot_cures", "plot_law"]

_KINDS = (
    ("the app", SERIES[1], MARKERS[1]),
    ("identical audio", SERIES[0], MARKERS[0]),
    ("other only at cuts", SERIES[2], MARKERS[2]),
    ("other audio, or not compared", SERIES[3], MARKERS[3]),
)


def plot_cures(found: Cures) -> Figure:
    """Plot each cure's peak against its CPU: lower and further left is better.

    The marker says what becomes of the audio, a filled one that several processes agreed; those
    that no other beats in both are joined. They are named, and so are the app's own and the plan's.
    """
    figure = new_figure(7.6, 4.6)
    points = [
        (at, each, each.cpu_per_s, each.peak_mib)
        for at, each in enumerate(found.cures)
        if each.cpu_per_s is not None and each.peak_mib is not None
    ]
    with styled():
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.set_yscale("log")
        peaks = [peak for *_, peak in points] or [100.0]
        prices = [cpu for _, _, cpu, _ in points] or [0.1]
        bottom, top = min(peaks) / 1.8, max(peaks) * 1.45
        width = max(prices) - min(prices) or max(prices)
        axes.set_xlim(min(prices) - 0.12 * width, max(prices) + 0.12 * width)
        axes.set_ylim(bottom, top)
        _limits(axes, bottom, top)
        of = {at: (cpu, peak) for at, _, cpu, peak in points}
        front = np.array([of[at] for at in found.front if at in of]).reshape(-1, 2)
        axes.plot(*front.T, color=QUIET, linewidth=1.2, linestyle=DASHES[0], zorder=1)
        seen = set()
        for at, each, cpu, peak in points:
            kind = _kind(at, each)
            _, colour, marker = _KINDS[kind]
            seen.add(kind)
            axes.plot(
                cpu, peak, linestyle="none", marker=marker, color=colour, markersize=8,
                markeredgewidth=1.6, zorder=3,
                markerfacecolor=colour if each.is_verified else "none",
            )  # fmt: skip
        named = {0, *found.front, *(step.at for step in found.plan)}
        _names(axes, [point for point in points if point[0] in named])
        for kind in sorted(seen):
            label, colour, marker = _KINDS[kind]
            axes.plot([], [], linestyle="none", marker=marker, color=colour, label=label)
        if any(not each.is_verified for _, each, _, _ in points):
            axes.plot(
                [], [], linestyle="none", marker=MARKERS[0], color=QUIET, markerfacecolor="none",
                label="hollow: one run",
            )  # fmt: skip
        ticks = [x for x in (50, 100, 200, 400, 700, 1000, 2000, 4000, 8000) if bottom < x < top]
        axes.set_yticks(ticks, [f"{x:,}" for x in ticks])
        axes.minorticks_off()
        axes.set_xlabel("CPU seconds for a second of audio")
        axes.set_ylabel("peak, MiB resident")
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def _kind(at: int, cure: Cure) -> int:
    if at == 0:
        return 0
    return {"identical": 1, "cuts": 2}.get(cure.audio, 3)


def _limits(axes: Axes, bottom: float, top: float) -> None:
    for k, (name, limit) in enumerate(sorted(limits_mib().items(), key=lambda each: each[1])):
        if bottom < limit < top:
            axes.axhline(limit, color=INK, linewidth=1, linestyle=DASHES[k + 1], zorder=0)
            axes.annotate(
                name, (1, limit), xycoords=("axes fraction", "data"), xytext=(-2, 3),
                textcoords="offset points", ha="right", va="bottom", fontsize=9, color=INK,
            )  # fmt: skip


def _names(axes: Axes, points: list[tuple[int, Cure, float, float]]) -> None:
    """Name points: the app above it, each other below it, where the picture is empty."""
    for at, each, cpu, peak in points:
        axes.annotate(
            safe_label(each.condition), (cpu, peak), textcoords="offset points", color=INK,
            xytext=(0, 9) if at == 0 else (-4, -8), fontsize=9, ha="left" if at else "center",
            va="top" if at else "baseline", fontweight="normal" if at else "bold",
        )  # fmt: skip


def plot_law(study: StudyData, laws: Mapping[str, tuple[Law, ...]]) -> Figure | None:
    """Plot the peak of each run by its longest sentence, and the law through it."""
    peaks = {graph: law for graph, each in laws.items() for law in each if law.quantity == "peak"}
    if not peaks:
        return None
    figure = new_figure(7.2, 3.4)
    conditions = lengths_of(study.plan)
    with styled():
        axes = figure.subplots()
        top = 0.0
        for k, (graph, law) in enumerate(peaks.items()):
            points = law_points(study.complete_of(LENGTHS), LENGTHS, conditions.get(graph, []))
            seconds = np.linspace(0, law.longest_s * 1.05, 100)
            label = "as exported" if graph == "exported" else graph
            axes.plot(
                points["seconds"], points["peak"], linestyle="none", marker=MARKERS[k],
                color=SERIES[k], markersize=6, label=f"{label}: a run",
            )  # fmt: skip
            axes.plot(
                seconds, [law.at(s) for s in seconds], color=SERIES[k], linestyle=DASHES[k],
                label=f"{label}: the law",
            )  # fmt: skip
            top = max(top, law.at(float(seconds[-1])), float(points["peak"].max()))
        _limits(axes, 0.0, top * 1.15)
        axes.set_xlim(left=0)
        axes.set_ylim(0, top * 1.15)
        axes.set_xlabel("longest sentence, seconds of speech")
        axes.set_ylabel("peak, MiB resident")
        figure.legend(loc="outside upper left", ncols=4, fontsize=9, labelcolor=INK)
    return figure


_BOTH = ("app", "bounded")


def plot_both(study: StudyData) -> Figure | None:
    """Plot the app with the exported and with the bounded voice on one axis.

    Parameters
    ----------
    study
        With an experiment of cures.

    Returns
    -------
    Figure or None
        What memray saw live over the traced runs, where there are any, and resident memory after
        each step; None without both conditions.
    """
    plain = {name: study.complete_of(CURES, name) for name in _BOTH}
    mine = {name: rows[rows["phase"].isin(["warmup", "step"])] for name, rows in plain.items()}
    if any(rows.empty for rows in mine.values()):
        return None
    planned = {item.name for item in study.plan.experiments}
    traces = {name: study.trace(CURES, name) if CURES in planned else None for name in _BOTH}
    has_traces = all(trace is not None and trace.curve.epoch_s for trace in traces.values())
    figure = new_figure(7.2, 5.0 if has_traces else 2.8)
    with styled():
        panels = figure.subplots(2 if has_traces else 1, squeeze=False)[:, 0]
        for k, name in enumerate(_BOTH):
            rows = mine[name]
            first = rows[rows["repeat"] == rows["repeat"].min()]
            label = "as exported" if name == "app" else "bounded"
            panels[0].plot(
                first["step"], first["rss"] / MIB, color=SERIES[1 - k], linestyle=DASHES[k],
                marker=MARKERS[k], markersize=4, label=label,
            )  # fmt: skip
            trace = traces[name]
            if has_traces and trace is not None:
                seconds = np.array(trace.curve.epoch_s) - trace.curve.epoch_s[0]
                panels[1].plot(
                    seconds, np.array(trace.curve.heap) / MIB, color=SERIES[1 - k],
                    linestyle=DASHES[k],
                )  # fmt: skip
        panels[0].set_xlabel("step (paragraph)")
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        panels[0].set_ylabel("resident, MiB")
        if has_traces:
            panels[1].set_xlabel("seconds of the traced run")
            panels[1].set_ylabel("live (memray), MiB")
        for panel in panels:
            panel.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure
