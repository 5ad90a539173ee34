"""Measure the leak check: false alarms on no-ops, what stopping early costs, and how long it takes.

``--only noops`` runs real checks, each in fresh processes; ``--only series`` judges labelled series
after three repeats and, where they do not decide, after five, beside all five at once. ``--only
bounded`` watches ten kinds of workloads that hold no more than so much, as ``watch`` does.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402 - after the threads are fixed
import ctypes  # noqa: E402
import random  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from series import FAMILIES, HELD_BACK, NON_LEAKS, draw  # noqa: E402

from listen2lab.api import watch  # noqa: E402
from listen2lab.leak_check import check, is_clear  # noqa: E402
from listen2lab.units import KIB  # noqa: E402
from listen2lab.verdict.judge import judge  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.verdict.judge import Verdict

NO_OPS: dict[str, Callable[[int], object]] = {
    "nothing": lambda _i: None,
    "sums": lambda i: sum(range(i % 7, 1000)),
    "texts": lambda i: [str(k) * 20 for k in range(i % 50)],
    "blocks": lambda i: bytearray(1_000_000 + i % 3),
}

held: dict[object, object] = {}
"""What a bounded workload keeps, in its own process."""


def _reserve() -> None:
    """Ask malloc for 1.5 MiB that only the steps will touch."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    held.update({k: libc.malloc(16384) for k in range(96)})


def _touch(i: int) -> None:
    block, page = divmod(i, 4)
    if block < len(held):
        ctypes.memset(held[block] + 4096 * page, 1, 4096)  # type: ignore[operator] # an address


def _evict(i: int) -> None:
    """Keep the last 60 answers, of uneven size."""
    held[i] = bytes(random.randrange(1000, 60_000))
    held.pop(i - 60, None)


def _remember(_i: int) -> None:
    """Keep one answer for each of 40 questions that come at random."""
    held.setdefault(random.randrange(40), bytes(30_000))


def _slot(i: int) -> None:
    """Fill a pool of 16 buffers again and again, which grow to the largest that they held."""
    size = 1000 * random.randrange(1, 100)
    pool = held.setdefault(i % 16, bytearray())
    pool[:] = bytes(max(size, len(pool)))  # type: ignore[index, arg-type] # a bytearray


def _clear(i: int) -> None:
    """Gather, and let all go at every 17th step."""
    held[i] = ["x" * k for k in range(500)]
    if i % 17 == 0:
        held.clear()


