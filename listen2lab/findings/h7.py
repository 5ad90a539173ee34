"""H7: libraries and models explain memory at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import Ruling, average, decide, doubt, evidence, known, mean_of
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName

__all__ = ["HYPOTHESIS"]

_BASELINE = Where("baseline", "app")

_SENTENCES = {
    "setup-lacking": "The runs of {experiment} / {condition} lack the reading after their setup.",
    "loaded-and-above": "Interpreter, libraries and models as loaded are {loaded:size}; memory at "
    "the end is {end:size}, above it by {above:effect}.",
    "above-stays": "What is above them stays (the verdict on the series: {verdict}).",
    "flatness-open": "Whether it is flat is not known: the verdict on the series is open.",
    "but-it-grows": "But it grows: the verdict on the series is leak.",
    "nothing-grows": "Nothing above them grows: the verdict on the series is {verdict}.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    where = next((w for w in (_BASELINE, *m.app()) if len(m.end(w)) >= 2), _BASELINE)
    lack = m.lack(where)
    if lack is not None:
        return Ruling("inconclusive", (lack,))
    above = m.fall(where, "end", "setup")
    if len(above) < 2:
        return Ruling("inconclusive", (evidence("setup-lacking", **where._asdict()),), (where,))
    effect = mean_of(above)
    loaded = average(m.at(where, "setup"))
    found, why = _verdict(m, where, decide(effect, worth))
    because = (
        evidence(
            "loaded-and-above", loaded=known(loaded), end=known(m.end(where)), above=effect.values
        ),
        why or doubt(effect, worth),
    )
    return Ruling(found, because, (where,), effect, loaded, where)


def _verdict(m: Measured, where: Where, above: FindingName) -> tuple[FindingName, Notice | None]:
    """Decide by what is above the models as loaded, and whether it grows; None: it is doubtful."""
    verdict = m.verdict(where)
    if above == "supported":
        return "refuted", evidence("above-stays", verdict=verdict)
    if above == "inconclusive":
        return "inconclusive", None
    if verdict == "inconclusive":
        return "inconclusive", Notice("flatness-open")
    if verdict == "leak":
        return "refuted", Notice("but-it-grows")
    return "supported", evidence("nothing-grows", verdict=verdict)


HYPOTHESIS = Hypothesis(
    name="H7",
    claim="It is only the baseline: libraries and models explain it.",
    supported_when="memory is flat from the first warm step, at what import and models explain",
    refuted_when="anything above import and models grows, or stays and is worth acting on",
    tested_by=("baseline",),
    predictions={"baseline": "flat from the first warm step at what import and model explain"},
    decide=_decide,
    short="only a baseline",
    cause="Libraries and models, and nothing else",
    sentences=_SENTENCES,
)
