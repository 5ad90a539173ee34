"""Controlled memory experiments: does it leak, or is that the baseline, and what holds it.

``import listen2lab as lab`` is all that a notebook needs. Names are loaded when they are first
used, so that a worker, whose own weight is in every level it measures, stays light.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from listen2lab.api import resume, run, watch
    from listen2lab.errors import LabError
    from listen2lab.experiment.catalog import EXPERIMENTS
    from listen2lab.pipeline.knobs import KNOB_MEANINGS, Knobs
    from listen2lab.study import Study

__all__ = [
    "EXPERIMENTS",
    "KNOB_MEANINGS",
    "Knobs",
    "LabError",
    "Study",
    "__version__",
    "resume",
    "run",
    "watch",
]

__version__ = "0.1.0"

_HOMES = {
    "EXPERIMENTS": "listen2lab.experiment.catalog",
    "KNOB_MEANINGS": "listen2lab.pipeline.knobs",
    "Knobs": "listen2lab.pipeline.knobs",
    "LabError": "listen2lab.errors",
    "Study": "listen2lab.study",
    "resume": "listen2lab.api",
    "run": "listen2lab.api",
    "watch": "listen2lab.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'listen2lab' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - lazily, like everything here

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
