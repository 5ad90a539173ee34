"""Pictures of a phone's evidence."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.report.style import DASHES, INK, MARKERS, QUIET, SERIES, new_figure, styled
from listen2lab.report.text.device import session_name
from listen2lab.report.text.device_reports import lab_subject, series_name
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.device.answer import SeriesSummary
    from listen2lab.device.formats.schema import Category, Change, Snapshot
    from listen2lab.device.lab_match import LabMatch
    from listen2lab.device.log_summary import Curve, LogSummary

__all__ = ["MOST_CURVES", "plot_beside", "plot_change", "plot_log", "plot_owners", "plot_series"]

MOST_CURVES = 6
_MOST_CONDITIONS = 3
_HATCHES = ("", "////", "\\\\\\\\", "xx")
_PARTS = (
    ("dirty", "dirty"),
    ("swapped", "compressed or swapped"),
    ("reclaimable", "reclaimable (not counted)"),
    ("clean", "clean (not counted)"),
)


def _plain(name: str) -> str:
    """Return a name in which matplotlib sees no formula."""
    return name.replace("$", r"\$")


def _mib(values: Iterable[float | None]) -> list[float]:
    return [float("nan") if value is None else value / MIB for value in values]


def plot_log(log: LogSummary) -> Figure:
    """Plot the memory that the app logged over its paragraphs, above the longest one so far.

    One line a session; crosses are what the app could not account for; a triangle marks the
    longest paragraph.
    """
    curves = [curve for curve in log.curves if curve.memory][:MOST_CURVES]
    lengths = any(curve.longest_s for curve in curves)
    figure = new_figure(7.2, 3.6 if lengths else 2.8)
    with styled():
        ratios = {"height_ratios": [3, 1]} if lengths else {}
        rows = figure.subplots(
            2 if lengths else 1, 1, sharex=True, squeeze=False, gridspec_kw=ratios
        )[:, 0]
        handles = []
        for k, curve in enumerate(curves):
            style = {"color": SERIES[k % len(SERIES)], "linestyle": DASHES[k % len(DASHES)]}
            name = _plain(session_name(log.sessions[curve.session]))
            handles += rows[0].plot(curve.at, _mib(curve.memory), **style, label=name)
            _mark_longest(rows[0], curve, style["color"])
            rows[0].plot(
                curve.unaccounted_at, _mib(curve.unaccounted),
                linestyle="none", marker="x", color=style["color"], markersize=5,
            )  # fmt: skip
            if curve.longest_s:
                rows[-1].step(curve.at, curve.longest_s, where="post", **style)
        rows[0].set_ylim(bottom=0)
        rows[0].set_ylabel("resident, MiB")
        rows[-1].set_xlabel("paragraphs synthesized")
        rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        if lengths:
            rows[-1].set_ylabel("longest\nso far, s")
            rows[-1].set_ylim(bottom=0)
        if len(curves) > 1:
            figure.legend(
                handles=handles, loc="outside upper left", ncols=2, fontsize=8, labelcolor=INK
            )
    return figure


def _mark_longest(axes: Axes, curve: Curve, colour: Any) -> None:
    known = [(audio, k) for k, audio in enumerate(curve.audio_s) if audio is not None]
    if known:
        _, k = max(known, key=lambda each: each[0])
        axes.plot(curve.at[k], curve.memory[k] / MIB, marker="v", color=colour, markersize=7)


def plot_owners(snapshot: Snapshot) -> Figure:
    """Plot a snapshot's owners: what the kill limit counts of each, and what it does not."""
    owners = [o for o in snapshot.owners if o.counted or any(getattr(o, n) for n, _ in _PARTS)]
    figure = new_figure(7.2, 0.42 * max(len(owners), 1) + 1.3)
    with styled():
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        left = np.zeros(len(owners))
        rows = np.arange(len(owners))
        for k, (name, label) in enumerate(_PARTS):
            widths = np.array([_part(owner, name) for owner in owners]) / MIB
            some = widths > 0  # an empty bar would still draw its edge
            if some.any():
                axes.barh(
                    rows[some], widths[some], left=left[some], height=0.62,
                    color=SERIES[k], label=label,
                    hatch=_HATCHES[k], edgecolor="white", linewidth=0.4,
                    alpha=1.0 if k < 2 else 0.45,
                )  # fmt: skip
            left += widths
        axes.set_yticks(rows, [owner.name for owner in owners])
        axes.invert_yaxis()
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("MiB")
        if left.any():
            figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _part(owner: Category, name: str) -> float:
    """Return a part's width; what is counted and in no column stands with the dirty pages."""
    size = float(getattr(owner, name) or 0)
    if name == "dirty":
        size += max(float(owner.counted or 0) - size - float(owner.swapped or 0), 0.0)
    return size


