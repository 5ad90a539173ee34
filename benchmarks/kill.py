"""Kill studies at random moments, and see that nothing is lost.

``python benchmarks/kill.py --count 300`` kills parents and workers with SIGKILL while a study is
begun or resumed (plain runs of a workload, traced ones, and with ``--pipeline`` the reading
pipeline), completes each with ``--resume``, and counts what must not be: whole lines that cannot be
read, processes that are left, and studies that cannot be completed to the plan they were begun
with. The exit status is 1 when there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from listen2lab.errors import LabError
from listen2lab.study.data import open_study
from listen2lab.study.folder import StudyFolder

WORKLOAD = """
import time
held = []
def setup(): time.sleep(0.1)
def step(i):
    held.append(bytearray(1 << 16))
    time.sleep(0.02)
"""
LONGEST_S = 8.0
"""Seconds within which a study is killed: it begins, runs, and writes its report in them."""

LONGEST_RUN_S = 1.5
"""Seconds that a run takes: within them after it began, a worker is killed."""

PATIENCE_S = 5.0
"""Seconds that the processes of a killed parent have to end."""


def commands(folder: Path, file: Path, *, pipeline: bool) -> list[list[str]]:
    """Return what is killed: calls that begin a study in a folder."""
    watch = ["watch", str(file), "--steps", "20", "--repeats", "2", "--out", str(folder)]
    found = [watch, [*watch, "--trace"], [*watch, "--jobs", "2"]]
    if pipeline:
        found.append(
            ["run", "baseline", "--quick", "--repeats", "1", "--steps", "6", "--out", str(folder)]
        )
    return found


def begin(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start the lab."""
    return subprocess.Popen(
        [sys.executable, "-m", "listen2lab", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def processes(folder: Path) -> list[int]:
    """Return the processes that name a study: its workers, and their parent."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - names are wanted
        with contextlib.suppress(OSError):
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def kill_one(folder: Path, parent: subprocess.Popen[bytes], draw: random.Random) -> str | None:
    """Kill the parent or one of its workers at a random moment; None where all had ended by then.

    A worker is waited for, since most of a small study's seconds pass without one.
    """
    if is_worker := draw.random() < 0.5:
        until = time.monotonic() + LONGEST_S
        while not workers(folder, parent) and parent.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    time.sleep(draw.uniform(0, LONGEST_RUN_S if is_worker else LONGEST_S))
    there = workers(folder, parent) if is_worker else []
    if parent.poll() is not None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(draw.choice(there or [parent.pid]), signal.SIGKILL)
    parent.wait()
    return "worker" if there else "parent"


def workers(folder: Path, parent: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes of a study but for its parent."""
    return [pid for pid in processes(folder) if pid != parent.pid]


def orphans(folder: Path) -> int:
    """Return how many processes of a study are left after a while."""
    until = time.monotonic() + PATIENCE_S
    while (left := processes(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            print(f"orphan: {command.decode(errors='replace')}", flush=True)
            os.kill(pid, signal.SIGKILL)
    return len(left)


def unreadable(folder: Path) -> int:
    """Return how many whole lines of samples cannot be read, also of attempts moved aside."""
    bad = 0
    for path in folder.rglob("steps.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                json.loads(line)
            except ValueError:
                bad += 1
    return bad


def completed(folder: Path, arguments: list[str], plan: object) -> bool:
    """Complete a study, or begin it again where it was killed before it was one."""
    has_begun = StudyFolder(folder).manifest_path.exists()
    begin(["run", "--resume", str(folder)] if has_begun else arguments).wait()
    with contextlib.suppress(LabError):
        study = open_study(folder)
        same = plan is None or study.plan == plan
        return same and set(study.runs["outcome"]) == {"complete"}
    return False


def main() -> int:
    """Kill, complete, count, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=300, help="kills; 300 take some hours")
    parser.add_argument("--seed", type=int, default=0, help="decides when and what is killed")
    parser.add_argument("--pipeline", action="store_true", help="also runs of the pipeline")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "workload.py"
        file.write_text(WORKLOAD)
        killed, number = 0, 0
        while killed < given.count:
            number += 1
            folder = Path(scratch) / f"study-{number:04d}"
            arguments = draw.choice(commands(folder, file, pipeline=given.pipeline))
            plan = None
            for _ in range(draw.randint(1, 3)):
                has_begun = StudyFolder(folder).manifest_path.exists()
                parent = begin(["run", "--resume", str(folder)] if has_begun else arguments)
                hit = kill_one(folder, parent, draw)
                counts[f"killed {hit}" if hit else "ended before"] += 1
                killed += hit is not None
                counts["orphans"] += orphans(folder)
                counts["unreadable lines"] += unreadable(folder)
                with contextlib.suppress(LabError):
                    plan = plan or open_study(folder).plan
            is_whole = completed(folder, arguments, plan)
            counts["completed" if is_whole else "not completed"] += 1
            if not is_whole:
                shutil.copytree(folder, Path.cwd() / folder.name, symlinks=True)  # to look into
            counts["unreadable lines"] += unreadable(folder)
            print(f"{killed} kills: {dict(counts)}", flush=True)
    lost = counts["orphans"] + counts["unreadable lines"] + counts["not completed"]
    print("kept" if not lost else "missed", dict(counts))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
