"""Cures in words: what brings the peak under a limit, its price, and the plan for the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.report.text.format import DASH, number, size
from listen2lab.report.text.knobs import in_words
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.cure_records import Cure, CureLimit, Cures
    from listen2lab.study.plan import KnobValue

__all__ = [
    "AUDIO", "HEADS", "PLAN_HEADS", "Step", "how", "limit", "limits", "measured", "plan",
    "plan_lines", "price", "rows",
]  # fmt: skip

AUDIO = {
    "identical": "identical audio",
    "cuts": "audio that differs only where sentences are cut",
    "other": "other audio",
    "unknown": "audio that was not compared",
}
"""Each of `listen2lab.findings.cure_records.AudioDifference`."""


def limits(cures: Cures) -> list[str]:
    """Say for each limit what brings the peak under it; once, where it is the same."""
    of: dict[str, list[CureLimit]] = {}
    for found in cures.limits:
        of.setdefault(_best(cures, found), []).append(found)
    return [_sentence(found, best) for best, found in of.items()]


def limit(cures: Cures, found: CureLimit) -> str:
    """Say what brings the peak under a limit: what sounds the same, and the cheapest."""
    return _sentence([found], _best(cures, found))


def _sentence(limits: Sequence[CureLimit], best: str) -> str:
    title = " and ".join(f"under {each.name} ({size(each.mib * MIB)})" for each in limits)
    return f"U{title[1:]}: {best}."


def _best(cures: Cures, found: CureLimit) -> str:
    app = cures.cures[0]
    if found.already:
        return f"the app's own condition is, with a peak of {_mib(app.worst_mib)}"
    if found.cheapest is None:
        return "none of what was verified"
    best = found.cheapest if found.same_audio is None else found.same_audio
    cure = cures.cures[best]
    said = (
        f"{in_words(cure.knobs)} (peak {_mib(cure.worst_mib)}, end {_mib(cure.end_mib)}), at "
        f"{price(cure, app)}"
    )
    if found.cheapest == best:
        return f"{said}; it is also the cheapest"
    other = cures.cures[found.cheapest]
    return (
        f"{said}; the cheapest is {in_words(other.knobs)} (peak {_mib(other.worst_mib)}), at "
        f"{price(other, app)}"
    )


def measured(cures: Cures) -> str:
    """Say how the cures were measured."""
    verified = sum(each.is_verified for each in cures.cures)
    return (
        "Measured with durations and noise fixed, so that conditions differ in nothing else: "
        f"{len(cures.cures)} conditions, {verified} of them in several processes"
        + (
            "; those that were chosen once more with the app's own, random durations."
            if any(each.random_peak_mib is not None for each in cures.cures)
            else "."
        )
    )


def price(cure: Cure, app: Cure) -> str:
    """Say what a cure costs beside the app: CPU, load time, the first sound, and the audio."""
    said = []
    if cure.cpu_ratio is not None:
        said.append(_beside(100 * (cure.cpu_ratio - 1), 0, "% more CPU", "% less CPU", "equal CPU"))
    for mine, own, *words in (
        (cure.load_s, app.load_s, "s more to load", "s less to load", "equal time to load"),
        (
            *(cure.first_sound_s, app.first_sound_s),
            *(
                "s more to the first sound",
                "s less to the first sound",
                "equal time to the first sound",
            ),
        ),
    ):
        if mine is not None and own is not None:
            said.append(_beside(mine - own, 2, *words))
    return f"{', '.join(said) or 'an unknown amount'}, with {AUDIO[cure.audio]}"


def _beside(change: float, decimals: int, more: str, less: str, equal: str) -> str:
    amount = number(abs(change), decimals)
    if not float(amount):
        return equal
    return f"{amount} {more if change > 0 else less}"


class Step(NamedTuple):
    """One step of the plan for the fix, in words."""

    change: str
    peak: str
    end: str
    price: str
    how: str


PLAN_HEADS = ("", "change", "peak, MiB", "end, MiB", "price", "how")
"""Of the plan as a table: the number of a step, and what `Step` holds."""


def plan(cures: Cures) -> list[Step]:
    """Return the plan for the fix, in order."""
    app = cures.cures[0]
    return [
        Step(
            f"{_KINDS[step.kind]}: {in_words(cure.knobs)}",
            f"{_plain(app.worst_mib)} to {_plain(cure.worst_mib)}",
            f"{_plain(app.end_mib)} to {_plain(cure.end_mib)}",
            price(cure, app),
            how(cure.knobs),
        )
        for step in cures.plan
        for cure in [cures.cures[step.at]]
    ]


def plan_lines(cures: Cures) -> list[str]:
    """Return the plan for the fix, a numbered line a step."""
    return [
        f"{at}. {step.change}. Peak {step.peak} MiB, end {step.end} MiB. Price: {step.price}. "
        f"How: {step.how}."
        for at, step in enumerate(plan(cures), 1)
    ]


_KINDS = {
    "do": "Do",
    "further": "To go further",
    "instead": "If the voice's file must stay as it is",
}


def how(knobs: Mapping[str, KnobValue]) -> str:
    """Say how to do in the app what a condition does: command, option lines, code."""
    said = []
    if knobs.get("voice_graph") == "bounded":
        said.append(
            "`listen2lab voice bound VOICE --out DIR`, and ship DIR's model.onnx in the place of "
            "the voice's; app and engine stay as they are"
        )
    lines = [
        f"`{line}`"
        for name, line in (
            ("cpu_mem_arena", "EnableCpuMemArena=0"), ("mem_pattern", "EnableMemPattern=0"),
        )
        if knobs.get(name) is False
    ]  # fmt: skip
    if lines:
        said.append(
            f"give the provider as `cpu:FILE`, where FILE holds {' and '.join(lines)}, each in "
            "a line (sherpa-onnx 1.12.39 and later)"
        )
    for name, template in _HOW.items():
        if knobs.get(name) is not None:
            said.append(template.format(value=knobs[name]))
    return "; ".join(said) or "nothing"


_HOW = {
    "split_sentences_s": "before `generate()`, cut sentences above {value:g} s (some 12 characters "
    "a second) at commas, else at words, and synthesize the pieces one after the other",
    "session_every": "drop the `OfflineTts` and build it anew every {value} paragraphs",
    "recreate_after_s": "drop the `OfflineTts` and build it anew after a sentence above "
    "{value:g} s",
    "recognizer_loaded": "build the recognizer for each alignment and drop it afterwards",
}


def rows(cures: Cures) -> list[tuple[str, ...]]:
    """Return a table: condition, runs, peak, end, CPU, load, first sound, audio; the lowest last.

    The app comes first.
    """
    app, *others = cures.cures
    others.sort(key=lambda each: -(each.worst_mib or 0.0))
    return [
        (
            each.condition,
            str(each.complete),
            number(each.peak_mib, 0),
            number(each.end_mib, 0),
            DASH if each.random_peak_mib is None else number(each.random_peak_mib, 0),
            number(each.cpu_per_s, 3),
            DASH if each.cpu_ratio is None else f"{100 * (each.cpu_ratio - 1):+.0f} %",
            number(each.load_s, 2),
            number(each.first_sound_s, 2),
            each.audio,
        )
        for each in (app, *others)
    ]


HEADS = (
    "condition", "runs", "peak, MiB", "end, MiB", "peak, random", "CPU s a s", "beside the app",
    "load, s", "first sound, s", "audio",
)  # fmt: skip
"""Of `rows`."""


def _plain(mib: float | None) -> str:
    return DASH if mib is None else number(mib, 0)


def _mib(value: float | None) -> str:
    return DASH if value is None else size(value * MIB)
