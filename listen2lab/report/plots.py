"""The pictures of a study: curves by condition, levels at a glance, a heap trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.report.style import DASHES, INK, MARKERS, QUIET, SERIES, new_figure, styled
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.study import Study

__all__ = ["plot_curves", "plot_heap", "plot_levels"]

_PANEL_HEIGHT = 2.1


def plot_curves(study: Study, experiment: str) -> Figure:
    """Plot resident memory over the steps, one panel a condition, one line a repeat.

    The panels share both axes. A triangle marks the step that spoke the longest sentence; the
    warm-up is shaded; a run that was killed or crashed ends in a cross.
    """
    plain = _plain(study, experiment)
    conditions = _conditions(study, experiment)
    columns = min(len(conditions), 3)
    rows = -(-len(conditions) // columns)
    figure = new_figure(3.1 * columns + 0.4 if columns > 1 else 7.2, _PANEL_HEIGHT * rows + 0.6)
    with styled():
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        warmup = int(plain.loc[plain["phase"] == "warmup", "step"].max() + 1) if len(plain) else 0
        for k, panel in enumerate(axes.flat):
            if k >= len(conditions):
                panel.set_visible(False)
                axes.flat[k - columns].xaxis.set_tick_params(labelbottom=True)
                continue
            condition = conditions[k]
            runs = study.runs.query("experiment == @experiment and not traced")
            outcomes = runs[runs["condition"] == condition].set_index("repeat")["outcome"]
            _one_condition(panel, plain[plain["condition"] == condition], dict(outcomes))
            panel.set_title(condition)
            if warmup:
                panel.axvspan(-0.5, warmup - 0.5, color=QUIET, alpha=0.15, linewidth=0)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        top = float(plain["rss"].max()) / MIB if len(plain) else 1.0
        axes[0, 0].set_ylim(0, top * 1.08)  # the axes are shared
        for panel in axes[:, 0]:
            panel.set_ylabel("resident, MiB")
        (item,) = (item for item in study.plan.experiments if item.name == experiment)
        label = "step" if item.unit == "step" else f"step ({item.unit})"
        figure.supxlabel(label, fontsize=10, color=INK)
    return figure


def _one_condition(panel: Axes, samples: pd.DataFrame, outcome: dict[Any, str]) -> None:
    for k, (repeat, rows) in enumerate(samples.groupby("repeat")):
        steps, resident = rows["step"].to_numpy(), rows["rss"].to_numpy() / MIB
        colour = SERIES[k % len(SERIES)]
        panel.plot(steps, resident, color=colour, linestyle=DASHES[k % len(DASHES)])
        if rows["size"].notna().any():
            at = int(np.nanargmax(rows["size"].to_numpy(float)))
            panel.plot(steps[at], resident[at], marker="v", color=colour, markersize=7)
        if outcome.get(repeat) not in ("complete", "missing"):
            panel.plot(steps[-1], resident[-1], marker="X", color=INK, markersize=9)
            panel.annotate(
                str(outcome.get(repeat)), (steps[-1], resident[-1]),
                textcoords="offset points", xytext=(7, -4), fontsize=8,
            )  # fmt: skip


def plot_levels(study: Study, experiment: str) -> Figure:
    """Plot where each condition ends: peak, level at the end, and level after the teardown.

    One mark a repeat, so that their agreement is seen.
    """
    plain = _plain(study, experiment, steps_only=False)
    conditions = _conditions(study, experiment)
    figure = new_figure(7.2, 0.42 * len(conditions) + 1.2)
    kinds = (
        ("peak of a step", "step", "peak", SERIES[1], MARKERS[2]),
        ("level at the end", "end", "rss", SERIES[0], MARKERS[0]),
        ("after the teardown", "released", "rss", SERIES[2], MARKERS[1]),
    )
    with styled():
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        for k, condition in enumerate(conditions):
            rows = plain[plain["condition"] == condition]
            ends = []
            for label, phase, column, colour, marker in kinds:
                values = rows[rows["phase"] == phase].groupby("repeat")[column].max() / MIB
                ends += list(values)
                axes.plot(
                    values, np.full(len(values), k), linestyle="none", marker=marker,
                    color=colour, markersize=7, alpha=0.85, label=label if k == 0 else None,
                )  # fmt: skip
            if ends:
                axes.plot([min(ends), max(ends)], [k, k], color=QUIET, linewidth=1, zorder=0)
        axes.set_yticks(range(len(conditions)), conditions)
        axes.set_ylim(len(conditions) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("MiB resident")
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def plot_heap(heap: dict[str, Any], samples: pd.DataFrame) -> Figure:
    """Plot what memray saw live over a traced run, under the resident memory it read.

    Parameters
    ----------
    heap
        See `listen2lab.probes.heap.reduce_capture`.
    samples
        The traced run's samples; their steps become ticks.
    """
    curve = heap["curve"]
    figure = new_figure(7.2, 2.7)
    with styled():
        axes = figure.subplots()
        if curve["epoch_s"]:
            begin = curve["epoch_s"][0]
            seconds = np.array(curve["epoch_s"]) - begin
            live = np.array(curve["heap"]) / MIB
            axes.fill_between(seconds, live, color=SERIES[0], alpha=0.25, linewidth=0)
            axes.plot(seconds, live, color=SERIES[0], label="allocated and not freed (memray)")
            axes.plot(
                seconds, np.array(curve["rss"]) / MIB, color=SERIES[1], linestyle=DASHES[1],
                label="resident",
            )  # fmt: skip
            ends = samples["epoch_s"].dropna().to_numpy(float) - begin
            axes.plot(
                ends, np.zeros_like(ends), linestyle="none", marker="|", color=INK,
                markersize=9, label="end of a step", clip_on=False,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_ylabel("MiB")
        axes.set_xlabel("seconds of the traced run")
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def _conditions(study: Study, experiment: str) -> list[str]:
    """Return the names of an experiment's conditions, in its own order."""
    (item,) = (item for item in study.plan.experiments if item.name == experiment)
    return [level.name for level in item.levels]


def _plain(study: Study, experiment: str, *, steps_only: bool = True) -> pd.DataFrame:
    samples = study.samples
    mask = (samples["experiment"] == experiment) & ~samples["traced"].astype(bool)
    if steps_only:
        mask &= samples["phase"].isin(["warmup", "step"])
    return samples[mask]
