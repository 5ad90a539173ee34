"""Who holds it: the rows of a trace, grouped by owner, function, library or line.

Owners come from a table of rules, ``owners.json`` beside this module. A rule of one's own goes
before them: ``{"owner": "my cache", "file": "my_app/cache.py"}``.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from listen2lab.account.traces import NOT_FREED, PEAK
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.study.trace_records import Moment, Trace

__all__ = [
    "BY", "SMALL_STACKS", "Rule", "arena_note", "by_moment", "fingerprints", "growth", "holders",
    "moment_of", "new_since", "read_rules",
]  # fmt: skip

BY = ("owner", "function", "library", "line")
"""What `holders` can group by."""

SMALL_STACKS = "(small stacks)"
"""Who holds what stands in stacks that are too small to be kept."""

_TABLE = Path(__file__).with_name("owners.json")
_ALLOCATOR = re.compile(
    r"operator new|malloc|calloc|realloc|_?PyObject_(Malloc|Calloc|Realloc|GC)|_?PyMem_|default_|"
    r"__GI_|posix_memalign|aligned_alloc|mmap|_PyBytes_FromSize|std::|<unknown>|gc_alloc|"
    r"PyDataMem_|absl::|BFCArena::|onnxruntime::Tensor::|onnxruntime::IAllocator"
)
_OPERATOR = re.compile(r"^(?:onnxruntime::)?(?:\w+::)*(\w+?)\d*(?:<.*>)?::Compute(?:Impl)?$")
_FUNCTOR = re.compile(r"functors::(\w+)")
_NO_OPERATOR = {"OpKernel", "SliceBase", "ConvBase", "PoolBase", "ReduceBase"}
_LIBRARIES = (
    ("ONNX Runtime", re.compile(r"onnxruntime|OrtApis|^Ort|\bonnx::|Mlas|google::protobuf")),
    ("sherpa-onnx", re.compile(r"sherpa_onnx|knf::|kaldi|espeak")),
    ("numpy", re.compile(r"^npy_|PyArray_|PyDataMem_|array_")),
)
_INTERPRETER = re.compile(r"^(\./)?(Objects|Python|Modules|Include|Parser)/|obmalloc\.c$")
_STABLE_FRAMES = 5
_STEP = r"step (\d+)"


class Rule(NamedTuple):
    """One line of the table: the first that fits names the owner.

    Attributes
    ----------
    owner
        The name; ``{operator}`` and ``{package}`` are filled in.
    function, file, operator
        Regular expressions, searched in each frame's function, each Python frame's file, and the
        model's operator; all that are given must fit.
    innermost
        Only the innermost frame that is no allocator counts.
    """

    owner: str
    function: str | None = None
    file: str | None = None
    operator: str | None = None
    innermost: bool = False


def read_rules(path: Path | str | None = None) -> list[Rule]:
    """Read the table of owners in the order of trying: first one's own, from a JSON file."""
    rules = [Rule(**each) for each in json.loads(_TABLE.read_text("utf-8"))]
    if path is None:
        return rules
    try:
        own = [Rule(**each) for each in json.loads(Path(path).read_text("utf-8"))]
        for rule in own:
            for pattern in (rule.function, rule.file, rule.operator):
                re.compile(pattern or "")
    except (OSError, ValueError, TypeError, re.error) as error:
        raise InputError(
            f"{path} is no table of owners ({error}); write a JSON list of objects with 'owner' "
            "and 'function', 'file' or 'operator', each a regular expression"
        ) from error
    return [*own, *rules]


