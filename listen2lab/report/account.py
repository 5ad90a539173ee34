"""The picture of this project: what resident memory is made of, step by step, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from listen2lab.account.attribute import grown, held, survivors
from listen2lab.account.categories import (
    account,
    cannot_tell,
    categories,
    libraries,
    one_run,
)
from listen2lab.account.flamegraph import links
from listen2lab.errors import UnknownNameError
from listen2lab.report.style import INK, QUIET, SERIES, new_figure, safe_label, styled, to_svg
from listen2lab.report.text.account import caption, flame_graph_label, label
from listen2lab.report.text.notices import say
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.study.data import StudyData

__all__ = ["account_frame", "plot_account", "section"]

_ROOM = 0.24  # of the width: so much must be empty left of a rise for a text to stand there
_GAP = 0.055  # of the axes' height, between two labels
_TOP_FILES = 10
_TOP_TYPES = 12
_WIDE = 0.45
_WORTH = 0.35
# A band that takes these shares of the width and the height has its label inside.


class _Band(NamedTuple):
    """One layer of the picture: what it is called, what it adds up, and how it looks."""

    label: str
    parts: tuple[str, ...]
    colour: str
    alpha: float


_BANDS = (
    _Band("code and libraries", ("files", "library_data", "stacks"), QUIET, 0.55),
    _Band("Python", ("python", "python_kept", "instrument"), SERIES[2], 0.35),
    _Band("native, in use", ("native_in_use",), SERIES[2], 0.8),
    _Band("models as loaded", ("engine_weights",), SERIES[0], 0.95),
    _Band("engine: needed by this step", ("engine_arena_in_use",), SERIES[0], 0.55),
    _Band("engine: held for the longest sentence", ("engine_arena_idle",), SERIES[0], 0.16),
    _Band("native, kept free", ("native_kept",), SERIES[4], 0.7),
    _Band("caches and player", (), SERIES[3], 0.85),  # and a workload's own components
    _Band("unaccounted", ("unaccounted",), INK, 0.9),
)


def plot_account(study: StudyData, experiment: str, condition: str) -> Figure | None:
    """Plot what made up resident memory after each step of one run.

    Bands add up to the line of resident memory; a tick above marks each step's peak. Beneath, the
    longest sentence so far, and each step's own. None without a sampled step.
    """
    table = account(one_run(study, experiment, condition))
    return None if table.empty else _figure(study, experiment, table)


def account_frame(
    study: StudyData, experiment: str, condition: str, step: int | None
) -> pd.DataFrame:
    """Return a step of the account in words; see `listen2lab.Study.account_at`."""
    table = account(one_run(study, experiment, condition))
    steps = [] if table.empty else table["step"].astype(int).tolist()
    wanted = max(steps, default=None) if step is None else step
    if wanted not in steps:
        raise UnknownNameError(f"step of {experiment}/{condition}", str(wanted), map(str, steps))
    rows = _rows(table.iloc[steps.index(wanted)], categories(table))
    frame = pd.DataFrame(rows).set_index("label").rename_axis("part")
    return frame[["mib", "share", "certainty", "how"]].sort_values(
        "mib", ascending=False, kind="stable"
    )


def _figure(study: StudyData, experiment: str, table: pd.DataFrame) -> Figure:
    figure = new_figure(8.2, 5.4)
    (item,) = (item for item in study.plan.experiments if item.name == experiment)
    with styled():
        has_sizes = bool(table["size"].notna().any())
        if has_sizes:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4.2, 1))
            _sizes(lower, table, is_speech=item.unit == "paragraph")
            bottom = lower
        else:
            upper = bottom = figure.subplots()
        _bands(upper, table)
        bottom.set_xlabel("step" if item.unit == "step" else f"step ({safe_label(item.unit)})")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    return figure


def _layers(table: pd.DataFrame) -> list[tuple[_Band, Any]]:
    """Return the bands that hold anything, each with its MiB by step."""
    named = {part for band in _BANDS for part in band.parts}
    held = tuple(name for name in categories(table) if name not in named)
    layers = []
    for band in _BANDS:
        parts = band.parts or held
        values = table[list(parts)].sum(axis=1).to_numpy(float).clip(min=0) / MIB
        if values.max(initial=0.0) > 0.05:
            layers.append((band, values))
    return layers


def _bands(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the bands, the line, the peaks and the labels."""
    steps = table["step"].to_numpy(float)
    resident = table["rss"].to_numpy(float) / MIB
    peaks = table["peak"].to_numpy(float) / MIB
    top = float(np.nanmax([*resident, *peaks[np.isfinite(peaks)]])) * 1.09
    floor = np.zeros_like(resident)
    ends = []
    for band, values in _layers(table):
        axes.fill_between(
            *_steps(steps, floor, floor + values),
            facecolor=(band.colour, band.alpha),
            linewidth=0.0,
        )
        ends.append((band, values, floor.copy()))
        floor = floor + values
    edges, line, _ = _steps(steps, resident, resident)
    axes.plot(edges, line, color=INK, linewidth=1.8, solid_joinstyle="miter")
    axes.plot(
        steps, peaks, linestyle="none", marker="_", color=INK, markersize=6, markeredgewidth=1.1
    )
    axes.set_ylim(0, top)
    axes.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
    axes.set_ylabel("MiB resident")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    _label(axes, ends, float(resident[-1]), top)
    _why(axes, table, steps, resident, top)


