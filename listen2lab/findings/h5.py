"""H5: several syntheses run at once.

Memory is compared at the same longest sentence, as for H3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import Ruling, average, decide, difference, doubt, evidence, known
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import FindingName

__all__ = ["HYPOTHESIS"]

_SINGLE, _SHARED, _EACH = (Where("concurrency", name) for name in ("1", "3-shared", "3-each"))

_SENTENCES = {
    "three-share": "Three in flight sharing one session: memory at the end is higher by "
    "{effect:effect} than with one, the peak by {peak:size}: {finding}.",
    "three-each": "Three in flight with a session each: memory at the end is higher by "
    "{effect:effect} than with one, the peak by {peak:size}: {finding}.",
    "the-lock-lets-one": "The app's lock lets one run, so this explains nothing unless several do: "
    "after a cancel, which lets every waiter go on, or in revisions without the lock.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    present = [where for where in (_SHARED, _EACH) if m.lack(where) is None]
    lack = m.lack(_SINGLE) or (None if present else m.lack(_SHARED))
    if lack is not None:
        return Ruling("inconclusive", (lack,), explains=0.0)
    one = m.end_at_same_length(_SINGLE)
    effects = {where: difference(m.end_at_same_length(where), one) for where in present}
    decisions = {where: decide(effect, worth) for where, effect in effects.items()}
    because = [
        evidence(
            "three-share" if where == _SHARED else "three-each",
            effect=effect.values,
            peak=known(average(m.peak(where)) - average(m.peak(_SINGLE))),
            finding=decisions[where],
        )
        for where, effect in effects.items()
    ]
    raised = [where for where in present if decisions[where] == "supported"]
    open_ones = [where for where in present if decisions[where] == "inconclusive"]
    chosen = max(raised or open_ones or present, key=lambda where: effects[where].value)
    found: FindingName = "supported" if raised else "inconclusive" if open_ones else "refuted"
    if found == "inconclusive":
        because.append(doubt(effects[open_ones[0]], worth))
    because.append(Notice("the-lock-lets-one"))
    return Ruling(found, tuple(because), (_SINGLE, *present), effects[chosen], 0.0)


HYPOTHESIS = Hypothesis(
    name="H5",
    claim="Several syntheses run at once.",
    supported_when="the level with three in flight is above that with one, in one session or "
    "in one each",
    refuted_when="one and three in flight differ by less than what is worth acting on, in one "
    "session and in one each",
    tested_by=("concurrency",),
    predictions={
        "concurrency": "the level rises with the number in flight, most with a session each"
    },
    decide=_decide,
    short="several syntheses at once",
    sentences=_SENTENCES,
)
