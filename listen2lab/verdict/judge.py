"""The verdict on memory series: whether it grows without end, and what it does if not.

`judge` takes bytes after each step, from several fresh processes, and says `leak`,
`high-water`, `plateau`, `baseline`, `sawtooth` or `inconclusive`, how fast it grows, and the
smallest leak that it could have seen. See ``docs/method.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.audit import inputs_sorted
from listen2lab.verdict.evidence import Evidence, find_evidence
from listen2lab.verdict.features import Features, blocks, find_features, likeness
from listen2lab.verdict.intervals import dersimonian_laird
from listen2lab.verdict.naming import (
    LATE_SPAN,
    VerdictName,
    grows_everywhere,
    late_growth,
    leak_reasons,
    left_over,
    one_is_odd,
    settled,
)
from listen2lab.verdict.noise import plausible
from listen2lab.verdict.reasons import Reason
from listen2lab.verdict.series import Rows, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Basis", "Confidence", "Reason", "Verdict", "VerdictName", "judge"]


Confidence = Literal["none", "positive", "strong", "very-strong"]
"""How sure a verdict is; whether the run was large enough for it is among the reasons."""


class Basis(msgspec.Struct, frozen=True):
    """What was compared, and by which thresholds.

    Attributes
    ----------
    samples
        Of a repeat, after thinning.
    noise, noise_kind
        Standard deviation in bytes, and the best model's kind (see `noise.KINDS`).
    log_evidence
        Of what ``grows``, ``stops``, ``falls`` and ``slows``.
    shapes_if_it_stops, shapes_if_it_grows
        Posterior share of each shape beside the trend.
    covariates
        Posterior share of each set of covariates.
    late_over_middle
        Growth late in the run over growth in its middle.
    rate_by_repeat, error_by_repeat
        Each repeat's own rate and standard error, bytes per step.
    pooled, between_repeats, heterogeneity, pooled_interval
        Their random-effects meta-analysis; no interval from one repeat.
    teeth_by_repeat
        Falls of a sawtooth; None without.
    thresholds
        Name to value.
    """

    samples: int
    noise: float
    noise_kind: str
    log_evidence: dict[str, float]
    shapes_if_it_stops: dict[str, float]
    shapes_if_it_grows: dict[str, float]
    covariates: dict[int, float]
    late_over_middle: float
    rate_by_repeat: tuple[float, ...]
    error_by_repeat: tuple[float, ...]
    pooled: float
    between_repeats: float
    heterogeneity: float
    pooled_interval: tuple[float, float] | None
    teeth_by_repeat: tuple[int, ...] | None
    thresholds: dict[str, float]


class Verdict(msgspec.Struct, frozen=True):
    """What a set of memory series shows.

    Attributes
    ----------
    verdict
        ``leak``, ``high-water``, ``plateau``, ``baseline``, ``sawtooth`` or ``inconclusive``.
    rate
        Growth in bytes per step, beside whatever else the level did; NaN if not estimable.
    interval
        95 % interval of the rate.
    upper
        One-sided 95 % upper bound of the rate.
    smallest_visible
        The smallest leak, in bytes per step, that would have been called one in 95 of 100 such
        runs; infinite where nothing could have been seen.
    confidence
        ``none`` where the run does not decide.
    reasons
        Codes; the first one is the verdict's own.
    steps, repeats
        What was judged.
    basis
        What was compared; None where there was nothing to compare.
    """

    verdict: VerdictName
    rate: float
    interval: tuple[float, float]
    upper: float
    smallest_visible: float
    confidence: Confidence
    reasons: tuple[Reason, ...]
    steps: int
    repeats: int
    basis: Basis | None = None

    def per(self, unit: float) -> Verdict:
        """Return the same with rates per another unit, of which a step takes so many."""
        low, high = self.interval
        return msgspec.structs.replace(
            self,
            rate=self.rate / unit,
            interval=(low / unit, high / unit),
            upper=self.upper / unit,
            smallest_visible=self.smallest_visible / unit,
        )


def judge(
    y: Any,
    sizes: Any = None,
    *,
    shapes: Any = None,
    audit: Iterable[Reason] = (),
    worth_rate: float = limits.WORTH_RATE,
    leak_odds: float = limits.LEAK_ODDS,
) -> Verdict:
    """Judge what memory does over the steps of a workload.

    Parameters
    ----------
    y
        Bytes after each step: shape (repeats, steps), one row, or rows of unequal length. Each
        row comes from a fresh process. NaN marks a missing sample.
    sizes
        Input size of each step, same shape or one row: tells a high-water mark from a leak.
    shapes
        A number that names each step's input shape, same shape or one row: tells a cache that
        grows with every *new* shape from a leak.
    audit
        Codes found by `audit` in how the run was made; those that withdraw decide.
    worth_rate
        Smallest rate, in bytes per step, worth acting on.
    leak_odds
        Odds of growth without end, against every history that stops, from which it is a leak.

    Returns
    -------
    Verdict
        Never raises on numbers, however few or strange: what cannot be judged is inconclusive.

    Raises
    ------
    InputError
        Not numbers, more than two dimensions, or lengths that do not match.
    """
    rows = prepare(y, sizes, shapes)
    notes = [*rows.notes, *audit]
    repeats = len(rows.y)
    if not repeats or not rows.steps:
        return _withdrawn(rows, [Reason.NOTHING_MEASURED, *notes])
    seen = int(np.isfinite(rows.y).sum(axis=1).max()) * rows.every
    if seen < limits.FEWEST_STEPS:
        return _withdrawn(rows, [Reason.TOO_FEW_STEPS, *notes])
    found = find_features(rows)
    given = blocks(rows, found, found.sigma)
    judged = sum(len(b.y) for b in given)
    if not judged:
        return _withdrawn(rows, [Reason.TOO_FEW_STEPS, *notes])
    if judged < repeats:
        notes.append(Reason.SHORT_REPEAT)
    samples = rows.y.shape[1]
    temper = likeness(rows.y)
    if temper < 0.99:
        notes.append(Reason.REPEATS_ALIKE)
    end = samples * rows.every / rows.steps
    evidence = find_evidence(
        given, samples, end, rows.grain / found.sigma, temper, plausible(found.y)
    )
    worth = min(worth_rate, limits.WORTH_GROWTH / rows.steps)
    if judged == 1:
        notes.append(Reason.ONE_REPEAT)
        leak_odds *= limits.LONE_REPEAT
    if found.teeth is not None:
        leak_odds *= limits.TEETH_ODDS
    if rows.steps < limits.FIRM_STEPS or judged < limits.FIRM_REPEATS:
        notes.append(Reason.FEW_STEPS)
        leak_odds *= limits.SMALL_RUN
    return _decide(rows, found, evidence, notes, worth, leak_odds)


@dataclass(frozen=True)
class _Rate:
    """The rate's posterior, in bytes per step."""

    mean: float
    low: float
    high: float
    upper: float
    error: float
    below_zero: float


