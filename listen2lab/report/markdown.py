"""A study as Markdown: ``summary.md`` for a chat, ``ISSUE.md`` for a library's maintainers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.report.tables import phase_rows, phase_table
from listen2lab.report.template import template
from listen2lab.report.terminal import blocks
from listen2lab.report.text import cures as cure_words
from listen2lab.report.text import findings as finding_words
from listen2lab.report.text import growth as growth_words
from listen2lab.report.text import study as words
from listen2lab.report.text.answers import answers
from listen2lab.report.text.contrasts import TITLE, contrasts
from listen2lab.report.text.issue import asked, asked_of_engine, lowers, ruled_out, title, verdict
from listen2lab.report.text.key_facts import key_facts, reference
from listen2lab.report.text.knobs import KNOB_MEANINGS
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.findings.records import Summary, Where
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Experiment, KnobValue

__all__ = ["issue", "short"]

_MOST_ROWS = 45  # a chat folds what is longer than a screen or two
_MOST_ENDS = 5
_ENGINE_KNOBS = (
    *("cpu_mem_arena", "mem_pattern", "num_threads", "max_num_sentences", "noise_scale_w"),
    *("sessions", "in_flight", "session_every"),
)
_READ = ("rss", "anonymous", "in_use", "kept", "peak")


def short(study: StudyData, summary: Summary) -> str:
    """Return ``summary.md``: subject, answer, findings, conditions, caveats, how to rerun."""
    rows = [
        (str(where), words.called(n), n, " ".join(words.growth(n)))
        for where, n in summary.conditions()
    ]
    said = answers(summary)
    cures = None if summary.answers is None else summary.answers.cures
    return template("summary.md.j2").render(
        **_common(study, summary),
        answers=[
            *(said[x][0] for x in ("leak", "consumes", "cause", "under") if said.get(x)),
            *(
                []
                if cures is None
                else [*cure_words.limits(cures)[1:], *cure_words.plan_lines(cures)]
            ),
        ],
        contrasts=contrasts(study, summary),
        contrasts_title=TITLE,
        findings=[(n, each, finding_words.word(each)) for n, each in summary.findings.items()],
        rows=rows[:_MOST_ROWS],
        n_left=max(0, len(rows) - _MOST_ROWS),
    )


def issue(study: StudyData, summary: Summary, *, for_engine: bool = False) -> str:
    """Return ``ISSUE.md``: what a library's maintainers need; the engine's: what lowers it, too."""
    where = reference(study, summary)
    if where is None:
        return template("issue.md.j2").render(**_common(study, summary), numbers=None)
    (item,) = (each for each in study.plan.experiments if each.name == where.experiment)
    numbers = summary.experiments[where.experiment].conditions[where.condition]
    mine = study.complete_of(*where)
    over_all = None if summary.answers is None else summary.answers.leak.verdict
    steps = mine[mine["phase"] == "step"]
    return template("issue.md.j2").render(
        **_common(study, summary),
        where=where,
        unit=item.unit,
        numbers=numbers,
        nature=over_all or numbers.verdict,
        grew=summary.experiments[where.experiment].growth.get(where.condition),
        growth=growth_words,
        grows_live=words.is_hidden(numbers),
        verdict=verdict(summary, numbers, item.unit),
        title=title(study.manifest, over_all or numbers.verdict, numbers, item),
        settings=_settings(item, where),
        longest=_longest(steps),
        sparkline=blocks(steps.groupby("step")["rss"].mean().to_numpy(float)),
        key_steps=_key_steps(mine),
        phases=_phases(study),
        ruled_out=ruled_out(summary),
        asked=[
            *asked(study.manifest, over_all or numbers.verdict, item.unit),
            *(asked_of_engine(summary) if for_engine else ()),
        ],
        lowers=lowers(summary) if for_engine else [],
    )


def _common(study: StudyData, summary: Summary) -> dict[str, Any]:
    """Return what both templates show."""
    ends = words.endings(study.runs)
    provenance = words.provenance(study.manifest)
    return {
        "subject": words.subject(summary.inputs),
        "created": summary.created[:10],
        "is_pipeline": study.manifest.inputs.is_pipeline,
        "is_merged": study.manifest.merged is not None,
        "system": study.manifest.setup.machine.system,
        "git": study.manifest.setup.git,
        "facts": key_facts(study, summary),
        "limits": words.limits(study),
        "ends": ends[:_MOST_ENDS],
        "n_ends": len(ends),
        "n_runs": len(study.runs),
        "provenance": provenance,
        "is_outside": study.manifest.inputs.is_followed,
        "versions": words.versions(study.manifest),
        "command": dict(provenance)["command"],
    }


def _settings(item: Experiment, where: Where) -> list[tuple[str, str, str]]:
    """Return the engine's knobs, each with its value and what it means."""
    (level,) = (each for each in item.levels if each.name == where.condition)
    if item.unit != "paragraph":
        return []
    values = item.complete_settings(level)
    names = dict.fromkeys([*_ENGINE_KNOBS, *item.settings(level)])
    return [(name, _value(values[name]), KNOB_MEANINGS[name]) for name in names]


def _value(value: KnobValue) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _longest(steps: pd.DataFrame) -> dict[str, float] | None:
    """Return the longest sentence in seconds of speech, and the longest paragraph's length."""
    if "fact.longest_s" not in steps or steps["fact.longest_s"].isna().all():
        return None
    return {
        "seconds": float(steps["fact.longest_s"].max()),
        "characters": float(steps["fact.characters"].max()),
    }


def _key_steps(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the readings that decide, of one run: texts come in another order in each."""
    run = samples[samples["repeat"] == samples["repeat"].min()]
    steps = run[run["phase"] == "step"].reset_index(drop=True)
    if steps.empty:
        return []
    picked = {0: "first measured", len(steps) - 1: "last"}
    if steps["size"].notna().any():
        largest = int(np.nanargmax(steps["size"].to_numpy(float)))
        picked |= {max(largest - 1, 0): "before the largest input", largest: "the largest input"}
        if largest + 1 < len(steps):
            picked[largest + 1] = "the one after it"

    def around(*phases: str) -> list[dict[str, Any]]:
        return [
            _reading(rows, k, phase, words.PHASES[phase])
            for phase in phases
            for rows in [run[run["phase"] == phase]]
            for k in range(len(rows))
        ]

    return [
        *around("start", "import", "setup"),
        *(
            _reading(steps, k, f"step {steps['step'].iloc[k]:.0f}", picked[k])
            for k in sorted(picked)
        ),
        *around("end", "released"),
    ]


def _reading(rows: pd.DataFrame, k: int, when: str, what: str) -> dict[str, Any]:
    values = {name: float(rows[name].to_numpy(float)[k]) / MIB for name in _READ}
    return {"when": when, "what": what, "size": float(rows["size"].to_numpy(float)[k]), **values}


def _phases(study: StudyData) -> list[tuple[Any, ...]]:
    """Return what is held after each phase of the first experiment that has phases."""
    for item in study.plan.experiments:
        for level in item.levels:
            table = phase_table(study, item.name, level.name)
            if table is not None:
                return [(words.PHASES.get(row.phase, ""), *row) for row in phase_rows(table)]
    return []
