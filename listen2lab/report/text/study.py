"""A study in sentences: what each number says, for someone who has not seen the lab before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.experiment.inputs import GENERATED_VOICES
from listen2lab.report.text import verdicts
from listen2lab.report.text.command import rendered
from listen2lab.report.text.format import DASH, number, rate, rates
from listen2lab.report.text.notices import say
from listen2lab.report.text.surprises import surprises
from listen2lab.study.redact import leaf
from listen2lab.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from listen2lab.findings.records import ConditionContrast, ConditionNumbers, ExperimentSummary
    from listen2lab.study.data import StudyData
    from listen2lab.study.records import InputsRecord, Manifest, RunRecord

__all__ = [
    "PHASES", "THINNED", "called", "change", "change_parts", "conditions", "damage",
    "ended", "endings", "growth", "headline", "is_hidden", "leak_found", "limits", "provenance",
    "subject", "verdict", "verdict_parts", "versions",
]  # fmt: skip

PHASES = {
    "start": "interpreter",
    "import": "libraries imported",
    "setup": "set up, before the first step",
    "end": "after the last step, garbage collected and free pages given back",
    "stopped": "reading stopped, its caches cleared",
    "session-dropped": "the engine's session dropped",
    "trimmed": "free pages given back (malloc_trim)",
    "created-again": "a new session made",
    "released": "everything dropped, garbage collected and free pages given back",
}
"""Phases of a run, and what was done just before each reading."""

THINNED = (
    "A sample was read every {every} steps, so that reading costs little; what happens within such "
    "a stretch is summed."
)
"""Said of long runs."""

_SHAPES = {
    "high-water": ("A high-water mark:", "memory follows the largest input so far, and stays."),
    "plateau": ("A plateau:", "memory rose and then settled."),
    "baseline": ("A baseline:", "flat from the first measured {unit}."),
    "sawtooth": (
        "A sawtooth:",
        "memory is cleared again and again, and comes back to the same floor.",
    ),
}


def called(numbers: ConditionNumbers) -> str:
    """Return a verdict in a word or three: a leak that only live objects show says so."""
    if any(name in numbers.grew for name in _OUTSIDE):
        return "leak outside"
    if is_hidden(numbers):
        return "leak of objects" if "python-objects" in numbers.grew else "leak of live memory"
    return numbers.verdict


def is_hidden(numbers: ConditionNumbers) -> bool:
    """Return whether a leak shows in live objects or bytes, and not in resident memory."""
    anonymous = numbers.quantities.get("anonymous")
    return numbers.verdict == "leak" and anonymous is not None and anonymous.verdict != "leak"


def verdict(numbers: ConditionNumbers, unit: str) -> str:
    """Say what memory did, in a sentence or two."""
    return " ".join(verdict_parts(numbers, unit))


def verdict_parts(numbers: ConditionNumbers, unit: str) -> tuple[str, str]:
    """Return the name of the shape, and what is said of it; see `verdict`."""
    if not numbers.n_complete:
        return "No complete run,", "so there is nothing to judge."
    sure = f"confidence: {verdicts.confidence(numbers.confidence, numbers.reasons)}."
    beside = [name for name in _OUTSIDE if name in numbers.grew]
    if numbers.verdict == "leak" and beside:
        return "Leak:", f"{_OUTSIDE[beside[0]](numbers.rate_of(beside[0]), unit)}; {sure}"
    if is_hidden(numbers):
        is_objects = "python-objects" in numbers.grew
        grows = numbers.rate_of("python_blocks" if is_objects else "in_use")
        what = f"{grows:,.3g} live Python blocks" if is_objects else rate(grows)
        return "Leak:", (
            f"{what} a {unit} more that is never freed, too little so far to show in resident "
            f"memory; {sure}"
        )
    if numbers.verdict == "leak":
        bounds = numbers.rate_interval_kib_per_step or ()
        leaked, *between = rates([(x or 0.0) * KIB for x in (numbers.rate_kib_per_step, *bounds)])
        interval = f" (95 % between {between[0]} and {between[1]})" if between else ""
        return "Leak:", f"{leaked} a {unit}{interval}; {sure}"
    if numbers.verdict == "inconclusive":
        first = next(iter(numbers.reasons), "")
        return "Inconclusive.", verdicts.why(first, numbers, unit)
    title, shape = _SHAPES[numbers.verdict]
    if numbers.verdict == "high-water" and unit == "paragraph" and numbers.largest_input:
        longest = number(numbers.largest_input, 0)
        shape = f"memory follows the longest sentence so far ({longest} s), and stays."
    bound = ""
    if (hidden := numbers.upper_kib_per_step) is not None and hidden > 0:
        bound = f" It could still leak up to {_kib(hidden)} a {unit} unseen."
    return title, f"{shape.format(unit=unit)}{bound} {sure.capitalize()}"


def growth(numbers: ConditionNumbers) -> tuple[str, str]:
    """Return growth in KiB a step and its bounds, for cells: none where the verdict denies it.

    Examples
    --------
    >>> from listen2lab.findings.records import ConditionNumbers
    >>> growth(ConditionNumbers(verdict="high-water", upper_kib_per_step=374.1))
    ('none', 'above 374')
    """
    if numbers.verdict in ("leak", "inconclusive"):
        if is_hidden(numbers) and "python-objects" in numbers.grew:
            return f"{numbers.rate_of('python_blocks'):,.3g}", "objects"
        value, bounds = numbers.rate_kib_per_step, numbers.rate_interval_kib_per_step
        if is_hidden(numbers):
            value, bounds = numbers.rate_of("in_use") / KIB, None
        return number(
            value
        ), "" if bounds is None else f"[{number(bounds[0])}, {number(bounds[1])}]"
    if not numbers.n_complete and numbers.upper_kib_per_step is None:
        return DASH, ""
    hidden = max(numbers.upper_kib_per_step or 0.0, 0.0)
    return "none", f"above {hidden:,.3g}" if hidden < 100 else f"above {hidden:,.0f}"


def leak_found(name: str, numbers: ConditionNumbers, owner: tuple[str, str, float] | None) -> str:
    """Say what a failing leak check found: verdict, rate, interval, and who allocated most."""
    lines = [f"{name}: {verdict(numbers, 'step')}"]
    if owner is not None:
        who, line, grown = owner
        lines.append(
            f"First owner: {who}, at {line}: {number(grown)} MiB more over the last half of the "
            "steps (traced)."
        )
    complete = numbers.runs["complete"]
    lines.append(
        f"{complete} fresh processes of {numbers.steps} steps; to look further: "
        f"lab.watch({name}, steps={numbers.steps}, trace=True).report()"
    )
    return "\n".join(lines)


_OUTSIDE: dict[str, Callable[[float, str], str]] = {
    "children": lambda grown, unit: f"child processes hold {rate(grown)} more with each {unit}",
    "shm_files": lambda grown, unit: (
        f"files in shared memory hold {rate(grown)} more with each {unit}, outside of any process"
    ),
    "descriptors": lambda grown, unit: f"{grown:,.3g} open descriptors more with each {unit}",
    "threads": lambda grown, unit: f"{grown:,.3g} threads more with each {unit}",
}


def _kib(value: float | None) -> str:
    return rate(None if value is None else value * KIB)


def conditions(experiment: str, item: ExperimentSummary) -> list[tuple[str, str]]:
    """Say what an experiment's conditions showed, and why where that may surprise."""
    said, surprising = [], surprises(experiment, item)
    for name, numbers in item.conditions.items():
        if not numbers.n_complete:
            said.append((name, verdict(numbers, item.unit)))
            continue
        end = f"Ends at {number(numbers.end_mib)} MiB"
        if numbers.released_mib is not None and numbers.end_mib is not None:
            given_back = numbers.end_mib - numbers.released_mib
            end += f", of which a teardown gives back {number(given_back)}"
        parts = [f"{verdict(numbers, item.unit)} {end}."]
        if (difference := item.contrasts.get(name)) is not None:
            parts.append(_against(name, difference))
        parts += [surprising[name]] if name in surprising else []
        said.append((name, " ".join(parts)))
    return said


