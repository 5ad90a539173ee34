"""What a repeated study was given, found again: texts, models or a workload's file, by hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import inputs
from listen2lab.experiment.machine import versions
from listen2lab.study.plan import schedule
from listen2lab.study.redact import LEFT_OUT
from listen2lab.texts import books

if TYPE_CHECKING:
    from listen2lab.findings.records import ExperimentSummary
    from listen2lab.notice import Notice
    from listen2lab.study.records import InputsRecord, Manifest

__all__ = ["Source", "same_inputs"]


class Source(NamedTuple):
    """What is repeated: a study's folder, or what its report carries."""

    name: str
    manifest: Manifest
    experiments: dict[str, ExperimentSummary]
    paragraphs: list[str] | None
    is_report: bool
    notes: tuple[Notice, ...]
    is_own: bool = False
    """Whether this user began it here: only then may its paths be used."""
    seconds: float | None = None
    """How long its runs took, all together; None: not known."""
    pickle: bytes | None = None
    """The functions that it keeps, where this user began it here."""


def same_inputs(
    before: Source,
    texts: list[Path],
    *,
    workload: Path | str | None,
    voice: Path | str | None,
    recognizer: Path | str | None,
) -> inputs.Inputs:
    """Find what a study was given, where it lies now; its hash must be the same."""
    was = before.manifest.inputs
    given: inputs.Inputs
    if was.pickled:
        given = inputs.reopen(was, (), before.pickle)
    elif was.is_pipeline:
        given = _book(before, texts, {"voice": voice, "recognizer": recognizer})
    else:
        if workload is None and not before.is_own:
            planned = len(schedule(before.manifest.plan))
            raise InputError(
                f"{_why_not(before)}; it would do {planned} runs of {was.executed}; nothing was "
                "run; look at that, then name it with --workload: it is checked by hash"
            )
        path = Path(workload or was.workload or "")
        if not path.is_file() and was.pid is None and not was.command:
            raise InputError(
                f"the workload {path.name} is not at {path}; nothing was run; "
                "say where it lies with --workload"
            )
        named = {} if workload is None else {"workload": str(workload)}
        given = inputs.reopen(inputs.retold(was, named), ())
    now = given.record
    for kind in ("voice", "recognizer", "workload"):
        if getattr(was, kind) is not None and not inputs.is_same(kind, was, now):
            raise InputError(_other(kind, before.manifest, now))
    return given


def _why_not(before: Source) -> str:
    """Say why the paths of a study are not used."""
    why = "is a report" if before.is_report else "was not begun by you on this machine"
    return f"{before.name} {why}: nothing that it names is executed or opened"


def _book(before: Source, texts: list[Path], folders: dict[str, Path | str | None]) -> inputs.Book:
    was = before.manifest.inputs
    models = {kind: str(folder or getattr(was, kind)) for kind, folder in folders.items()}
    for kind, model in models.items():
        if model in {"None", LEFT_OUT}:
            raise InputError(
                f"{before.name} does not say which {kind} was used; nothing was run; name its "
                f"folder with --{kind}: it is checked by hash"
            )
        is_named = folders[kind] is not None or inputs.is_generated(kind, model)
        if not is_named and not before.is_own:
            raise InputError(
                f"{_why_not(before)}; its {kind} is {model!r}; nothing was run; name the folder "
                f"of that one with --{kind}: it is checked by hash"
            )
    try:
        book = inputs.open_book(
            models["voice"], recognizer=models["recognizer"], paragraphs=_paragraphs(before, texts)
        )
    except UnknownNameError as error:
        raise InputError(
            f"{error}; nothing was run; name the folder of the study's own models with "
            "--voice and --recognizer"
        ) from error
    return replace(book, texts=was.texts)


def _paragraphs(before: Source, texts: list[Path]) -> list[str]:
    """Return the texts that were read, from the study, the package, or books given again."""
    was = before.manifest.inputs
    if before.paragraphs is not None and not texts:
        if inputs.hash_of(before.paragraphs) == was.paragraphs_hash:
            return before.paragraphs
        raise StudyError(
            f"the texts in {before.name} are not those that its runs read: paragraphs.json was "
            "changed; nothing was run; give the books that were read with --text"
        )
    own = [books.built_in(name) for name in books.BUILT_IN]
    found = [text for path in texts or own for text in books.read_book(path).paragraphs]
    if inputs.hash_of(found) == was.paragraphs_hash:
        return found
    names = [f"{each.name} ({each.paragraphs} paragraphs)" for each in was.texts]
    read = f"that were read ({', '.join(names) or 'names unknown'})"
    if texts:
        raise InputError(
            f"the texts given ({len(found)} paragraphs) are not those {read}, by their hash; "
            "nothing was run; give the same files, all of them, in the same order"
        )
    raise InputError(
        f"{before.name} does not carry the texts {read}, and they are not the lab's own; nothing "
        "was run; give the same files with --text, in this order: they are checked by hash"
    )


def _other(kind: str, before: Manifest, now: InputsRecord) -> str:
    """Say what is different about a model or a workload's file."""
    was, is_now = (str(getattr(each, f"{kind}_hash"))[:12] for each in (before.inputs, now))
    problem = (
        f"the {kind} is another one (sha256 {is_now}…, the study's is {was}…); nothing was run; "
    )
    if kind == "workload":
        return problem + "find the file as it was, or start a new study with this one"
    if getattr(now, kind) not in (*inputs.GENERATED_VOICES, inputs.GENERATED_RECOGNIZER):
        return problem + f"name the folder of the one that was used with --{kind}"
    have = versions()
    differ = [
        f"{name} {version} then, {have.get(name, 'none')} now"
        for name, version in before.setup.versions.items()
        if name in ("listen2lab", "numpy", "onnx") and have.get(name) != version
    ]
    why = "; ".join(differ) or f"code of listen2lab: {before.setup.git} then"
    return problem + (
        f"the lab builds it, and what builds it has changed ({why}); install what the study had, "
        "or start a new study"
    )
