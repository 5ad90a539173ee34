"""The report as one HTML page that opens without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from listen2lab.account.flamegraph import links
from listen2lab.account.owners import fingerprints, holders
from listen2lab.findings.law import LENGTHS
from listen2lab.report import account
from listen2lab.report.cure_plots import plot_cures, plot_law
from listen2lab.report.plots import (
    MOST_LINES,
    MOST_PANELS,
    plot_curves,
    plot_ends,
    plot_heap,
    plot_outcomes,
    plot_phases,
)
from listen2lab.report.style import share_styles, to_svg
from listen2lab.report.tables import grid, phase_rows, phase_table
from listen2lab.report.template import template
from listen2lab.report.text import cures as cure_words
from listen2lab.report.text import findings as finding_words
from listen2lab.report.text import growth as growth_words
from listen2lab.report.text import study as words
from listen2lab.report.text.account import flame_graph_label, how_measured, part
from listen2lab.report.text.answers import QUESTIONS, answers
from listen2lab.report.text.contrasts import TITLE, contrasts
from listen2lab.report.text.key_facts import key_facts, reference
from listen2lab.report.text.law import law
from listen2lab.report.text.notices import say
from listen2lab.report.text.surprises import surprises
from listen2lab.report.text.verdicts import why
from listen2lab.study.payload import ELEMENT_ID, payload
from listen2lab.study.plan import APART
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.findings.records import ExperimentSummary, Summary, Where
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Experiment

__all__ = ["page"]

_TOP_ALLOCATORS = 8
_MOST_OPEN = 2  # experiments up to which each section is open to begin with


def page(
    study: StudyData, summary: Summary, *, device: str | None = None, include_private: bool = False
) -> str:
    """Return the report of a study.

    It is one file: style, pictures, and the manifest for a rerun; with `include_private` also the
    texts that were read, and what traces say of names.
    """
    sections = [
        _section(study, item, summary.experiments[item.name]) for item in study.plan.experiments
    ]
    where = reference(study, summary)
    figure = plot_law(study, summary.laws)
    for item, section in zip(study.plan.experiments, sections, strict=True):
        has_law = item.name == LENGTHS and figure is not None
        section["law"] = law(summary.laws) if has_law else []
        section["law_picture"] = (
            to_svg(figure, label="Peak by the longest sentence, and the law")
            if has_law and figure is not None
            else None
        )
        section.update(_accounts(study, item, sections, include_private=include_private))
    top = _top(sections, where)
    opening = _opening(summary)
    rules = _share_styles(sections, opening)
    manifest = study.manifest
    has_texts = manifest.inputs.is_pipeline and manifest.merged is None
    texts = study.folder.paragraphs() if include_private and has_texts else None
    return template("report.html.j2").render(
        runs=study.runs,
        summary=summary,
        subject=words.subject(summary.inputs),
        is_pipeline=manifest.inputs.is_pipeline,
        engine=manifest.setup.versions.get("sherpa-onnx", "?"),
        opening=opening,
        contrasts=contrasts(study, summary),
        contrasts_title=TITLE,
        in_words=finding_words,
        facts=key_facts(study, summary),
        top=top,
        sections=sections,
        is_open=len(sections) <= _MOST_OPEN,
        device=device,
        ends=words.endings(study.runs),
        provenance=words.provenance(manifest),
        limits=words.limits(study),
        why=why,
        phase_words=words.PHASES,
        picture_rules=Markup(rules),  # noqa: S704 - made of matplotlib's own styles
        carried_id=ELEMENT_ID,
        carried=Markup(payload(manifest, summary, texts)),  # noqa: S704 - it escapes
    )


_LABELS = (
    "End and peak of the deciding conditions against the limits",
    "Peak of each cure against its CPU, and the limits",
)


def _opening(summary: Summary) -> dict[str, Any] | None:
    """Return what the opening shows; None for a study that tests no hypothesis."""
    found = summary.answers
    if found is None:
        return None
    said = answers(summary)
    has_cures = found.cures is not None
    figure = plot_outcomes(found.outcomes) if found.cures is None else plot_cures(found.cures)
    return {
        "answers": [(name, question, said[name]) for name, question in QUESTIONS.items()],
        "consumes": found.consumes,
        "parts": [
            (part(each.part), each, how_measured(each.part, each.how))
            for each in found.consumes.parts
        ],
        "notes": [say(note) for note in found.consumes.notes],
        "picture": None if figure is None else to_svg(figure, label=_LABELS[has_cures]),
        "has_cures": has_cures,
        "cure_heads": cure_words.HEADS,
        "cures": [] if found.cures is None else cure_words.rows(found.cures),
        "plan_heads": cure_words.PLAN_HEADS,
        "plan": [] if found.cures is None else cure_words.plan(found.cures),
    }  # fmt: skip


def _section(study: StudyData, item: Experiment, numbers: ExperimentSummary) -> dict[str, Any]:
    """Return what the template shows of one experiment."""
    name, conditions = item.name, numbers.conditions
    n_repeats = study.samples_of(name)["repeat"].nunique()
    return {
        "name": name,
        "item": numbers,
        "headline": words.headline(numbers),
        "said": dict(words.conditions(name, numbers)),
        "surprises": surprises(name, numbers),
        "growth": {condition: words.growth(n) for condition, n in conditions.items()},
        "called": {condition: words.called(n) for condition, n in conditions.items()},
        "changes": {name: words.change_parts(c) for name, c in numbers.contrasts.items() if c},
        "reference": item.reference.name,
        "parts": list(
            dict.fromkeys(each for n in conditions.values() for each in n.components_mib)
        ),
        "is_band": n_repeats > MOST_LINES,
        "n_shown": min(len(conditions), MOST_PANELS),
        "grid": grid(item),
        "curves": to_svg(
            plot_curves(study, name),
            label=f"Resident memory over the steps, by condition of {name}",
        ),
        "ends": to_svg(
            plot_ends(study, name), label=f"Peak, end and what a teardown leaves, {name}"
        ),
        "accounts": [],
        "accounted_in": None,
        "phases": _phases(study, name, list(conditions)),
        "traces": _traces(study, name, list(conditions)),
        "grown": [
            {
                "condition": condition,
                "title": growth_words.title(found),
                "coverage": growth_words.coverage(found),
                "rows": growth_words.rows(found, len(found.rows)),
                "cut": growth_words.cut(len(found.rows), found.owners),
                "lost": _not_freed(study, name, condition),
            }
            for condition, found in numbers.growth.items()
            if growth_words.is_worth_telling(found)
        ],
        "growth_heads": growth_words.HEADS,
    }


def _accounts(
    study: StudyData, item: Experiment, sections: Sequence[dict[str, Any]], *, include_private: bool
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


def _top(sections: Sequence[dict[str, Any]], where: Where | None) -> dict[str, Any] | None:
    """Return the account of the condition that a study is about: its picture stands at the top."""
    for section in sections:
        shown: list[dict[str, Any]] = section["accounts"]
        for each in shown:
            if where is not None and (section["name"], each["condition"]) == where:
                each["is_at_top"] = True
                return each
    return None


def _setting(item: Experiment) -> str:
    return item.name.partition(APART)[2]


def _phases(study: StudyData, name: str, conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is held after each phase, by condition, where an experiment has any."""
    found = []
    for condition in conditions:
        table = phase_table(study, name, condition)
        if table is not None:
            label = f"Memory after each phase of {name}, {condition}"
            svg = to_svg(plot_phases(table), label=label)
            found.append({"condition": condition, "svg": svg, "rows": phase_rows(table)})
    return found


