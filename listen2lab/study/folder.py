"""The study folder: the only module that knows its layout.

::

    <study>/manifest.json        what was run, on what, and the call that does it again
    <study>/paragraphs.json      the texts that were read
    <study>/workload.pickle      functions that are stepped, where no file is
    <study>/summary.json         memory and rates by condition, and findings, written by a report
    <study>/report.html, summary.md, ISSUE.md, pictures/, notebooks/     for people, by a report
    <study>/reproduced.json      a study that repeats another: what came out the same
    <study>/device.json, device.html  evidence from a phone put beside the study
    <study>/lock                 held by the process that writes the study
    <study>/runs/<experiment>/<condition>/<repeat or traced>/
        spec.json                what the worker was told
        steps.jsonl              one line a sample, appended as the run goes
        events.log               the pipeline's own log, in the app's grammar
        output.log               what the run printed
        heap.bin, heap.json      traced runs only: memray's capture, and what it says
        objects.json             traced runs only: what is said of Python's objects
        result.json              how the run ended; written last
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import filelock
import msgspec

from listen2lab.errors import RefusedFileError, StudyError
from listen2lab.study import files
from listen2lab.study.decode import LARGEST_FACT, decode_record, decode_samples, read_manifest
from listen2lab.study.records import Manifest, RunRecord, Sample, Spec
from listen2lab.study.trace_records import Objects, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.notice import Notice

__all__ = ["SUMMARY", "RunFolder", "StudyFolder"]

SUMMARY = "summary.json"
"""Memory, rates and findings, as a report writes them: see `findings.summary`."""

_RESULT = "result.json"
_TRACE = "heap.json"
_OBJECTS = "objects.json"
_PARAGRAPHS = "paragraphs.json"
_PICKLE = "workload.pickle"

T = TypeVar("T")


class RunFolder:
    """The folder of one run, by ``experiment/condition/repeat``, in that of a study.

    A file that is no record raises `msgspec.DecodeError` when read; one that is a link, no plain
    file or too large, `RefusedFileError`.
    """

    def __init__(self, root: Path, key: str, way: files.Way | None = None) -> None:
        self.key = key
        self._root = root
        self._home = f"runs/{key}"
        self._way = way

    @cached_property
    def path(self) -> Path:
        """Where it is."""
        return self._root / self._home

    @property
    def spec_path(self) -> Path:
        """What the worker is started with."""
        return self.path / "spec.json"

    @property
    def steps_path(self) -> Path:
        """Where the worker appends its samples."""
        return self.path / "steps.jsonl"

    @property
    def capture_path(self) -> Path:
        """The capture of a traced run, as memray wrote it."""
        return self.path / "heap.bin"

    def prepare(self, spec: Spec | None) -> None:
        """Make the folder and write the spec; what an interrupted attempt left is moved aside."""
        with _explained(self.path):
            files.make_folder(self._root, self._home)
        if spec is not None:
            self.write("spec.json", _as_json(spec))

    def write(self, name: str, content: bytes) -> Path:
        """Write one of the run's files, in one rename, and return its path."""
        with _explained(self.path):
            files.write(self._root, f"{self._home}/{name}", content)
        return self.path / name

    def write_output(self, text: bytes) -> None:
        """Keep what the run printed."""
        self.write("output.log", text)

    def write_result(self, result: RunRecord) -> None:
        """Write how the run ended: the run counts from now on."""
        self.write(_RESULT, _as_json(result))

    def write_traced(self, trace: Trace | None, objects: Objects | None) -> None:
        """Write what a traced run tells, where there is something."""
        for name, record in ((_TRACE, trace), (_OBJECTS, objects)):
            if record is not None:
                self.write(name, _as_json(record))

    def has_capture(self) -> bool:
        """Tell whether there is a capture that can be read: a plain file, and no link to one."""
        return files.is_plain(self._root, f"{self._home}/{self.capture_path.name}")

    def pack(self, capture_at_most: int = files.LARGEST) -> dict[str, bytes]:
        """Return a finished run's files by name, for the machine that keeps the study.

        A capture of more bytes stays behind: its reduction is what is read.
        """
        packed = {}
        for name, is_folder in files.entries(self._root, self._home):
            is_small = self.path.joinpath(name).lstat().st_size <= capture_at_most
            if not is_folder and (name != self.capture_path.name or is_small):
                packed[name] = self._read(name) or b""
        return packed

    def unpack(self, packed: dict[str, bytes]) -> None:
        """Take what `pack` returned on another machine; the result is written last.

        Raises
        ------
        msgspec.DecodeError, DamagedError
            It is no run: nothing was written.
        """
        if not isinstance(packed, dict) or not all(
            isinstance(name, str) and isinstance(content, bytes) and Path(name).name == name
            for name, content in packed.items()
        ):
            raise msgspec.DecodeError("it is no run's files by name")
        spec = packed.get(self.spec_path.name)
        spec_record = None if spec is None else decode_record(spec, Spec)
        result = decode_record(packed.get(_RESULT, b""), RunRecord)
        decode_samples(packed.get(self.steps_path.name, b""))
        self.prepare(spec_record)
        for name in sorted(set(packed) - {self.spec_path.name, _RESULT}):
            self.write(name, packed[name])
        self.write_result(result)

    def copy_from(self, other: RunFolder, result: RunRecord) -> None:
        """Take over a finished run of another study, with a result that says where it is from."""
        self.unpack({**other.pack(), _RESULT: msgspec.json.encode(result)})

    def content_hash(self) -> str | None:
        """Return the SHA-256 of the run's samples, which no other run shares; None without any."""
        samples = self._read(self.steps_path.name)
        return hashlib.sha256(samples).hexdigest() if samples else None

    def spec(self) -> Spec | None:
        """Return the run's spec, or None if it has not begun."""
        return self._record("spec.json", Spec)

    def result(self) -> RunRecord | None:
        """Return how the run ended, or None while it has not."""
        content = self._read(_RESULT)
        if content is not None and len(content) > LARGEST_FACT:
            raise msgspec.DecodeError(f"it has more than {LARGEST_FACT >> 20} MiB")
        return None if content is None else decode_record(content, RunRecord)

    def trace(self) -> Trace | None:
        """Return what the capture says, or None for a plain run."""
        return self._record(_TRACE, Trace)

    def objects(self) -> Objects | None:
        """Return what a traced run tells of Python's objects; None where nothing can be read."""
        try:
            return self._record(_OBJECTS, Objects)
        except (msgspec.DecodeError, RefusedFileError):
            return None

    def samples(self) -> list[Sample]:
        """Return the run's samples in order, as `decode_samples` does."""
        return decode_samples(self._read(self.steps_path.name) or b"")

    def _read(self, name: str) -> bytes | None:
        return files.read(self._way or self._root, f"{self._home}/{name}")

    def _record(self, name: str, record: type[T]) -> T | None:
        content = self._read(name)
        return None if content is None else decode_record(content, record)


