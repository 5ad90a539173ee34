"""The study folder: the only module that knows its layout.

::

    <study>/manifest.json        what was run, on what, and the command that runs it again
    <study>/paragraphs.json      the texts that were read
    <study>/summary.json         levels and rates by condition, written by a report
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
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FORMAT", "RunFolder", "StudyFolder"]

FORMAT = 1
"""Version of the layout; a folder of a newer one is refused rather than misread."""


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
        write_json(self.path / "result.json", result)

    def spec(self) -> dict[str, Any] | None:
        """Return the run's spec, or None if it has not begun."""
        return _read_dict(self.spec_path)

    def result(self) -> dict[str, Any] | None:
        """Return how the run ended, or None while it has not."""
        return _read_dict(self.path / "result.json")

    def heap(self) -> dict[str, Any] | None:
        """Return what the capture says, or None for a plain run."""
        return _read_dict(self.path / "heap.json")

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the run's lines in order; a last line that was cut short is left out.

        Raises
        ------
        StudyError
            A line in the middle cannot be read.
        """
        try:
            text = self.steps_path.read_bytes()
        except FileNotFoundError:
            return
        whole = text.split(b"\n")
        for number, line in enumerate(whole[:-1], start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise StudyError(
                    f"{self.key}: line {number} of steps.jsonl is damaged ({error}); the run is "
                    "left out; delete its folder and use --resume to run it again"
                ) from error


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

    def create(self, manifest: dict[str, Any], paragraphs: list[str]) -> None:
        """Make a new study and hold its lock.

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
        write_json(self.path / "paragraphs.json", paragraphs)
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
            This is no study, its manifest is damaged, or it is of a newer format.
        """
        try:
            manifest = _read_dict(self.manifest_path)
        except ValueError as error:
            raise StudyError(
                f"{self.manifest_path} is damaged ({error}); the runs beside it are untouched"
            ) from error
        if manifest is None:
            raise StudyError(
                f"{self.path} is no study: it has no manifest.json; "
                "name a folder that `listen2lab run` wrote"
            )
        if int(manifest.get("format", 0)) > FORMAT:
            raise StudyError(
                f"{self.path} was written by a newer listen2lab (format {manifest['format']}, "
                f"this one reads {FORMAT}); update listen2lab to open it"
            )
        return manifest

    def paragraphs(self) -> list[str]:
        """Return the texts that the study reads."""
        texts: list[str] | None = _read_json(self.path / "paragraphs.json")
        if texts is None:
            raise StudyError(f"{self.path} has no paragraphs.json; the study cannot be run again")
        return texts

    def run(self, key: str) -> RunFolder:
        """Return the folder of a run, by ``experiment/condition/repeat``."""
        return RunFolder(self.path / "runs" / key, key)

    def paragraphs_from(self, run: RunFolder) -> str:
        """Return the path of the texts as a run's worker finds it."""
        return os.path.relpath(self.path / "paragraphs.json", run.path)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the numbers that other tools read."""
        write_json(self.path / "summary.json", summary)

    def write_report(self, page: str) -> Path:
        """Write the report and return its path."""
        path = self.path / "report.html"
        _write_text(path, page)
        return path


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one rename."""
    _write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    """Write in one rename: a reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _said(path.parent):
        try:
            temporary.write_text(text, "utf-8")
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
    except FileNotFoundError:
        return None


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