def _against(name: str, difference: ConditionContrast) -> str:
    amount, interval, first = (
        difference.end_difference_mib, difference.end_interval_mib, difference.to,
    )  # fmt: skip
    way = "above" if amount > 0 else "below"
    apart, bounds = f"{number(abs(amount))} MiB {way}", ""
    if interval is not None:
        low, high = interval if amount > 0 else (-interval[1], -interval[0])
        other = {"above": "below", "below": "above"}[way]
        start = number(low) if low >= 0 else f"from {number(-low)} {other}"
        bounds = f" (95 %: {start} to {number(high)} {way})"
    if difference.about == "rate":
        return f"It ends {apart} {first}{bounds}. {verdicts.contrast(name, difference)}"
    if difference.verdict == "unchanged":
        return f"It ends as {first} does: {apart}{bounds}, a difference too small to matter."
    if difference.verdict == "inconclusive":
        return f"Whether it ends above or below {first} is not known: {apart}{bounds}."
    return f"It ends {apart} {first}{bounds}."


def change(difference: ConditionContrast) -> str:
    """Say a difference at the end in a few words."""
    amount, bounds = change_parts(difference)
    return f"{amount} MiB {bounds}".rstrip()


def change_parts(difference: ConditionContrast) -> tuple[str, str]:
    """Return a difference at the end in MiB and its interval, for a cell of a table."""
    interval = difference.end_interval_mib
    bounds = "" if interval is None else f"[{interval[0]:+,.1f}, {interval[1]:+,.1f}]"
    return f"{difference.end_difference_mib:+,.1f}", bounds


