"""H0: what was freed stays in resident memory and leaves private dirty memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import Ruling, average, decide, doubt, evidence, known, mean_of
from listen2lab.findings.hypothesis import Hypothesis
from listen2lab.findings.records import Where
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.findings.measured import Measured

__all__ = ["HYPOTHESIS"]

_STOPPED = Where("stop-release", "app")
_CLEARED, _TRIMMED = (Where("force-clear", name) for name in ("clear", "clear+trim"))

_SOME_UNTOUCHED = 1.1
"""How many times more must be freed than leaves memory, for that to be worth a word."""

_SENTENCES = {
    "meter-lacks-reading": "The runs of stop-release lack a reading of resident or private memory.",
    "freed-and-fell": "When the session was dropped, {freed:size} were freed; private dirty memory "
    "fell by {private:size}, resident memory by {resident:size}.",
    "freed-and-fell-untouched": "When the session was dropped, {freed:size} were freed; private "
    "dirty memory fell by {private:size}, resident memory by {resident:size} (the rest had never "
    "been touched).",
    "too-little-freed": "Too little was freed to see the two part.",
    "part-by-less-than-half": "They part, but not by half of what was freed.",
    "meter-keeps-showing": "The meter keeps showing {hidden:effect} that nobody holds.",
    "moved-together": "They moved together, so what the meter shows is held.",
    "trim-gave-back": "A trim then gave back another {kept:size} that the allocator had kept.",
    "kept-between-steps": "Between steps the allocator keeps {kept:size} that a trim gives back "
    "({trimmed:size} where each eviction trims).",
    "read-footprint": "On a phone, freed pages can stay in the resident size: read phys_footprint "
    "beside it.",
}


def _decide(m: Measured, worth: float) -> Ruling:
    lack = m.lack(_STOPPED)
    if lack is not None:
        return Ruling("inconclusive", (lack, *_between_steps(m)))
    column = "private_dirty" if len(m.at(_STOPPED, "stopped", "private_dirty")) else "anonymous"
    resident = m.fall(_STOPPED, "stopped", "session-dropped")
    private = m.fall(_STOPPED, "stopped", "session-dropped", column)
    freed = m.fall(_STOPPED, "stopped", "session-dropped", "in_use")
    if len(resident) < 2 or len(resident) != len(private):
        return Ruling("inconclusive", (Notice("meter-lacks-reading"),), (_STOPPED,))
    given = average(freed) if len(freed) else average(private)
    hidden = mean_of(private - resident)
    lazy = m.at(_STOPPED, "end", "lazy_free")
    untouched = "-untouched" if given > _SOME_UNTOUCHED * private.mean() else ""
    fell = evidence(
        f"freed-and-fell{untouched}", freed=given, private=known(private), resident=known(resident)
    )
    found = decide(hidden, worth)
    if given < worth:
        found, ending = "inconclusive", Notice("too-little-freed")
    elif found == "supported" and not (private.mean() > given / 2 > resident.mean()):
        found, ending = "inconclusive", Notice("part-by-less-than-half")
    elif found == "supported":
        ending = Notice("meter-keeps-showing", {"hidden": hidden.values})
    elif found == "refuted":
        ending = Notice("moved-together")
    else:
        ending = doubt(hidden, worth)
    kept = evidence("trim-gave-back", kept=known(m.fall(_STOPPED, "session-dropped", "trimmed")))
    because = (fell, ending, kept, *_between_steps(m), Notice("read-footprint"))
    return Ruling(found, because, (_STOPPED,), hidden, known(lazy), _STOPPED)


def _between_steps(m: Measured) -> tuple[Notice, ...]:
    """Return what the allocator keeps between steps, from runs that trim and those that do not."""
    if m.lack(_CLEARED, _TRIMMED, needed=1) is not None:
        return ()
    kept, trimmed = (m.given_by_trim(where) for where in (_CLEARED, _TRIMMED))
    if not len(kept) or not len(trimmed):
        return ()
    return (evidence("kept-between-steps", kept=known(kept), trimmed=known(trimmed)),)


HYPOTHESIS = Hypothesis(
    name="H0",
    claim="The meter misleads: resident memory stays up although the memory was given back.",
    supported_when="after the session is dropped, private dirty memory falls by more than half "
    "of what was freed, and resident memory by less than half",
    refuted_when="resident and private dirty memory fall together",
    tested_by=("stop-release", "force-clear"),
    predictions={
        "force-clear": "clear+trim lowers resident memory between steps although clear alone does "
        "not",
        "stop-release": "when the session goes, private dirty memory falls and resident memory "
        "stays",
    },
    decide=_decide,
    short="a misleading meter",
    cause="The meter shows memory that nobody holds",
    sentences=_SENTENCES,
)
