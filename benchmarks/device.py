"""What reading a phone's evidence costs: logs of millions of lines, 40,000 restarts, a vmmap.

Each is read in a fresh process. Prints one line a bound: what was asked, what was measured, kept
or missed, and the ratio to a plain read of the same file. The exit status is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from listen2lab.pipeline.log import AppLog
from listen2lab.units import MIB

LINES = 1_000_000
MANY_LINES = 5_000_000
RESTARTS = 40_000
VMMAP_BYTES = 5_000_000
SAMPLES = (66.3, 84.7, 2290.4, 191.0)

CHILD = """
import json, resource, sys, time
kind, path = sys.argv[1:3]
import numpy
from listen2lab import device
if kind == "whole":
    from listen2lab.device.answer import answer
    from listen2lab.report.device_terminal import as_text
import tempfile
with tempfile.NamedTemporaryFile("w", suffix=".log") as small:  # what is imported late, is imported
    small.write("[MEMORY] Total: 1.0 MB\\n")
    small.flush()
    evidence = device.read(small.name)
    if kind == "whole":
        answer(evidence)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if kind == "plain":
    begin, cpu = time.perf_counter(), time.process_time()
    with open(path, "rb") as file:
        count = sum(1 for _ in file)
else:
    begin, cpu = time.perf_counter(), time.process_time()
    evidence = device.read(path)
    if kind == "whole":
        as_text(answer(evidence))
    count = evidence.sources[0].recognised
