"""The five questions of the user, answered from a study in codes and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.account.at_end import GROUPS, LOADED, UNACCOUNTED
from listen2lab.account.categories import cannot_tell
from listen2lab.findings.cures import cures_of
from listen2lab.findings.effects import average
from listen2lab.findings.outcomes import LIMITS, outcomes, under
from listen2lab.findings.records import Answers, Cause, ConsumesAnswer, Leak, MemoryPart, Untested
from listen2lab.notice import Notice
from listen2lab.units import mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import Finding, Outcome
    from listen2lab.study.records import Manifest

__all__ = ["answers"]

_SMALL = 0.1
"""A cause that explains less than this share of what the first does is said after the others."""


def answers(measured: Measured, findings: Mapping[str, Finding], manifest: Manifest) -> Answers:
    """Answer what consumes the memory, whether it leaks, why, what helps, and what is not known.

    Parameters
    ----------
    measured, findings
        Of the study.
    manifest
        The study's.
    """
    worst = outcomes(measured)
    consumes = _consumes(measured)
    cures = cures_of(measured, LIMITS)
    return Answers(
        consumes=consumes,
        leak=_leak(measured),
        cause=_cause(findings, consumes),
        under=under(worst),
        untested=_untested(findings, worst, manifest, has_cures=cures is not None),
        outcomes=worst,
        cures=cures,
    )


def _consumes(m: Measured) -> ConsumesAnswer:
    """Return what the app's memory at the end is made of, by the account of its runs.

    What is unaccounted may be a little negative: two numbers are not read in the same instant.
    """
    where = m.reference()
    parts = None if where is None else m.parts(where)
    if where is None or parts is None or parts.empty:
        return ConsumesAnswer()
    end = mib(average(m.end(where)))
    if not end > 0:
        return ConsumesAnswer()
    means = {str(name): mib(float(mean)) for name, mean in parts.mean().items()}
    rest = means.pop(UNACCOUNTED)
    known = [
        MemoryPart(
            part=name,
            mib=size,
            share=size / end,
            how=_how(name, has_readings=m.has_readings(where)),
            is_loaded=name in LOADED,
        )
        for name, size in sorted(means.items(), key=lambda item: -item[1])
    ]
    unaccounted = MemoryPart(part=UNACCOUNTED, mib=rest, share=rest / end, how="rest")
    return ConsumesAnswer(
        where=where,
        end_mib=end,
        anonymous_mib=mib(average(m.at(where, "end", "anonymous"))),
        parts=(*known, unaccounted),
        notes=tuple(cannot_tell(m.all_rows(where))),
    )


_BY_COUNTERS = ("code and libraries", "Python", "engine arena")
"""The groups that are measured another way where mappings were not read."""


def _how(part: str, *, has_readings: bool) -> str:
    """Return how a part was measured: ``account``, ``counters``, ``components`` or ``rest``."""
    if part not in GROUPS:
        return "components"
    return "counters" if part in _BY_COUNTERS and not has_readings else "account"


def _leak(m: Measured) -> Leak:
    """Return whether the app's own condition leaks, over all the experiments that have it."""
    series = m.app()
    if not series:
        return Leak()
    deciding = m.deciding()
    series.sort(key=lambda where: deciding is None or where.experiment != deciding.experiment)
    verdicts = {where.experiment: m.verdict(where) or "inconclusive" for where in series}
    first = series[0]
    verdict = verdicts[first.experiment]
    decided = [each for each in verdicts.values() if each != "inconclusive"]
    leaking = decided.count("leak")
    disagree = bool(leaking) and (2 * leaking < len(decided)) == (verdict == "leak")
    numbers = m.numbers[first.experiment][first.condition]
    return Leak(
        verdict="inconclusive" if disagree else verdict,
        disagree=disagree,
        experiment=first.experiment,
        confidence=numbers.confidence,
        reasons=numbers.reasons,
        verdicts=verdicts,
        end_mib=numbers.end_mib,
        released_mib=numbers.released_mib,
        also_grows=m.also_grows(first),
    )


def _cause(findings: Mapping[str, Finding], consumes: ConsumesAnswer) -> Cause:
    explained = {
        name: each.explains_mib or 0.0
        for name, each in findings.items()
        if each.finding == "supported"
    }
    explaining = sorted(
        (name for name, size in explained.items() if size > 0), key=lambda name: -explained[name]
    )
    main = [x for x in explaining if explained[x] > _SMALL * explained[explaining[0]]]
    loaded = sum(part.mib for part in consumes.parts if part.is_loaded)
    above = (consumes.end_mib or 0.0) - loaded
    return Cause(
        main=tuple(main),
        small=tuple(name for name in explaining if name not in main),
        only_if_provoked=tuple(name for name in explained if name not in explaining),
        most_is_open=not any(explained[name] > above / 2 for name in explaining),
    )


_GENERATED = frozenset({"tiny", "medium", "high"})


def _untested(
    findings: Mapping[str, Finding],
    worst: Sequence[Outcome],
    manifest: Manifest,
    *,
    has_cures: bool,
) -> Untested:
    notes = []
    if manifest.inputs.voice in _GENERATED:
        notes.append(Notice("generated-voice"))
    if manifest.setup.machine.system != "Darwin":
        notes.append(Notice("not-a-phone"))
    if not has_cures:
        notes.append(Notice("one-change-each"))
    return Untested(
        not_tested=tuple(x for x, each in findings.items() if each.finding == "not-tested"),
        open=tuple(x for x, each in findings.items() if each.finding == "inconclusive"),
        lost=sum(each.lost for each in worst),
        notes=tuple(notes),
    )
