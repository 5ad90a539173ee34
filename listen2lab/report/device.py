"""What a phone's evidence looks like: a section for a report, and a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2

from listen2lab.device.answer import answer as answer_of
from listen2lab.device.lab_match import FEATURES
from listen2lab.report.device_plots import (
    plot_beside,
    plot_change,
    plot_log,
    plot_owners,
    plot_series,
)
from listen2lab.report.style import to_svg
from listen2lab.report.text import device as words
from listen2lab.report.text import device_lab as words_lab
from listen2lab.report.text import device_log as words_log
from listen2lab.report.text import device_reports as words_reports
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.device.evidence import Evidence
    from listen2lab.facade import Study

__all__ = ["page", "section", "section_of"]


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
        return f"{words.subject(log['verdict'])}: {words.verdict(log['verdict'])}"
    if answer["series"]:
        one = answer["series"][0]
        return f"{one['quantity']}: {words.verdict(one['verdict'])}"
    if answer["snapshots"]:
        last, limit = words_reports.of_app(answer)[-1], answer["limit_bytes"]
        return " ".join(words_reports.snapshot_sentences(last, limit))
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
        "of_lab": words_lab,
        "of_log": words_log,
        "of_reports": words_reports,
        "features": ["rise", *FEATURES],
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
                "sentences": words_reports.snapshot_sentences(one, answer["limit_bytes"]),
                "svg": to_svg(plot_owners(one), label=f"Memory by owner, by {one['tool']}")
                if one["categories"]
                else None,
                "rows": sorted(
                    (c for c in one["categories"] if c["counted"] or c["clean"]),
                    key=lambda c: (-(c["counted"] or 0), -(c["clean"] or 0)),
                )[:40],
            }
            for one in words_reports.of_app(answer)
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
