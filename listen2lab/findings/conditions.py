"""Levels, peaks, rates and known components of each condition: tables in, plain numbers out.

Levels are read after collecting and trimming, at the end of a run, so that the allocator's idle
pages are not in them; peaks are the kernel's, over the measured steps. Every number is of plain
runs that were complete.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from listen2lab.account.at_end import UNACCOUNTED, level_parts
from listen2lab.findings.circumstances import against, caches
from listen2lab.findings.circumstances import rows as _rows
from listen2lab.units import KIB, mib
from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.contrast import Contrast, by_level, judge_pair
from listen2lab.verdict.intervals import welch
from listen2lab.verdict.judge import judge
from listen2lab.verdict.together import CONFIRMING_BLOCKS, LIVE_ALONE, growth, judge_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["complete_samples", "contrast", "summarize"]


def summarize(runs: pd.DataFrame, samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Summarize each condition of a study.

    Parameters
    ----------
    runs, samples
        `listen2lab.facade.Study.runs` and ``.samples``.

    Returns
    -------
    dict
        Experiment to condition to numbers: ``level_mib``, ``anonymous_mib`` (resident and
        anonymous at the end), ``level_range_mib`` (lowest and highest repeat), ``level_each_mib``
        (every repeat, for comparing with another study), ``peak_mib``,
        ``released_mib`` (resident after the teardown), ``verdict``, ``confidence``, ``reasons``,
        ``rate_kib_per_step`` with ``rate_interval`` and ``upper_kib_per_step``, and
        ``smallest_visible_kib_per_step`` (see `listen2lab.verdict.judge.judge`, on anonymous
        memory), ``components_mib`` and ``unaccounted_mib`` (what makes up the level, by the account
        of memory, and what is left; see `listen2lab.account.at_end.level_parts`),
        ``largest_input`` (of a step; seconds of speech for the pipeline),
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
        `listen2lab.facade.Study.runs` and ``.samples``.
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
    parts = {str(name): mib(float(x)) for name, x in level_parts(samples).mean().items()}
    unaccounted = parts.pop(UNACCOUNTED, None)
    return {
        "level_mib": _mib(_mean(end)),
        "level_range_mib": None if end.empty else [mib(end.min()), mib(end.max())],
        "level_each_mib": [mib(value) for value in end],
        "anonymous_mib": _mib(_mean(at["end"]["anonymous"])),
        "peak_mib": _mib(_mean(peaks)),
        "released_mib": _mib(_mean(at["released"]["rss"])),
        **_judged(steps, runs),
        "components_mib": parts,
        "unaccounted_mib": unaccounted,
        "largest_input": _finite(float(steps["size"].max())) if len(steps) else None,
        "steps": 0 if steps.empty else int(steps.groupby("repeat")["steps"].sum().min()),
    }


_PHASES = ("step", "end", "released")


def _judged(steps: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """Return the verdict on the measured steps, as JSON values.

    Anonymous memory (with what is shared), malloc's live bytes and Python's live blocks are judged
    together, and resident memory where files' pages grew; rate and interval are anonymous memory's.
    """
    steps = _with_held(steps)
    sizes = _rows(steps, "size")
    known = {name: _rows(steps, name) for name in ("in_use", "kept", "python_blocks")}
    if _grown_file(steps):
        known["rss"] = _rows(steps, "rss")
    given = {name: rows for name, rows in known.items() if rows}
    given["anonymous"] = _rows(steps, "held") or []
    together = judge_run(given, sizes, audit=against(steps, runs), caches=caches(steps))
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
    samples: pd.DataFrame, experiment: str, first: str, second: str, verdicts: Sequence[str]
) -> dict[str, Any] | None:
    """Compare two conditions of an experiment, by growth and by level.

    Parameters
    ----------
    samples
        Samples of complete plain runs.
    experiment, first, second
        Which; ``first`` is what ``second`` is compared with.
    verdicts
        Of both. Only where one of them is a leak is growth compared: a verdict weighs more
        quantities than a comparison does, so that no contrast may claim a leak that it denies.

    Returns
    -------
    dict or None
        ``to`` (the first), ``about`` (``rate`` where one of them leaks, else ``level``),
        ``verdict`` (``removed``, ``reduced``, ``unchanged``, ``worse``, ``inconclusive``; for rates
        and ``why`` see `listen2lab.verdict.contrast.judge_pair`), ``level_difference_mib`` with
        ``level_interval_mib`` (second less first, resident at the end after a trim; Welch's
        interval over processes). About a rate, ``quantity`` says whose, ``rate_of_first``, ``rate``
        and ``upper`` (the second's) are bytes per step, and ``unjudged`` is the reason of a
        condition without a verdict. None where one of them has no run that was read at its end.
    """
    mine = samples[samples["experiment"] == experiment]
    one, other = (mine[mine["condition"] == name] for name in (first, second))
    if one.empty or other.empty:
        return None
    ends = [rows.loc[rows["phase"] == "end", "rss"].to_numpy(float) for rows in (other, one)]
    if not all(len(each) for each in ends):
        return None
    difference = float(ends[0].mean() - ends[1].mean())
    interval = welch(*ends)
    level = {
        "level_difference_mib": mib(difference),
        "level_interval_mib": None if interval is None else [mib(bound) for bound in interval],
    }
    if "leak" in verdicts:
        a, b = (_with_held(rows[rows["phase"] == "step"]) for rows in (one, other))
        pair, quantity = _pair(a, b)
        if "leak" in {pair.a.verdict, pair.b.verdict}:
            blind = pair.unjudged
            return {
                "to": first,
                "about": "rate",
                "verdict": pair.verdict,
                "why": pair.why,
                "quantity": quantity,
                "rate_of_first": _finite(pair.a.rate),
                "rate": _finite(pair.b.rate),
                "upper": _finite(pair.b.upper),
                "unjudged": None if blind is None else str(blind.reasons[0]),
                **level,
            }
    worth = max(limits.WORTH_SHARE * float(ends[1].mean()), limits.WORTH_LEVEL)
    changed = by_level(difference, interval, worth)
    return {"to": first, "about": "level", "verdict": changed, "why": "level", **level}


def _pair(a: pd.DataFrame, b: pd.DataFrame) -> tuple[Contrast, str]:
    """Compare two conditions' anonymous memory, or live bytes where only they show the growth.

    The second part of what is returned says which.

    A small leak of malloc's is sure in live bytes long before pages show it; one of live objects
    confirms a small growth of anonymous memory (see `judge_together`).
    """
    sizes = _rows(a, "size"), _rows(b, "size")
    pages = _rows(a, "held") or [], _rows(b, "held") or []
    every = _every(a), _every(b)
    pair = judge_pair(*pages, *sizes, every=every)
    if pair.verdict != "inconclusive":
        return pair, "anonymous"
    if max(_live_rates((a, b), sizes, "in_use")) >= LIVE_ALONE["in_use"]:
        finer = judge_pair(_rows(a, "in_use"), _rows(b, "in_use"), *sizes, every=every)
        if finer.verdict != "inconclusive":
            return finer, "in_use"
    if max(_live_rates((a, b), sizes, "python_blocks")) >= CONFIRMING_BLOCKS:
        finer = judge_pair(*pages, *sizes, every=every, worth_rate=_ANY)
        if finer.verdict != "inconclusive":
            return finer, "anonymous"
    return pair, "anonymous"


def _with_held(steps: pd.DataFrame) -> pd.DataFrame:
    """Add the memory that a verdict is on as ``held``: what no file backs, shared memory too.

    Where anonymous memory was not read, resident memory stands in; samples without either are left
    out.
    """
    has_anonymous = "anonymous" in steps and steps["anonymous"].notna().any()
    held = steps["anonymous" if has_anonymous else "rss"]
    if has_anonymous and "shared" in steps:
        held = held + steps["shared"].fillna(0.0)
    return steps.assign(held=held)[held.notna()]


def _grown_file(steps: pd.DataFrame) -> bool:
    """Return whether pages of files grew by what is worth a look: rarely, so rarely judged."""
    file = steps["rss"] - steps["held"]
    rows = [group.to_numpy(float) for _, group in file.groupby(steps["repeat"])]
    return bool(rows) and growth(rows) >= limits.WORTH_LEVEL


def _every(steps: pd.DataFrame) -> float:
    """Return how many steps lie between two samples."""
    return float(steps["steps"].median()) if len(steps) else 1.0


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


def _kib(size: float) -> float | None:
    """Return KiB, or None for a number that could not be estimated."""
    return _finite(size / KIB)


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _mean(values: pd.Series[Any]) -> float | None:
    return None if values.empty or values.isna().all() else float(values.mean())


def _mib(size: float | None) -> float | None:
    return None if size is None else mib(size)
