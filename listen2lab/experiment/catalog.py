"""The lab's own experiments: names, questions, levels; and the names that everyone has.

What each hypothesis predicts of them stands with the hypothesis, in `listen2lab.findings`; both are
stored with every study.
"""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from listen2lab.errors import InputError, UnknownNameError, no_attribute
from listen2lab.experiment.inputs import GENERATED_RECOGNIZER, GENERATED_VOICES
from listen2lab.pipeline.knobs import Knobs
from listen2lab.study.plan import Experiment, Level
from listen2lab.texts.books import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.study.plan import KnobValue, Plan
    from listen2lab.study.redact import PublicNames

__all__ = [
    "EXPERIMENTS", "IN_ALL", "LEVERS", "experiment", "experiments", "public_names", "question_of",
    "quick", "quick_cures", "vary",
]  # fmt: skip

_AS_WRITTEN_S = 110
"""Seconds of the longest sentence in the lab's own texts, as they are written."""


def _lengths(ending: str, lengths: Sequence[int], knobs: dict[str, KnobValue]) -> list[Level]:
    """Return a level for each length of the longest sentence, in seconds."""
    return [
        Level(
            f"{seconds}s{ending}",
            {"longest_sentence_s": None if seconds == _AS_WRITTEN_S else seconds, **knobs},
        )
        for seconds in lengths
    ]


_NO_ARENA: dict[str, KnobValue] = {"cpu_mem_arena": False}
_NEITHER: dict[str, KnobValue] = {"cpu_mem_arena": False, "mem_pattern": False}
_BOUNDED: dict[str, KnobValue] = {"voice_graph": "bounded"}
_SPLIT: dict[str, KnobValue] = {"split_sentences_s": 15.0}
_EACH_USE: dict[str, KnobValue] = {"recognizer_loaded": "each-use"}

_ALL = (
    Experiment(
        name="baseline",
        question="Reading as the app does: does memory grow, plateau, and what is its minimum?",
        factor=None,
        levels=(Level("app"),),
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
        traced=("nothing",),
    ),
    Experiment(
        name="stop-release",
        question="Does memory drop when reading stops, when the session goes, or after a trim?",
        factor=None,
        levels=(Level("app"),),
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
        traced=("drops", "retains"),
    ),
    Experiment(
        name="utterance-length",
        question="Does the longest sentence set the level, and does splitting it help?",
        factor="longest_sentence_s x split_sentences_s x voice_graph",
        levels=(
            *_lengths("", (5, 10, 15, 25, 40, 70, _AS_WRITTEN_S), {}),
            *_lengths("-split", (40, _AS_WRITTEN_S), {"split_sentences_s": 15.0}),
            *_lengths("-bounded", (5, 15, 25, 70, _AS_WRITTEN_S), {"voice_graph": "bounded"}),
        ),
        # Lengths are what is compared, so none is drawn; and all other sentences are short, so
        # that the longest one is the named one.
        knobs={"noise_scale_w": 0.0},
        steps=16,
        max_characters=60,
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
        steps=300,
        max_characters=60,
        longest_characters=60,
        traced=("unbounded",),
    ),
    Experiment(
        name="cures",
        question="What brings the peak down, alone and together, and at what price?",
        factor="cure",
        levels=(
            Level("app"),
            Level("bounded", _BOUNDED),  # takes away what follows the sentence
            Level("bounded+neither", {**_BOUNDED, **_NEITHER}),  # and what arenas keep of the rest
            Level("bounded+split-15", {**_BOUNDED, **_SPLIT}),  # and what is left of the length
            Level("bounded+each-use", {**_BOUNDED, **_EACH_USE}),  # and the recognizer
            Level("split-15", _SPLIT),  # the same voice: the app's own code can do it
            Level("split-8", {"split_sentences_s": 8.0}),
            Level("split-15+no-arena", {**_SPLIT, **_NO_ARENA}),
            Level("split-15+neither", {**_SPLIT, **_NEITHER}),
            Level("neither", _NEITHER),  # what Piper's own runtime does
            Level("recreate-1", {"session_every": 1}),  # the end alone: a peak has its session
            Level("recreate-after-long", {"recreate_after_s": 20.0}),
            Level("each-use", _EACH_USE),
        ),
        # A text sounds and lasts the same in every run: conditions differ in nothing else, and
        # their samples can be compared.
        knobs={"noise_scale": 0.0, "noise_scale_w": 0.0},
        steps=12,
        traced=("app", "bounded"),
    ),
)

EXPERIMENTS: dict[str, Experiment] = {item.name: item for item in _ALL}
"""Experiments by name."""

IN_ALL = tuple(name for name in EXPERIMENTS if name != "cures")
"""What ``all`` means: what explains the memory. The way down, `listen2lab cures`, is its own."""


LEVERS: dict[str, dict[str, KnobValue]] = {
    "neither": _NEITHER,
    "split-8": {"split_sentences_s": 8.0},
    "each-use": _EACH_USE,
    "recreate-after-long": {"recreate_after_s": 20.0},
}
"""What a search adds to the best of `cures`, one after the other."""


class _Experiments:
    """``lab.experiments.cache_size`` is the experiment ``"cache-size"``: the tab key finds it.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.experiments.cache_size.factor
    'max_cache_size'
    """

    def __dir__(self) -> list[str]:
        return [name.replace("-", "_") for name in EXPERIMENTS]

    def __getattr__(self, name: str) -> Experiment:
        if name not in dir(self):
            raise no_attribute("lab.experiments", name, dir(self))
        return EXPERIMENTS[name.replace("_", "-")]

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {each.question}" for name, each in EXPERIMENTS.items())


