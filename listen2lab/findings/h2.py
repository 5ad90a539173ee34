"""H2: the player, or what refers to it, retains audio."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from listen2lab.findings.effects import (
    UNACCOUNTED,
    Effect,
    Ruling,
    average,
    decide,
    difference,
    doubt,
    evidence,
    known,
)
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName

__all__ = ["HYPOTHESIS"]

_RETAINS, _DROPS, _SKIPPED = (
    Where("audio-retention", name) for name in ("retains", "drops", "retains-skips")
)

_PLAYER = re.compile(r"(?:^|[.\[\]])_*player_*(?:$|[.\[\]])")
"""The pipeline's player, as a part of a path."""

_SENTENCES = {
    "player-retains": "Where the player retains what was scheduled, {paragraphs:count} paragraphs "
    "leave {audio:size} of audio with it; at the same longest sentence memory at the end is higher "
    "by {effect:effect} than where it drops it.",
    "not-the-audio": "That is not what the audio weighs, so something else differs as well.",
    "is-the-audio-but-little": "It is the audio's weight, but in so few paragraphs that is less "
    "than the {worth:size} worth acting on: `listen2lab run audio-retention --steps {steps}` reads "
    "enough of them.",
    "may-be-the-audio": "It may be the audio's weight, but in so few paragraphs that is less than "
    "the {worth:size} worth acting on: `listen2lab run audio-retention --steps {steps}` reads "
    "enough of them.",
    "audio-a-paragraph": "The app's own player, as modelled here, drops it and holds {held:size}. "
    "One that retains costs {each:size} a paragraph: {paragraphs:count} paragraphs would hold "
    "{unaccounted:size}.",
    "no-trace-of-path": "Which path holds it is not known: {experiment} / {condition} has no "
    "traced run (`listen2lab run {experiment}` traces it).",
    "path-not-player": "In the traced run of {experiment} / {condition} none of the largest "
    "buffers is held by the player.",
    "path-of-player": "The traced run of {experiment} / {condition} shows the path to it: "
    "`{holder}` holds {buffers} of the {of} largest buffers, {bytes:size} together, the largest as "
    "`{path}`.",
    "retained-with-skips": "Read with skips, it retains {audio:size}.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    in_app = m.held_in_app("player")
    lack = m.lack(_RETAINS, _DROPS)
    if lack is not None:
        path = () if m.held(_RETAINS) is None else (_path(m),)
        return Ruling("inconclusive", (lack, *path), explains=in_app)
    # Read with skips, the longest paragraph may be made twice, which hides what is looked for.
    effect = difference(m.end_at_same_length(_RETAINS), m.end_at_same_length(_DROPS))
    audio = average(m.component(_RETAINS, "player"))
    n_read = m.n_read(_RETAINS)
    each = audio / n_read
    holds = in_app or 0.0
    found, doubts = _weighed(effect, audio, each, worth)
    because = [
        evidence("player-retains", paragraphs=n_read, audio=known(audio), effect=effect.values),
        *doubts,
    ]
    if each > 0:
        values = {"held": holds, "each": each, "unaccounted": UNACCOUNTED}
        because.append(evidence("audio-a-paragraph", **values, paragraphs=UNACCOUNTED / each))
    because.append(_path(m))
    if m.lack(_SKIPPED, needed=1) is None:
        skipped = known(m.component(_SKIPPED, "player"))
        because.append(evidence("retained-with-skips", audio=skipped))
    return Ruling(found, tuple(because), (_RETAINS, _DROPS), effect, holds)


def _weighed(
    effect: Effect, audio: float, each: float, worth: float
) -> tuple[FindingName, list[Notice]]:
    """Decide by whether the effect is what the audio weighs; say why it does not decide."""
    found = decide(effect, worth)
    low, high = effect.interval or (-math.inf, math.inf)
    fits = audio > 0 and (low <= audio <= high or audio / 2 <= effect.value <= 2 * audio)
    if found == "supported" and not fits:
        return "inconclusive", [Notice("not-the-audio")]
    if fits and (found == "refuted" or (low > 0 and effect.value < worth)):
        code = "is-the-audio-but-little" if low > 0 else "may-be-the-audio"
        steps = math.ceil(2 * worth / each / 10) * 10
        return "inconclusive", [evidence(code, worth=worth, steps=steps)]
    return found, [doubt(effect, worth)] if found == "inconclusive" else []


def _path(m: Measured) -> Notice:
    """Return by which path the player holds the audio, as the traced run has found it."""
    where: dict[str, Any] = _RETAINS._asdict()
    held = m.held(_RETAINS)
    if held is None:
        return Notice("no-trace-of-path", where)
    by_player = held[held["holder"].str.contains(_PLAYER)]
    if by_player.empty:
        return Notice("path-not-player", where)
    first = by_player.iloc[0]
    return evidence(
        "path-of-player",
        **where,
        holder=str(first["holder"]),
        path=str(first["example"]),
        buffers=int(first["buffers"]),
        of=int(held["buffers"].sum()),
        bytes=int(first["bytes"]),
    )


HYPOTHESIS = Hypothesis(
    name="H2",
    claim="Audio is retained elsewhere, by the player or by what refers to it.",
    supported_when="the level is higher by about the audio's bytes where the player retains "
    "what was scheduled than where it drops it",
    refuted_when="the level is the same with and without, and the audio's bytes would show",
    tested_by=("audio-retention",),
    predictions={
        "audio-retention": "retains grows by the audio's bytes a paragraph, drops does not; skips "
        "leave more behind"
    },
    decide=_decide,
    short="retained audio",
    cause="Audio is retained by the player",
    sentences=_SENTENCES,
    holders=(_RETAINS,),
)
