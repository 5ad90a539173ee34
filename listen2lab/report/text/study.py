"""A study in sentences: what each number says, for someone who has not seen the lab before."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from listen2lab.experiment.inputs import GENERATED_VOICES
from listen2lab.report.text import verdicts
from listen2lab.study.public_names import leaf
from listen2lab.units import KIB

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.facade import Study

__all__ = [
    "VERDICTS",
    "answer",
    "called",
    "change",
    "contrast",
    "endings",
    "limits",
    "number",
    "provenance",
    "subject",
    "verdict",
    "without_paths",
]

VERDICTS = ("leak", "high-water", "plateau", "baseline", "sawtooth", "inconclusive")
"""What a series can be called."""

_PATH = re.compile(r"(?<![\w.])/(?:[^\s/:;,'\"]+/)*[^\s/:;,'\"]+/?")


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a table; a dash for one that there is not."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no minus before a zero


def with_code(text: str) -> Markup:
    """Return a sentence for a page, what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def called(numbers: dict[str, Any]) -> str:
    """Return a condition's verdict in a word or three: a leak that only live objects show says so.

    Parameters
    ----------
    numbers
        A condition of ``summary.json``.
    """
    name = str(numbers["verdict"])
    if name == "leak" and numbers["quantities"]["anonymous"]["verdict"] != "leak":
        return "leak of objects" if "python-objects" in numbers["grew"] else "leak of live memory"
    return name


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
    quantities = numbers["quantities"]
    if name == "leak" and quantities["anonymous"]["verdict"] != "leak":
        live = "python_blocks" if "python-objects" in numbers["grew"] else "in_use"
        rate = quantities[live]["rate_per_step"]
        what = f"{rate:,.3g} live Python blocks" if live == "python_blocks" else _rate(rate / KIB)
        return (
            f"Leak: {what} a {unit} more that is never freed, too little so far to show in "
            f"resident memory; {_confidence(numbers)}."
        )
    if name == "leak":
        low, high = numbers["rate_interval"]
        return (
            f"Leak: {_rate(numbers['rate_kib_per_step'])} a {unit} "
            f"(95 % between {_rate(low)} and {_rate(high)}); {_confidence(numbers)}."
        )
    if name == "inconclusive":
        first = next(iter(numbers["reasons"]), "")
        return f"Inconclusive. {verdicts.REASONS.get(first, 'No reason is known.')}"
    if name == "high-water" and unit == "paragraph" and numbers["largest_input"] is not None:
        shape = (
            "A high-water mark: the level follows the longest sentence so far "
            f"({number(numbers['largest_input'], 0)} s), and stays."
        )
    else:
        shape = _SHAPES[name].format(unit=unit)
    hidden = numbers["upper_kib_per_step"]
    bound = (
        "" if hidden is None else f" No growth above {_rate(max(hidden, 0))} a {unit} is hidden."
    )
    return f"{shape}{bound} {_confidence(numbers).capitalize()}."


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
    return f"confidence: {verdicts.confidence(numbers['confidence'], numbers['reasons'])}"


def answer(item: dict[str, Any]) -> list[tuple[str, str]]:
    """Say what an experiment's conditions showed.

    Parameters
    ----------
    item
        An experiment of ``summary.json``.

    Returns
    -------
    list of (str, str)
        Condition and what is said of it: its verdict, then how its level differs from the app's.
    """
    said = []
    for name, numbers in item["conditions"].items():
        if not numbers["runs"]["complete"]:
            said.append((name, "No complete run, so there is nothing to judge."))
            continue
        level = f"Ends at {number(numbers['level_mib'])} MiB"
        if numbers["released_mib"] is not None:
            given_back = numbers["level_mib"] - numbers["released_mib"]
            level += f", of which a teardown gives back {number(given_back)}"
        difference = item["contrasts"].get(name)
        against = "" if difference is None else f" {contrast(name, difference)}"
        said.append((name, f"{verdict(numbers, item['unit'])} {level}.{against}"))
    return said


def contrast(name: str, difference: dict[str, Any]) -> str:
    """Say how the condition of this name differs from the one it is compared with."""
    amount, interval = difference["level_difference_mib"], difference["level_interval_mib"]
    way = "above" if amount > 0 else "below"
    bounds = ""
    if interval is not None:
        bounds = f" (95 % between {number(interval[0])} and {number(interval[1])})"
    told = f"That is {number(abs(amount))} MiB {way} {difference['to']}{bounds}: "
    if difference["about"] == "rate":
        return f"{told}{difference['verdict']}. {verdicts.contrast(name, difference)}"
    return f"{told}{_LEVEL_WORDS[difference['verdict']]}."


def change(difference: dict[str, Any]) -> str:
    """Say a difference of levels in a few words, for a cell of a table.

    Parameters
    ----------
    difference
        One of an experiment's ``contrasts`` in ``summary.json``.
    """
    amount, interval = difference["level_difference_mib"], difference["level_interval_mib"]
    bounds = "" if interval is None else f" [{interval[0]:+,.1f}, {interval[1]:+,.1f}]"
    return f"{amount:+,.1f} MiB{bounds}"


_LEVEL_WORDS = {
    "reduced": "lower",
    "worse": "higher",
    "unchanged": "the same, within what matters",
    "inconclusive": "not known well enough to say",
}


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
    if study.manifest["inputs"].get("voice") in GENERATED_VOICES:
        sentences.append(
            "The voice is generated: a Piper voice's architecture and shapes with weights that say "
            "nothing. Memory follows the shapes."
        )
    if plan.max_characters is not None and plan.longest_characters is not None:
        sentences.append(
            f"A quick study: paragraphs of at most {plan.max_characters} characters, and one of at "
            f"most {plan.longest_characters}. A book's sentences are longer, its levels higher."
        )
    elif plan.max_characters is not None:
        sentences.append(
            f"Short paragraphs, of at most {plan.max_characters} characters, but for the book's "
            "longest: what grows with each paragraph is less than in a whole book."
        )
    return [*sentences, *study.damage]


def subject(inputs: dict[str, Any]) -> str:
    """Return what was run, in a few words: a voice, or the name of a workload's file."""
    if "workload" in inputs:
        return f"workload {leaf(inputs['workload'])}"
    voice = leaf(inputs["voice"])
    return "a voice of one's own" if voice == "(left out)" else f"voice {voice}"


def provenance(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was run on what, as pairs for a table. No path, host or user name is in it."""
    machine = manifest["machine"]
    inputs = manifest["inputs"]
    memory = machine["memory"] / 2**30
    return [
        ("command", without_paths(manifest["command"])),
        ("created", manifest["created"]),
        *(
            (what, f"{leaf(inputs[what])}, sha256 {inputs[f'{what}_hash'][:16]}")
            for what in ("voice", "recognizer", "workload")
            if what in inputs
        ),
        ("texts", ", ".join(f"{t['name']} ({t['paragraphs']})" for t in inputs.get("texts", ()))),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {memory:.0f} GiB"),
        *_machines(manifest.get("machines") or {}),
        ("system", f"{machine['system']} {machine['kernel']}, {machine['libc']}"),
        ("transparent huge pages", machine["transparent_hugepages"] or "unknown"),
        ("set for every run", ", ".join(f"{k}={v}" for k, v in manifest["environment"].items())),
        ("code", manifest["git"] or "an installed package"),
    ]


def _machines(machines: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the machines, where there were several."""
    if len(machines) < 2:
        return []
    return [
        (label, f"{each['machine']['cpu']}, {each['machine']['cores']} cores")
        for label, each in machines.items()
    ]
