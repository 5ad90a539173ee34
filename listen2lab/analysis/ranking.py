"""What makes up the app's level, the largest part first; the parts add up to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from listen2lab.analysis._effects import average, difference
from listen2lab.analysis._measured import Measured, Where
from listen2lab.analysis._rules_engine import working_memory
from listen2lab.units import mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import pandas as pd

    from listen2lab.experiment.design import Experiment

__all__ = ["LOADED", "UNEXPLAINED", "Part", "Ranking", "rank"]

LOADED = ("code and libraries", "models as loaded")
"""The parts that are there before anything is spoken."""
UNEXPLAINED = "unexplained"
_PREFERRED = (Where("stop-release", "app"), Where("baseline", "app"))
"""Where most parts are measured within the same process, first."""


@dataclass(frozen=True)
class Part:
    """A part of the level.

    Attributes
    ----------
    name
        What holds it.
    mib
        How much, on average over the processes. The unexplained rest may be a little negative,
        where parts come from different processes.
    how
        How it was measured.
    """

    name: str
    mib: float
    how: str


@dataclass(frozen=True)
class Ranking:
    """The parts of the app's level.

    Attributes
    ----------
    where
        The condition whose level it is.
    level_mib, anonymous_mib
        Resident and anonymous memory at the end.
    parts
        The largest first, the unexplained rest last.
    """

    where: Where
    level_mib: float
    anonymous_mib: float
    parts: tuple[Part, ...]


def rank(
    experiments: Sequence[Experiment],
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> Ranking | None:
    """Rank what consumes the memory at the app's level.

    What the engine's session holds is one part, although several hypotheses (a session that does
    not release, a longest sentence) account for it: parts are never counted twice.

    Parameters
    ----------
    experiments, runs, samples, numbers
        As for `listen2lab.analysis.findings.find`.

    Returns
    -------
    Ranking or None
        None where the app's own condition has no complete run, or its runs lack a reading.
    """
    m = Measured(experiments, runs, samples, numbers)
    app = m.app()
    where = next((w for w in _PREFERRED if w in app), next(iter(app), None))
    if where is None or not len(m.level(where)):
        return None
    level, anonymous = (average(m.at(where, "end", name)) for name in ("rss", "anonymous"))
    imported, loaded = (average(m.at(where, name, "anonymous")) for name in ("import", "setup"))
    if math.isnan(anonymous + imported + loaded):
        return None
    code, models = level - anonymous + imported, loaded - imported
    audio = average(m.component(where, "audio_cache", "player"))
    parts: list[tuple[float, str, str] | None] = [
        (code, LOADED[0], "pages of files, and what the imports allocated"),
        (models, LOADED[1], "what loading the voice and the recognizer allocated"),
        (audio, "audio in the caches and the player", "counted by the pipeline"),
    ]
    aligning = _alignment(m, where)
    parts += [aligning, _engine(m, where, models + audio + aligning[0])]
    known = sorted((part for part in parts if part is not None), reverse=True)
    rest = level - sum(amount for amount, _, _ in known)
    return Ranking(
        where,
        mib(level),
        mib(anonymous),
        (
            *(Part(name, mib(amount), how) for amount, name, how in known),
            Part(UNEXPLAINED, mib(rest), "the level less all of the above"),
        ),
    )


def _alignment(m: Measured, where: Where) -> tuple[float, str, str]:
    """Return what aligning holds beyond the loaded recognizer."""
    on, loaded = (Where("alignment", name) for name in ("on", "loaded-but-unused"))
    if m.lack(on, loaded) is None:
        effect = difference(m.level_at_same_length(on), m.level_at_same_length(loaded))
        if effect.interval is not None and effect.interval[0] > 0:
            how = "the level with alignment less that with its model loaded and unused"
            return effect.value, "alignment", how
    counted = average(m.component(where, "alignments", "service_cache", "trellis"))
    return counted, "alignment", "counted by the pipeline; what its engine works with is not in it"


def _engine(m: Measured, where: Where, others: float) -> tuple[float, str, str] | None:
    """Return the working memory that the engine's sessions hold, of the voice first of all."""
    name = "the engine's working memory"
    held = working_memory(m)
    if held is not None and where.experiment == "stop-release":
        return held, name, "what dropping the session gives back, beyond what a new one takes"
    given = m.fall(where, "end", "released")
    if not len(given):
        return None
    how = "what the teardown gives back, less models, audio and alignment"
    return max(0.0, float(given.mean()) - others), name, how
