"""What brings the peak under a limit, and at which price: from an experiment of combinations."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from listen2lab.findings.cure_records import Cure, CureLimit, Cures, PlanStep
from listen2lab.findings.records import Where
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.cure_records import AudioDifference
    from listen2lab.findings.measured import Measured
    from listen2lab.study.plan import Experiment

__all__ = ["CURES", "RANDOM", "WORTH_MIB", "audio_difference", "cures_of", "least", "limit_of"]

CURES = "cures"
"""The experiment."""
RANDOM = "cures-random"
"""The conditions that were chosen in it, once more with the app's own, random durations."""

WORTH_MIB = 10.0
"""A lower peak by less is no reason for one more change."""


def cures_of(measured: Measured, limits: Mapping[str, float]) -> Cures | None:
    """Return each cure with its price, and which to choose.

    Parameters
    ----------
    measured
        Of a study.
    limits
        Name to bytes.

    Returns
    -------
    Cures or None
        None without a complete run of the app's own condition in `CURES`.
    """
    item = measured.experiments.get(CURES)
    if item is None:
        return None
    app = Where(CURES, item.reference.name)
    if item.changes(item.reference) or not len(measured.peak(app)):
        return None
    levels = sorted(item.levels, key=lambda level: level.name != app.condition)
    found = tuple(_cure(measured, item, level.name, app) for level in levels)
    told = [limit_of(found, name, mib(limit)) for name, limit in limits.items()]
    return Cures(
        experiment=CURES,
        cures=found,
        limits=tuple(told),
        front=_front(found),
        plan=_plan(found, sorted(told, key=lambda each: each.mib)),
    )


def limit_of(
    cures: Sequence[Cure], name: str, limit_mib: float, *, verified: bool = True
) -> CureLimit:
    """Return which cures stay under a limit, and which of them to choose.

    Parameters
    ----------
    cures
        The app's own first.
    name, limit_mib
        The limit.
    verified
        Whether only those count that several processes agree on.
    """
    app, *_ = cures
    under = tuple(
        at
        for at, each in enumerate(cures)
        if at and (each.is_verified or not verified) and _is_under(each, limit_mib)
    )
    return CureLimit(
        name=name,
        mib=limit_mib,
        already=_is_under(app, limit_mib) and not app.lost,
        under=under,
        same_audio=least(cures, [at for at in under if cures[at].audio == "identical"]),
        cheapest=least(cures, under),
    )


def audio_difference(measured: Measured, where: Where, app: Where) -> AudioDifference:
    """Say how a condition's samples differ from the app's, over the paragraphs read in both.

    A paragraph is one made of several sentences; where it differs and was made in more stretches
    than the app's, a long sentence of it was cut.
    """
    mine, own = (_audio(measured, each) for each in (where, app))
    both = own.add_suffix("_app").join(mine, how="inner")
    if both.empty or not (own.index.is_unique and mine.index.is_unique):
        return "unknown"
    differ = both[both["fact.audio_crc"] != both["fact.audio_crc_app"]]
    if differ.empty:
        return "identical"
    is_cut = differ["fact.stretches"] > differ["fact.stretches_app"]
    return "cuts" if is_cut.all() else "other"


_READ = ["repeat", "fact.paragraph"]  # each run numbers the paragraphs that it reads
_AUDIO = ["fact.audio_crc", "fact.stretches"]


def _audio(m: Measured, where: Where) -> pd.DataFrame:
    """Return what each paragraph sounded like; twice in it where it did not always sound alike."""
    spoken = _spoken(m, where)
    if not {*_READ, *_AUDIO} <= set(spoken):
        return pd.DataFrame(columns=_AUDIO)
    return spoken[[*_READ, *_AUDIO]].dropna().drop_duplicates().set_index(_READ)


def _spoken(m: Measured, where: Where) -> pd.DataFrame:
    """Return all samples of paragraphs, warm-up included."""
    return pd.concat([m.rows(where, "warmup"), m.rows(where, "step")])


