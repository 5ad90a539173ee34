"""The command that made a study, with each word left out that is private."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING, Any

from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.experiment.inputs import GENERATED_VOICES
from listen2lab.models.fetch import KNOWN
from listen2lab.pipeline.knobs import Knobs
from listen2lab.study.public_names import PUBLISHED, leaf

if TYPE_CHECKING:
    from listen2lab.study.public_names import Names

__all__ = ["command"]

_WORDS = frozenset(
    (
        *("all", "false", "lab", "listen2lab", "merge", "none", "null", "recognizer"),
        *("rerun", "resume", "run", "selftest", "true", "watch"),
    )
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?\s?(?:[kmgKMG]?i?[bB])?")
_OPTION = re.compile(r"--?[a-z][a-z-]*")


def command(given: str, of: dict[str, Any], names: Names) -> str:
    """Return a command in which each word that is no option, number or public name is left out.

    Parameters
    ----------
    given
        A shell's command, or a call of ``lab.run`` or ``lab.watch``.
    of
        The manifest that names it; its experiments and levels are public if their names are plain.
    names
        The study's names.

    Returns
    -------
    str
        The command; in capitals what is to be filled in, such as ``--text TEXT``.
    """
    public = {
        *_WORDS, *GENERATED_VOICES, *KNOWN, *EXPERIMENTS,
        *(
            each
            for item in of["plan"]["experiments"]
            for each in (item["name"], *(level["name"] for level in item["levels"]))
            if names.is_plain(each)
        ),
    }  # fmt: skip
    if given.startswith("lab."):
        return _call(given, public)
    try:
        words = shlex.split(given)
    except ValueError:
        return "(left out)"
    said: list[str] = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if _OPTION.fullmatch(name):
            option = name.lstrip("-")
            said.append(name + (equals and f"={_word(value, public, option)}"))
            option = "" if equals else option
        else:
            said.append(_word(word, public, option))
            option = ""
    return " ".join(said)


def _call(given: str, public: set[str]) -> str:
    """Return a call in Python with each private literal in it left out."""
    try:
        tree = ast.parse(given, mode="eval")
    except (SyntaxError, ValueError):
        return "(left out)"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            node.value = _word(str(node.value), public, "left_out")
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name not in _WORDS:
                return "(left out)"
    return ast.unparse(tree)


def _word(word: str, public: set[str], option: str) -> str:
    """Return a word of a command if it is public, else what stands for it."""
    knob, equals, value = word.partition("=")
    if (
        equals
        and knob in Knobs._fields
        and re.fullmatch(r"[a-z0-9.+-]{1,20}", value, re.IGNORECASE)
    ):
        return word
    if all(part in public or _NUMBER.fullmatch(part) for part in word.split(",")):
        return word
    if model_name := PUBLISHED.fullmatch(leaf(word)):
        return model_name[0]
    return option.upper().replace("-", "_") or "FILE"
