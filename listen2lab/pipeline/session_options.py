"""Options of the engine's sessions, and whether the engine at hand passes them on.

sherpa-onnx reads them from a file that the provider's name leads to: from 1.12.39 on, and silently
not before. ONNX Runtime takes any entry of its session configuration, and silently ignores those
that it does not know. Both say which they know by the strings in their libraries.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.pipeline.knobs import Knobs

__all__ = ["ignored_options", "loaded_libraries", "session_options"]

_ENTRY = "SessionConfig."
_PIECE = 1 << 20
_LIBRARY = re.compile(r"(onnxruntime|sherpa)[^/]*\.(so|dylib|pyd|dll)\b[^/]*$")


def session_options(knobs: Knobs) -> dict[str, str]:
    """Return the options that differ from the engine's defaults, as its file names them."""
    return {
        **({} if knobs.cpu_mem_arena else {"EnableCpuMemArena": "0"}),
        **({} if knobs.mem_pattern else {"EnableMemPattern": "0"}),
        **{_ENTRY + key: value for key, value in knobs.session_config},
    }


def loaded_libraries() -> list[str]:
    """Return the files of sherpa-onnx's and ONNX Runtime's libraries in this process.

    Elsewhere than on Linux, those beside the imported package.
    """
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            names = {line.split(maxsplit=5)[-1].strip() for line in file}
    except OSError:
        import sherpa_onnx  # loaded already where options matter

        names = {
            os.path.join(folder, name)
            for folder, _, files in os.walk(os.path.dirname(sherpa_onnx.__file__))
            for name in files
        }
    return sorted(name for name in names if _LIBRARY.search(name))


def ignored_options(options: Iterable[str], libraries: Iterable[str]) -> dict[str, str]:
    """Return those options that do not reach ONNX Runtime through these libraries, and why.

    ``engine-ignores-options``: sherpa-onnx has no such option. ``runtime-ignores-option``: ONNX
    Runtime knows no such entry. ``option-unchecked``: no library could be looked into.
    """
    wanted = sorted(options)
    entries = {name: name.removeprefix(_ENTRY) for name in wanted if name.startswith(_ENTRY)}
    in_engine = {name: _ENTRY if name in entries else name for name in wanted}
    known: dict[bool, set[str]] = {True: set(), False: set()}  # by whether it is the engine
    paths = list(libraries) if wanted else []
    for path in paths:
        is_engine = "sherpa" in os.path.basename(path)
        known[is_engine] |= _strings_in(path, {*(in_engine if is_engine else entries).values()})
    if not paths:
        return dict.fromkeys(wanted, "option-unchecked")
    ignored = {}
    for name in wanted:
        if in_engine[name] not in known[True]:
            ignored[name] = "engine-ignores-options"
        elif name in entries and entries[name] not in known[False]:
            ignored[name] = "runtime-ignores-option"
    return ignored


def _strings_in(path: str, wanted: set[str]) -> set[str]:
    """Return those strings that a file holds whole, reading it in pieces: no page of it stays."""
    left = {name.encode() + b"\0" for name in wanted}
    found: set[bytes] = set()
    longest = max(map(len, left), default=0)
    tail = b""
    with open(path, "rb", buffering=0) as file:
        while left - found and (piece := file.read(_PIECE)):
            piece = tail + piece
            found |= {name for name in left - found if name in piece}
            tail = piece[-longest:]
    return {name[:-1].decode() for name in found}
