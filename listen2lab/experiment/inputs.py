"""What a study is given: texts, voice and recognizer, or a workload's file; found and checked."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import platformdirs
from msgspec.structs import replace

from listen2lab.errors import InputError, StudyError, UnknownNameError, need
from listen2lab.experiment.bounded import bounded_voice
from listen2lab.experiment.workloads import Inputs, OwnFunctions, open_command, open_file
from listen2lab.models.check import check_recognizer, check_voice
from listen2lab.models.generate import VOICES as GENERATED_VOICES
from listen2lab.models.generate import content_hash, ensure
from listen2lab.study.plan import paragraph_order
from listen2lab.study.records import InputsRecord, SourceText
from listen2lab.texts import books

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.models.voices import RecognizerFiles, VoiceFiles
    from listen2lab.study.plan import Plan, Run

__all__ = [
    "GENERATED_RECOGNIZER", "GENERATED_VOICES", "KINDS", "Book", "Inputs", "PlantedBook", "changed",
    "hash_of", "is_generated", "is_same", "models_root", "open_book", "reopen", "retold",
]  # fmt: skip

GENERATED_RECOGNIZER = "recognizer"
"""The recognizer that the lab builds: it reads these voices."""


@dataclass(frozen=True)
class Book(Inputs):
    """Inputs of the reading pipeline: a voice, a recognizer and the paragraphs that are read.

    Parameters
    ----------
    voice, recognizer
        A generated model's name, or the path of a folder.
    voice_files, recognizer_files
        The models' files, checked.
    voice_hash, recognizer_hash
        SHA-256 over the models' files.
    paragraphs
        The texts, in order.
    texts
        Where they come from.
    """

    voice: str
    voice_files: VoiceFiles
    voice_hash: str
    recognizer: str
    recognizer_files: RecognizerFiles
    recognizer_hash: str
    paragraphs: tuple[str, ...]
    texts: tuple[SourceText, ...]

    # One arena of malloc for all threads: the engine runs in a thread of its own. With an arena of
    # its own, too, glibc cannot trim the end of it, and identical runs ended at one of two levels,
    # 17 MiB apart (tiny voice).
    environment: ClassVar[Mapping[str, str]] = {"MALLOC_ARENA_MAX": "1"}

    @property
    def record(self) -> InputsRecord:
        """What a manifest says of the inputs; folders only where they are the user's."""
        return InputsRecord(
            voice=self.voice,
            voice_hash=self.voice_hash,
            recognizer=self.recognizer,
            recognizer_hash=self.recognizer_hash,
            texts=self.texts,
            paragraphs_hash=hash_of(self.paragraphs),
        )

    def prepare(self, plan: Plan) -> None:
        """Bound the voice where a condition speaks with it so; that takes its time and a core."""
        for item in plan.experiments:
            for level in item.levels:
                self._spoken_with(item.complete_settings(level)["voice_graph"])

    def _spoken_with(self, graph: object) -> VoiceFiles:
        if graph == "exported":
            return self.voice_files
        return bounded_voice(Path(self.voice_files.folder), self.voice_hash, models_root())

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Choose a run's paragraphs and their order, and name its models and knobs."""
        experiment = run.experiment
        most, longest = plan.longest_texts(experiment)
        order = paragraph_order(
            [len(text) for text in self.paragraphs],
            experiment.warmup + experiment.steps + 1,  # the last step looks one paragraph ahead
            f"{plan.seed}/{experiment.name}/{run.repeat}/texts",
            max_characters=most,
            longest_characters=longest,
        )
        return {
            "kind": "listen2",
            "voice": self._spoken_with(
                experiment.complete_settings(run.level)["voice_graph"]
            )._asdict(),
            "recognizer": self.recognizer_files._asdict(),
            "knobs": experiment.settings(run.level),
            "paragraphs": kept,
            "order": order,
        }


@dataclass(frozen=True)
class PlantedBook(Book):
    """A book read with a fault planted in the pipeline; the level's name is the fault's."""

    def workload(self, run: Run, plan: Plan, kept: str) -> dict[str, Any]:
        """Read in order, so that every step meets a text that is new to it."""
        spec = super().workload(run, plan, kept)
        return {**spec, "fault": run.level.name, "order": list(range(len(self.paragraphs)))}


def is_generated(kind: str, name: str) -> bool:
    """Tell whether a voice or recognizer is one that the lab builds itself."""
    return name in (GENERATED_VOICES if kind == "voice" else (GENERATED_RECOGNIZER,))


