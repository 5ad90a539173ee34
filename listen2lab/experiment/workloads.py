"""Workloads of one's own: a file that is stepped, a command or a process that is followed."""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psutil

from listen2lab.errors import InputError, WorkloadError
from listen2lab.experiment.functions import name_of, pickled, refuse_without_step
from listen2lab.probes.tree import started
from listen2lab.study.records import InputsRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from listen2lab.study.plan import Plan, Run

__all__ = [
    "BY_TIME", "Attached", "Inputs", "OwnFile", "OwnFunctions", "Program", "open_command",
    "open_file", "open_functions", "open_process", "open_watched", "refuse_inside",
]  # fmt: skip

BY_TIME = "second"
"""The unit of an experiment whose program is read by time."""


class Inputs(ABC):
    """What the runs of a study are given: as a manifest's record, and as a worker's spec.

    Attributes
    ----------
    paragraphs
        The texts that are read, kept in the study; none for a workload of one's own.
    environment
        Variables that every run gets besides the common ones.
    pickle
        Functions that are kept in the study; None for most.
    """

    paragraphs: tuple[str, ...]
    environment: ClassVar[Mapping[str, str]] = {}
    pickle: bytes | None = None

    @property
    @abstractmethod
    def record(self) -> InputsRecord:
        """What a manifest says of the inputs."""

    def prepare(self, plan: Plan) -> None:  # noqa: B027 - most need nothing
        """Make what the plan's runs need and is not there yet, before any of them begins."""

    @abstractmethod
    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Return what a worker must know to make a run's workload.

        ``kept`` is where the study keeps texts or functions, as the run's folder sees it.
        """


@dataclass(frozen=True)
class OwnFile(Inputs):
    """Inputs of a workload of one's own: its file, and the SHA-256 of its text.

    How many of malloc's arenas it uses may be what is in question: its environment is left alone.
    """

    path: Path
    content_hash: str
    paragraphs: tuple[str, ...] = ()

    @property
    def record(self) -> InputsRecord:
        """What a manifest says of the file."""
        return InputsRecord(workload=str(self.path), workload_hash=self.content_hash)

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Name the file: every run steps the same."""
        return {"kind": "file", "path": str(self.path)}


@dataclass(frozen=True)
class OwnFunctions(Inputs):
    """Inputs of a workload of one's own: functions, pickled, and what ``step`` is called."""

    name: str
    pickle: bytes
    paragraphs: tuple[str, ...] = ()

    @property
    def record(self) -> InputsRecord:
        """What a manifest says of the functions."""
        digest = hashlib.sha256(self.pickle).hexdigest()
        return InputsRecord(workload=self.name, workload_hash=digest, pickled=True)

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Name the pickle: every run steps the same."""
        return {"kind": "functions", "path": kept}


def open_functions(
    functions: Mapping[str, Callable[..., object]], by_value: Sequence[ModuleType] = ()
) -> OwnFunctions:
    """Take a workload of one's own as functions; see `listen2lab.experiment.functions.pickled`."""
    return OwnFunctions(name_of(functions["step"]), pickled(functions, by_value))


@dataclass(frozen=True)
class Program(Inputs):
    """A command that is started for each run and followed from outside.

    Parameters
    ----------
    command
        The program, by its whole path, and its arguments.
    folder
        Where it is started.
    content_hash
        SHA-256 over the arguments, and the script among them or else the program.
    name
        Of that script or program.
    """

    command: tuple[str, ...]
    folder: str
    content_hash: str
    name: str
    paragraphs: tuple[str, ...] = ()

    @property
    def record(self) -> InputsRecord:
        """What a manifest says of the command."""
        return InputsRecord(
            workload=self.command[0],
            workload_hash=self.content_hash,
            command=self.command,
            folder=self.folder,
        )

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Name the command, and how it is followed."""
        described = {"kind": "command", "argv": list(self.command), "folder": self.folder}
        return described | _followed(run, plan)


@dataclass(frozen=True)
class Attached(Inputs):
    """A process that runs already; ``started`` tells it from a later one of the same number."""

    pid: int
    name: str
    started: str
    paragraphs: tuple[str, ...] = ()

    @property
    def record(self) -> InputsRecord:
        """What a manifest says of the process."""
        return InputsRecord(workload=self.name, pid=self.pid)

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Name the process, and how long it is followed."""
        described = {"kind": "process", "pid": self.pid, "started": self.started}
        return described | _followed(run, plan)


