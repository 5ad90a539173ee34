"""Measure whether a rerun on the same machine reproduces verdicts, and memory within 2 %.

A study is run, then rerun three times, each rerun compared with the first study. One line for each
end gives its ratio to the first study's, then the bound and what was measured. The exit status
is 0 when the bound is kept.

Usage: ``python benchmarks/reproduced.py [--voice tiny] [--only cache-size] [--repeats 3]
[--reruns 3] [--folder FOLDER]``. With ``--folder``, a study that is there in ``first`` is used, and
so are reruns; nothing is run twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from listen2lab import api
from listen2lab.comparison.reproduced import SAME_SHARE, Point, points
from listen2lab.comparison.rerun import rerun
from listen2lab.findings.summary import summary_of
from listen2lab.study.data import open_study


def main() -> int:
    """Run, rerun, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--voice", default="tiny")
    parser.add_argument("--only", default="cache-size", help="the experiment")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reruns", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        return measure(given, given.folder or Path(made))


def measure(given: argparse.Namespace, folder: Path) -> int:
    """Run what is not there yet, and compare."""
    first = folder / "first"
    if not first.exists():
        api.run(given.only, voice=given.voice, repeats=given.repeats, trace="none", out=first)
    found: list[Point] = []
    for k in range(1, given.reruns + 1):
        again = folder / f"rerun-{k}"
        if not again.exists():
            rerun(first, out=again)
        was, now = (summary_of(open_study(path)).experiments for path in (first, again))
        mine = points(was, now)
        for point in mine:
            print(f"rerun {k}: {line(point)}")
        found += mine
    ends = [point for point in found if point.quantity == "end"]
    verdicts = [point for point in found if point.quantity == "verdict"]
    farthest = max(ends, key=lambda point: abs(point.share or 0.0))
    near = sum(bool(point.is_within_share) for point in ends)
    same = sum(point.is_reproduced for point in verdicts)
    print(f"ends within {SAME_SHARE:.0%}: {near} of {len(ends)} (bound: all)")
    print(f"farthest end: {100 * (farthest.share or 0.0):+.2f} % (bound: 2 %)")
    print(f"verdicts the same: {same} of {len(verdicts)} (bound: all)")
    return 0 if near == len(ends) and same == len(verdicts) else 1


def line(point: Point) -> str:
    """Return a point's line: an end as a ratio."""
    name = f"{point.experiment}/{point.condition} {point.quantity}"
    if isinstance(point.before, str) or isinstance(point.now, str):
        return f"{name}: {point.before} -> {point.now}"
    if point.before is None or point.now is None:
        return f"{name}: not measured"
    ratio = f" ratio {point.now / point.before:.4f}" if point.quantity == "end" else ""
    within = "within" if point.is_within_interval else "outside of"
    return f"{name}: {point.before:.3f} -> {point.now:.3f}{ratio}, {within} the interval"


if __name__ == "__main__":
    sys.exit(main())
