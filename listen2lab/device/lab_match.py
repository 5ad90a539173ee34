"""A phone's curve beside a lab study: which condition it resembles, and what the lab can explain.

Levels are not compared: the voices and machines differ. Shapes are, by four numbers between 0
and 1 that do not depend on the order of the texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.device.formats.schema import LAB_OWNERS
from listen2lab.device.judging import curve_of
from listen2lab.device.questions import SAME_LENGTH
from listen2lab.findings.conditions import complete_samples
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    import numpy.typing as npt

    from listen2lab.device.evidence import Evidence
    from listen2lab.device.formats.schema import Snapshot
    from listen2lab.facade import Study

    Array = npt.NDArray[np.float64]

__all__ = ["FEATURES", "ceiling", "compare", "largest_snapshot", "shape_of"]

FEATURES = {
    "afterwards": "share of the rise that comes after the longest input",
    "largest step": "share of the rise that comes in its largest single step",
    "at records": "share of all upward moves at a new or nearly longest input",
    "given back": "downward moves, as a share of the upward ones",
}
"""What a shape is made of."""

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


def shape_of(memory: Array, sizes: Array | None) -> dict[str, float] | None:
    """Return the features of a curve.

    Parameters
    ----------
    memory
        Bytes, one a paragraph.
    sizes
        Lengths of the inputs; None or NaN where unknown.

    Returns
    -------
    dict or None
        `FEATURES` to numbers, ``at records`` and ``afterwards`` only with lengths; and ``rise``,
        as a share of the level at the end. None for too few paragraphs.
    """
    good = np.isfinite(memory)
    y = memory[good]
    if len(y) < FEWEST:
        return None
    n = len(y)
    begin, end = float(np.median(y[:2])), float(np.median(y[-max(2, n // 6) :]))
    rise = end - begin
    out = {"rise": max(rise, 0.0) / end if end > 0 else 0.0}
    moves = np.diff(y)
    up = float(moves[moves > 0].sum())
    if out["rise"] < FLAT or up <= 0:
        return {**out, "largest step": 0.0, "given back": 0.0} | (
            {} if sizes is None else {"at records": 0.0, "afterwards": 0.0}
        )
    out["largest step"] = float(np.clip(moves.max() / rise, 0, 1))
    out["given back"] = float(np.clip(-moves[moves < 0].sum() / up, 0, 1))
    if sizes is not None:
        lengths = np.nan_to_num(sizes[good])
        if lengths.any():
            top = np.concatenate([[0.0], np.maximum.accumulate(lengths)[:-1]])
            record = (lengths >= SAME_LENGTH * top)[1:]
            out["at records"] = float(moves[record & (moves > 0)].sum() / up)
            # Not when the rise comes: the longest paragraph stands at another place in each run.
            after = y[int(lengths.argmax()) + 1 :][:2]
            out["afterwards"] = (
                float(np.clip((end - np.median(after)) / rise, 0, 1)) if len(after) else 0.0
            )
    return out


def compare(evidence: Evidence, study: Study, verdict: str | None = None) -> dict[str, Any]:
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

    Returns
    -------
    dict
        ``subject`` of the study; ``phone`` (features of the phone's curve, or None);
        ``conditions``: a list of ``experiment``, ``condition``, ``unit``, ``repeats``, ``shape``,
        ``distance`` (None where there is no shape), ``verdict``, ``highest_mib`` and ``curve``
        (``step``, ``memory_mib`` of the first repeat), the nearest first; ``nearest`` (names that
        cannot be told apart, and whose verdicts do not speak against it) and ``alike`` (whether
        they are near at all); ``nearest_shape`` (``experiment``, ``condition``, ``verdict`` and
        ``distance``, whatever its verdict); ``verdict`` of the phone; ``ceiling`` (see `ceiling`).
    """
    phone = _mean([_phone_shape(session) for session in evidence.sessions])
    conditions = _conditions(study)
    for each in conditions:
        each["distance"] = _distance(phone, each["shape"])
    conditions.sort(key=lambda c: (c["distance"] is None, c["distance"] or 0.0))
    known = [c for c in conditions if c["distance"] is not None]
    nearest_shape = known[0] if known else None
    known = [c for c in known if not _differ(verdict, c["verdict"])]
    nearest = [
        f"{c['experiment']}/{c['condition']}"
        for c in known
        if c["distance"] <= known[0]["distance"] + AS_NEAR
    ]
    highest = max((c["highest_mib"] for c in conditions), default=None)
    return {
        "subject": _subject(study),
        "phone": _rounded(phone),
        "conditions": [{**c, "shape": _rounded(c["shape"])} for c in conditions],
        "nearest": nearest,
        "nearest_shape": None
        if nearest_shape is None
        else {name: nearest_shape[name] for name in _SHOWN},
        "verdict": verdict,
        "alike": bool(known) and known[0]["distance"] <= FAR,
        "ceiling": ceiling(evidence, None if highest is None else round(highest * MIB)),
    }


_SHOWN = ("experiment", "condition", "verdict", "distance")


