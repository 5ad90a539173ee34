"""The fixture ``leak_check``, in a pytest of its own, as somebody's suite would use it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from listen2lab.leak_check import is_clear

SUITE = """
kept = []
def grow():
    kept.append(bytes(bytearray(50_000)))
def load():
    global text
    text = "x" * 1000
def test_clean(leak_check):
    found = leak_check(lambda i: text.count("x"), setup=load, steps=40)
    assert found.numbers.verdict in ("baseline", "plateau"), found.numbers
    assert found.numbers.n_complete == 3
    assert not kept
def test_leak(leak_check):
    leak_check(grow, steps=40)
def test_raises(leak_check):
    leak_check(lambda i: 1 / (5 - i), steps=40)
def test_lock(leak_check):
    import threading
    leak_check(threading.Lock().acquire)
"""


@pytest.mark.slow  # runs of their own processes
def test_a_suite_fails_for_a_leak_and_says_how_fast_and_whose(tmp_path):
    """Verdict, rate, interval and first owner; a clean step passes after three processes."""
    (tmp_path / "test_own.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider",
         "-p", "no:listen2lab", "-p", "listen2lab.pytest_plugin", "test_own.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert "3 failed, 1 passed" in done.stdout, done.stdout
    rate = re.search(r"^grow: Leak: ([\d.]+) KiB a step \(95 % between ", done.stdout, re.MULTILINE)
    assert rate, done.stdout
    assert float(rate[1]) == pytest.approx(50_000 / 1024, rel=0.1)
    assert re.search(r"First owner: .*, at .*test_own.py:4 grow: \d", done.stdout), done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert done.stdout.count("acquire cannot be sent to a fresh process") == 1
    assert "check_leak" not in done.stdout  # nothing of ours in what a failing test shows


def test_an_answer_is_clear_where_more_processes_would_not_change_it():
    """What does not grow, and a leak well above what could be seen."""
    assert is_clear("baseline", 0.0, 1.0)
    assert is_clear("leak", 3.0, 1.0)
    assert not is_clear("leak", 2.0, 1.0)
    assert not is_clear("leak", 2.0, None)
    assert not is_clear("inconclusive", 9.0, 1.0)
