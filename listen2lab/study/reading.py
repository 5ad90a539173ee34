"""What of a study's runs can be believed, however they were cut or edited by hand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from listen2lab.errors import DamagedError, RefusedFileError
from listen2lab.notice import Notice
from listen2lab.study.files import Way
from listen2lab.study.plan import schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from listen2lab.study.folder import RunFolder, StudyFolder
    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["ReadRun", "read_run", "read_runs"]


class ReadRun(NamedTuple):
    """A planned run, as its folder tells it; one that is left out has no result and no samples."""

    run: Run
    result: RunRecord | None = None
    """None: it has not ended."""
    samples: Sequence[Sample] = ()
    problem: Notice | None = None
    """Why it is left out; None where nothing is wrong."""


def read_runs(folder: StudyFolder, plan: Plan, damage: list[Notice]) -> Iterator[ReadRun]:
    """Read every run of a study in the order of its schedule.

    ``damage`` gets a notice for each run that is left out, and for folders that no plan names.
    """
    planned = schedule(plan)
    damage += _unplanned(folder.run_keys(), [run.key for run in planned])
    with Way(folder.path) as way:
        for run in planned:
            read = read_run(folder.run(run.key, way), run, plan)
            if read.problem is not None:
                damage.append(read.problem)
            yield read


def read_run(there: RunFolder, run: Run, plan: Plan) -> ReadRun:
    """Read one run, without what cannot be believed."""
    file = "spec.json"
    try:
        spec = there.spec()
        file = "result.json"
        result = there.result()
        file = "steps.jsonl"
        samples = there.samples()
    except (msgspec.DecodeError, RefusedFileError) as error:
        values = {"run": run.key, "file": file, "message": str(error)}
        return ReadRun(run, problem=Notice("run-damaged", {**values}))
    except DamagedError as error:
        values = {"run": run.key, "file": file, "message": error.message}
        return ReadRun(run, problem=Notice("run-damaged", {**values, "line": error.line}))
    if spec is not None:
        experiment = run.experiment
        pairs: dict[str, tuple[Any, Any]] = {
            "steps": (spec.steps, experiment.steps),
            "warmup": (spec.warmup, experiment.warmup),
            "sample_every": (spec.sample_every, plan.sample_every(experiment)),
            "traced": (spec.traced, run.traced),
        }
        if "knobs" in spec.workload:
            pairs["knobs"] = (spec.workload["knobs"], experiment.settings(run.level))
        for field, (was, planned) in pairs.items():
            if was != planned:
                values = {"run": run.key, "field": field}
                return ReadRun(run, problem=Notice("not-as-planned", {**values}))
    is_empty = not any(sample.phase == "step" for sample in samples)
    if result is not None and result.outcome == "complete" and is_empty:
        return ReadRun(run, problem=Notice("complete-without-steps", {"run": run.key}))
    return ReadRun(run, result, samples)


def _unplanned(on_disk: Sequence[str], planned: Sequence[str]) -> list[Notice]:
    """Return a notice for the folders of each condition that no plan names."""
    known, there = set(planned), set(on_disk)
    conditions, begun = ({_condition(key) for key in keys} for keys in (known, known & there))
    strays = Counter(map(_condition, sorted(there - known)))
    return [
        Notice(
            "not-planned",
            {
                "condition": condition,
                "runs": count,
                "without": sorted(
                    name
                    for name in conditions - begun
                    if name.split("/")[0] == condition.split("/")[0]
                ),
            },
        )
        for condition, count in strays.items()
    ]


def _condition(key: str) -> str:
    return key.rsplit("/", 1)[0]
