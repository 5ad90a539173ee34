"""What one stack of a trace is called: by its owner, function, library or line.

Owners come from a table of rules, ``owners.json`` beside this module. A rule of one's own goes
before them: ``{"owner": "my cache", "file": "my_app/cache.py"}``. What no rule names is called by
whom it was allocated for: the innermost package of Python or shared library that is not the
interpreter, the C library or another that allocates for whoever calls it.
"""

from __future__ import annotations

import json
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from listen2lab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.study.trace_records import Trace

__all__ = ["BY", "Frame", "Rule", "Stack", "read_rules", "stacks_of"]

BY = ("owner", "function", "library", "line")
"""What a stack can be named by."""

_TABLE = Path(__file__).with_name("owners.json")
_ALLOCATOR = re.compile(
    r"operator new|malloc|calloc|realloc|_?PyObject_(Malloc|Calloc|Realloc|GC)|_?PyMem_|default_|"
    r"__GI_|posix_memalign|aligned_alloc|mmap|_PyBytes_FromSize|std::|<unknown>|gc_alloc|"
    r"PyDataMem_|absl::|BFCArena::|onnxruntime::Tensor::|onnxruntime::IAllocator|"
    r"\w*(?:[mM]alloc|MALLOC|[cCzZ]alloc|[rR]ealloc)(?:\d*|Zero\w*)$|$"
)
_OPERATOR = re.compile(r"^(?:onnxruntime::)?(?:\w+::)*(\w+?)\d*(?:<.*>)?::Compute(?:Impl)?$")
_FUNCTOR = re.compile(r"functors::(\w+)")
_NO_OPERATOR = {"OpKernel", "SliceBase", "ConvBase", "PoolBase", "ReduceBase"}
_LIBRARIES = (
    ("ONNX Runtime", re.compile(r"onnxruntime|OrtApis|^Ort|\bonnx::|Mlas|google::protobuf")),
    ("sherpa-onnx", re.compile(r"sherpa_onnx|knf::|kaldi|espeak")),
    ("numpy", re.compile(r"^npy_|PyArray_|PyDataMem_|array_")),
)
# For traces whose frames have no library.
_INTERPRETER = re.compile(r"^(\./)?(Objects|Python|Modules|Include|Parser)/|obmalloc\.c$")
_PASSES_ON = re.compile(
    r"Python|lib(c|m|dl|rt|pthread|stdc\+\+|c\+\+|gcc_s|ffi\S*|System\S*)|ld-linux\S*|"
    r"_?ctypes( \(.*\))?|_cffi_backend|libnanobind\S*|memray\..*"
)
_LAB = re.compile(r"listen2lab/(experiment|probes)/|listen2lab/workload\.py$")
_LAB_CALLS = {
    "_run",
    "steps",
    "setup",
    "step",
    "teardown",
    "size",
    "components",
    "_call",
    "<lambda>",
}
# The lab's functions that call the workload.
_STABLE_FRAMES = 5
_SITES = ("site-packages/", "dist-packages/")
_LIBRARY = re.compile(r"site-packages/|dist-packages/|/lib/python[\d.]+/|listen2lab/experiment/")
_STANDARD = re.compile(r"/lib/python[\d.]+/(?!site-packages|dist-packages)(.*)")


class Rule(NamedTuple):
    """One line of the table: the first that fits names the owner.

    Attributes
    ----------
    owner
        The name; ``{operator}`` and ``{package}`` are filled in. Where there is no package, a rule
        that would fill it in does not fit.
    function, file, library, operator
        Regular expressions, searched in each frame's function, each Python frame's file, each
        native frame's shared library, and the model's operator; all that are given must fit.
    """

    owner: str
    function: str | None = None
    file: str | None = None
    library: str | None = None
    operator: str | None = None


def read_rules(path: Path | str | None = None) -> list[Rule]:
    """Read the table of owners in the order of trying: first one's own, from a JSON file."""
    rules = [Rule(**each) for each in json.loads(_TABLE.read_text("utf-8"))]
    if path is None:
        return rules
    try:
        own = [Rule(**each) for each in json.loads(Path(path).read_text("utf-8"))]
        for rule in own:
            for pattern in rule[1:]:
                re.compile(pattern or "")
    except (OSError, ValueError, TypeError, re.error) as error:
        raise InputError(
            f"{path} is no table of owners ({error}); write a JSON list of objects with 'owner' "
            "and 'function', 'file', 'library' or 'operator', each a regular expression"
        ) from error
    return [*own, *rules]


class Frame(NamedTuple):
    """One frame: a line of Python, or a function in a shared library where that is known."""

    function: str
    file: str
    line: int
    library: str = ""

    @property
    def is_python(self) -> bool:
        """Whether it is a line of Python."""
        return self.file.endswith(".py")

    @property
    def part(self) -> str:
        """The package or library for which something is allocated here; "" for the interpreter."""
        if self.is_python:
            return _package_of(self.file)
        return "" if _PASSES_ON.fullmatch(self.library) else self.library