experiments = _Experiments()
"""Experiments by attribute, to be given to `listen2lab.run`."""


def experiment(name: str) -> Experiment:
    """Return a built-in experiment, to run as it is or with other levels and knobs."""
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def vary(
    knob: str = "",
    values: Sequence[KnobValue] = (),
    /,
    *,
    of: str | Experiment = "baseline",
    question: str = "",
    prediction: str = "",
    **knobs: Sequence[KnobValue],
) -> Experiment:
    """Return an experiment of your own: each value of a knob, or each combination of several.

    All else is as in the experiment that it is made of: texts, steps, settings. Each condition is
    compared with the app's own, or with the first where that is not among them.

    Parameters
    ----------
    knob, values
        A knob (`listen2lab.KNOB_MEANINGS` says what each does) and its values.
    of
        The experiment whose texts and settings are used, or its name.
    question, prediction
        What is asked, and what you expect: both are stored before anything runs, and stand in the
        report; in one that is shared, unless a path, an address or a name is in it.
    **knobs
        Further knobs, each with its values.

    Returns
    -------
    Experiment
        To be given to `listen2lab.run`.

    Raises
    ------
    InputError
        There is no such knob or experiment, or a knob does not take a value.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.vary("num_threads", [1, 2, 4]).question
    'What does num_threads change: 1, 2 or 4?'
    >>> [level.name for level in lab.vary(num_threads=[1, 2], player=["drops", "retains"]).levels]
    ['1+drops', '1+retains', '2+drops', '2+retains']
    """
    given = {knob: values, **knobs} if knob else knobs
    for name, each in given.items():
        if name not in Knobs._fields:
            raise UnknownNameError("knob", name, [*Knobs._fields, "of", "question", "prediction"])
        if isinstance(each, str) or not hasattr(each, "__len__") or not len(each):
            raise InputError(
                f"{name!r} is given as {each!r}; vary takes several values of a knob, as in "
                'lab.vary("num_threads", [1, 2, 4])'
            )
    if not given:
        raise InputError('vary needs a knob and its values, as in lab.vary("num_threads", [1, 2])')
    base = experiment(of) if isinstance(of, str) else of
    crossed = [
        dict(zip(given, each, strict=True))
        for each in itertools.product(*(map(_plain, each) for each in given.values()))
    ]
    is_ours = EXPERIMENTS.get(base.name) == base
    return replace(
        base,
        name="-".join(["vary", *given, *([] if base.name == "baseline" else ["in", base.name])]),
        question=question or question_of(given),
        factor=" x ".join(given),
        levels=tuple(Level("+".join(map(_called, each.values())), each) for each in crossed),
        predictions={"own": prediction} if prediction else {},
        traced=None,
        of=base.name if is_ours else None,
    )


_SIGNATURE = inspect.signature(vary)
# For help() and the tab key: each knob is a keyword.
vary.__signature__ = _SIGNATURE.replace(  # type: ignore[attr-defined]
    parameters=[
        *list(_SIGNATURE.parameters.values())[:-1],
        *(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=(), annotation="Sequence[KnobValue]"
            )
            for name in Knobs._fields
        ),
    ]
)


def question_of(knobs: Mapping[str, Sequence[KnobValue]]) -> str:
    """Return the question that `vary` asks unless another one is given."""
    if len(knobs) > 1:
        return f"What do {' and '.join(knobs)} change, each and together?"
    ((name, values),) = knobs.items()
    *first, last = map(_called, values)
    several = f"{', '.join(first)} or {last}" if first else last
    return f"What does {name} change: {several}?"


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it, where it is a number of NumPy's."""
    return value.item() if hasattr(value, "item") else value


def _called(value: Any) -> str:
    """Return a knob's value as the name of a condition."""
    if isinstance(value, dict):
        return "+".join(f"{key}-{each}" for key, each in value.items()) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def public_names() -> PublicNames:
    """Return the names that everyone has, without the sentences of hypotheses."""
    from listen2lab.models.fetch import KNOWN  # what downloads is of some weight
    from listen2lab.study.redact import PublicNames  # pandas

    return PublicNames(
        names=frozenset(level.name for item in _ALL for level in item.levels) | _searched(),
        experiments=frozenset((*EXPERIMENTS, "cures-random")),
        sentences=frozenset(item.question for item in _ALL),
        models=frozenset((*GENERATED_VOICES, GENERATED_RECOGNIZER, *KNOWN)),
        texts=frozenset(BUILT_IN.values()),
    )


def _searched() -> frozenset[str]:
    """Return the names that a search for cures may give: a level's and those of two levers."""
    once = [f"{level.name}+{name}" for level in EXPERIMENTS["cures"].levels for name in LEVERS]
    return frozenset((*once, *(f"{each}+{name}" for each in once for name in LEVERS)))


def quick(plan: Plan) -> Plan:
    """Return a plan cut down to minutes: few and short paragraphs, and still the longest one.

    16 steps of at most 70 characters (6 s of speech), and one of at most 430 (35 s). Retained audio
    gets as many steps as its effect needs, and no level is kept that such texts cannot tell from
    another.
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


def quick_cures(item: Experiment) -> Experiment:
    """Return `cures` cut down to those that tell most, over a few short paragraphs."""
    kept = ("app", "bounded", "bounded+neither", "split-15", "neither")
    levels = tuple(level for level in item.levels if level.name in kept)
    return replace(item, levels=levels, steps=4, warmup=1)


_QUICK_STEPS = {"audio-retention": 90}  # of 0.2 MiB of audio each: 10 MiB are worth acting on
_QUICK_LEFT_OUT = (
    "40s",
    "40s-split",
    "70s",
    "70s-bounded",
)  # the longest sentence is shorter: they would be as written
