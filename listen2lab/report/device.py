"""What a phone's evidence looks like: pictures, a section for a report, a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from matplotlib.ticker import MaxNLocator

from listen2lab.device import words
from listen2lab.device.answer import answer as answer_of
from listen2lab.report.style import DASHES, INK, MARKERS, QUIET, SERIES, new_figure, styled, to_svg
from listen2lab.units import MIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from listen2lab.device.evidence import Evidence
    from listen2lab.study import Study

__all__ = [
    "page",
    "plot_beside",
    "plot_change",
    "plot_log",
    "plot_owners",
    "plot_series",
    "section",
    "section_of",
]

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
            if widths.any():
                axes.barh(
                    rows, widths, left=left, height=0.62, color=SERIES[k], label=label,
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


def section(evidence: Evidence, study: Study | None = None) -> dict[str, Any]:
    """Return the section on a phone's evidence.

    Parameters
    ----------
    evidence
        See `listen2lab.device.read`.
    study
        A lab study to put beside it.

    Returns
    -------
    dict
        See `section_of`.
    """
    return section_of(answer_of(evidence, study))


def section_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the section on what was answered already, as ``device.json`` holds it.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.

    Returns
    -------
    dict
        ``html`` (safe to insert; its parts are escaped), ``title``, and ``short`` (the finding in
        a sentence).
    """
    html = _environment().get_template("device_section.html.j2").render(**_parts(answer))
    return {"html": html, "title": "Evidence from the phone", "short": short(answer)}


def short(answer: dict[str, Any]) -> str:
    """Say the finding in a sentence."""
    log = answer["log"]
    if log is not None and log["verdict"] is not None:
        return f"Resident size, as the app logs it: {words.verdict(log['verdict'])}"
    if answer["series"]:
        one = answer["series"][0]
        return f"{one['quantity']}: {words.verdict(one['verdict'])}"
    if answer["snapshots"]:
        return " ".join(words.snapshot_sentences(answer["snapshots"][-1], answer["limit_bytes"]))
    return "Nothing here can be judged by itself."


def page(answer: dict[str, Any]) -> str:
    """Return a page of its own, which opens without a network.

    Parameters
    ----------
    answer
        See `listen2lab.device.answer.answer`.
    """
    template = _environment().get_template("device.html.j2")
    return template.render(section=section_of(answer), answer=answer)


def _parts(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows."""
    log, beside = answer["log"], answer["beside"]
    judged = log is not None and any(c["memory_mib"] for c in log["curves"])
    return {
        "answer": answer,
        "words": words,
        "log_svg": to_svg(
            plot_log(answer), label="Resident memory over the paragraphs of the phone"
        )
        if judged
        else None,
        "series": [
            {**one, "svg": to_svg(plot_series(one), label=f"{one['quantity']} over time")}
            for one in answer["series"]
        ],
        "snapshots": [
            {
                **one,
                "sentences": words.snapshot_sentences(one, answer["limit_bytes"]),
                "svg": to_svg(plot_owners(one), label=f"Memory by owner, by {one['tool']}")
                if one["categories"]
                else None,
                "rows": sorted(
                    (c for c in one["categories"] if c["counted"] or c["clean"]),
                    key=lambda c: (-(c["counted"] or 0), -(c["clean"] or 0)),
                )[:40],
            }
            for one in answer["snapshots"]
        ],
        "change_svg": to_svg(plot_change(answer["difference"]), label="What changed, by owner")
        if answer["difference"] is not None
        else None,
        "beside_svg": to_svg(plot_beside(answer), label="The phone's curve beside the lab's")
        if beside is not None and judged and beside["conditions"]
        else None,
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("listen2lab.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = _as_markup
    environment.filters["size"] = lambda x: words.number(None if x is None else x / MIB)
    return environment


def _as_markup(svg: str) -> Any:
    """Mark a picture or a section of our own as safe to insert."""
    from markupsafe import Markup  # noqa: PLC0415 - loaded where it is needed

    return Markup(svg)  # noqa: S704 - made by to_svg or an autoescaped template
