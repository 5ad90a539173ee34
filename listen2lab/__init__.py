"""Controlled memory experiments: does it leak, or is that the baseline, and what holds it.

``import listen2lab as lab`` is all that a notebook needs::

    study = lab.run("cache-size")       # the lab's experiments on the reading pipeline
    study = lab.watch(step)             # a function or file of your own
    mine = lab.vary("num_threads", [1, 2, 4])   # a hypothesis of your own, for lab.run
    study = lab.open("studies/NAME")    # one that is there; lab.open("reference")
    study.plot(), study.conditions(), study.contrasts(), study.findings(), study.report()
    study.trace(experiment, condition)  # who allocated
    lab.compare(a, b), lab.rerun(study), lab.merge(a, b, out="both"), lab.resume("studies/NAME")
    lab.cures(voice="medium")           # what brings it down, and its price

What there is: ``lab.experiments``, ``lab.HYPOTHESES``, and knobs in ``lab.KNOB_MEANINGS``; a study
alone shows what it says. ``docs/api.md`` has examples of everything, ``docs/quantities.md`` every
column, ``docs/reading-verdicts.md`` every verdict; ``listen2lab docs`` prints them, installed too.

Names are loaded when they are first used, so that a worker, whose own weight is in all that it
measures, stays light.

>>> import listen2lab as lab
>>> lab.experiments.cache_size["1", "unbounded"].question
'Do the audio and alignment caches hold the memory?'
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
            try:
                return getattr(importlib.import_module(f"listen2lab.{module}"), name)
            except ModuleNotFoundError as error:
                from listen2lab.errors import explained

                raise (explained(error) or error) from error
    from listen2lab.errors import no_attribute

    raise no_attribute("module 'listen2lab'", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
