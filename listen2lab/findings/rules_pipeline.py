"""The rules about what the app itself keeps: audio, alignments, caches, syntheses in flight.

As those of `listen2lab.findings.rules_engine`. Levels are compared at the same longest sentence
(`Measured.level_at_same_length`): what is looked for here is small beside what a draw of the
durations does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from listen2lab.findings.effects import (
    UNACCOUNTED,
    Effect,
    Ruling,
    average,
    decide,
    difference,
    doubt,
    lowers,
    size,
    span,
)
from listen2lab.findings.measured import Where
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.findings.effects import FindingName
    from listen2lab.findings.measured import Measured

__all__ = ["alignment_held", "audio_retained", "caches_too_large", "several_at_once"]

_RETAINS, _DROPS = (Where("audio-retention", name) for name in ("retains", "drops"))
_SKIPPED = Where("audio-retention", "retains-skips")
_ON, _OFF, _LOADED = (Where("alignment", name) for name in ("on", "off", "loaded-but-unused"))
_NO_CACHE, _UNBOUNDED = (Where("alignment-cache", name) for name in ("0", "unbounded"))
_ONE, _TWO, _ALL = (Where("cache-size", name) for name in ("1", "2", "unbounded"))
_SINGLE = Where("concurrency", "1")
_CACHED = ("audio_cache", "alignments")


def audio_retained(m: Measured, worth: float) -> Ruling:
    """H2: the player, or what refers to it, retains audio."""
    lack = m.lack(_RETAINS, _DROPS)
    if lack is not None:
        path = () if m.held(_RETAINS) is None else (_path(m),)
        return Ruling("inconclusive", None, _held_by_player(m), (lack, *path), ())
    # Read with skips, the longest paragraph may be made twice, which hides what is looked for.
    effect = difference(m.level_at_same_length(_RETAINS), m.level_at_same_length(_DROPS))
    audio = average(m.component(_RETAINS, "player"))
    n_read = m.n_read(_RETAINS)
    holds = _held_by_player(m) or 0.0
    each = audio / n_read
    because = [
        (
            f"Where the player retains what was scheduled, {n_read:.0f} paragraphs leave "
            f"{size(audio)} of audio with it; at the same longest sentence the level is higher by "
            f"{span(effect)} than where it drops it."
        ),
    ]
    found = decide(effect, worth)
    low, high = effect.interval or (-math.inf, math.inf)
    fits = audio > 0 and (low <= audio <= high or audio / 2 <= effect.value <= 2 * audio)
    if found == "supported" and not fits:
        found = "inconclusive"
        because.append("That is not what the audio weighs, so something else differs as well.")
    elif fits and (found == "refuted" or (low > 0 and effect.value < worth)):
        found = "inconclusive"
        because.append(
            f"It {'is' if low > 0 else 'may be'} the audio's weight, but in so few "
            f"paragraphs that is less than the "
            f"{size(worth)} worth acting on: `listen2lab run audio-retention --steps "
            f"{_round_up(2 * worth / each)}` reads enough of them."
        )
    elif found == "inconclusive":
        because.append(doubt(effect, worth))
    if each > 0:
        because.append(
            f"The app's own player, as modelled here, drops it and holds {size(holds)}. One that "
            f"retains costs {size(each)} a paragraph: {UNACCOUNTED / each:,.0f} paragraphs would "
            f"hold {size(UNACCOUNTED)}."
        )
    because.append(_path(m))
    if m.lack(_SKIPPED, needed=1) is None:
        skipped = average(m.component(_SKIPPED, "player"))
        because.append(f"Read with skips, it retains {size(skipped)}.")
    return Ruling(found, effect, holds, tuple(because), (_RETAINS, _DROPS))


def _held_by_player(m: Measured) -> float | None:
    """Return what the player holds in the app's own condition."""
    return _held_in_app(m, "player")


def _held_in_app(m: Measured, *names: str) -> float | None:
    where = m.reference()
    held = np.empty(0) if where is None else m.component(where, *names)
    return average(held) if len(held) else None


