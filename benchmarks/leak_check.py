"""Measure the leak check: false alarms on no-ops, what stopping early costs, and how long it takes.

``--only noops`` runs real checks, each in fresh processes; ``--only series`` judges labelled series
after three repeats and, where they do not decide, after five, beside all five at once.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402 - after the threads are fixed
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from series import FAMILIES, HELD_BACK, NON_LEAKS, draw  # noqa: E402

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
    """Run what is asked for; return 1 where more than one no-op in 200 was called a leak."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("noops", "series"), help="one part")
    parser.add_argument("--count", type=int, default=400, help="no-ops; a tenth of it: sets a kind")
    parser.add_argument("--steps", type=int, default=60, help="steps of a no-op's process")
    given = parser.parse_args()
    wrong = 0
    if given.only != "series":
        wrong = noops(given.count, given.steps)
    if given.only != "noops":
        series(max(1, given.count // 10))
    return int(wrong * 200 > given.count)


if __name__ == "__main__":
    sys.exit(main())
