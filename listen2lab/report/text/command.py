"""The call that made a study, as a command or as Python."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from listen2lab.study.records import Call

__all__ = ["rendered"]

_FIRST = ("experiments", "file", "source", "studies")
"""Arguments that are given by their place."""
_OPTIONS = {"texts": "text", "knobs": "set", "levels": "levels"}
"""Arguments that a command calls otherwise."""


def rendered(call: Call) -> str:
    """Return the words that do the same again.

    Parameters
    ----------
    call
        With every argument that is not the default.

    Examples
    --------
    >>> from listen2lab.study.records import Call
    >>> given = {"experiments": ["all"], "voice": "medium", "knobs": {"alignment": "off"}}
    >>> rendered(Call("run", given))
    'listen2lab run all --voice medium --set alignment=off'
    >>> rendered(Call("run", {"experiments": ["baseline"], "trace": False}, shell=False))
    "lab.run('baseline', trace=False)"
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
