"""Names that a study may be shared with: those that everyone has, and plain ones."""

from __future__ import annotations

import contextlib
import getpass
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.experiment.inputs import GENERATED_RECOGNIZER, GENERATED_VOICES
from listen2lab.models.fetch import KNOWN
from listen2lab.pipeline.knobs import EARLIER_NAMES, Knobs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AT_HOST", "PUBLISHED", "Names", "leaf", "model", "strings"]

PUBLISHED = re.compile(r"(?:vits-piper-)?[a-z]{2,3}_[A-Z]{2}-\w{2,20}-(?:x_low|low|medium|high)")
"""How published Piper voices are named."""

AT_HOST = re.compile(r"([\w.+-]+)@([\w-]+)")
"""An address: somebody, somewhere."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}(?: [A-Za-z0-9_.+-]{1,20}){0,2}")
_HOMES = re.compile(r"(?:/home/|[\\/]Users[\\/]+|[\\/]Documents and Settings[\\/]+)([^\\/\s'\"]+)")
_HOST = re.compile(r"\b\w+://(?:[^\s/@]*@)?([\w-]+)")
# So many people's, or a word of the lab's own: to look for them says nothing.
_NOBODY = frozenset(
    (
        *("admin", "app", "debian", "home", "listen2lab", "localhost", "medium", "root", "runner"),
        *("share", "shared", "step", "tiny", "ubuntu", "user", "users", "workload"),
    )
)
_OURS = frozenset([*EXPERIMENTS, *Knobs._fields, *EARLIER_NAMES, "this", "against"]) | frozenset(
    level.name for item in EXPERIMENTS.values() for level in item.levels
)


class Names:
    """Names that a study may be shared with: its own where they are plain, else numbered ones.

    Parameters
    ----------
    manifest
        The study's; user and host names are looked for in all of it.
    """

    def __init__(self, manifest: dict[str, Any]) -> None:
        self._telling = _telling(strings(manifest))
        self._given: dict[tuple[str, str], str] = {}

    def is_plain(self, text: str) -> bool:
        """Return whether a text is a short name that tells nothing of its owner."""
        return text in _OURS or (bool(_PLAIN.fullmatch(text)) and not self.tells(text))

    def tells(self, text: str) -> bool:
        """Return whether a user's or a machine's name stands in a text."""
        low = text.lower()
        return any(name in low for name in self._telling)

    def machine(self, label: str) -> str:
        """Return a machine's label, if it is one of the lab's own, else another."""
        number = re.fullmatch(r"machine-\d{1,4}", label)
        return label if number else self._numbered("host", label)

    def of(self, kind: str, name: str) -> str:
        """Return the name under which something is shared, always the same for the same thing."""
        if self.is_plain(name):
            return name
        return self._numbered(kind, name)

    def _numbered(self, kind: str, name: str) -> str:
        number = sum(each == kind for each, _ in self._given) + 1
        return self._given.setdefault((kind, name), f"{kind}-{number}")


def strings(value: Any) -> Iterable[str]:
    """Yield every text in a structure, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)


def _telling(texts: Iterable[str]) -> set[str]:
    """Return users' and hosts' names: this machine's, and those that stand in some texts."""
    found = {platform.node(), platform.node().split(".")[0], Path.home().name}
    with contextlib.suppress(KeyError, OSError):  # a user without a name, as in some containers
        found.add(getpass.getuser())
    for text in texts:
        found.update(_HOMES.findall(text))
        found.update(name for pair in AT_HOST.findall(text) for name in pair)
        found.update(_HOST.findall(text))
    return {name.lower() for name in found if len(name) > 2} - _NOBODY


def model(given: str, names: Names) -> str | None:
    """Return the public name of a voice or recognizer, or None for one of somebody's own."""
    name = leaf(given)
    generated = {*GENERATED_VOICES, GENERATED_RECOGNIZER}
    if name in generated:  # a folder of that name is somebody's own
        return name if given == name else None
    if name in KNOWN or (PUBLISHED.fullmatch(name) and not names.tells(name)):
        return name
    return None


def leaf(path: str) -> str:
    """Return the last part of a path of any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