def reopen(record: InputsRecord, paragraphs: Sequence[str], pickle: bytes | None = None) -> Inputs:
    """Open the inputs that a manifest tells of, whatever is in them now; see `changed`.

    ``pickle`` is what a study keeps that this user began here; nobody else's is opened.
    """
    if record.pid is not None:
        raise StudyError(
            f"the study watched process {record.pid}, which no run can start again; its samples "
            "are kept; attach to a running one with `listen2lab watch --pid`"
        )
    if record.command:
        return open_command(record.command, record.folder)
    if record.pickled and record.workload is not None:
        if pickle is None:
            raise StudyError(
                f"the function {record.workload} was pickled by whoever began the study, and what "
                "is pickled is opened for them alone, from the study's own folder; nothing was "
                "run; ask for its source, and watch that"
            )
        return OwnFunctions(record.workload, pickle)
    if record.workload is not None:
        return open_file(Path(record.workload))
    if record.voice is None or record.recognizer is None:
        raise StudyError(
            "the study's manifest does not say what it was given; its runs are untouched; put "
            "back what was changed in it"
        )
    return open_book(record.voice, recognizer=record.recognizer, paragraphs=paragraphs)


def retold(was: InputsRecord, named: Mapping[str, str]) -> InputsRecord:
    """Return a record with what a user names in its place: a command as one would type it."""
    if not was.command or "workload" not in named:
        return replace(was, **named)
    return replace(was, command=tuple(shlex.split(named["workload"])), folder=str(Path.cwd()))


KINDS = ("voice", "recognizer", "paragraphs", "workload")
"""What may be given, by the names of its fields and hashes in `InputsRecord`."""


def changed(was: InputsRecord, now: InputsRecord) -> list[str]:
    """Return the `KINDS` of which another content is there now than a study was begun with.

    To go on with one study, nothing but the very same will do; to repeat one, see `is_same`.
    """
    return [
        kind
        for kind in KINDS
        if (digest := getattr(was, f"{kind}_hash")) is not None
        and digest != getattr(now, f"{kind}_hash")
    ]


def open_book(
    voice: str = "tiny",
    *,
    recognizer: str = GENERATED_RECOGNIZER,
    texts_given: Sequence[Path] = (),
    paragraphs: Sequence[str] | None = None,
) -> Book:
    """Find, build where needed, and check everything the pipeline reads and speaks with."""
    need("the reading pipeline", "sherpa_onnx", "onnxruntime", "onnx", "kaldi_native_fbank")
    sources: list[SourceText] = []
    spoken: list[str] = list(paragraphs or ())
    if paragraphs is None:
        for path in texts_given or [books.built_in(name) for name in books.BUILT_IN]:
            book = books.read_book(path)
            spoken += book.paragraphs
            sources.append(SourceText(path.name, len(book.paragraphs), tuple(book.notices)))
    voice_folder = _folder(voice, GENERATED_VOICES, "voice")
    recognizer_folder = _folder(recognizer, (GENERATED_RECOGNIZER,), "recognizer")
    return Book(
        voice=voice if voice in GENERATED_VOICES else str(voice_folder),
        voice_files=check_voice(voice_folder),
        voice_hash=content_hash(voice_folder),
        recognizer=recognizer if recognizer == GENERATED_RECOGNIZER else str(recognizer_folder),
        recognizer_files=check_recognizer(recognizer_folder),
        recognizer_hash=content_hash(recognizer_folder),
        paragraphs=tuple(spoken),
        texts=tuple(sources),
    )


def models_root() -> Path:
    """Return where generated and fetched models are kept.

    ``data/voices`` of a checkout, or the user's cache folder when the package is installed
    without one.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "data" / "texts").is_dir():
        return checkout / "data" / "voices"
    return platformdirs.user_cache_path("listen2lab") / "voices"


def is_same(kind: str, was: InputsRecord, now: InputsRecord) -> bool:
    """Tell whether an input is the one that a study was given.

    By its hash. A recognizer that the lab generates is also the same by its name: it is fitted on
    sums over audio, whose last digits depend on the processor and on numpy; memory depends on its
    shapes. `listen2lab.comparison.differences` names the hashes.
    """
    if kind == "recognizer" and was.recognizer == now.recognizer == GENERATED_RECOGNIZER:
        return True
    return bool(getattr(was, f"{kind}_hash") == getattr(now, f"{kind}_hash"))


def hash_of(paragraphs: Sequence[str]) -> str:
    """Return the SHA-256 of texts, each ended by a form feed, which no paragraph holds."""
    return hashlib.sha256("".join(f"{text}\f" for text in paragraphs).encode()).hexdigest()


def _folder(given: str, generated: Sequence[str], kind: str) -> Path:
    if given in generated:
        return ensure(given, models_root())
    folder = Path(given).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise InputError(f"{given} is a file; give the folder of the {kind}")
    if (models_root() / given).is_dir():  # fetched before, by name
        return models_root() / given
    raise UnknownNameError(kind, given, [*generated, *_fetched()])


def _fetched() -> list[str]:
    return [path.name for path in models_root().glob("*") if path.is_dir() and "@" not in path.name]
