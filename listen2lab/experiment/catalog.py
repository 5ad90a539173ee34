"""The hypotheses, and the experiments that test them: predictions written down before any run.

A hypothesis names what would support it, what would refute it, and the smallest effect that is
worth acting on; `listen2lab.findings.decide` decides by these rules. An experiment says what each
hypothesis that it tests predicts. Both are stored with every study.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from listen2lab.errors import UnknownNameError
from listen2lab.study.plan import Experiment, Level

if TYPE_CHECKING:
    from listen2lab.study.plan import Plan

__all__ = ["EXPERIMENTS", "HYPOTHESES", "WORTH_MIB", "Hypothesis", "experiment", "quick"]

WORTH_MIB = 10.0
"""The smallest effect worth acting on: a phone's user would not notice less beside 2,290 MB."""


@dataclass(frozen=True)
class Hypothesis:
    """A claim about where the memory is.

    Parameters
    ----------
    claim
        What is claimed, in a sentence.
    supported_when, refuted_when
        The decision rule. A finding also needs an interval that excludes no effect, repeats that
        agree, and at least `worth_mib`; what is neither is inconclusive.
    tested_by
        Names of the experiments that test it, the deciding one first.
    worth_mib
        The smallest effect worth acting on, in MiB.
    """

    claim: str
    supported_when: str
    refuted_when: str
    tested_by: tuple[str, ...]
    worth_mib: float = WORTH_MIB


HYPOTHESES: dict[str, Hypothesis] = {
    "H0": Hypothesis(
        "The meter misleads: resident memory stays up although the memory was given back.",
        supported_when="after the session is dropped, private dirty memory falls by more than half "
        "of what was freed, and resident memory by less than half",
        refuted_when="resident and private dirty memory fall together",
        tested_by=("stop-release", "force-clear"),
    ),
    "H1": Hypothesis(
        "ONNX Runtime does not release memory: the session holds it until the session goes.",
        supported_when="a new session every paragraph lowers the level, and dropping the session "
        "gives the memory back (where only one of the two was run, it decides); the baseline's "
        "verdict tells a leak (grows at constant lengths) from a high-water mark (follows the "
        "longest input)",
        refuted_when="a new session every paragraph leaves the level unchanged",
        tested_by=("session-recreation", "stop-release", "session-options", "baseline"),
    ),
    "H2": Hypothesis(
        "Audio is retained elsewhere, by the player or by what refers to it.",
        supported_when="the level is higher by about the audio's bytes where the player retains "
        "what was scheduled than where it drops it",
        refuted_when="the level is the same with and without, and the audio's bytes would show",
        tested_by=("audio-retention",),
    ),
    "H3": Hypothesis(
        "Alignment accumulates, or its model stays loaded.",
        supported_when="alignment off removes growth (accumulation) or a constant (a resident "
        "model and what it works with): two findings in one, told apart in words",
        refuted_when="on and off differ by less than what is worth acting on",
        tested_by=("alignment", "alignment-cache"),
    ),
    "H4": Hypothesis(
        "The caches are too large.",
        supported_when="an unbounded cache holds more than one of two entries, by the bytes of the "
        "audio and alignments in it, and those of two entries are worth acting on",
        refuted_when="what the caches hold as the app sets them is never worth acting on, and a "
        "cache of one does not lower the level",
        tested_by=("cache-size", "force-clear"),
    ),
    "H5": Hypothesis(
        "Several syntheses run at once.",
        supported_when="the level with three in flight is above that with one, in one session or "
        "in one each",
        refuted_when="one and three in flight differ by less than what is worth acting on, in one "
        "session and in one each",
        tested_by=("concurrency",),
    ),
    "H6": Hypothesis(
        "The longest sentence sets the level.",
        supported_when="the level rises with the longest sentence, and splitting it lowers the "
        "level",
        refuted_when="the level does not depend on the longest sentence",
        tested_by=("utterance-length", "baseline"),
    ),
    "H7": Hypothesis(
        "It is only the baseline: libraries and models explain it.",
        supported_when="memory is flat from the first warm step, at what import and models explain",
        refuted_when="anything above import and models grows, or stays and is worth acting on",
        tested_by=("baseline",),
    ),
}
"""Hypotheses by name."""

