"""H1: the engine's session holds memory until it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import (
    Ruling,
    average,
    decide,
    difference,
    doubt,
    evidence,
    known,
    mean_of,
)
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured

__all__ = ["HYPOTHESIS"]

_STOPPED = Where("stop-release", "app")
_INTERVALS = ("never", "every-10", "every-5", "every-1")
_NEVER, *_, _EVERY_1 = (Where("session-recreation", name) for name in _INTERVALS)
_BOTH, _NEITHER = (Where("session-options", name) for name in ("arena+pattern", "neither"))

_SENTENCES = {
    "phases-lacking": "The runs of stop-release lack their phases.",
    "session-recreated": "With a new session every paragraph memory at the end is "
    "{recreated:size} instead of {kept:size}: lower by {effect:effect}.",
    "session-dropped": "Stopping gives back {stopped:size}, dropping the session (with a trim) "
    "{dropped:effect}.",
    "session-dropped-only": "Stopping gives back nothing, dropping the session (with a trim) "
    "{dropped:effect}.",
    "contradict": "The two contradict each other.",
    "account-agrees": "An independent reading, the account of memory at the end of {experiment} / "
    "{condition}: {arena:size} are held by the engine for the longest sentence, and {models:size} "
    "are models as loaded, the recognizer's among them.",
    "by-interval": "Between steps, on average: {means:sizes} ({conditions}).",
    "peak-recreated": "The peak is {peaks:sizes} (never, every-1).",
    "without-options": "Without the engine's arena and memory pattern memory at the end is lower "
    "by {effect:effect}, and the peak {neither:size} instead of {both:size}.",
    "nature-open": "Leak or high-water mark: no series of the app's own condition decides it.",
    "nature-high-water": "It is a high-water mark and no leak: memory follows the longest sentence "
    "so far, and stays ({experiment}).",
    "nature-leak": "The verdict on the series is leak, which a high-water mark alone would not "
    "give: see its reasons before calling it either ({experiment}).",
    "nature-no-leak": "It is no leak: the verdict on the series is {verdict} ({experiment}).",
}


def _decide(m: Measured, worth: float) -> Ruling:
    lacks = m.lack(_NEVER, _EVERY_1), m.lack(_STOPPED)
    recreated = None if lacks[0] else difference(m.end(_NEVER), m.end(_EVERY_1))
    drop = m.fall(_STOPPED, "stopped", "trimmed")
    dropped = None if lacks[1] or len(drop) < 2 else mean_of(drop)
    main = recreated or dropped
    beside = (*_options(m), _nature(m))
    if main is None:
        lack = lacks[0] or lacks[1] or Notice("phases-lacking")
        return Ruling("inconclusive", (lack, *beside))
    because, used = [], []
    found = decide(main, worth)
    if recreated is not None:
        used += [_NEVER, _EVERY_1]
        ends = {"recreated": known(m.end(_EVERY_1)), "kept": known(m.end(_NEVER))}
        because.append(evidence("session-recreated", **ends, effect=recreated.values))
        if found == "inconclusive":
            because.append(doubt(recreated, worth))
    if dropped is not None:
        used.append(_STOPPED)
        stopped = average(m.fall(_STOPPED, "end", "stopped"))
        code = "session-dropped" if stopped > 0 else "session-dropped-only"
        because.append(evidence(code, stopped=known(stopped), dropped=dropped.values))
        if found == "supported" and decide(dropped, worth) == "refuted":
            found = "inconclusive"
            because.append(Notice("contradict"))
    explains, of = None, _STOPPED
    kept = m.fall(_STOPPED, "stopped", "created-again")
    if len(kept):  # what the app's session holds beyond a new one
        explains = max(0.0, average(kept))
    elif recreated is not None:
        explains, of = max(0.0, recreated.value), _NEVER
    because += [*_accounted(m, of), *_between_steps(m), *beside]
    return Ruling(found, tuple(because), tuple(used), main, explains, of)


def _accounted(m: Measured, where: Where) -> tuple[Notice, ...]:
    """Return what the engine holds in the end by the account, which knows nothing of any drop."""
    parts = m.parts(where)
    if not m.has_readings(where) or not {"engine arena", "models as loaded"} <= set(parts):
        return ()
    arena, models = (known(parts[name]) for name in ("engine arena", "models as loaded"))
    return (evidence("account-agrees", **where._asdict(), arena=arena, models=models),)


def _between_steps(m: Measured) -> tuple[Notice, ...]:
    """Return how recreation at other intervals fares, which the end does not show."""
    each = {name: m.between_steps(Where(_NEVER.experiment, name)) for name in _INTERVALS}
    there = [name for name, values in each.items() if len(values)]
    if len(there) < 3:
        return ()
    means = [average(each[name]) for name in there]
    found = evidence("by-interval", means=[*means], conditions=[*there])
    peaks = m.peak(_NEVER), m.peak(_EVERY_1)
    if not all(map(len, peaks)):
        return (found,)
    return found, evidence("peak-recreated", peaks=[average(x) for x in peaks])


def _options(m: Measured) -> tuple[Notice, ...]:
    """Return what the engine does without its arena and memory pattern."""
    if m.lack(_BOTH, _NEITHER) is not None:
        return ()
    effect = difference(m.end(_BOTH), m.end(_NEITHER))
    neither, both = known(m.peak(_NEITHER)), known(m.peak(_BOTH))
    return (evidence("without-options", effect=effect.values, neither=neither, both=both),)


def _nature(m: Measured) -> Notice:
    """Return whether what is held is a leak, by the verdict on the app's own condition."""
    where = m.deciding()
    if where is None:
        return Notice("nature-open")
    verdict = str(m.verdict(where))
    code = verdict if verdict in {"high-water", "leak"} else "no-leak"
    return evidence(f"nature-{code}", verdict=verdict, experiment=where.experiment)


HYPOTHESIS = Hypothesis(
    name="H1",
    claim="ONNX Runtime does not release memory: the session holds it until the session goes.",
    supported_when="a new session every paragraph lowers the level, and dropping the session "
    "gives the memory back (where only one of the two was run, it decides); the baseline's "
    "verdict tells a leak (grows at constant lengths) from a high-water mark (follows the "
    "longest input)",
    refuted_when="a new session every paragraph leaves the level unchanged",
    tested_by=("session-recreation", "stop-release", "session-options", "baseline"),
    predictions={
        "baseline": "the level after a teardown is far below the level before it",
        "session-recreation": "the more often the session is recreated, the lower the level "
        "between steps",
        "stop-release": "stopping changes nothing; dropping the session gives back most of the "
        "level",
        "utterance-length": "a shorter longest sentence means a lower level in the same session",
        "session-options": "without the arena the level between steps is a fraction; the peak "
        "stays",
    },
    decide=_decide,
    short="memory that the session keeps",
    cause="The engine's session keeps the working memory of what it spoke until the session goes",
    sentences=_SENTENCES,
)
