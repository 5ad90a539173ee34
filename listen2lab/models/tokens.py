"""A model's tokens.txt, read as the engine reads it, and refused where the engine would exit.

A line is ``TOKEN ID``, cut at ASCII whitespace; a line with an ID alone means the space. The
engine ends the process on a third word, and for voices on a token of several characters or one
that is listed twice.
"""

from __future__ import annotations

from typing import NamedTuple

from listen2lab.errors import VoiceError

__all__ = ["Tokens", "read_tokens"]

# The largest known vocabularies have some 100,000 entries.
_MAX_BYTES = 2**24
# Names that the engine passes over in a voice's table.
_PASSED_OVER = frozenset(("<PAD>", "<EOS>", "<BOS>", "<BLNK>"))


class Tokens(NamedTuple):
    """The table, in both directions."""

    ids: dict[str, int]
    n_lines: int


def read_tokens(path: str, *, single_characters: bool) -> Tokens:
    """Read and check a tokens.txt.

    Parameters
    ----------
    path
        The file.
    single_characters
        Whether each token must be one Unicode character, listed once, as for voices. Several
        characters may share an ID.

    Returns
    -------
    Tokens
        Token to ID.

    Raises
    ------
    VoiceError
        The file is missing, empty, not UTF-8, or has a line that the engine does not accept.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - pathlib would cost a worker 1 MiB
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise VoiceError(f"the tokens {path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise VoiceError(f"{path} is empty (0 bytes); copy or fetch it again")
    if len(data) > _MAX_BYTES:
        raise VoiceError(f"{path} has more than {_MAX_BYTES:,} bytes, so it is no tokens.txt")
    if data.startswith(b"version https://git-lfs"):
        raise VoiceError(f"{path} is a Git LFS pointer; run `git lfs pull` where it came from")
    ids: dict[str, int] = {}
    lines = data.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        token, token_id = _entry(line, where)
        if single_characters:
            if token in _PASSED_OVER:
                continue
            _check_character(token, line, where)
        if token in ids:
            raise VoiceError(
                f"{where}: the token {token!r} is listed twice; the engine would end the process "
                "or take either. Remove one of the lines"
            )
        ids[token] = token_id
    return Tokens(ids, len(lines))


def _check_character(token: str, line: bytes, where: str) -> None:
    if len(token) != 1:
        raise VoiceError(
            f"{where}: the token {token!r} has {len(token)} characters and a voice's tokens have "
            "one; the engine would end the process. Remove the line"
        )
    if len(line.split()) == 1 and line[-1:].isspace():
        raise VoiceError(
            f"{where}: whitespace follows the number of the space (Windows line ends?), on which "
            "the engine would end the process. Save the file with plain line ends"
        )


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
