"""H4: the queue's caches of audio and alignments are too large.

Memory is compared at the same longest sentence, as for H3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import (
    LOWERS,
    Effect,
    Ruling,
    decide,
    difference,
    doubt,
    evidence,
    known,
    lowers,
)
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName
    from listen2lab.notice import Notice

__all__ = ["HYPOTHESIS"]

_ONE, _TWO, _ALL = (Where("cache-size", name) for name in ("1", "2", "unbounded"))
_NOTHING, _CLEAR = (Where("force-clear", name) for name in ("nothing", "clear"))
_CACHED = ("audio_cache", "alignments")

_SENTENCES = {
    "caches-hold": "A cache of two, as the app's, holds {held:size} in the end and never more than "
    "{most:size}. An unbounded one holds {unbounded:size} after {paragraphs:count} paragraphs; its "
    "memory at the end differs by {effect:effect}.",
    "cache-of-one-is-higher": "With a cache of one memory at the end is higher by {more:size}, not "
    "lower: the paragraph made ahead is evicted at once and made again, in another length, for "
    "which the engine keeps memory too. That is no evidence for large caches.",
    **{f"cache-of-one-{way}": f"A cache of one {words}." for way, words in LOWERS.items()},
    **{
        f"cleared-{way}": f"Clearing both caches after each eviction {words}."
        for way, words in LOWERS.items()
    },
}


def _decide(m: Measured, worth: float) -> Ruling:
    lack = m.lack(_ONE, _TWO, _ALL)
    if lack is not None:
        return Ruling("inconclusive", (lack,), explains=m.held_in_app(*_CACHED))
    one, two, unbounded = (m.end_at_same_length(where) for where in (_ONE, _TWO, _ALL))
    effect, smaller = difference(unbounded, two), difference(two, one)
    held = float(m.component(_TWO, *_CACHED).mean())
    most = float(max(m.component(_TWO, *_CACHED, largest=True), default=held))
    because = [
        evidence(
            "caches-hold",
            held=held,
            most=most,
            unbounded=known(m.component(_ALL, *_CACHED)),
            paragraphs=m.steps(_ALL),
            effect=effect.values,
        ),
        _cache_of_one(smaller, worth),
    ]
    if m.lack(_NOTHING, _CLEAR) is None:
        change = difference(m.end_at_same_length(_NOTHING), m.end_at_same_length(_CLEAR))
        because.append(lowers("cleared", change, worth))
    found: FindingName = "inconclusive"
    if most < worth and decide(smaller, worth) == "refuted":
        found = "refuted"
    elif held >= worth and decide(effect, worth) == "supported":
        found = "supported"
    else:
        because.append(doubt(smaller if most < worth else effect, worth))
    return Ruling(found, tuple(because), (_ONE, _TWO, _ALL), effect, held, _TWO)


def _cache_of_one(smaller: Effect, worth: float) -> Notice:
    if smaller.interval is not None and smaller.interval[1] < 0:
        return evidence("cache-of-one-is-higher", more=-smaller.value)
    return lowers("cache-of-one", smaller, worth)


HYPOTHESIS = Hypothesis(
    name="H4",
    claim="The caches are too large.",
    supported_when="an unbounded cache holds more than one of two entries, by the bytes of the "
    "audio and alignments in it, and those of two entries are worth acting on",
    refuted_when="what the caches hold as the app sets them is never worth acting on, and a "
    "cache of one does not lower the level",
    tested_by=("cache-size", "force-clear"),
    predictions={
        "cache-size": "1, 2 and unbounded differ by the bytes of the audio and alignments they "
        "keep",
        "force-clear": "clear lowers the level by what the caches held",
    },
    decide=_decide,
    short="large caches",
    cause="The caches of audio and alignments",
    sentences=_SENTENCES,
)