def _steps(steps: Any, low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Return edges so that each step has a width, from half a step before to half a one after."""
    edges = np.repeat(np.concatenate([steps - 0.5, [steps[-1] + 0.5]]), 2)[1:-1]
    return edges, np.repeat(low, 2), np.repeat(high, 2)


def _label(axes: Axes, ends: list[tuple[_Band, Any, Any]], resident: float, top: float) -> None:
    """Write each band's name and size beside its end, large bands inside themselves."""
    beside: list[tuple[float, str, bool]] = []
    for band, values, floor in ends:
        size, middle = float(values[-1]), float(floor[-1] + values[-1] / 2)
        thin = np.flatnonzero(values < size / 2)  # steps at which it holds much less
        width = 1 - (thin[-1] + 1) / len(values) if len(thin) else 1.0
        if size > _WORTH * top and width > _WIDE:
            label = band.label.replace(" for the", " for\nthe")
            axes.annotate(
                f"{label}\n{size:,.0f} MiB, {100 * size / resident:.0f} %",
                (0.97, middle), xycoords=("axes fraction", "data"), ha="right", va="center",
                fontsize=11.5, fontweight="bold", color=INK, linespacing=1.5,
            )  # fmt: skip
        elif size >= 0.05:
            number = f"{size:,.0f}" if size >= 9.5 else f"{size:.1f}"
            beside.append((middle, f"{band.label}  {number}", False))
    beside.append((resident, f"resident  {resident:,.0f} MiB", True))
    heights = _spread([middle / top for middle, _, _ in beside])
    for (middle, text, is_bold), height in zip(beside, heights, strict=True):
        axes.annotate(
            text, (1.0, middle / top), xytext=(1.035, height), xycoords="axes fraction",
            textcoords="axes fraction", va="center", fontsize=8.5, color=INK,
            fontweight="bold" if is_bold else "normal", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.7, "shrinkA": 2,
                        "shrinkB": 0, "relpos": (0.0, 0.5)},
        )  # fmt: skip


