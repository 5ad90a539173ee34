"""What a hypothesis is: a claim, what it predicts, how it is decided, and its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from listen2lab.study.records import HypothesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from listen2lab.findings.effects import Ruling
    from listen2lab.findings.measured import Measured
    from listen2lab.findings.records import Where

__all__ = ["WORTH_MIB", "Hypothesis"]

WORTH_MIB = 10.0
"""The smallest effect worth acting on: a phone's user would not notice less beside 2,290 MB."""


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A claim about where the memory is, with all that is particular to it.

    A finding needs the predicted direction, an interval over processes that excludes no effect,
    repeats that agree, and at least what is worth acting on; what is neither supported nor refuted
    is inconclusive. The claim, the rules and the predictions are stored with every study.

    Parameters
    ----------
    name
        ``H1``.
    claim
        What is claimed, in a sentence.
    supported_when, refuted_when
        The decision rule in words, as `decide` has it.
    tested_by
        Names of the experiments that test it, the deciding one first.
    predictions
        Experiment to what must be seen in it if the claim is true.
    decide
        Takes what was measured and the smallest effect worth acting on, in bytes.
    short
        What it is called where several are listed.
    cause
        A template that says it is the cause, up to its share; None: it explains nothing as the app
        is set.
    cause_with
        Another hypothesis to a template that says both in one sentence, where they are the same
        memory seen from two sides: ``share`` is the other's, ``explains`` this one's.
    sentences
        Code to template: the evidence that `decide` gives, and nobody else does.
    holders
        The conditions whose traced run tells what Python holds, for `decide`.
    worth_mib
        The smallest effect worth acting on, in MiB.
    """

    name: str
    claim: str
    supported_when: str
    refuted_when: str
    tested_by: tuple[str, ...]
    predictions: Mapping[str, str]
    decide: Callable[[Measured, float], Ruling]
    short: str
    sentences: Mapping[str, str]
    cause: str | None = None
    cause_with: Mapping[str, str] = field(default_factory=dict)
    holders: tuple[Where, ...] = ()
    worth_mib: float = WORTH_MIB

    def record(self) -> HypothesisRecord:
        """Return it as a study stores it."""
        return msgspec.convert(self, HypothesisRecord, from_attributes=True)
