"""What the instrument costs: each promised bound, measured as a ratio in one run.

``make bench`` prints one line a bound: what was asked, what was measured, kept or missed. The
exit status is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from listen2lab import api
from listen2lab.experiment import catalog, inputs
from listen2lab.experiment.local import make_spec
from listen2lab.experiment.runner import child_environment, execute
from listen2lab.study.folder import RunFolder, StudyFolder
from listen2lab.study.plan import Plan, schedule
from listen2lab.study.records import Manifest, Spec
from listen2lab.units import MIB

BARE_LOOP = """
import json, sys, time
spec_path = sys.argv[1]
from listen2lab.experiment import worker
spec = json.load(open(spec_path))
run = worker._Run(spec, spec_path.rsplit("/", 1)[0])
workload = worker._load(run)
workload.setup()
began, cpu = time.perf_counter(), time.process_time()
for i in range(spec["warmup"] + spec["steps"]):
    workload.step(i)
print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]))
"""
RESIDENT = "print(int(open('/proc/self/statm').read().split()[1]) * 4096)"
IMPORT_RUNS = 15

_missed: list[str] = []


def main() -> int:
    """Measure every bound, or those that are named."""
    measures = {
        "worker-weight": worker_weight,
        "import-time": lambda _root: import_time(),
        "loop-tiny": lambda root: loop_ratio(root, "tiny", bound=1.03, pairs=5),
        "end-memory": end_memory,
        "two-at-a-time": two_at_a_time,
        "lab-time": lab_time,
        "loop-medium": lambda root: loop_ratio(root, "medium", bound=1.05, pairs=3),
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=measures, default=[*measures])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            measures[name](Path(folder))
    print(f"\nmissed: {', '.join(_missed)}" if _missed else "\nevery bound is kept")
    return 1 if _missed else 0


def say(what: str, measured: float, bound: float, unit: str, detail: str = "") -> None:
    """Print one line, and remember a miss."""
    kept = measured <= bound
    if not kept:
        _missed.append(what)
    print(
        f"{'kept  ' if kept else 'MISSED'}  {what}: {measured:.3f} {unit} (bound {bound:g})"
        f"{'; ' + detail if detail else ''}",
        flush=True,
    )


ENVIRONMENT = child_environment({"MALLOC_ARENA_MAX": "1"})  # as a study of the pipeline has it


def child(*arguments: str) -> str:
    """Run this interpreter in a run's environment, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=True, env=ENVIRONMENT,
    )  # fmt: skip
    return done.stdout


def prepared(root: Path, name: str, voice: str = "tiny", *, steps: int = 30) -> RunFolder:
    """Prepare one run of the baseline, and return its folder."""
    # Fixed durations: with the app's random ones no two processes do the same work.
    baseline = catalog.experiment("baseline").with_knobs({"noise_scale_w": 0.0})
    plan = Plan((baseline,), repeats=1, traced="none").with_lengths(steps, None)
    given = inputs.open_book(voice)
    study = StudyFolder(root / name)
    study.create(Manifest(plan=plan), list(given.paragraphs))
    study.release()
    (run,) = schedule(plan)
    folder = study.run(run.key)
    folder.prepare(make_spec(study, folder, run, plan, given))
    return folder


def worker_weight(root: Path) -> None:
    """Compare the worker before its workload with bare Python, read the same way."""
    file = root / "nothing.py"
    file.write_text("def setup(): pass\ndef step(i): pass\n")
    weights = []
    for k in range(5):
        run = RunFolder(root, f"a/b/{k:02d}")
        run.prepare(Spec(workload={"kind": "file", "path": str(file)}, steps=1))
        execute(run)
        start = next(each.rss for each in run.samples() if each.phase == "start")
        weights.append((start - int(child("-c", RESIDENT))) / MIB)
    say("worker before the workload, above bare Python", max(weights), 4.0, "MiB")


def import_time() -> None:
    """Compare ``import listen2lab`` with doing nothing, alternately."""

    def seconds(code: str) -> float:
        began = time.perf_counter()
        child("-c", code)
        return time.perf_counter() - began

    pairs = [(seconds("pass"), seconds("import listen2lab")) for _ in range(IMPORT_RUNS)]
    more = statistics.median(b - a for a, b in pairs) * 1000
    say("import listen2lab, above bare Python", more, 60.0, "ms")


def loop_ratio(root: Path, voice: str, *, bound: float, pairs: int) -> None:
    """Compare a plain run's steps with the bare loop over the same workload, alternately."""
    walls, cpus = [], []
    for k in range(pairs):
        folder = prepared(root, f"{voice}-loop{k}", voice)
        bare_wall, bare_cpu = json.loads(child("-c", BARE_LOOP, str(folder.spec_path)))
        folder.steps_path.unlink(missing_ok=True)
        execute(folder, environment=ENVIRONMENT)
        samples = folder.samples()
        setup = next(each for each in samples if each.phase == "setup")
        last = [each for each in samples if each.phase == "step"][-1]
        walls.append((last.t - setup.t) / bare_wall)
        cpus.append((last.cpu_total_s - setup.cpu_total_s) / bare_cpu)
    say(
        f"plain run against the bare loop, {voice}",
        statistics.median(walls),
        bound,
        "x",
        f"CPU {statistics.median(cpus):.3f} x; {pairs} pairs, {min(walls):.3f}-{max(walls):.3f}",
    )


def end_memory(root: Path) -> None:
    """Run one condition in five fresh processes and compare where they end."""
    ends = []
    for k in range(5):
        folder = prepared(root, f"end{k}")
        execute(folder, environment=ENVIRONMENT)
        ends += [each.rss / MIB for each in folder.samples() if each.phase == "end"]
    spread = max(ends) - min(ends)
    say(
        "five processes of one condition, memory at the end",
        spread,
        2.0,
        "MiB",
        f"at {ends[0]:.0f}",
    )


def two_at_a_time(root: Path) -> None:
    """Compare where the same runs end, one at a time and two at a time."""
    ends = []
    for jobs in (1, 2):
        study = api.run(
            "baseline", quick=True, trace="none", repeats=6, jobs=jobs,
            knobs={"noise_scale_w": 0.0}, out=root / f"jobs{jobs}",
        )  # fmt: skip
        samples = study.samples
        ends.append(samples[samples["phase"] == "end"].sort_values("repeat")["rss"] / MIB)
    apart = ends[1].to_numpy() - ends[0].to_numpy()  # a repeat reads in the same order in both
    mean, half = apart.mean(), 2.571 * apart.std(ddof=1) / len(apart) ** 0.5  # Student's, 5 d.f.
    say(
        "two runs at a time against one, memory at the end",
        abs(mean), 2.0, "MiB", f"{mean:+.2f} +- {half:.2f} (95 %) at {ends[0].mean():.0f}",
    )  # fmt: skip


def lab_time(root: Path) -> None:
    """Time what ``make lab`` does after the installation."""
    began = time.perf_counter()
    names = ("baseline", "alignment", "cache-size", "session-recreation")  # as in the Makefile
    child("-m", "listen2lab", "run", *names, "--quick", "--out", str(root / "lab"))
    say("make lab, tiny voice", time.perf_counter() - began, 180.0, "s")


if __name__ == "__main__":
    sys.exit(main())
