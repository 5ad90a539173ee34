"""Look at Python's side of a traced run: which objects grew, what holds the largest, what cycles.

Only traced runs are looked at: walking over objects costs time, and touches memory. Objects that
were there before the workload was set up are frozen out of the collector's sight, so what is
counted is what setup and steps made.
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import sys
from collections import Counter, deque
from contextlib import suppress
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

__all__ = [
    "OWN_MODULES",
    "ObjectsProbe",
    "buffers",
    "cycles",
    "grown_containers",
    "growth",
    "sizes",
    "survivors",
]

_SMALLEST = 16 * 1024  # bytes: what counts as a large buffer
_MAX_BUFFERS = 20
_MAX_TYPES = 15
_MAX_SURVIVORS = 5
_MAX_OBJECTS = 300_000  # how far a walk from the workload goes
_MAX_PATH = 12
_MAX_DRAWING_S = 30
_SHORT = 40  # characters of a key
_DEEP = 2  # how far a walk from a module's globals goes
_FEW_ITEMS = 64
OWN_MODULES = {"listen2lab.pipeline", "listen2lab_workload", "__main__"}
"""Modules of the workload; that of its file comes to it."""

_PLAIN = (
    str, bytes, int, float, complex, tuple, type(None),
    FunctionType, BuiltinFunctionType, ModuleType,
)  # fmt: skip
# What holds no container, as most of what modules hold: a trace sees each object that a walk makes.
_CLOSED = (ModuleType, CodeType, FrameType, type)


class ObjectsProbe:
    """Collects what a traced run tells of Python's objects, for ``objects.json`` in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._counts: tuple[str, Counter[str]] | None = None
        self._found: dict[str, Any] = {
            "growth": {}, "buffers": [], "containers": [], "cycles": [], "survivors": [],
            "notes": [],
        }  # fmt: skip
        self._sizes: dict[str, tuple[str, int]] = {}
        self._before: frozenset[int] = frozenset()  # the workload's objects from before its setup

    def belongs_to(self, workload: Any) -> None:
        """Count classes of a workload's own module as its own."""
        OWN_MODULES.add(getattr(workload, "names", {}).get("__name__", "__main__"))

    def phase(self, name: str, workload: object | None = None) -> None:
        """Count types, and look for what a workload holds; it is None after its teardown."""
        try:
            self._look(name, workload)
        except Exception as error:  # noqa: BLE001 - a look is never worth a run
            values = {"phase": name, "message": repr(error)}
            self._found["notes"].append({"code": "objects-not-looked-at", "values": values})

    def _look(self, name: str, workload: object | None) -> None:
        if name == "import":
            self._before = frozenset(map(id, _own_objects()))
        if name == "released":
            self._found["survivors"] = survivors(self._folder, self._before)
            self._found["notes"] += [
                {"code": "no-module-holds", "values": {"type": each["type"]}}
                for each in self._found["survivors"]
                if not each["chain"]
            ]
        if workload is None:
            return
        counts = Counter(_name(type(each)) for each in gc.get_objects())
        if self._counts is not None:
            before, then = self._counts
            self._found["growth"][f"{before} -> {name}"] = growth(then, counts)
        self._counts = (name, counts)
        if name == "setup":
            self._sizes = sizes()
        if name == "end":
            self._found["containers"] = grown_containers(self._sizes, sizes())
            globals_of = {
                module: vars(held)
                for module, held in list(sys.modules.items())
                if _is_own(module) and isinstance(held, ModuleType)
            }
            found = buffers({"workload": workload, **globals_of})
            self._found["buffers"] = found[:_MAX_BUFFERS]
            self._found["buffers_in_all"] = len(found)

    def collect(self) -> int:
        """Collect garbage as after any step, and keep what types were in cycles."""
        found = cycles()
        self._found["cycles"] = found[:_MAX_TYPES]
        return sum(each["objects"] for each in found)

    def write(self) -> None:
        """Write what was found as JSON, in one rename."""
        path = f"{self._folder}/objects.json"
        with open(f"{path}.tmp", "w", encoding="utf-8") as file:
            json.dump(self._found, file, separators=(",", ":"))
        os.replace(f"{path}.tmp", path)


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return by how many objects each type grew, the largest change first."""
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    ranked = sorted(changes.items(), key=lambda item: (-abs(item[1]), item[0]))[:_MAX_TYPES]
    return [
        {"type": name, "objects": more, "now": after.get(name, 0)} for name, more in ranked if more
    ]


def buffers(roots: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the largest buffers that can be reached, each once, with the path that holds it.

    ``path`` is the shortest from a root, as Python would write it; ``holder`` is the path with
    numbers and keys left out, so that like buffers have one holder.
    """
    seen = {id(value) for value in roots.values()}
    queue: deque[tuple[str, str, object, int]] = deque(
        (name, name, value, 0) for name, value in roots.items()
    )
    found: list[dict[str, Any]] = []
    kept = list(roots.values())  # ids stay those of one object each
    while queue and len(seen) < _MAX_OBJECTS:
        path, holder, value, depth = queue.popleft()
        for step, kind, each in _edges(value):
            if id(each) in seen or isinstance(each, _CLOSED):
                continue
            seen.add(id(each))
            kept.append(each)
            size = _buffer_size(each)
            where, who = path + step, holder + kind
            if size is None:
                if depth < _MAX_PATH:
                    queue.append((where, who, each, depth + 1))
            elif size >= _SMALLEST:
                name = type(each).__name__
                found.append({"type": name, "bytes": size, "path": where, "holder": who})
    found.sort(key=lambda each: -int(each["bytes"]))
    return found


