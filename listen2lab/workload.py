"""The workload protocol: what the lab steps and measures, the pipeline or anyone's own file."""

from __future__ import annotations

import sys

from listen2lab.errors import WorkloadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol
else:
    Protocol = object  # typing would weigh half a mebibyte in what is measured

__all__ = [
    "Workload", "load_file", "load_functions", "plain", "plain_components", "plain_number",
]  # fmt: skip

LONGEST = 4000
"""Characters of a text that are kept: an exception may quote all that it was given."""

_LONGEST_NAME = 200
_MOST_NAMES = 300
_INFINITE = float("inf")
_DEEPEST = 8
_NAMES = ("setup", "step", "teardown", "size", "components", "enter")


class Workload(Protocol):
    """What a worker needs of a workload.

    A file of one's own defines the same as functions at module level; only ``step`` is required
    there. ``setup``, ``step`` and ``teardown`` may be coroutines.
    """

    def setup(self) -> None:
        """Load what must be there before the first step."""

    def step(self, i: int) -> Mapping[str, Any] | None:
        """Do one unit of work; may return facts about it (JSON values) for the sample."""

    def teardown(self) -> None:
        """Drop everything that was set up."""

    def size(self, i: int) -> float | None:
        """Return the size of step ``i``'s input, the covariate; None if it has none."""

    def components(self) -> Mapping[str, int]:
        """Return the bytes that the workload knows it holds, by name."""

    def enter(self, phase: str) -> None:
        """Do what an experiment asks for after its steps, by name."""


class _Functions:
    """Somebody's functions by name, with the optional ones filled in; ``names``: their module's."""

    def __init__(self, functions: Mapping[str, Any], names: Mapping[str, Any]) -> None:
        self.size: Callable[[int], float | None] = functions.get("size") or (lambda _i: None)
        self.components: Callable[[], Mapping[str, int]] = functions.get("components") or dict
        self.enter: Callable[[str], None] = functions.get("enter") or (lambda _phase: None)
        self.names = names
        self._functions = functions
        self._loop: AbstractEventLoop | None = None

    def setup(self) -> None:
        self._call("setup")

    def step(self, i: int) -> Any:
        return self._call("step", i)

    def teardown(self) -> None:
        self._call("teardown")
        if self._loop is not None:
            _close(self._loop)

    def _call(self, name: str, *arguments: int) -> Any:
        """Call a function if it is there; a coroutine goes to its end, all in one loop."""
        function = self._functions.get(name)
        found = None if function is None else function(*arguments)
        if found is None or not hasattr(found, "__await__"):
            return found
        if self._loop is None:
            import asyncio  # only where it is used: it weighs some mebibytes

            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(found)


def _close(loop: AbstractEventLoop) -> None:
    """End a loop as `asyncio.run` does."""
    import asyncio

    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def plain_number(value: Any, what: str) -> float | None:
    """Return a number that can be stored; None where it is infinite, or no number at all (NaN).

    Raises
    ------
    WorkloadError
        It is of another type: no number was meant.
    """
    if value is None or isinstance(value, bool):
        return value
    try:
        if not isinstance(value, (str, bytes)):
            size = abs(float(value))
            return (value if isinstance(value, int) else float(value)) if size < _INFINITE else None
    except OverflowError:
        return None
    except (TypeError, ValueError):
        pass
    raise WorkloadError(
        f"{what} is {type(value).__name__}, and must be a number or None; see to the workload"
    )


