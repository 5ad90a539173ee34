"""Student's t and what else the verdicts take from statistics, beside scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, optimize, special, stats

from listen2lab.findings.law import _not_negative
from listen2lab.verdict.audit import _ranks
from listen2lab.verdict.noise import KINDS, covariance, whitener
from listen2lab.verdict.student import cdf, line, quantile

DRAW = np.random.default_rng(5)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 499, 5000, 1.3, 2.7, 17.9, 600.5])
def test_the_distribution_is_students(freedom):
    """For whole and other degrees of freedom, far out as well."""
    t = np.concatenate([DRAW.standard_t(freedom, 50), [-60.0, -8.0, 0.0, 1e-9, 60.0]])
    assert cdf(freedom, t) == pytest.approx(special.stdtr(freedom, t), abs=1e-9)
    for p in (0.002, 0.3, 0.5, 0.95, 0.975, 0.998):
        wanted = special.stdtrit(freedom, p)
        assert quantile(freedom, p) == pytest.approx(wanted, rel=1e-8, abs=1e-8)


def test_a_line_is_fitted_with_its_error():
    """Slope, standard error and two-sided probability; a perfect line is sure."""
    x = DRAW.normal(size=12)
    for y in (2 * x + DRAW.normal(size=12), DRAW.normal(size=12)):
        found, wanted = line(x, y), stats.linregress(x, y)
        assert found == pytest.approx((wanted.slope, wanted.stderr, wanted.pvalue))
    assert line(np.arange(3.0), 2 * np.arange(3.0)) == pytest.approx((2.0, 0.0, 0.0), abs=1e-9)


def test_ranks_whiteners_and_least_squares_are_scipys():
    """Ties share a rank; a whitener is the inverse Cholesky factor; no value is negative."""
    row = DRAW.integers(0, 6, 30).astype(float)
    assert _ranks(row[None])[0] == pytest.approx(stats.rankdata(row))
    u = np.sort(DRAW.random(90))
    for kind in KINDS:
        white, log_det = whitener(kind, u, 1 / 90)
        lower = linalg.cholesky(covariance(kind, u, 1 / 90), lower=True)
        wanted = linalg.solve_triangular(lower, np.eye(90), lower=True)
        assert white == pytest.approx(wanted, rel=1e-6, abs=1e-6 * np.abs(wanted).max())
        assert log_det == pytest.approx(-np.log(np.diag(lower)).sum())
    for _ in range(20):
        columns, y = DRAW.normal(size=(9, 3)), DRAW.normal(size=9)
        assert _not_negative(columns, y) == pytest.approx(optimize.nnls(columns, y)[0], abs=1e-9)


@pytest.mark.parametrize("freedom", [np.nan, 0, -1])
def test_without_freedom_nothing_is_known(freedom):
    """As scipy: no number, and no traceback."""
    assert np.isnan(quantile(freedom, 0.9))
    assert np.isnan(cdf(freedom, [0.0, 1.0])).all()


def test_much_freedom_is_the_normal_distribution():
    """Without end, too."""
    for freedom in (3e6, 1e12, np.inf):
        assert quantile(freedom, 0.975) == pytest.approx(stats.norm.ppf(0.975), rel=1e-6)