print(json.dumps({
    "seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "count": count,
    "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - base,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""

_missed: list[str] = []


def main() -> int:
    """Measure every bound, or one kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=["logs", "large", "vmmap"], help="one kind")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        logs = (
            ("log, every line the app's", False, 1),
            ("log with a console's prefixes", True, 1),
            ("log among other output", True, 6),
        )
        for name, prefixed, share in logs if only in {None, "logs"} else ():
            path = root / "phone.log"
            write_log(path, prefixed=prefixed, one_in=share)
            report(name, path, seconds=4.0, mebibytes=300)
        if only in {None, "large"}:
            path = root / "restarts.log"
            write_restarts(path)
            whole = measured("whole", path)
            say(f"{RESTARTS:,} restarts, with answers", whole["seconds"], 10.0, "s",
                f"{whole['cpu']:.2f} s CPU")  # fmt: skip
            for name, write in (("lines", write_large_log), ("rows of CSV", write_csv)):
                path = root / "large"
                write(path)
                whole = measured("whole", path)
                say(f"{MANY_LINES:,} {name}, memory", whole["peak"] / 1e6, 500, "MB",
                    f"of the whole process; {whole['seconds']:.1f} s")  # fmt: skip
        if only in {None, "vmmap"}:
            path = root / "vmmap.txt"
            write_vmmap(path)
            report("vmmap of 5 MB", path, seconds=1.0, mebibytes=None)
    print(f"\nmissed: {', '.join(_missed)}" if _missed else "\nevery bound is kept")
    return 1 if _missed else 0


def report(name: str, path: Path, *, seconds: float, mebibytes: float | None) -> None:
    """Measure one file, and print a line for each bound."""
    plain, read, whole = (measured(kind, path) for kind in ("plain", "read", "whole"))
    ratio = read["cpu"] / max(plain["cpu"], 1e-9)
    say(name, read["seconds"], seconds, "s",
        f"CPU {read['cpu']:.2f} s, {ratio:.0f} x a plain loop over its lines; "
        f"with answers {whole['seconds']:.2f} s ({whole['cpu']:.2f} s CPU); "
        f"{read['count']:,} lines recognised")  # fmt: skip
    if mebibytes is not None:
        say(f"{name}, memory", whole["bytes"] / MIB, mebibytes, "MiB", "above the interpreter")


def measured(kind: str, path: Path) -> dict[str, float]:
    """Run a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind, str(path)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def say(what: str, value: float, bound: float, unit: str, detail: str) -> None:
    """Print one line, and remember a miss."""
    kept = value <= bound
    if not kept:
        _missed.append(what)
    word = "kept" if kept else "MISSED"
    print(f"{what:<40}{value:>8.2f} {unit:<4} asked {bound:g}: {word}  ({detail})", flush=True)


def write_restarts(path: Path) -> None:
    """Write the log of an app that was started again after every four paragraphs."""
    lines: list[str] = []
    log = AppLog(lines.append, lambda: int((66 + len(lines)) * MIB))
    for k in range(4):
        log.line("pre-started", n=k)
        log.line("synthesized", samples=112640 + k, rate=22050)
        log.line("pre-done", n=k, seconds=0.5)
        log.line("aligned", n=k, words=12, audio_s=5.1 + k)
    with path.open("w", encoding="utf-8") as file:
        for k in range(RESTARTS):
            head = prefix(0).replace("[512:", f"[{512 + k}:")
            file.writelines(f"{head}{line}\n" for line in lines)


def write_log(path: Path, *, prefixed: bool, one_in: int, lines: int = LINES) -> None:
    """Write a log of so many lines; one in `one_in` of them is the app's."""
    some: list[str] = []
    memory = [0.0]
    log = AppLog(some.append, lambda: int(memory[0] * MIB))
    with path.open("w", encoding="utf-8") as file:
        written = paragraph = 0
        while written < lines:
            some.clear()
            memory[0] = SAMPLES[paragraph % len(SAMPLES)] + paragraph * 0.001
            log.line("pre-started", n=paragraph)
            log.line("synthesized", samples=112640 + paragraph % 977, rate=22050)
            log.line("pre-done", n=paragraph, seconds=0.08 + paragraph % 300 / 100)
            words, audio_s = 12 + paragraph % 90, 5.11 + paragraph % 97
            log.line("aligned", n=paragraph, words=words, audio_s=audio_s)
            log.line("evicted-audio", n=max(paragraph - 2, 0))
            log.line("evicted-alignment", n=max(paragraph - 2, 0))
            if paragraph % 5 == 0:
                log.breakdown([25 * MIB, 0], [200_000, 0], 1, 1)
            paragraph += 1
            for line in some:
                for k in range(one_in):
                    if written < lines:
                        text = line if k == 0 else f"[AVFoundation] value {written} flags=0x{k:x}"
                        file.write((prefix(written) if prefixed else "") + text + "\n")
                        written += 1


def write_large_log(path: Path) -> None:
    """Write a log of five million lines, all of them the app's."""
    write_log(path, prefixed=True, one_in=1, lines=MANY_LINES)


def write_csv(path: Path) -> None:
    """Write a table of as many samples."""
    with path.open("w", encoding="utf-8") as file:
        file.write("time,rss_kb\n")
        for k in range(MANY_LINES):
            file.write(f"{k * 0.1:.1f},{300_000 + k * 7919 % 5003}\n")


def prefix(k: int) -> str:
    """Return what Xcode's console prints before a line."""
    seconds = k * 0.01
    hour, minute = int(seconds // 3600) + 10, int(seconds // 60) % 60
    return (
        f"2025-11-15 {hour:02}:{minute:02}:{seconds % 60:09.6f}-0800 Listen2[512:{7000 + k % 9}] "
    )


def write_vmmap(path: Path) -> None:
    """Write a vmmap of some 5 MB: tens of thousands of regions."""
    head = "Process:         Listen2 [512]\nPhysical footprint:         1.9G\n----\n\n"
    title = "REGION TYPE                    START END         [ VSIZE  RSDNT  DIRTY   SWAP] PRT/MAX"
    row = (
        "MALLOC_LARGE                {0:x}-{1:x}    [ 1024K   {2}K   512K    16K] rw-/rwx SM=PRV"
        "          DefaultMallocZone_0x102f50000\n"
    )
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{head}==== Writable regions for process 512\n{title}\n")
        size = k = 0
        while size < VMMAP_BYTES:
            start = 0x138000000 + k * 0x100000
            size += file.write(row.format(start, start + 0x100000, 600 + k % 400))
            k += 1


if __name__ == "__main__":
    sys.exit(main())
