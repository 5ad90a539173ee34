"""What each condition comes to: tables in, records of numbers out.

Memory at the end is read after collecting and trimming, so that the allocator's idle pages are not
in it; peaks are the kernel's, over the measured steps. Every number is of plain runs that were
complete.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from msgspec.structs import replace

from listen2lab.account.at_end import UNACCOUNTED, end_parts
from listen2lab.findings.records import ConditionContrast, ConditionNumbers, Quantity
from listen2lab.study.data import complete_by_condition
from listen2lab.study.decode import MOST_SAMPLES
from listen2lab.units import KIB, mib
from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.audit import audit
from listen2lab.verdict.contrast import Contrast, by_level, judge_pair
from listen2lab.verdict.intervals import welch
from listen2lab.verdict.judge import judge
from listen2lab.verdict.together import (
    CONFIRMING_BLOCKS,
    LIVE_ALONE,
    OUTSIDE,
    Cache,
    growth,
    judge_run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from listen2lab.study.plan import Experiment
    from listen2lab.study.records import RunOutcome
    from listen2lab.verdict.contrast import ContrastName
    from listen2lab.verdict.reasons import Reason

__all__ = ["contrast", "evenly", "numbers_of"]


def numbers_of(
    runs: pd.DataFrame, samples: pd.DataFrame, planned: Sequence[Experiment] = ()
) -> dict[str, dict[str, ConditionNumbers]]:
    """Return the numbers of each condition of a study, by experiment and condition.

    Of those ``planned`` also a condition without a run: a plan may name only some of its runs.
    """
    plain = runs[~runs["traced"].astype(bool)]
    usable = complete_by_condition(runs, samples)
    groups = {
        (str(experiment), str(condition)): group
        for (experiment, condition), group in plain.groupby(["experiment", "condition"], sort=False)
    }
    lock, left, numbers = Lock(), iter([*groups]), {}

    def work() -> None:
        for key in left:
            with lock:  # one frame is not to be taken apart by several threads
                measured = samples.iloc[usable.get(key, [])]
            numbers[key] = _numbers(measured, groups[key])

    # Two at a time, one of them here: half of it is in numpy, which lets another thread go on.
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(work)
        work()
        other.result()
    found: dict[str, dict[str, ConditionNumbers]] = {}
    for experiment, condition in groups:
        found.setdefault(experiment, {})[condition] = numbers[experiment, condition]
    for item in planned:
        known = found.setdefault(item.name, {})
        for level in item.levels:
            if level.name not in known:
                known[level.name] = _numbers(samples.iloc[:0], plain.iloc[:0])
    return found


_OUTCOMES: tuple[RunOutcome, ...] = ("complete", "killed", "crashed", "timed-out", "missing")


def _numbers(samples: pd.DataFrame, runs: pd.DataFrame) -> ConditionNumbers:
    """Return the numbers of one condition: of all its runs, and the samples of complete ones."""
    steps, end, released = (
        samples[samples["phase"] == phase] for phase in ("step", "end", "released")
    )
    resident = end["rss"]
    parts = {str(name): mib(float(x)) for name, x in end_parts(samples).mean().items()}
    unaccounted = parts.pop(UNACCOUNTED, None)
    return ConditionNumbers(
        **_judged(steps, runs[runs["outcome"] == "complete"], _in_heap(samples)),
        end_mib=_mean_mib(resident),
        end_range_mib=None if resident.empty else (mib(resident.min()), mib(resident.max())),
        end_each_mib=tuple(mib(value) for value in resident),
        anonymous_mib=_mean_mib(end["anonymous"]),
        peak_mib=_mean_mib(steps.groupby("repeat")["peak"].max()),
        released_mib=_mean_mib(released["rss"]),
        components_mib=parts,
        unaccounted_mib=unaccounted,
        largest_input=_finite(float(steps["size"].max())) if len(steps) else None,
        steps=0 if steps.empty else int(steps.groupby("repeat")["steps"].sum().min()),
        runs={name: int((runs["outcome"] == name).sum()) for name in _OUTCOMES},
    )


def _in_heap(samples: pd.DataFrame) -> float:
    """Return which share of what was gained from setup to end lies in malloc's own pages."""
    if "account.heap" not in samples:
        return 0.0
    in_malloc = samples["account.heap"] + samples["account.mapped"]
    both = samples.assign(own=in_malloc)[["phase", "own", "anonymous"]].groupby("phase").mean()
    if not {"setup", "end"} <= set(both.index):
        return 0.0
    own, anonymous = (both.loc["end"] - both.loc["setup"]).to_numpy(float)
    return float(own / anonymous) if anonymous > 0 else 0.0


