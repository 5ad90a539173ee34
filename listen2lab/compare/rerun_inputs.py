"""What a repeated study was given, found again: texts, models or a workload's file, by hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.experiment import inputs
from listen2lab.study import redaction as private
from listen2lab.texts import books

if TYPE_CHECKING:
    from listen2lab.study.plan import Plan

__all__ = ["Source", "same_inputs"]


@dataclass(frozen=True)
class Source:
    """What is repeated: a study's folder or what its report carries."""

    name: str
    manifest: dict[str, Any]
    plan: Plan
    experiments: dict[str, Any]
    paragraphs: list[str] | None
    is_report: bool
    notes: tuple[str, ...]


def same_inputs(
    before: Source,
    texts: list[Path],
    *,
    workload: Path | str | None,
    voice: Path | str | None,
    recognizer: Path | str | None,
) -> inputs.Inputs:
    """Find what a study was given, and make sure that it is the same.

    Parameters
    ----------
    before
        The study.
    texts, workload, voice, recognizer
        Where they lie now; see `listen2lab.compare.rerun.rerun`.

    Returns
    -------
    Inputs
        The same, by their hashes.

    Raises
    ------
    InputError
        Something is not there, or not the same.
    StudyError
        The study's own copy of its texts was changed.
    """
    described = before.manifest["inputs"]
    given: inputs.Inputs
    if "workload" in described:
        given = _workload(described, workload)
    else:
        models = {"voice": voice, "recognizer": recognizer}
        for kind, folder in models.items():
            if folder is None and described.get(kind, private.LEFT_OUT) == private.LEFT_OUT:
                raise InputError(
                    f"{before.name} does not say which {kind} was used; nothing was run; name its "
                    f"folder with --{kind}: it is checked by hash"
                )
        try:
            book = inputs.open_book(
                str(voice or described["voice"]),
                recognizer=str(recognizer or described["recognizer"]),
                paragraphs=_paragraphs(before, texts),
            )
        except UnknownNameError as error:
            raise InputError(
                f"{error}; nothing was run; name the folder of the study's own models with "
                "--voice and --recognizer"
            ) from error
        given = replace(book, texts=tuple(described.get("texts", ())))
    now = given.described()
    for kind in ("voice", "recognizer", "workload"):
        if kind in described and not inputs.is_same(kind, described, now):
            raise InputError(_other(kind, before.manifest, now))
    return given


def _workload(described: dict[str, Any], workload: Path | str | None) -> inputs.Inputs:
    path = Path(workload or described["workload"])
    if not path.is_file():
        raise InputError(
            f"the workload {path.name} is not at {path}; nothing was run; "
            "say where it lies with --workload"
        )
    return inputs.open_file(path)


def _paragraphs(before: Source, texts: list[Path]) -> list[str]:
    """Return the texts that were read, from the study, the package, or books given again."""
    wanted = before.manifest["inputs"].get("paragraphs_hash")
    if before.paragraphs is not None and not texts:
        if inputs.hash_of(before.paragraphs) == wanted:
            return before.paragraphs
        raise StudyError(
            f"the texts in {before.name} are not those that its runs read: paragraphs.json was "
            "changed; nothing was run; give the books that were read with --text"
        )
    own = [books.built_in(name) for name in books.BUILT_IN]
    found = [text for path in texts or own for text in books.read_book(path).paragraphs]
    if inputs.hash_of(found) == wanted:
        return found
    sources = before.manifest["inputs"].get("texts", [])
    names = ", ".join(f"{each['name']} ({each['paragraphs']} paragraphs)" for each in sources)
    if texts:
        raise InputError(
            f"the texts given ({len(found)} paragraphs) are not those that were read "
            f"({names or 'names unknown'}), by their hash; nothing was run; give the same files, "
            "all of them, in the same order"
        )
    raise InputError(
        f"{before.name} does not carry the texts that were read ({names or 'names unknown'}), and "
        "they are not the lab's own; nothing was run; give the same files with --text, in this "
        "order: they are checked by hash"
    )


def _other(kind: str, before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say what is different about a model or a workload's file."""
    was, is_now = (each[f"{kind}_hash"][:12] for each in (before["inputs"], now))
    told = f"the {kind} is another one (sha256 {is_now}…, the study's is {was}…); nothing was run; "
    if kind == "workload":
        return told + "find the file as it was, or start a new study with this one"
    if now[kind] not in (*inputs.GENERATED_VOICES, "recognizer"):
        return told + f"name the folder of the one that was used with --{kind}"
    from listen2lab.experiment.machine import versions  # noqa: PLC0415 - only where it went wrong

    have = versions()
    differ = [
        f"{name} {version} then, {have.get(name, 'none')} now"
        for name, version in before["versions"].items()
        if name in ("listen2lab", "numpy", "onnx") and have.get(name) != version
    ]
    why = "; ".join(differ) or f"code of listen2lab: {before['git']} then"
    return told + (
        f"the lab builds it, and what builds it has changed ({why}); install what the study had, "
        "or start a new study"
    )
