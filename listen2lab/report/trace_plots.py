"""Traces as pictures: what was live over the steps, by owner, under resident memory."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from listen2lab.account.attribute import operators_without_arena
from listen2lab.account.owners import SMALL_STACKS, by_moment
from listen2lab.account.traces import trace_of, traced_run
from listen2lab.errors import StudyError
from listen2lab.report.plots import thinned
from listen2lab.report.style import INK, QUIET, SERIES, new_figure, safe_label, styled
from listen2lab.report.text.notices import say
from listen2lab.report.text.traces import RESERVED, operators_note, peak_note
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.study.data import StudyData
    from listen2lab.study.trace_records import Trace

__all__ = ["Traced", "plot_traces", "traced_conditions"]

_WIDTHS = (7.2, 9.4, 10.4)  # of one, two and three panels beside each other, in inches
_MOST_OWNERS = 6
_CHARACTERS_PER_INCH = 14
_ABOVE = 1.02
_WORTH = 0.002  # of the highest peak: an owner below it is drawn with the others
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")
_MOMENT = re.compile(r"step (\d+)( peak)?")


class Traced(NamedTuple):
    """A condition with its trace."""

    experiment: str
    condition: str
    trace: Trace


class _Panel(NamedTuple):
    """What is drawn of one trace: places on the axis of steps, and bytes by owner at each."""

    traced: Traced
    at: Any
    owned: pd.DataFrame
    samples: pd.DataFrame


def plot_traces(study: StudyData, traces: Sequence[Traced]) -> Figure:
    """Plot traces side by side on shared axes: live bytes stacked by owner, and resident memory.

    Parameters
    ----------
    study
        That they are of. Where the engine's arena hides who uses it, and the study has a trace
        without one, that says what its operators hold.
    traces
        One a panel.

    Returns
    -------
    Figure
        A step is drawn in two halves: what was live at its own peak, and after it. The triangle
        marks the step of the longest input.
    """
    panels = [_panel(study, each) for each in traces]
    owners = _ranked(panels)
    columns = 2 if len(panels) == 4 else min(len(panels), len(_WIDTHS))
    rows = -(-len(panels) // columns)
    figure = new_figure(_WIDTHS[columns - 1], 3.0 * rows + 0.9)
    with styled():
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel in axes.flat[len(panels) :]:
            panel.set_visible(False)
        for panel in axes.flat[max(0, len(panels) - columns) : len(panels)]:  # with none below it
            panel.tick_params(labelbottom=True)
        limits = [_draw(axis, each, owners) for each, axis in zip(panels, axes.flat, strict=False)]
        left, right, top = zip(*limits, strict=True)
        axes[0, 0].set(xlim=(min(left), max(right)), ylim=(0, 1.05 * max(top)))
        axes[0, 0].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for axis in axes[:, 0]:
            axis.set_ylabel("MiB")
        handles = [
            Patch(facecolor=(colour, 0.45), edgecolor=colour, hatch=hatch, label=safe_label(owner))
            for owner, (colour, hatch) in owners.items()
        ]
        line = axes[0, 0].plot([], [], color=INK, linewidth=1.1, label="resident, traced")
        if any(panel.samples["size"].notna().any() for panel in panels):
            line += axes[0, 0].plot(
                [], [], color=INK, marker="^", linestyle="none", label="the longest input's step"
            )
        figure.legend(
            handles=[*handles, *line], loc="outside upper left", ncols=min(4, max(2, columns + 1)),
            fontsize=8.5, labelcolor=INK,
        )  # fmt: skip
        width = round(_CHARACTERS_PER_INCH * figure.get_figwidth())
        lines = textwrap.wrap(_note(study, panels), width)
        unit = _unit(study, traces[0].experiment)
        figure.supxlabel("\n".join([unit, *lines]), fontsize=8.5, color=INK)
    return figure


def traced_conditions(study: StudyData, experiment: str) -> list[Traced]:
    """Return the conditions of an experiment that were traced, themselves or as the same elsewhere.

    Raises
    ------
    StudyError
        None was.
    """
    (item,) = (item for item in study.plan.experiments if item.name == experiment)
    found = [(level.name, *trace_of(study, experiment, level.name)) for level in item.levels]
    kept = [Traced(experiment, name, trace) for name, trace, _ in found if trace and trace.moments]
    if not kept:
        raise StudyError(" ".join(say(note) for _, _, notes in found[:1] for note in notes))
    return kept


def _panel(study: StudyData, traced: Traced) -> _Panel:
    """Lay a trace's moments out on the axis of steps: a step's peak half a step before its end."""
    owned = by_moment(traced.trace)
    found = [_MOMENT.fullmatch(str(name)) for name in owned.index]
    kept = [match is not None for match in found]
    steps = [(int(match[1]), bool(match[2])) for match in found if match is not None]
    ends = sorted({step for step, _ in steps})
    before = dict(zip(ends, [ends[0] - 1, *ends[:-1]] if ends else [], strict=True))
    at = np.array([(step + before[step]) / 2 if is_peak else step for step, is_peak in steps])
    # Conditions that are the same share one traced run.
    experiment, condition, _ = traced_run(study, traced.experiment, traced.condition).key.split("/")
    samples = study.samples_of(experiment, condition)
    return _Panel(traced, at, owned[kept], samples[samples["traced"].astype(bool)])


def _note(study: StudyData, panels: Sequence[_Panel]) -> str:
    """Return what has to be said beneath: what the arena hides, and why a heap can be above."""
    names = [frame[0] for panel in panels for frame in panel.traced.trace.frames]
    is_above = any(
        len(panel.owned) and panel.owned.iloc[-1].sum() > panel.samples["rss"].max() * _ABOVE
        for panel in panels
    )
    hides = any("BFCArena::" in name for name in names)
    operators = operators_without_arena(study) if hides else None
    return " ".join(filter(None, [operators_note(operators), RESERVED if is_above else ""]))


def _unit(study: StudyData, experiment: str) -> str:
    units = [item.unit for item in study.plan.experiments if item.name == experiment]
    return "step" if units == ["step"] else f"step ({safe_label(units[0])})"


def _ranked(panels: Sequence[_Panel]) -> Mapping[str, tuple[str, str]]:
    """Return the owners that are drawn by themselves, each with its colour and hatch."""
    most: dict[str, float] = {}
    for panel in panels:
        for owner, size in panel.owned.max().items():
            most[str(owner)] = max(most.get(str(owner), 0.0), float(size))
    highest = max((float(panel.owned.sum(axis=1).max()) for panel in panels), default=0.0)
    names = [name for name, size in most.items() if size > _WORTH * highest and name != _OTHERS]
    ranked = sorted(names, key=lambda name: -most[name])[:_MOST_OWNERS]
    looks = {
        name: (SERIES[k % len(SERIES)], _HATCHES[k % len(_HATCHES)])
        for k, name in enumerate(ranked)
    }
    return {**looks, "others": (QUIET, "")}


_OTHERS = SMALL_STACKS


def _draw(
    axis: Axes, panel: _Panel, owners: Mapping[str, tuple[str, str]]
) -> tuple[float, float, float]:
    """Draw one trace; return its first and last place, and its highest, in MiB."""
    traced, at, owned, samples = panel
    axis.autoscale(enable=False)  # done anew for each band, it would take half of the time
    axis.set_title(safe_label(traced.condition), pad=28)
    axis.tick_params(labelsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if not len(at):
        return 0.0, 1.0, 1.0
    middle = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[at[0] - 0.25], middle, [at[-1] + 0.25]])
    x = np.repeat(edges, 2)[1:-1]
    named = [name for name in owners if name in owned]
    bands = {name: owned[name].to_numpy(float) for name in reversed(named)}
    bands = {"others": owned.drop(columns=named).sum(axis=1).to_numpy(float), **bands}
    floor = np.zeros(len(at))
    for name, values in bands.items():
        colour, hatch = owners[name]
        axis.fill_between(
            x, np.repeat(floor / MIB, 2), np.repeat((floor + values) / MIB, 2),
            facecolor=(colour, 0.45), edgecolor=(colour, 0.9), hatch=hatch, linewidth=0.0,
        )  # fmt: skip
        floor = floor + values
    resident = _resident(axis, panel, float(edges[0]), float(edges[-1]))
    highest = int(np.argmax(floor))
    axis.text(
        0, 1.015, peak_note(owned.iloc[highest], str(owned.index[highest])),
        transform=axis.transAxes, fontsize=7.5, va="bottom", color=INK,
    )  # fmt: skip
    sizes = samples.dropna(subset=["step", "size"])
    if len(sizes):
        longest = float(sizes["step"].iloc[int(sizes["size"].argmax())])
        axis.plot([longest], [0], marker="^", color=INK, markersize=7, clip_on=False, zorder=5)
    margin = 0.05 * (edges[-1] - edges[0])
    top = max(float(floor.max()) / MIB, resident, 1.0)
    return float(edges[0] - margin), float(edges[-1] + margin), top


def _resident(axis: Axes, panel: _Panel, first: float, last: float) -> float:
    """Draw resident memory as memray read it, by the clock between the ends of steps.

    Returns the highest that is drawn, in MiB.
    """
    curve, samples = panel.traced.trace.curve, panel.samples
    if not curve.epoch_s or "epoch_s" not in samples:
        return 0.0
    known = samples.dropna(subset=["epoch_s", "step"])
    if len(known) < 2:
        return 0.0
    ends, steps = known["epoch_s"].to_numpy(float), known["step"].to_numpy(float)
    begin = ends[0] - float(np.median(np.diff(ends)) / np.median(np.diff(steps)))
    place = np.interp(
        curve.epoch_s, [begin, *ends], [steps[0] - 1, *steps], left=np.nan, right=np.nan
    )
    inside = (place >= first) & (place <= last)
    resident = np.array(curve.rss)[inside] / MIB
    axis.plot(*thinned(place[inside], resident), color=INK, linewidth=1.1)
    return float(resident.max(initial=0.0))
