"""Levels, peaks, rates and known components of each condition: tables in, plain numbers out.

Levels are read after collecting and trimming, at the end of a run, so that the allocator's idle
pages are not in them; peaks are the kernel's, over the measured steps. Every number is of plain
runs that were complete.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from listen2lab.analysis._circumstances import against, filling
from listen2lab.analysis._circumstances import rows as _rows
from listen2lab.analysis._welch import welch
from listen2lab.analysis.contrast import Contrast, judge_pair
from listen2lab.analysis.growth import judge
from listen2lab.analysis.together import CONFIRMING_BLOCKS, LIVE_ALONE, judge_together
from listen2lab.units import KIB, MIB, mib

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["complete_samples", "contrast", "summarize"]

# A change of level smaller than both is not worth acting on, however sure it is.
WORTH_SHARE = 0.05
WORTH_LEVEL = 2 * MIB


def summarize(runs: pd.DataFrame, samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Summarize each condition of a study.

    Parameters
    ----------
    runs, samples
        `listen2lab.study.Study.runs` and ``.samples``.

    Returns
    -------
    dict
        Experiment to condition to numbers: ``level_mib``, ``anonymous_mib`` (resident and
        anonymous at the end), ``level_range_mib`` (lowest and highest repeat), ``level_each_mib``
        (every repeat, for comparing with another study), ``peak_mib``,
        ``released_mib`` (resident after the teardown), ``verdict``, ``confidence``, ``reasons``,
        ``rate_kib_per_step`` with ``rate_interval`` and ``upper_kib_per_step``, and
        ``smallest_visible_kib_per_step`` (see `listen2lab.analysis.growth.judge`, on anonymous
        memory), ``components_mib``, ``unaccounted_mib`` (the level
        less the components), ``largest_input`` (of a step; seconds of speech for the pipeline),
        ``steps`` (measured, of a run) and ``runs`` (how they ended). A
        number that no run gave is None.
    """
    plain = runs[~runs["traced"].astype(bool)]
    usable = complete_samples(runs, samples)
    of_condition = dict(list(usable.groupby(["experiment", "condition"], sort=False)))
    summary: dict[str, dict[str, Any]] = {}
    for (experiment, condition), group in plain.groupby(["experiment", "condition"], sort=False):
        measured = of_condition.get((experiment, condition), usable.iloc[:0])
        numbers = _numbers(measured, group[group["outcome"] == "complete"])
        numbers["runs"] = {
            outcome: int((group["outcome"] == outcome).sum())
            for outcome in ("complete", "killed", "crashed", "timed-out", "missing")
        }
        summary.setdefault(str(experiment), {})[str(condition)] = numbers
    return summary


