"""The instrument sees planted faults in the real pipeline, and invents none."""

from __future__ import annotations

import pytest

from listen2lab.pipeline.planted import FAULTS
from listen2lab.report import terminal
from listen2lab.selftest import selftest

pytestmark = pytest.mark.slow  # runs of their own processes


def test_each_planted_fault_is_found_and_nothing_else(tmp_path):
    """Small: 40 steps, 3 repeats. Rates of what grows are right within 20 %."""
    findings = selftest(tmp_path / "study", steps=40, repeats=3)
    table = terminal.selftest(findings)
    assert [finding.fault for finding in findings] == list(FAULTS)
    assert all(finding.is_right for finding in findings), table
    for finding in findings:
        if finding.error is not None and finding.fault != "alignment-cache":
            # small Python objects of the cache are counted, and fill pages only now and then
            assert finding.error == pytest.approx(0, abs=0.2), table
    assert f"{len(FAULTS)} of {len(FAULTS)} right" in table
