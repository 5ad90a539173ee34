"""A study as an issue for a library's maintainers: ``ISSUE.md``, caveats first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.findings.conditions import complete_samples
from listen2lab.pipeline.knobs import Knobs, knobs_from
from listen2lab.report.html import template
from listen2lab.report.key_facts import reference
from listen2lab.report.markdown import common
from listen2lab.report.phases import PHASES, phase_rows, phase_table
from listen2lab.report.terminal import blocks
from listen2lab.report.text import study as words
from listen2lab.report.text.knobs import KNOB_MEANINGS
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.facade import Study
    from listen2lab.study.plan import Experiment

__all__ = ["issue"]

_ENGINE_KNOBS = (
    *("cpu_mem_arena", "mem_pattern", "num_threads", "max_num_sentences", "noise_scale_w"),
    *("sessions", "in_flight", "session_every"),
)
_READ = ("rss", "anonymous", "in_use", "kept", "peak")


def issue(study: Study, summary: dict[str, Any]) -> str:
    """Return ``ISSUE.md``: what a library's maintainers need, caveats first.

    Parameters
    ----------
    study, summary
        What may be told; see `listen2lab.report.write.write_report`.
    """
    found = reference(study, summary)
    if found is None:
        return template("ISSUE.md.j2").render(**common(study, summary), numbers=None)
    name, condition = found
    (item,) = (each for each in study.plan.experiments if each.name == name)
    numbers = summary["experiments"][name]["conditions"][condition]
    samples = complete_samples(study.runs, study.samples)
    mine = samples[(samples["experiment"] == name) & (samples["condition"] == condition)]
    nature = _nature(summary, numbers)
    return template("ISSUE.md.j2").render(
        **common(study, summary),
        experiment=name,
        condition=condition,
        item=item,
        numbers=numbers,
        nature=nature,
        grows_live=words.called(numbers) != numbers["verdict"],
        verdict=_verdict(summary, numbers, item.unit),
        title=_title(study, nature, numbers, item),
        settings=_settings(item, condition),
        longest=_longest(mine),
        sparkline=blocks(_mean_curve(mine)),
        key_steps=_key_steps(mine),
        phases=_phases(study),
        ruled_out=_ruled_out(summary),
        asked=_asked(study, nature, item),
    )


def _nature(summary: dict[str, Any], numbers: dict[str, Any]) -> str:
    """Return the verdict over all series where the study has one, else the condition's own."""
    over_all = (summary.get("answers") or {}).get("leak") or {}
    return str(over_all.get("verdict") or numbers["verdict"])


def _verdict(summary: dict[str, Any], numbers: dict[str, Any], unit: str) -> str:
    over_all = (summary.get("answers") or {}).get("leak") or {}
    if over_all.get("verdict"):
        return " ".join(over_all["sentences"])
    return words.verdict(numbers, unit)


def _title(study: Study, verdict: str, numbers: dict[str, Any], item: Experiment) -> str:
    level = words.number(numbers["level_mib"], 0)
    if "voice" not in study.manifest["inputs"]:
        what = item.name
    else:
        what = (
            f"OfflineTts (VITS), sherpa-onnx {study.manifest['versions'].get('sherpa-onnx', '?')}"
        )
    if verdict == "leak":
        return f"{what}: memory grows with every {item.unit}"
    if verdict == "high-water":
        return f"{what}: {level} MiB stay resident after the largest input, until the session goes"
    return f"{what}: {level} MiB resident, {verdict}"


