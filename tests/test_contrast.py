"""Two conditions compared: removed, reduced, unchanged, worse, or not known."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import numpy as np
import pytest
from scipy import stats

from listen2lab.errors import InputError
from listen2lab.findings.records import ConditionContrast
from listen2lab.report.text import verdicts
from listen2lab.report.text.verdicts import REASONS
from listen2lab.verdict.contrast import ContrastWhy, by_level, judge_pair
from listen2lab.verdict.intervals import welch
from listen2lab.verdict.reasons import Reason

MIB = 2**20


def _runs(seed, *, repeats=5, steps=90, rate=0.0, level=80 * MIB, sigma=1e5, between=2e5):
    rng = np.random.default_rng(seed)
    base = level + rng.normal(0, between, (repeats, 1))
    return base + rate * np.arange(steps) + rng.normal(0, sigma, (repeats, steps))


@pytest.mark.parametrize(
    ("b", "verdict", "why"),
    [
        ({}, "removed", "leak-gone"),
        ({"rate": 9e3}, "reduced", "less-of-it"),
        ({"rate": 3e4}, "unchanged", "same-leak"),
        ({"rate": 7e4}, "worse", "more-of-it"),
    ],
)
def test_rates_are_compared(b, verdict, why):
    """What became of a leak of 30 kB a step, with fewer repeats and other lengths in B."""
    c = judge_pair(_runs(1, rate=3e4), _runs(2, repeats=4, steps=120, **b))
    assert (c.verdict, c.why) == (verdict, why)
    assert c.interval[0] < 3e4 - b.get("rate", 0.0) < c.interval[1]


def test_a_new_leak_is_worse():
    """B leaks where A does not."""
    c = judge_pair(_runs(3), _runs(4, rate=3e4))
    assert (c.verdict, c.why) == ("worse", "new-leak")


def test_rates_of_thinned_runs_are_per_step():
    """With a sample every ten steps, the rate is a tenth; the verdict stays."""
    every_step = judge_pair(_runs(1, rate=3e4), _runs(2))
    thinned = judge_pair(_runs(1, rate=3e4), _runs(2), every=(10, 10))
    assert thinned.verdict == every_step.verdict == "removed"
    assert thinned.difference == pytest.approx(every_step.difference / 10)
    assert thinned.a.rate == pytest.approx(every_step.a.rate / 10)
    assert thinned.why == "leak-gone"


def test_without_a_leak_there_is_no_rate_to_compare():
    """Levels may differ; the growth of two flat series says nothing."""
    c = judge_pair(_runs(5), _runs(6, repeats=3, steps=60))
    assert (c.verdict, c.why, c.unjudged) == ("inconclusive", "no-leak", None)


def _ends(seed, level, *, between=2e5, repeats=5):
    return _runs(seed, level=level, between=between, repeats=repeats)[:, -1]


@pytest.mark.parametrize(
    ("more", "verdict"), [(-20 * MIB, "reduced"), (0, "unchanged"), (20 * MIB, "worse")]
)
def test_levels_are_compared_by_what_is_worth_acting_on(more, verdict):
    """A change of level counts from 5 % on."""
    a, b = _ends(5, 80 * MIB), _ends(6, 80 * MIB + more, repeats=3)
    interval = welch(b, a)
    assert interval[0] < more < interval[1]
    assert by_level(b.mean() - a.mean(), interval, 4 * MIB) == verdict


def test_processes_that_differ_too_much_decide_nothing():
    """A difference within the spread of the processes is not called one; nor is one run's."""
    a, b = _ends(9, 80 * MIB, between=3e7), _ends(10, 85 * MIB, between=3e7)
    assert by_level(b.mean() - a.mean(), welch(b, a), 4 * MIB) == "inconclusive"
    assert welch(b, a[:1]) is None
    assert by_level(b.mean() - a[0], None, 4 * MIB) == "inconclusive"


def test_level_interval_is_welch():
    """The interval of a difference of levels is scipy's."""
    a, b = _ends(7, 80 * MIB), _ends(8, 80 * MIB, repeats=3)
    known = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert welch(a, b) == pytest.approx((known.low, known.high))


def test_nothing_measured_is_inconclusive_with_its_reason():
    """An empty condition gives no contrast, and says why."""
    c = judge_pair(_runs(13, rate=3e4), np.full((3, 40), np.nan))
    assert (c.verdict, c.why) == ("inconclusive", "no-verdict")
    assert c.unjudged is c.b
    assert c.b.reasons[0] == Reason.NOTHING_MEASURED
    assert json.loads(msgspec.json.encode(c))["b"]["smallest_visible"] is None


def test_wrong_shapes_are_an_error():
    """The error is the judge's own."""
    with pytest.raises(InputError, match="dimensions"):
        judge_pair(np.zeros((2, 2, 2)), _runs(14))


def test_identical_runs_are_unchanged():
    """The same bytes twice: no difference, and no infinite certainty either."""
    a = _runs(15, rate=3e4)
    c = judge_pair(a, a)
    assert c.verdict == "unchanged"
    assert c.difference == 0
    assert c.interval[0] < 0 < c.interval[1]


def test_a_leak_that_is_left_is_never_removed():
    """A third of the leak is still a leak."""
    for seed in range(6):
        c = judge_pair(_runs(seed, rate=2e4), _runs(seed + 50, rate=7e3, repeats=3, steps=60))
        assert c.verdict != "removed"


def test_each_condition_has_its_own_thinning():
    """The same loss a step, one read at every step and one at every fourth, is the same."""
    pair = judge_pair(_runs(1, rate=1e4), _runs(2, rate=4e4), every=(1, 4))
    assert pair.a.rate == pytest.approx(1e4, rel=0.05)
    assert pair.b.rate == pytest.approx(1e4, rel=0.05)
    assert pair.verdict == "unchanged"


@pytest.mark.slow
def test_two_processes_a_side_seldom_differ_by_chance():
    """With two repeats, how far processes are apart is hardly known: the interval says so."""
    rng = np.random.default_rng(3)
    apart = 0
    for _ in range(60):
        sides = []
        for _side in range(2):
            rates = 2e4 * (1 + 0.2 * rng.standard_normal(2))
            noise = rng.normal(0, 2e4, (2, 60))
            sides.append(1e8 + rates[:, None] * np.arange(60) + noise)
        pair = judge_pair(*sides)
        apart += pair.verdict in {"worse", "reduced", "removed"}
    assert apart <= 1  # five of these were, with the samples' degrees of freedom


@pytest.mark.parametrize("why", sorted(set(get_args(ContrastWhy)) - {"no-leak"}))
@pytest.mark.parametrize("verdict", ["reduced", "worse", "unchanged", "inconclusive"])
def test_every_contrast_has_its_sentence(why, verdict):
    """Each code is worded, and names the conditions or the reason."""
    found = ConditionContrast(
        to="old",
        about="rate",
        verdict=verdict,
        why=why,
        end_difference_mib=-3.0,
        quantity="in_use",
        rate_of_first=2e4,
        rate=3.0,
        upper=3.0,
        unjudged="too-few-steps",
    )
    told = verdicts.contrast("new", found)
    assert told.endswith(".")
    assert ("old" in told and "new" in told) or REASONS["too-few-steps"] in told
    level = msgspec.structs.replace(found, about="level")
    assert verdicts.contrast("new", level).startswith("new holds 3 MiB less than old")
