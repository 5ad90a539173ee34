"""The one picture of the answer: where each deciding condition ends, against what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.findings.cures import KILL, LIMITS, in_words
from listen2lab.report.style import DASHES, INK, MARKERS, QUIET, SERIES, new_figure, styled
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["plot_outcomes"]

_APP = "as the app does"
_DECIDING = (
    ("cache-size", "1"),
    ("alignment", "off"),
    ("force-clear", "clear+trim"),
    ("concurrency", "3-shared"),
    ("concurrency", "3-each"),
    ("session-recreation", "every-10"),
    ("session-recreation", "every-5"),
    ("session-recreation", "every-1"),
    ("session-options", "arena"),
    ("session-options", "pattern"),
    ("session-options", "neither"),
    ("utterance-length", "110s-split"),
    ("utterance-length", "40s"),
    ("utterance-length", "15s"),
    ("utterance-length", "5s"),
)
"""The conditions that somebody could choose; a study shows those that it has."""


def plot_outcomes(outcomes: Sequence[dict[str, Any]]) -> Figure | None:
    """Plot the highest level and peak of the deciding conditions against the limits.

    Parameters
    ----------
    outcomes
        ``answers.outcomes`` of ``summary.json``.

    Returns
    -------
    Figure or None
        None where fewer than two conditions have a complete run.
    """
    rows = _rows(outcomes)
    if len(rows) < 2:
        return None
    figure = new_figure(7.6, 0.3 * len(rows) + 1.3)
    with styled():
        axes = figure.subplots()
        axes.grid(visible=False)
        for k, (_, level, peak) in enumerate(rows):
            top = level if peak is None else peak
            axes.plot(
                [min(level, top), max(level, top)], [k, k], color=QUIET, linewidth=2, zorder=1
            )
            axes.plot(level, k, marker=MARKERS[0], color=SERIES[0], markersize=7, zorder=3)
            if peak is not None:
                axes.plot(
                    peak, k, marker=MARKERS[1], color=SERIES[1], markersize=7, zorder=2,
                    markerfacecolor="none", markeredgewidth=1.6,
                )  # fmt: skip
        most = max(max(level, peak or level) for _, level, peak in rows)
        limits = {
            **{name: size / MIB for name, size in LIMITS.items()},
            "2.5 GB: killed": KILL / MIB,
        }
        reach = 1.08 * max(most, min(limits.values()))
        for k, (name, limit) in enumerate(sorted(limits.items(), key=lambda each: each[1])):
            if limit > reach:
                continue
            axes.axvline(limit, color=INK, linewidth=1, linestyle=DASHES[k + 1], zorder=0)
            axes.annotate(
                name, (limit, 1), xycoords=("data", "axes fraction"),
                xytext=(3 if k else -1, 3), textcoords="offset points",
                ha="left" if k else "right", va="bottom", fontsize=9, color=INK,
            )  # fmt: skip
        axes.plot(
            [], [], linestyle="none", marker=MARKERS[0], color=SERIES[0], label="level at the end"
        )
        axes.plot(
            [], [], linestyle="none", marker=MARKERS[1], color=SERIES[1], markerfacecolor="none",
            markeredgewidth=1.6, label="peak of a step",
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        for label in axes.get_yticklabels():
            if label.get_text() == _APP:
                label.set_fontweight("bold")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, reach)
        axes.set_xlabel("MiB resident, highest of the repeats")
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _rows(outcomes: Sequence[dict[str, Any]]) -> list[tuple[str, float, float | None]]:
    """Return words, level and peak: the app first, then from the highest peak down."""
    measured = [each for each in outcomes if each["level_mib"] is not None]
    app = [each for each in measured if not each["knobs"]]
    rows = [
        (in_words(each["knobs"]), each["level_mib"], each["peak_mib"])
        for each in measured
        if (each["experiment"], each["condition"]) in _DECIDING
    ]
    rows.sort(key=lambda row: -(row[2] or row[1]))
    if app:
        peaks = [each["peak_mib"] for each in app if each["peak_mib"] is not None]
        highest = max(each["level_mib"] for each in app)
        rows.insert(0, (_APP, highest, max(peaks, default=None)))
    return rows