def _traces(study: StudyData, name: str, conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the heap traces there are, each with its largest allocators."""
    found = []
    for condition in conditions:
        trace = study.trace(name, condition)
        if trace is None or not trace.moments:
            continue
        top = holders(trace, by="function").head(_TOP_ALLOCATORS).to_dict("records")
        picture = plot_heap(study, name, condition, trace)
        svg = to_svg(picture, label=f"Heap trace of {name}, {condition}")
        shown = {
            "condition": condition,
            "svg": svg,
            "allocators": top,
            "peak_mib": trace.peak / MIB,
        }
        flames = [
            {"label": flame_graph_label(what), "href": href}
            for what, href in links(study, name, condition)
        ]
        found.append({**shown, "allocations": trace.allocations, "flames": flames})
    return found


def _not_freed(study: StudyData, name: str, condition: str) -> list[dict[str, Any]]:
    """Return the stacks that were not freed after a traced run's teardown, as in `fingerprints`."""
    trace = study.trace(name, condition)
    table = pd.DataFrame() if trace is None else fingerprints(trace).head(_TOP_ALLOCATORS)
    return [
        {
            "owner": row["owner"],
            "held": growth_words.not_freed(row["bytes"], row["blocks"], row["per_step"]),
            "frames": row["frames"],
        }
        for row in table.to_dict("records")
    ]


def _share_styles(sections: Sequence[dict[str, Any]], opening: dict[str, Any] | None) -> str:
    """Write each style of the pictures once; return the rules."""
    holders: list[tuple[dict[str, Any], str]] = []
    for section in sections:
        holders += [(section, "curves"), (section, "ends")]
        holders += [(section, "law_picture")] if section["law_picture"] else []
        holders += [
            (each, "svg") for each in (*section["accounts"], *section["phases"], *section["traces"])
        ]
    if opening is not None and opening["picture"]:
        holders.append((opening, "picture"))
    svgs, rules = share_styles([holder[key] for holder, key in holders])
    for (holder, key), svg in zip(holders, svgs, strict=True):
        holder[key] = svg
    return rules
