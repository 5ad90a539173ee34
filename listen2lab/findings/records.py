"""What a study says, as records of codes and numbers: what ``summary.json`` holds.

Nothing here is a sentence; `listen2lab.report.text` says it in words. Units stand in the names.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

from listen2lab.account.growth import Growth
from listen2lab.findings.cure_records import Cures
from listen2lab.findings.law import Law
from listen2lab.notice import Notice
from listen2lab.privacy import (
    ComponentName,
    ConditionName,
    ExperimentName,
    Fact,
    Public,
    RunKey,
    Sentence,
    VersionText,
)
from listen2lab.study.plan import KnobValue
from listen2lab.study.records import InputsRecord, RunOutcome
from listen2lab.verdict.contrast import ContrastName as Change
from listen2lab.verdict.reasons import VerdictName

__all__ = [
    "Answers", "Cause", "ConditionContrast", "ConditionNumbers", "ConsumesAnswer",
    "ExperimentSummary", "Finding", "FindingName", "Leak", "MadeFrom", "MemoryPart", "Outcome",
    "PlantedFault", "Quantity", "Summary", "Under", "UnderLimit", "Untested", "VerdictName",
    "Where",
]  # fmt: skip

FindingName: TypeAlias = Literal["supported", "refuted", "inconclusive", "not-tested"]


class Where(NamedTuple):
    """A condition of an experiment."""

    experiment: ExperimentName
    condition: ConditionName

    def __str__(self) -> str:
        return f"{self.experiment} / {self.condition}"


class Quantity(msgspec.Struct, frozen=True):
    """The verdict on one quantity (``anonymous``, ``in_use``, ``python_blocks``, ...), by itself.

    ``rate_per_step`` is bytes, or blocks.
    """

    verdict: VerdictName
    rate_per_step: float | None = None


class ConditionNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """What the complete plain runs of a condition come to; a number that no run gave is None.

    Parameters
    ----------
    end_mib, end_range_mib, end_each_mib, anonymous_mib
        Memory at the end: resident after the last step, collected and trimmed; its lowest and
        highest repeat, every repeat, and its anonymous part.
    peak_mib
        The most within a measured step, mean of the repeats.
    released_mib
        Resident after the teardown.
    verdict, confidence, reasons
        See `listen2lab.verdict.judge`, on anonymous memory, live bytes and live blocks together.
    rate_kib_per_step, rate_interval_kib_per_step, upper_kib_per_step
        Growth of anonymous memory, its 95 % interval, and its upper bound.
    smallest_visible_kib_per_step
        The smallest leak that these runs could have seen.
    grew
        Codes of the quantities that grew.
    components_mib, unaccounted_mib
        What makes up memory at the end; see `listen2lab.account.at_end`.
    largest_input
        Of a step; seconds of speech for the pipeline.
    steps, runs
        Measured steps of a run; how the planned runs ended.
    """

    verdict: VerdictName
    confidence: Public = ""
    reasons: tuple[Public, ...] = ()
    grew: tuple[Public, ...] = ()
    quantities: dict[Public, Quantity] = {}
    end_mib: float | None = None
    end_range_mib: tuple[float, float] | None = None
    end_each_mib: tuple[float, ...] = ()
    anonymous_mib: float | None = None
    peak_mib: float | None = None
    released_mib: float | None = None
    rate_kib_per_step: float | None = None
    rate_interval_kib_per_step: tuple[float, float] | None = None
    upper_kib_per_step: float | None = None
    smallest_visible_kib_per_step: float | None = None
    components_mib: dict[ComponentName, float] = {}
    unaccounted_mib: float | None = None
    largest_input: float | None = None
    steps: int = 0
    runs: dict[RunOutcome, int] = {}

    def rate_of(self, quantity: str) -> float:
        """Return the bytes or blocks a step by which a quantity grew; 0 where that is not known."""
        found = self.quantities.get(quantity)
        return 0.0 if found is None else found.rate_per_step or 0.0

    @property
    def n_complete(self) -> int:
        """Runs that were complete."""
        return self.runs.get("complete", 0)

    @property
    def n_lost(self) -> int:
        """Runs that were killed, crashed or hung."""
        return sum(self.runs.get(how, 0) for how in ("killed", "crashed", "timed-out"))


class ConditionContrast(msgspec.Struct, frozen=True, kw_only=True):
    """A condition beside the one that it is compared with.

    Parameters
    ----------
    to
        The condition that it is compared with.
    about
        ``rate`` where one of them leaks, else ``level`` (memory at the end): what `verdict` is
        about.
    why
        What the verdict rests on: see `listen2lab.verdict.contrast.Contrast`.
    end_difference_mib, end_interval_mib
        This less the other at the end, with Welch's 95 % interval over processes.
    peak, peak_difference_mib, peak_interval_mib
        What became of the peak, and the same of it; None where peaks were not read.
    quantity, rate_of_first, rate, upper
        Where it is about the rate: whose, and bytes (or blocks) a step of both, with the upper
        bound of this one's.
    unjudged
        The reason of the one that has no verdict.
    """

    to: ConditionName
    about: Literal["rate", "level"]
    verdict: Change
    why: Public
    end_difference_mib: float
    end_interval_mib: tuple[float, float] | None = None
    peak: Change = "inconclusive"
    peak_difference_mib: float | None = None
    peak_interval_mib: tuple[float, float] | None = None
    quantity: Public | None = None
    rate_of_first: float | None = None
    rate: float | None = None
    upper: float | None = None
    unjudged: Public | None = None


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment's conditions showed, each also beside the app's own."""

    question: Sentence
    factor: Fact | None
    unit: Fact
    predictions: dict[Public, Sentence] = {}
    conditions: dict[ConditionName, ConditionNumbers] = {}
    contrasts: dict[ConditionName, ConditionContrast | None] = {}
    growth: dict[ConditionName, Growth] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a study says about a hypothesis.

    Parameters
    ----------
    claim
        What is claimed.
    finding
        The decision.
    effect_mib, interval_mib
        What was decided on, with its 95 % interval over processes; positive in the predicted
        direction. None where nothing was measured.
    explains_mib, of_mib
        MiB of the app's own memory at the end that the claim accounts for, and what it is a part
        of; None where that is not known. Claims may account for the same memory.
    because
        The evidence, the deciding one first; for an inconclusive finding, what is missing.
    runs, experiments
        The runs behind it, and their experiments.
    worth_mib
        The smallest effect that was worth acting on.
    """

    claim: Sentence
    finding: FindingName
    effect_mib: float | None = None
    interval_mib: tuple[float, float] | None = None
    explains_mib: float | None = None
    of_mib: float | None = None
    because: tuple[Notice, ...] = ()
    runs: tuple[RunKey, ...] = ()
    worth_mib: float = 10.0
    experiments: tuple[ExperimentName, ...] = ()


class MemoryPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of memory at the end: a group of `listen2lab.account.at_end`, or a workload's own.

    ``how`` is the code of how it was measured; ``is_loaded``: it is there before any step.
    """

    part: ComponentName
    mib: float
    share: float
    how: Public
    is_loaded: bool = False


class ConsumesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What consumes the memory: the parts, the largest first, what is unaccounted last."""

    where: Where | None = None
    end_mib: float | None = None
    anonymous_mib: float | None = None
    parts: tuple[MemoryPart, ...] = ()
    notes: tuple[Notice, ...] = ()


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it leaks: over all series of the app's own condition, the deciding one first.

    Parameters
    ----------
    verdict
        None where the app's own condition has no complete run.
    disagree
        Whether the series disagree about a leak.
    experiment, confidence, reasons
        The deciding series.
    verdicts
        Experiment to verdict, in the same order.
    end_mib, released_mib
        Of the deciding series: memory at the end, and what is left after a teardown.
    also_grows
        Live blocks or bytes a step that grow beside it, too little to show in resident memory.
    """

    verdict: VerdictName | None = None
    disagree: bool = False
    experiment: ExperimentName | None = None
    confidence: Public = ""
    reasons: tuple[Public, ...] = ()
    verdicts: dict[ExperimentName, VerdictName] = {}
    end_mib: float | None = None
    released_mib: float | None = None
    also_grows: Notice | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Which supported hypotheses explain memory, and which hold only when provoked.

    ``main`` explain at least a tenth of what the first does; ``most_is_open``: none of them
    explains half of what is held above code, libraries and models.
    """

    main: tuple[Public, ...] = ()
    small: tuple[Public, ...] = ()
    only_if_provoked: tuple[Public, ...] = ()
    most_is_open: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A condition at its worst: the highest end and peak of its repeats.

    ``knobs`` are those in which it differs from the app.
    """

    experiment: ExperimentName
    condition: ConditionName
    knobs: dict[Public, KnobValue] = {}
    end_mib: float | None = None
    peak_mib: float | None = None
    complete: int = 0
    lost: int = 0


class UnderLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Which conditions stay under a limit, by their places in `Answers.outcomes`."""

    name: Public
    mib: float
    already: bool = False
    peak_and_end: tuple[int, ...] = ()
    end_only: tuple[int, ...] = ()


class Under(msgspec.Struct, frozen=True, kw_only=True):
    """What brings memory under each limit."""

    kill_mib: float
    limits: tuple[UnderLimit, ...] = ()


class Untested(msgspec.Struct, frozen=True, kw_only=True):
    """What this study does not tell: hypotheses not tested or still open, runs lost, and limits."""

    not_tested: tuple[Public, ...] = ()
    open: tuple[Public, ...] = ()
    lost: int = 0
    notes: tuple[Notice, ...] = ()


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The user's five questions."""

    consumes: ConsumesAnswer
    leak: Leak
    cause: Cause
    under: Under
    untested: Untested
    outcomes: tuple[Outcome, ...] = ()
    cures: Cures | None = None


class PlantedFault(msgspec.Struct, frozen=True, kw_only=True):
    """What was planted in one condition of a selftest, and what was found.

    Parameters
    ----------
    fault
        Its name; see `listen2lab.pipeline.planted.FAULTS`.
    verdict
        What the series of the condition was called.
    planted_kib, found_kib
        Growth in KiB per step; for a cycle, what the collector frees each step.
    is_right
        A leak was called one, a cycle was noticed, and nothing else was called a leak.
    """

    fault: Public
    verdict: VerdictName
    planted_kib: float
    found_kib: float | None
    is_right: bool

    @property
    def error(self) -> float | None:
        """Relative error of the rate, or None where nothing grows."""
        if self.found_kib is None or not self.planted_kib:
            return None
        return self.found_kib / self.planted_kib - 1


class MadeFrom(msgspec.Struct, frozen=True):
    """By which version, from which files: a stored summary that differs is made anew."""

    listen2lab: VersionText = ""
    digest: Public = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a study says.

    Parameters
    ----------
    findings
        By hypothesis.
    answers
        None without any hypothesis.
    laws
        By the voice's graph: how peak and end follow the longest sentence.
    """

    format: int
    created: Public
    inputs: InputsRecord
    versions: dict[Fact, VersionText] = {}
    experiments: dict[ExperimentName, ExperimentSummary] = {}
    findings: dict[Public, Finding] = {}
    answers: Answers | None = None
    laws: dict[Public, tuple[Law, ...]] = {}
    made_from: MadeFrom = MadeFrom()

    def conditions(self) -> list[tuple[Where, ConditionNumbers]]:
        """Return every condition with its numbers."""
        return [
            (Where(name, condition), numbers)
            for name, item in self.experiments.items()
            for condition, numbers in item.conditions.items()
        ]
