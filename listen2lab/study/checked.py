"""What of a study's plan and runs can be used, however they were cut or edited by hand."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from listen2lab.errors import LabError, StudyError
from listen2lab.study.plan import Plan, schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from listen2lab.study.folder import StudyFolder
    from listen2lab.study.plan import Run

__all__ = ["ReadRun", "checked_plan", "checked_run", "checked_runs"]

OUTCOMES = ("complete", "killed", "crashed", "timed-out")
"""How a run can have ended."""

_NUMBER = frozenset({int, float, type(None)})
_NUMBERS = frozenset(
    {
        *("t", "step", "steps", "wall_s", "cpu_s", "size", "rss", "anonymous", "private_dirty"),
        *("lazy_free", "swap", "peak", "in_use", "kept", "mapped", "gc_found", "gc_freed"),
        *("python_blocks", "epoch_s"),
    }
)
"""Members of a line of steps.jsonl that are numbers, where it has them."""


def checked_plan(manifest: Mapping[str, Any], where: Path | str) -> Plan:
    """Return the plan in a manifest.

    Parameters
    ----------
    manifest
        As it was read.
    where
        What the manifest is of, for the message.

    Returns
    -------
    Plan
        One that can be carried out: its names are those of single folders.

    Raises
    ------
    StudyError
        It cannot be read.
    """
    try:
        return Plan.from_json(manifest["plan"])
    except (LookupError, TypeError, ValueError, AttributeError, LabError) as error:
        wrong = error if isinstance(error, LabError) else repr(error)
        raise StudyError(
            f"the manifest of {where} holds no plan that can be read ({wrong}); its runs are "
            "untouched; put back what was changed in it"
        ) from error


class ReadRun(NamedTuple):
    """A planned run, as its folder tells it."""

    run: Run
    result: dict[str, Any] | None
    """None: it has not ended."""
    lines: list[dict[str, Any]]
    problem: str
    """Why it is left out; empty where nothing is wrong."""


def checked_runs(folder: StudyFolder, plan: Plan, damage: list[str]) -> Iterator[ReadRun]:
    """Read every run of a study in the order of its schedule, without what cannot be believed.

    Parameters
    ----------
    folder, plan
        The study.
    damage
        Gets a sentence for each run that is left out, and for folders that no plan names.

    Yields
    ------
    ReadRun
        A run; one that is left out has neither result nor lines.
    """
    planned = schedule(plan)
    damage += _unplanned(folder.run_keys(), [run.key for run in planned])
    for run in planned:
        read = checked_run(folder, run, plan)
        if read.problem:
            damage.append(f"{run.key}: {read.problem}")
        yield read


def checked_run(folder: StudyFolder, run: Run, plan: Plan) -> ReadRun:
    """Read one run; see `checked_runs`."""
    there = folder.run(run.key)
    try:
        spec = there.spec()
    except ValueError:
        return ReadRun(run, None, [], "spec.json is damaged; the run is left out")
    try:
        result = there.result()
    except ValueError:
        return ReadRun(run, None, [], "result.json is damaged; the run is left out")
    try:
        lines = there.lines()
    except StudyError as error:
        return ReadRun(run, None, [], str(error).removeprefix(f"{run.key}: "))
    problem = _in_spec(run, plan, spec) or _in_result(result) or _in_lines(lines, result)
    if problem:
        return ReadRun(run, None, [], f"{problem}; the run is left out")
    return ReadRun(run, result, lines, "")


def _in_spec(run: Run, plan: Plan, spec: Mapping[str, Any] | None) -> str:
    if spec is None:
        return ""
    experiment = run.experiment
    planned: dict[str, Any] = {
        "steps": experiment.steps,
        "warmup": experiment.warmup,
        "sample_every": plan.sample_every(experiment),
        "traced": run.traced,
    }
    told: dict[str, Any] = {name: spec.get(name, value) for name, value in planned.items()}
    workload = spec.get("workload")
    if isinstance(workload, dict) and "knobs" in workload:
        planned["knobs"], told["knobs"] = experiment.settings(run.level), workload["knobs"]
    for name, value in planned.items():
        if told[name] != value:
            return f"the manifest plans {name} {value!r}, but spec.json says {told[name]!r}"
    return ""


def _in_result(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    if result.get("outcome") not in OUTCOMES:
        return f"result.json: outcome is {result.get('outcome')!r}, none of {', '.join(OUTCOMES)}"
    if not isinstance(result.get("because", ""), str):
        return f"result.json: because is {result['because']!r}, no sentence"
    for name in ("wall_s", "pressure_s", "peak_rss", "last_step"):
        if type(result.get(name)) not in _NUMBER:
            return f"result.json: {name} is {result[name]!r}, no number"
    return ""


def _in_lines(lines: Iterable[Mapping[str, Any]], result: Mapping[str, Any] | None) -> str:
    measured = False
    for number, line in enumerate(lines, start=1):
        wrong = _in_line(line)
        if wrong:
            return f"steps.jsonl, line {number}: {wrong}"
        measured = measured or line["phase"] == "step"
    if not measured and result is not None and result["outcome"] == "complete":
        return "result.json says that it was complete, but steps.jsonl holds none of its steps"
    return ""


def _in_line(line: Mapping[str, Any]) -> str:
    phase = line.get("phase")
    if not isinstance(phase, str):
        return "it has no phase"
    if not _NUMBER.issuperset(map(type, _numbers_of(tuple(line))(line))):
        name = next(n for n, x in line.items() if n in _NUMBERS and type(x) not in _NUMBER)
        return f"{name} is {line[name]!r}, no number"
    if phase in {"step", "warmup"} and line.get("step") is None:
        return "it has no step"
    components, facts = line.get("components") or {}, line.get("facts") or {}
    if not isinstance(components, dict) or not isinstance(facts, dict):
        return "components or facts are no object"
    for name, value in components.items():
        if type(value) not in _NUMBER:
            return f"the component {name} is {value!r}, no number"
    return ""


@functools.lru_cache(maxsize=64)
def _numbers_of(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return what takes out of a line with these names those that are numbers.

    Nearly all lines have the same names and are sound: each is to be looked at quickly.
    """
    numeric = [name for name in names if name in _NUMBERS]
    if len(numeric) <= 1:  # itemgetter would return the value alone
        return lambda line: tuple(line[name] for name in numeric)
    return operator.itemgetter(*numeric)


def _unplanned(on_disk: Sequence[str], planned: Sequence[str]) -> list[str]:
    """Say which folders of runs no plan names."""
    known = set(planned)
    begun = {_condition(key) for key in known.intersection(on_disk)}
    absent = sorted({_condition(key) for key in known} - begun)
    strays: dict[str, int] = {}
    for key in on_disk:
        if key not in known:
            strays[_condition(key)] = strays.get(_condition(key), 0) + 1
    sentences = []
    for condition, count in sorted(strays.items()):
        lost = [name for name in absent if name.split("/")[0] == condition.split("/")[0]]
        guess = (
            f", and {', '.join(lost)} has no run: if it was renamed, give folder and manifest one "
            "name again"
            if lost
            else ""
        )
        sentences.append(
            f"runs/{condition}: {count} run(s) that the manifest does not plan are left out{guess}"
        )
    return sentences


def _condition(key: str) -> str:
    return key.rsplit("/", 1)[0]
