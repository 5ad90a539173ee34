"""Runs carried by a Dask cluster: dask brings jobs to machines, each job is a fresh process there.

Dask does not choose where a run goes: the study's own list does (memory, blocks, order), as at
home. Each run is sent to one worker; when that worker is lost, the run goes back to the list.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
import uuid
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import msgspec

from listen2lab.errors import (
    DamagedError,
    InputError,
    LabError,
    MissingExtraError,
    RunStoppedError,
    StudyError,
)
from listen2lab.notice import Notice
from listen2lab.version import __version__

try:
    from distributed import Client

    from listen2lab.experiment import remote
except ModuleNotFoundError as error:
    raise MissingExtraError("a cluster", "distributed", "leave --on out to run here") from error

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from distributed import Future

    from listen2lab.experiment.inputs import Inputs
    from listen2lab.experiment.machine import Machine
    from listen2lab.study.folder import StudyFolder
    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["ClusterBackend"]

CONNECT_SECONDS = 10.0
"""How long an answer may take: at first, and when the connection broke."""

_LONGEST_GREETING = 2**20
# Bytes that a scheduler says it greets with; letters, read as a number, are many more.

_LAB_VERSION = "__import__('listen2lab').__version__"
# For `eval` there. A worker ends when it is sent something of a package that it does not have;
# this it can read.

_PATIENCE_SECONDS = 30.0
# How long a study waits for a worker when there is none: a restart takes some seconds.
_LOOK_SECONDS = 0.1
_GO_ON = "go on with --resume, here or on a cluster (--on)"
_ENGINE = ("sherpa-onnx", "sherpa-onnx-core")
# Packages whose version decides how much is held: two of them would be two studies in one.


class ClusterBackend:
    """Runs on the workers of a Dask scheduler (see `listen2lab.experiment.scheduler.Backend`).

    Parameters
    ----------
    address
        The scheduler's: ``tcp://host:8786``.
    plan, inputs, python
        See `listen2lab.experiment.run_study.start`.
    versions
        Those the study was begun with; None: those of the first worker.
    notify
        Gets ``worker-refused`` (``address``, ``message``) for each worker that is left out.
    patience_s
        Seconds to wait for a worker when there is none.

    Raises
    ------
    InputError
        Nobody answers there, or no worker can carry the runs; the message says why for each.
    """

    def __init__(
        self,
        address: str,
        plan: Plan,
        inputs: Inputs,
        python: str | None,
        *,
        versions: Mapping[str, str] | None = None,
        notify: Callable[[Notice], None],
        patience_s: float = _PATIENCE_SECONDS,
    ) -> None:
        self._address = address
        self._notify = notify
        self._patience_s = patience_s
        self._engine = None if versions is None else {k: versions.get(k) for k in _ENGINE}
        self._needs_engine = inputs.record.is_pipeline
        self._asked: dict[str, Future] = {}
        self._fit: dict[str, Machine] = {}
        self._slots: dict[str, list[_Slot]] = {}
        self._refused: dict[str, str] = {}
        self._workers: dict[str, int] = {}
        self._seen = time.monotonic()
        self.topic = f"listen2lab-{uuid.uuid4().hex}"
        self.listeners: dict[str, Callable[[Sample], None]] = {}
        self.client = _connected(address)
        try:
            self.request = msgspec.json.encode(
                remote.JobRequest(plan, inputs.record, inputs.paragraphs, python)
            )
            self._code = remote.code_hash()
            self.client.subscribe_topic(self.topic, self._hear)
            self.machine = self._first()
        except BaseException:
            self.close()
            raise

    def slots(self, label: Callable[[Machine], str]) -> list[_Slot]:
        """Return a slot for each thread of each worker that there is now and that will do."""
        self._look()
        for address, machine in sorted(self._fit.items()):
            if address not in self._slots:
                name = label(machine)
                threads = range(self._workers[address])
                self._slots[address] = [_Slot(self, address, name) for _ in threads]
        for address in set(self._slots) - set(self._fit):
            for slot in self._slots.pop(address):
                slot.is_lost = True
        if time.monotonic() - self._seen > self._patience_s:
            raise StudyError(f"{self._nobody()}; every finished run is kept; {_GO_ON}")
        return [slot for slots in self._slots.values() for slot in slots]

    def refuse(self, address: str, because: str) -> None:
        """Send no more runs to a worker; its slots go when they are next looked at."""
        if address not in self._refused:
            self._refused[address] = because
            self._notify(Notice("worker-refused", {"address": address, "message": because}))

    def close(self) -> None:
        """Leave the cluster; its workers go on, without runs of this study."""
        with contextlib.suppress(Exception):  # nothing is asked of a cluster that may be gone
            self.client.close(timeout=2)

    def _first(self) -> Machine:
        """Wait until the workers have looked whether they can carry runs."""
        began = time.monotonic()
        while True:
            self._look()
            waited = time.monotonic() - began
            if self._fit and (not self._asked or waited > self._patience_s):
                return self._fit[min(self._fit)]
            all_refused = self._workers and not self._asked and not self._fit
            if all_refused or time.monotonic() - self._seen > self._patience_s:
                raise InputError(f"{self._nobody()}; nothing was run")
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> None:
        """See which workers came and went, and what those say that were asked."""
        for address, slots in self._slots.items():
            if any(slot.is_lost for slot in slots):
                self._fit.pop(address, None)  # and it is asked anew
        workers = self._present()
        if workers is not None:
            self._workers = workers
        for known in (self._asked, self._fit, self._refused):
            for address in set(known) - set(self._workers):
                known.pop(address)
        for address in sorted(set(self._workers) - {*self._asked, *self._fit, *self._refused}):
            self._asked[address] = _submit(self.client, address, eval, _LAB_VERSION)
        for address in [name for name, future in sorted(self._asked.items()) if future.done()]:
            self._admit(address, self._asked.pop(address))
        if workers is not None and (self._asked or self._fit):
            self._seen = time.monotonic()

    def _present(self) -> dict[str, int] | None:
        """Return the workers with their threads, none while disconnected; None: no answer."""
        if self.client.status != "running":
            if self.client.status == "closed":  # it tried to connect again, for long enough
                self._seen = -self._patience_s
            return {}
        try:
            found: dict[str, int] = self.client.nthreads(callback_timeout=CONNECT_SECONDS)
        except OSError:  # a time limit is one, too
            return None
        return found

    def _admit(self, address: str, future: Future) -> None:
        """Take a worker that can carry runs; say why one cannot."""
        try:
            found: object = future.result(timeout=CONNECT_SECONDS)
        except (CancelledError, OSError):
            return  # it is gone, or will be asked again
        except Exception as error:  # noqa: BLE001 - whatever is wrong there
            self.refuse(address, _in_words(error))
            return
        if isinstance(found, str):
            if found == __version__:
                self._asked[address] = _submit(
                    self.client, address, remote.status, self._code, self.request
                )
            else:
                because = f"it has listen2lab {found}, not {__version__}"
                self.refuse(address, f"{because}; install the same there")
            return
        if not isinstance(found, remote.WorkerStatus):
            self.refuse(address, f"it answers with {type(found).__name__}, and not as a worker")
            return
        if found.machine is None:
            self.refuse(address, found.refused)
            return
        versions = found.machine.setup.versions
        engine = {name: versions.get(name) for name in _ENGINE}
        if self._engine is None:
            self._engine = engine
        if self._needs_engine and engine != self._engine:
            has, wanted = (
                ", ".join(f"{k} {v}" for k, v in e.items()) for e in (engine, self._engine)
            )
            self.refuse(
                address, f"it has {has}, and this study runs with {wanted}; install the same there"
            )
            return
        self._fit[address] = found.machine

    def _nobody(self) -> str:
        """Say why there is nobody to carry runs."""
        if self._refused:
            each = "; ".join(f"{address}: {why}" for address, why in sorted(self._refused.items()))
            return f"no worker of {self._address} can carry the runs: {each}"
        if self.client.status != "running":
            return f"the cluster at {self._address} went away"
        return (
            f"the scheduler at {self._address} has had no workers for {self._patience_s:g} s; "
            f"start some with: dask worker {self._address}"
        )

    def _hear(self, event: tuple[float, Any]) -> None:
        """Pass a sample on to who waits for its run."""
        try:
            key, sample = remote.sample_of(event[1])
        except (TypeError, ValueError):
            return  # somebody else's: only what comes with a run's files counts
        on_sample = self.listeners.get(key)
        if on_sample is not None:
            on_sample(sample)


class _Slot:
    """A thread of a Dask worker (see `listen2lab.experiment.scheduler.WorkerSlot`)."""

    def __init__(self, cluster: ClusterBackend, address: str, machine: str) -> None:
        self._cluster = cluster
        self._address = address
        self.machine = machine
        self.is_lost = False

    def is_there(self) -> bool:
        if self._cluster.client.status != "running":
            self.is_lost = True  # also if it connects again: what was under way is gone
        return not self.is_lost

    def available(self) -> int:
        # As a job: its thread there is idle now, and a call would wait long for a worker that died.
        until = time.monotonic() + CONNECT_SECONDS
        found = self._ask(lambda: time.monotonic() > until, remote.available)
        return found if isinstance(found, int) else 0

    def carry(
        self,
        study: StudyFolder,
        run: Run,
        on_sample: Callable[[Sample], None],
        stop: threading.Event,
    ) -> RunRecord | None:
        cluster = self._cluster
        cluster.listeners[run.key] = on_sample
        try:
            files = self._ask(
                stop.is_set, remote.carry, cluster.request, run.key, self.machine, cluster.topic
            )
        finally:
            cluster.listeners.pop(run.key, None)
        if files is None:
            if stop.is_set():
                raise RunStoppedError("the study was interrupted; the run is killed there")
            return None
        folder = study.run(run.key)
        try:
            folder.unpack(files)
        except (msgspec.DecodeError, DamagedError) as error:  # nothing was written
            cluster.refuse(self._address, f"what it sent of {run.key} is no run: {error}")
            self.is_lost = True
            return None
        return folder.result()

    def _ask(
        self, is_over: Callable[[], bool], function: Callable[..., Any], *arguments: Any
    ) -> Any | None:
        """Have a job done by the worker; None when it is over before, or the worker is lost."""
        future = _submit(self._cluster.client, self._address, function, *arguments)
        try:
            while not future.done():
                if is_over() or not self.is_there():
                    return None
                time.sleep(_LOOK_SECONDS)
            return future.result(timeout=_PATIENCE_SECONDS)
        except (CancelledError, OSError):
            return None  # the worker or the scheduler went just now
        except Exception as error:  # noqa: BLE001 - whatever is wrong there
            self._cluster.refuse(self._address, _in_words(error))
            self.is_lost = True
            return None
        finally:
            future.release()  # nobody wants it any more: a run under way there is killed


def _connected(address: str) -> Client:
    """Return a client of the scheduler at an address."""
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it is said here instead
    try:
        _refuse_other_service(address)
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address or 'an empty address'} ({error}); nothing was "
            "run; give the address that `dask scheduler` printed, such as tcp://host:8786"
        ) from error


def _refuse_other_service(address: str) -> None:
    """Refuse what does not greet as a scheduler does: a client would wait for it for minutes."""
    scheme, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("", "tcp") or not host or not port.isdigit():
        return  # the client knows what is wrong, or how to greet there
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS / 2) as there:
        there.settimeout(CONNECT_SECONDS / 2)
        greeting = there.recv(8, socket.MSG_WAITALL)
    if len(greeting) < 8 or int.from_bytes(greeting, "little") > _LONGEST_GREETING:
        raise ValueError("another service is there")


def _submit(client: Client, worker: str, function: Callable[..., Any], *arguments: Any) -> Future:
    """Give one worker a job."""
    return client.submit(
        function, *arguments, workers=[worker], pure=False, key=f"listen2lab-{uuid.uuid4().hex}"
    )


def _in_words(error: Exception) -> str:
    """Say what was wrong on a worker."""
    if isinstance(error, LabError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed there; pip install 'listen2lab[dask]' there"
    return f"it failed with {error!r}"
