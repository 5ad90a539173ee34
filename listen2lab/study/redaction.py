"""What may leave the machine: a study with everything private left out.

Nothing is searched for and struck out: a value is kept only if it has the shape of what the lab
itself writes, or is a name that everyone has (a knob, a level, a known voice). Free text of others,
such as an exception's message, is left out whole, since it may quote a path or a book.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from listen2lab.experiment.catalog import EXPERIMENTS, HYPOTHESES
from listen2lab.report.command import command
from listen2lab.study.public_names import AT_HOST, leaf, model, strings
from listen2lab.texts.books import BUILT_IN

if TYPE_CHECKING:
    from listen2lab.study.public_names import Names

__all__ = ["LEFT_OUT", "MESSAGE", "because", "manifest", "sentences"]

LEFT_OUT = "(left out)"
"""What stands where something was left out."""

_KERNEL = re.compile(r"\d+(?:\.\d+)*(?:-\d+(?=\D|$))?")
_FACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()@.,_+-]{0,79}")
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:(?:a|b|rc|\.post|\.dev)\d+)*")
_HASH = re.compile(r"[0-9a-f]{7,64}\+?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?")
_VARIABLE = re.compile(
    r"LD_PRELOAD|(?:MALLOC|GLIBC|OMP|KMP|MKL|OPENBLAS|VECLIB|ORT|PYTHON)[A-Z_]{1,40}|PYTHONHASHSEED"
)
_SETTING = re.compile(r"[A-Za-z0-9.,:+-]{1,40}")

_NO_SENTENCE = re.compile(r"[\\@/]|[^\x20-\x7e–’×−]")

_PATH = re.compile(r"[\\@]|(?<!\w)/\w|^~")

_OWN_SENTENCES = re.compile(
    r"it has not ended"
    r"|\d+ MiB of anonymous memory (?:before the first step|after step \d+), "
    r"over the limit of \d+ MiB"
    r"|no new sample for [\d.e+]+ s (?:before the first step|after step \d+)"
    r"|ended by SIG[A-Z0-9+]+(?:, not sent from here: the system may have been out of memory)?"
    r"|ended before its last step, with status 0: the workload ended the process"
    r"|ended the process with status \d+(?=, and printed nothing|; it last printed|$)"
)
_RAISED = re.compile(r"([A-Z]\w{0,39}?(?:Error|Exception|Exit|Interrupt|Warning))\b")


def manifest(given: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return a manifest with everything private left out.

    Parameters
    ----------
    given
        A study's.
    names
        Its names.

    Returns
    -------
    dict
        The same structure: plan, versions, machine and hashes are kept; a model is named if it is
        generated or published; a text if it is the lab's own.
    """
    kept: dict[str, Any] = {
        "format": given.get("format"),
        "created": _fitting(_DATE, given.get("created")),
        "command": command(str(given.get("command", "")), given, names),
        "python": None if given.get("python") is None else LEFT_OUT,
        "plan": _plan(given["plan"], names),
        "inputs": _inputs(given.get("inputs", {}), names),
        **_facts(given, names),
    }
    if isinstance(given.get("machines"), dict):
        kept["machines"] = {
            names.machine(label): _facts(facts, names)
            for label, facts in given["machines"].items()
            if isinstance(facts, dict)
        }
    if isinstance(given.get("hypotheses"), dict):
        kept["hypotheses"] = {
            name: each
            for name, each in given["hypotheses"].items()
            if name in HYPOTHESES and not _odd(each, names)
        }
    if "merged" in given:
        kept["merged"] = True
    return kept


def _plan(plan: dict[str, Any], names: Names) -> dict[str, Any]:
    numbers = {name: value for name, value in plan.items() if not list(strings(value))}
    if plan.get("only"):
        numbers["only"] = [_key(key, names) for key in plan["only"]]
    experiments = []
    for item in plan["experiments"]:
        name = names.of("experiment", item["name"])
        levels = [
            {
                **level,
                "name": names.of("condition", level["name"]),
                "python": None if level.get("python") is None else LEFT_OUT,
            }
            for level in item["levels"]
        ]
        experiments.append(
            {
                **item,
                "name": name,
                "levels": levels,
                "question": _question(item, name, names),
                "predictions": {
                    who: what for who, what in item["predictions"].items() if not _odd(what, names)
                },
            }
        )
    return {**numbers, "experiments": experiments}


def _key(key: str, names: Names) -> str:
    experiment, condition, last = key.split("/")
    return f"{names.of('experiment', experiment)}/{names.of('condition', condition)}/{last}"


