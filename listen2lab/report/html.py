"""The report as one HTML page that opens without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from listen2lab.report import account
from listen2lab.report import answers as opening
from listen2lab.report.device import evidence_section
from listen2lab.report.factors import grid
from listen2lab.report.key_facts import glance, headline
from listen2lab.report.phases import PHASES, phase_rows, phase_table
from listen2lab.report.plots import (
    MOST_LINES,
    MOST_PANELS,
    plot_curves,
    plot_heap,
    plot_levels,
    plot_phases,
)
from listen2lab.report.style import share_styles, to_svg
from listen2lab.report.text import study as words
from listen2lab.report.text import verdicts
from listen2lab.study.payload import ELEMENT_ID, payload
from listen2lab.study.plan import APART
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.facade import Study
    from listen2lab.study.plan import Experiment

__all__ = ["page", "template"]

_TOP_ALLOCATORS = 8
_MOST_OPEN = 2  # experiments up to which each section is open to begin with


def page(study: Study, summary: dict[str, Any], *, include_private: bool = False) -> str:
    """Return the report of a study.

    Parameters
    ----------
    study
        What is shown: a `listen2lab.study.shared.SharedStudy` unless private things may be told.
    summary
        Its summary.
    include_private
        Whether the texts that were read go along, for a rerun.

    Returns
    -------
    str
        HTML with everything in it: style, pictures, and the manifest for a rerun.
    """
    sections = [
        _section(study, item, summary["experiments"][item.name]) for item in study.plan.experiments
    ]
    for item, section in zip(study.plan.experiments, sections, strict=True):
        section.update(_accounts(study, item, sections, include_private=include_private))
    first = opening.build(summary)
    rules = _share_styles(sections, first)
    phone = study.device()
    texts = study.folder.paragraphs() if include_private and _has_texts(study) else ()
    return template("report.html.j2").render(
        study=study,
        summary=summary,
        opening=first,
        manifest=study.manifest,
        facts=glance(study, summary),
        sections=sections,
        is_open=len(sections) <= _MOST_OPEN,
        phone=None if phone is None else evidence_section(phone),
        ends=words.endings(study.runs),
        provenance=words.provenance(study.manifest),
        limits=words.limits(study),
        sentences=verdicts.REASONS,
        phase_words=PHASES,
        picture_rules=Markup(rules),  # noqa: S704 - made of matplotlib's own styles
        carried_id=ELEMENT_ID,
        carried=Markup(payload(study.manifest, summary, include_private, texts)),  # noqa: S704 - it escapes
    )


def _has_texts(study: Study) -> bool:
    return "voice" in study.manifest["inputs"] and "merged" not in study.manifest


def _section(study: Study, item: Experiment, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows of one experiment."""
    name, conditions = item.name, numbers["conditions"]
    samples = study.samples
    n_repeats = samples.loc[samples["experiment"] == name, "repeat"].nunique()
    return {
        "name": name,
        **numbers,
        "headline": headline(numbers),
        "answer": dict(words.answer(numbers)),
        "called": {condition: words.called(n) for condition, n in conditions.items()},
        "has_changes": any(numbers["contrasts"].values()),
        "reference": item.reference.name,
        "parts": list(
            dict.fromkeys(part for n in conditions.values() for part in n["components_mib"])
        ),
        "is_band": n_repeats > MOST_LINES,
        "n_shown": min(len(conditions), MOST_PANELS),
        "grid": grid(item),
        "curves": to_svg(
            plot_curves(study, name),
            label=f"Resident memory over the steps, by condition of {name}",
        ),
        "levels": to_svg(plot_levels(study, name), label=f"Peak, end and released levels, {name}"),
        "accounts": [],
        "accounted_in": None,
        "phases": _phases(study, name, list(conditions)),
        "traces": _traces(study, name, list(conditions)),
    }


def _accounts(
    study: Study, item: Experiment, sections: list[dict[str, Any]], *, include_private: bool
) -> dict[str, Any]:
    """Take apart what an experiment's reference holds, unless a section before has done it.

    The app's own condition is the reference of most experiments: one picture of it is enough.
    """
    plan = study.plan
    for other, section in zip(plan.experiments, sections, strict=True):
        is_same = plan.condition(other, other.reference) == plan.condition(item, item.reference)
        # A merged study keeps machines apart by the name.
        if section["accounts"] and is_same and _setting(other) == _setting(item):
            return {"accounted_in": other.name}
    where = (item.name, [item.reference.name])
    return {"accounts": account.section(study, *where, include_private=include_private)}


def _setting(item: Experiment) -> str:
    return item.name.partition(APART)[2]


def _phases(study: Study, name: str, conditions: list[str]) -> list[dict[str, Any]]:
    """Return what is held after each phase, by condition, where an experiment has any."""
    found = []
    for condition in conditions:
        table = phase_table(study, name, condition)
        if table is not None:
            svg = to_svg(
                plot_phases(table), label=f"Memory after each phase of {name}, {condition}"
            )
            rows = phase_rows(table)
            found.append({"condition": condition, "svg": svg, "rows": rows})
    return found


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


def _share_styles(sections: list[dict[str, Any]], first: dict[str, Any] | None) -> str:
    """Write each style of the pictures once; return the rules."""
    holders: list[tuple[dict[str, Any], str]] = []
    for section in sections:
        holders += [(section, "curves"), (section, "levels")]
        holders += [
            (each, "svg") for each in (*section["accounts"], *section["phases"], *section["traces"])
        ]
    if first is not None and first["picture"]:
        holders.append((first, "picture"))
    svgs, rules = share_styles([holder[key] for holder, key in holders])
    for (holder, key), svg in zip(holders, svgs, strict=True):
        holder[key] = svg
    return rules


def template(name: str) -> jinja2.Template:
    """Return a template of the report; HTML is escaped, Markdown is not.

    Parameters
    ----------
    name
        Its file.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("listen2lab.report", "templates"),
        autoescape=not name.endswith(".md.j2"),  # noqa: S701 - only Markdown is left as it is
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["mib"] = words.number
    environment.filters["svg"] = _as_markup
    environment.filters["code"] = words.with_code
    return environment.get_template(name)


def _as_markup(svg: str) -> Markup:
    """Mark a picture of our own as safe to insert."""
    return Markup(svg)  # noqa: S704 - made by to_svg, whose label is escaped
