"""Evidence from the phone: its log, and what Apple's and Android's tools print of its memory.

`read` takes files of any of these kinds, alone or together, and says what was understood; `look`
does the same in a notebook, with answers and pictures. Names are loaded when they are used: reading
alone needs nothing but numpy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from listen2lab.device.evidence import Evidence, read
    from listen2lab.device.formats.schema import Snapshot, difference
    from listen2lab.notebook.device import Look, look

__all__ = ["Evidence", "Look", "Snapshot", "difference", "look", "read"]

_HOMES = {
    "Evidence": "device.evidence",
    "Look": "notebook.device",
    "Snapshot": "device.formats.schema",
    "difference": "device.formats.schema",
    "look": "notebook.device",
    "read": "device.evidence",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'listen2lab.device' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - lazily, like everything here

    return getattr(importlib.import_module(f"listen2lab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
