"""A study in sentences: what each number says, for someone who has not seen the lab before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.analysis.growth import Reason
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from listen2lab.selftest import Finding
    from listen2lab.study import Study

__all__ = [
    "VERDICTS",
    "answer",
    "endings",
    "limits",
    "nothing_measured",
    "number",
    "provenance",
    "selftest_table",
    "sparkline",
    "subject",
    "verdict",
    "watched",
    "without_paths",
]

VERDICTS = ("leak", "high-water", "plateau", "baseline", "sawtooth", "inconclusive")
"""What a series can be called."""

_PATH = re.compile(r"(?<![\w.])/(?:[^\s/:;,'\"]+/)*[^\s/:;,'\"]+/?")


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a table; a dash for one that there is not."""
    return "–" if value is None else f"{value:,.{digits}f}"


def verdict(numbers: dict[str, Any], unit: str) -> str:
    """Say a condition's verdict in a sentence or two.

    Parameters
    ----------
    numbers
        A condition of ``summary.json``.
    unit
        What a step is, in one word.

    Returns
    -------
    str
        What memory did, how large a leak could be hidden, and the first reason where there is no
        verdict.
    """
    name = numbers["verdict"]
    if name == "leak":
        low, high = numbers["rate_interval"]
        return (
            f"Leak: {_rate(numbers['rate_kib_per_step'])} a {unit} "
            f"(95 % between {_rate(low)} and {_rate(high)}); {_confidence(numbers)}."
        )
    if name == "inconclusive":
        sentences = [Reason(code).sentence for code in numbers["reasons"]] or [
            "No reason is known."
        ]
        return f"Inconclusive. {sentences[0]}"
    hidden = numbers["upper_kib_per_step"]
    bound = (
        "" if hidden is None else f" No growth above {_rate(max(hidden, 0))} a {unit} is hidden."
    )
    return f"{_SHAPES[name].format(unit=unit)}{bound} {_confidence(numbers).capitalize()}."


_SHAPES = {
    "high-water": "A high-water mark: the level follows the largest input so far, and stays.",
    "plateau": "A plateau: memory rose and then settled.",
    "baseline": "A baseline: flat from the first measured {unit}.",
    "sawtooth": "A sawtooth: memory is cleared again and again, to the same level.",
}


def _rate(kib: float | None) -> str:
    if kib is None:
        return "an unknown amount"
    if abs(kib) >= KIB:
        return f"{kib / KIB:,.2f} MiB"
    return f"{kib:,.0f} KiB" if abs(kib) >= 100 else f"{kib:,.3g} KiB"


def _confidence(numbers: dict[str, Any]) -> str:
    return f"confidence: {numbers['confidence']}"


def watched(study: Study, answer: dict[str, Any]) -> str:
    """Return what ``listen2lab watch`` prints: verdict, reasons, numbers and curve.

    Parameters
    ----------
    study
        A study of a workload's file.
    answer
        What `listen2lab.study.Study.answer` gives.
    """
    (item,) = study.summary()["experiments"].values()
    lines = []
    for name, numbers in item["conditions"].items():
        title = f"{name}: " if len(item["conditions"]) > 1 else ""
        lines.append(f"{title}{verdict(numbers, item['unit'])}")
        lines += [f"  - {code}: {Reason(code).sentence}" for code in numbers["reasons"]]
        lines.append(f"  {sparkline(study, name)}")
    if "thinned" in answer:
        lines.append(f"  {answer['thinned']}")
    lines += endings(study.runs)
    lines.append(f"report: {study.folder.path / 'report.html'}")
    return "\n".join(lines)


def selftest_table(findings: Sequence[Finding]) -> str:
    """Return the table planted / found / rate error, and what it comes to."""
    lines = [f"{'planted':<17}{'KiB/step':>10}{'found':>14}{'KiB/step':>10}{'error':>8}"]
    for each in findings:
        error = "" if each.error is None else f"{100 * each.error:+.1f} %"
        planted = f"{each.planted_kib:.1f}" if each.planted_kib else "–"
        lines.append(
            f"{each.fault:<17}{planted:>10}{each.verdict:>14}{number(each.found_kib):>10}"
            f"{error:>8}  {'right' if each.is_right else 'WRONG'}: {each.meaning}"
        )
    right = sum(each.is_right for each in findings)
    return "\n".join([*lines, f"{right} of {len(findings)} right"])


def sparkline(study: Study, condition: str, width: int = 60) -> str:
    """Return a condition's anonymous memory as a row of blocks, mean of the repeats."""
    samples = study.samples
    plain = samples[(samples["condition"] == condition) & ~samples["traced"].astype(bool)]
    curve = plain[plain["phase"] == "step"].groupby("step")["anonymous"].mean().to_numpy(float)
    if not len(curve):
        return "(no samples)"
    picked = curve[np.linspace(0, len(curve) - 1, min(width, len(curve))).astype(int)]
    low, high = float(picked.min()), float(picked.max())
    span = max(high - low, 64 * KIB)  # a few pages up and down are flat to the eye
    bars = "".join(_BLOCKS[int((value - low) / span * (len(_BLOCKS) - 1))] for value in picked)
    return f"{bars}  {low / MIB:.1f} to {high / MIB:.1f} MiB"


