"""What happens on a Dask worker's machine: look whether it can carry runs, and carry one.

Everything here is called by name from `listen2lab.experiment.cluster`, in a thread of a worker. The
run itself is a fresh process of that machine, as it is at home.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from distributed import get_worker

from listen2lab.errors import LabError, StudyError
from listen2lab.experiment.capacity import available_memory
from listen2lab.experiment.inputs import KINDS, is_same, reopen
from listen2lab.experiment.local import run_here
from listen2lab.experiment.machine import Machine, this_machine
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import Plan, schedule
from listen2lab.study.records import InputsRecord, Manifest, Sample
from listen2lab.units import MIB
from listen2lab.version import __version__

if TYPE_CHECKING:
    from distributed import Worker

    from listen2lab.experiment.inputs import Inputs

__all__ = ["JobRequest", "WorkerStatus", "available", "carry", "code_hash", "sample_of", "status"]

_EVENT_SECONDS = 0.5  # a run's samples are sent at most this often; all of them come with its files
_CAPTURE_AT_MOST = MIB
_ROOMS = (
    "experiment",
    "models",
    "pipeline",
    "probes",
    "texts",
)  # what judges and reports does not run there


class JobRequest(msgspec.Struct, frozen=True):
    """What a worker machine must know to carry the runs of a study. It is sent as JSON.

    Parameters
    ----------
    plan, inputs
        The study's.
    paragraphs
        The texts.
    python
        The interpreter of the runs; None: the Dask worker's.
    """

    plan: Plan
    inputs: InputsRecord
    paragraphs: tuple[str, ...]
    python: str | None


class WorkerStatus(msgspec.Struct, frozen=True):
    """What a worker machine says of itself.

    Parameters
    ----------
    machine
        Its identity and facts; None if it was refused.
    refused
        Why it cannot carry the runs, in a sentence; empty if it can.
    """

    machine: Machine | None
    refused: str = ""


def status(code: str, request: bytes) -> WorkerStatus:
    """Look whether this machine can carry the runs; build the models that it lacks."""
    if code != code_hash():
        because = f"its listen2lab {__version__} has other code than the one here"
        return WorkerStatus(None, f"{because}; install the same there")
    asked = msgspec.json.decode(request, type=JobRequest)
    try:
        inputs = _same_inputs(asked)
        inputs.prepare(asked.plan)
        machine = this_machine(asked.python, inputs.environment)
    except LabError as error:
        return WorkerStatus(None, str(error))
    return WorkerStatus(machine)


def available() -> int:
    """Return the bytes that are available on this machine."""
    return available_memory()


def carry(request: bytes, key: str, machine: str, topic: str) -> dict[str, bytes]:
    """Do one run in a fresh process of this machine, in a folder that is deleted afterwards."""
    worker = get_worker()
    asked = msgspec.json.decode(request, type=JobRequest)
    plan = asked.plan
    run = next(item for item in schedule(plan) if item.key == key)
    last = time.monotonic()

    def send(sample: Sample) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVENT_SECONDS:
            last = time.monotonic()
            worker.log_event(topic, [key, sample.phase, sample.step, sample.rss])

    with tempfile.TemporaryDirectory(prefix="listen2lab-") as scratch:
        study = StudyFolder(Path(scratch) / "study")
        study.create(Manifest(plan=plan), list(asked.paragraphs))
        try:
            run_here(
                study, run, plan, _same_inputs(asked), python=asked.python, machine=machine,
                on_sample=send, stop=_Unwanted(worker),
            )  # fmt: skip
        finally:
            study.release()
        return study.run(key).pack(_CAPTURE_AT_MOST)


def sample_of(message: Any) -> tuple[str, Sample]:
    """Return the key of a run, and its sample, from an event that `carry` logged."""
    key, phase, step, rss = message
    return key, Sample(phase=phase, step=step, rss=rss)


def code_hash() -> str:
    """Return one SHA-256 over the code that runs measure with: a version alone does not tell."""
    home = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(
        [home / "workload.py", *(p for r in _ROOMS for p in (home / r).rglob("*.py"))]
    ):
        total.update(f"{path.relative_to(home).as_posix()}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _same_inputs(asked: JobRequest) -> Inputs:
    """Open the inputs here, by the names or paths that the study was given."""
    inputs = reopen(asked.inputs, asked.paragraphs)
    for kind in KINDS:
        if not is_same(kind, asked.inputs, inputs.record):
            was, now = (getattr(each, f"{kind}_hash") for each in (asked.inputs, inputs.record))
            given = getattr(asked.inputs, kind) or "texts"
            raise StudyError(
                f"its {kind} ({given}) is not the one the study was begun with (hash {now[:12]}, "
                f"not {was[:12]}); copy that one's files there"
            )
    return inputs


class _Unwanted(threading.Event):
    """Set once nobody wants the task's result any more: the client, or the cluster, is gone."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker
        self._key = worker.get_current_task()

    def is_set(self) -> bool:
        """Tell whether the task was cancelled, or its worker is being closed."""
        task = self._worker.state.tasks.get(self._key)
        over = ("closing", "closed", "failed")
        return task is None or task.state == "cancelled" or self._worker.status.name in over