def _settings(item: Experiment, condition: str) -> list[tuple[str, str, str]]:
    """Return the engine's knobs, each with its value and what it means."""
    (level,) = (each for each in item.levels if each.name == condition)
    if item.unit != "paragraph":
        return []
    values = knobs_from(item.settings(level))._asdict()
    changed = [name for name, value in values.items() if value != getattr(Knobs(), name)]
    names = [*_ENGINE_KNOBS, *(name for name in changed if name not in _ENGINE_KNOBS)]
    return [(name, _value(values[name]), KNOB_MEANINGS[name]) for name in names]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _longest(samples: pd.DataFrame) -> dict[str, float] | None:
    """Return the longest sentence in seconds of speech, and the longest paragraph's length."""
    steps = samples[samples["phase"] == "step"].reset_index(drop=True)
    if "fact.longest_s" not in steps or steps["fact.longest_s"].isna().all():
        return None
    at = int(np.nanargmax(steps["fact.longest_s"].to_numpy(float)))
    return {
        "seconds": float(steps["fact.longest_s"].iloc[at]),
        "characters": float(steps["fact.characters"].max()),
    }


def _mean_curve(samples: pd.DataFrame) -> Any:
    steps = samples[samples["phase"] == "step"]
    return steps.groupby("step")["rss"].mean().to_numpy(float)


def _key_steps(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the readings that decide, of one run: texts come in another order in each."""
    if samples.empty:
        return []
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
    said = {"start": "interpreter", "import": "libraries imported", **PHASES}

    def level(phase: str) -> list[dict[str, Any]]:
        rows = run[run["phase"] == phase]
        return [_reading(rows, k, phase, said[phase]) for k in range(len(rows))]

    return [
        *(row for phase in ("start", "import", "setup") for row in level(phase)),
        *(
            _reading(steps, k, f"step {steps['step'].iloc[k]:.0f}", picked[k])
            for k in sorted(picked)
        ),
        *(row for phase in ("end", "released") for row in level(phase)),
    ]


def _reading(rows: pd.DataFrame, k: int, when: str, what: str) -> dict[str, Any]:
    values = {name: float(rows[name].to_numpy(float)[k]) / MIB for name in _READ}
    return {"when": when, "what": what, "size": float(rows["size"].to_numpy(float)[k]), **values}


def _phases(study: Study) -> list[tuple[Any, ...]]:
    """Return what is held after each phase of the first experiment that has phases."""
    for item in study.plan.experiments:
        for level in item.levels:
            table = phase_table(study, item.name, level.name)
            if table is not None:
                return [(PHASES.get(row[0], ""), *row) for row in phase_rows(table)]
    return []


def _ruled_out(summary: dict[str, Any]) -> list[str]:
    """Say what was looked at and is not the cause: refuted claims, changes that change nothing."""
    said = [
        f"{each['claim']} *Refuted.* {each['because']}"
        for each in (summary.get("findings") or {}).values()
        if each["finding"] == "refuted"
    ]
    for name, item in summary["experiments"].items():
        same = [
            f"{condition} ({words.change(each)})"
            for condition, each in item["contrasts"].items()
            if each and each["about"] == "level" and each["verdict"] == "unchanged"
        ]
        if same:
            to = next(each["to"] for each in item["contrasts"].values() if each)
            factor = item["factor"] or "condition"
            said.append(
                f"{factor} ({name}): the level is the same as with {to}, within what matters, "
                f"with {', '.join(same)}."
            )
    return said


def _asked(study: Study, verdict: str, item: Experiment) -> list[str]:
    """Return the questions to the maintainers that the verdict leaves open."""
    if "voice" not in study.manifest["inputs"]:
        kept = "Is this growth expected, and is something kept for each call?"
        return [kept if verdict == "leak" else "Is this level expected?"]
    if verdict == "leak":
        return [
            f"Is something kept for each `generate()`, that is, for each {item.unit}?",
            "Which option or build would tell engine and binding apart?",
        ]
    if verdict != "high-water":
        return ["Is this level expected for such a model and such texts?"]
    return [
        "Is it intended that the session keeps the working memory of the longest sentence?",
        "Can it be given back without dropping the session, by shrinking ONNX Runtime's arena?",
        "Is there a recommended limit for the length of one sentence?",
    ]
