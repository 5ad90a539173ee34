"""Levels, peaks, rates and known components of each condition: tables in, plain numbers out.

Levels are read after collecting and trimming, at the end of a run, so that the allocator's idle
pages are not in them; peaks are the kernel's, over the measured steps. Every number is of plain
runs that were complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from listen2lab.units import KIB, mib

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["growth_rate", "summarize"]

_CONFIDENCE = 0.95


def summarize(runs: pd.DataFrame, samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Summarize each condition of a study.

    Parameters
    ----------
    runs, samples
        `listen2lab.experiment.study.Study.runs` and ``.samples``.

    Returns
    -------
    dict
        Experiment to condition to numbers: ``level_mib``, ``anonymous_mib`` (resident and
        anonymous at the end), ``level_range_mib`` (lowest and highest repeat), ``peak_mib``,
        ``released_mib`` (resident after the teardown), ``rate_kib_per_step`` and
        ``rate_interval`` (see `growth_rate`), ``components_mib``, ``unaccounted_mib`` (the level
        less the components), ``steps`` (measured, of a run) and ``runs`` (how they ended). A
        number that no run gave is None.
    """
    plain = runs[~runs["traced"].astype(bool)]
    complete = plain[plain["outcome"] == "complete"]
    good = set(zip(complete["experiment"], complete["condition"], complete["repeat"], strict=True))
    mask = [
        not traced and key in good
        for traced, key in zip(
            samples["traced"],
            zip(samples["experiment"], samples["condition"], samples["repeat"], strict=True),
            strict=True,
        )
    ]
    usable = samples[mask]
    of_condition = dict(list(usable.groupby(["experiment", "condition"], sort=False)))
    summary: dict[str, dict[str, Any]] = {}
    for (experiment, condition), group in plain.groupby(["experiment", "condition"], sort=False):
        measured = of_condition.get((experiment, condition), usable.iloc[:0])
        numbers = _numbers(measured)
        numbers["runs"] = {
            outcome: int((group["outcome"] == outcome).sum())
            for outcome in ("complete", "killed", "crashed", "timed-out", "missing")
        }
        summary.setdefault(str(experiment), {})[str(condition)] = numbers
    return summary


def _numbers(samples: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of one condition."""
    at = {phase: samples[samples["phase"] == phase] for phase in _PHASES}
    steps = at["step"]
    end = at["end"]["rss"]
    peaks = steps.groupby("repeat")["peak"].max()
    curves = [rows["anonymous"].to_numpy(float) for _, rows in steps.groupby("repeat")]
    rate, interval = growth_rate(curves)
    components = _components(at)
    level = _mean(end)
    unaccounted = None if level is None else level - sum(components.values())
    return {
        "level_mib": _mib(level),
        "level_range_mib": None if end.empty else [mib(end.min()), mib(end.max())],
        "anonymous_mib": _mib(_mean(at["end"]["anonymous"])),
        "peak_mib": _mib(_mean(peaks)),
        "released_mib": _mib(_mean(at["released"]["rss"])),
        "rate_kib_per_step": None if rate is None else round(rate / KIB, 4),
        "rate_interval": None if interval is None else [round(x / KIB, 4) for x in interval],
        "components_mib": {name: mib(size) for name, size in components.items()},
        "unaccounted_mib": _mib(unaccounted),
        "steps": min((len(curve) for curve in curves), default=0),
    }


_PHASES = ("start", "import", "setup", "step", "end", "released")


def growth_rate(
    curves: list[np.ndarray[Any, np.dtype[np.float64]]],
) -> tuple[float | None, tuple[float, float] | None]:
    """Estimate growth over the second half of a run, in bytes per step.

    The first half holds what only happens once (first touch of pages, new maxima). A least-squares
    line is fitted to the second half of each repeat; the repeats' slopes give the mean and
    Student's interval, so that it is wide when the repeats disagree.

    Parameters
    ----------
    curves
        Bytes, one array of shape (steps,) a repeat.

    Returns
    -------
    rate : float or None
        Bytes per step; None with fewer than four steps.
    interval : tuple of float or None
        95 %; None with a single repeat.
    """
    slopes = []
    for curve in curves:
        tail = curve[len(curve) // 2 :]
        if len(curve) >= 4 and np.isfinite(tail).all():
            slopes.append(float(np.polyfit(np.arange(tail.size), tail, 1)[0]))
    if not slopes:
        return None, None
    rate = float(np.mean(slopes))
    if len(slopes) == 1:
        return rate, None
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(slopes) - 1) * stats.sem(slopes))
    return rate, (rate - half, rate + half)


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