_AS_WRITTEN_S = 110
"""Seconds of the longest sentence in the lab's own texts, as they are written."""

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
            Level("forced", {"alignment": "forced"}),
        ),
        predictions={
            "H3": "accumulation: off grows less per paragraph than on; a resident model: "
            "loaded-but-unused is above off by a constant",
        },
        traced=("on",),
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
        traced=("2",),
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
            Level("voice-change-10", {"voice_change_every": 10}),
        ),
        predictions={
            "H1": "the more often the session is recreated, the lower the level between steps",
            "H6": "with a new session each paragraph, the longest one no longer sets the level "
            "of those after it",
        },
        traced=("never",),  # memray takes 2 s for each session that is built
    ),
    Experiment(
        name="force-clear",
        question="Does clearing the caches after an eviction, and trimming, bring memory down?",
        factor="after_eviction",
        levels=(
            Level("nothing", {"after_eviction": "nothing"}),
            Level("gc", {"after_eviction": "gc"}),
            Level("clear", {"after_eviction": "clear"}),
            Level("clear+trim", {"after_eviction": "clear+trim"}),
        ),
        predictions={
            "H0": "clear+trim lowers resident memory between steps although clear alone does not",
            "H4": "clear lowers the level by what the caches held",
        },
        traced=("nothing",),
    ),
    Experiment(
        name="stop-release",
        question="Does memory drop when reading stops, when the session goes, or after a trim?",
        factor=None,
        levels=(Level("app"),),
        predictions={
            "H0": "when the session goes, private dirty memory falls and resident memory stays",
            "H1": "stopping changes nothing; dropping the session gives back most of the level",
        },
        phases=("stopped", "session-dropped", "trimmed", "created-again"),
        traced=(),  # phases tell what comes back; what was held, the app's own trace tells
    ),
    Experiment(
        name="audio-retention",
        question="Is audio retained by the player, also when the reader skips?",
        factor="player x reading",
        levels=(
            Level("drops", {"player": "drops"}),
            Level("retains", {"player": "retains"}),
            Level("drops-skips", {"player": "drops", "reading": "skips"}),
            Level("retains-skips", {"player": "retains", "reading": "skips"}),
        ),
        predictions={
            "H2": "retains grows by the audio's bytes a paragraph, drops does not; skips leave "
            "more behind",
        },
        traced=("drops", "retains"),
    ),
    Experiment(
        name="utterance-length",
        question="Does the longest sentence set the level, and does splitting it help?",
        factor="longest_sentence_s x split_sentences_s",
        levels=tuple(
            Level(
                f"{seconds}s{'-split' * split}",
                {
                    "longest_sentence_s": None if seconds == _AS_WRITTEN_S else seconds,
                    "split_sentences_s": 15.0 if split else None,
                },
            )
            for split in (False, True)
            for seconds in (5, 15, 40, _AS_WRITTEN_S)
        ),
        predictions={
            "H1": "a shorter longest sentence means a lower level in the same session",
            "H6": "the level rises with the longest sentence; split, all levels are those of 15 s",
        },
        traced=("110s",),
    ),
    Experiment(
        name="concurrency",
        question="Do several syntheses at once raise memory, in one session or in one each?",
        factor="in_flight x sessions",
        levels=(
            Level("1", {"in_flight": 1}),
            Level("2-shared", {"in_flight": 2}),
            Level("3-shared", {"in_flight": 3}),
            Level("2-each", {"in_flight": 2, "sessions": "each"}),
            Level("3-each", {"in_flight": 3, "sessions": "each"}),
        ),
        predictions={"H5": "the level rises with the number in flight, most with a session each"},
        # As an earlier revision of the app: it looks further ahead than its cache holds, so that
        # at every step as many syntheses are wanted as may be in flight.
        knobs={"lookahead_count": 3},
        steps=16,
        traced=("3-each",),
    ),
    Experiment(
        name="session-options",
        question="What do the engine's memory arena and memory pattern hold?",
        factor="cpu_mem_arena x mem_pattern",
        levels=(
            Level("arena+pattern", {"cpu_mem_arena": True, "mem_pattern": True}),
            Level("arena", {"cpu_mem_arena": True, "mem_pattern": False}),
            Level("pattern", {"cpu_mem_arena": False, "mem_pattern": True}),
            Level("neither", {"cpu_mem_arena": False, "mem_pattern": False}),
        ),
        predictions={
            "H1": "without the arena the level between steps is a fraction; the peak stays",
        },
        traced=("arena+pattern", "neither"),
    ),
    Experiment(
        name="alignment-cache",
        question="Does the alignment service's cache accumulate memory over a long reading?",
        factor="service_cache_size",
        levels=(
            Level("0", {"service_cache_size": 0}),
            Level("100", {"service_cache_size": 100}),
            Level("unbounded", {"service_cache_size": None}),
        ),
        predictions={
            "H3": "unbounded grows by an alignment's bytes a paragraph, 100 stops growing when it "
            "is full, 0 does not grow",
        },
        steps=300,
        max_characters=60,
        longest_characters=60,
        traced=("unbounded",),
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
        16 steps of at most 70 characters (6 s of speech), and one of at most 430 (35 s). Retained
        audio gets as many steps as its effect needs, and no level is kept that such texts cannot
        tell from another.
    """
    short = replace(plan, max_characters=70, longest_characters=430).with_lengths(16, 2)
    experiments = tuple(
        replace(
            item,
            steps=_QUICK_STEPS.get(item.name, item.steps),
            levels=tuple(x for x in item.levels if x.name not in _QUICK_LEFT_OUT) or item.levels,
        )
        for item in short.experiments
    )
    return replace(short, experiments=experiments)


_QUICK_STEPS = {"audio-retention": 90}  # of 0.2 MiB of audio each: 10 MiB are worth acting on
_QUICK_LEFT_OUT = ("40s", "40s-split")  # the longest sentence is shorter: they would be as written
