"""A phone's curve beside a lab study: which condition it resembles, and what the lab can explain.

Levels are not compared: the voices and machines differ. Shapes are, by four numbers between 0
and 1 that do not depend on the order of the texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from listen2lab.device.formats.owners import LAB_OWNERS
from listen2lab.device.judging import curve_of
from listen2lab.device.log_summary import SAME_LENGTH

if TYPE_CHECKING:
    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.schema import Category, Snapshot
    from listen2lab.study.data import StudyData

    Array = npt.NDArray[np.float64]

__all__ = [
    "FAR", "FEATURES", "Beyond", "Ceiling", "LabCondition", "LabMatch", "Shape",
    "compare_with_study", "differ", "find_ceiling", "largest_snapshot", "shape_of",
]  # fmt: skip

FEATURES = ("afterwards", "largest_step", "at_records", "given_back")
"""What a shape is made of; see `Shape`."""

FEWEST = 8
"""A curve of fewer paragraphs has no shape."""
FAR = 0.35
"""Root mean square difference of the features above which two shapes are not alike: the farthest
run of the medium reference study lies as far from the mean of its own condition's other runs."""
AS_NEAR = 0.10
"""Conditions this much farther than the nearest one are as near: nine of ten runs of the medium
reference study lie within it of the mean of their own condition's other runs."""
FLAT = 0.05
"""A rise under this share of the level is none, and has no parts."""


class Shape(msgspec.Struct, frozen=True):
    """Features of a curve, between 0 and 1.

    Attributes
    ----------
    rise
        As a share of the memory at the end.
    largest_step
        Share of the rise that comes in its largest single step.
    given_back
        Downward moves, as a share of the upward ones.
    at_records
        Share of all upward moves at a new or nearly longest input; None without lengths.
    afterwards
        Share of the rise that comes after the longest input; None without lengths.
    """

    rise: float
    largest_step: float = 0.0
    given_back: float = 0.0
    at_records: float | None = None
    afterwards: float | None = None


class LabCondition(msgspec.Struct, frozen=True):
    """A condition of a study, beside the phone.

    Attributes
    ----------
    experiment, condition, unit
        Their names, and that of a step.
    repeats, verdict
        How many runs, and what they show.
    shape, distance
        None where the runs are too short for a shape.
    highest
        The most that a run held, in bytes.
    steps, memory
        The first repeat's curve.
    """

    experiment: str
    condition: str
    unit: str
    repeats: int
    verdict: str
    shape: Shape | None
    distance: float | None
    highest: float
    steps: tuple[int, ...]
    memory: tuple[float, ...]


class Beyond(msgspec.Struct, frozen=True):
    """An owner that the lab's pipeline does not have, and its largest categories; in bytes."""

    owner: str
    size: int
    categories: tuple[tuple[str, int], ...]


class Ceiling(msgspec.Struct, frozen=True):
    """How much of the phone's memory the lab can explain at most; in bytes.

    Attributes
    ----------
    of
        How much the phone held.
    tool
        By which report; None: as logged.
    like
        What lies in owners that the lab's pipeline has too.
    lab
        The most that the study's runs held; None without a study.
    at_most
        The smallest of the three.
    beyond
        The other owners, largest first.
    """

    of: float
    tool: str | None
    like: float
    lab: float | None
    at_most: float
    beyond: tuple[Beyond, ...]


class LabMatch(msgspec.Struct, frozen=True):
    """A phone's curves beside a study's conditions.

    Attributes
    ----------
    subject, is_workload
        The study's voice, or the file of its workload.
    phone
        Shape of the phone's curve; None for too few paragraphs.
    verdict
        The phone's.
    conditions
        The nearest first.
    nearest
        Which of them cannot be told apart, and have no verdict that speaks against it.
    alike
        Whether they are near at all.
    ceiling
        See `Ceiling`.
    """

    subject: str
    is_workload: bool
    phone: Shape | None
    verdict: str | None
    conditions: tuple[LabCondition, ...]
    nearest: tuple[int, ...]
    alike: bool
    ceiling: Ceiling | None


