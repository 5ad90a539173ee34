"""The verdict on memory series: whether it grows without end, and what it does if not.

`judge` takes bytes after each step, from several fresh processes, and says `leak`,
`high-water`, `plateau`, `baseline`, `sawtooth` or `inconclusive`, how fast it grows, and the
smallest leak that it could have seen. The way of the series: `series.prepare` checks them,
`features` finds what needs no model, `evidence` compares growth with every other history, and
`naming` names what does not grow. See ``docs/method.md``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.audit import inputs_sorted
from listen2lab.verdict.evidence import find_evidence, slowed_odds
from listen2lab.verdict.features import blocks, find_features, likeness
from listen2lab.verdict.intervals import Pooled, dersimonian_laird
from listen2lab.verdict.naming import (
    LATE_SPAN,
    Case,
    grows_everywhere,
    grows_steadily,
    keeps_pace,
    late_growth,
    leak_reasons,
    left_over,
    one_is_odd,
    settled,
)
from listen2lab.verdict.noise import plausible
from listen2lab.verdict.reasons import Reason, VerdictName
from listen2lab.verdict.series import Rows, prepare
from listen2lab.verdict.student import cdf, quantile
from listen2lab.verdict.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Basis", "Confidence", "Verdict", "VerdictName", "judge"]

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
    late_over_middle
        Growth late in the run over growth in its middle.
    rate_by_repeat, error_by_repeat, pooled
        Each repeat's own rate and standard error, and their meta-analysis, in bytes per step.
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
    late_over_middle: float
    rate_by_repeat: tuple[float, ...]
    error_by_repeat: tuple[float, ...]
    pooled: Pooled
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


@one_thread()
def judge(
    y: Any,
    sizes: Any = None,
    *,
    shapes: Any = None,
    audit: Iterable[Reason] = (),
    worth_rate: float = limits.WORTH_RATE,
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
    if not rows.y.size:
        return _withdrawn(rows, [Reason.NOTHING_MEASURED, *notes])
    if np.isfinite(rows.y).sum(axis=1).max() * rows.every < limits.FEWEST_STEPS:
        return _withdrawn(rows, [Reason.TOO_FEW_STEPS, *notes])
    found = find_features(rows)
    given = blocks(rows, found)
    if not given:
        return _withdrawn(rows, [Reason.TOO_FEW_STEPS, *notes])
    judged, odds = sum(len(b.y) for b in given), limits.LEAK_ODDS
    if judged < len(rows.y):
        notes.append(Reason.SHORT_REPEAT)
    temper = likeness(found.level)
    if temper < 0.99:
        notes.append(Reason.REPEATS_ALIKE)
    if judged == 1:
        notes.append(Reason.ONE_REPEAT)
        odds *= limits.LONE_REPEAT
    if found.teeth is not None:
        odds *= limits.TEETH_ODDS
    if rows.steps < limits.FIRM_STEPS or judged < limits.FIRM_REPEATS:
        notes.append(Reason.FEW_STEPS)
        odds *= limits.SMALL_RUN
    setting = {
        "samples": rows.y.shape[1],
        "span": rows.y.shape[1] * rows.every / rows.steps,
        "grain": rows.grain / found.sigma,
        "temper": temper,
    }
    evidence = find_evidence(given, kinds=plausible(found.y), **setting)
    slowed = partial(slowed_odds, given, evidence, **setting)
    rate = evidence.rate(found.sigma / rows.steps)
    worth = min(worth_rate, limits.WORTH_GROWTH / rows.steps)
    return _decide(Case(rows, found, evidence, rate, worth, slowed), notes, odds)


def _decide(case: Case, notes: list[Reason], odds: float) -> Verdict:
    rows, found, evidence, rate, worth, _ = case
    # Growth that is a small part of all movement may be what the shapes' fit leaves over.
    misfit = left_over(case) / rows.steps
    name, why = _named(case, odds, credible=rate.mean > misfit)
    lone, steady = len(rows.y) == 1, grows_steadily(case)
    by_steps_alone = name == "high-water" and lone and rows.sizes is None
    if steady and (name in {"plateau", "baseline", "inconclusive"} or by_steps_alone):
        name, why = "inconclusive", [Reason.GROWS_STEADILY]
    if name == "leak" and lone and rows.steps < limits.FIRM_STEPS and not steady:
        name, why = "inconclusive", [Reason.GREY_ZONE]
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
    needed = max(2.576, float(np.sqrt(2 * np.log(odds * np.sqrt(rows.y.size)))))
    basis = _basis(case, odds)
    low, high, upper = _bounds(case, basis.pooled.interval, name in {"leak", "inconclusive"})
    if Reason.STILL_SLOWING in why:
        low = min(low, 0.0)  # what slows down may end
    return Verdict(
        verdict=name,
        rate=rate.mean,
        interval=(low, high),
        upper=upper,
        smallest_visible=max((needed + 1.645) * rate.error, worth, misfit),
        confidence=_confidence(name, evidence.odds("grows")),
        reasons=tuple(reasons),
        steps=rows.steps,
        repeats=len(rows.y),
        basis=basis,
    )


def _named(  # noqa: PLR0911 - one line for each outcome
    case: Case, odds: float, *, credible: bool
) -> tuple[VerdictName, list[Reason]]:
    rows, found, evidence, rate, worth, _ = case
    growth, whole = evidence.odds("grows"), rate.mean * rows.steps
    if credible and growth > np.log(odds) and rate.below_zero < limits.ONE_SIDED:
        if rate.mean < worth:
            return "baseline", [Reason.NOT_WORTH_ACTING_ON]
        slow = evidence.log["slows"] - evidence.log["grows"]
        ended = slow < -np.log(limits.WARM_UP_ODDS) and keeps_pace(found)
        slowed = case.slowed()
        if (
            slowed > np.log(limits.SLOWED_ODDS)
            or (slow > np.log(limits.SLOW_ODDS) and slowed > -np.log(limits.SLOWED_ODDS))
            or (evidence.slowing < limits.SLOWING and not ended)
            or late_growth(found) < limits.LATE_SHARE * whole * LATE_SPAN
        ):
            return "inconclusive", [Reason.STILL_SLOWING]
        if not grows_everywhere(found, whole):
            return "inconclusive", [Reason.UNEVEN_GROWTH]
        return "leak", leak_reasons(case)
    if (
        credible
        and growth > np.log(limits.GREY_ODDS)
        and rate.below_zero < limits.GREY_TAIL
        and rate.upper > worth
    ):
        return "inconclusive", [Reason.GREY_ZONE]
    if found.teeth is None:
        if evidence.odds("falls") > np.log(odds) and rate.upper < 0:
            return "plateau", [Reason.FALLS]
        if evidence.log["slows"] - evidence.log["stops"] > np.log(limits.SLOW_SHAPE_ODDS):
            return "inconclusive", [Reason.STILL_SLOWING]
    return settled(case)


def _bounds(
    case: Case,
    pooled: tuple[float, float] | None,
    may_grow: bool,  # noqa: FBT001 - a fact
) -> tuple[float, float, float]:
    """Return the rate's 95 % interval and 95 % quantile; `pooled` is that of the repeats' rates.

    Growth at random steps, or with inputs of random size, differs from process to process by more
    than the models know, and a shape that is wrong makes them too sure. So where memory may grow,
    half of the belief is the posterior's, and half that of the repeats' own rates as a
    meta-analysis pools them; the bounds are nowhere inside the posterior's. A rate that follows the
    input is that of inputs in general, of which those of the run are a sample.
    """
    rows, _, evidence, rate, _, _ = case
    x, at = rate.points, np.array([0.025, 0.975, 0.95])
    if may_grow and evidence.trend == 1 and rows.sizes is not None:
        sampled = rate.mean * rows.sizes.std() / (rows.sizes.mean() * np.sqrt(rows.sizes.size))
        x = rate.mean + (x - rate.mean) * np.hypot(1.0, sampled / max(rate.error, 1e-300))
    total = np.cumsum(rate.mass) - rate.mass / 2
    own = np.interp(at, total, x)
    mixed = own
    if may_grow and pooled is not None:
        free, middle = len(evidence.rates) - 1, (pooled[0] + pooled[1]) / 2
        error = max((pooled[1] - middle) / quantile(free, 0.975), 1e-300)
        spread = np.array([quantile(free, p) for p in _QUANTILES])
        grid = np.sort(np.concatenate([x, middle + error * spread]))
        belief = cdf(free, (grid - middle) / error) + np.interp(grid, x, total)
        mixed = np.interp(at, belief / 2, grid)
    return float(min(own[0], mixed[0])), float(max(own[1], mixed[1])), float(max(own[2], mixed[2]))


_QUANTILES = np.linspace(0.002, 0.998, 125).tolist()


def _confidence(name: str, growth: float) -> Confidence:
    if name == "inconclusive":
        return "none"
    strength = abs(growth)
    if strength > np.log(150):
        return "very-strong"
    return "strong" if strength > np.log(20) else "positive"


def _basis(case: Case, odds: float) -> Basis:
    rows, found, evidence, _, worth, _ = case
    unit = found.sigma / rows.steps
    rates, errors = evidence.rates * unit, evidence.errors * unit
    return Basis(
        samples=rows.y.shape[1],
        noise=found.sigma,
        noise_kind=evidence.kind.name,
        log_evidence=evidence.log,
        shapes_if_it_stops=evidence.shapes,
        shapes_if_it_grows=evidence.growth_shapes,
        late_over_middle=evidence.slowing,
        rate_by_repeat=tuple(rates.tolist()),
        error_by_repeat=tuple(errors.tolist()),
        pooled=dersimonian_laird(rates, errors),
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
        rate=nan,
        interval=(nan, nan),
        upper=nan,
        smallest_visible=float("inf"),
        confidence="none",
        reasons=codes,
        steps=rows.steps,
        repeats=len(rows.y),
    )
