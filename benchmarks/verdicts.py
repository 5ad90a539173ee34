"""Score the verdicts on labelled series, and print the goal table.

``python benchmarks/verdicts.py`` uses the tuning seeds; ``--held-back`` the seeds that nothing
was tuned on, for the published table; ``--quick`` a slice, ``--only`` a part. ``make
bench-verdicts`` runs it.
Held-back seeds are scored once: a change of the method after that takes a new range of them
(`series.HELD_BACK`), and ``docs/method.md`` keeps what the earlier ranges gave.
"""

from __future__ import annotations

import os

# One core: the times printed are of one. (Before numpy is imported.)
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402 - after the threads are fixed
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from peers import PEERS  # noqa: E402
from series import FAMILIES, HELD_BACK, NON_LEAKS, SHAPES, TUNING, SeriesSet, draw  # noqa: E402

from listen2lab.verdict.contrast import judge_pair  # noqa: E402
from listen2lab.verdict.judge import judge  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

Score = dict[str, object]


def _set(name: str, seed: int, i: int) -> SeriesSet:
    """Draw a set; half of them are of firm size (50 steps, 5 repeats or more)."""
    rng = np.random.default_rng([seed, i])
    firm = {"steps": int(rng.integers(50, 301)), "repeats": int(rng.integers(5, 11))}
    return draw(name, seed + i, **(firm if i % 2 else {}))


def score_shapes(  # noqa: C901 - one pass counts everything
    seed: int, count: int, *, peers: bool
) -> Score:
    """Judge ``count`` sets of every family."""
    table: dict[str, Counter[str]] = {}
    families: dict[str, Counter[str]] = {}
    firm: list[tuple[str, str]] = []
    covered: list[bool] = []
    covered_plain: list[bool] = []
    idle = slow_right = slow = non_leaks = false = false_all = all_non = quiet = quiet_idle = 0
    blind = [0, 0, 0]
    rivals = {name: [0, 0, 0, 0] for name in PEERS}
    for name, (label, accept, _) in FAMILIES.items():
        for i in range(count):
            s = _set(name, seed, i)
            v = judge(s.y, s.sizes)
            said = v.verdict
            big = s.y.shape[0] >= 5 and s.y.shape[1] >= 50
            # Where several names are right, the right one that was said counts as the label.
            truth = said if said in accept else label
            table.setdefault(label, Counter())[said] += 1
            families.setdefault(name, Counter())[said] += 1
            if big and label in SHAPES:
                firm.append((truth, said))
            if label == "leak":
                covered.append(v.interval[0] <= s.rate <= v.interval[1])
            if name in {"every_step", "flat", "every_kth", "flat_live_input", "one_off"}:
                covered_plain.append(v.interval[0] <= s.rate <= v.interval[1])
            if label in NON_LEAKS:
                all_non += 1
                false_all += said == "leak"
                if label in SHAPES:
                    non_leaks += 1
                    false += said == "leak"
                    idle += said == "inconclusive"
                    quiet += big
                    quiet_idle += big and said == "inconclusive"
            if label == "slow":
                slow += 1
                slow_right += said in accept
            if i < 30 and label in NON_LEAKS and label in SHAPES:
                untold = judge(s.y).verdict
                blind[0] += untold == "leak"
                blind[1] += untold in accept
                blind[2] += 1
            if peers and i < 20 and label in {*SHAPES, "slow", "wander"}:
                for rival, rule in PEERS.items():
                    at = 2 * (label == "leak")
                    rivals[rival][at] += rule(s.y)
                    rivals[rival][at + 1] += 1
    return {
        "confusion": {k: dict(c) for k, c in table.items()},
        "families": {k: dict(c) for k, c in families.items()},
        "macro_f1": _macro_f1(firm),
        "false_leaks": (false, non_leaks),
        "false_leaks_all": (false_all, all_non),
        "coverage_leaks": (int(sum(covered)), len(covered)),
        "coverage_plain": (int(sum(covered_plain)), len(covered_plain)),
        "blind_false": (blind[0], blind[2]),
        "blind_right": (blind[1], blind[2]),
        "inconclusive": (idle, non_leaks),
        "inconclusive_firm": (quiet_idle, quiet),
        "slow_right": (slow_right, slow),
        "peers": rivals if peers else {},
    }