def _path(m: Measured) -> str:
    """Say by which path the player holds the audio, as the traced run has found it."""
    held = m.held(_RETAINS)
    if held is None:
        return (
            f"Which path holds it is not known: {_RETAINS} has no traced run (`listen2lab run "
            "audio-retention` traces it)."
        )
    by_player = held[held["holder"].str.contains("player", regex=False)]
    if by_player.empty:
        return f"In the traced run of {_RETAINS} none of the largest buffers is held by the player."
    first = by_player.iloc[0]
    n_all = int(held["buffers"].sum())
    return (
        f"The traced run of {_RETAINS} shows the path to it: `{first['holder']}` holds "
        f"{first['buffers']} of the {n_all} largest buffers, {size(first['bytes'])} together, the "
        f"largest as `{first['example']}`."
    )


def _round_up(steps: float) -> int:
    return math.ceil(steps / 10) * 10


def alignment_held(m: Measured, worth: float) -> Ruling:
    """H3: alignments accumulate, or the recognizer stays loaded: two findings."""
    grown, told_growth, used_growth = _accumulation(m, worth)
    lack = m.lack(_ON, _OFF)
    if lack is not None:
        alone: FindingName = "inconclusive"
        if grown is not None and decide(grown, worth) == "supported":
            alone = "supported"
        return Ruling(alone, grown, None, (*told_growth, lack), used_growth)
    constant = difference(m.level_at_same_length(_ON), m.level_at_same_length(_OFF))
    held = decide(constant, worth)
    model = average(m.at(_ON, "setup")) - average(m.at(_OFF, "setup"))
    told = f"Resident model: the level is higher by {span(constant)} with alignment than without"
    told += f"; the recognizer adds {size(model)} when it is loaded"
    if m.lack(_LOADED) is None:
        unused = difference(m.level_at_same_length(_LOADED), m.level_at_same_length(_OFF))
        told += f", and loaded but unused {span(unused)} in the end"
    because = [
        f"{told}: {held}.",
        *([doubt(constant, worth)] if held == "inconclusive" else ()),
        *told_growth,
        ("The app's recognizer is a file of 44 MB and the lab's is smaller: expect more there."),
    ]
    grows = "inconclusive" if grown is None else decide(grown, worth)
    low = constant.interval[0] if constant.interval else 0.0
    counted = m.component(_ON, "alignments", "service_cache", "trellis")
    explains = constant.value if low > 0 else max(0.0, model) + average(counted)
    used = tuple(dict.fromkeys((_ON, _OFF, _LOADED, *used_growth)))
    effect = grown if grown is not None and grows == "supported" else constant
    found: FindingName = "inconclusive"
    if "supported" in {grows, held}:
        found = "supported"
    elif grows == held == "refuted":
        found = "refuted"
    return Ruling(found, effect, explains, tuple(because), used, _ON)


def _accumulation(
    m: Measured, worth: float
) -> tuple[Effect | None, tuple[str, ...], tuple[Where, ...]]:
    """Return what alignments add over a reading, a sentence about it, and the conditions."""
    lack = m.lack(_NO_CACHE, _UNBOUNDED)
    if lack is None:
        grown = difference(m.level(_UNBOUNDED), m.level(_NO_CACHE))
        held = average(m.component(_UNBOUNDED, "service_cache"))
        n = m.steps(_UNBOUNDED)
        told = (
            f"Accumulation: after {n} short paragraphs an unbounded cache of alignments holds "
            f"{size(held)}; the level differs by {span(grown)} from that without a cache: "
            f"{decide(grown, worth)}."
        )
        return grown, (told,), (_NO_CACHE, _UNBOUNDED)
    rates = [m.numbers.get(w.experiment, {}).get(w.condition, {}) for w in (_ON, _OFF)]
    if m.lack(_ON, _OFF) is not None or any(each.get("rate_interval") is None for each in rates):
        return None, (f"Accumulation: not known. {lack}",), ()
    n = m.steps(_ON)
    value = (rates[0]["rate_kib_per_step"] - rates[1]["rate_kib_per_step"]) * KIB * n
    halves = [(each["rate_interval"][1] - each["rate_interval"][0]) / 2 for each in rates]
    half = math.hypot(*halves) * KIB * n
    grown = Effect(value, (value - half, value + half), agree=True)
    told = (
        f"Accumulation: over {n} paragraphs, growth with alignment less that without is "
        f"{span(grown)}: {decide(grown, worth)}."
    )
    return grown, (told,), (_ON, _OFF)


