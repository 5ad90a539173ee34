"""H8: the memory is the exported graph's, not the engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.cures import CURES, audio_difference
from listen2lab.findings.effects import Ruling, average, decide, difference, doubt, known
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName
    from listen2lab.notice import Value

__all__ = ["HYPOTHESIS"]

_APP, _BOUNDED = Where(CURES, "app"), Where(CURES, "bounded")
_LESS_THAN = 0.5

_SENTENCES = {
    "bounded-graph": "The same engine with the bounded graph peaks at {peak:size} instead of "
    "{peak_of_app:size}, and ends at {end:size} instead of {end_of_app:size}.",
    "audio-identical": "Every sample of the audio is the same.",
    "audio-unknown": "Whether the audio is the same is not known, so this does not decide.",
    "audio-differs": "But the audio is not the same, so this does not decide.",
    "not-below-half": "That is not below half of it in peak and end, in each repeat: the graph is "
    "a part of it.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    lack = m.lack(_APP, _BOUNDED)
    if lack is not None:
        return Ruling("inconclusive", (lack,))
    peaks = difference(m.peak(_APP), m.peak(_BOUNDED))
    ends = difference(m.end(_APP), m.end(_BOUNDED))
    values: dict[str, Value] = {
        "peak": known(m.peak(_BOUNDED)),
        "peak_of_app": known(m.peak(_APP)),
        "end": known(m.end(_BOUNDED)),
        "end_of_app": known(m.end(_APP)),
    }
    audio = audio_difference(m, _BOUNDED, _APP)
    said = {"identical": "audio-identical", "unknown": "audio-unknown"}
    because = [Notice("bounded-graph", values), Notice(said.get(audio, "audio-differs"))]
    found: FindingName = decide(peaks, worth)
    is_half = all(of(_BOUNDED).max() < _LESS_THAN * of(_APP).min() for of in (m.peak, m.end))
    if found == "supported" and not is_half:
        found = "inconclusive"
        because.append(Notice("not-below-half"))
    elif found == "inconclusive":
        because.append(doubt(peaks, worth))
    if audio != "identical":
        found = "inconclusive"
    explains = max(0.0, average(m.end(_APP)) - average(m.end(_BOUNDED)))
    return Ruling(
        found, tuple(because), (_APP, _BOUNDED), ends, explains if explains > worth else 0.0, _APP
    )


HYPOTHESIS = Hypothesis(
    name="H8",
    claim="The memory is the exported graph's, not the engine's.",
    supported_when="the bounded voice, with identical audio, ends and peaks at less than half",
    refuted_when="with identical audio, the bounded voice peaks as high",
    tested_by=("cures",),
    predictions={
        "cures": "the bounded voice makes the same samples with less than half of the memory, at "
        "its peak and at the end, in the same engine",
        "utterance-length": "bounded, neither peak nor end follows the longest sentence much",
    },
    decide=_decide,
    short="the exported graph",
    cause="The exported graph makes a sentence all at once; one that says the same in windows does "
    "not hold",
    sentences=_SENTENCES,
)
