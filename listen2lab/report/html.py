"""The report: one HTML file that opens without a network, and summary.json beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2

from listen2lab.analysis.growth import Reason
from listen2lab.report import words
from listen2lab.report.plots import plot_curves, plot_heap, plot_levels
from listen2lab.report.style import to_svg
from listen2lab.report.summary import build_summary
from listen2lab.units import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from listen2lab.study import Study

__all__ = ["write_report"]

_TOP_ALLOCATORS = 8


def write_report(study: Study) -> tuple[dict[str, Any], Path]:
    """Write ``summary.json`` and ``report.html`` into the study.

    Parameters
    ----------
    study
        Any study, complete or not.

    Returns
    -------
    summary : dict
        See `build_summary`.
    path : Path
        The report.

    Raises
    ------
    StudyError
        The folder cannot be written.
    """
    summary = build_summary(study)
    page = _template().render(
        study=study,
        summary=summary,
        manifest=study.manifest,
        sections=[_section(study, name, item) for name, item in summary["experiments"].items()],
        ends=words.endings(study.runs),
        provenance=words.provenance(study.manifest),
        limits=words.limits(study),
        sentences={str(code): code.sentence for code in Reason},
    )
    study.folder.write_summary(summary)
    return summary, study.folder.write_report(page)


def _section(study: Study, name: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows of one experiment."""
    return {
        "name": name,
        **item,
        "answer": words.answer(item),
        "verdicts": {
            condition: words.verdict(n, item["unit"]) for condition, n in item["conditions"].items()
        },
        "parts": list(
            dict.fromkeys(part for n in item["conditions"].values() for part in n["components_mib"])
        ),
        "curves": to_svg(
            plot_curves(study, name),
            label=f"Resident memory over the steps, by condition of {name}",
        ),
        "levels": to_svg(plot_levels(study, name), label=f"Peak, end and released levels, {name}"),
        "traces": _traces(study, name, list(item["conditions"])),
    }


def _traces(study: Study, name: str, conditions: list[str]) -> list[dict[str, Any]]:
    """Return the heap traces there are, each with its largest allocators."""
    found = []
    samples = study.samples
    for condition in conditions:
        heap = study.heap(name, condition)
        if heap is None:
            continue
        mask = (
            (samples["experiment"] == name)
            & (samples["condition"] == condition)
            & samples["traced"].astype(bool)
        )
        figure = plot_heap(heap, samples[mask])
        whole = sum(place["bytes"] for place in heap["at_peak"]) or 1
        found.append(
            {
                "condition": condition,
                "svg": to_svg(figure, label=f"Heap trace of {name}, {condition}"),
                "allocations": heap["allocations"],
                "peak_mib": heap["peak"] / MIB,
                "places": [
                    {**place, "mib": place["bytes"] / MIB, "share": place["bytes"] / whole}
                    for place in heap["at_peak"][:_TOP_ALLOCATORS]
                ],
            }
        )
    return found


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("listen2lab.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mib"] = words.number
    environment.filters["svg"] = _as_markup
    return environment.get_template("report.html.j2")


def _as_markup(svg: str) -> Any:
    """Mark a picture of our own as safe to insert."""
    from markupsafe import Markup  # noqa: PLC0415 - jinja2 brings it

    return Markup(svg)  # noqa: S704 - made by to_svg, whose label is escaped