def _differ(phone: str | None, condition: str) -> bool:
    """Return whether one is a leak, and the other was judged to be none."""
    if phone is None or "inconclusive" in {phone, condition}:
        return False
    return (phone == "leak") != (condition == "leak")


def _phone_shape(session: Any) -> dict[str, float] | None:
    memory, audio, _ = curve_of(session)
    return shape_of(memory, audio if np.isfinite(audio).any() else None)


def _conditions(study: Study) -> list[dict[str, Any]]:
    samples = complete_samples(study.runs, study.samples)
    samples = samples[samples["phase"].isin(["warmup", "step"])]
    verdicts = study.summary()["experiments"]
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
                {
                    "experiment": item.name,
                    "condition": level.name,
                    "unit": item.unit,
                    "repeats": len(runs),
                    "shape": _mean(shapes),
                    "verdict": verdicts[item.name]["conditions"][level.name]["verdict"],
                    "highest_mib": mib(float(mine[["rss", "peak"]].max().max())),
                    "curve": {
                        "step": runs[0]["step"].astype(int).tolist(),
                        "memory_mib": [mib(x) for x in runs[0]["rss"].tolist()],
                    },
                }
            )
    return out


def _mean(shapes: list[dict[str, float] | None]) -> dict[str, float] | None:
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return None
    common = set.intersection(*(set(shape) for shape in known))
    return {name: float(np.mean([shape[name] for shape in known])) for name in sorted(common)}


def _distance(a: dict[str, float] | None, b: dict[str, float] | None) -> float | None:
    """Return the root mean square difference of what both curves have."""
    if a is None or b is None:
        return None
    names = [name for name in FEATURES if name in a and name in b]
    flat = (a["rise"] < FLAT) != (b["rise"] < FLAT)
    squares = [(a[name] - b[name]) ** 2 for name in names]
    squares.append(1.0 if flat else 0.0)  # a flat curve is unlike one that rises
    return round(float(np.sqrt(np.mean(squares))), 4)


def _rounded(shape: dict[str, float] | None) -> dict[str, float] | None:
    return None if shape is None else {name: round(value, 3) for name, value in shape.items()}


def _subject(study: Study) -> str:
    from listen2lab.report.text.study import subject  # noqa: PLC0415 - loaded where it is needed

    return subject(study.manifest["inputs"])


def ceiling(evidence: Evidence, lab_highest: int | None) -> dict[str, Any] | None:
    """Say how much of the phone's memory the lab can explain at most, and what is beyond it.

    Parameters
    ----------
    evidence
        With a snapshot by category at best; else the log's highest memory is taken.
    lab_highest
        The most that the study's runs held, in bytes; None: no study.

    Returns
    -------
    dict or None
        ``of_mib`` (M) and ``what`` it is; ``like_mib``: what lies in owners that the lab's
        pipeline has too; ``lab_mib``: the study's highest; ``at_most_mib`` (N): the smaller of
        the two; ``beyond``: the other owners, largest first, each with its largest categories.
        None where nothing says how much the phone held.
    """
    snapshot = largest_snapshot(evidence)
    if snapshot is None:
        memory = [curve_of(s)[0] for s in evidence.sessions]
        memory += [s.column("breakdowns", "total") for s in evidence.sessions]
        known = [float(np.nanmax(m)) for m in memory if np.isfinite(m).any()]
        if not known:
            return None
        whole, like, what, beyond = max(known), max(known), "resident size, as logged", []
    else:
        counted = snapshot.counted
        if not counted:
            return None
        owners = snapshot.by_owner()
        whole, what = float(counted), f"{_QUANTITY[snapshot.tool]}, by {snapshot.tool}"
        like = float(sum(owners[o]["counted"] or 0 for o in LAB_OWNERS if o in owners))
        beyond = [
            {
                "owner": owner,
                "mib": mib(columns["counted"] or 0),
                "categories": _largest(snapshot, owner),
            }
            for owner, columns in owners.items()
            if owner not in LAB_OWNERS and (columns["counted"] or 0) > 0
        ]
        beyond.sort(key=lambda row: -float(str(row["mib"])))
    at_most = min(like, whole, float(lab_highest) if lab_highest is not None else whole)
    return {
        "of_mib": mib(whole),
        "what": what,
        "like_mib": mib(like),
        "lab_mib": None if lab_highest is None else mib(lab_highest),
        "at_most_mib": mib(at_most),
        "by_category": snapshot is not None,
        "beyond": beyond,
    }


_QUANTITY = {
    "vmmap": "footprint",
    "footprint": "footprint",
    "dumpsys": "private dirty and swapped memory",
}


def largest_snapshot(evidence: Evidence) -> Snapshot | None:
    """Return the app's snapshot with categories that holds most."""
    return max(evidence.snapshots_of_app(), key=lambda s: s.counted or 0, default=None)


def _largest(snapshot: Snapshot, owner: str) -> list[dict[str, Any]]:
    mine = [c for c in snapshot.categories if c.owner == owner and c.counted]
    mine.sort(key=lambda c: -(c.counted or 0))
    return [{"name": c.name, "mib": mib(c.counted or 0)} for c in mine[:3]]
