"""The study folder: the only module that knows its layout.

::

    <study>/manifest.json        what was run, on what, and the call that does it again
    <study>/paragraphs.json      the texts that were read
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
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import filelock
import msgspec

from listen2lab.errors import StudyError
from listen2lab.study.decode import decode_samples, read_manifest
from listen2lab.study.records import Manifest, Objects, RunRecord, Sample, Spec, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.notice import Notice

__all__ = ["MOST_CAPTURE", "RunFolder", "StudyFolder"]

_RESULT = "result.json"
MOST_CAPTURE = 64 * 1024 * 1024
"""Bytes of the largest capture that is copied with its run; `RunFolder.trace` is what is read."""

T = TypeVar("T")


class RunFolder:
    """The folder of one run. A file that is no record raises `msgspec.DecodeError` when read."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

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
            if self.path.exists():
                attempt = 1
                while (aside := self.path.with_name(f"{self.path.name}.cut-{attempt}")).exists():
                    attempt += 1
                self.path.rename(aside)
            self.path.mkdir(parents=True)
        if spec is not None:
            _write_record(self.spec_path, spec)

    def write_output(self, text: bytes) -> None:
        """Keep what the run printed."""
        _write(self.path / "output.log", text)

    def write_result(self, result: RunRecord) -> None:
        """Write how the run ended: the run counts from now on."""
        _write_record(self.path / _RESULT, result)

    def pack(self, capture_at_most: int = MOST_CAPTURE) -> dict[str, bytes]:
        """Return a finished run's files by name, for the machine that keeps the study.

        A capture of more bytes stays behind: its reduction is what is read.
        """
        return {
            path.name: path.read_bytes()
            for path in self.path.iterdir()
            if path.is_file()
            and (path != self.capture_path or path.stat().st_size <= capture_at_most)
        }

    def unpack(self, files: dict[str, bytes]) -> None:
        """Take what `pack` returned on another machine; the result is written last."""
        spec = files.get(self.spec_path.name)
        self.prepare(None if spec is None else msgspec.json.decode(spec, type=Spec))
        result = msgspec.json.decode(files[_RESULT], type=RunRecord)
        for name in sorted(set(files) - {self.spec_path.name, _RESULT}):
            _write(self.path / Path(name).name, files[name])
        self.write_result(result)

    def copy_from(self, other: RunFolder, result: RunRecord) -> None:
        """Take over a finished run of another study, with a result that says where it is from."""
        self.unpack({**other.pack(), _RESULT: msgspec.json.encode(result)})

    def content_hash(self) -> str | None:
        """Return the SHA-256 of the run's samples, which no other run shares; None without any."""
        samples = _read(self.steps_path)
        return hashlib.sha256(samples).hexdigest() if samples else None

    def spec(self) -> Spec | None:
        """Return the run's spec, or None if it has not begun."""
        return _read_record(self.spec_path, Spec)

    def result(self) -> RunRecord | None:
        """Return how the run ended, or None while it has not."""
        return _read_record(self.path / _RESULT, RunRecord)

    def trace(self) -> Trace | None:
        """Return what the capture says, or None for a plain run."""
        return _read_record(self.path / "heap.json", Trace)

    def objects(self) -> Objects | None:
        """Return what a traced run tells of Python's objects; None where nothing can be read."""
        try:
            return _read_record(self.path / "objects.json", Objects)
        except msgspec.DecodeError:
            return None

    def samples(self) -> list[Sample]:
        """Return the run's samples in order, as `decode_samples` does."""
        return decode_samples(_read(self.steps_path) or b"")


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

    def create(self, manifest: Manifest, paragraphs: list[str]) -> None:
        """Make a new study and hold its lock; raises as `begin`."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.release)
            self.begin()
            _write_record(self.path / "paragraphs.json", paragraphs)
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
            if self.manifest_path.exists():
                raise StudyError(
                    f"{self.path} holds a study already; continue it with --resume, or name "
                    "another folder with --study"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            if any(entry.name != "lock" for entry in self.path.iterdir()):
                raise StudyError(
                    f"{self.path} holds files that are no study; nothing was written; "
                    "name an empty or new folder with --study"
                )
        self.acquire()

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, which makes the folder a study."""
        _write_record(self.manifest_path, manifest)

    def acquire(self) -> None:
        """Hold the lock, which one process at a time can, until `release` or the process's end."""
        lock = filelock.FileLock(self.path / "lock", blocking=False, thread_local=False)
        with _explained(self.path):
            try:
                lock.acquire()
            except filelock.Timeout:
                raise StudyError(
                    f"{self.path} is being written by another process; nothing was touched; wait "
                    "for it to end, or name another folder with --study"
                ) from None
        self._lock = lock

    def release(self) -> None:
        """Let others write the study."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def manifest(self) -> tuple[Manifest, list[Notice]]:
        """Read the manifest, and what in it could not be read.

        Raises
        ------
        StudyError
            This is no study, its manifest is damaged, or (`NewerStudyError`) of a newer format.
        """
        content = _read(self.manifest_path)
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
        path = self.path / "paragraphs.json"
        try:
            texts = _read_record(path, list[str])
        except msgspec.DecodeError as error:
            raise StudyError(
                f"{path} is damaged ({error}): the study can be read, but not run again"
            ) from error
        if texts is None:
            is_merged = self.manifest()[0].merged is not None
            why = "was merged of several studies" if is_merged else "has no paragraphs.json"
            todo = "; continue or repeat the studies it was merged of" if is_merged else ""
            raise StudyError(f"{self.path} {why}: it cannot be run again{todo}")
        return texts

    def run_keys(self) -> list[str]:
        """Return the keys of the runs that have a folder, without what was moved aside."""
        runs = self.path / "runs"
        return sorted(
            path.relative_to(runs).as_posix()
            for path in runs.glob("*/*/*")
            if path.is_dir() and ".cut-" not in path.name
        )

    def run(self, key: str) -> RunFolder:
        """Return the folder of a run, by ``experiment/condition/repeat``."""
        return RunFolder(self.path / "runs" / key, key)

    def paragraphs_from(self, run: RunFolder) -> str:
        """Return the path of the texts as a run's worker finds it."""
        return os.path.relpath(self.path / "paragraphs.json", run.path)

    def read(self, name: str, record: type[T]) -> T | None:
        """Return a record that stands beside the study, or None where there is none that fits."""
        try:
            return _read_record(self.path / name, record)
        except msgspec.DecodeError:
            return None

    def write(self, name: str, content: str | bytes | msgspec.Struct) -> Path:
        """Write a file that stands beside the study, by its path within it, and return its path."""
        path = self.path / name
        with _explained(path.parent):
            path.parent.mkdir(exist_ok=True)
        if isinstance(content, msgspec.Struct):
            _write_record(path, content)
        else:
            _write(path, content if isinstance(content, bytes) else content.encode())
        return path

    @property
    def device_path(self) -> Path:
        """Evidence from a phone; its page has the same name and ends in ``.html``."""
        return self.path / "device.json"

    def digest(self) -> str:
        """Return the SHA-256 over the manifest, and spec, samples and result of every run."""
        names = {"spec.json", "steps.jsonl", _RESULT}
        files = [path for path in (self.path / "runs").rglob("*") if path.name in names]
        digest = hashlib.sha256()
        for path in [self.manifest_path, *sorted(files)]:
            content = _read(path)
            if content is not None:  # as the manifest, where the one that a report carries is used
                name = path.relative_to(self.path).as_posix()
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()


def _write_record(path: Path, record: Any) -> None:
    """Write a record as JSON that people can read."""
    _write(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def _write(path: Path, content: bytes) -> None:
    """Write in one rename: a reader sees the old file or the new one, never half of one."""
    with _explained(path.parent):
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave the name without the text
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _read_record(path: Path, record: type[T]) -> T | None:
    """Return a file's record, or None where there is no file."""
    content = _read(path)
    return None if content is None else msgspec.json.decode(content, type=record)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StudyError(f"cannot read {path}: {error.strerror}; nothing was touched") from error


@contextlib.contextmanager
def _explained(where: Path) -> Iterator[None]:
    """Say what a failed write means for the study."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = "free some room"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            todo = "make the folder writable, or name another one with --study"
        else:
            todo = "see to the cause"
        raise StudyError(
            f"cannot write in {where}: {error.strerror}; what was measured before is kept; "
            f"{todo}, then go on with --resume"
        ) from error