def _spread(wanted: list[float]) -> list[float]:
    """Move labels apart that would overlap, as little as it takes, from the bottom up."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [0.0] * len(wanted)
    below = -1.0
    for k in order:
        below = placed[k] = max(wanted[k], below + _GAP, 0.012)
    over = below - 1.03
    for k in reversed(order):  # push the topmost ones down again where they left the picture
        if over <= 0:
            break
        placed[k] -= over
        under = [placed[j] for j in order[: order.index(k)]]
        over = (under[-1] + _GAP - placed[k]) if under else 0.0
    return placed


def _why(axes: Axes, table: pd.DataFrame, steps: Any, resident: Any, top: float) -> None:
    """Point at the step that raised the line most, and say what it spoke."""
    if len(steps) < 2 or table["longest"].isna().all():
        return
    rises = np.diff(resident)
    k = int(np.argmax(rises)) + 1
    longest = table["longest"].to_numpy(float)
    if rises[k - 1] < 0.15 * top or longest[k] <= longest[k - 1]:
        return
    text = (
        f"the longest\nsentence so far,\n{longest[k]:.0f} s:\n"
        f"+{rises[k - 1]:,.0f} MiB,\nand they stay"
    )
    middle = (steps[k] - 0.5, float(resident[k - 1] + 0.8 * rises[k - 1]))
    is_roomy = k >= _ROOM * len(steps)  # enough of the picture is empty to its left
    axes.annotate(
        text, middle, xytext=(-16 if is_roomy else 46, 0), textcoords="offset points",
        ha="right" if is_roomy else "left", va="center", fontsize=9.5, color=INK,
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.0, "shrinkB": 0},
    )  # fmt: skip


def _sizes(axes: Axes, table: pd.DataFrame, *, is_speech: bool) -> None:
    """Draw the longest input so far, and each step's own."""
    steps = table["step"].to_numpy(float)
    own, longest = table["size"].to_numpy(float), table["longest"].to_numpy(float)
    axes.bar(steps, own, width=0.55, color=QUIET, alpha=0.55, linewidth=0)
    edges, line, _ = _steps(steps, longest, longest)
    axes.plot(edges, line, color=INK, linewidth=1.4)
    axes.set_ylim(0, float(np.nanmax(longest)) * 1.2)
    axes.set_ylabel("longest\nsentence, s" if is_speech else "input's\nsize")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    unit = " s" if is_speech else ""
    for height, text in (
        (float(longest[-1]), f"longest so far  {longest[-1]:,.0f}{unit}"),
        (float(own[-1]) if np.isfinite(own[-1]) else 0.0, f"this step's  {own[-1]:,.1f}{unit}"),
    ):
        axes.annotate(
            text, (1.0, height), xytext=(1.035, height), xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"), va="center", fontsize=8.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip


def section(
    study: StudyData, experiment: str, conditions: Sequence[str], *, include_private: bool = False
) -> list[dict[str, Any]]:
    """Return what ``account.html.j2`` shows of an experiment, one item a condition.

    Returns
    -------
    list of dict
        ``condition``, ``svg``, ``caption``, ``rows`` (``label``, ``mib``, ``share``,
        ``certainty``, ``how`` after the last step), ``untouched_mib``, ``files`` (``file``,
        ``mib``), ``held`` (``holder``, ``buffers``, ``mib``, ``example``), ``grown`` and
        ``survivors`` (rows of what `listen2lab.account.attribute` gives), ``flames`` (``label``,
        ``href``) and ``notes``; none for a condition without a sampled step.
    """
    found = []
    for condition in conditions:
        samples = one_run(study, experiment, condition)
        table = account(samples)
        if table.empty:
            continue
        last = table.iloc[-1]
        figure = _figure(study, experiment, table)
        at_end = libraries(samples).query("phase == 'end'")
        found.append(
            {
                "condition": condition,
                "svg": to_svg(
                    figure, label=f"What resident memory is made of, {experiment}, {condition}"
                ),
                "caption": caption(table),
                "is_at_top": False,
                "rows": _rows(last, categories(table)),
                "untouched_mib": float(last["untouched"]) / MIB,
                "files": [
                    {"file": row["file"], "mib": row["bytes"] / MIB}
                    for row in at_end.head(_TOP_FILES).to_dict("records")
                    if include_private or ".so" in row["file"]
                ],
                "held": [],
                "grown": [],
                "survivors": [],
                "flames": [],
                **(_of_trace(study, experiment, condition) if include_private else {}),
                "notes": [say(note) for note in cannot_tell(samples)],
            }
        )
    return found


def _of_trace(study: StudyData, experiment: str, condition: str) -> dict[str, Any]:
    """Return what the traced run tells of Python's objects, and memray's pages of it."""
    where = (study, experiment, condition)
    return {
        "held": [{**row, "mib": row["bytes"] / MIB} for row in held(*where).to_dict("records")],
        "grown": grown(*where).head(_TOP_TYPES).to_dict("records"),
        "survivors": survivors(*where).to_dict("records"),
        "flames": [
            {"label": flame_graph_label(what), "href": href} for what, href in links(*where)
        ],
    }


def _rows(last: pd.Series[Any], names: list[str]) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        if float(last[name]) or name == "unaccounted":
            what, certainty, how = label(name)
            mib, share = float(last[name]) / MIB, float(last[name]) / float(last["rss"])
            said = {"label": what, "certainty": certainty, "how": how}
            rows.append({**said, "mib": mib, "share": share})
    return rows