def plain_components(given: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what ``components()`` said as it can be stored: names to bytes."""
    found = dict(given)
    if len(found) > _MOST_NAMES:
        raise WorkloadError(f"components() names {len(found):,}; at most {_MOST_NAMES:,} are kept")
    names = {name: str(name)[:_LONGEST_NAME] for name in found}
    return {
        name: plain_number(found[given_name], f"components()[{name!r}]")
        for given_name, name in names.items()
    }


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON can hold it and every reader takes it.

    Texts are cut, and half characters (lone surrogates) written out; numbers that are infinite or
    none become None; what is too deep becomes a text.
    """
    found = value
    if isinstance(value, str):
        cut = value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value):,} characters)"
        found = cut.encode("utf-8", "backslashreplace").decode()
    elif isinstance(value, float):
        found = float(value) if abs(value) < _INFINITE else None
    elif isinstance(value, int):
        found = value if abs(value) < 2**63 else None
    elif depth < _DEEPEST and hasattr(value, "keys"):
        names = list(value)[:_MOST_NAMES]
        found = {plain(str(name)[:_LONGEST_NAME]): plain(value[name], depth + 1) for name in names}
    elif depth < _DEEPEST and isinstance(value, (list, tuple)):
        found = [plain(each, depth + 1) for each in value[:_MOST_NAMES]]
    elif value is not None:
        try:
            found = plain(float(value))  # a number of numpy's, or of another library
        except (TypeError, ValueError, OverflowError):
            found = plain(repr(value))
    return found


def load_file(path: str) -> Workload:
    """Load a workload from a Python file with ``step(i)``.

    Parameters
    ----------
    path
        The file. Its folder is put first on ``sys.path``, as Python does for a script, and its
        module is named as an import would: what it starts afresh (workers of `multiprocessing`)
        finds its functions.

    Returns
    -------
    Workload
        The file's functions; all but ``step`` are optional in it.

    Raises
    ------
    WorkloadError
        The file is missing, has a syntax error, raises while it is imported, or lacks ``step``.
    """
    import importlib.util  # the pipeline's own runs do not need it
    import os.path

    where = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(where))[0]
    if name in sys.modules or name in sys.stdlib_module_names:
        name = "listen2lab_workload"
    spec = importlib.util.spec_from_file_location(name, where)
    if spec is None or spec.loader is None:
        raise WorkloadError(f"{path} is not a Python file; give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.dirname(where))
    sys.modules[spec.name] = module  # pickle and dataclasses look it up there
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if error.filename != where:
            raise WorkloadError(f"{path} raised while it was imported: {error!r}") from error
        raise WorkloadError(f"there is no workload file {path}") from error
    except SyntaxError as error:
        raise WorkloadError(f"{path}, line {error.lineno}: syntax error: {error.msg}") from error
    except Exception as error:
        raise WorkloadError(f"{path} raised while it was imported: {error!r}") from error
    functions = {each: found for each in _NAMES if callable(found := getattr(module, each, None))}
    if "step" not in functions:
        raise WorkloadError(f"{path} defines no function step; a workload has step(i)")
    return _Functions(functions, vars(module))


def load_functions(path: str) -> Workload:
    """Load functions that `listen2lab.experiment.functions.pickled` has kept.

    Parameters
    ----------
    path
        The pickle. It is executed: the caller knows that this user, here, has written it.

    Returns
    -------
    Workload
        What the functions return is dropped; in a file, it would be facts about the step.

    Raises
    ------
    WorkloadError
        What they refer to is not there in a fresh process.
    """
    import pickle

    with open(path, "rb") as file:
        kept = pickle.load(file)  # noqa: S301 - this user's own
    sys.path[:0] = [folder for folder in kept["folders"] if folder not in sys.path]
    try:
        functions = pickle.loads(kept["functions"])  # noqa: S301 - this user's own
    except Exception as error:
        raise WorkloadError(
            f"the function cannot be loaded in a fresh process: {error!r}; import what it needs "
            "within it, or put it into a file and watch that"
        ) from error
    step = functions["step"]
    given = {**functions, "step": step if kept["takes_number"] else lambda _i: step()}
    return _Dropping(given, getattr(step, "__globals__", {}))


class _Dropping(_Functions):
    """Functions of which nothing is kept but what they keep themselves."""

    def step(self, i: int) -> None:
        self._call("step", i)