def sizes() -> dict[str, tuple[str, int]]:
    """Return type and number of items of each container that a module holds, by where it is.

    In a module's globals, and in what its classes and objects hold; a cache of `functools` counts
    as one. What the lab itself holds is left out.
    """
    found: dict[str, tuple[str, int]] = {}
    seen: set[int] = set()
    for module, held in list(sys.modules.items()):
        is_lab = module.startswith("listen2lab") and not _is_own(module)
        if isinstance(held, ModuleType) and not is_lab:
            for name, value in list(vars(held).items()):
                if not isinstance(value, _PLAIN):
                    with suppress(Exception):  # whatever an object does when it is looked at
                        _count(f"{module}.{name}", value, found, seen, _DEEP)
    return found


def _count(
    path: str, value: object, found: dict[str, tuple[str, int]], seen: set[int], deep: int
) -> None:
    if id(value) in seen or len(seen) > _MAX_OBJECTS:
        return
    seen.add(id(value))
    if (items := _items(value)) is not None:
        found[path] = (type(value).__name__, items)
    own = getattr(value, "__dict__", None) if deep else None
    if isinstance(own, (dict, MappingProxyType)):
        for name, each in list(own.items()):
            if not isinstance(each, _PLAIN):
                _count(f"{path}.{name}", each, found, seen, deep - 1)
    elif deep and isinstance(value, dict) and len(value) <= _FEW_ITEMS:
        for key, each in list(value.items()):
            if not isinstance(each, _PLAIN) and isinstance(key, str):
                _count(f"{path}[{key!r}]", each, found, seen, deep - 1)


def _items(value: object) -> int | None:
    """Return how many items a container has, None for what is none."""
    if isinstance(value, (list, dict, set, deque)):
        return len(value)
    if type(value).__name__ == "_lru_cache_wrapper":
        return int(value.cache_info().currsize)  # type: ignore[attr-defined]
    return None


def grown_containers(
    before: Mapping[str, tuple[str, int]], after: Mapping[str, tuple[str, int]]
) -> list[dict[str, Any]]:
    """Return the containers with more items than before, the largest growth first."""
    more = {path: now[1] - before[path][1] for path, now in after.items() if path in before}
    ranked = sorted((path for path in more if more[path] > 1), key=lambda path: -more[path])
    return [
        {"path": path, "type": after[path][0], "items": after[path][1], "more": more[path]}
        for path in ranked[:_MAX_TYPES]
    ]


def cycles() -> list[dict[str, Any]]:
    """Collect, and return the types of what was garbage only because of reference cycles."""
    flags, already = gc.get_debug(), len(gc.garbage)
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = Counter(_name(type(each)) for each in gc.garbage[already:])
    finally:
        gc.set_debug(flags)
        del gc.garbage[already:]
        gc.collect()
    return [{"type": name, "objects": count} for name, count in found.most_common()]