def _question(item: dict[str, Any], name: str, names: Names) -> str:
    if item["name"] in EXPERIMENTS and not _odd(item["question"], names):
        return str(item["question"])
    return f"Does {name} hold more memory with every {item.get('unit', 'step')}?"


def sentences(value: Any, names: Names) -> Any:
    """Return a structure of numbers and of sentences of the lab's own, as it may be shared.

    Parameters
    ----------
    value
        Findings or answers of a summary.
    names
        The study's names.

    Returns
    -------
    Any
        The same, without a text in which a path, an address or a user's or host's name stands.
    """
    if isinstance(value, str):
        is_told = value in _SENTENCES or not (_PATH.search(value) or names.tells(value))
        return value if is_told else LEFT_OUT
    if isinstance(value, dict):
        return {name: sentences(each, names) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [sentences(each, names) for each in value]
    return value


def _odd(value: Any, names: Names) -> bool:
    """Return whether a sentence, or one in a structure, is none that the catalog could hold."""
    return any(
        text not in _SENTENCES and (bool(_NO_SENTENCE.search(text)) or names.tells(text))
        for text in strings(value)
    )


_SENTENCES = frozenset(
    text
    for item in EXPERIMENTS.values()
    for text in (item.name, item.question, *item.predictions.values())
) | frozenset(text for each in HYPOTHESES.values() for text in strings(vars(each)))


def _inputs(inputs: dict[str, Any], names: Names) -> dict[str, Any]:
    kept: dict[str, Any] = {
        what: _fitting(_HASH, value) for what, value in inputs.items() if what.endswith("_hash")
    }
    for what in ("voice", "recognizer"):
        if what in inputs:
            kept[what] = model(str(inputs[what]), names) or LEFT_OUT
    if "workload" in inputs:
        file = leaf(str(inputs["workload"]))
        kept["workload"] = file if names.is_plain(file) else "workload.py"
    if "texts" in inputs:
        kept["texts"] = [
            {
                "name": text["name"]
                if text["name"] in BUILT_IN.values()
                else f"text {k} of one's own",
                "paragraphs": int(text["paragraphs"]),
                "notes": [],
            }
            for k, text in enumerate(inputs["texts"], start=1)
        ]
    return kept


def _facts(given: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return what a manifest says of a machine and what runs on it."""

    def fact(value: Any) -> Any:
        if value is None or isinstance(value, (int, float)):
            return value
        text = str(value)
        is_kept = _FACT.fullmatch(text) and not names.tells(text) and not AT_HOST.search(text)
        return text if is_kept else LEFT_OUT

    machine = {
        name: fact(value)
        for name, value in (given.get("machine") or {}).items()
        if name in _MACHINE and name != "kernel"
    }
    # What stands behind the number is often somebody's own build, named after a machine.
    kernel = _KERNEL.match(str((given.get("machine") or {}).get("kernel", "")))
    machine["kernel"] = kernel[0] if kernel else LEFT_OUT
    return {
        "machine": machine,
        "versions": {
            name: _fitting(_VERSION, str(version).partition("+")[0])  # "+" names a build
            for name, version in (given.get("versions") or {}).items()
            if names.is_plain(name)
        },
        "environment": {
            name: value if _SETTING.fullmatch(str(value)) and not names.tells(value) else LEFT_OUT
            for name, value in (given.get("environment") or {}).items()
            if _VARIABLE.fullmatch(name)
        },
        "git": None if given.get("git") is None else _fitting(_HASH, given["git"]),
    }


_MACHINE = (
    "system",
    "kernel",
    "cpu",
    "cores",
    "memory",
    "swap",
    "libc",
    "page",
    "transparent_hugepages",
    "aslr",
)


def because(given: str, names: Names) -> str:
    """Return why a run ended, in the lab's own words; what others wrote is left out.

    Parameters
    ----------
    given
        Of the run's result.
    names
        The study's names.
    """
    if not given:
        return ""
    own = _OWN_SENTENCES.match(given)
    if own is not None:
        rest = given[own.end() :]
        return own[0] + ("" if rest in ("", ", and printed nothing") else MESSAGE)
    raised = _RAISED.match(given)
    if raised is not None and not names.tells(raised[0]):
        return f"it raised {raised[0]}{MESSAGE}"
    return f"it failed{MESSAGE}"


MESSAGE = "; its message is left out"


def _fitting(pattern: re.Pattern[str], value: Any) -> str:
    text = str(value)
    return text if pattern.fullmatch(text) else LEFT_OUT