def _macro_f1(pairs: list[tuple[str, str]]) -> float:
    out = []
    for shape in SHAPES:
        hit = sum(t == said == shape for t, said in pairs)
        wrong = sum((t == shape) != (said == shape) for t, said in pairs)
        out.append(2 * hit / (2 * hit + wrong) if hit or wrong else float("nan"))
    return float(np.nanmean(out))


def score_power(seed: int, count: int) -> Score:
    """Return the share of leaks found at rates near the Cramér-Rao limit, and where it is 95 %."""
    ratios = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5)
    found = []
    for ratio in ratios:
        hits = 0
        for i in range(count):
            rng = np.random.default_rng([seed, i])
            size = {"steps": int(rng.integers(50, 201)), "repeats": int(rng.integers(5, 9))}
            s = draw("every_step", seed + i, rate_over_limit=ratio, plain=i % 2 == 0, **size)
            # Told no floor: what is asked is what the statistics can see.
            hits += judge(s.y, s.sizes if i % 3 else None, worth_rate=1.0).verdict == "leak"
        found.append(hits / count)
    # A probit line through the shares gives the rate found in 95 of 100.
    x = np.log(ratios)
    z = stats.norm.ppf(np.clip(found, 0.5 / count, 1 - 0.5 / count))
    use = np.array([i for i, f in enumerate(found) if f < 1.0 or i == found.index(1.0)])
    slope, start = np.polyfit(x[use], z[use], 1) if use.size > 1 else (1.0, 0.0)
    at_95 = float(np.exp((1.645 - start) / slope))
    return {"power": dict(zip(map(str, ratios), found, strict=True)), "ratio_95": at_95}


def score_pairs(seed: int, count: int) -> Score:
    """Return how often "removed" is said of a leak that is left, and of one that is gone."""
    wrong = right = 0
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        n_a, n_b = (int(x) for x in rng.integers(60, 201, 2))
        r_a, r_b = (int(x) for x in rng.integers(4, 9, 2))
        ratio = float(np.exp(rng.uniform(np.log(6), np.log(40))))
        a = draw("every_step", seed + i, steps=n_a, repeats=r_a, rate_over_limit=ratio)
        noise = draw("flat", seed + i, steps=n_b, repeats=r_b)
        gone = (noise.y - noise.y.mean()) * (a.sigma / noise.sigma) + 1e9
        left = gone + a.rate * float(rng.uniform(0.25, 1.0)) * np.arange(n_b)
        right += judge_pair(a.y, gone).verdict == "removed"
        wrong += judge_pair(a.y, left).verdict == "removed"
    return {"removed_right": (right, count), "removed_wrong": (wrong, count)}


def score_time(seed: int) -> Score:
    """Return the processor's seconds for 1,000 sets of 5 x 100, from 93, told sizes and not.

    Each set's fastest of three calls counts, on one core. Where others work on the machine the
    processor itself is slower, so the time of a fixed piece of work in numpy is given too.
    """
    names = list(FAMILIES)
    sets = [draw(names[i % len(names)], seed + i, steps=100, repeats=5) for i in range(93)]
    reference = min(_cpu_seconds(_reference_work) for _ in range(5))
    out: Score = {}
    for key, told in (("seconds_per_1000_without_sizes", False), ("seconds_per_1000", True)):
        fastest = [np.inf] * len(sets)
        for _ in range(3):
            for i, s in enumerate(sets):
                sizes = s.sizes if told else None
                taken = _cpu_seconds(lambda y=s.y, x=sizes: judge(y, x))
                fastest[i] = min(fastest[i], taken)
            reference = min(reference, _cpu_seconds(_reference_work))
        out[key] = 1000 * float(np.mean(fastest))
    out["reference_seconds"] = reference
    return out


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _reference_work() -> None:
    """Multiply, take logarithms, and call small functions: some 20 ms of a quiet core."""
    rng = np.random.default_rng(0)
    square, table = rng.standard_normal((300, 300)), rng.random((5, 400, 60))
    for _ in range(5):
        square = square @ square / 300
        np.exp(-np.log1p(table)).sum()
    for _ in range(3000):
        np.add(1.0, 2.0)


def _share(pair: object) -> str:
    hits, total = pair  # type: ignore[misc] # a pair of counts
    high = stats.beta.ppf(0.95, hits + 1, total - hits) if hits < total else 1.0
    return (
        f"{100 * hits / max(total, 1):.2f} % ({hits}/{total}; at most {100 * high:.2f} % at 95 %)"
    )


