"""Which release began to leak: the arithmetic of it, and releases in environments of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from listen2lab.findings.bisection import (
    FALSE_ALARM,
    MISS,
    SURE,
    Bisection,
    Probe,
    narrowed,
    next_probe,
)
from listen2lab.report.text.bisect import bisected


def test_the_first_leaking_release_is_found_although_verdicts_err():
    """Over 16 releases: right in 95 of 100 where it says so, in some five verdicts."""
    draw = np.random.default_rng(4)
    right, asked = [], []
    for _ in range(300):
        n = 15
        truth = int(draw.integers(1, n + 1))
        odds = np.full(n, 1 / n)
        count = 0
        while odds.max() < SURE and count < 30:
            count += 1
            at = next_probe(odds)
            p_leak = 1 - MISS if truth <= at else FALSE_ALARM
            odds = narrowed(odds, at, is_leak=bool(draw.random() < p_leak))
        right.append(int(np.argmax(odds)) + 1 == truth)
        asked.append(count)
    assert np.mean(right) >= SURE
    assert np.median(asked) <= 7


def test_a_release_that_decides_nothing_is_passed_over():
    """The next best is asked; without any left there is none, and the last is never asked."""
    odds = np.full(4, 0.25)
    assert next_probe(odds) == 2
    assert next_probe(odds, [2]) in (1, 3)
    assert next_probe(odds, [1, 2, 3]) is None
    assert next_probe(np.ones(1)) is None


def test_what_was_found_is_said_with_its_odds():
    """Also where good leaks, or bad does not."""
    probes = (Probe("1.0", "baseline"), Probe("1.2", "leak", 3.0))
    both = {"package": "p", "versions": ("1.1", "1.2"), "odds": (0.02, 0.98), "probes": probes}
    assert "p began to leak with 1.2" in bisected(Bisection(**both, ended="sure"))
    assert "1.0 leaks already" in bisected(Bisection(**both, ended="good-leaks"))
    assert "1.2 does not leak here" in bisected(Bisection(**both, ended="bad-does-not"))


def wheel(folder, version, code):
    """Write a wheel of one module."""
    info = f"leaky-{version}.dist-info"
    with zipfile.ZipFile(folder / f"leaky-{version}-py3-none-any.whl", "w") as made:
        made.writestr("leaky.py", code)
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: leaky\nVersion: {version}")
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        made.writestr(f"{info}/RECORD", "")


@pytest.mark.slow
def test_releases_are_installed_watched_and_told(tmp_path):
    """Four releases from a folder: 1.10 began it; good and bad are checked first."""
    clean = "def call(): return bytearray(70_000)"
    leaky = "kept = []\ndef call(): kept.append(bytearray(70_000))"
    for version, code in (("1.2", clean), ("1.9", clean), ("1.10", leaky), ("1.11", leaky)):
        wheel(tmp_path, version, code)
    file = tmp_path / "workload.py"
    file.write_text("import leaky\ndef setup(): pass\ndef step(i): leaky.call()\n")
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "bisect", file, "--package", "leaky", "--good", "1.2",
         "--bad", "1.11", "--steps", "40", "--repeats", "2", "--out", tmp_path / "out", "--json"],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["versions"] == ["1.9", "1.10", "1.11"]
    assert found["versions"][int(np.argmax(found["odds"]))] == "1.10"
    assert found["ended"] == "sure"
    watched = [each["version"] for each in found["probes"]]
    assert watched[:2] == ["1.2", "1.11"]
    assert set(watched) <= {"1.2", "1.9", "1.10", "1.11"}