def shape_of(memory: Array, sizes: Array | None) -> Shape | None:
    """Return the features of a curve, or None for too few paragraphs.

    Parameters
    ----------
    memory
        Bytes, one a paragraph.
    sizes
        Lengths of the inputs; None or NaN where unknown.
    """
    good = np.isfinite(memory)
    y = memory[good]
    if len(y) < FEWEST:
        return None
    n = len(y)
    begin, end = float(np.median(y[:2])), float(np.median(y[-max(2, n // 6) :]))
    rise = end - begin
    share = max(rise, 0.0) / end if end > 0 else 0.0
    moves = np.diff(y)
    up = float(moves[moves > 0].sum())
    if share < FLAT or up <= 0:
        return Shape(share) if sizes is None else Shape(share, at_records=0.0, afterwards=0.0)
    at_records = afterwards = None
    lengths = np.zeros(n) if sizes is None else np.nan_to_num(sizes[good])
    if lengths.any():
        top = np.concatenate([[0.0], np.maximum.accumulate(lengths)[:-1]])
        record = (lengths >= SAME_LENGTH * top)[1:]
        at_records = float(moves[record & (moves > 0)].sum() / up)
        # Not when the rise comes: the longest paragraph stands at another place in each run.
        after = y[int(lengths.argmax()) + 1 :][:2]
        afterwards = float(np.clip((end - np.median(after)) / rise, 0, 1)) if len(after) else 0.0
    largest = float(np.clip(moves.max() / rise, 0, 1))
    given_back = float(np.clip(-moves[moves < 0].sum() / up, 0, 1))
    return Shape(share, largest, given_back, at_records, afterwards)


def compare_with_study(
    evidence: Evidence, study: StudyData, verdict: str | None = None
) -> LabMatch:
    """Put a phone's curves beside a study's conditions.

    Parameters
    ----------
    evidence
        What was read from the phone.
    study
        A study of the reading pipeline.
    verdict
        The phone's. A leak and a condition that was judged to be none are not alike, however near
        their shapes: a shape of few numbers does not hold what a verdict looks at.
    """
    phone = _mean([_phone_shape(session) for session in evidence.sessions])
    conditions = [
        msgspec.structs.replace(each, distance=_distance(phone, each.shape))
        for each in _conditions(study)
    ]
    conditions.sort(key=lambda c: (c.distance is None, c.distance or 0.0))
    possible = [
        (k, c.distance)
        for k, c in enumerate(conditions)
        if c.distance is not None and not differ(verdict, c.verdict)
    ]
    least = possible[0][1] if possible else np.inf
    highest = max((c.highest for c in conditions), default=None)
    from listen2lab.study.redact import leaf  # noqa: PLC0415 - as below

    inputs = study.manifest.inputs
    return LabMatch(
        leaf(inputs.workload or inputs.voice or ""),
        not inputs.is_pipeline,
        phone,
        verdict,
        tuple(conditions),
        tuple(k for k, distance in possible if distance <= least + AS_NEAR),
        least <= FAR,
        find_ceiling(evidence, highest),
    )


def differ(phone: str | None, condition: str) -> bool:
    """Return whether one is a leak, and the other was judged to be none."""
    if phone is None or "inconclusive" in {phone, condition}:
        return False
    return (phone == "leak") != (condition == "leak")


def _phone_shape(session: Any) -> Shape | None:
    memory, audio, _ = curve_of(session)
    return shape_of(memory, audio if np.isfinite(audio).any() else None)


def _conditions(study: StudyData) -> list[LabCondition]:
    from listen2lab.findings.summary import summary_of  # noqa: PLC0415 - pandas, for a study only

    samples = study.complete
    samples = samples[samples["phase"].isin(["warmup", "step"])]
    experiments = summary_of(study).experiments
    out = []
    for item in study.plan.experiments:
        for level in item.levels:
            mine = samples[
                (samples["experiment"] == item.name) & (samples["condition"] == level.name)
            ]
            if mine.empty:
                continue
            runs = [run for _, run in mine.groupby("repeat")]
            shapes = [
                shape_of(
                    run["rss"].to_numpy(float),
                    run["size"].to_numpy(float) if run["size"].notna().any() else None,
                )
                for run in runs
            ]
            out.append(
                LabCondition(
                    item.name,
                    level.name,
                    item.unit,
                    len(runs),
                    experiments[item.name].conditions[level.name].verdict,
                    _mean(shapes),
                    None,
                    float(mine[["rss", "peak"]].max().max()),
                    tuple(runs[0]["step"].astype(int).tolist()),
                    tuple(runs[0]["rss"].astype(float).tolist()),
                )
            )
    return out


def _mean(shapes: list[Shape | None]) -> Shape | None:
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return None
    values = {name: [getattr(shape, name) for shape in known] for name in ("rise", *FEATURES)}
    return Shape(
        **{name: float(np.mean(each)) for name, each in values.items() if None not in each}
    )


def _distance(a: Shape | None, b: Shape | None) -> float | None:
    """Return the root mean square difference of what both curves have."""
    if a is None or b is None:
        return None
    pairs = [(getattr(a, name), getattr(b, name)) for name in FEATURES]
    squares = [(x - y) ** 2 for x, y in pairs if x is not None and y is not None]
    flat = (a.rise < FLAT) != (b.rise < FLAT)
    squares.append(1.0 if flat else 0.0)  # a flat curve is unlike one that rises
    return round(float(np.sqrt(np.mean(squares))), 4)


def find_ceiling(evidence: Evidence, lab_highest: float | None) -> Ceiling | None:
    """Say how much of the phone's memory the lab can explain at most, and what is beyond it.

    Parameters
    ----------
    evidence
        With a snapshot by category at best; else the log's highest memory is taken.
    lab_highest
        The most that the study's runs held, in bytes; None: no study.

    Returns
    -------
    Ceiling or None
        None where nothing says how much the phone held.
    """
    snapshot = largest_snapshot(evidence)
    beyond: list[Beyond] = []
    if snapshot is None:
        memory = [curve_of(s)[0] for s in evidence.sessions]
        memory += [s.column("breakdowns", "total") for s in evidence.sessions]
        known = [float(np.nanmax(m)) for m in memory if np.isfinite(m).any()]
        whole = like = max(known, default=0.0)
    else:
        whole = float(snapshot.counted or 0)
        like = float(sum(o.counted or 0 for o in snapshot.owners if o.name in LAB_OWNERS))
        beyond = [
            Beyond(owner.name, owner.counted, _largest(snapshot, owner))
            for owner in snapshot.owners
            if owner.name not in LAB_OWNERS and owner.counted
        ]
        beyond.sort(key=lambda each: -each.size)
    if not whole:
        return None
    at_most = min(like, whole, whole if lab_highest is None else lab_highest)
    tool = None if snapshot is None else snapshot.tool
    return Ceiling(whole, tool, like, lab_highest, at_most, tuple(beyond))


def largest_snapshot(evidence: Evidence) -> Snapshot | None:
    """Return the app's snapshot with categories that holds most."""
    return max(evidence.snapshots_of_app(), key=lambda s: s.counted or 0, default=None)


def _largest(snapshot: Snapshot, owner: Category) -> tuple[tuple[str, int], ...]:
    mine = [(c.name, c.counted) for c in snapshot.categories if c.owner == owner.name and c.counted]
    return tuple(sorted(mine, key=lambda each: -each[1])[:3])
