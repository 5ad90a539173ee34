"""The call that made a study: kept as a record, told as a command or as Python."""

from __future__ import annotations

import inspect
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT
from msgspec.structs import fields

from listen2lab.experiment.catalog import EXPERIMENTS, question_of
from listen2lab.experiment.functions import name_of
from listen2lab.study.plan import Experiment, Level
from listen2lab.study.records import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listen2lab.study.plan import KnobValue, Plan

__all__ = ["as_call", "rendered"]

_FIRST = ("experiments", "file", "function", "source", "studies")
"""Arguments that are given by their place."""
_FUNCTIONS = ("function", "setup", "teardown", "size")
"""Arguments that are functions, by their names."""
_OPTIONS = {"texts": "text", "knobs": "set", "levels": "levels", "seconds": "for"}
"""Arguments that a command calls otherwise."""


def rendered(call: Call, plan: Plan | None = None) -> str:
    """Return the words that do the same again.

    Parameters
    ----------
    call
        What was called.
    plan
        What came of it: experiments that are not the lab's own are told from it.

    Examples
    --------
    >>> from listen2lab.study.records import Call
    >>> given = {"experiments": ["all"], "voice": "medium", "knobs": {"alignment": "off"}}
    >>> rendered(Call("run", given))
    'listen2lab run all --voice medium --set alignment=off'
    >>> rendered(Call("run", {"experiments": ["baseline"], "trace": "none"}, shell=False))
    "lab.run('baseline', trace='none')"
    """
    planned = {} if plan is None else {item.name: item for item in plan.experiments}
    own = {name: item for name, item in planned.items() if name not in EXPERIMENTS}
    return _as_command(call, own) if call.shell else _as_python(call, own)


def _as_command(call: Call, own: Mapping[str, Experiment]) -> str:
    words = ["listen2lab", call.name]
    for name in _FIRST:
        given = _texts(call.arguments.get(name))
        words += [(own[each].of or each) if each in own else each for each in given]
        words += _vary_options([own[each] for each in given if each in own])
    for name, value in call.arguments.items():
        if name in (*_FIRST, "command") or value is None:
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
    behind = _texts(call.arguments.get("command"))
    return shlex.join([*words, *(["--", *behind] if behind else [])])


def _vary_options(own: Sequence[Experiment]) -> list[str]:
    """Return the options of a command, which varies the same knobs in all that it names."""
    words = []
    for knob, values in _varied(own[0]).items() if own else ():
        texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
        words += ["--vary", f"{knob}={','.join(texts)}"]
    return words


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]


def _as_python(call: Call, own: Mapping[str, Experiment]) -> str:
    said = []
    for name in _FIRST:
        if name in call.arguments:
            value = call.arguments[name]
            given = value if isinstance(value, list) else [value]
            each = [
                x if name in _FUNCTIONS else _experiment(own[x]) if x in own else repr(x)
                for x in map(str, given)
            ]
            said.append(each[0] if len(each) == 1 else f"[{', '.join(each)}]")
    said += [
        f"{name}={value if name in _FUNCTIONS else repr(value)}"
        for name, value in call.arguments.items()
        if name not in _FIRST
    ]
    return f"lab.{call.name}({', '.join(said)})"


def _experiment(item: Experiment) -> str:
    """Return the Python that makes an experiment which is not the lab's own."""
    if item.of is None:
        return _record(item)
    knobs = _varied(item)
    given: dict[str, Any] = {**knobs, "of": item.of, "question": item.question}
    given["prediction"] = item.predictions.get("own", "")
    usual = {"of": "baseline", "question": question_of(knobs), "prediction": ""}
    said = [f"{name}={value!r}" for name, value in given.items() if usual.get(name) != value]
    return f"lab.vary({', '.join(said)})"


def _varied(item: Experiment) -> dict[str, list[KnobValue]]:
    """Return knob to values, as `listen2lab.vary` was given them."""
    found: dict[str, list[KnobValue]] = {}
    for level in item.levels:
        for name, value in level.knobs.items():
            values = found.setdefault(name, [])
            values += [] if value in values else [value]
    return found


def _record(record: Experiment | Level) -> str:
    """Return the Python that makes a record; what is as usual is left out."""
    said = []
    for field in fields(record):
        value = getattr(record, field.name)
        usual = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if field.name == "levels":
            said.append(f"levels=({''.join(f'{_record(each)}, ' for each in value)})")
        elif value != usual:
            said.append(f"{field.name}={value!r}")
    return f"lab.{type(record).__name__}({', '.join(said)})"


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
            is_function = name == "file" and callable(value)
            arguments["function" if is_function else name] = _as_argument(value)
    return Call(function.__name__, arguments, shell=bool(given["from_shell"]))


def _as_argument(value: Any) -> Any:
    if isinstance(value, Experiment):
        return value.name
    if callable(value):
        return name_of(value)
    return str(value) if isinstance(value, Path) else value
