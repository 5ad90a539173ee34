"""Load and report a study of 1,000 runs or 5,000: seconds and bytes against their bounds.

The runs are copies of a real study's, each moved by some pages, so that repeats differ as those of
a long study do. Usage::

    python benchmarks/large.py STUDY [--runs 1000] [--keep FOLDER]

STUDY is any complete study; the more conditions it has, the harder it is. Seconds are also given
as a ratio to a plain ``json.loads`` of every line, each the least of a few alternating takes. The
report is written in a process of its own, whose seconds and memory at its peak, from loading to the
end, have bounds with ``--runs 5000``, too.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from listen2lab.facade import Study

if TYPE_CHECKING:
    from collections.abc import Callable

LOAD_RATIO = 1.2
TAKES = 5
REPORT_BYTES = 5_000_000
LARGEST_RUNS = 5000
LARGEST_S = 30.0
LARGEST_BYTES = 600_000_000
"""Loading and reporting a study of so many runs on two quiet cores: seconds; bytes at its peak."""

PAGE = 4096
_MOVED = ("rss", "anonymous", "private_dirty", "peak")


def main() -> int:
    """Build the study, measure, print the table; 1 when a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path, help="a complete study to copy runs of")
    parser.add_argument("--runs", type=int, default=1000, help="at least so many plain runs")
    parser.add_argument("--keep", type=Path, help="keep the large study in this new folder")
    parser.add_argument("--only", choices=["load"], help="write no report")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch) / "large"
        n_runs = enlarge(given.study, folder, given.runs)
        plain, load = [], []
        for _ in range(TAKES):
            plain.append(_timed(lambda: _plain(folder))[0])
            took, study = _timed(lambda: _load(folder))
            load.append(took)
        whole = _Whole()
        if given.only != "load":
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                whole = fresh.submit(_whole, folder).result()
    least = [tuple(map(min, zip(*takes, strict=True))) for takes in (plain, load)]
    (plain_s, plain_cpu), (load_s, load_cpu) = least
    print(f"{n_runs} runs, {len(study.samples)} samples; the least of {TAKES} takes")
    print(f"{'':<28}{'measured':>12}{'of it CPU':>12}{'bound':>8}")
    print(f"{'plain json.loads, s':<28}{plain_s:>12.2f}{plain_cpu:>12.2f}")
    print(f"{'load runs and samples, s':<28}{load_s:>12.2f}{load_cpu:>12.2f}")
    ratio = load_cpu / plain_cpu
    print(f"{'  as a ratio to plain':<28}{load_s / plain_s:>12.2f}{ratio:>12.2f}{LOAD_RATIO:>8.1f}")
    is_kept = ratio <= LOAD_RATIO and whole.size <= REPORT_BYTES
    if whole.size:
        has_bounds = n_runs >= LARGEST_RUNS
        print(f"{'report, MB':<28}{whole.size / 1e6:>12.2f}{'':>12}{REPORT_BYTES / 1e6:>8.1f}")
        print(
            f"{'load and report, s':<28}{whole.seconds:>12.1f}{whole.cpu:>12.1f}"
            + f"{LARGEST_S:>8.0f}" * has_bounds
        )
        print(
            f"{'memory at its peak, MB':<28}{whole.peak / 1e6:>12.0f}{'':>12}"
            + f"{LARGEST_BYTES / 1e6:>8.0f}" * has_bounds
        )
        is_small = whole.seconds <= LARGEST_S and whole.peak <= LARGEST_BYTES
        is_kept = is_kept and (is_small or not has_bounds)
    return 0 if is_kept else 1


class _Whole(NamedTuple):
    """What a process took to load a study and report it, and the bytes of the report."""

    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    size: int = 0


def _whole(folder: Path) -> _Whole:
    (seconds, cpu), path = _timed(lambda: Study(folder).report())
    # The kernel's own record: that of getrusage begins with what the process was started by.
    said = Path("/proc/self/status").read_text("utf-8")
    peak = int(said.partition("VmHWM:")[2].split()[0]) * 1024
    return _Whole(seconds, cpu, peak, path.stat().st_size)


def enlarge(source: Path, folder: Path, n_runs: int) -> int:
    """Write a study of at least ``n_runs`` plain runs; return how many it has.

    Parameters
    ----------
    source
        A real study.
    folder
        Where the large one is written.
    n_runs
        Wanted.
    """
    manifest = json.loads((source / "manifest.json").read_text("utf-8"))
    plan = manifest["plan"]
    conditions = [
        (item["name"], level["name"]) for item in plan["experiments"] for level in item["levels"]
    ]
    there = plan["repeats"]
    plan["repeats"] = -(-n_runs // len(conditions))
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    shutil.copy(source / "paragraphs.json", folder)
    for experiment, condition in conditions:
        runs = source / "runs" / experiment / condition
        target = folder / "runs" / experiment / condition
        if (runs / "traced").is_dir():
            shutil.copytree(runs / "traced", target / "traced", ignore=_captures)
        for repeat in range(plan["repeats"]):
            _copy_run(runs / f"{repeat % there:02d}", target / f"{repeat:02d}", repeat)
    return plan["repeats"] * len(conditions)


def _captures(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "heap.bin"]


def _copy_run(source: Path, target: Path, repeat: int) -> None:
    """Copy a run, its memory moved by up to some 100 pages, a little less or more at each step."""
    target.mkdir(parents=True)
    for name in ("spec.json", "result.json"):
        shutil.copy(source / name, target)
    draw = random.Random(f"{source}/{repeat}")
    level = draw.randint(-100, 100)
    lines = []
    for text in (source / "steps.jsonl").read_text("utf-8").splitlines():
        line: dict[str, Any] = json.loads(text)
        moved = PAGE * (level + draw.randint(-5, 5))
        for name in _MOVED:
            if name in line:
                line[name] += moved
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    (target / "steps.jsonl").write_text("".join(lines), "utf-8")


def _load(folder: Path) -> Study:
    study = Study(folder)
    assert len(study.runs)
    assert len(study.samples)
    return study


def _plain(folder: Path) -> None:
    for path in folder.glob("runs/*/*/*/steps.jsonl"):
        for line in path.read_bytes().splitlines():
            json.loads(line)


def _timed(body: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Return seconds, seconds of CPU (which others on the machine do not stretch), and a result."""
    began, cpu = time.perf_counter(), time.process_time()
    value = body()
    return (time.perf_counter() - began, time.process_time() - cpu), value


if __name__ == "__main__":
    sys.exit(main())
