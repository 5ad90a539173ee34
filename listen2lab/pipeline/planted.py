"""Faults of known size, planted in the real pipeline: what the instrument must be able to see."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from listen2lab.errors import UnknownNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.pipeline.listen2 import Listen2

__all__ = ["FAULTS", "Fault", "Planted"]

_LEAKED_BYTES = 64 * 1024
_ONE_OFF_BYTES = 48 * 1024 * 1024
_ONE_OFF_STEP = 12
_CACHE_ENTRIES = 12


class Fault(NamedTuple):
    """A fault: whether it is a leak, and the knobs that make it."""

    is_leak: bool
    knobs: Mapping[str, Any] = {}  # read only; a NamedTuple has no default_factory


FAULTS: dict[str, Fault] = {
    "clean": Fault(is_leak=False),
    "native-leak": Fault(is_leak=True),
    "python-leak": Fault(is_leak=True),
    "player-retains": Fault(is_leak=True, knobs={"player": "retains"}),
    "alignment-cache": Fault(
        is_leak=True, knobs={"alignment": "recognizer", "service_cache_size": None}
    ),
    "cycle": Fault(is_leak=False),
    "filling-cache": Fault(is_leak=False),
    "one-off": Fault(is_leak=False),
}
"""Faults by name; those with knobs are the pipeline's own, the others are planted around it."""


class Planted:
    """The pipeline with one of `FAULTS`; one that is made of knobs is in `inner` already."""

    def __init__(self, inner: Listen2, fault: str) -> None:
        if fault not in FAULTS:
            raise UnknownNameError("fault", fault, FAULTS)
        self._inner = inner
        self._fault = fault
        self._kept: list[bytes | bytearray] = []
        self._held_before = 0
        self.setup = inner.setup
        self.size = inner.size
        self.components = inner.components
        self.enter = inner.enter

    def step(self, i: int) -> dict[str, Any]:
        """Play paragraph ``i`` and plant; ``planted`` among the facts is how many bytes."""
        return {**self._inner.step(i), "planted": self._plant(i)}

    def teardown(self) -> None:
        """Drop the pipeline; what is planted goes only where the fault would let it go."""
        self._inner.teardown()
        self._kept.clear()

    def _plant(self, i: int) -> int:
        planted = 0
        if self._fault == "native-leak":
            planted = _leak(_LEAKED_BYTES)
        elif self._fault == "one-off" and i == _ONE_OFF_STEP:
            planted = self._keep(bytearray(b"\1") * _ONE_OFF_BYTES)
        elif self._fault == "python-leak" or (
            self._fault == "filling-cache" and len(self._kept) < _CACHE_ENTRIES
        ):
            planted = self._keep(self._inner.held_audio()[0])
        elif self._fault == "cycle":
            loop: list[Any] = [bytes(bytearray(self._inner.held_audio()[0]))]  # a copy
            loop.append(loop)
            planted = len(loop[0])
        elif FAULTS[self._fault].knobs:
            held = self._inner.components()
            now = sum(held[name] for name in ("player", "service_cache"))
            planted, self._held_before = now - self._held_before, now
        return planted

    def _keep(self, audio: bytes | bytearray) -> int:
        self._kept.append(audio)
        return len(audio)


def _leak(size: int) -> int:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    ctypes.memset(library.malloc(size), 1, size)  # touched, so that it is resident
    return size