def caches_too_large(m: Measured, worth: float) -> Ruling:
    """H4: the queue's caches of audio and alignments are too large."""
    lack = m.lack(_ONE, _TWO, _ALL)
    if lack is not None:
        return Ruling("inconclusive", None, _held_in_app(m, *_CACHED), (lack,), ())
    effect = difference(m.level_at_same_length(_ALL), m.level_at_same_length(_TWO))
    smaller = difference(m.level_at_same_length(_TWO), m.level_at_same_length(_ONE))
    held, all_held = (average(m.component(w, *_CACHED)) for w in (_TWO, _ALL))
    most = max(m.component(_TWO, *_CACHED, largest=True), default=held)
    because = [
        (
            f"A cache of two, as the app's, holds {size(held)} in the end and never more than "
            f"{size(most)}. An unbounded one holds {size(all_held)} after {m.steps(_ALL)} "
            f"paragraphs; its level differs by {span(effect)}."
        )
    ]
    if smaller.interval is not None and smaller.interval[1] < 0:
        because.append(
            f"With a cache of one the level is higher by {size(-smaller.value)}, not lower: the "
            "paragraph made ahead is evicted at once and made again, in another length, for which "
            "the engine keeps memory too. That is no evidence for large caches."
        )
    else:
        because.append(f"A cache of one {lowers(smaller, worth)}.")
    because += _cleared(m, worth)
    found: FindingName
    if most < worth and decide(smaller, worth) == "refuted":
        found = "refuted"
    elif held >= worth and decide(effect, worth) == "supported":
        found = "supported"
    else:
        found = "inconclusive"
        because.append(doubt(smaller if most < worth else effect, worth))
    return Ruling(found, effect, held, tuple(because), (_ONE, _TWO, _ALL), _TWO)


def _cleared(m: Measured, worth: float) -> list[str]:
    nothing, clear = (Where("force-clear", name) for name in ("nothing", "clear"))
    if m.lack(nothing, clear) is not None:
        return []
    change = difference(m.level_at_same_length(nothing), m.level_at_same_length(clear))
    return [f"Clearing both caches after each eviction {lowers(change, worth)}."]


def several_at_once(m: Measured, worth: float) -> Ruling:
    """H5: several syntheses run at once."""
    shared, each = (Where("concurrency", f"3-{kind}") for kind in ("shared", "each"))
    present = [where for where in (shared, each) if m.lack(where) is None]
    lack = m.lack(_SINGLE) or (None if present else m.lack(shared))
    if lack is not None:
        return Ruling("inconclusive", None, 0.0, (lack,), ())
    one = m.level_at_same_length(_SINGLE)
    effects = {where: difference(m.level_at_same_length(where), one) for where in present}
    because = []
    for where, effect in effects.items():
        kind = "sharing one session" if where == shared else "with a session each"
        peak = average(m.peak(where)) - average(m.peak(_SINGLE))
        because.append(
            f"Three in flight {kind}: the level is higher by {span(effect)} than with one, the "
            f"peak by {size(peak)}: {decide(effect, worth)}."
        )
    decisions = {where: decide(effect, worth) for where, effect in effects.items()}
    raised = [where for where in present if decisions[where] == "supported"]
    open_ones = [where for where in present if decisions[where] == "inconclusive"]
    chosen = max(raised or open_ones or present, key=lambda where: effects[where].value)
    found: FindingName = "supported" if raised else "inconclusive" if open_ones else "refuted"
    if found == "inconclusive":
        because += [doubt(effects[where], worth) for where in open_ones[:1]]
    because.append(
        "The app's lock lets one run, so this explains nothing unless several do: after a cancel, "
        "which lets every waiter go on, or in revisions without the lock."
    )
    return Ruling(found, effects[chosen], 0.0, tuple(because), (_SINGLE, *present))