class Stack:
    """One stack of a trace: its frames from the innermost, native and Python's together.

    ``lines`` are Python's own innermost lines, also where the frames do not reach so far.
    """

    def __init__(self, frames: Sequence[Frame], lines: Sequence[Frame]) -> None:
        self.frames = frames
        self.lines = lines

    @cached_property
    def is_the_lab_s(self) -> bool:
        """Whether the lab allocated it, for its own measuring."""
        found = False
        for frame in [*self.frames, *self.lines]:
            if frame.is_python and _LAB.search(frame.file):
                return not (found and frame.function in _LAB_CALLS)
            found = found or bool(frame.part)
        return False

    def name(self, by: str, rules: Sequence[Rule]) -> str:
        """Return what it is called by one of `BY`."""
        if by == "owner":
            return self._owner(rules)
        if by == "line":
            return _line(self.lines[0]) if self.lines else "(no Python line)"
        return self._function() if by == "function" else self._library()

    def caller(self) -> str:
        """Return the innermost line that is no library's, where it is known."""
        python = [frame for frame in [*self.lines, *self.frames] if frame.is_python]
        own = [each for each in python if not _LIBRARY.search(each.file)]
        return _line([*own, *python][0]) if python else "(no Python line)"

    def stable(self) -> list[str]:
        """Return the innermost frames by names that another build or machine has as well."""
        named = [_named(each) for each in self.frames if each.function not in {"", "<unknown>"}]
        return named[:_STABLE_FRAMES]

    @cached_property
    def _operator(self) -> str:
        """The operator of the model in which it was allocated, where a frame tells it."""
        for frame in self.frames:
            if frame.function.endswith("::Compute") and (found := _FUNCTOR.search(frame.function)):
                return found[1]
            if (found := _OPERATOR.match(frame.function)) and found[1] not in _NO_OPERATOR:
                return found[1]
        return ""

    @cached_property
    def _part(self) -> tuple[int, str]:
        """The first frame that is not the interpreter's, and the package or library it is of."""
        for at, frame in enumerate([*self.frames, *self.lines]):
            if part := frame.part:
                return at, part
        return len(self.frames), ""

    def _owner(self, rules: Sequence[Rule]) -> str:
        package = _package(self._part[1])
        frames = [*self.frames, *self.lines]
        for rule in rules:
            if (
                _any(rule.operator, [self._operator])
                and _any(rule.function, [frame.function for frame in frames])
                and _any(rule.file, [frame.file for frame in frames if frame.is_python])
                and _any(rule.library, [frame.library for frame in frames if frame.library])
                and (package or "{package}" not in rule.owner)
            ):
                return rule.owner.format(operator=self._operator, package=package)
        return "(no owner)"

    def _function(self) -> str:
        """Return the function in the part for which it was allocated, or who called that.

        Where the trace knows no libraries, the innermost that does not just allocate.
        """
        at, part = self._part if self._has_libraries else (0, "")
        frames = [*self.frames, *self.lines]
        called = [frame for frame in frames[at:] if not _ALLOCATOR.match(frame.function)]
        inner = [frame for frame in called if frame.part == part]
        if part and inner:
            return _named(inner[0])
        lines = [frame for frame in frames[at:] if frame.is_python]
        if part and lines:
            return f"(called by {_named(lines[0])})"
        plain = [frame for frame in frames if not _ALLOCATOR.match(frame.function)]
        return _named([*plain, *frames, Frame("(no frame)", "", 0)][0])

    def _library(self) -> str:
        if self._has_libraries and self._part[1]:
            return self._part[1]
        for frame in self.frames:
            for library, pattern in _LIBRARIES:
                if pattern.search(frame.function):
                    return library
            if frame.is_python:
                return frame.part
            if frame.library == "Python" or _INTERPRETER.search(frame.file):
                return "Python"
        return next((frame.library for frame in self.frames if frame.library), "(no name)")

    @cached_property
    def _has_libraries(self) -> bool:
        """Whether the trace knows in which library a native frame lies."""
        return any(frame.library for frame in self.frames)


def stacks_of(trace: Trace) -> list[Stack]:
    """Return the stacks of a trace, in its order."""
    library = {k: name for name, frames in trace.libraries.items() for k in frames}
    frames = [Frame(*frame, library.get(k, "")) for k, frame in enumerate(trace.frames)]
    return [
        Stack([frames[k] for k in stack.frames], [frames[k] for k in stack.lines])
        for stack in trace.stacks
    ]


@lru_cache(maxsize=4096)
def _search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _any(pattern: str | None, texts: list[str]) -> bool:
    return pattern is None or any(_search(pattern, text) for text in texts)


def _named(frame: Frame) -> str:
    place = _short_file(frame.file) if frame.is_python else frame.part
    return f"{frame.function} ({place})" if place else frame.function


def _line(frame: Frame) -> str:
    at = f":{frame.line}" if frame.line else ""
    return f"{_short_file(frame.file)}{at} {frame.function}".lstrip()


def _short_file(file: str) -> str:
    """Return a Python file's path from its package on, and nothing of the machine."""
    for mark in _SITES:
        if mark in file:
            return file.partition(mark)[2]
    if "listen2lab/" in file:
        return "listen2lab/" + file.rpartition("listen2lab/")[2]
    if found := _STANDARD.search(file):
        return found[1]
    return file.rpartition("/")[2]


def _package_of(file: str) -> str:
    top, inside, _ = _short_file(file).partition("/")
    if _STANDARD.search(file):
        return f"{top.removesuffix('.py')} (standard library)"
    return top if inside or not any(mark in file for mark in _SITES) else top.removesuffix(".py")


def _package(part: str) -> str:
    """Return the package of a part: ``numpy`` of ``numpy._core._multiarray_umath``."""
    return part if part.endswith((")", ".py")) else part.partition(".")[0]