def _judged(steps: pd.DataFrame, runs: pd.DataFrame, in_heap: float) -> dict[str, Any]:
    """Return the verdict on the measured steps, as fields of `ConditionNumbers`.

    Anonymous memory (with what is shared), malloc's live bytes and Python's live blocks are judged
    together, and resident memory where files' pages grew; rate and interval are anonymous memory's.
    """
    steps = _with_held(steps)
    sizes = _rows(steps, "size")
    known = {name: _rows(steps, name) for name in ("in_use", "kept", "python_blocks")}
    if _grown_file(steps):
        known["rss"] = _rows(steps, "rss")
    given: dict[str, Any] = {name: values for name, values in known.items() if values}
    given |= {"anonymous": _rows(steps, "held") or [], "in_heap": in_heap}
    beside = {name: values for name in OUTSIDE if (values := _rows(steps, name))}
    together = judge_run(
        given,
        sizes,
        audit=_against(steps, runs),
        caches=_caches(steps),
        outside=beside,
        every=_every(steps),
    )
    own = together.verdicts["anonymous"]
    alike = [v for v in together.verdicts.values() if v.verdict == together.verdict]
    deciding = alike[0] if alike else own  # live objects may show a leak before pages do
    low, high = (_finite(bound / KIB) for bound in own.interval)
    return {
        "verdict": together.verdict,
        "confidence": deciding.confidence,
        "reasons": tuple(dict.fromkeys(str(reason) for reason in together.reasons)),
        "grew": tuple(together.grew),
        "quantities": {
            name: Quantity(verdict.verdict, _finite(verdict.rate))
            for name, verdict in together.verdicts.items()
        },
        "rate_kib_per_step": _finite(own.rate / KIB),
        "rate_interval_kib_per_step": None if low is None or high is None else (low, high),
        "upper_kib_per_step": _finite(own.upper / KIB),
        "smallest_visible_kib_per_step": _finite(own.smallest_visible / KIB),
    }


_WORK = ("fact.work_done", "fact.made_s")
# What a step's facts may say that it did; the pipeline's are the seconds of speech that were made.

_HELD_BY = {"cache": ("audio_cache", "alignments"), "service": ("service_cache",)}
# The pipeline's caches: the facts' name, and the components that are theirs.


def _against(steps: pd.DataFrame, runs: pd.DataFrame) -> tuple[Reason, ...]:
    """Return the codes that withdraw whatever the series of one condition say.

    Of the measured steps of its complete plain runs, and these runs.
    """
    if steps.empty:
        return audit(steps_done=0)
    failed = steps.get("fact.failed")
    work = next((_rows(steps, name) for name in _WORK if name in steps), None)
    pressure_s, wall_s = (runs[name].astype(float) for name in ("pressure_s", "wall_s"))
    return audit(
        steps_done=len(steps),
        steps_failed=0 if failed is None else int(failed.fillna(value=0).astype(bool).sum()),
        work_done=work,
        swapped=_rows(steps, "swap"),
        live_unknown=bool("in_use" not in steps or steps["in_use"].isna().all()),
        pressure=bool((pressure_s > limits.PRESSURE_SHARE * wall_s).any()),
        sizes=_rows(steps, "size"),
    )


