"""What a checked voice or recognizer is, as the parent passes it on and the worker takes it.

`listen2lab.models.check` makes these records, because it needs the onnx package; a run's spec
carries them as plain JSON. So the worker needs the standard library alone.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from listen2lab.errors import VoiceError

__all__ = [
    "LFS_POINTER", "RecognizerFiles", "Route", "VoiceFiles", "read_tokens", "require_unchanged",
]  # fmt: skip

Route = Literal["characters", "espeak-data", "phonemes"]
"""What turns text into a voice's units."""

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that stands for one that git did not fetch."""

# The largest known vocabularies have some 100,000 entries.
_MAX_BYTES = 2**24
# Names that the engine passes over in a voice's table.
_PASSED_OVER = frozenset(("<PAD>", "<EOS>", "<BOS>", "<BLNK>"))


class VoiceFiles(NamedTuple):
    """A checked voice: what the engine is given, and what it says about itself.

    ``_asdict()`` is what a spec holds; ``VoiceFiles(**spec)`` reads it.
    """

    folder: str
    """Where the voice was given; a raw one's model and tokens are copies elsewhere."""
    model: str
    model_bytes: int
    """The model's size when it was checked; see `require_unchanged`."""
    tokens: str
    route: Route
    data_dir: str
    """espeak-ng's data for the route ``espeak-data``, otherwise empty, as the engine wants it."""
    espeak_voice: str
    """espeak-ng's name of the language; empty on the route ``characters``."""
    sample_rate: int
    n_speakers: int
    language: str


class RecognizerFiles(NamedTuple):
    """A checked NeMo CTC recognizer; goes through a spec as `VoiceFiles` does."""

    model: str
    model_bytes: int
    tokens: str
    blank_id: int
    subsampling_factor: int
    normalize_type: str
    """``per_feature``, or empty for none."""


def require_unchanged(files: VoiceFiles | RecognizerFiles) -> None:
    """Refuse a model that is not as large as when it was checked: the engine might exit on it."""
    try:
        size = os.stat(files.model).st_size
    except OSError as error:
        raise VoiceError(f"the model {files.model} cannot be read: {error.strerror}") from error
    if size != files.model_bytes:
        raise VoiceError(
            f"{files.model} was changed since it was checked ({files.model_bytes:,} bytes then, "
            f"{size:,} now); it was not loaded; start the study again"
        )


def read_tokens(path: str, *, single_characters: bool) -> dict[str, int]:
    """Read a tokens.txt (token to ID) as the engine does; refuse it where the engine would exit.

    A line is ``TOKEN ID``, cut at ASCII whitespace; a line with an ID alone means the space. The
    engine ends the process on a third word, and for voices on a token of several characters or one
    that is listed twice; several characters may share an ID.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise VoiceError(f"the tokens {path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise VoiceError(f"{path} is empty (0 bytes); copy or fetch it again")
    if len(data) > _MAX_BYTES:
        raise VoiceError(f"{path} has more than {_MAX_BYTES:,} bytes, so it is no tokens.txt")
    if data.startswith(LFS_POINTER):
        raise VoiceError(f"{path} is a Git LFS pointer; run `git lfs pull` where it came from")
    ids: dict[str, int] = {}
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        where = f"{path}, line {number}"
        token, token_id = _entry(line, where)
        if single_characters and token in _PASSED_OVER:
            continue
        if single_characters and len(token) != 1:
            raise VoiceError(
                f"{where}: the token {token!r} has {len(token)} characters and a voice's tokens "
                "have one; the engine would end the process. Remove the line"
            )
        if single_characters and len(line.split()) == 1 and line[-1:].isspace():
            raise VoiceError(
                f"{where}: whitespace follows the number of the space (Windows line ends?), on "
                "which the engine would end the process. Save the file with plain line ends"
            )
        if token in ids:
            raise VoiceError(
                f"{where}: the token {token!r} is listed twice; the engine would end the process "
                "or take either. Remove one of the lines"
            )
        ids[token] = token_id
    return ids


def _entry(line: bytes, where: str) -> tuple[str, int]:
    words = line.split()
    if not 1 <= len(words) <= 2 or not words[-1].isdigit() or len(words[-1]) > 9:
        raise VoiceError(
            f"{where}: {line[:40]!r} is not a token and its number; the engine would end the "
            "process. Is this a tokens.txt?"
        )
    try:
        token = words[0].decode() if len(words) == 2 else " "
    except UnicodeDecodeError as error:
        raise VoiceError(f"{where}: {line[:40]!r} is not UTF-8") from error
    return token, int(words[-1])
