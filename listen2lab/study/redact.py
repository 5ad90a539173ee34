"""What may leave the machine: every record with each private string left out, by its field's type.

Nothing is searched for and struck out: a string is kept only if its field is public, or if it has
the shape that its field may have and names nobody. See `listen2lab.privacy` for the rules.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import platform
import re
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, cast

import msgspec

from listen2lab.notice import VALUE_RULES, Notice
from listen2lab.pipeline.knobs import Knobs
from listen2lab.study.data import StudyData
from listen2lab.study.plan import Experiment
from listen2lab.study.records import ARGUMENT_RULES, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from listen2lab.study.records import Manifest
    from listen2lab.study.trace_records import Objects, Trace

__all__ = ["LEFT_OUT", "PublicNames", "RedactedStudy", "Redaction", "leaf"]

LEFT_OUT = "(left out)"
"""What stands where something was left out."""

T = TypeVar("T")

_PUBLISHED = re.compile(r"(?:vits-piper-)?[a-z]{2,3}_[A-Z]{2}-\w{2,20}-(?:x_low|low|medium|high)")
_AT_HOST = re.compile(r"(?<![\w.+-])([\w.+-]+)@([\w-]+)")  # looked for once in a long word
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}(?: [A-Za-z0-9_.+-]{1,20}){0,2}")
_HOMES = re.compile(r"(?:/home/|[\\/]Users[\\/]+|[\\/]Documents and Settings[\\/]+)([^\\/\s'\"]+)")
_HOST = re.compile(r"\b\w+://(?:[^\s/@]*@)?([\w-]+)")
_FACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()@.,_+:-]{0,79}")
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:(?:a|b|rc|\.post|\.dev)\d+)*|[0-9a-f]{7,64}\+?")
_KERNEL = re.compile(r"\d+(?:\.\d+)+(?:-\d+(?=\D|$))?")
_INSTALLED = re.compile(
    r"(?:/lib/python[\d.]+/(?:(?:site|dist)-packages/)?|(?:site|dist)-packages/|\blisten2lab/(?:experiment|models|pipeline|probes|texts)/)"
    r"[A-Za-z0-9_./+-]+\.py$"
)
_NO_SENTENCE = re.compile(r"[\\@/]|[^\x20-\x7e–’×−]")
_OWN_LABEL = re.compile(r"machine-\d{1,4}")
_NO_FUNCTION = frozenset("/\\@\"';")
# So many people's, or a word of the lab's own: to look for them says nothing.
_NOBODY = frozenset(
    (
        *("admin", "app", "debian", "home", "listen2lab", "localhost", "medium", "root", "runner"),
        *("share", "shared", "step", "tiny", "ubuntu", "user", "users", "workload"),
    )
)


class PublicNames(NamedTuple):
    """Names and sentences that everyone has: the lab's own, and those of published models."""

    names: frozenset[str] = frozenset()
    """Of experiments and conditions."""
    experiments: frozenset[str] = frozenset()
    """Of the lab's experiments, whose words are public, too."""
    sentences: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()


