"""The study folder: the only module that knows its layout.

::

    <study>/manifest.json        what was run, on what, and the command that runs it again
    <study>/paragraphs.json      the texts that were read
    <study>/summary.json         levels and rates by condition, written by a report
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
        result.json              how the run ended; written last
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import NewerStudyError, StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FORMAT", "RunFolder", "StudyFolder"]

FORMAT = 1
"""Version of the layout; a folder of a newer one is refused rather than misread."""

_RESULT = "result.json"
MOST_CAPTURE = 64 * 1024 * 1024
"""Bytes of the largest capture that is copied with its run; `RunFolder.heap` is what is read."""


class RunFolder:
    """The folder of one run."""

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

    def prepare(self, spec: dict[str, Any]) -> None:
        """Make the folder and write the spec.

        What an interrupted attempt left is moved aside, not deleted.
        """
        with _said(self.path):
            if self.path.exists():
                attempt = 1
                while (aside := self.path.with_name(f"{self.path.name}.cut-{attempt}")).exists():
                    attempt += 1
                self.path.rename(aside)
            self.path.mkdir(parents=True)
        write_json(self.spec_path, spec)

    def write_output(self, text: bytes) -> None:
        """Keep what the run printed."""
        with _said(self.path):
            (self.path / "output.log").write_bytes(text)

    def write_result(self, result: dict[str, Any]) -> None:
        """Write how the run ended: the run counts from now on."""
        write_json(self.path / _RESULT, result)

    def pack(self, capture_at_most: int) -> dict[str, bytes]:
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
        self.prepare(json.loads(files.get(self.spec_path.name, b"{}")))
        with _said(self.path):
            for name in sorted(set(files) - {self.spec_path.name, _RESULT}):
                (self.path / Path(name).name).write_bytes(files[name])
        self.write_result(json.loads(files[_RESULT]))

    def copy_from(self, other: RunFolder, **told: Any) -> None:
        """Take over a finished run of another study.

        Parameters
        ----------
        other
            The run.
        **told
            What its result says besides, such as where it comes from.
        """
        files = other.pack(MOST_CAPTURE)
        files[_RESULT] = json.dumps({**json.loads(files[_RESULT]), **told}).encode()
        self.unpack(files)

    def write_heap(self, heap: dict[str, Any]) -> None:
        """Write what the capture says."""
        write_json(self.path / "heap.json", heap)

    def content_hash(self) -> str | None:
        """Return the SHA-256 of the run's samples, which no other run shares; None without any."""
        try:
            samples = self.steps_path.read_bytes()
        except FileNotFoundError:
            return None
        return hashlib.sha256(samples).hexdigest() if samples else None

    def spec(self) -> dict[str, Any] | None:
        """Return the run's spec, or None if it has not begun."""
        return _read_dict(self.spec_path)

    def result(self) -> dict[str, Any] | None:
        """Return how the run ended, or None while it has not."""
        return _read_dict(self.path / _RESULT)

    def heap(self) -> dict[str, Any] | None:
        """Return what the capture says, or None for a plain run."""
        return _read_dict(self.path / "heap.json")

    def objects(self) -> dict[str, Any] | None:
        """Return what a traced run tells of Python's objects; None where nothing can be read."""
        try:
            return _read_dict(self.path / "objects.json")
        except ValueError:
            return None

    def lines(self) -> list[dict[str, Any]]:
        """Return the run's lines in order; a last line that was cut short is left out.

        Raises
        ------
        StudyError
            A line in the middle cannot be read.
        """
        try:
            text = self.steps_path.read_bytes()
        except FileNotFoundError:
            return []
        whole = text.split(b"\n")[:-1]
        try:  # at once: it is many times what reading a study costs line by line
            read = json.loads(b"[%b]" % b",".join(whole))
        except ValueError:
            read = []
        if len(read) == len(whole) and all(isinstance(line, dict) for line in read):
            return list(read)
        return [self._read_line(line, number) for number, line in enumerate(whole, start=1)]

    def _read_line(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            read = json.loads(line)
            if not isinstance(read, dict):
                raise ValueError(f"it is no object: {line[:20]!r}")  # noqa: TRY004, TRY301 - damage
        except ValueError as error:
            raise StudyError(
                f"{self.key}: line {number} of steps.jsonl is damaged ({error}); the run is "
                "left out; delete its folder and use --resume to run it again"
            ) from error
        return read


class StudyFolder:
    """A study on disk.

    Parameters
    ----------
    path
        The folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock: int | None = None

    @property
    def manifest_path(self) -> Path:
        """The manifest: its presence makes a folder a study."""
        return self.path / "manifest.json"

    @property
    def report_path(self) -> Path:
        """Where the report is, once it is written."""
        return self.path / "report.html"

    def create(self, manifest: dict[str, Any], paragraphs: list[str]) -> None:
        """Make a new study and hold its lock.

        Parameters
        ----------
        manifest
            What is run, on what.
        paragraphs
            The texts that are read.

        Raises
        ------
        StudyError
            The folder holds a study or other files already, or cannot be written.
        """
        self.begin()
        try:
            write_json(self.path / "paragraphs.json", paragraphs)
            self.write_manifest(manifest)
        except BaseException:
            self.release()
            raise

    def begin(self) -> None:
        """Make the folder of a new study and hold its lock; without a manifest it is none yet.

        Raises
        ------
        StudyError
            The folder holds a study or other files already, or cannot be written.
        """
        with _said(self.path):
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

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, which makes the folder a study."""
        write_json(self.manifest_path, {"format": FORMAT, **manifest})

    def acquire(self) -> None:
        """Hold the study's lock until `release` or the end of the process.

        Raises
        ------
        StudyError
            Another process is writing the study.
        """
        with _said(self.path):
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise StudyError(
                f"{self.path} is being written by another process (pid {holder}); nothing was "
                "touched; wait for it to end, or name another folder with --study"
            ) from None
        os.truncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock = fd

    def release(self) -> None:
        """Let others write the study."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises
        ------
        StudyError
            This is no study, its manifest is damaged, or (`NewerStudyError`) of a newer format.
        """
        try:
            manifest = _read_dict(self.manifest_path)
        except ValueError as error:
            raise StudyError(
                f"{self.manifest_path} is damaged ({error}); the runs beside it are untouched"
            ) from error
        if manifest is None:
            raise StudyError(f"{self.path} is no study: {self._without_manifest()}")
        if type(manifest.get("format", 0)) is not int:
            raise StudyError(
                f"{self.manifest_path} is damaged (its format is {manifest['format']!r}, no "
                "number); the runs beside it are untouched"
            )
        if manifest.get("format", 0) > FORMAT:
            raise NewerStudyError(
                f"{self.path} was written by a newer listen2lab (format {manifest['format']}, "
                f"this one reads {FORMAT}); update listen2lab to open it"
            )
        return manifest

    def _without_manifest(self) -> str:
        if self.path.is_file():
            return "it is a file; name the folder that `listen2lab run` wrote"
        if not self.path.exists():
            return "there is no such folder"
        runs = len(self.run_keys())
        if runs:
            return (
                f"it holds {runs} run(s) but no manifest.json, which says what they are; copy it "
                "from where the study came from, or open the study's report"
            )
        return "it has no manifest.json; name a folder that `listen2lab run` wrote"

    def paragraphs(self) -> list[str]:
        """Return the texts that the study reads.

        Raises
        ------
        StudyError
            It has none, or they are damaged.
        """
        try:
            texts = _read_json(self.path / "paragraphs.json")
        except ValueError as error:
            raise StudyError(
                f"{self.path / 'paragraphs.json'} is damaged ({error}): the study can be read, but "
                "not run again"
            ) from error
        if texts is None:
            parts = self.manifest().get("merged")
            why = "has no paragraphs.json" if parts is None else "was merged of several studies"
            todo = "" if parts is None else "; continue or repeat the studies it was merged of"
            raise StudyError(f"{self.path} {why}: it cannot be run again{todo}")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise StudyError(
                f"{self.path / 'paragraphs.json'} is damaged (it is no list of texts): the study "
                "can be read, but not run again"
            )
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

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the numbers that other tools read."""
        write_json(self.path / "summary.json", summary)

    def summary(self) -> dict[str, Any] | None:
        """Return what `write_summary` wrote, or None where there is nothing that can be read."""
        try:
            return _read_dict(self.path / "summary.json")
        except ValueError:
            return None

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
            if not path.exists():
                continue  # the manifest, where the one that a report carries is used
            content = path.read_bytes()
            name = path.relative_to(self.path).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def write_reproduced(self, reproduced: dict[str, Any]) -> None:
        """Write what this study, which repeats another, has in common with it."""
        write_json(self.path / "reproduced.json", reproduced)

    def write_shared(self, name: str, content: str | bytes) -> Path:
        """Write a file that goes with the report, such as ``summary.md``; return its path.

        Parameters
        ----------
        name
            Its name, or its path within the study: ``pictures/baseline-curves.svg``.
        content
            Its text or bytes.
        """
        path = self.path / name
        with _said(path.parent):
            path.parent.mkdir(exist_ok=True)
        _write_text(path, content)
        return path

    def write_report(self, page: str) -> Path:
        """Write the report and return its path."""
        _write_text(self.report_path, page)
        return self.report_path


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one rename."""
    _write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str | bytes) -> None:
    """Write in one rename: a reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _said(path.parent):
        try:
            with temporary.open("wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave the name without the text
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _read_dict(path: Path) -> dict[str, Any] | None:
    """Return a file's object, or None where there is no file; ValueError for anything else."""
    value = _read_json(path)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no object")
    return value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StudyError(f"cannot read {path}: {error.strerror}; nothing was touched") from error


@contextlib.contextmanager
def _said(where: Path) -> Iterator[None]:
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