class StudyFolder:
    """A study on disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock: filelock.FileLock | None = None

    @property
    def manifest_path(self) -> Path:
        """The manifest: its presence makes a folder a study."""
        return self.path / "manifest.json"

    @property
    def report_path(self) -> Path:
        """Where the report is, once it is written."""
        return self.path / "report.html"

    def create(
        self, manifest: Manifest, paragraphs: list[str], pickle: bytes | None = None
    ) -> None:
        """Make a new study and hold its lock; raises as `begin`."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.release)
            self.begin()
            self.write(_PARAGRAPHS, _as_json(paragraphs))
            if pickle is not None:
                self.write(_PICKLE, pickle)
            self.write_manifest(manifest)
            stack.pop_all()

    def begin(self) -> None:
        """Make the folder of a new study and hold its lock; without a manifest it is none yet.

        Raises
        ------
        StudyError
            The folder holds a study or other files already, or cannot be written.
        """
        with _explained(self.path):
            if os.path.lexists(self.manifest_path):
                raise StudyError(
                    f"{self.path} holds a study already; continue it with --resume, or name "
                    "another folder with --out"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            if not _is_begun([entry.name for entry in self.path.iterdir()]):
                raise StudyError(
                    f"{self.path} holds files that are no study; nothing was written; "
                    "name an empty or new folder with --out"
                )
        self.acquire()

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, which makes the folder a study."""
        self.write(self.manifest_path.name, manifest)

    def acquire(self) -> None:
        """Hold the lock, which one process at a time can, until `release` or the process's end."""
        lock = filelock.FileLock(self.path / "lock", blocking=False, thread_local=False)
        with _explained(self.path):
            # It is opened by its name then, and emptied: a link must not lead that elsewhere.
            flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(self.path / "lock", flags, 0o644))
            if not files.is_plain(self.path, "lock"):
                raise RefusedFileError(f"{self.path / 'lock'} is no plain file; delete it")
            try:
                lock.acquire()
            except filelock.Timeout:
                raise StudyError(
                    f"{self.path} is being written by another process; nothing was touched; wait "
                    "for it to end, or name another folder with --out"
                ) from None
        self._lock = lock

    def release(self) -> None:
        """Let others write the study."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def manifest(self) -> tuple[Manifest, list[Notice]]:
        """Read the manifest, and what in it could not be read; raises `StudyError`."""
        content = files.read(self.path, self.manifest_path.name)
        if content is None:
            raise StudyError(f"{self.path} is no study: {self._without_manifest()}")
        return read_manifest(content, str(self.manifest_path))

    def _without_manifest(self) -> str:
        if self.path.is_file():
            return "it is a file; name the folder that `listen2lab run` wrote"
        if not self.path.exists():
            return "there is no such folder"
        if runs := len(self.run_keys()):
            return (
                f"it holds {runs} run(s) but no manifest.json, which says what they are; copy it "
                "from where the study came from, or open the study's report"
            )
        return "it has no manifest.json; name a folder that `listen2lab run` wrote"

    def paragraphs(self) -> list[str]:
        """Return the texts that the study reads, or raise `StudyError`."""
        path = self.path / _PARAGRAPHS
        try:
            content = files.read(self.path, _PARAGRAPHS)
            texts = None if content is None else decode_record(content, list[str])
        except (msgspec.DecodeError, RefusedFileError) as error:
            raise StudyError(
                f"{path} is damaged ({error}): the study can be read, but not run again"
            ) from error
        if texts is None:
            is_merged = self.manifest()[0].merged is not None
            why = "was merged of several studies" if is_merged else "has no paragraphs.json"
            todo = "; continue or repeat the studies it was merged of" if is_merged else ""
            raise StudyError(f"{self.path} {why}: it cannot be run again{todo}")
        return texts

    def pickle(self) -> bytes | None:
        """Return the functions that it keeps; executed only if this user began it here."""
        return files.read(self.path, _PICKLE)

    def run_keys(self) -> list[str]:
        """Return the keys of the runs that have a folder, without what was moved aside."""
        return sorted(key for key in self._folders() if ".cut-" not in key.rpartition("/")[2])

    def _folders(self) -> list[str]:
        """Return the keys of all folders of runs, also those that were moved aside."""
        keys = [""]
        for _ in range(3):
            keys = [
                f"{key}{name}/"
                for key in keys
                for name, is_folder in files.entries(self.path, f"runs/{key}".rstrip("/"))
                if is_folder
            ]
        return [key.rstrip("/") for key in keys]

    def run(self, key: str, way: files.Way | None = None) -> RunFolder:
        """Return the folder of a run, by ``experiment/condition/repeat``; see `files.Way`."""
        return RunFolder(self.path, key, way)

    def kept_from(self, run: RunFolder, *, pickle: bool = False) -> str:
        """Return the path of the texts, or of the functions, as a run's worker finds it."""
        return os.path.relpath(self.path / (_PICKLE if pickle else _PARAGRAPHS), run.path)

    def read(self, name: str, record: type[T]) -> T | None:
        """Return a record that stands beside the study, or None where there is none that fits."""
        try:
            content = files.read(self.path, name)
            return None if content is None else decode_record(content, record)
        except (msgspec.DecodeError, RefusedFileError):
            return None

    def report(self) -> bytes | None:
        """Return the report's page, or None where there is none that can be read."""
        try:
            return files.read(self.path, self.report_path.name)
        except RefusedFileError:
            return None

    def write(self, name: str, content: str | bytes | msgspec.Struct) -> Path:
        """Write a file that stands beside the study, by its path within it, and return its path."""
        path = self.path / name
        if isinstance(content, msgspec.Struct):
            content = _as_json(content)
        with _explained(path.parent):
            files.write(self.path, name, content if isinstance(content, bytes) else _utf8(content))
        return path

    @property
    def device_path(self) -> Path:
        """Evidence from a phone; its page has the same name and ends in ``.html``."""
        return self.path / "device.json"

    def digest(self) -> str:
        """Return the SHA-256 over the manifest, and spec, samples and result of every run."""
        names = [
            f"runs/{key}/{name}"
            for key in self._folders()
            for name in ("spec.json", "steps.jsonl", _RESULT)
        ]
        digest = hashlib.sha256()
        with files.Way(self.path) as way:
            for name in [self.manifest_path.name, *sorted(names, key=lambda name: name.split("/"))]:
                try:
                    content = files.read(way, name)
                except RefusedFileError:
                    content = None  # it is said where the run is read
                if content is not None:  # as the manifest, where a report's is used instead
                    digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()


def _as_json(record: Any) -> bytes:
    """Return a record as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def _utf8(text: str) -> bytes:
    """Return text as it is written, also where half a character came in from somewhere."""
    return text.encode("utf-8", "backslashreplace")


def _is_begun(names: list[str]) -> bool:
    """Tell whether a folder is empty, or what a study left that was killed before its manifest."""
    if not names or names == ["lock"]:
        return True
    own = ("lock", _PARAGRAPHS, _PICKLE)
    begun = (f".{_PARAGRAPHS}.", f".{_PICKLE}.", ".manifest.json.")
    return "lock" in names and all(
        name in own or (name.startswith(begun) and name.endswith(".tmp")) for name in names
    )


@contextlib.contextmanager
def _explained(where: Path) -> Iterator[None]:
    """Say what a failed write means for the study."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = "free some room"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            todo = "make the folder writable, or name another one with --out"
        else:
            todo = "see to the cause"
        raise StudyError(
            f"cannot write in {where}: {error.strerror}; what was measured before is kept; "
            f"{todo}, then go on with --resume"
        ) from error
