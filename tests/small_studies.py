"""Small studies: written record by record through the real store, or run in a second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

import listen2lab as lab
from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.study.data import open_study
from listen2lab.study.folder import StudyFolder
from listen2lab.study.payload import ELEMENT_ID, payload
from listen2lab.study.plan import Experiment, Level, Plan, schedule
from listen2lab.study.records import (
    Call,
    InputsRecord,
    MachineFacts,
    Manifest,
    RunRecord,
    Sample,
    Setup,
    Spec,
)
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Run
    from listen2lab.study.trace_records import Trace

    Shape = float | Sequence[float] | Callable[[int, int], float]

WORKLOAD = """
kept = []
def setup(): kept.append(b"x" * ({mib} << 20))
def step(i): sum(range(2000))
"""

SETUP = Setup(
    machine=MachineFacts(
        system="Linux",
        kernel="6.1.0",
        cpu="A Processor",
        cores=2,
        memory=8 << 30,
        libc="glibc 2.36",
    ),
    versions={"python": "3.11.2", "listen2lab": lab.__version__, "sherpa-onnx": "1.12.0"},
    environment={"OMP_NUM_THREADS": "1"},
)
"""What a built study says that it ran on."""

OWN = InputsRecord(workload="own.py", workload_hash="0" * 64)
READING = InputsRecord(
    voice="tiny", voice_hash="1" * 64, recognizer="recognizer", recognizer_hash="2" * 64
)

START_MIB = 30.0
"""What is resident in a built run before its setup."""


def plan_of(
    conditions: Mapping[str, Any], *, steps: int = 16, warmup: int = 2, **settings: Any
) -> Plan:
    """Return a plan of conditions named ``condition``, or ``experiment/condition``.

    An experiment of the lab's catalog has its question and knobs; any other is ``own``.
    """
    wanted: dict[str, list[str]] = {}
    for key in conditions:
        experiment, _, condition = key.rpartition("/")
        wanted.setdefault(experiment or "own", []).append(condition)
    experiments = []
    for name, levels in wanted.items():
        if name in EXPERIMENTS:
            item = EXPERIMENTS[name][levels]
        else:
            made = tuple(Level(each) for each in levels)
            item = Experiment(name, f"Does {name}?", "x" if len(made) > 1 else None, made)
            item = replace(item, unit="step")
        experiments.append(replace(item, steps=steps, warmup=warmup))
    return Plan(tuple(experiments), **{"repeats": 3, "traced": "none", **settings})


def build_study(
    folder: Path,
    conditions: Mapping[str, Shape],
    *,
    plan: Plan | None = None,
    results: Mapping[str, RunRecord | None] | None = None,
    change: Callable[[Run, Sample], Sample] | None = None,
    traces: Mapping[str, Trace] | None = None,
    paragraphs: Sequence[str] = (),
    manifest: Mapping[str, Any] | None = None,
    **settings: Any,
) -> StudyData:
    """Write a study as its runs would have, without any process.

    Parameters
    ----------
    folder
        New or empty.
    conditions
        ``condition`` or ``experiment/condition`` to the MiB that it holds resident, over what
        there is at the start: a number, one for each step (warm-up included), or a function of
        (repeat, step).
    plan
        The plan; None: that of `plan_of` with ``settings``.
    results
        Run's key to how it ended; None: it has not ended. Runs that are not named are complete.
    change
        Returns each sample as it is to be written.
    traces
        Run's key to its trace, where the plan has traced runs.
    paragraphs
        The texts.
    manifest
        Fields of the manifest that are not as usual.

    Returns
    -------
    StudyData
        The study, opened.
    """
    plan = plan or plan_of(conditions, **settings)
    is_own = all(item.name not in EXPERIMENTS for item in plan.experiments)
    call = Call("watch", {"file": "own.py"}) if is_own else Call("run", {"experiments": ["all"]})
    fields: dict[str, Any] = {
        "created": "2026-01-02T03:04:05+00:00",
        "call": call,
        "inputs": OWN if is_own else READING,
        "setup": SETUP,
        "machines": {"machine-1": replace(SETUP, identity="0123456789abcdef")},
        **(manifest or {}),
    }
    study = StudyFolder(folder)
    study.create(Manifest(plan=plan, **fields), list(paragraphs))
    for run in schedule(plan):
        key = f"{run.experiment.name}/{run.level.name}"
        shape = conditions[key if key in conditions else run.level.name]
        result = (results or {}).get(run.key, _complete(run, shape))
        written = study.run(run.key)
        written.prepare(_spec(plan, run))
        samples = samples_of(run, shape)
        if result is not None and result.outcome != "complete":
            until = -1 if result.last_step is None else result.last_step
            samples = [x for x in samples if x.phase in ("start", "import", "setup")
                       or (x.step is not None and x.step <= until)]  # fmt: skip
        lines = [change(run, x) if change else x for x in samples]
        written.steps_path.write_bytes(
            b"".join(msgspec.json.encode(as_line(line)) + b"\n" for line in lines)
        )
        if traces and run.key in traces:
            (written.path / "heap.json").write_bytes(msgspec.json.encode(traces[run.key]))
        if result is not None:
            written.write_result(result)
    study.release()
    return open_study(folder)


def samples_of(run: Run, shape: Shape) -> list[Sample]:
    """Return the samples of a run that holds what a shape says."""
    total = run.experiment.warmup + run.experiment.steps
    samples = [_held(phase, k * 0.1, 0.0) for k, phase in enumerate(("start", "import"))]
    samples.append(_held("setup", 0.2, held_mib(shape, run.repeat, 0)))
    for step in range(total):
        phase = "warmup" if step < run.experiment.warmup else "step"
        sample = _held(phase, 1.0 + step, held_mib(shape, run.repeat, step))
        samples.append(
            replace(sample, step=step, steps=1, wall_s=0.01, cpu_s=0.01, gc_found=0, gc_freed=0)
        )
    last = held_mib(shape, run.repeat, total - 1)
    around = ("end", *run.experiment.phases, "released")
    for k, phase in enumerate(around):
        held = 0.0 if phase == "released" else last
        samples.append(replace(_held(phase, 1.0 + total + k, held), trimmed=phase == "end"))
    return samples


def held_mib(shape: Shape, repeat: int, step: int) -> float:
    """Return the MiB that a shape says for a step."""
    if callable(shape):
        return shape(repeat, step)
    return float(shape) if isinstance(shape, (int, float)) else float(shape[step])


def as_line(sample: Sample) -> dict[str, Any]:
    """Return a sample as the worker writes it: what was not read is not there."""
    every: dict[str, Any] = msgspec.to_builtins(sample)
    return {name: value for name, value in every.items() if value is not None}


def _held(phase: str, t: float, mib: float) -> Sample:
    resident = round((START_MIB + mib) * MIB)
    anonymous = round((START_MIB / 2 + mib) * MIB)
    return Sample(
        phase=phase, t=t, cpu_total_s=t / 2, peak=resident + MIB, rss=resident,
        anonymous=anonymous, swap=0, shared=0, private_dirty=anonymous, lazy_free=0,
        in_use=anonymous - 4 * MIB, kept=MIB, mapped=0, python_blocks=100_000,
    )  # fmt: skip


def _complete(run: Run, shape: Shape) -> RunRecord:
    total = run.experiment.warmup + run.experiment.steps
    most = max(held_mib(shape, run.repeat, step) for step in range(total))
    return RunRecord(
        outcome="complete", status=0, wall_s=1.0 + total,
        peak_rss=round((START_MIB + most + 1) * MIB),
        last_step=total - 1, machine="machine-1",
    )  # fmt: skip


def _spec(plan: Plan, run: Run) -> Spec:
    return Spec(
        workload={"kind": "file", "path": "own.py"},
        warmup=run.experiment.warmup,
        steps=run.experiment.steps,
        sample_every=plan.sample_every(run.experiment),
        phases=run.experiment.phases,
        traced=run.traced,
    )


def holding(folder: Path, mib: int = 20, name: str = "study", **options: Any) -> lab.Study:
    """Run a workload that holds ``mib`` MiB: real runs, a fifth of a second each."""
    file = folder / "holds.py"
    file.write_text(WORKLOAD.format(mib=mib))
    chosen = {"steps": 16, "repeats": 3, "jobs": 2, **options}
    return lab.watch(file, out=folder / name, **chosen)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file as a hand would: ``change`` gets its content and may return another."""
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


def edit_lines(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each line of a steps.jsonl."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def page(path: Path, manifest: Manifest, summary: msgspec.Struct, **options: Any) -> Path:
    """Write a page that carries a study, as a report does."""
    carried = payload(manifest, summary, **options)
    path.write_text(
        f'<!doctype html><html><head><script type="application/json" id="{ELEMENT_ID}">{carried}'
        "</script></head><body>curves</body></html>\n"
    )
    return path
