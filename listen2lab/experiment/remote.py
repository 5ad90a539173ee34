"""What happens on a Dask worker's machine: look whether it can carry runs, and carry one.

Everything here is called by name from `listen2lab.experiment.cluster`, in a thread of a worker. The
run itself is a fresh process of that machine, as it is at home.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from listen2lab import __version__
from listen2lab.errors import LabError, StudyError
from listen2lab.experiment.capacity import available_memory
from listen2lab.experiment.inputs import is_same, reopen
from listen2lab.experiment.local import run_here
from listen2lab.experiment.machines import this_machine
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import Plan, schedule
from listen2lab.units import MIB

if TYPE_CHECKING:
    from distributed import Worker

    from listen2lab.experiment.inputs import Inputs
    from listen2lab.experiment.machines import Machine

__all__ = ["Order", "Survey", "available", "carry", "code_hash", "survey"]

_TELL_SECONDS = 0.5  # a run's samples are told at most this often; all of them come with its files
_CAPTURE_AT_MOST = MIB
_ROOMS = (
    "experiment",
    "models",
    "pipeline",
    "probes",
    "texts",
)  # what judges and reports does not run there


@dataclass(frozen=True)
class Order:
    """What a worker machine must know to carry the runs of a study.

    Parameters
    ----------
    plan, inputs
        As a manifest holds them.
    paragraphs
        The texts.
    python
        The interpreter of the runs; None: the Dask worker's.
    code
        `code_hash` where the study is written.
    """

    plan: dict[str, Any]
    inputs: dict[str, Any]
    paragraphs: tuple[str, ...]
    python: str | None
    code: str


@dataclass(frozen=True)
class Survey:
    """What a worker machine says of itself.

    Attributes
    ----------
    machine
        Its identity and facts; None if it was refused.
    refused
        Why it cannot carry the runs, in a sentence; empty if it can.
    """

    machine: Machine | None
    refused: str = ""


def survey(order: Order) -> Survey:
    """Look whether this machine can carry the runs; build the models that it lacks.

    Parameters
    ----------
    order
        What is to be carried.

    Returns
    -------
    Survey
        Its facts, or why it is refused.
    """
    if order.code != code_hash():
        because = f"its listen2lab {__version__} has other code than the one here"
        return Survey(None, f"{because}; install the same there")
    try:
        inputs = _same_inputs(order)
        machine = this_machine(order.python, inputs.environment)
    except LabError as error:
        return Survey(None, str(error))
    return Survey(machine)


def available() -> int:
    """Return the bytes that are available on this machine."""
    return available_memory()


def carry(order: Order, key: str, machine: str, topic: str) -> dict[str, bytes]:
    """Do one run in a fresh process of this machine, in a folder that is deleted afterwards.

    Parameters
    ----------
    order
        What it belongs to.
    key
        The run's name.
    machine
        The label of this machine in the study.
    topic
        Where its samples are told while it goes: events of the scheduler.

    Returns
    -------
    dict of str to bytes
        The run's files; a large capture is left out.

    Raises
    ------
    LabError
        The run cannot be done here: the models changed, the disk is full, ...
    """
    worker = get_worker()
    plan = Plan.from_json(order.plan)
    run = next(item for item in schedule(plan) if item.key == key)
    told = time.monotonic()

    def tell(line: dict[str, Any]) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            seen = {name: line[name] for name in ("phase", "step", "rss") if name in line}
            worker.log_event(topic, {"key": key, "line": seen})

    with tempfile.TemporaryDirectory(prefix="listen2lab-") as scratch:
        study = StudyFolder(Path(scratch) / "study")
        study.create({}, list(order.paragraphs))
        try:
            run_here(
                study, run, plan, _same_inputs(order), python=order.python, machine=machine,
                on_sample=tell, stop=_Unwanted(worker),
            )  # fmt: skip
        finally:
            study.release()
        return study.run(key).pack(_CAPTURE_AT_MOST)


def code_hash() -> str:
    """Return one SHA-256 over the code that runs measure with: a version alone does not tell."""
    home = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(
        [home / "workload.py", *(p for r in _ROOMS for p in (home / r).glob("*.py"))]
    ):
        total.update(f"{path.relative_to(home).as_posix()}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _same_inputs(order: Order) -> Inputs:
    """Open the inputs here, by the names or paths that the study was given."""
    named = {name: value for name, value in order.inputs.items() if not name.endswith("_hash")}
    inputs = reopen(named, order.paragraphs)
    now = inputs.described()
    for name, was in order.inputs.items():
        what = name.removesuffix("_hash")
        if name != what and not is_same(what, order.inputs, now):
            raise StudyError(
                f"its {what} ({named.get(what, 'texts')}) is not the one the study was begun with "
                f"(hash {now[name][:12]}, not {was[:12]}); copy that one's files there"
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