_BLOCKS = "▁▂▃▄▅▆▇█"


def nothing_measured(study: Study) -> str:
    """Say that no run was complete, and how they ended."""
    ends = endings(study.runs)
    first = f" (the first: {ends[0]})" if ends else ""
    return f"no run was complete, so nothing was measured{first}; what there is lies in the study"


def answer(item: dict[str, Any]) -> list[str]:
    """Say what an experiment's conditions showed, a sentence each.

    Parameters
    ----------
    item
        An experiment of ``summary.json``.

    Returns
    -------
    list of str
        Sentences: each condition's verdict, then how the levels differ.
    """
    conditions = item["conditions"]
    sentences = [
        f"{name}: {verdict(numbers, item['unit'])}"
        for name, numbers in conditions.items()
        if numbers["runs"]["complete"]
    ]
    measured = {name: n for name, n in conditions.items() if n["level_mib"] is not None}
    sentences += [
        f"{name}: no complete run, so no level." for name in conditions if name not in measured
    ]
    if len(measured) == 1:
        ((name, only),) = measured.items()
        given_back = only["level_mib"] - (only["released_mib"] or only["level_mib"])
        sentences.append(
            f"{name}: ends at {number(only['level_mib'])} MiB after a peak of "
            f"{number(only['peak_mib'])} MiB; dropping session, models and caches gives back "
            f"{number(given_back)} MiB of it."
        )
    elif measured:
        lowest = min(measured, key=lambda k: measured[k]["level_mib"])
        highest = max(measured, key=lambda k: measured[k]["level_mib"])
        low, high = measured[lowest]["level_mib"], measured[highest]["level_mib"]
        sentences.append(
            f"Levels at the end go from {number(low)} MiB ({lowest}) to {number(high)} MiB "
            f"({highest}): the factor moves the level by {number(high - low)} MiB."
        )
    return sentences


def endings(runs: pd.DataFrame) -> list[str]:
    """Say of each run that did not end well how it ended."""
    bad = runs[runs["outcome"] != "complete"]
    return [
        f"{row['experiment']}/{row['condition']}/{'traced' if row['traced'] else row['repeat']}: "
        f"{row['outcome']}: {without_paths(row['because'])}"
        for row in bad.to_dict("records")
    ]


def without_paths(text: str) -> str:
    """Return a sentence with every absolute path cut down to its last part.

    Where a file lies on somebody's machine is nobody's business, and says who they are.
    """
    return _PATH.sub(lambda match: match[0].rstrip("/").rsplit("/", 1)[-1], text)


def limits(study: Study) -> list[str]:
    """Say what this study cannot tell."""
    sentences = []
    plan = study.plan
    if plan.repeats < 3:
        sentences.append(f"{plan.repeats} repeats a condition: too few to see them agree.")
    if study.manifest["inputs"].get("voice") in ("tiny", "medium", "high"):
        sentences.append(
            "The voice is generated: a Piper voice's architecture and shapes with weights that say "
            "nothing. Memory follows the shapes."
        )
    if plan.max_characters is not None:
        sentences.append(
            f"A quick study: paragraphs of at most {plan.max_characters} characters, and one of at "
            f"most {plan.longest_characters}. A book's sentences are longer, its levels higher."
        )
    return [*sentences, *study.damage]


def subject(inputs: dict[str, Any]) -> str:
    """Return what was run, in a few words: a voice, or the name of a workload's file."""
    if "workload" in inputs:
        return f"workload {_leaf(inputs['workload'])}"
    return f"voice {_leaf(inputs['voice'])}"


def provenance(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was run on what, as pairs for a table. No path, host or user name is in it."""
    machine = manifest["machine"]
    inputs = manifest["inputs"]
    memory = machine["memory"] / 2**30
    return [
        ("command", without_paths(manifest["command"])),
        ("created", manifest["created"]),
        *(
            (what, f"{_leaf(inputs[what])}, sha256 {inputs[f'{what}_hash'][:16]}")
            for what in ("voice", "recognizer", "workload")
            if what in inputs
        ),
        ("texts", ", ".join(f"{t['name']} ({t['paragraphs']})" for t in inputs.get("texts", ()))),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {memory:.0f} GiB"),
        ("system", f"{machine['system']} {machine['kernel']}, {machine['libc']}"),
        ("transparent huge pages", machine["transparent_hugepages"] or "unknown"),
        ("set for every run", ", ".join(f"{k}={v}" for k, v in manifest["environment"].items())),
        ("code", manifest["git"] or "an installed package"),
    ]


def _leaf(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
