"""What the account of memory costs, beside memray's own tools, and who is named for a leak.

::

    python benchmarks/attribution.py                      # a short study and a capture of a million
    python benchmarks/attribution.py --study studies/X    # that study's runs instead
    python benchmarks/attribution.py --capture heap.bin   # that capture instead
    python benchmarks/attribution.py --only trace         # one of probe, reduce, trace, owners
    python benchmarks/attribution.py --only owners --python OTHER --leaks lxml,pandas

``owners`` tells who is named first for leaks whose library is known (`owners.py`), as far as the
interpreter has the packages. Processor time is compared, of processes of their own, so that a busy
machine changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import memray
import owners
import pandas as pd

import listen2lab as lab
from listen2lab.account.categories import account, categories
from listen2lab.experiment import worker
from listen2lab.experiment.runner import child_environment
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import schedule

ALLOCATIONS = """
import memray, sys
with memray.Tracker(
    destination=memray.FileDestination(sys.argv[1], overwrite=True), native_traces=True
):
    kept = []
    for i in range(int(sys.argv[2])):
        block = bytearray(600 + i % 700)
        if i % 50 == 0:
            kept.append(block)
"""
REDUCE = """
import sys
from listen2lab.probes.tracing import reduce_capture
reduce_capture(sys.argv[1], [(f"step {k}", 0.0) for k in range(30)])
"""
BARE = """
import json, sys, time
import memray
from listen2lab.models.voices import RecognizerFiles, VoiceFiles
from listen2lab.pipeline.knobs import knobs_from
from listen2lab.pipeline.listen2 import Listen2
folder, capture = sys.argv[1:]
with open(f"{folder}/spec.json") as file:
    spec = json.load(file)
described = spec["workload"]
with open(f"{folder}/{described['paragraphs']}") as file:
    book = json.load(file)
workload = Listen2(
    [book[k] for k in described["order"]], voice=VoiceFiles(**described["voice"]),
    recognizer=RecognizerFiles(**described["recognizer"]), knobs=knobs_from(described["knobs"]),
    log=lambda text: None, resident=lambda: 0, scratch=folder,
)
began = time.process_time()
with memray.Tracker(
    destination=memray.FileDestination(capture, overwrite=True), native_traces=True
):
    workload.setup()
    for i in range(spec["warmup"] + spec["steps"]):
        workload.step(i)
    workload.teardown()
    print(time.process_time() - began)
"""
# The loop of a traced run, and nothing else.


def main() -> None:
    """Print the comparisons as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path)
    parser.add_argument("--capture", type=Path)
    parser.add_argument("--allocations", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["probe", "reduce", "trace", "owners"])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--leaks", default="")
    given = parser.parse_args()
    answer: dict[str, object] = {}
    wanted = [given.only] if given.only else ["probe", "reduce", "trace", "owners"]
    with tempfile.TemporaryDirectory() as folder:
        if {"probe", "trace"} & {*wanted}:
            study = given.study or _short_study(Path(folder) / "study")
        if "probe" in wanted:
            answer["probe"] = probe_cost(study)
        if "reduce" in wanted:
            capture = given.capture or _capture(Path(folder) / "heap.bin", given.allocations)
            answer["reduce"] = reduce_cost(capture)
        if "trace" in wanted:
            answer["trace"] = trace_cost(study, Path(folder))
        if "owners" in wanted:
            leaks = [name for name in given.leaks.split(",") if name]
            answer["owners"] = owners.named(Path(folder), leaks, given.python)
        print(json.dumps(answer, indent=1))


def probe_cost(path: Path) -> list[dict[str, object]]:
    """Return per run what reading costs a step, and how well the account adds up."""
    samples = lab.Study(path).samples
    samples = samples[~samples["traced"].astype(bool)]
    rows = []
    for key, run in samples.groupby(["experiment", "condition", "repeat"]):
        steps = run[run["phase"].isin(["warmup", "step"])]
        table = account(run)
        parts = [name for name in categories(table) if name != "unaccounted"]
        off = (table[parts].sum(axis=1) - table["rss"]).abs()
        cost_s = float(steps["account.ms"].sum()) / 1e3
        levels_s = float(run["account.ms"].sum()) / 1e3 - cost_s
        rows.append(
            {
                "run": "/".join(map(str, key)) if isinstance(key, tuple) else str(key),
                "ms_a_step": round(1e3 * cost_s / len(steps), 2),
                "share_of_cpu": round(cost_s / float(steps["cpu_s"].sum()), 4),
                "share_with_levels": round(
                    (cost_s + levels_s) / float(pd.to_numeric(run["cpu_total_s"]).max()), 4
                ),
                "walks": int(pd.Series(steps["account.walked"]).sum()),
                "largest_mib": round(float(table["rss"].max()) / 2**20, 1),
                "off_mib": round(float(off.max()) / 2**20, 2),
                "off_share": round(float((off / table["rss"]).max()), 5),
            }
        )
    return rows


def reduce_cost(capture: Path) -> dict[str, float]:
    """Return processor seconds of `memray stats` and of the reduction, and its largest memory."""
    with memray.FileReader(str(capture)) as reader:
        count = reader.metadata.total_allocations
    stats_s, _ = _timed([sys.executable, "-m", "memray", "stats", str(capture)])
    reduce_s, peak = _timed([sys.executable, "-c", REDUCE, str(capture)])
    return {
        "allocations": count,
        "memray_stats_s": round(stats_s, 2),
        "reduce_s": round(reduce_s, 2),
        "ratio": round(reduce_s / stats_s, 2),
        "peak_mib": round(peak / 2**20, 1),
    }


def trace_cost(path: Path, folder: Path) -> dict[str, float]:
    """Return processor seconds of a traced run and of the same loop under a bare tracker.

    The loop is setup, steps and teardown while memray records; what the worker adds to it is
    reading samples, collecting after each step and looking at objects. Reducing the capture comes
    after it, and is told apart.
    """
    traced = next(run for run in schedule(lab.Study(path).plan) if run.traced)
    source = StudyFolder(path).run(traced.key).path
    ours = folder / "a" / "b" / "c" / "d"  # as deep as in a study: the texts' path is relative
    ours.mkdir(parents=True)
    shutil.copy(source / "spec.json", ours)
    shutil.copy(path / "paragraphs.json", folder)
    whole_s, _ = _timed([sys.executable, worker.__file__, str(ours / "spec.json")])
    lines = [json.loads(line) for line in (ours / "steps.jsonl").read_text().splitlines()]
    at = {line["phase"]: float(line["cpu_total_s"]) for line in lines}
    loop_s = at["released"] - at["import"]
    bare = [sys.executable, "-c", BARE, str(ours), str(folder / "bare.bin")]
    done = subprocess.run(bare, check=True, capture_output=True, text=True, env=child_environment())
    bare_s = float(done.stdout)
    return {
        "bare_s": round(bare_s, 2),
        "ours_s": round(loop_s, 2),
        "ratio": round(loop_s / bare_s, 3),
        "reducing_s": round(whole_s - at["released"], 2),
    }


def _timed(command: list[str]) -> tuple[float, int]:
    """Run a command; return its processor seconds and its peak in bytes."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=child_environment())
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} ended with status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _short_study(path: Path) -> Path:
    lab.run("baseline", quick=True, repeats=1, out=path)
    return path


def _capture(path: Path, allocations: int) -> Path:
    command = [sys.executable, "-c", ALLOCATIONS, str(path), str(allocations)]
    subprocess.run(command, check=True)
    return path


if __name__ == "__main__":
    main()
