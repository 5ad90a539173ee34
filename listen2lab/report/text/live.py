"""A study while it runs, in words: what runs, how far, how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import seconds, size

if TYPE_CHECKING:
    from listen2lab.study.records import Sample

__all__ = ["estimate", "progress", "under_way"]


def under_way(key: str, sample: Sample) -> str:
    """Say where a run is.

    Examples
    --------
    >>> from listen2lab.study.records import Sample
    >>> under_way("cache-size/2/00", Sample(phase="step", t=3.0, step=7, rss=812 * 2**20))
    'cache-size/2/00, step 7: 812 MiB'
    """
    where = sample.phase if sample.step is None else f"step {sample.step:.0f}"
    return f"{key}, {where}" + ("" if sample.rss is None else f": {size(sample.rss)}")


def progress(done: int, total: int, left_s: float | None) -> str:
    """Say how many runs are done, and how long the others will take.

    Examples
    --------
    >>> progress(3, 9, 130.0), progress(0, 9, None)
    ('3 of 9 runs done; about 2 min 10 s left', '0 of 9 runs done')
    """
    left = ""
    if left_s is not None:
        left = f"; about {seconds(left_s) if left_s >= 60 else f'{left_s:.0f} s'} left"
    return f"{done} of {total} runs done{left}"


def estimate(runs: int, took_s: float, traced: int) -> str:
    """Say before a study runs how long it will take.

    Examples
    --------
    >>> estimate(9, 400.0, 3), estimate(2, 20.0, 0)
    ('9 runs, 3 of them traced: about 7 min', '2 runs: less than a minute')
    """
    minutes = round(took_s / 60)
    long = f"about {seconds(60.0 * minutes)}" if minutes else "less than a minute"
    return f"{runs} run{'s' * (runs > 1)}{f', {traced} of them traced' if traced else ''}: {long}"
