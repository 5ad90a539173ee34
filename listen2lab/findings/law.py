"""The law to plan by: how peak and end follow the longest sentence, and its inverse for a limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pandas as pd

from listen2lab.units import MIB

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from listen2lab.study.plan import Plan

__all__ = ["FEWEST_LENGTHS", "LENGTHS", "Law", "fit_law", "law_points", "laws_of", "lengths_of"]

LENGTHS = "utterance-length"
"""The experiment that a study's laws come from."""

FEWEST_LENGTHS = 4
"""Three numbers are fitted, and one length at least must be left to be predicted."""

_NOTHING = 1e-6
"""A coefficient that adds less than this share of the memory over all lengths is none."""


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """Memory as ``fixed + linear * s + quadratic * s ** 2``, with ``s`` the longest sentence.

    Parameters
    ----------
    quantity
        ``peak`` (the most within a step) or ``end`` (resident at the end, after a trim).
    fixed, linear, quadratic
        MiB, MiB a second, MiB a second squared; none of them is negative.
    shortest_s, longest_s
        The lengths that it was fitted on: outside of them it is a guess.
    lengths, runs
        How many different lengths, and runs.
    error
        Median over the lengths of the relative error with which a fit on the others predicts each
        that lies between two others; None with too few lengths for that.
    error_at_longest
        The same for the longest one, which the others have to be continued to.
    """

    quantity: Literal["peak", "end"]
    fixed: float
    linear: float
    quadratic: float
    shortest_s: float
    longest_s: float
    lengths: int
    runs: int
    error: float | None = None
    error_at_longest: float | None = None

    def at(self, seconds: float) -> float:
        """Return the MiB that a longest sentence of so many seconds leads to."""
        return self.fixed + self.linear * seconds + self.quadratic * seconds**2

    def longest_under(self, limit_mib: float) -> float | None:
        """Return the longest sentence, in seconds, that stays under a limit.

        Parameters
        ----------
        limit_mib
            In MiB.

        Returns
        -------
        float or None
            Infinite where memory does not follow the sentence; None where even silence is above.

        Examples
        --------
        >>> law = Law(quantity="peak", fixed=100, linear=20, quadratic=0.1, shortest_s=5,
        ...           longest_s=110, lengths=5, runs=15)
        >>> round(law.longest_under(500), 2)
        18.32
        """
        room = limit_mib - self.fixed
        if room <= 0:
            return None
        if self.quadratic == 0:
            return math.inf if self.linear == 0 else room / self.linear
        root = math.sqrt(self.linear**2 + 4 * self.quadratic * room)
        return (root - self.linear) / (2 * self.quadratic)


def fit_law(
    quantity: Literal["peak", "end"], seconds: ArrayLike, mib: ArrayLike, lengths: ArrayLike
) -> Law | None:
    """Fit the law to some runs.

    Parameters
    ----------
    quantity
        What was measured.
    seconds, mib
        The longest sentence of each run and its memory, shape (runs,).
    lengths
        Which runs were meant to have the same longest sentence: a label each, shape (runs,). A
        length is left out with all its runs.

    Returns
    -------
    Law or None
        None with fewer than `FEWEST_LENGTHS` different lengths.

    Notes
    -----
    Least squares of relative errors with coefficients that are not negative (Lawson, C. L. and
    Hanson, R. J. 1974, Solving Least Squares Problems, chapter 23): working memory is made of
    parts that are constant, proportional to frames, and proportional to frames times tokens, and
    none of them shrinks with the sentence.
    """
    s, y = np.asarray(seconds, dtype=float), np.asarray(mib, dtype=float)
    usable = np.isfinite(s) & np.isfinite(y) & (y > 0)
    s, y, labels = s[usable], y[usable], np.asarray(lengths)[usable]
    by_length = sorted(set(labels.tolist()), key=lambda label: float(s[labels == label].mean()))
    if len(by_length) < FEWEST_LENGTHS:
        return None
    fixed, linear, quadratic = _fit(s, y)
    errors = []
    for left_out in by_length[1:]:
        mine = labels == left_out
        predicted = _matrix(s[mine]) @ _fit(s[~mine], y[~mine])
        errors.append(float(np.mean(np.abs(predicted - y[mine]) / y[mine])))
    return Law(
        quantity=quantity,
        fixed=float(fixed),
        linear=float(linear),
        quadratic=float(quadratic),
        shortest_s=float(s.min()),
        longest_s=float(s.max()),
        lengths=len(by_length),
        runs=len(s),
        error=float(np.median(errors[:-1])),
        error_at_longest=errors[-1],
    )