def _warm_up(i: int) -> None:
    """Do work of its own in the first 40 steps, and keep it."""
    if i < 40:
        held[i] = {k: str(k) for k in range(5000 // (i + 1))}


def _query(i: int) -> None:
    """Fill a table of a database in memory that is kept at 100 rows."""
    held["db"].execute("insert into t values (?, ?)", (i, "x" * 5000))  # type: ignore[attr-defined]
    held["db"].execute("delete from t where k <= ?", (i - 100,))  # type: ignore[attr-defined]


def _database() -> None:
    import sqlite3  # noqa: PLC0415 - in the workload's process

    held["db"] = sqlite3.connect(":memory:")
    held["db"].execute("create table t (k, v)")  # type: ignore[attr-defined] # a connection


def _holes(i: int) -> None:
    """Let large blocks go between small ones, of which the last 50 stay."""
    between = [bytearray(20_000) for _ in range(10)]
    held[i % 50] = bytearray(700)
    del between


BOUNDED: dict[str, tuple[Callable[[int], object], Callable[[], object] | None]] = {
    "nothing": (NO_OPS["nothing"], None),
    "blocks": (NO_OPS["blocks"], None),
    "cache that evicts": (_evict, None),
    "cache of few keys": (_remember, None),
    "pool": (_slot, None),
    "touched late": (_touch, _reserve),
    "cleared": (_clear, None),
    "warm-up": (_warm_up, None),
    "database": (_query, _database),
    "holes": (_holes, None),
}


def bounded(count: int, steps: int) -> int:
    """Watch workloads that hold no more than so much; return how many were called leaks."""
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in BOUNDED}
    for k in range(count):
        name = list(BOUNDED)[k % len(BOUNDED)]
        step, setup = BOUNDED[name]
        with tempfile.TemporaryDirectory() as folder:
            study = watch(step, setup=setup, steps=steps, seed=k, out=Path(folder) / "study")
            ((_, found),) = study.summary().conditions()
        verdicts[name][found.verdict] += 1
        if found.verdict == "leak":
            print(f"FALSE LEAK {name}: {found}", flush=True)
    for name, counts in verdicts.items():
        print(f"{name:20s} {dict(counts)}", flush=True)
    wrong = sum(counts["leak"] for counts in verdicts.values())
    print(f"{wrong} false leaks of {count}")
    return wrong


def noops(count: int, steps: int) -> int:
    """Check functions that keep nothing; return how many of them were called leaks."""
    verdicts: Counter[str] = Counter()
    seconds, wrong = [], 0
    for k in range(count):
        name = list(NO_OPS)[k % len(NO_OPS)]
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = check(NO_OPS[name], steps=steps, folder=Path(folder) / "study")
        seconds.append(time.perf_counter() - began)
        verdicts[f"{found.numbers.verdict} after {found.numbers.n_complete}"] += 1
        if found.failure is not None:
            wrong += 1
            print(f"FALSE ALARM {name}: {found.failure}", flush=True)
        if (k + 1) % 50 == 0:
            print(f"{k + 1}: {wrong} false alarms; {dict(verdicts)}", flush=True)
    print(f"{wrong} false alarms of {count}; {dict(verdicts)}")
    print(f"seconds a check: median {statistics.median(seconds):.1f}, most {max(seconds):.1f}")
    return wrong


def series(count: int) -> None:
    """Compare stopping early with five repeats at once, on labelled series of 100 steps."""
    counts: Counter[str] = Counter()
    for name, (label, _, _) in FAMILIES.items():
        for i in range(count):
            s = draw(name, HELD_BACK + 7_000_000 + i, steps=100, repeats=5)
            whole = judge(s.y, s.sizes)
            early = judge(s.y[:3], None if s.sizes is None else s.sizes[:3])
            stops = is_clear(early.verdict, *_rates(early))
            told = early if stops else whole
            if label in NON_LEAKS:
                kind = "non-leaks"
            elif label == "leak":
                kind = "clear leaks" if s.rate >= 3 * s.limit else "faint leaks"
            else:
                continue
            counts[kind] += 1
            counts[f"{kind}, stopped"] += stops
            counts[f"{kind}, leak when stopping early"] += told.verdict == "leak"
            counts[f"{kind}, leak after five"] += whole.verdict == "leak"
    for kind in ("non-leaks", "clear leaks", "faint leaks"):
        n = counts[kind]
        print(f"{kind}: {n} sets, {counts[f'{kind}, stopped'] / n:.1%} stopped after three")
        for rule in ("leak when stopping early", "leak after five"):
            print(f"    {rule}: {counts[f'{kind}, {rule}']} ({counts[f'{kind}, {rule}'] / n:.2%})")


def _rates(found: Verdict) -> tuple[float, float]:
    return found.rate / KIB, found.smallest_visible / KIB


def main() -> int:
    """Run what is asked for; return 1 where too many were called a leak."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("noops", "series", "bounded"), help="one part")
    parser.add_argument("--count", type=int, default=400, help="no-ops; a tenth of it: sets a kind")
    parser.add_argument("--steps", type=int, default=60, help="steps of a no-op's process")
    given = parser.parse_args()
    wrong = False
    if given.only in {None, "noops"}:
        wrong = noops(given.count, given.steps) * 200 > given.count
    if given.only in {None, "series"}:
        series(max(1, given.count // 10))
    if given.only in {None, "bounded"}:
        wrong = bounded(given.count // 4, 200) > 0 or wrong
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