def _caches(steps: pd.DataFrame) -> list[Cache]:
    """Return the bounded caches that a workload's steps tell of.

    A cache NAME is known by the facts ``NAME_entries`` and ``NAME_capacity``, and by the bytes of
    its component.
    """
    found = []
    for name in steps.columns.astype(str).str.extract(r"^fact\.(.*)_entries$")[0].dropna():
        entries, capacities = (_rows(steps, f"fact.{name}_{x}") for x in ("entries", "capacity"))
        if entries is None or capacities is None:
            continue
        held = float(np.median([row[-1] for row in entries]))
        parts = [_rows(steps, f"component.{each}") for each in _HELD_BY.get(name, (name,))]
        found += [Cache(held, capacities[0][-1], part) for part in parts if part is not None]
    return found


def _rows(steps: pd.DataFrame, column: str) -> list[Any] | None:
    """Return a column as one array a repeat, or None where a sample lacks it."""
    if steps.empty or column not in steps or steps[column].isna().any():
        return None
    order = np.argsort(repeats := steps["repeat"].to_numpy(), kind="stable")
    bounds = np.flatnonzero(np.diff(repeats[order])) + 1
    return np.split(steps[column].to_numpy(float)[order], bounds)


def contrast(
    samples: pd.DataFrame, experiment: str, to: str, condition: str, verdicts: Sequence[str]
) -> ConditionContrast | None:
    """Compare two conditions of an experiment, by growth and by memory at the end.

    Only where one of the verdicts is a leak is growth compared: a verdict weighs more quantities
    than a comparison does, so that no contrast may claim a leak that it denies. None where one of
    them has no complete run that was read at its end.
    """
    mine = samples[samples["experiment"] == experiment]
    one, other = (mine[mine["condition"] == name] for name in (to, condition))
    before, after = (x.loc[x["phase"] == "end", "rss"].to_numpy(float) for x in (one, other))
    if not len(before) or not len(after):
        return None
    verdict, difference, interval = _level(before, after)
    by_end = ConditionContrast(
        to=to,
        about="level",
        verdict=verdict,
        why="level",
        end_difference_mib=difference,
        end_interval_mib=interval,
    )
    peaks = [
        x[x["phase"] == "step"].groupby("repeat")["peak"].max().dropna().to_numpy(float)
        for x in (one, other)
    ]
    if all(map(len, peaks)):
        peak, difference, interval = _level(*peaks)
        by_end = replace(
            by_end, peak=peak, peak_difference_mib=difference, peak_interval_mib=interval
        )
    if "leak" not in verdicts:
        return by_end
    quantity, pair = _pair(*(_with_held(x[x["phase"] == "step"]) for x in (one, other)))
    if "leak" not in {pair.a.verdict, pair.b.verdict}:
        return by_end
    blind = pair.unjudged
    return replace(
        by_end,
        about="rate",
        verdict=pair.verdict,
        why=pair.why,
        quantity=quantity,
        rate_of_first=_finite(pair.a.rate),
        rate=_finite(pair.b.rate),
        upper=_finite(pair.b.upper),
        unjudged=None if blind is None else str(blind.reasons[0]),
    )