def _matrix(seconds: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(seconds), seconds, seconds**2], axis=1)


def _fit(seconds: np.ndarray, mib: np.ndarray) -> np.ndarray:
    columns = _matrix(seconds) / mib[:, None]
    found = _not_negative(columns, np.ones_like(mib))
    return np.where(found * columns.max(axis=0) < _NOTHING, 0.0, found)


def _not_negative(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the least-squares solution without negative values: the best of any of the columns."""
    best, least = np.zeros(columns.shape[1]), float(y @ y)
    for mask in range(1, 2 ** columns.shape[1]):
        used = [k for k in range(columns.shape[1]) if mask >> k & 1]
        found = np.linalg.lstsq(columns[:, used], y, rcond=None)[0]
        rest = y - columns[:, used] @ found
        if (found >= 0).all() and rest @ rest < least:
            best, least = np.zeros(columns.shape[1]), float(rest @ rest)
            best[used] = found
    return best


def laws_of(samples: pd.DataFrame, experiment: str, conditions: list[str]) -> list[Law]:
    """Fit peak and end of some conditions that differ in nothing but the longest sentence.

    Parameters
    ----------
    samples
        Of complete plain runs; see `listen2lab.study.data.StudyData.complete_of`.
    experiment, conditions
        Which.

    Returns
    -------
    list of Law
        Peak first; empty with too few lengths.
    """
    points = law_points(samples, experiment, conditions)
    lengths = points.index.get_level_values("condition")
    found = [
        fit_law("peak", points["seconds"], points["peak"], lengths),
        fit_law("end", points["seconds"], points["end"], lengths),
    ]
    return [law for law in found if law is not None]


def lengths_of(plan: Plan) -> dict[str, list[str]]:
    """Return the conditions that differ in nothing but the longest sentence, by the voice's graph.

    Parameters
    ----------
    plan
        Of a study, with the experiment `LENGTHS` or without.
    """
    found: dict[str, list[str]] = {}
    for item in plan.experiments:
        for level in item.levels if item.name == LENGTHS else ():
            graph = str(item.complete_settings(level)["voice_graph"])
            if set(item.changes(level)) <= {"longest_sentence_s", "voice_graph"}:
                found.setdefault(graph, []).append(level.name)
    return found


def law_points(samples: pd.DataFrame, experiment: str, conditions: list[str]) -> pd.DataFrame:
    """Return the longest sentence, peak and end of each run: what a law is fitted to.

    Parameters
    ----------
    samples, experiment, conditions
        As `laws_of` takes them.

    Returns
    -------
    DataFrame
        By ``condition`` and ``repeat``: ``seconds``, and ``peak`` and ``end`` in MiB.
    """
    mine = samples[(samples["experiment"] == experiment) & samples["condition"].isin(conditions)]
    by_run = ["condition", "repeat"]
    steps = mine[mine["phase"] == "step"].groupby(by_run)
    longest = mine[mine["phase"].isin(["warmup", "step"])].groupby(by_run)["size"].max()
    ends = mine[mine["phase"] == "end"].groupby(by_run)["rss"].last()
    peaks = steps["peak"].max().reindex(longest.index)
    return pd.DataFrame(
        {"seconds": longest, "peak": peaks / MIB, "end": ends.reindex(longest.index) / MIB}
    )
