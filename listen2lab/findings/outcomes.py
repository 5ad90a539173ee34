"""What each condition comes to at its worst, and which of them stay under what is acceptable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.records import Outcome, Under, UnderLimit, Where
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.findings.measured import Measured

__all__ = ["KILL", "LIMITS", "TEXT_KNOBS", "is_under", "outcomes", "under"]

LIMITS = {"1 GB": 10**9, "500 MB": 5 * 10**8}
"""What is acceptable, and what would be ideal. GB and MB are powers of ten here: the stricter way
to read them (1 GB is 954 MiB)."""
KILL = 25 * 10**8
"""Where the phone kills the app: about 2.5 GB (2,384 MiB)."""

TEXT_KNOBS = frozenset({"longest_sentence_s"})
"""Knobs that change what is read, not how."""
_LOADS = frozenset(
    {"in_flight", "sessions", "lookahead_count", "reading", "player", "voice_change_every"}
)
"""Knobs that add load: a condition with one of them is no cure."""


def outcomes(measured: Measured) -> tuple[Outcome, ...]:
    """Return the worst of each condition that reads the study's own texts.

    Returns
    -------
    tuple of Outcome
        In the plan's order. Experiments with texts of their own are left out: their memory says
        nothing about the others'.
    """
    found = []
    for item in measured.experiments.values():
        for level in () if item.is_shortened else item.levels:
            where = Where(item.name, level.name)
            ends, peaks, numbers = measured.end(where), measured.peak(where), measured.of(where)
            found.append(
                Outcome(
                    experiment=item.name,
                    condition=level.name,
                    knobs=item.changes(level),
                    end_mib=mib(ends.max()) if len(ends) else None,
                    peak_mib=mib(peaks.max()) if len(peaks) else None,
                    complete=0 if numbers is None else numbers.n_complete,
                    lost=0 if numbers is None else numbers.n_lost,
                )
            )
    return tuple(found)


def is_under(outcome: Outcome, limit: float, *, peak: bool = True) -> bool:
    """Return whether every repeat stayed under a limit, in bytes; a lost run did not.

    Parameters
    ----------
    outcome
        A condition's.
    limit
        Bytes.
    peak
        Whether the peaks must stay under it too.
    """
    numbers = (outcome.end_mib, outcome.peak_mib) if peak else (outcome.end_mib,)
    return not outcome.lost and all(x is not None and x * MIB < limit for x in numbers)


def under(found: Sequence[Outcome]) -> Under:
    """Return which conditions stay under each limit, in peak and at the end, and at the end alone.

    Parameters
    ----------
    found
        See `outcomes`.
    """
    app = [each for each in found if not each.knobs and each.complete]
    cures = [k for k, each in enumerate(found) if _is_cure(each)]
    limits = []
    for name, limit in LIMITS.items():
        whole = tuple(k for k in cures if is_under(found[k], limit))
        end = tuple(k for k in cures if is_under(found[k], limit, peak=False) and k not in whole)
        already = bool(app) and all(is_under(each, limit) for each in app)
        limits.append(
            UnderLimit(name=name, mib=mib(limit), already=already, peak_and_end=whole, end_only=end)
        )
    return Under(kill_mib=mib(KILL), limits=tuple(limits))


def _is_cure(outcome: Outcome) -> bool:
    """Return whether a condition takes load away, by one change only."""
    knobs = set(outcome.knobs)
    both = {"longest_sentence_s", "split_sentences_s"} <= knobs
    is_load = bool(knobs & _LOADS) or outcome.knobs.get("alignment") == "forced"
    return bool(knobs) and not both and not is_load