def headline(item: ExperimentSummary) -> str:
    """Say an experiment's result in a line: verdicts, ends, and the largest sure difference."""
    complete = {name: n for name, n in item.conditions.items() if n.n_complete}
    if not complete:
        return "No complete run."
    by_verdict: dict[str, list[str]] = {}
    for name, n in complete.items():
        by_verdict.setdefault(called(n), []).append(name)
    ranked = sorted(by_verdict.items(), key=lambda pair: -len(pair[1]))
    summed = ", ".join(
        f"{len(names)} {what}" if len(names) > _MOST_LISTED else f"{what}: {', '.join(names)}"
        for what, names in ranked
    )
    said = [ranked[0][0].capitalize() if len(ranked) == 1 else summed]
    ends = [n.end_mib for n in complete.values() if n.end_mib is not None]
    if ends:
        low, high = number(min(ends)), number(max(ends))
        said.append(f"{low} MiB" if low == high else f"{low} to {high} MiB")
    sure = [
        (name, c) for name, c in item.contrasts.items() if c and c.verdict in ("reduced", "worse")
    ]
    if sure:
        name, most = max(sure, key=lambda pair: abs(pair[1].end_difference_mib))
        way = "above" if most.end_difference_mib > 0 else "below"
        said.append(
            f"furthest apart: {name}, {number(abs(most.end_difference_mib))} MiB {way} {most.to}"
        )
    elif any(item.contrasts.values()):
        said.append("no difference is sure")
    left = len(item.conditions) - len(complete)
    if left:
        said.append(f"{left} without a complete run")
    return "; ".join(said) + "."


_MOST_LISTED = 2  # conditions of one verdict that a headline names


def ended(record: RunRecord) -> str:
    """Say how a run ended that was not complete."""
    why = "" if record.why is None else say(record.why)
    outcome = _outcome(record.outcome, record.last_step)
    return ": ".join(part for part in (outcome, why, record.message) if part)


def _outcome(outcome: str, step: float | None) -> str:
    """Return how a run ended: of one that crashed, after which step."""
    is_known = outcome == "crashed" and step is not None and step == step  # noqa: PLR0124 - NaN
    return f"{outcome} after step {step:.0f}" if is_known else outcome


