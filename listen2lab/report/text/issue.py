"""What an issue for a library's maintainers says of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.answers import answers
from listen2lab.report.text.cures import AUDIO
from listen2lab.report.text.findings import because
from listen2lab.report.text.format import DASH, number
from listen2lab.report.text.knobs import in_words
from listen2lab.report.text.study import change
from listen2lab.report.text.study import verdict as verdict_of

if TYPE_CHECKING:
    from listen2lab.findings.records import ConditionNumbers, Summary
    from listen2lab.study.plan import Experiment
    from listen2lab.study.records import Manifest

__all__ = ["asked", "asked_of_engine", "lowers", "ruled_out", "title", "verdict"]


def verdict(summary: Summary, numbers: ConditionNumbers, unit: str) -> str:
    """Say the verdict over all series where the study has one, else the condition's own."""
    if summary.answers is not None and summary.answers.leak.verdict is not None:
        return " ".join(answers(summary)["leak"])
    return verdict_of(numbers, unit)


def title(manifest: Manifest, nature: str, numbers: ConditionNumbers, item: Experiment) -> str:
    """Return the issue's title."""
    end = number(numbers.end_mib, 0)
    what = item.name
    if manifest.inputs.is_pipeline:
        version = manifest.setup.versions.get("sherpa-onnx", "?")
        what = f"OfflineTts (VITS), sherpa-onnx {version}"
    if nature == "leak":
        return f"{what}: memory grows with every {item.unit}"
    if nature == "high-water":
        return f"{what}: {end} MiB stay resident after the largest input, until the session goes"
    return f"{what}: {end} MiB resident, {nature}"


def ruled_out(summary: Summary) -> list[str]:
    """Say what was looked at and is not the cause: refuted claims, changes that change nothing."""
    said = [
        f"{each.claim} Refuted: {because(each)}"
        for each in summary.findings.values()
        if each.finding == "refuted"
    ]
    for name, item in summary.experiments.items():
        same = {
            condition: each
            for condition, each in item.contrasts.items()
            if each is not None and each.about == "level" and each.verdict == "unchanged"
        }
        if same:
            named = ", ".join(f"{condition} ({change(each)})" for condition, each in same.items())
            to = next(iter(same.values())).to
            said.append(
                f"{item.factor or 'condition'} ({name}): memory at the end differs too little from "
                f"that with {to} to matter with {named}."
            )
    return said


def lowers(summary: Summary) -> list[tuple[str, str, str, str, str]]:
    """Return a table for the engine's maintainers: what lowers it, end, peak, CPU and audio.

    Session options and, where cures were run, each of them; in MiB.
    """
    rows = []
    options = summary.experiments.get("session-options")
    for name, each in ({} if options is None else options.conditions).items():
        rows.append((name, number(each.end_mib, 0), number(each.peak_mib, 0), DASH, DASH))
    found = None if summary.answers is None else summary.answers.cures
    for cure in () if found is None else found.cures:
        ratio = DASH if cure.cpu_ratio is None else f"{100 * (cure.cpu_ratio - 1):+.0f} %"
        words = in_words(cure.knobs)
        rows.append(
            (words, number(cure.end_mib, 0), number(cure.peak_mib, 0), ratio, AUDIO[cure.audio])
        )
    return rows


def asked_of_engine(summary: Summary) -> list[str]:
    """Return what the maintainers of the engine could do, as far as this study shows it."""
    said = [
        (
            "Could arena and memory pattern be off by default for long sentences, as in Piper's "
            "own runtime, or fields of the configuration? Today a file as `cpu:FILE` for provider "
            "sets `EnableCpuMemArena=0` and `EnableMemPattern=0`."
        ),
        (
            "Could the arena be shrunk after a run (`memory.enable_memory_arena_shrinkage` of ONNX "
            "Runtime's RunOptions)? sherpa-onnx's Python interface does not reach it."
        ),
    ]
    found = None if summary.answers is None else summary.answers.cures
    bounded = [
        each
        for each in (() if found is None else found.cures)
        if set(each.knobs) == {"voice_graph"} and each.audio == "identical"
    ]
    for each in bounded[:1]:
        app = found.cures[0] if found is not None else each
        said.append(
            "Could the decoder be exported in windows (an ONNX `Loop` around it, and a Gather in "
            "the place of the product with the alignment's matrix)? The same samples, peak "
            f"{number(app.peak_mib, 0)} to {number(each.peak_mib, 0)} MiB here, without any change "
            "in the engine: `listen2lab voice bound VOICE --out DIR` rewrites a voice so."
        )
    return said


def asked(manifest: Manifest, nature: str, unit: str) -> list[str]:
    """Return the questions to the maintainers that the verdict leaves open."""
    if not manifest.inputs.is_pipeline:
        kept = "Is this growth expected, and is something kept for each call?"
        return [kept if nature == "leak" else "Is it expected that so much stays resident?"]
    if nature == "leak":
        return [
            f"Is something kept for each `generate()`, that is, for each {unit}?",
            "Which option or build would tell engine and binding apart?",
        ]
    if nature != "high-water":
        return ["Is it expected that so much stays resident, for such a model and such texts?"]
    return [
        "Is it intended that the session keeps the working memory of the longest sentence?",
        "Can it be given back without dropping the session, by shrinking ONNX Runtime's arena?",
        "Is there a recommended limit for the length of one sentence?",
    ]
