"""Faults of known size, planted in the real pipeline: what the instrument must be able to see."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
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
_LATE_BLOCKS = 256
_SHM = "/dev/shm"  # noqa: S108 - what is planted is a file in memory
_CHILD = """
import sys
kept = []
for line in sys.stdin.buffer:
    kept.append(b"1" * int(line))
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
"""


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
    "child": Fault(is_leak=True),
    "shared-memory": Fault(is_leak=True),
    "doubling-pool": Fault(is_leak=True),
    "late-touch": Fault(is_leak=False),
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
        self._child: subprocess.Popen[bytes] | None = None
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._chunk = (0, 0, _LEAKED_BYTES // 2)  # the pool's last: where, used and size
        self._late: list[int] = []
        self.size = inner.size
        self.components = inner.components
        self.enter = inner.enter

    def setup(self) -> None:
        """Set the pipeline up, and what a fault needs before it begins."""
        self._inner.setup()
        if self._fault == "child":
            command = [sys.executable, "-c", _CHILD]
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        elif self._fault == "shared-memory":
            self._files = tempfile.TemporaryDirectory(dir=_SHM)
        elif self._fault == "late-touch":
            self._late = [_allocated(_LEAKED_BYTES) for _ in range(_LATE_BLOCKS)]

    def step(self, i: int) -> dict[str, Any]:
        """Play paragraph ``i`` and plant; ``planted`` among the facts is how many bytes."""
        return {**self._inner.step(i), "planted": self._plant(i)}

    def teardown(self) -> None:
        """Drop the pipeline; what is planted goes only where the fault would let it go."""
        self._inner.teardown()
        self._kept.clear()
        if self._child is not None:
            self._child.communicate()
        if self._files is not None:
            self._files.cleanup()

    def _plant(self, i: int) -> int:
        planted = 0
        if self._fault == "native-leak":
            planted = _touched(_allocated(_LEAKED_BYTES), _LEAKED_BYTES)
        elif self._fault == "doubling-pool":
            planted = self._from_pool(_LEAKED_BYTES)
        elif self._fault == "late-touch":
            _touched(self._late[i % len(self._late)], _LEAKED_BYTES)
        elif self._child is not None:
            planted = self._keep_in_child(_LEAKED_BYTES)
        elif self._files is not None:
            planted = len(data := b"1" * _LEAKED_BYTES)
            with open(f"{self._files.name}/{i}", "wb") as file:
                file.write(data)
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

    def _from_pool(self, size: int) -> int:
        """Use more of a pool that asks for twice as much each time that it is full."""
        where, used, whole = self._chunk
        if not where or used + size > whole:
            whole, used = 2 * whole, 0
            where = _allocated(whole)
        self._chunk = (where, used + size, whole)
        return _touched(where + used, size)

    def _keep_in_child(self, size: int) -> int:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{size}\n".encode())
        child.stdin.flush()
        return int(child.stdout.readline())

    def _keep(self, audio: bytes | bytearray) -> int:
        self._kept.append(audio)
        return len(audio)


def _allocated(size: int) -> int:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    return int(library.malloc(size))


def _touched(address: int, size: int) -> int:
    """Write to a block, so that it is resident; return its size."""
    ctypes.memset(address, 1, size)
    return size
