"""The workload protocol: what the lab steps and measures, the pipeline or anyone's own file."""

from __future__ import annotations

import sys

from listen2lab.errors import WorkloadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any, Protocol
else:
    Protocol = object  # typing would weigh half a mebibyte in what is measured

__all__ = ["Workload", "load_file", "plain", "plain_components", "plain_number"]

LONGEST = 4000
"""Characters of a text that are kept: an exception may quote all that it was given."""

_LONGEST_NAME = 200
_MOST_NAMES = 300
_INFINITE = float("inf")
_DEEPEST = 8


class Workload(Protocol):
    """What a worker needs of a workload.

    A file of one's own defines the same as functions at module level; only ``setup`` and
    ``step`` are required there.
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


class _FileWorkload:
    """A module's functions, with the optional ones filled in."""

    def __init__(self, module: ModuleType) -> None:
        self.setup: Callable[[], None] = module.setup
        self.step: Callable[[int], Any] = module.step
        self.teardown: Callable[[], None] = getattr(module, "teardown", lambda: None)
        self.size: Callable[[int], float | None] = getattr(module, "size", lambda _i: None)
        self.components: Callable[[], Mapping[str, int]] = getattr(module, "components", dict)
        self.enter: Callable[[str], None] = getattr(module, "enter", lambda _phase: None)


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
    """Load a workload from a Python file with ``setup()`` and ``step(i)``.

    Parameters
    ----------
    path
        The file. Its folder is put first on ``sys.path``, as Python does for a script.

    Returns
    -------
    Workload
        The file's functions; ``teardown``, ``size`` and ``components`` are optional in it.

    Raises
    ------
    WorkloadError
        The file is missing, has a syntax error, raises while it is imported, or lacks one of
        the two functions.
    """
    import importlib.util  # the pipeline's own runs do not need it
    import os.path

    where = os.path.abspath(path)
    spec = importlib.util.spec_from_file_location("listen2lab_workload", where)
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
    missing = [name for name in ("setup", "step") if not callable(getattr(module, name, None))]
    if missing:
        raise WorkloadError(
            f"{path} defines no function {' and no '.join(missing)}; "
            "a workload has setup() and step(i)"
        )
    return _FileWorkload(module)
