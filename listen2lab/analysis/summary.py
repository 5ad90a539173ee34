"""Levels, peaks, rates and known components of each condition: tables in, plain numbers out.

Levels are read after collecting and trimming, at the end of a run, so that the allocator's idle
pages are not in them; peaks are the kernel's, over the measured steps. Every number is of plain
runs that were complete.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from listen2lab.analysis.growth import judge
from listen2lab.units import KIB, mib

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summarize"]


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
        anonymous at the end), ``level_range_mib`` (lowest and highest repeat), ``peak_mib``,
        ``released_mib`` (resident after the teardown), ``verdict``, ``confidence``, ``reasons``,
        ``rate_kib_per_step`` with ``rate_interval`` and ``upper_kib_per_step``, and
        ``smallest_visible_kib_per_step`` (see `listen2lab.analysis.growth.judge`, on anonymous
        memory), ``components_mib``, ``unaccounted_mib`` (the level
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
    components = _components(at)
    level = _mean(end)
    unaccounted = None if level is None else level - sum(components.values())
    return {
        "level_mib": _mib(level),
        "level_range_mib": None if end.empty else [mib(end.min()), mib(end.max())],
        "anonymous_mib": _mib(_mean(at["end"]["anonymous"])),
        "peak_mib": _mib(_mean(peaks)),
        "released_mib": _mib(_mean(at["released"]["rss"])),
        **_judged(steps),
        "components_mib": {name: mib(size) for name, size in components.items()},
        "unaccounted_mib": _mib(unaccounted),
        "steps": 0 if steps.empty else int(steps.groupby("repeat")["steps"].sum().min()),
    }


_PHASES = ("start", "import", "setup", "step", "end", "released")


def _judged(steps: pd.DataFrame) -> dict[str, Any]:
    """Return the verdict on anonymous memory over the measured steps, as JSON values."""
    repeats = [rows for _, rows in steps.groupby("repeat")]
    sizes = None
    if repeats and steps["size"].notna().all():
        sizes = [rows["size"].to_numpy(float) for rows in repeats]
    verdict = judge(
        [rows["anonymous"].to_numpy(float) for rows in repeats],
        sizes,
        shapes=sizes,  # an input of another size is another shape to the engine
    )
    each = 1.0 if steps.empty else float(steps["steps"].median())  # steps between two samples
    return {
        "verdict": verdict.verdict,
        "confidence": verdict.confidence,
        "rate_kib_per_step": _kib(verdict.rate / each),
        "rate_interval": [_kib(bound / each) for bound in verdict.interval],
        "upper_kib_per_step": _kib(verdict.upper / each),
        "smallest_visible_kib_per_step": _kib(verdict.smallest_visible / each),
        "reasons": [str(reason) for reason in verdict.reasons],
    }


def _kib(size: float) -> float | None:
    """Return KiB, or None for a number that could not be estimated."""
    return round(size / KIB, 4) if math.isfinite(size) else None


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
