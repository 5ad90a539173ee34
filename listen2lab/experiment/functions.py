"""Somebody's own code as it is given: a function is pickled by value, a file is looked at first."""

from __future__ import annotations

import functools
import inspect
import io
import pickle
import symtable
import sys
import sysconfig
from collections import ChainMap
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle

from listen2lab.errors import WorkloadError
from listen2lab.study.files import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

__all__ = ["name_of", "pickled", "refuse_without_step"]


def name_of(function: Callable[..., object]) -> str:
    """Return what a function is called."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def pickled(
    functions: Mapping[str, Callable[..., object]], by_value: Sequence[ModuleType] = ()
) -> bytes:
    """Return a workload's functions as `listen2lab.workload.load_functions` takes them.

    Parameters
    ----------
    functions
        ``step`` and, where there are any, ``setup``, ``teardown`` and ``size``. What is defined in
        a notebook or a script goes by value, with what it refers to; what comes from a module, by
        its name.
    by_value
        Modules whose functions go by value as well.

    Raises
    ------
    WorkloadError
        A function takes other arguments, or refers to what cannot be pickled.
    """
    takes_number = _takes(functions["step"], 0)
    if not takes_number and not _takes(functions["step"]):
        raise WorkloadError(
            f"{name_of(functions['step'])} is called with the step's number or with nothing, and "
            "takes neither; nothing was run; give what it needs a default, or bind it with "
            "functools.partial"
        )
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        written = io.BytesIO()
        _Pickler(written).dump(dict(functions))
    except Exception as error:  # whatever the reduction of an object raises
        raise WorkloadError(
            f"{name_of(functions['step'])} cannot be sent to a fresh process: {error}; nothing was "
            "run; make what it needs (connections, files, sessions) in a function of its own, and "
            "give that as setup"
        ) from error
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)
    content = written.getvalue()
    if len(content) > LARGEST:
        raise WorkloadError(
            f"{name_of(functions['step'])} takes {len(content) >> 20:,} MiB of data along, and at "
            f"most {LARGEST >> 20} are kept; nothing was run; make or load it in a function of its "
            "own, and give that as setup"
        )
    kept = {"folders": _folders(), "takes_number": takes_number, "functions": content}
    return pickle.dumps(kept)


def _code(code: CodeType) -> tuple[Any, ...]:
    """Reduce code as cloudpickle does, and keep its file: tracebacks and traces name it."""
    make, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    file = code.co_filename
    if not file.endswith(".py") or "ipykernel_" in file:
        file = "cell.py"  # of a notebook
    return make, tuple(file if each == "<dynamic-code>" else each for each in arguments)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    dispatch_table: ClassVar = ChainMap({CodeType: _code}, cloudpickle.Pickler.dispatch_table)


def refuse_without_step(text: bytes, path: Path) -> None:
    """Refuse a file that surely defines no ``step``; one that is too clever to tell passes."""
    source = text.decode("utf-8", "replace")
    if "globals" in source or "import *" in source:
        return
    names = symtable.symtable(text, str(path), "exec").get_symbols()  # type: ignore[arg-type]
    if not any(
        each.get_name() == "step" and (each.is_assigned() or each.is_imported()) for each in names
    ):
        raise WorkloadError(
            f"{path} defines no function step; nothing was run; a workload is a file with step(i), "
            "which is called again and again, and maybe setup()"
        )


def _takes(function: Callable[..., object], *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # built in, and does not say
        return True
    return True


def _folders() -> list[str]:
    """Return the folders from which this process imports what is not installed."""
    installed = tuple(sysconfig.get_path(each) for each in ("stdlib", "purelib", "platlib"))
    return [
        str(Path(folder).resolve())
        for folder in sys.path
        if Path(folder).is_dir() and not str(Path(folder).resolve()).startswith(installed)
    ]
