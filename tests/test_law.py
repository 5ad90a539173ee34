"""The law: known coefficients are found again, and its inverse is its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.findings.law import Law, fit_law, laws_of, lengths_of
from listen2lab.report.text.law import law as law_words
from listen2lab.study.data import open_study
from listen2lab.study.plan import Plan

LENGTHS = (5, 10, 20, 40, 70, 110)


def test_known_coefficients_are_found_again():
    """Without noise, the fit is exact, and so is what it says of lengths that were left out."""
    s = np.repeat(LENGTHS, 3).astype(float)
    law = fit_law("peak", s, 200 + 12 * s + 0.1 * s**2, s)
    assert law.fixed == pytest.approx(200)
    assert law.linear == pytest.approx(12)
    assert law.quadratic == pytest.approx(0.1)
    assert (law.lengths, law.runs) == (6, 18)
    assert law.error == pytest.approx(0, abs=1e-9)
    assert law.error_at_longest == pytest.approx(0, abs=1e-6)


def test_with_noise_its_error_is_that_of_the_noise():
    """On held-out lengths a noise of 2 % leads to an error of about that, not to more."""
    draw = np.random.default_rng(73)
    errors = []
    for _ in range(50):
        labels = np.repeat(LENGTHS, 3)
        s = labels * draw.normal(1, 0.01, 18)
        mib = (200 + 12 * s + 0.1 * s**2) * draw.normal(1, 0.02, 18)
        law = fit_law("end", s, mib, labels)
        errors.append(law.error)
    assert np.median(errors) < 0.03


@pytest.mark.parametrize(
    ("quadratic", "limit", "longest"),
    [(0.1, 500, 18.3216), (0.0, 500, 20.0), (0.1, 100, None), (0.1, 99, None)],
)
def test_the_inverse(quadratic, limit, longest):
    """The longest sentence under a limit leads just to the limit."""
    law = Law(
        quantity="peak", fixed=100, linear=20, quadratic=quadratic,
        shortest_s=5, longest_s=110, lengths=5, runs=15,
    )  # fmt: skip
    found = law.longest_under(limit)
    assert found == (None if longest is None else pytest.approx(longest, rel=1e-4))
    if found is not None:
        assert law.at(found) == pytest.approx(limit)


def test_memory_that_follows_nothing_has_no_longest_sentence():
    """Flat memory allows any length."""
    law = fit_law("end", LENGTHS, [300.0] * 6, LENGTHS)
    assert law.longest_under(500) == np.inf
    assert law.longest_under(250) is None


def test_three_lengths_are_too_few():
    """Three numbers are fitted: nothing would be left to test them on."""
    assert fit_law("peak", [5, 5.1, 10, 20], [1, 1, 2, 4], [5, 5, 10, 20]) is None


def test_the_reference_study_s_law():
    """The longest sentence decides peak and end: the stored study's own lengths say how."""
    study = open_study("data/reference/study")
    names = lengths_of(study.plan)["exported"]
    peak, end = laws_of(study.complete, "utterance-length", names)
    assert (peak.quantity, end.quantity) == ("peak", "end")
    for law in (peak, end):
        assert law.lengths == 7
        assert law.at(108) == pytest.approx(2840, rel=0.05)
        assert 14 < law.longest_under(477) < 20
        assert law.error < 0.05


def test_a_plan_in_words():
    """One sentence a graph, for the peak; what is longer than all that was measured is said."""
    facts = {"shortest_s": 5.0, "longest_s": 110.0, "lengths": 5, "runs": 15, "error": 0.02}
    exported = Law(quantity="peak", fixed=176.0, linear=17.5, quadratic=0.07, **facts)
    bounded = Law(quantity="peak", fixed=180.0, linear=1.0, quadratic=0.0, **facts)
    flat = Law(quantity="peak", fixed=180.0, linear=0.0, quadratic=0.0, **facts)
    said = law_words({"exported": (exported,), "bounded": (bounded,)})
    assert len(said) == 2
    assert "16 s" in said[0]
    assert "110 s" in said[1]
    assert law_words({"exported": (flat,)})
    assert law_words({}) == []


def test_conditions_that_differ_in_their_length_alone():
    """Split ones are none, and each graph has its own."""
    plan = Plan((EXPERIMENTS["utterance-length"], EXPERIMENTS["baseline"]))
    found = lengths_of(plan)
    assert found["exported"] == ["5s", "10s", "15s", "25s", "40s", "70s", "110s"]
    assert [name.removesuffix("-bounded") for name in found["bounded"]] == [
        "5s", "15s", "25s", "70s", "110s",
    ]  # fmt: skip
    assert lengths_of(Plan((EXPERIMENTS["baseline"],))) == {}
