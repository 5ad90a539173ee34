"""Controlled memory experiments: does it leak, or is that the baseline, and what holds it.

``import listen2lab as lab`` is all that a notebook needs. Names are loaded when they are first
used, so that a worker, whose own weight is in all that it measures, stays light.
"""

from __future__ import annotations

from listen2lab.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from listen2lab.api import resume, run, watch
    from listen2lab.cure_search import cures
    from listen2lab.errors import LabError
    from listen2lab.experiment.catalog import EXPERIMENTS
    from listen2lab.facade import Study
    from listen2lab.findings.hypotheses import HYPOTHESES
    from listen2lab.names import experiments
    from listen2lab.notebook.panel import panel
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.report.text.knobs import KNOB_MEANINGS
    from listen2lab.studies import compare, merge, rerun

__all__ = [
    "EXPERIMENTS",
    "HYPOTHESES",
    "KNOB_MEANINGS",
    "Knobs",
    "LabError",
    "Study",
    "__version__",
    "compare",
    "cures",
    "experiments",
    "merge",
    "panel",
    "rerun",
    "resume",
    "run",
    "watch",
]

_HOMES = {
    "EXPERIMENTS": "listen2lab.experiment.catalog",
    "HYPOTHESES": "listen2lab.findings.hypotheses",
    "KNOB_MEANINGS": "listen2lab.report.text.knobs",
    "Knobs": "listen2lab.pipeline.knobs",
    "LabError": "listen2lab.errors",
    "Study": "listen2lab.facade",
    "experiments": "listen2lab.names",
    "panel": "listen2lab.notebook.panel",
    "compare": "listen2lab.studies",
    "cures": "listen2lab.cure_search",
    "merge": "listen2lab.studies",
    "rerun": "listen2lab.studies",
    "resume": "listen2lab.api",
    "run": "listen2lab.api",
    "watch": "listen2lab.api",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        names = importlib.import_module("listen2lab.names")
        raise names.no_attribute("module 'listen2lab'", name, __all__)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
