"""The records that a study is stored as: typed, frozen, each string field public or private.

Each field of strings says by its type who may see it; see `listen2lab.privacy`.

The worker writes plain JSON with the standard library; its lines are decoded here.
"""

from __future__ import annotations

import shlex
from typing import Any, Literal, TypeAlias

import msgspec

from listen2lab.notice import Notice
from listen2lab.privacy import (
    ComponentName,
    ExperimentName,
    Fact,
    MachineLabel,
    ModelName,
    Private,
    Public,
    Sentence,
    TextName,
    VersionText,
    WorkloadName,
)
from listen2lab.study.plan import KnobValue, Plan

__all__ = [
    "ARGUMENT_RULES", "FORMAT", "PHASES_WITHOUT_MEMORY", "Call", "HypothesisRecord", "InputsRecord",
    "MachineFacts", "Manifest", "Merged", "Part", "Reading", "RunOutcome", "RunRecord", "Sample",
    "Setup", "SourceText", "Spec",
]  # fmt: skip

FORMAT = 2
"""Version of the layout and the records; a study of a newer one is refused rather than misread."""

RunOutcome: TypeAlias = Literal["complete", "killed", "crashed", "timed-out", "missing"]
"""How a run ended; ``missing``: it has not."""


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, as far as memory depends on it. Sizes in bytes."""

    system: Fact = "unknown"
    kernel: Fact = "unknown"
    cpu: Fact = "unknown"
    cores: int = 0
    memory: int = 0
    swap: int = 0
    libc: Fact = "unknown"
    page: int = 4096
    transparent_hugepages: Fact | None = None
    aslr: Fact | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What runs had around them: the machine, versions, and what is set for every run.

    Parameters
    ----------
    identity
        A salted hash that tells this machine from the study's others; empty where unknown.
    git
        Commit of the checkout, ``+`` where its code was changed; None for an installed package.
    """

    machine: MachineFacts = MachineFacts()
    versions: dict[Fact, VersionText] = {}
    environment: dict[Fact, Fact] = {}
    git: VersionText | None = None
    identity: Private = ""

    def is_like(self, other: Setup) -> bool:
        """Tell whether what runs held under both may be put together.

        Every fact that memory depends on must be equal: kernel, processor, memory to the byte,
        libc, versions of packages and of the lab, and what was set for the runs. Swap is left out:
        nothing is held there. Which machine it was says less, and is in `identity`.
        """
        ours, theirs = (
            msgspec.structs.replace(
                each, machine=msgspec.structs.replace(each.machine, swap=0), identity=""
            )
            for each in (self, other)
        )
        return ours == theirs


class SourceText(msgspec.Struct, frozen=True):
    """A text that was read: its file's name, how many paragraphs, and what was repaired in it."""

    name: TextName
    paragraphs: int
    notes: tuple[Notice, ...] = ()


class InputsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a study was given: voice, recognizer and texts, or a workload's file; with hashes.

    Parameters
    ----------
    voice, recognizer
        A generated model's name, or a folder.
    workload
        A file, a function, or the program of a command or a process; None for the reading pipeline.
    pickled
        Whether it is a function, which the study keeps as it was pickled.
    command, folder
        The whole command that was followed, and where it is started.
    pid
        The process that was attached to.
    paragraphs
        The texts themselves, in a report that carries them; None anywhere else.
    """

    voice: ModelName | None = None
    voice_hash: Public | None = None
    recognizer: ModelName | None = None
    recognizer_hash: Public | None = None
    texts: tuple[SourceText, ...] = ()
    paragraphs_hash: Public | None = None
    workload: WorkloadName | None = None
    workload_hash: Public | None = None
    pickled: bool = False
    command: tuple[Private, ...] = ()
    folder: Private | None = None
    pid: int | None = None
    paragraphs: tuple[Private, ...] | None = None

    @property
    def is_pipeline(self) -> bool:
        """Whether the reading pipeline was run, and not a workload of somebody's own."""
        return self.workload is None

    @property
    def is_followed(self) -> bool:
        """Whether a program was only seen from outside."""
        return bool(self.command) or self.pid is not None

    @property
    def executed(self) -> str | None:
        """What is executed for a workload, as one would type it; None for the pipeline."""
        return shlex.join(self.command) if self.command else self.workload


Argument: TypeAlias = (
    "bool | int | float | Private | list[Private | int | float] | dict[Public, KnobValue] | None"
)


class Call(msgspec.Struct, frozen=True):
    """What was called, to do the same again: rendered as a command or as Python by the report.

    Parameters
    ----------
    name
        ``run``, ``watch``, ``rerun``, ``merge``, ``selftest``.
    arguments
        Every argument that is not the default, by the name that `listen2lab.api` gives it.
    shell
        Whether it was a command; else it was a call in Python.
    """

    name: Public
    arguments: dict[Public, Argument] = {}
    shell: bool = True


ARGUMENT_RULES = {
    "experiments": "experiment",
    "levels": "condition",
    "voice": "model",
    "recognizer": "model",
    "file": "workload",
    "function": "workload",
    "memory_limit": "public",
    "trace": "public",
    "under": "public",
}
"""Who may see the strings among a call's arguments, by its name; one that is not here is private.
Knobs and numbers are public."""


class HypothesisRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A hypothesis as it stood before the runs: the lab's own words, stored as they were."""

    claim: Sentence
    supported_when: Sentence
    refuted_when: Sentence
    tested_by: tuple[Public, ...] = ()
    worth_mib: float = 10.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of the studies that a study was merged of: what its manifest said, but for its plan."""

    name: ExperimentName
    created: Public = "unknown"
    call: Call | None = None
    python: Private | None = None
    inputs: InputsRecord = InputsRecord()
    setup: Setup = Setup()
    machines: dict[MachineLabel, Setup] = {}


class Merged(msgspec.Struct, frozen=True):
    """Of what a study was merged: its parts, and which parts each experiment's runs come from."""

    parts: tuple[Part, ...] = ()
    experiments: dict[ExperimentName, tuple[int, ...]] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was run, on what: everything that a rerun needs.

    Parameters
    ----------
    created
        When, in ISO 8601.
    python
        Another interpreter for the workers; None: the parent's own.
    machines
        Label to machine, of all that carried runs.
    mark
        What only the user who began the study here can write; see `listen2lab.experiment.trust`.
    """

    plan: Plan
    format: int = FORMAT
    created: Public = "unknown"
    call: Call | None = None
    python: Private | None = None
    hypotheses: dict[Public, HypothesisRecord] = {}
    inputs: InputsRecord = InputsRecord()
    setup: Setup = Setup()
    machines: dict[MachineLabel, Setup] = {}
    merged: Merged | None = None
    mark: Private | None = None

    @property
    def labelled(self) -> dict[str, Setup]:
        """The machines by label; the manifest's own where none has a label."""
        return self.machines or {"machine-1": self.setup}


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: ``result.json``.

    Parameters
    ----------
    outcome
        In a word.
    why
        For a run that was not complete: ``over-limit`` (``footprint``, ``limit``, ``step``),
        ``no-sample`` (``seconds``, ``step``), ``signal`` (``name``), ``ended-early``, ``status``
        (``status``), ``raised`` (``type``), ``not-ended``.
    message
        What the workload itself said of it: an exception's text, or its last line of output.
    status, signal
        As the system has it.
    wall_s, pressure_s
        Seconds it took, and seconds in which something on the machine waited for memory.
    peak_rss
        The most that was resident, in bytes.
    last_step
        The last that wrote a sample.
    machine
        The label of the machine.
    study
        In a merged study, the name of the part that it comes from.
    left_behind
        Processes that it had started, which left its session and were ended with it.
    """

    outcome: RunOutcome
    why: Notice | None = None
    message: Private | None = None
    status: int | None = None
    signal: Public | None = None
    wall_s: float | None = None
    pressure_s: float | None = None
    peak_rss: int | None = None
    last_step: int | None = None
    machine: MachineLabel | None = None
    study: ExperimentName | None = None
    left_behind: int = 0


PHASES_WITHOUT_MEMORY = ("meter", "error")
"""Phases of lines that hold no sample of memory."""

Reading: TypeAlias = "float | None"
"""What was read, in bytes or seconds; None: not read."""


FactValue: TypeAlias = "bool | float | Private | list[Any] | dict[Private, Any] | None"
"""What a workload says of a step: in practice a number, or whether something is so."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of ``steps.jsonl``: what was read at one moment. Bytes and seconds; None: not read.

    ``docs/quantities.md`` says what each number is, and how it misleads.
    """

    phase: Private
    t: Reading = None
    cpu_total_s: Reading = None
    step: Reading = None
    steps: Reading = None
    wall_s: Reading = None
    cpu_s: Reading = None
    peak: Reading = None
    rss: Reading = None
    anonymous: Reading = None
    swap: Reading = None
    shared: Reading = None
    private_dirty: Reading = None
    lazy_free: Reading = None
    in_use: Reading = None
    kept: Reading = None
    mapped: Reading = None
    minor_faults: Reading = None
    account_file: Reading = msgspec.field(default=None, name="account.file")
    account_data: Reading = msgspec.field(default=None, name="account.data")
    account_stack: Reading = msgspec.field(default=None, name="account.stack")
    account_heap: Reading = msgspec.field(default=None, name="account.heap")
    account_mapped: Reading = msgspec.field(default=None, name="account.mapped")
    account_shared: Reading = msgspec.field(default=None, name="account.shared")
    account_other: Reading = msgspec.field(default=None, name="account.other")
    account_engine_mapped: Reading = msgspec.field(default=None, name="account.engine_mapped")
    account_engine_heap: Reading = msgspec.field(default=None, name="account.engine_heap")
    account_files: dict[Fact, float] | None = msgspec.field(default=None, name="account.files")
    account_python: Reading = msgspec.field(default=None, name="account.python")
    account_python_free: Reading = msgspec.field(default=None, name="account.python_free")
    account_instrument: Reading = msgspec.field(default=None, name="account.instrument")
    account_walked: bool | None = msgspec.field(default=None, name="account.walked")
    account_ms: Reading = msgspec.field(default=None, name="account.ms")
    gc_found: Reading = None
    gc_freed: Reading = None
    python_blocks: Reading = None
    children: Reading = None
    shm_files: Reading = None
    descriptors: Reading = None
    threads: Reading = None
    size: Reading = None
    size_sum: Reading = None
    epoch_s: Reading = None
    trimmed: bool | None = None
    components: dict[ComponentName, float | None] | None = None
    facts: dict[Private, FactValue] | None = None
    gaps: dict[Public, Any] | None = None
    python: Public | None = None
    pid: int | None = None
    error: Private | None = None
    type: Private | None = None


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of its run: ``spec.json``.

    Parameters
    ----------
    workload
        What makes it: the worker's own words, see `listen2lab.experiment.inputs`.
    """

    workload: dict[Public, Any] = {}
    warmup: int = 0
    steps: int = 0
    sample_every: int = 1
    phases: tuple[Fact, ...] = ()
    traced: bool = False