class Redaction:
    """Leaves private strings out of the records of one study, always the same for the same thing.

    Names of users and hosts are looked for in all of its manifest; what is `public`, everyone has.
    """

    def __init__(self, manifest: Manifest, public: PublicNames) -> None:
        self._public = public
        self._ours = public.names | public.experiments | {*Knobs._fields, "this", "against"}
        self._telling = _telling(_strings(msgspec.to_builtins(manifest)))
        for label in manifest.machines:  # one that somebody else gave may be a host's name
            if not _OWN_LABEL.fullmatch(label) and len(label) > 2:
                self._telling |= {label.lower()} - _NOBODY
        self._given: dict[str, dict[str, str]] = {}
        self._rules: dict[str, Callable[[str], str]] = {
            "public": str,
            "private": lambda _text: LEFT_OUT,
            "fact": self._fact,
            "version": self._version,
            **{
                kind: functools.partial(self.name, kind)
                for kind in ("experiment", "condition", "component")
            },
            "machine": self.machine,
            "run": self._run,
            "function": self._function,
            "source": self._source,
            "model": self._model,
            "text": self._text,
            "workload": self._workload,
            "sentence": self._sentence,
        }

    def record(self, record: T) -> T:
        """Return a record (or a tuple, list or dict of records) as it may be shared."""
        return cast("T", self._value(record, type(record)))

    def name(self, kind: str, name: str) -> str:
        """Return the name under which something is shared."""
        if name in self._ours or (_PLAIN.fullmatch(name) and not self.tells(name)):
            return name
        given = self._given.setdefault(kind, {})
        return given.setdefault(name, f"{kind}-{len(given) + 1}")

    def text(self, kind: str, text: str) -> str:
        """Return what some evidence calls something: names of a study's, other plain ones."""
        if kind in {"experiment", "condition"}:
            return self.name(kind, text)
        is_plain = text.isascii() and text.isprintable() and not set(text) & set("/\\@~")
        return text if is_plain and not self.tells(text) else LEFT_OUT

    def tells(self, text: str) -> bool:
        """Return whether a user's or a machine's name stands in a text."""
        low = text.lower()
        return any(name in low for name in self._telling)

    def _value(self, value: Any, declared: Any) -> Any:  # noqa: PLR0911 - a case a line
        """Apply the rule of a declared type to a value."""
        if isinstance(value, Notice):
            return Notice(value.code, self._named(value.values, VALUE_RULES))
        if isinstance(value, Experiment):
            return self._experiment(value)
        if isinstance(value, Call):
            arguments = self._named(value.arguments, ARGUMENT_RULES)
            return msgspec.structs.replace(value, arguments=arguments)
        if isinstance(value, msgspec.Struct):
            return self._struct(value)
        if isinstance(value, str):
            rule = _rule(declared)
            return self._rules[rule](value) if rule else value
        if isinstance(value, dict):
            key, item = _arguments(declared, dict, 2)
            return {self._value(k, key): self._value(v, item) for k, v in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            hints = _hints(type(value))
            named = zip(value._fields, value, strict=True)
            return type(value)(*(self._value(item, hints[name]) for name, item in named))
        if isinstance(value, (list, tuple)):
            kinds = _arguments(declared, type(value), 1)
            if Ellipsis in kinds or len(kinds) != len(value):  # not one type for each item
                kinds = kinds[:1] * len(value)
            return type(value)(self._value(v, k) for v, k in zip(value, kinds, strict=True))
        return value

    def _struct(self, record: msgspec.Struct) -> msgspec.Struct:
        shared = {
            name: self._value(getattr(record, name), declared)
            for name, declared in _hints(type(record)).items()
        }
        return msgspec.structs.replace(record, **shared)

    def _experiment(self, item: Experiment) -> Experiment:
        """Share an experiment; its question stays unless it, or the name, tells of somebody."""
        shared = cast("Experiment", self._struct(item))
        if item.name == shared.name and not self._odd(item.question):
            return msgspec.structs.replace(shared, question=item.question)
        question = f"Does {shared.name} hold more memory with every {shared.unit}?"
        return msgspec.structs.replace(shared, question=question)

    def _named(self, values: Mapping[str, Any], rules: Mapping[str, str]) -> dict[str, Any]:
        """Share values each by the rule of its name; what has none is left out whole."""
        shared = {}
        for name, value in values.items():
            rule = self._rules[rules.get(name, "private")]
            several = value if isinstance(value, list) else [value]
            kept = [rule(each) if isinstance(each, str) else each for each in several]
            shared[name] = kept if isinstance(value, list) else kept[0]
        return shared

    def _fact(self, text: str) -> str:
        if kernel := _KERNEL.match(text):  # behind it is often a build named after a machine
            return kernel[0] if "." in kernel[0] else text
        is_kept = _FACT.fullmatch(text) and not self.tells(text) and not _AT_HOST.search(text)
        return text if is_kept else LEFT_OUT

    def _version(self, text: str) -> str:
        kept = text if re.fullmatch(r"[0-9a-f]{7,64}\+", text) else text.partition("+")[0]
        return kept if _VERSION.fullmatch(kept) else LEFT_OUT

    def machine(self, label: str) -> str:
        """Return a machine's label as it is shared."""
        return label if _OWN_LABEL.fullmatch(label) else self.name("host", f"{label} ")

    def _run(self, key: str) -> str:
        parts = key.split("/")
        kinds = ("experiment", "condition")
        named = [self.name(kind, part) for kind, part in zip(kinds, parts, strict=False)]
        return "/".join([*named, *parts[2:3]])

    def _function(self, text: str) -> str:
        is_name = text.isascii() and not set(text) & _NO_FUNCTION
        return text if is_name and not self.tells(text) else LEFT_OUT

    def _source(self, text: str) -> str:
        found = _INSTALLED.search(text)
        if found and not self.tells(found[0]):
            return found[0]
        return f"{LEFT_OUT}.py" if text.endswith(".py") else LEFT_OUT if text else ""

    def _model(self, text: str) -> str:
        name = leaf(text)
        if name in self._public.models:  # a folder of that name is somebody's own
            return name if text == name or _PUBLISHED.fullmatch(name) else LEFT_OUT
        return name if _PUBLISHED.fullmatch(name) and not self.tells(name) else LEFT_OUT

    def _text(self, text: str) -> str:
        return text if text in self._public.texts else self.name("text", f"{text} ")

    def _workload(self, text: str) -> str:
        name = leaf(text)
        return name if _PLAIN.fullmatch(name) and not self.tells(name) else "workload.py"

    def _sentence(self, text: str) -> str:
        return LEFT_OUT if self._odd(text) else text

    def _odd(self, text: str) -> bool:
        """Return whether a sentence is none that the catalog could hold."""
        return text not in self._public.sentences and (
            bool(_NO_SENTENCE.search(text)) or self.tells(text)
        )


class RedactedStudy(StudyData):
    """A study as it may be shared: the same tables and numbers, everything private left out."""

    def __init__(self, study: StudyData, public: PublicNames) -> None:
        self.redaction = Redaction(study.manifest, public)
        self._study = study
        manifest = self.redaction.record(study.manifest)
        self._original = {
            (item.name, level.name): (was.name, level_was.name)
            for item, was in zip(manifest.plan.experiments, study.plan.experiments, strict=True)
            for level, level_was in zip(item.levels, was.levels, strict=True)
        }
        super().__init__(
            study.folder,
            manifest,
            self.redaction.record(study.damage),
            lambda: (self._runs(study.runs), self._renamed(study.samples)),
        )

    def trace(self, experiment: str, condition: str) -> Trace | None:
        """As `StudyData.trace`; files of installed packages and plain functions are named."""
        trace = self._study.trace(*self._original[experiment, condition])
        return None if trace is None else self.redaction.record(trace)

    def objects(self, experiment: str, condition: str) -> Objects | None:
        """As `StudyData.objects`."""
        objects = self._study.objects(*self._original[experiment, condition])
        return None if objects is None else self.redaction.record(objects)

    def _runs(self, runs: pd.DataFrame) -> pd.DataFrame:
        shared = self._renamed(runs)
        shared["why"] = [each and self.redaction.record(each) for each in runs["why"]]
        shared["message"] = [each and LEFT_OUT for each in runs["message"]]
        shared["machine"] = runs["machine"].map(self.redaction.machine, na_action="ignore")
        return shared

    def _renamed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with names of experiments, conditions and parts as they may be shared."""
        shared = frame.copy(deep=False)
        for column in ("experiment", "condition"):
            names = {str(x): self.redaction.name(column, str(x)) for x in shared[column].unique()}
            shared[column] = shared[column].map(names)
        parts = {name: name.partition(".") for name in shared.columns}
        return shared.rename(
            columns={
                name: f"{kind}.{self.redaction.name(kind, rest)}"
                for name, (kind, dot, rest) in parts.items()
                if dot and kind != "account"  # whose parts the lab itself has named
            }
        )


@functools.cache
def _hints(record: type) -> dict[str, Any]:
    return typing.get_type_hints(record, include_extras=True)


def _alternatives(declared: Any) -> list[Any]:
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return [x for each in typing.get_args(declared) for x in _alternatives(each)]
    return [declared]


def _rule(declared: Any) -> str | None:
    """Return the rule for strings of a declared type; private where it declares several."""
    found = []
    for each in _alternatives(declared):
        if typing.get_origin(each) is Annotated and each.__origin__ is str:
            found += [
                meta.extra["share"]
                for meta in each.__metadata__
                if isinstance(meta, msgspec.Meta) and meta.extra and "share" in meta.extra
            ]
        elif each is str:
            found.append("private")
    return found[0] if len(set(found)) == 1 else "private" if found else None


def _arguments(declared: Any, kind: type, count: int) -> list[Any]:
    """Return what a container's type says of what is in it."""
    for each in _alternatives(declared):
        if typing.get_origin(each) is kind:
            return list(typing.get_args(each))
    return [str] * count


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _telling(texts: Iterable[str]) -> set[str]:
    """Return users' and hosts' names: this machine's, and those that stand in some texts."""
    found = {platform.node(), platform.node().split(".")[0], Path.home().name}
    with contextlib.suppress(KeyError, OSError):  # a user without a name, as in some containers
        found.add(getpass.getuser())
    for text in texts:
        found.update(_HOMES.findall(text))
        found.update(name for pair in _AT_HOST.findall(text) for name in pair)
        found.update(_HOST.findall(text))
    return {name.lower() for name in found if len(name) > 2} - _NOBODY


def leaf(path: str) -> str:
    """Return the last part of a path of any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