def _cure(m: Measured, item: Experiment, name: str, app: Where) -> Cure:
    (level,) = (each for each in item.levels if each.name == name)
    where, random = Where(CURES, name), Where(RANDOM, name)
    cpu, cpu_app = _cpu_per_s(m, where), _cpu_per_s(m, app)
    numbers = m.of(where)
    setup, imported = m.at(where, "setup", "t"), m.at(where, "import", "t")
    load_s = _mean(setup - imported) if len(setup) == len(imported) else None
    waited = _spoken(m, where).sort_values("step").groupby("repeat")
    has_waited = "fact.waited_s" in m.rows(where)
    first = waited["fact.waited_s"].first().to_numpy(float) if has_waited else np.empty(0)
    first_s = _mean(first)
    return Cure(
        condition=name,
        knobs=item.changes(level),
        complete=0 if numbers is None else numbers.n_complete,
        lost=0 if numbers is None else numbers.n_lost,
        end_mib=_most(m.end(where)),
        peak_mib=_most(m.peak(where)),
        cpu_per_s=_mean(cpu.to_numpy(float)),
        cpu_ratio=_mean((cpu / cpu_app).dropna().to_numpy(float)),
        load_s=load_s,
        first_sound_s=None if load_s is None or first_s is None else load_s + first_s,
        audio=audio_difference(m, where, app),
        random_peak_mib=_most(m.peak(random)),
        random_end_mib=_most(m.end(random)),
    )


def _cpu_per_s(m: Measured, where: Where) -> pd.Series[float]:
    """Return CPU seconds for a second of audio that was made, by repeat."""
    rows = m.rows(where)
    if not {"cpu_s", "fact.made_s"} <= set(rows):
        return pd.Series(dtype=float)
    summed = rows.groupby("repeat")[["cpu_s", "fact.made_s"]].sum()
    return summed["cpu_s"] / summed["fact.made_s"]


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _most(bytes_: np.ndarray) -> float | None:
    return float(bytes_.max()) / MIB if len(bytes_) else None


def _is_under(cure: Cure, limit_mib: float) -> bool:
    return cure.worst_mib is not None and cure.worst_mib < limit_mib


def least(cures: Sequence[Cure], places: Sequence[int]) -> int | None:
    """Return the place of the cure with the least CPU, the lower peak where that is alike."""
    priced = [at for at in places if cures[at].cpu_ratio is not None]
    return min(
        priced,
        key=lambda at: (round(cures[at].cpu_ratio or 0.0, 2), cures[at].peak_mib or 0.0),
        default=None,
    )


def _front(cures: Sequence[Cure]) -> tuple[int, ...]:
    """Return the places of those that no other one beats in CPU and peak both."""
    points = [
        (each.cpu_per_s, each.peak_mib, at)
        for each, at in zip(cures, count(), strict=False)
        if each.cpu_per_s is not None and each.peak_mib is not None and not each.lost
    ]
    front: list[int] = []
    lowest = float("inf")
    for _, peak, at in sorted(points):
        if peak < lowest:
            front.append(at)
            lowest = peak
    return tuple(front)


def _plan(cures: Sequence[Cure], limits: Sequence[CureLimit]) -> tuple[PlanStep, ...]:
    """Return what to do: for the strictest limit that is reached; further down; and instead.

    Parameters
    ----------
    cures
        The app's own first.
    limits
        The strictest first.
    """
    chosen = [x.cheapest if x.same_audio is None else x.same_audio for x in limits]
    do = next((at for at in chosen if at is not None), None)
    if do is None:
        return ()
    steps = [PlanStep("do", do)]
    lowest = min(
        (at for at, each in enumerate(cures) if each.is_verified),
        key=lambda at: cures[at].worst_mib or float("inf"),
    )
    gain = (cures[do].worst_mib or 0.0) - (cures[lowest].worst_mib or 0.0)
    if lowest != do and gain >= WORTH_MIB:
        steps.append(PlanStep("further", lowest))
    for limit in limits if "voice_graph" in cures[do].knobs else ():
        same_file = [at for at in limit.under if "voice_graph" not in cures[at].knobs]
        instead = least(cures, same_file)
        if instead is not None:
            return (*steps, PlanStep("instead", instead))
    return tuple(steps)
