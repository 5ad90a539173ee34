"""The pictures of a study: curves by condition, ends, phases, a heap trace, outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.errors import UnknownNameError
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
from listen2lab.report.tables import grid
from listen2lab.report.text.answers import limits_mib
from listen2lab.report.text.knobs import in_words
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from listen2lab.findings.records import Outcome
    from listen2lab.study.data import StudyData
    from listen2lab.study.trace_records import Trace

__all__ = [
    "MOST_LINES", "MOST_PANELS", "curves", "plot_curves", "plot_ends", "plot_heap", "plot_outcomes",
    "plot_phases", "shown_conditions", "thinned",
]  # fmt: skip

MOST_LINES = 8
"""Repeats of a condition up to which each is a line; more are drawn as a band."""

MOST_PANELS = 12
"""Conditions whose curves are drawn; of more, those that end highest and lowest."""

_PANEL_HEIGHT = 2.1
_MOST_POINTS = 240  # of a line: more than a panel has pixels for


def plot_curves(study: StudyData, experiment: str, column: str = "rss") -> Figure:
    """Plot a column of the samples over the steps, one panel a condition, one line a repeat.

    The panels share both axes; those of two factors stand in a grid, one factor across and the
    other down. A triangle marks the step that spoke the longest sentence; the warm-up is shaded; a
    run that was killed or crashed ends in a cross. More than `MOST_LINES` repeats are drawn as
    their median and a band from the lowest to the highest.
    """
    plain, label = _drawn(_plain(study, experiment), column)
    places, n_rows, n_columns = _places(study, experiment, plain)
    figure = new_figure(
        3.1 * n_columns + 0.4 if n_columns > 1 else 7.2, _PANEL_HEIGHT * n_rows + 0.6
    )
    runs = study.runs
    runs = runs[(runs["experiment"] == experiment) & ~runs["traced"].astype(bool)]
    of_condition = dict(list(plain.groupby("condition", sort=False)))
    with styled():
        axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        before = plain.loc[plain["phase"] == "warmup", "step"]
        warmup = int(before.max()) + 1 if len(before) else 0
        for place, panel in np.ndenumerate(axes):
            if place not in places:
                panel.set_visible(False)
                if place[0] and (place[0] - 1, place[1]) in places:
                    axes[place[0] - 1, place[1]].xaxis.set_tick_params(labelbottom=True)
                continue
            condition = places[place]
            outcomes = runs[runs["condition"] == condition].set_index("repeat")["outcome"]
            _one_condition(panel, of_condition.get(condition, plain.iloc[:0]), dict(outcomes))
            panel.set_title(safe_label(condition))
            if warmup:
                panel.axvspan(-0.5, warmup - 0.5, color=QUIET, alpha=0.15, linewidth=0)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        top = float(plain["drawn"].max()) if len(plain) else 1.0
        axes[0, 0].set_ylim(0, top * 1.08 or 1.0)  # the axes are shared
        for panel in axes[:, 0]:
            panel.set_ylabel(label)
        (item,) = (item for item in study.plan.experiments if item.name == experiment)
        unit = "step" if item.unit == "step" else f"step ({safe_label(item.unit)})"
        figure.supxlabel(unit, fontsize=10, color=INK)
    return figure


def curves(
    study: StudyData, experiment: str, condition: str
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield steps and resident MiB of each plain run of a condition."""
    plain = _plain(study, experiment)
    for _, rows in plain[plain["condition"] == condition].groupby("repeat"):
        yield thinned(rows["step"].to_numpy(float), rows["rss"].to_numpy(float) / MIB)


def _drawn(samples: pd.DataFrame, column: str) -> tuple[pd.DataFrame, str]:
    """Return samples with what is ``drawn`` of them, bytes in MiB, and how it is called."""
    known = [str(each) for each in samples.select_dtypes("number").columns]
    if column not in known:
        raise UnknownNameError("column of the samples", column, known)
    of_bytes = column in _BYTES or (column.startswith(("component.", "account.")))
    label = {"rss": "resident"}.get(column, safe_label(column))
    drawn = samples[column] / MIB if of_bytes else samples[column]
    return samples.assign(drawn=drawn), f"{label}, MiB" if of_bytes else label


_BYTES = frozenset(
    (
        *("rss", "anonymous", "peak", "private_dirty", "shared", "swap", "lazy_free", "in_use"),
        *("kept", "mapped", "children", "shm_files"),
    )
)


