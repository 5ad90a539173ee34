"""Outputs as people post them, in our own words: what is right of each.

The inputs are in ``fixtures/device/cases``; a case's numbers were counted by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from listen2lab import device
from listen2lab.device.answer import answer
from listen2lab.report.text import device as words
from listen2lab.units import MIB

CASES = Path(__file__).parent / "fixtures" / "device" / "cases"


def read(*names):
    """Return the evidence of some cases."""
    return device.read([CASES / f"{name}.txt" for name in names])


LINE = {
    "csv-available-first": "mem_used_mb",
    "csv-camel": "rssMb",
    "csv-elapsed-min": "footprint_mb",
    "csv-epoch-ms": "rss_mb",
    "csv-limit-first": "memory_mb",
    "csv-peak-first": "rss_mb",
    "csv-percent-first": "memory_mb",
    "csv-quoted": "Real Memory (MiB)",
    "csv-straight-line": "rss_mb",
    "csv-us-dates": "RSS_MB",
    "jsonl-nested": "totals.rss",
    "list-mprof": "memory",
    "list-time-size": "memory",
    "log-lines": "footprint",
    "table-blanks": "Real (MB)",
}


@pytest.mark.parametrize("name", LINE)
def test_the_column_that_is_memory_in_use_and_the_unit_of_time(name):
    """Each holds the same line: 2 MiB each 10 s, in another layout."""
    evidence = read(name)
    (series,) = answer(evidence).series
    assert series.quantity == LINE[name]
    assert (series.samples, series.judged.unit) == (60, "minute")
    assert series.seconds == pytest.approx(590, abs=0.5)
    assert series.range.first == pytest.approx(300 * MIB, rel=0.01)
    assert series.judged.rate == pytest.approx(12 * MIB, rel=0.02)
    assert evidence.sources[0].malformed == 0


def test_lines_without_a_time_count_as_steps():
    """The first number of `key-values` counts requests: it is no time."""
    (series,) = answer(read("key-values")).series
    assert (series.quantity, series.timed, series.judged.unit) == ("rss", False, "sample")
    assert series.judged.rate == pytest.approx(2 * MIB, rel=0.02)


def test_several_processes_are_several_series():
    """One is flat, one grows; neither jumps between both."""
    flat, grows = answer(read("csv-two-pids")).series
    assert (flat.process, grows.process) == ("100", "101")
    assert flat.range.first == flat.range.highest == 40 * MIB
    assert grows.judged.rate == pytest.approx(12 * MIB, rel=0.02)
    assert flat.judged.verdict == "baseline"


def test_no_input_is_named_where_the_file_holds_none():
    """A rise in steps is a shape; that it follows the largest input is not known."""
    (series,) = answer(read("csv-steps-no-inputs")).series
    assert series.judged.verdict == "high-water"
    assert "follows" not in words.verdict(series.judged)