def _level(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[ContrastName, float, tuple[float, float] | None]:
    """Return what became of a level, the change in MiB and its interval; a number a process."""
    change, interval = float(after.mean() - before.mean()), welch(after, before)
    worth = max(limits.WORTH_SHARE * float(before.mean()), limits.WORTH_LEVEL)
    bounds = None if interval is None else (mib(interval[0]), mib(interval[1]))
    return by_level(change, interval, worth), mib(change), bounds


def _pair(a: pd.DataFrame, b: pd.DataFrame) -> tuple[str, Contrast]:
    """Compare two conditions' anonymous memory, or live bytes where only they show the growth.

    A small leak of malloc's is sure in live bytes long before pages show it; one of live objects
    confirms a small growth of anonymous memory (see `judge_together`).
    """
    sizes = _rows(a, "size"), _rows(b, "size")
    pages = _rows(a, "held") or [], _rows(b, "held") or []
    every = _every(a), _every(b)
    pair = judge_pair(*pages, *sizes, every=every)
    if pair.verdict != "inconclusive":
        return "anonymous", pair
    live = _rows(a, "in_use"), _rows(b, "in_use")
    if all(live) and _live_rate((a, b), sizes, "in_use") >= LIVE_ALONE["in_use"]:
        finer = judge_pair(*live, *sizes, every=every)
        if finer.verdict != "inconclusive":
            return "in_use", finer
    if _live_rate((a, b), sizes, "python_blocks") >= CONFIRMING_BLOCKS:
        finer = judge_pair(*pages, *sizes, every=every, worth_rate=_ANY)
        if finer.verdict != "inconclusive":
            return "anonymous", finer
    return "anonymous", pair


def _with_held(steps: pd.DataFrame) -> pd.DataFrame:
    """Add the memory that a verdict is on as ``held``: what no file backs, shared memory too.

    Where anonymous memory was not read, resident memory stands in; samples without either are left
    out.
    """
    steps = evenly(steps)
    has_anonymous = "anonymous" in steps and steps["anonymous"].notna().any()
    held = steps["anonymous" if has_anonymous else "rss"]
    if has_anonymous and "shared" in steps:
        held = held + steps["shared"].fillna(0.0)
    return steps.assign(held=held)[held.notna()]


def evenly(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a condition's steps at even distances, between the samples where they are not so.

    A program that is followed is read as often as its pace allows, which may change on the way.
    """
    if steps.empty:
        return steps
    repeats = steps["repeat"]
    # The first may reach into the warm-up.
    inner = steps[repeats.duplicated() & repeats.duplicated(keep="last")]
    if len(set(inner["steps"].dropna())) <= 1:
        return steps
    every = float(inner.groupby("repeat")["steps"].quantile(_MOST_GAPS).max())
    first = float(steps.groupby("repeat")["step"].min().max())
    if (steps["step"].max() - first) / every > MOST_SAMPLES:  # steps that nobody numbered
        return steps
    numbers = list(steps.select_dtypes("number").columns.difference(["step", "steps"]))
    even = []
    for _, rows in steps.groupby("repeat"):
        at = np.arange(first, float(rows["step"].max()) + every / 1000, every)
        read = {name: np.interp(at, rows["step"], rows[name]) for name in numbers}
        even.append(pd.DataFrame({"step": at, "steps": every, **read}))
    return pd.concat(even, ignore_index=True)


_MOST_GAPS = 0.9  # of them are no wider than the grid: what few leave out is read between


def _grown_file(steps: pd.DataFrame) -> bool:
    """Return whether pages of files grew by what is worth a look: rarely, so rarely judged."""
    file = steps["rss"] - steps["held"]
    each = [group.to_numpy(float) for _, group in file.groupby(steps["repeat"])]
    return bool(each) and growth(each) >= limits.WORTH_LEVEL


def _every(steps: pd.DataFrame) -> float:
    """Return how many steps lie between two samples."""
    return float(steps["steps"].median()) if steps["steps"].notna().any() else 1.0


_ANY = 1.0  # bytes a step: any growth that is sure


def _live_rate(parts: Any, sizes: Any, name: str) -> float:
    """Return how fast a live quantity leaks at most in two conditions; 0 where it does not."""
    worth = _ANY if name == "in_use" else 0.5
    found = [0.0]
    for steps, size in zip(parts, sizes, strict=True):
        if (given := _rows(steps, name)) is not None:
            every = _every(steps)
            verdict = judge(given, size, worth_rate=every * worth).per(every)
            found.append(verdict.rate if verdict.verdict == "leak" else 0.0)
    return max(found)


def _finite(value: float) -> float | None:
    """Return a number rounded, or None for one that could not be estimated."""
    return round(float(value), 4) if math.isfinite(value) else None


def _mean_mib(values: pd.Series[Any]) -> float | None:
    return None if values.empty or values.isna().all() else mib(float(values.mean()))