def complete_samples(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of plain runs that were complete.

    Parameters
    ----------
    runs, samples
        `listen2lab.study.Study.runs` and ``.samples``.
    """
    keys = ["experiment", "condition", "repeat", "traced"]
    good = runs.loc[(runs["outcome"] == "complete") & ~runs["traced"].astype(bool), keys]
    return samples.merge(good, on=keys)


def _numbers(samples: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of one condition, from its complete runs."""
    at = {phase: samples[samples["phase"] == phase] for phase in _PHASES}
    steps = at["step"]
    end = at["end"]["rss"]
    peaks = steps.groupby("repeat")["peak"].max()
    components = _components(at)
    level = _mean(end)
    unaccounted = None if level is None else level - sum(components.values())
    return {
        "level_mib": _mib(level),
        "level_range_mib": None if end.empty else [mib(end.min()), mib(end.max())],
        "level_each_mib": [mib(value) for value in end],
        "anonymous_mib": _mib(_mean(at["end"]["anonymous"])),
        "peak_mib": _mib(_mean(peaks)),
        "released_mib": _mib(_mean(at["released"]["rss"])),
        **_judged(steps, runs),
        "components_mib": {name: mib(size) for name, size in components.items()},
        "unaccounted_mib": _mib(unaccounted),
        "largest_input": _finite(float(steps["size"].max())) if len(steps) else None,
        "steps": 0 if steps.empty else int(steps.groupby("repeat")["steps"].sum().min()),
    }


_PHASES = ("start", "import", "setup", "step", "end", "released")


def _judged(steps: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """Return the verdict on the measured steps, as JSON values.

    Anonymous memory, malloc's live bytes and Python's live blocks are judged together; rate and
    interval are anonymous memory's.
    """
    sizes = _rows(steps, "size")
    known = {name: _rows(steps, name) for name in ("anonymous", "in_use", "kept", "python_blocks")}
    given = {name: rows for name, rows in known.items() if rows or name == "anonymous"}
    codes = against(steps, runs)
    together = judge_together(**given, sizes=sizes, audit=codes)
    if together.verdict == "leak" and sizes is not None:
        # A leak must hold against growth with each input shape not seen before, too: an input of
        # another size is another shape to the engine, which keeps a plan for each.
        together = judge_together(**given, sizes=sizes, shapes=sizes, audit=codes)
    if together.verdict == "leak":
        leaks = [name for name, each in together.verdicts.items() if each.verdict == "leak"]
        caches = filling(steps, leaks)
        if "anonymous" in caches:
            codes = (*codes, *caches["anonymous"])
            together = judge_together(**given, sizes=sizes, audit=codes)
        elif caches:
            # Live objects alone grow, and a cache that fills holds them: they say nothing more.
            rest = {name: y for name, y in given.items() if name not in caches}
            together = judge_together(**rest, sizes=sizes, audit=codes)
    own = together.verdicts["anonymous"]
    alike = [v for v in together.verdicts.values() if v.verdict == together.verdict]
    deciding = alike[0] if alike else own  # live objects may show a leak before pages do
    each = 1.0 if steps.empty else float(steps["steps"].median())  # steps between two samples
    interval = [_kib(bound / each) for bound in own.interval]
    reasons = dict.fromkeys(str(reason) for reason in together.reasons)
    return {
        "verdict": together.verdict,
        "confidence": deciding.confidence,
        "rate_kib_per_step": _kib(own.rate / each),
        "rate_interval": None if None in interval else interval,
        "upper_kib_per_step": _kib(own.upper / each),
        "smallest_visible_kib_per_step": _kib(own.smallest_visible / each),
        "reasons": list(reasons),
        "grew": list(together.grew),
        "quantities": {
            name: {"verdict": verdict.verdict, "rate_per_step": _finite(verdict.rate / each)}
            for name, verdict in together.verdicts.items()
        },
    }


def contrast(
    samples: pd.DataFrame, experiment: str, first: str, second: str
) -> dict[str, Any] | None:
    """Compare two conditions of an experiment, by growth and by level.

    Parameters
    ----------
    samples
        Samples of complete plain runs.
    experiment, first, second
        Which; ``first`` is what ``second`` is compared with.

    Returns
    -------
    dict or None
        ``to`` (the first), ``about`` (``rate`` where one of them leaks, else ``level``),
        ``verdict`` (``removed``, ``reduced``, ``unchanged``, ``worse``, ``inconclusive``; for rates
        see `listen2lab.analysis.contrast.judge_pair`), ``level_difference_mib`` with
        ``level_interval_mib`` (second less first, resident at the
        end after a trim; Welch's interval over processes) and ``rate_difference_kib_per_step``.
        None where one of them has no run.
    """
    mine = samples[samples["experiment"] == experiment]
    one, other = (mine[mine["condition"] == name] for name in (first, second))
    if one.empty or other.empty:
        return None
    a, b = (rows[rows["phase"] == "step"] for rows in (one, other))
    pair = _pair(a, b, (first, second))
    ends = [rows.loc[rows["phase"] == "end", "rss"].to_numpy(float) for rows in (other, one)]
    difference = float(ends[0].mean() - ends[1].mean())
    interval = welch(*ends)
    by_rate = pair.about == "rate"
    by_level = _by_level(interval, float(ends[1].mean()))
    way = "more" if difference > 0 else "less"
    return {
        "to": first,
        "about": pair.about,
        "verdict": pair.verdict if by_rate else by_level,
        "sentence": pair.sentence
        if by_rate
        else f"{second} holds {mib(abs(difference)):.3g} MiB {way} than {first} at the end"
        f"{_LEVEL_WORDS[by_level]}.",
        "level_difference_mib": mib(difference),
        "level_interval_mib": None if interval is None else [mib(bound) for bound in interval],
        "rate_difference_kib_per_step": _kib(-pair.rate.value),
    }


def _pair(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> Contrast:
    """Compare two conditions' anonymous memory, or live bytes where only they show the growth.

    A small leak of malloc's is sure in live bytes long before pages show it; one of live objects
    confirms a small growth of anonymous memory (see `judge_together`).
    """
    sizes = _rows(a, "size"), _rows(b, "size")
    pages = _rows(a, "anonymous"), _rows(b, "anonymous")
    every = float(a["steps"].median()) if len(a) else 1.0
    pair = judge_pair(*pages, *sizes, names=names, every=every)
    if pair.about == "rate" and pair.verdict != "inconclusive":
        return pair
    if max(_live_rates((a, b), sizes, "in_use")) >= LIVE_ALONE["in_use"]:
        finer = judge_pair(_rows(a, "in_use"), _rows(b, "in_use"), *sizes, names=names, every=every)
        if finer.verdict != "inconclusive":
            return replace(finer, sentence=f"Live bytes: {finer.sentence}")
    if max(_live_rates((a, b), sizes, "python_blocks")) >= CONFIRMING_BLOCKS:
        finer = judge_pair(*pages, *sizes, names=names, every=every, worth_rate=_ANY)
        if finer.about == "rate" and finer.verdict != "inconclusive":
            return finer
    return pair


_ANY = 1.0  # bytes a step: any growth that is sure


def _live_rates(parts: Any, sizes: Any, name: str) -> list[float]:
    """Return how fast a live quantity leaks in each condition; 0 where it does not."""
    found = []
    for steps, size in zip(parts, sizes, strict=True):
        given = _rows(steps, name)
        if given is None:
            found.append(0.0)
            continue
        verdict = judge(given, size, worth_rate=_ANY if name == "in_use" else 0.5)
        found.append(verdict.rate if verdict.verdict == "leak" else 0.0)
    return found


_LEVEL_WORDS = {
    "reduced": "",
    "worse": "",
    "unchanged": ": no difference worth acting on",
    "inconclusive": "; the processes of one condition differ too much to say that it is so",
}


def _by_level(interval: tuple[float, float] | None, level: float) -> str:
    """Name a change of level, where neither condition leaks."""
    worth = max(WORTH_SHARE * level, WORTH_LEVEL)
    if interval is None:
        return "inconclusive"
    low, high = interval
    if high < 0 and low < -worth:
        return "reduced"
    if low > 0 and high > worth:
        return "worse"
    return "unchanged" if -worth < low and high < worth else "inconclusive"


def _kib(size: float) -> float | None:
    """Return KiB, or None for a number that could not be estimated."""
    return _finite(size / KIB)


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _components(at: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return bytes by component: what each phase of the run added, and what the workload names."""
    start, imported, loaded = (_mean(at[name]["rss"]) for name in ("start", "import", "setup"))
    if start is None or imported is None or loaded is None:
        return {}
    found = {
        "interpreter": start,
        "libraries": imported - start,
        "models": loaded - imported,
    }
    end = at["end"]
    for column in end.columns:
        if column.startswith("component.") and end[column].notna().any():
            found[column.removeprefix("component.")] = float(end[column].mean())
    return found


def _mean(values: pd.Series[Any]) -> float | None:
    return None if values.empty or values.isna().all() else float(values.mean())


def _mib(size: float | None) -> float | None:
    return None if size is None else mib(size)