def _rate(evidence: Evidence, unit: float) -> _Rate:
    x, w = evidence.points * unit, evidence.mass
    mean = float(x @ w)
    error = float(np.sqrt(max(float(((x - mean) ** 2) @ w), 0.0)))
    total = np.cumsum(w)
    low, high, upper = np.interp([0.025, 0.975, 0.95], total - w / 2, x)
    return _Rate(mean, float(low), float(high), float(upper), error, float(w[x <= 0].sum()))


def _decide(  # noqa: C901, PLR0917 - one line for each outcome, from everything that was found
    rows: Rows, found: Features, evidence: Evidence, notes: list[Reason], worth: float, odds: float
) -> Verdict:
    rate = _rate(evidence, found.sigma / rows.steps)
    growth = evidence.log_growth - float(np.logaddexp(evidence.log_none, evidence.log_fall))
    falls = evidence.log_fall - float(np.logaddexp(evidence.log_none, evidence.log_growth))
    slow = evidence.log_slow - evidence.log_growth
    grows = growth > np.log(odds) and rate.below_zero < limits.ONE_SIDED
    slowing = (
        slow > np.log(limits.SLOW_ODDS)
        or evidence.slowing < limits.SLOWING
        or late_growth(found) < limits.LATE_SHARE * rate.mean * rows.steps * LATE_SPAN
    )
    # Growth that is a small part of all movement may be what the shapes' fit leaves over.
    misfit = left_over(rows, found, evidence, abs(rate.mean) * rows.steps) / rows.steps
    credible = rate.mean > misfit
    grows = grows and credible
    name: VerdictName
    if grows and rate.mean >= worth:
        if slowing:
            name, why = "inconclusive", [Reason.STILL_SLOWING]
        elif not grows_everywhere(found, rate.mean * rows.steps):
            name, why = "inconclusive", [Reason.UNEVEN_GROWTH]
        else:
            name, why = "leak", leak_reasons(rows, found, evidence)
    elif grows:
        name, why = "baseline", [Reason.NOT_WORTH_ACTING_ON]
    elif (
        credible
        and growth > np.log(limits.GREY_ODDS)
        and rate.below_zero < limits.GREY_TAIL
        and rate.upper > worth
    ):
        name, why = "inconclusive", [Reason.GREY_ZONE]
    elif falls > np.log(odds) and rate.upper < 0 and found.teeth is None:
        name, why = "plateau", [Reason.FALLS]
    elif found.teeth is None and evidence.log_slow - evidence.log_none > np.log(
        limits.SLOW_SHAPE_ODDS
    ):
        name, why = "inconclusive", [Reason.STILL_SLOWING]
    else:
        name, why = settled(rows, found, evidence, rate.upper, worth)
    if (
        name not in {"baseline", "sawtooth"}
        and rows.sizes is not None
        and inputs_sorted(rows.sizes)
    ):
        notes.append(Reason.SORTED_INPUTS)
    if one_is_odd(evidence, worth * rows.steps / found.sigma):
        notes.append(Reason.REPEATS_DISAGREE)
    reasons = list(dict.fromkeys([*why, *notes]))
    if name != "inconclusive" and any(r.withdraws for r in reasons):
        name = "inconclusive"
        reasons.sort(key=lambda r: not r.withdraws)
    total = rows.y[:, 0].size * rows.y.shape[1]
    needed = max(2.576, float(np.sqrt(2 * np.log(odds * np.sqrt(total)))))
    return Verdict(
        verdict=name,
        rate=rate.mean,
        interval=(rate.low, rate.high),
        upper=rate.upper,
        smallest_visible=max((needed + 1.645) * rate.error, worth, misfit),
        confidence=_confidence(name, growth),
        reasons=tuple(reasons),
        steps=rows.steps,
        repeats=len(rows.y),
        basis=_basis(rows, found, evidence, worth, odds),
    )