def _time(score: Score, key: str) -> str:
    seconds, reference = float(str(score[key])), float(str(score["reference_seconds"]))
    return (
        f"{seconds:.1f} on one core ({seconds / reference:.0f} of a {1000 * reference:.0f} ms task)"
    )


_SHARES = (
    ("non-leaks called leak (four shapes)", "<= 0.6 %", "false_leaks"),
    ("  with slow saturations and wandering", "", "false_leaks_all"),
    ("  input sizes not told", "", "blind_false"),
    ("  named rightly, sizes not told", "", "blind_right"),
    ("coverage of the 95 % interval, leaks", "93-97 %", "coverage_leaks"),
    ("  level, step and straight leak only", "", "coverage_plain"),
    ("inconclusive on non-leaks", "<= 5 %", "inconclusive"),
    ("  n >= 50, R >= 5", "", "inconclusive_firm"),
    ("slow saturation inconclusive or plateau", ">= 90 %", "slow_right"),
    ("'removed' wrongly", "<= 1 %", "removed_wrong"),
    ("'removed' where it was", ">= 90 %", "removed_right"),
)
_TIMES = (
    ("CPU seconds, 1,000 sets of 5 x 100, sizes", "<= 20", "seconds_per_1000"),
    ("  without sizes", "<= 20", "seconds_per_1000_without_sizes"),
)


def table(score: Score) -> str:
    """Return the goal table of what was scored as text."""
    lines = []
    if "confusion" in score:
        names = ["leak", "high-water", "plateau", "baseline", "sawtooth", "inconclusive"]
        lines.append("confusion (rows: what it is; columns: what was said)")
        lines.append(f"{'':12s}" + "".join(f"{n:>13s}" for n in names))
        for label, row in score["confusion"].items():  # type: ignore[attr-defined] # a dict
            lines.append(f"{label:12s}" + "".join(f"{row.get(n, 0):13d}" for n in names))
        lines.append("")
    rows = [(what, goal, _share(score[key])) for what, goal, key in _SHARES if key in score]
    if "macro_f1" in score:
        rows.append(("macro-F1, n >= 50, R >= 5", ">= .95", f"{score['macro_f1']:.3f}"))
    if "power" in score:
        rows.append(("smallest leak at 95 % power / limit", "<= 2.0", f"{score['ratio_95']:.2f}"))
        rows.append(("  share found at rate / limit", "", json.dumps(score["power"])))
    rows += [(what, goal, _time(score, key)) for what, goal, key in _TIMES if key in score]
    lines += [f"{a:42s} {b:10s} {c}" for a, b, c in rows]
    peers = score.get("peers")
    if peers:
        lines += ["", f"{'rule':28s} {'non-leaks called leak':>24s} {'leaks found':>14s}"]
        for name, (bad, non, hit, leaks) in peers.items():  # type: ignore[attr-defined] # a dict
            lines.append(f"{name:28s} {100 * bad / non:22.1f} % {100 * hit / leaks:12.1f} %")
    return "\n".join(lines)


PARTS: dict[str, Callable[[int, int], Score]] = {
    "shapes": lambda seed, count: score_shapes(seed, count, peers=False),
    "peers": lambda seed, count: score_shapes(seed, count, peers=True),
    "power": lambda seed, count: score_power(seed + 500_000, max(20, count)),
    "pairs": lambda seed, count: score_pairs(seed + 700_000, max(20, count)),
    "time": lambda seed, _: score_time(seed + 900_000),
}
"""What can be scored; `peers` is `shapes` with the usual rules beside it."""


def main() -> None:
    """Parse, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-back", action="store_true", help="seeds that nothing was tuned on")
    parser.add_argument("--quick", action="store_true", help="a slice")
    parser.add_argument("--count", type=int, default=100, help="sets of each family")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="this part only (may be given again)"
    )
    parser.add_argument("--json", type=Path, help="write the scores there")
    args = parser.parse_args()
    score: Score = {}
    for part in args.only or ("peers", "power", "pairs", "time"):
        seed = HELD_BACK if args.held_back else TUNING
        score |= PARTS[part](seed, 8 if args.quick else args.count)
    if args.json:
        args.json.write_text(json.dumps(score, indent=1) + "\n", encoding="utf-8")
    print(f"{'held-back' if args.held_back else 'tuning'} seeds\n{table(score)}")


if __name__ == "__main__":
    main()
