"""Controlled memory experiments: does it leak, or is that the baseline, and what holds it.

``import listen2lab as lab`` is all that a notebook needs. Names are loaded when they are first
used, so that a worker, whose own weight is in all that it measures, stays light.

Begin with ``study = lab.run("cache-size", quick=True)`` or ``lab.open("reference")``; ``study``
alone shows what it says. ``docs/api.md`` has examples of everything, ``docs/quantities.md`` every
column, ``docs/reading-verdicts.md`` every verdict; ``listen2lab docs`` prints them, installed too.
"""

from __future__ import annotations

from listen2lab.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from listen2lab.api import compare, merge, rerun, resume, run, watch
    from listen2lab.cure_search import cures
    from listen2lab.errors import LabError
    from listen2lab.experiment.catalog import EXPERIMENTS, experiments, vary
    from listen2lab.facade import Study, open  # noqa: A004 - it is called as lab.open
    from listen2lab.findings.hypotheses import HYPOTHESES
    from listen2lab.models.bound import bound
    from listen2lab.notebook.panel import panel
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.report.text.knobs import KNOB_MEANINGS
    from listen2lab.study.plan import Experiment, Level

_HOMES = {
    "api": ("compare", "merge", "rerun", "resume", "run", "watch"),
    "cure_search": ("cures",),
    "errors": ("LabError",),
    "experiment.catalog": ("EXPERIMENTS", "experiments", "vary"),
    "facade": ("Study", "open"),
    "findings.hypotheses": ("HYPOTHESES",),
    "models.bound": ("bound",),
    "notebook.magic": ("load_ipython_extension",),
    "notebook.panel": ("panel",),
    "pipeline.knobs": ("Knobs",),
    "report.text.knobs": ("KNOB_MEANINGS",),
    "study.plan": ("Experiment", "Level"),
}

__all__ = [
    "EXPERIMENTS", "HYPOTHESES", "KNOB_MEANINGS", "Experiment", "Knobs", "LabError", "Level",
    "Study", "__version__", "bound", "compare", "cures", "experiments", "merge", "open", "panel",
    "rerun", "resume", "run", "vary", "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"listen2lab.{module}"), name)
    from listen2lab.errors import no_attribute

    raise no_attribute("module 'listen2lab'", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