def plot_change(change: Change) -> Figure:
    """Plot what the kill limit counts, after less before, by owner."""
    owners = [(o.name, o.counted / MIB) for o in change.owners if o.counted]
    owners.sort(key=lambda item: -abs(item[1]))
    figure = new_figure(7.2, 0.36 * max(len(owners), 1) + 0.9)
    with styled():
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        values = [value for _, value in owners]
        axes.barh(
            range(len(owners)), values, height=0.6,
            color=[SERIES[1] if value > 0 else SERIES[2] for value in values],
        )  # fmt: skip
        for k, value in enumerate(values):
            axes.annotate(
                f"{value:+,.1f}", (value, k), textcoords="offset points", va="center", fontsize=9,
                xytext=(4 if value >= 0 else -4, 0), ha="left" if value >= 0 else "right",
            )  # fmt: skip
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.margins(x=0.18)
        axes.set_yticks(range(len(owners)), [owner for owner, _ in owners])
        axes.invert_yaxis()
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("MiB counted, after less before")
    return figure


def plot_series(series: SeriesSummary) -> Figure:
    """Plot memory over time."""
    figure = new_figure(7.2, 2.6)
    with styled():
        axes = figure.subplots()
        minutes = series.timed and series.seconds > 300
        time = np.array(series.time) / (60 if minutes else 1)
        axes.plot(time, _mib(series.memory), color=SERIES[0])
        axes.set_ylim(bottom=0)
        axes.set_ylabel(_plain(f"{shorten(series_name(series), 24, placeholder='…')}, MiB"))
        axes.set_xlabel("minutes" if minutes else "seconds" if series.timed else "samples")
    return figure


def plot_beside(log: LogSummary, lab: LabMatch) -> Figure:
    """Plot the phone's curve and the lab's nearest conditions side by side, on paragraphs.

    Each panel has its own scale: shapes are compared, sizes are not.
    """
    near = [c for c in lab.conditions if c.distance is not None] or list(lab.conditions)
    figure = new_figure(7.2, 2.7)
    with styled():
        axes = figure.subplots(1, 2, squeeze=False)[0]
        curve = next(curve for curve in log.curves if curve.memory)
        axes[0].plot(curve.at, _mib(curve.memory), color=INK)
        axes[0].set_title("phone")
        for k, condition in enumerate(near[:_MOST_CONDITIONS]):
            steps = np.array(condition.steps) + 1
            axes[1].plot(
                steps, _mib(condition.memory), color=SERIES[k], linestyle=DASHES[k],
                marker=MARKERS[k], markersize=3, markevery=max(1, len(steps) // 12),
                label=_plain(f"{condition.experiment}/{condition.condition}"),
            )  # fmt: skip
        axes[1].set_title(_plain(f"lab, {lab_subject(lab)}"))
        for panel in axes:
            panel.set_ylim(bottom=0)
            panel.set_xlabel("paragraphs")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes[0].set_ylabel("resident, MiB")
        axes[1].legend(fontsize=8, labelcolor=INK, loc="lower right")
    return figure
