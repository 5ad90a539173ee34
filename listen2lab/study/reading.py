"""What of a study's runs can be believed, however they were cut or edited by hand."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from listen2lab.errors import DamagedError
from listen2lab.notice import Notice
from listen2lab.study.plan import schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from listen2lab.study.folder import RunFolder, StudyFolder
    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["ReadRun", "read_run", "read_runs"]


class ReadRun(NamedTuple):
    """A planned run, as its folder tells it."""

    run: Run
    result: RunRecord | None
    """None: it has not ended."""
    samples: list[Sample]
    problem: Notice | None
    """Why it is left out; None where nothing is wrong."""


def read_runs(folder: StudyFolder, plan: Plan, damage: list[Notice]) -> Iterator[ReadRun]:
    """Read every run of a study in the order of its schedule, without what cannot be believed.

    Parameters
    ----------
    folder, plan
        The study.
    damage
        Gets a notice for each run that is left out, and for folders that no plan names.

    Yields
    ------
    ReadRun
        A run; one that is left out has neither result nor samples.
    """
    planned = schedule(plan)
    damage += _unplanned(folder.run_keys(), [run.key for run in planned])
    for run in planned:
        read = read_run(folder.run(run.key), run, plan)
        if read.problem is not None:
            damage.append(read.problem)
        yield read


def read_run(there: RunFolder, run: Run, plan: Plan) -> ReadRun:
    """Read one run; see `read_runs`."""
    file = "spec.json"
    try:
        spec = there.spec()
        file = "result.json"
        result = there.result()
        file = "steps.jsonl"
        samples = there.samples()
    except msgspec.DecodeError as error:
        problem = Notice("run-damaged", {"run": run.key, "file": file, "message": str(error)})
        return ReadRun(run, None, [], problem)
    except DamagedError as error:
        problem = Notice(
            "run-damaged",
            {"run": run.key, "file": file, "line": error.line, "message": error.message},
        )
        return ReadRun(run, None, [], problem)
    field = None
    if spec is not None:
        experiment = run.experiment
        planned = {
            "steps": experiment.steps,
            "warmup": experiment.warmup,
            "sample_every": plan.sample_every(experiment),
            "traced": run.traced,
        }
        field = next((name for name, x in planned.items() if getattr(spec, name) != x), None)
        if field is None and "knobs" in spec.workload:
            field = None if spec.workload["knobs"] == experiment.settings(run.level) else "knobs"
    if field is not None:
        return ReadRun(run, None, [], Notice("not-as-planned", {"run": run.key, "field": field}))
    is_empty = not any(sample.phase == "step" for sample in samples)
    if result is not None and result.outcome == "complete" and is_empty:
        return ReadRun(run, None, [], Notice("complete-without-steps", {"run": run.key}))
    return ReadRun(run, result, samples, None)


def _unplanned(on_disk: Sequence[str], planned: Sequence[str]) -> list[Notice]:
    """Return a notice for the folders of each condition that no plan names."""
    known = set(planned)
    begun = {_condition(key) for key in known.intersection(on_disk)}
    absent = sorted({_condition(key) for key in known} - begun)
    strays: dict[str, int] = {}
    for key in on_disk:
        if key not in known:
            strays[_condition(key)] = strays.get(_condition(key), 0) + 1
    notices = []
    for condition, count in sorted(strays.items()):
        lost = [name for name in absent if name.split("/")[0] == condition.split("/")[0]]
        notices.append(
            Notice("not-planned", {"condition": condition, "runs": count, "without": [*lost]})
        )
    return notices


@functools.lru_cache(maxsize=4096)
def _condition(key: str) -> str:
    return key.rsplit("/", 1)[0]