def _places(
    study: StudyData, experiment: str, plain: pd.DataFrame
) -> tuple[dict[tuple[int, ...], str], int, int]:
    """Return which condition's panel stands where, and how many rows and columns there are."""
    (item,) = (item for item in study.plan.experiments if item.name == experiment)
    crossed = grid(item)
    if crossed is not None and len(item.levels) <= MOST_PANELS:
        cells: dict[tuple[int, ...], str] = {place: crossed.cells[place] for place in crossed.cells}
        return cells, len(crossed.rows), len(crossed.columns)
    conditions = shown_conditions([level.name for level in item.levels], plain)
    columns = min(len(conditions), 3)
    places: dict[tuple[int, ...], str] = {
        divmod(k, columns): name for k, name in enumerate(conditions)
    }
    return places, -(-len(conditions) // columns), columns


def shown_conditions(conditions: list[str], plain: pd.DataFrame) -> list[str]:
    """Return the conditions whose curves are drawn, at most `MOST_PANELS`, in their order."""
    if len(conditions) <= MOST_PANELS:
        return conditions
    level = plain.groupby("condition")["rss"].max().reindex(conditions)
    ranked = [str(name) for name in level.sort_values().index]
    half = MOST_PANELS // 2
    wanted = {*ranked[:half], *ranked[-half:]}
    return [name for name in conditions if name in wanted]


def _one_condition(panel: Axes, samples: pd.DataFrame, outcome: dict[Any, str]) -> None:
    if samples["repeat"].nunique() > MOST_LINES:
        _band(panel, samples, outcome)
        return
    for k, (repeat, rows) in enumerate(samples.groupby("repeat")):
        steps, resident = rows["step"].to_numpy(float), rows["drawn"].to_numpy(float)
        colour = SERIES[k % len(SERIES)]
        panel.plot(*thinned(steps, resident), color=colour, linestyle=DASHES[k % len(DASHES)])
        if rows["size"].notna().any():
            at = int(np.nanargmax(rows["size"].to_numpy(float)))
            panel.plot(steps[at], resident[at], marker="v", color=colour, markersize=7)
        if outcome.get(repeat) not in ("complete", "missing"):
            panel.plot(steps[-1], resident[-1], marker="X", color=INK, markersize=9)
            panel.annotate(
                str(outcome.get(repeat)), (steps[-1], resident[-1]),
                textcoords="offset points", xytext=(7, -4), fontsize=8,
            )  # fmt: skip


def _band(panel: Axes, samples: pd.DataFrame, outcome: dict[Any, str]) -> None:
    """Draw many repeats: their median, and a band from the lowest to the highest."""
    across = samples.groupby("step")["drawn"].agg(["min", "median", "max"])
    steps = across.index.to_numpy(float)
    at, highest = thinned(steps, across["max"].to_numpy())
    lowest = np.interp(at, steps, across["min"].to_numpy())
    panel.fill_between(at, lowest, highest, color=SERIES[0], alpha=0.25, linewidth=0)
    panel.plot(*thinned(steps, across["median"].to_numpy()), color=SERIES[0])
    bad = [name for name in outcome.values() if name not in ("complete", "missing")]
    if bad:
        told = ", ".join(f"{bad.count(name)} {name}" for name in dict.fromkeys(bad))
        panel.text(0.02, 0.97, f"× {told}", transform=panel.transAxes, va="top", fontsize=8)


def thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a curve of at most `_MOST_POINTS`: of each stretch its lowest and highest point."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(len(x)), _MOST_POINTS // 2 - 1):
        kept |= {int(stretch[y[stretch].argmin()]), int(stretch[y[stretch].argmax()])}
    at = sorted(kept)
    return x[at], y[at]


def plot_ends(study: StudyData, experiment: str) -> Figure:
    """Plot where each condition ends: peak, memory at the end, and what a teardown leaves.

    One mark a repeat, so that their agreement is seen; more than `MOST_LINES` are a bar from the
    lowest to the highest, marked at the median.
    """
    plain = _plain(study, experiment, steps_only=False)
    (item,) = (item for item in study.plan.experiments if item.name == experiment)
    conditions = [level.name for level in item.levels]
    height = 0.42 if len(conditions) <= MOST_PANELS else 0.24
    figure = new_figure(7.2, height * len(conditions) + 1.2)
    kinds = (
        ("peak of a step", "step", "peak", SERIES[1], MARKERS[2]),
        ("at the end", "end", "rss", SERIES[0], MARKERS[0]),
        ("after the teardown", "released", "rss", SERIES[2], MARKERS[1]),
    )
    found = {
        label: plain[plain["phase"] == phase].groupby(["condition", "repeat"])[column].max() / MIB
        for label, phase, column, _, _ in kinds
    }
    with styled():
        axes = figure.subplots()
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        for k, condition in enumerate(conditions):
            ends: list[float] = []
            for label, _, _, colour, marker in kinds:
                of_kind = found[label]
                known = condition in of_kind.index.get_level_values(0)
                values = of_kind[condition].to_numpy(float) if known else np.array([])
                ends += list(values)
                if len(values) > MOST_LINES:
                    axes.plot(
                        [values.min(), values.max()], [k, k], color=colour, linewidth=5, alpha=0.3
                    )
                    values = np.array([np.median(values)])
                axes.plot(
                    values, np.full(len(values), k), linestyle="none", marker=marker,
                    color=colour, markersize=7, alpha=0.85, label=label if k == 0 else None,
                )  # fmt: skip
            if ends:
                axes.plot([min(ends), max(ends)], [k, k], color=QUIET, linewidth=1, zorder=0)
        axes.set_yticks(range(len(conditions)), [safe_label(name) for name in conditions])
        axes.set_ylim(len(conditions) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("MiB resident")
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def plot_phases(phases: pd.DataFrame) -> Figure:
    """Plot what is held after each phase of a run: resident, private dirty, in use."""
    figure = new_figure(7.2, 2.7)
    names = [safe_label(str(name)).replace("-", "\n") for name in phases.index]
    kinds = (("rss", "resident"), ("private_dirty", "private dirty"), ("in_use", "in use (malloc)"))
    with styled():
        axes = figure.subplots()
        for k, (column, label) in enumerate(kinds):
            if phases[column].notna().any():
                axes.plot(
                    range(len(names)), phases[column].to_numpy(float) / MIB, color=SERIES[k],
                    linestyle=DASHES[k], marker=MARKERS[k], label=label,
                )  # fmt: skip
        axes.set_xticks(range(len(names)), names)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("MiB")
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def plot_heap(study: StudyData, experiment: str, condition: str, trace: Trace) -> Figure:
    """Plot what memray saw live over a traced run, under the resident memory it read."""
    curve, samples = trace.curve, study.samples_of(experiment, condition)
    samples = samples[samples["traced"].astype(bool)]
    figure = new_figure(7.2, 2.7, layout=None)  # one of many alike: a layout takes half its time
    with styled():
        axes = figure.subplots(
            gridspec_kw={"left": 0.09, "right": 0.985, "bottom": 0.17, "top": 0.88}
        )
        if curve.epoch_s:
            begin = curve.epoch_s[0]
            every = np.array(curve.epoch_s) - begin
            seconds, live = thinned(every, np.array(curve.heap) / MIB)
            axes.fill_between(seconds, live, color=SERIES[0], alpha=0.25, linewidth=0)
            axes.plot(seconds, live, color=SERIES[0], label="allocated and not freed (memray)")
            resident = np.array(curve.rss) / MIB
            axes.plot(
                *thinned(every, resident), color=SERIES[1], linestyle=DASHES[1], label="resident"
            )
            known = samples["epoch_s"] if "epoch_s" in samples else samples["t"].iloc[:0]
            ends = known.dropna().to_numpy(float) - begin
            axes.plot(
                ends, np.zeros_like(ends), linestyle="none", marker="|", color=INK,
                markersize=9, label="end of a step", clip_on=False,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_ylabel("MiB")
        axes.set_xlabel("seconds of the traced run")
        figure.legend(loc="upper left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


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


def plot_outcomes(outcomes: Sequence[Outcome]) -> Figure | None:
    """Plot the highest end and peak of the deciding conditions against the limits."""
    rows = _outcome_rows(outcomes)
    if len(rows) < 2:
        return None
    figure = new_figure(7.6, 0.3 * len(rows) + 1.3)
    with styled():
        axes = figure.subplots()
        axes.grid(visible=False)
        for k, (_, end, peak) in enumerate(rows):
            top = end if peak is None else peak
            axes.plot([min(end, top), max(end, top)], [k, k], color=QUIET, linewidth=2, zorder=1)
            axes.plot(end, k, marker=MARKERS[0], color=SERIES[0], markersize=7, zorder=3)
            if peak is not None:
                axes.plot(
                    peak, k, marker=MARKERS[1], color=SERIES[1], markersize=7, zorder=2,
                    markerfacecolor="none", markeredgewidth=1.6,
                )  # fmt: skip
        most = max(max(end, peak or end) for _, end, peak in rows)
        limits = limits_mib()
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
        axes.plot([], [], linestyle="none", marker=MARKERS[0], color=SERIES[0], label="at the end")
        axes.plot(
            [], [], linestyle="none", marker=MARKERS[1], color=SERIES[1], markerfacecolor="none",
            markeredgewidth=1.6, label="peak of a step",
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        if any(not each.knobs and each.end_mib is not None for each in outcomes):
            axes.get_yticklabels()[0].set_fontweight("bold")  # the app, by `_outcome_rows`
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, reach)
        axes.set_xlabel("MiB resident, highest of the repeats")
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def _outcome_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, float, float | None]]:
    """Return words, end and peak: the app first, then from the highest peak down."""
    measured = [(each, each.end_mib) for each in outcomes if each.end_mib is not None]
    rows = [
        (safe_label(in_words(each.knobs)), end, each.peak_mib)
        for each, end in measured
        if (each.experiment, each.condition) in _DECIDING
    ]
    rows.sort(key=lambda row: -(row[2] or row[1]))
    app = [(end, each.peak_mib) for each, end in measured if not each.knobs]
    if app:
        peaks = [peak for _, peak in app if peak is not None]
        rows.insert(0, (in_words({}), max(end for end, _ in app), max(peaks, default=None)))
    return rows


def _plain(study: StudyData, experiment: str, *, steps_only: bool = True) -> pd.DataFrame:
    samples = study.samples_of(experiment)
    mask = ~samples["traced"].astype(bool)
    if steps_only:
        mask &= samples["phase"].isin(["warmup", "step"])
    return samples[mask]
