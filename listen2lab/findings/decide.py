"""What a study says about each hypothesis: supported, refuted, or inconclusive and why.

The unit of replication is the process: one number each, and Welch's interval over them. A supported
finding has the predicted direction, an interval that excludes no effect, repeats that agree, and at
least what is worth acting on; a refuted one an interval within what is not worth acting on, or on
the other side. `listen2lab.experiment.catalog.HYPOTHESES` holds the rules in words.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.findings import rules_engine as _rules_engine
from listen2lab.findings import rules_pipeline as _rules_pipeline
from listen2lab.findings import rules_sentence as _rules_sentence
from listen2lab.findings.effects import average
from listen2lab.findings.measured import Measured
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from listen2lab.experiment.catalog import Hypothesis
    from listen2lab.findings.effects import FindingName, Ruling
    from listen2lab.study.plan import Experiment

__all__ = ["AppSeries", "Finding", "app_series", "find"]


@dataclass(frozen=True)
class Finding:
    """What a study says about a hypothesis.

    Attributes
    ----------
    claim
        What is claimed.
    finding
        ``supported``, ``refuted`` or ``inconclusive``.
    effect_mib, interval_mib
        What was decided on, with its 95 % interval over processes; positive in the predicted
        direction. None where nothing was measured.
    explains_mib
        MiB of the app's own level that the claim accounts for, never more than what the app's own
        condition holds; None where that is not known. Claims may account for the same memory.
    of_mib
        The level that `explains_mib` is a part of: of the app's own condition in the experiment
        where it was measured. None where that is not known.
    because
        Sentences with numbers; for an inconclusive finding, what is missing.
    runs
        The runs behind it, as ``experiment/condition/repeat``.
    worth_mib
        The smallest effect that was worth acting on.
    experiments
        The experiments that were used.
    """

    claim: str
    finding: FindingName
    effect_mib: float | None
    interval_mib: tuple[float, float] | None
    explains_mib: float | None
    of_mib: float | None
    because: str
    runs: tuple[str, ...]
    worth_mib: float
    experiments: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


_RULES: dict[str, Callable[[Measured, float], Ruling]] = {
    "H0": _rules_engine.meter_misleads,
    "H1": _rules_engine.session_holds,
    "H2": _rules_pipeline.audio_retained,
    "H3": _rules_pipeline.alignment_held,
    "H4": _rules_pipeline.caches_too_large,
    "H5": _rules_pipeline.several_at_once,
    "H6": _rules_sentence.longest_sentence,
    "H7": _rules_engine.baseline_only,
}


def find(
    hypotheses: Mapping[str, Hypothesis],
    experiments: Sequence[Experiment],
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
    *,
    held: Mapping[tuple[str, str], pd.DataFrame] | None = None,
) -> dict[str, Finding]:
    """Decide each hypothesis as far as a study allows.

    Parameters
    ----------
    hypotheses
        By name: H0 to H7, as `listen2lab.experiment.catalog.HYPOTHESES` has them.
    experiments
        What was planned. Experiments that are not in the catalog decide nothing.
    runs, samples
        `listen2lab.facade.Study.runs` and ``.samples``.
    numbers
        What `listen2lab.findings.conditions.summarize` made of them.
    held
        Experiment and condition to the largest buffers of its traced run, as
        `listen2lab.account.attribute.held` gives them; those that are not there have no such run.

    Returns
    -------
    dict of str to Finding
        By hypothesis, all of them, in the same order.
    """
    measured = Measured(experiments, runs, samples, numbers, held)
    return {
        name: _finding(hypothesis, _RULES[name](measured, hypothesis.worth_mib * MIB), measured)
        for name, hypothesis in hypotheses.items()
    }


def _finding(hypothesis: Hypothesis, ruling: Ruling, measured: Measured) -> Finding:
    effect = ruling.effect
    interval = None if effect is None else effect.interval
    keys = measured.keys(*ruling.used)
    of = ruling.of or measured.reference()
    level = None if ruling.explains is None or of is None else average(measured.level(of))
    return Finding(
        claim=hypothesis.claim,
        finding=ruling.finding,
        effect_mib=None if effect is None else mib(effect.value),
        interval_mib=None if interval is None else (mib(interval[0]), mib(interval[1])),
        explains_mib=None if ruling.explains is None else mib(ruling.explains),
        of_mib=None if level is None or math.isnan(level) else mib(level),
        because=" ".join(ruling.because),
        runs=keys,
        worth_mib=hypothesis.worth_mib,
        experiments=tuple(dict.fromkeys(key.split("/")[0] for key in keys)),
    )


@dataclass(frozen=True)
class AppSeries:
    """What the app's own condition did in one experiment.

    Attributes
    ----------
    experiment
        Its name.
    verdict
        On its memory: that of anonymous memory, where only live objects grow.
    confidence, reasons
        How sure the condition's verdict is, and its codes.
    also_grows
        Live objects that grow with each paragraph, too little to show in resident memory.
    level_mib, released_mib
        The level at the end, and what is left after a teardown.
    """

    experiment: str
    verdict: str
    confidence: str
    reasons: tuple[str, ...]
    also_grows: str | None
    level_mib: float | None
    released_mib: float | None


def app_series(
    experiments: Sequence[Experiment],
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[AppSeries]:
    """Return what was seen of each condition that is the app's own, the deciding one first.

    Parameters
    ----------
    experiments, runs, samples, numbers
        As for `find`.
    """
    measured = Measured(experiments, runs, samples, numbers)
    found = []
    for where in measured.app():
        own = numbers[where.experiment][where.condition]
        found.append(
            AppSeries(
                where.experiment,
                measured.verdict(where) or "inconclusive",
                own["confidence"],
                tuple(own["reasons"]),
                measured.also_grows(where),
                own["level_mib"],
                own["released_mib"],
            )
        )
    deciding = measured.deciding()
    first = None if deciding is None else deciding.experiment
    return sorted(found, key=lambda each: each.experiment != first)
