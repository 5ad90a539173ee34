"""Pictures of a phone's evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.report.style import DASHES, INK, MARKERS, QUIET, SERIES, new_figure, styled
from listen2lab.units import MIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_beside", "plot_change", "plot_log", "plot_owners", "plot_series"]

_MOST_CURVES = 6
_MOST_CONDITIONS = 3
_HATCHES = ("", "////", "\\\\\\\\", "xx")
_PARTS = (
    ("dirty", "dirty"),
    ("swapped", "compressed or swapped"),
    ("reclaimable", "reclaimable (not counted)"),
    ("clean", "clean (not counted)"),
)


def plot_log(answer: dict[str, Any]) -> Figure:
    """Plot the memory that the app logged over its paragraphs, above the longest one so far.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`; with a log in it.

    Returns
    -------
    Figure
        One line a session; crosses are what the app could not account for; a triangle marks the
        longest paragraph.
    """
    curves = [c for c in answer["log"]["curves"] if c["memory_mib"]][:_MOST_CURVES]
    lengths = any(c["longest_s"] for c in curves)
    figure = new_figure(7.2, 3.6 if lengths else 2.8)
    with styled():
        ratios = {"height_ratios": [3, 1]} if lengths else {}
        axes = figure.subplots(
            2 if lengths else 1, 1, sharex=True, squeeze=False, gridspec_kw=ratios
        )
        top = axes[0, 0]
        for k, curve in enumerate(curves):
            style = {"color": SERIES[k % len(SERIES)], "linestyle": DASHES[k % len(DASHES)]}
            top.plot(curve["at"], curve["memory_mib"], **style, label=curve["name"])
            _mark_longest(top, curve, style["color"])
            top.plot(
                curve["unaccounted_at"], [_nan(x) for x in curve["unaccounted_mib"]],
                linestyle="none", marker="x", color=style["color"], markersize=5,
            )  # fmt: skip
            if lengths and curve["longest_s"]:
                below = axes[1, 0]
                below.step(
                    curve["at"], [_nan(x) for x in curve["longest_s"]], where="post", **style
                )
        top.set_ylim(bottom=0)
        top.set_ylabel("resident, MiB")
        axes[-1, 0].set_xlabel("paragraphs synthesized")
        axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
        if lengths:
            axes[1, 0].set_ylabel("longest\nso far, s")
            axes[1, 0].set_ylim(bottom=0)
        if len(curves) > 1:
            figure.legend(
                handles=top.get_lines()[::_lines_each(curves)], loc="outside upper left", ncols=2,
                fontsize=8, labelcolor=INK,
            )  # fmt: skip
    return figure


def _lines_each(curves: list[dict[str, Any]]) -> int:
    """Return how many lines each curve drew: itself, perhaps a triangle, and the crosses."""
    return 3 if all(any(x is not None for x in c["audio_s"]) for c in curves) else 1


def _mark_longest(axes: Axes, curve: dict[str, Any], colour: Any) -> None:
    audio = np.array([_nan(x) for x in curve["audio_s"]])
    if np.isfinite(audio).any():
        k = int(np.nanargmax(audio))
        axes.plot(curve["at"][k], curve["memory_mib"][k], marker="v", color=colour, markersize=7)


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def plot_owners(snapshot: dict[str, Any]) -> Figure:
    """Plot a snapshot's owners: what the kill limit counts of each, and what it does not.

    Parameters
    ----------
    snapshot
        One of ``snapshots`` of `listen2lab.device.answer.answer`.
    """
    owners = [
        (owner, values)
        for owner, values in snapshot["owners"].items()
        if any(values[name] for name, _ in _PARTS) or values["counted"]
    ]
    figure = new_figure(7.2, 0.42 * max(len(owners), 1) + 1.3)
    with styled():
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        left = np.zeros(len(owners))
        rows = np.arange(len(owners))
        for k, (name, label) in enumerate(_PARTS):
            widths = np.array([_part(values, name) for _, values in owners]) / MIB
            some = widths > 0  # an empty bar would still draw its edge
            if some.any():
                axes.barh(
                    rows[some], widths[some], left=left[some], height=0.62,
                    color=SERIES[k], label=label,
                    hatch=_HATCHES[k], edgecolor="white", linewidth=0.4,
                    alpha=1.0 if k < 2 else 0.45,
                )  # fmt: skip
            left += widths
        axes.set_yticks(rows, [owner for owner, _ in owners])
        axes.invert_yaxis()
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("MiB")
        if left.any():
            figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _part(values: dict[str, Any], name: str) -> float:
    """Return a part's width; what is counted and in no column stands with the dirty pages."""
    size = float(values[name] or 0)
    if name == "dirty":
        known = size + float(values["swapped"] or 0)
        size += max(float(values["counted"] or 0) - known, 0.0)
    return size


def plot_change(change: dict[str, Any]) -> Figure:
    """Plot what the kill limit counts, after less before, by owner.

    Parameters
    ----------
    change
        ``difference`` of `listen2lab.device.answer.answer`.
    """
    owners = [(o, v["counted"] / MIB) for o, v in change["owners"].items() if v["counted"]]
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


def plot_series(series: dict[str, Any]) -> Figure:
    """Plot memory over time.

    Parameters
    ----------
    series
        One of ``series`` of `listen2lab.device.answer.answer`.
    """
    figure = new_figure(7.2, 2.6)
    with styled():
        axes = figure.subplots()
        minutes = series["seconds"] > 300
        time = np.array(series["time"]) / (60 if minutes else 1)
        axes.plot(time, series["memory_mib"], color=SERIES[0])
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"{series['quantity'][:24]}, MiB")
        axes.set_xlabel("minutes" if minutes else "seconds")
    return figure


def plot_beside(answer: dict[str, Any]) -> Figure:
    """Plot the phone's curve and the lab's nearest conditions side by side, on paragraphs.

    Parameters
    ----------
    answer
        With a log and a study in it. Each panel has its own scale: shapes are compared, levels
        are not.
    """
    phone = [c for c in answer["log"]["curves"] if c["memory_mib"]][:1]
    lab = [c for c in answer["beside"]["conditions"] if c["distance"] is not None]
    lab = (lab or answer["beside"]["conditions"])[:_MOST_CONDITIONS]
    figure = new_figure(7.2, 2.7)
    with styled():
        axes = figure.subplots(1, 2, squeeze=False)[0]
        for curve in phone:
            axes[0].plot(curve["at"], curve["memory_mib"], color=INK)
        axes[0].set_title("phone")
        for k, condition in enumerate(lab):
            steps = np.array(condition["curve"]["step"]) + 1
            axes[1].plot(
                steps, condition["curve"]["memory_mib"], color=SERIES[k], linestyle=DASHES[k],
                marker=MARKERS[k], markersize=3, markevery=max(1, len(steps) // 12),
                label=f"{condition['experiment']}/{condition['condition']}",
            )  # fmt: skip
        axes[1].set_title(f"lab, {answer['beside']['subject']}")
        for panel in axes:
            panel.set_ylim(bottom=0)
            panel.set_xlabel("paragraphs")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes[0].set_ylabel("resident, MiB")
        if lab:
            axes[1].legend(fontsize=8, labelcolor=INK, loc="lower right")
    return figure