def survivors(folder: str, before: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    """Return objects of the workload's own classes that are there after its teardown.

    ``chain`` goes from a module to one of them, and is empty where a thread, a C library or a cycle
    holds it; ``picture`` is a file's name, where graphviz drew one. Objects of `before` (ids) are a
    module's constants, and stay.
    """
    alive: dict[str, list[object]] = {}
    for each in _own_objects():
        if id(each) not in before:
            alive.setdefault(_name(type(each)), []).append(each)
    ranked = sorted(alive.items(), key=lambda item: -len(item[1]))[:_MAX_SURVIVORS]
    return [
        {
            "type": name,
            "objects": len(objects),
            "chain": _chain(objects[0]),
            "picture": _picture(objects[0], f"{folder}/kept-{number}.svg"),
        }
        for number, (name, objects) in enumerate(ranked)
    ]


def _own_objects() -> list[object]:
    """Return the objects of the workload's own classes."""
    return [
        each
        for each in gc.get_objects()
        if _is_own(_module_of(type(each))) and not isinstance(each, _CLOSED)
    ]


def _is_own(module: str) -> bool:
    return module in OWN_MODULES or module.startswith("listen2lab.pipeline.")


def _name(kind: type) -> str:
    module = _module_of(kind)
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _module_of(kind: type) -> str:
    module = getattr(kind, "__module__", "")  # some C libraries have something else there
    return module if isinstance(module, str) else "(unknown)"


def _buffer_size(value: object) -> int | None:
    """Return a buffer's bytes, None for what is no buffer."""
    if isinstance(value, (bytes, bytearray, str)):
        return sys.getsizeof(value)
    if _module_of(type(value)) in ("numpy", "array") and hasattr(value, "nbytes"):
        return int(value.nbytes) if getattr(value, "base", None) is None else 0
    if type(value).__name__ == "array":
        return sys.getsizeof(value)
    return None


def _edges(value: object) -> Iterator[tuple[str, str, object]]:
    """Yield what an object refers to: how it is written, that without keys, and the object."""
    if isinstance(value, dict):
        for key, each in list(value.items()):
            text = repr(key)[:_SHORT] if isinstance(key, (str, int, float, tuple)) else "..."
            yield f"[{text}]", "[...]", each
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        fields = [f".{name}" for name in getattr(type(value), "_fields", ())]  # a named tuple's
        for index, each in enumerate(list(value)):
            name = fields[index] if index < len(fields) else ""
            yield name or f"[{index}]", name or "[...]", each
    elif isinstance(value, (MethodType, FunctionType)):
        inner = value.__self__ if isinstance(value, MethodType) else value.__closure__
        if inner is not None:
            yield ".<bound>", ".<bound>", inner
    elif (own := _attributes(value)) is not None:
        for name, each in own:
            yield f".{name}", f".{name}", each
    else:
        for each in gc.get_referents(value):
            yield f".<{type(value).__name__}>", f".<{type(value).__name__}>", each


def _attributes(value: object) -> list[tuple[str, object]] | None:
    """Return an instance's attributes, from its dictionary and its slots."""
    own = getattr(value, "__dict__", None)
    found: list[tuple[str, object]] = list(own.items()) if isinstance(own, dict) else []
    for kind in type(value).__mro__:
        slots: Iterable[str] | str = kind.__dict__.get("__slots__", ())
        names = {slots} if isinstance(slots, str) else {*slots}
        names -= {"__dict__", "__weakref__"}
        found += [(name, getattr(value, name)) for name in sorted(names) if hasattr(value, name)]
    return found or None


def _chain(value: object) -> str:
    """Return how a module holds an object; nothing where none does or objgraph is not there."""
    try:
        import objgraph  # only traced runs
    except ImportError:
        return ""
    chain = objgraph.find_backref_chain(value, objgraph.is_proper_module, max_depth=_MAX_PATH)
    names = [each.__name__ if isinstance(each, ModuleType) else _name(type(each)) for each in chain]
    return " -> ".join(names) if len(names) > 1 else ""


def _picture(value: object, path: str) -> str | None:
    """Draw what refers to an object, where graphviz is installed."""
    if shutil.which("dot") is None:
        return None
    try:
        import subprocess

        import objgraph  # only traced runs

        graph = io.StringIO()
        objgraph.show_backrefs([value], output=graph, max_depth=5, too_many=8)
        done = subprocess.run(
            ["dot", "-Tsvg"], input=graph.getvalue().encode(), capture_output=True,
            check=True, timeout=_MAX_DRAWING_S,
        )  # fmt: skip
        with open(path, "wb") as file:
            file.write(done.stdout)
    except Exception:  # noqa: BLE001 - a picture is never worth a run
        return None
    return os.path.basename(path)
