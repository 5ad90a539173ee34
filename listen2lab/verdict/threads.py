"""One thread for products of small matrices: more of them cost time and save none.

OpenBLAS shares each product among its threads, and they wait for the next without resting: of the
seconds of CPU that judging took, more than half were that.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["one_thread"]


def _openblas() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """Return what reads and sets the number of OpenBLAS's threads; None where numpy has another."""
    try:
        library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError):
        return None
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None


_BLAS, _LOCK = _openblas(), Lock()
_before: list[int] = []
"""How many threads there were, for each that judges now: the caller may have threads of its own."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Have numpy multiply in one thread while this lasts, and then as before."""
    if _BLAS is None:
        yield
        return
    count, put = _BLAS
    with _LOCK:
        _before.append(_before[0] if _before else count())
        put(1)
    try:
        yield
    finally:
        with _LOCK:
            was = _before.pop()
            if not _before:
                put(was)
