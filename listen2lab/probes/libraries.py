"""Which shared library each native frame of a capture lies in.

memray names a frame's function where the library has symbols, and never the library. But it dumps
a capture as text, where each frame stands with its address, and each library with its mappings. It
is read in a process of its own, up to the last frame that is asked for.
"""

from __future__ import annotations

import bisect
import os
import re
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PYTHON", "Libraries", "library_name"]

PYTHON = "Python"
"""The name of the interpreter's own library."""

_DUMP = """
import sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: nobody reads on when the worker died
import memray
memray.dump_all_records(sys.argv[1])
"""
_LIBRARY = re.compile(rb"SEGMENT_HEADER filename=(.*) num_segments=\d+ addr=(\S+)")
_LONGEST_S = 600.0  # for a dump: it takes 2 s of processor time a million allocations
_SITE = re.compile(r"(?:site|dist)-packages/")
_ENDING = re.compile(r"(?:[-_][0-9a-f]{8,})?(?:\.cpython-\S*|\.abi3)?\.(?:so|dylib)\b.*|\.pyd")
_INTERPRETER = re.compile(r"(?:lib)?python\d[\d.]*[a-z]*")


class Libraries:
    """The libraries of a capture's native frames; of none where memray cannot dump it."""

    def __init__(self, capture: str, frames: int) -> None:
        """Read up to frame number `frames`."""
        self._frames: list[tuple[int, int]] = [(0, 0)]  # address, and the number of its caller
        self._maps: list[list[tuple[int, int, str]]] = []  # begin, end and library, a generation
        path = os.pathsep.join(each for each in sys.path if each)
        with subprocess.Popen(
            [sys.executable, "-c", _DUMP, capture],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        ) as dump:
            assert dump.stdout is not None
            self._read(dump.stdout, frames)
            dump.kill()
        for each in self._maps:
            each.sort()

    def of(self, frame: int, generation: int) -> Iterator[str]:
        """Yield the library of each address from a native frame outwards, "" if none is known."""
        mapped = self._maps[generation - 1] if 0 < generation <= len(self._maps) else []
        while 0 < frame < len(self._frames):
            address, frame = self._frames[frame]
            at = bisect.bisect_right(mapped, (address, sys.maxsize, "")) - 1
            yield mapped[at][2] if at >= 0 and address < mapped[at][1] else ""

    def _read(self, lines: Iterable[bytes], frames: int) -> None:
        name, base, late = "", 0, time.monotonic() + _LONGEST_S
        for number, line in enumerate(lines):
            if line.startswith(b"NATIVE_FRAME_ID"):
                _, address, caller = line.split()
                self._frames.append((_hex(address[3:]), int(caller[6:])))
            elif line.startswith(b"SEGMENT "):
                _, offset, size = line.split()
                begin = base + _hex(offset)
                self._maps[-1].append((begin, begin + _hex(size), name))
            elif line.startswith(b"MEMORY_MAP_START"):
                self._maps.append([])
            elif found := _LIBRARY.match(line):
                name, base = library_name(os.fsdecode(found[1])), _hex(found[2])
            if len(self._frames) > frames or (not number % 4096 and time.monotonic() > late):
                return


def _hex(text: bytes) -> int:
    return 0 if text == b"(nil)" else int(text, 16)


def library_name(path: str) -> str:
    """Return what a library is called: ``lxml.etree``, ``libjpeg (pillow)``, ``libsqlite3``.

    An extension of Python by its module, a library that a package brings along with that package;
    versions and what is particular to a build are left out.
    """
    folder, _, file = path.rpartition("/")
    name = _ENDING.sub("", file)
    if _INTERPRETER.fullmatch(name):
        return PYTHON
    if folder.endswith("/lib-dynload"):
        return f"{name.removeprefix('_')} (standard library)"
    inside = _SITE.split(folder + "/")
    if len(inside) == 1:
        return name
    package = inside[-1].rstrip("/")
    if name.startswith("lib"):
        top = package.partition("/")[0].removesuffix(".libs").lower()
        return f"{name} ({top})" if top else name
    return ".".join([*package.split("/"), name]) if package else name