def _confidence(name: str, growth: float) -> Confidence:
    if name == "inconclusive":
        return "none"
    strength = abs(growth)
    if strength > np.log(150):
        return "very-strong"
    return "strong" if strength > np.log(20) else "positive"


def _basis(rows: Rows, found: Features, evidence: Evidence, worth: float, odds: float) -> Basis:
    unit = found.sigma / rows.steps
    rates, errors = evidence.rates * unit, evidence.errors * unit
    pooled = dersimonian_laird(rates, errors)
    return Basis(
        samples=rows.y.shape[1],
        noise=found.sigma,
        noise_kind=evidence.kind.name,
        log_evidence={
            "grows": evidence.log_growth,
            "stops": evidence.log_none,
            "falls": evidence.log_fall,
            "slows": evidence.log_slow,
        },
        shapes_if_it_stops=evidence.shapes,
        shapes_if_it_grows=evidence.growth_shapes,
        covariates=evidence.bases,
        late_over_middle=evidence.slowing,
        rate_by_repeat=tuple(rates.tolist()),
        error_by_repeat=tuple(errors.tolist()),
        pooled=pooled.mean,
        between_repeats=pooled.between,
        heterogeneity=pooled.heterogeneity,
        pooled_interval=pooled.interval,
        teeth_by_repeat=found.teeth,
        thresholds={
            "fewest_steps": limits.FEWEST_STEPS,
            "leak_odds": odds,
            "one_sided": limits.ONE_SIDED,
            "slow_odds": limits.SLOW_ODDS,
            "worth_rate": worth,
        },
    )


def _withdrawn(rows: Rows, reasons: list[Reason]) -> Verdict:
    nan = float("nan")
    codes = tuple(dict.fromkeys(reasons))
    return Verdict(
        "inconclusive",
        nan,
        (nan, nan),
        nan,
        float("inf"),
        "none",
        codes,
        rows.steps,
        len(rows.y),
    )