def endings(runs: pd.DataFrame) -> list[str]:
    """Say of each run that did not end well how it ended, and at which step."""
    said = []
    for row in runs[runs["outcome"] != "complete"].to_dict("records"):
        key = f"{row['experiment']}/{row['condition']}"
        repeat = "traced" if row["traced"] else row["repeat"]
        why = say(row["why"]) if row["why"] is not None else ""
        parts = [f"{key}/{repeat}", _outcome(row["outcome"], row["last_step"]), why, row["message"]]
        said.append(": ".join(str(part) for part in parts if part))
    return said


def damage(study: StudyData) -> list[str]:
    """Say what of a study could not be read, and is left out."""
    return [say(notice) for notice in study.damage]


def limits(study: StudyData) -> list[str]:
    """Say what this study cannot tell."""
    sentences = []
    plan = study.plan
    if plan.repeats < 3:
        sentences.append(f"{plan.repeats} repeats a condition: too few to see them agree.")
    if study.manifest.inputs.voice in GENERATED_VOICES:
        sentences.append(
            "The voice is generated: a Piper voice's architecture and shapes with weights that say "
            "nothing. Memory follows the shapes."
        )
    if plan.max_characters is not None and plan.longest_characters is not None:
        sentences.append(
            f"A quick study: paragraphs of at most {plan.max_characters} characters, and one of at "
            f"most {plan.longest_characters}. A book's sentences are longer, and hold more."
        )
    elif plan.max_characters is not None:
        sentences.append(
            f"Short paragraphs, of at most {plan.max_characters} characters, but for the book's "
            "longest: what grows with each paragraph is less than in a whole book."
        )
    return [*sentences, *damage(study)]


def subject(inputs: InputsRecord) -> str:
    """Return what was run, in a few words: a voice, or the name of a workload's file."""
    if inputs.workload is not None:
        return f"workload {leaf(inputs.workload)}"
    voice = leaf(inputs.voice or "")
    return f"voice {voice}" if voice and not voice.startswith("(") else "a voice of one's own"


def versions(manifest: Manifest) -> dict[str, str]:
    """Return the versions that matter: of a workload of one's own, without the engine's."""
    found = manifest.setup.versions
    if manifest.inputs.is_pipeline:
        return found
    return {name: version for name, version in found.items() if "onnx" not in name}


def provenance(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what was run on what, as pairs for a table; of a path, its last part."""
    inputs, setup = manifest.inputs, manifest.setup
    machine = setup.machine
    texts = ", ".join(f"{text.name} ({text.paragraphs})" for text in inputs.texts)
    said = versions(manifest).items()
    models = (
        ("voice", inputs.voice, inputs.voice_hash),
        ("recognizer", inputs.recognizer, inputs.recognizer_hash),
        ("workload", inputs.workload, inputs.workload_hash),
    )
    rows = [
        ("command", "unknown" if manifest.call is None else rendered(manifest.call, manifest.plan)),
        ("created", manifest.created),
        *(
            (what, f"{leaf(name)}, sha256 {(digest or 'unknown')[:16]}")
            for what, name, digest in models
            if name is not None
        ),
        *([("texts", texts)] if texts else []),
        ("versions", ", ".join(f"{name} {version}" for name, version in said)),
        ("machine", f"{machine.cpu}, {machine.cores} cores, {machine.memory / 2**30:.0f} GiB"),
    ]
    if len(manifest.machines) > 1:
        rows += [
            (label, f"{each.machine.cpu}, {each.machine.cores} cores")
            for label, each in manifest.machines.items()
        ]
    return [
        *rows,
        ("system", f"{machine.system} {machine.kernel}, {machine.libc}"),
        ("transparent huge pages", machine.transparent_hugepages or "unknown"),
        ("set for every run", ", ".join(f"{k}={v}" for k, v in setup.environment.items())),
        ("code", setup.git or "an installed package"),
    ]