def holders(
    trace: Trace, at: str = PEAK, by: str = "owner", *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return who held the heap at one moment.

    A step that was not kept stands for the nearest before. One row each: the name in the column
    `by` (one of `BY`), ``bytes``, ``blocks`` and ``share`` of the moment's heap, the largest first;
    what stands in small stacks comes last, so that the bytes add up.
    """
    moment = moment_of(trace, at)
    frame = _ranked(trace, trace.live(moment.name), moment.bytes, by, rules)
    frame["share"] = frame["bytes"] / max(1, moment.bytes)
    return frame


def growth(
    trace: Trace,
    since: str,
    until: str,
    by: str = "owner",
    *,
    rules: Sequence[Rule] | None = None,
) -> pd.DataFrame:
    """Return what grew between two moments; a step that was not kept stands for the nearest before.

    One row each: the name in the column `by` (one of `BY`), ``bytes``, ``blocks`` and ``share`` of
    all that grew, the largest growth first, what shrank after it (below 0); growth of small stacks
    comes last, so that the bytes add up to the growth of the heap. What did not change has no row.
    """
    first, last = moment_of(trace, since), moment_of(trace, until)
    before, after = trace.live(first.name), trace.live(last.name)
    nothing = (0, 0)
    changed = {
        stack: (after.get(stack, nothing)[0] - before.get(stack, nothing)[0],
                after.get(stack, nothing)[1] - before.get(stack, nothing)[1])
        for stack in {**before, **after}
    }  # fmt: skip
    frame = _ranked(trace, changed, last.bytes - first.bytes, by, rules)
    frame = frame[(frame["bytes"] != 0) | (frame["blocks"] != 0)].reset_index(drop=True)
    frame["share"] = frame["bytes"] / max(1, frame["bytes"].clip(lower=0).sum())
    return frame


def _ranked(
    trace: Trace,
    held: dict[int, tuple[int, int]],
    total: int,
    by: str,
    rules: Sequence[Rule] | None,
) -> pd.DataFrame:
    """Group bytes and blocks of stacks by name, the largest first; what is left of all, last."""
    if by not in BY:
        raise UnknownNameError("grouping", by, BY)
    table = read_rules() if rules is None else rules
    rows = [
        (_Stack(trace, stack).name(by, table), size, blocks)
        for stack, (size, blocks) in held.items()
    ]
    frame = _summed(rows, [by])
    if rest := total - sum(size for size, _ in held.values()):
        others = pd.DataFrame([(SMALL_STACKS, rest, 0)], columns=frame.columns)
        frame = pd.concat([frame, others], ignore_index=True)
    return frame


def by_moment(
    trace: Trace, by: str = "owner", *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return who held the heap at every moment.

    Returns
    -------
    DataFrame
        One row a moment, in the order of time, named as in the trace; one column a name, in bytes,
        `SMALL_STACKS` last: they add up to the heap.
    """
    if by not in BY:
        raise UnknownNameError("grouping", by, BY)
    table = read_rules() if rules is None else rules
    names = [_Stack(trace, number).name(by, table) for number in range(len(trace.stacks))]
    rows = []
    for moment, live in trace.walk():
        row = dict.fromkeys(names, 0)
        for stack, (size, _) in live.items():
            row[names[stack]] += size
        rows.append({**row, SMALL_STACKS: moment.bytes - sum(row.values())})
    index = pd.Index([moment.name for moment in trace.moments], name="moment")
    return pd.DataFrame(rows, index=index)


def _summed(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Add up bytes and blocks of what has the same names, the largest first."""
    frame = pd.DataFrame(rows, columns=[*names, "bytes", "blocks"])
    sums = frame.groupby(names, sort=False, as_index=False).sum()
    return sums.sort_values("bytes", ascending=False, kind="stable", ignore_index=True)


def fingerprints(
    trace: Trace, at: str = NOT_FREED, *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return what is live at a moment by fingerprint: an owner and the frames that stay the same.

    Line numbers, addresses and compilers' suffixes are not in a fingerprint, so that the same leak
    has the same one in another study, on another machine or with another version.

    ``fingerprint`` (ten hexadecimal digits), ``owner``, ``frames`` (from the innermost), ``bytes``
    and ``blocks``, the largest first; empty where a capture was cut before the end and nobody knows
    what was never freed.
    """
    table = read_rules() if rules is None else rules
    rows: list[tuple[Any, ...]] = []
    for number, (size, blocks) in trace.live(at).items():
        stack = _Stack(trace, number)
        owner, frames = stack.name("owner", table), stack.stable()
        digest = hashlib.sha256("\n".join([owner, *frames]).encode()).hexdigest()[:10]
        rows.append((digest, owner, " < ".join(frames), size, blocks))
    return _summed(rows, ["fingerprint", "owner", "frames"])


def new_since(now: pd.DataFrame, then: pd.DataFrame) -> pd.DataFrame:
    """Mark the fingerprints (``new``, ``bytes_then``) that another study did not have."""
    known = then.set_index("fingerprint")["bytes"]
    before = now["fingerprint"].map(known).fillna(0).astype(int)
    return now.assign(bytes_then=before, new=~now["fingerprint"].isin(known.index))


def arena_note(trace: Trace, at: str = PEAK) -> Notice | None:
    """Return what the engine's arena hides from a trace; None where it hides nothing.

    ``arena-hides-operators`` (``hidden``, ``heap``, bytes): it is charged to whichever operator
    made it grow, not to the one that uses it.
    """
    moment = moment_of(trace, at)
    hidden = sum(
        size
        for stack, (size, _) in trace.live(moment.name).items()
        if any("BFCArena::" in name for name, _, _ in _Stack(trace, stack).frames)
    )
    if not hidden:
        return None
    return Notice("arena-hides-operators", {"hidden": hidden, "heap": moment.bytes})


def moment_of(trace: Trace, at: str) -> Moment:
    """Return a moment of a trace; a step that was not kept stands for the nearest before."""
    moments = {moment.name: moment for moment in trace.moments}
    if at in moments:
        return moments[at]
    if wanted := re.fullmatch(_STEP, at):
        steps = {int(found[1]): name for name in moments if (found := re.fullmatch(_STEP, name))}
        if before := [step for step in steps if step <= int(wanted[1])]:
            return moments[steps[max(before)]]
    raise UnknownNameError("moment of this trace", at, moments)


class _Stack:
    """One stack of a trace."""

    def __init__(self, trace: Trace, number: int) -> None:
        stack = trace.stacks[number]
        self.frames = [trace.frames[k] for k in stack.frames]
        self.lines = [trace.frames[k] for k in stack.lines]

    def name(self, by: str, rules: Sequence[Rule]) -> str:
        if by == "owner":
            return self._owner(rules)
        if by == "line":
            function, file, line = self.lines[0] if self.lines else ("(no Python line)", "", 0)
            where = f"{_short_file(file)}:{line}" if line else _short_file(file)
            return f"{where} {function}".lstrip()
        return self._named(self._inner()) if by == "function" else self._library()

    def operator(self) -> str | None:
        """Return the operator of the model in which it was allocated, where a frame tells it."""
        for name, _, _ in self.frames:
            if name.endswith("::Compute") and (match := _FUNCTOR.search(name)):
                return match[1]
            if (match := _OPERATOR.match(name)) and match[1] not in _NO_OPERATOR:
                return match[1]
        return None

    def stable(self) -> list[str]:
        """Return the innermost frames by names that another build or machine has as well."""
        named = [self._named(frame) for frame in self.frames if frame[0] not in {"", "<unknown>"}]
        return named[:_STABLE_FRAMES]

    def _named(self, frame: tuple[str, str, int]) -> str:
        name, file, _ = frame
        return f"{name} ({_short_file(file)})" if file.endswith(".py") else name

    def _owner(self, rules: Sequence[Rule]) -> str:
        operator = self.operator()
        inner = self._inner()
        for rule in rules:
            frames = [inner] if rule.innermost else [*self.frames, *self.lines]
            if (
                _any(rule.operator, [operator or ""])
                and _any(rule.function, [function for function, _, _ in frames])
                and _any(rule.file, [file for _, file, _ in frames if file.endswith(".py")])
            ):
                files = [file for _, file, _ in self.lines if file.endswith(".py")]
                package = _package_of(files[0]) if files else "(no Python line)"
                return rule.owner.format(operator=operator, package=package)
        return "(no owner)"

    def _inner(self) -> tuple[str, str, int]:
        """Return the innermost frame that is no allocator and has a name."""
        plain = [frame for frame in self.frames if not _ALLOCATOR.match(frame[0])]
        return plain[0] if plain else (self.frames[0] if self.frames else ("(no frame)", "", 0))

    def _library(self) -> str:
        for name, file, _ in self.frames:
            for library, pattern in _LIBRARIES:
                if pattern.search(name):
                    return library
            if file.endswith(".py"):
                return _package_of(file)
            if _INTERPRETER.search(file):
                return "Python"
        return "(no name)"


@lru_cache(maxsize=4096)
def _search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _any(pattern: str | None, texts: list[str]) -> bool:
    return pattern is None or any(_search(pattern, text) for text in texts)


def _short_file(file: str) -> str:
    """Return a Python file's path from its package on, and nothing of the machine."""
    for mark in ("site-packages/", "dist-packages/"):
        if mark in file:
            return file.partition(mark)[2]
    if "listen2lab/" in file:
        return "listen2lab/" + file.rpartition("listen2lab/")[2]
    if match := re.search(r"/lib/python[\d.]+/(.*)", file):
        return match[1]
    return file.rpartition("/")[2]


def _package_of(file: str) -> str:
    if "/" not in (short := _short_file(file)):
        return short
    if not any(mark in file for mark in ("site-packages/", "dist-packages/", "listen2lab/")):
        return "Python's library"
    return short.partition("/")[0]
