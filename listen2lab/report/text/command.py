"""The call that made a study: kept as a record, told as a command or as Python."""

from __future__ import annotations

import inspect
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab.study.plan import Experiment
from listen2lab.study.records import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["as_call", "rendered"]

_FIRST = ("experiments", "file", "source", "studies")
"""Arguments that are given by their place."""
_OPTIONS = {"texts": "text", "knobs": "set", "levels": "levels"}
"""Arguments that a command calls otherwise."""


def rendered(call: Call) -> str:
    """Return the words that do the same again.

    Examples
    --------
    >>> from listen2lab.study.records import Call
    >>> given = {"experiments": ["all"], "voice": "medium", "knobs": {"alignment": "off"}}
    >>> rendered(Call("run", given))
    'listen2lab run all --voice medium --set alignment=off'
    >>> rendered(Call("run", {"experiments": ["baseline"], "trace": "none"}, shell=False))
    "lab.run('baseline', trace='none')"
    """
    return _as_command(call) if call.shell else _as_python(call)


def _as_command(call: Call) -> str:
    words = ["listen2lab", call.name]
    for name in _FIRST:
        words += _texts(call.arguments.get(name))
    for name, value in call.arguments.items():
        if name in _FIRST or value is None:
            continue
        option = f"--{_OPTIONS.get(name, name).replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, dict):
            for knob, setting in value.items():
                text = setting if isinstance(setting, str) else json.dumps(setting)
                words += [option, f"{knob}={text}"]
        elif name == "levels":
            words += [option, ",".join(_texts(value))]
        else:
            for text in _texts(value):
                words += [option, text]
    return shlex.join(words)


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]


def _as_python(call: Call) -> str:
    said = []
    for name in _FIRST:
        if name in call.arguments:
            value = call.arguments[name]
            is_one = isinstance(value, list) and len(value) == 1
            said.append(repr(value[0] if isinstance(value, list) and is_one else value))
    said += [f"{name}={value!r}" for name, value in call.arguments.items() if name not in _FIRST]
    return f"lab.{call.name}({', '.join(said)})"


_OF_THIS_TIME = frozenset(("out", "jobs", "on", "progress", "from_shell"))
"""Arguments that say where and how fast, not what: a rerun has its own."""


def as_call(function: Callable[..., object], given: Mapping[str, Any]) -> Call:
    """Return the call that does the same again: every argument that is not the default."""
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = given[name]
        if name in _OF_THIS_TIME or value in (parameter.default, None):
            continue
        if name in ("experiments", "levels", "texts"):
            several = [value] if isinstance(value, (str, Path, Experiment)) else value
            value = [_as_argument(each) for each in several]
        elif name == "knobs":
            value = dict(value)
        if value not in ([], {}):
            arguments[name] = _as_argument(value)
    return Call(function.__name__, arguments, shell=bool(given["from_shell"]))


def _as_argument(value: Any) -> Any:
    if isinstance(value, Experiment):
        return value.name
    return str(value) if isinstance(value, Path) else value
