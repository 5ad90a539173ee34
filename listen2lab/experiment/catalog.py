"""The built-in experiments, with what each hypothesis predicts, written down before any run.

Hypotheses:

* **H1** ONNX Runtime does not release memory: it is held with the session, and given back when
  the session goes.
* **H3** Alignment accumulates, or its model stays loaded.
* **H4** The caches are too large.
* **H6** The longest sentence sets the level.
* **H7** It is only the baseline: import and model explain it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from listen2lab.errors import UnknownNameError
from listen2lab.experiment.design import Experiment, Level

if TYPE_CHECKING:
    from listen2lab.experiment.design import Plan

__all__ = ["EXPERIMENTS", "experiment", "quick"]

_ALL = (
    Experiment(
        name="baseline",
        question="Reading as the app does: does memory grow, plateau, and what is its minimum?",
        factor=None,
        levels=(Level("app"),),
        predictions={
            "H1": "the level after a teardown is far below the level before it",
            "H6": "the level steps up at the longest sentence and stays there",
            "H7": "flat from the first warm step at what import and model explain",
        },
    ),
    Experiment(
        name="alignment",
        question="Does aligning words accumulate memory, or is it the model that stays loaded?",
        factor="alignment",
        levels=(
            Level("on", {"alignment": "recognizer"}),
            Level("off", {"alignment": "off"}),
            Level("loaded-but-unused", {"alignment": "loaded"}),
        ),
        predictions={
            "H3": "accumulation: off grows less per paragraph than on; a resident model: "
            "loaded-but-unused is above off by a constant",
        },
    ),
    Experiment(
        name="cache-size",
        question="Do the audio and alignment caches hold the memory?",
        factor="max_cache_size",
        levels=(
            Level("1", {"max_cache_size": 1}),
            Level("2", {"max_cache_size": 2}),
            Level("unbounded", {"max_cache_size": None}),
        ),
        predictions={
            "H4": "1, 2 and unbounded differ by the bytes of the audio and alignments they keep",
        },
    ),
    Experiment(
        name="session-recreation",
        question="Does a new engine session every few paragraphs bring memory down?",
        factor="session_every",
        levels=(
            Level("never", {"session_every": None}),
            Level("every-10", {"session_every": 10}),
            Level("every-5", {"session_every": 5}),
            Level("every-1", {"session_every": 1}),
        ),
        predictions={
            "H1": "the more often the session is recreated, the lower the level between steps",
            "H6": "with a new session each paragraph, the longest one no longer sets the level "
            "of those after it",
        },
    ),
)

EXPERIMENTS: dict[str, Experiment] = {item.name: item for item in _ALL}
"""Experiments by name."""


def experiment(name: str) -> Experiment:
    """Return a built-in experiment.

    Parameters
    ----------
    name
        Its name.

    Returns
    -------
    Experiment
        The experiment, to run as it is or with other levels and knobs.

    Raises
    ------
    UnknownNameError
        No experiment has that name; the message suggests the nearest.
    """
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def quick(plan: Plan) -> Plan:
    """Return a plan cut down to minutes: few and short paragraphs, and still the longest one.

    Parameters
    ----------
    plan
        Any plan.

    Returns
    -------
    Plan
        16 steps of at most 70 characters (6 s of speech), and one of at most 430 (35 s).
    """
    return replace(plan, max_characters=70, longest_characters=430).with_lengths(16, 2)