def _followed(run: Run, plan: Plan) -> dict[str, Any]:
    """Return how a tree of processes is followed: by line or by time, and up to which limit."""
    by_time = run.experiment.unit == BY_TIME
    return {"seconds": run.experiment.steps if by_time else None, "limit": plan.memory_limit}


def open_command(command: Sequence[str], folder: str | None = None) -> Program:
    """Take a command: its program must be there; where it runs a script, that is hashed instead."""
    where = folder or str(Path.cwd())
    if not command or not command[0]:
        raise InputError("no command is given; write it after --, as in: watch -- ./server --once")
    program = shutil.which(command[0])
    if program is None and folder is not None:
        program = shutil.which(str(Path(folder) / command[0]))
    if program is None:
        raise InputError(f"there is no program {command[0]!r} that can be started here")
    digest = hashlib.sha256("\0".join(command[1:]).encode("utf-8", "surrogateescape"))
    script = next((path for each in command[1:] if (path := Path(where, each)).is_file()), program)
    try:
        digest.update(Path(script).read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {script}: {error.strerror}") from error
    whole = (str(Path(program).absolute()), *command[1:])
    return Program(whole, where, digest.hexdigest(), Path(script).name)


def open_process(pid: int) -> Attached:
    """Take a process that runs."""
    since = started(pid) if pid > 0 else None
    if since is None:
        raise InputError(f"there is no process {pid} that can be looked at; see `ps`")
    try:
        name = psutil.Process(pid).name()
    except psutil.Error as error:
        raise InputError(f"process {pid} cannot be looked at: {error}") from error
    return Attached(pid, name, since)


def open_file(path: Path) -> OwnFile:
    """Take a workload of one's own."""
    try:
        text = path.read_bytes()
        compile(text, str(path), "exec")
    except OSError as error:
        raise WorkloadError(f"cannot read the workload {path}: {error.strerror}") from error
    except SyntaxError as error:
        raise WorkloadError(f"{path}, line {error.lineno}: syntax error: {error.msg}") from error
    except ValueError as error:
        raise WorkloadError(f"{path} is no Python file: {error}") from error
    refuse_without_step(text, path)
    return OwnFile(path.resolve(), hashlib.sha256(text).hexdigest())


def open_watched(
    file: Path | str | Callable[..., object] | None,
    beside: Mapping[str, Callable[..., object]],
    command: Sequence[str],
    pid: int | None,
) -> tuple[Inputs, str]:
    """Open what is watched, one of the three, and say how it is called.

    ``beside`` are the functions that belong to one that is given as ``file``.
    """
    if (file is not None) + bool(command) + (pid is not None) != 1:
        raise InputError("watch takes a workload's file, or a command, or a pid: one of them")
    if callable(file):
        functions = open_functions({"step": file, **beside})
        return functions, functions.name
    if beside:
        raise InputError(
            f"{' and '.join(beside)} belong to a function; nothing was run; define them in {file}"
        )
    if pid is not None:
        attached = open_process(pid)
        return attached, attached.name
    if file is not None:
        return open_file(Path(file)), Path(file).name
    program = open_command(command)
    return program, program.name


def refuse_inside(**given: object) -> None:
    """Refuse what needs a workload inside of the lab's own process."""
    named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if named:
        raise InputError(
            f"{' and '.join(named)} cannot be used with what is only seen from outside; "
            "leave it out, or give a workload's file with setup() and step(i)"
        )
