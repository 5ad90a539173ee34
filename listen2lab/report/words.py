"""A study in sentences: what each number says, for someone who has not seen the lab before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.study import Study

__all__ = ["answer", "endings", "limits", "number", "provenance", "without_paths"]

_PATH = re.compile(r"(?<![\w.])/(?:[^\s/:;,'\"]+/)*[^\s/:;,'\"]+/?")


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a table; a dash for one that there is not."""
    return "–" if value is None else f"{value:,.{digits}f}"


def answer(item: dict[str, Any]) -> list[str]:
    """Say what an experiment's conditions showed, a sentence each.

    Parameters
    ----------
    item
        An experiment of ``summary.json``.

    Returns
    -------
    list of str
        Sentences. Levels and what a teardown gives back; they are measurements, not verdicts.
    """
    sentences = []
    conditions = item["conditions"]
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
    if study.manifest["inputs"]["voice"] in ("tiny", "medium", "high"):
        sentences.append(
            "The voice is generated: a Piper voice's architecture and shapes with weights that say "
            "nothing. Memory follows the shapes."
        )
    if plan.max_characters is not None:
        sentences.append(
            f"A quick study: paragraphs of at most {plan.max_characters} characters, and one long "
            "one. Levels of a real book are higher."
        )
    return [*sentences, *study.damage]


def provenance(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was run on what, as pairs for a table. No path, host or user name is in it."""
    machine = manifest["machine"]
    inputs = manifest["inputs"]
    memory = machine["memory"] / 2**30
    return [
        ("command", without_paths(manifest["command"])),
        ("created", manifest["created"]),
        ("voice", f"{_leaf(inputs['voice'])}, sha256 {inputs['voice_hash'][:16]}"),
        ("recognizer", f"{_leaf(inputs['recognizer'])}, sha256 {inputs['recognizer_hash'][:16]}"),
        ("texts", ", ".join(f"{t['name']} ({t['paragraphs']})" for t in inputs["texts"])),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {memory:.0f} GiB"),
        ("system", f"{machine['system']} {machine['kernel']}, {machine['libc']}"),
        ("transparent huge pages", machine["transparent_hugepages"] or "unknown"),
        ("set for every run", ", ".join(f"{k}={v}" for k, v in manifest["environment"].items())),
        ("code", manifest["git"] or "an installed package"),
    ]


def _leaf(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
