"""The knobs of the reading pipeline: every suspicious place of the app, as a setting.

A *condition* is one complete `Knobs`. The defaults are what the app does; the other values are
the cures and the faults that experiments compare with it. This module imports nothing of weight,
so that a catalog, a command line and a worker can all read it.
"""

from __future__ import annotations

import typing
from typing import Any, Literal, NamedTuple

from listen2lab.errors import InputError, UnknownNameError

__all__ = ["KNOB_MEANINGS", "Knobs", "knobs_from"]


class Knobs(NamedTuple):
    """One complete setting of the pipeline. See `KNOB_MEANINGS` for each knob in words."""

    # the queue
    lookahead_count: int = 1
    max_cache_size: int | None = 2
    after_eviction: Literal["nothing", "gc", "clear", "clear+trim"] = "nothing"
    in_flight: int = 1
    cancel_resumes: Literal["all", "one"] = "all"
    # the session
    session_every: int | None = None
    sessions: Literal["shared", "each"] = "shared"
    voice_change_every: int | None = None
    voice_change: Literal["build-first", "drop-first"] = "build-first"
    cpu_mem_arena: bool = True
    mem_pattern: bool = True
    num_threads: int = 1
    max_num_sentences: int = 1
    noise_scale_w: float = 0.8
    speed: float = 1.0
    # the text
    split_long_sentences: bool = False
    longest_sentence_s: int | None = None
    # alignment
    alignment: Literal["recognizer", "forced", "loaded", "off"] = "recognizer"
    service_cache_size: int | None = 100
    alignment_disk_cache: bool = False
    # playback
    player: Literal["drops", "retains"] = "drops"
    reading: Literal["straight", "skips"] = "straight"


KNOB_MEANINGS: dict[str, str] = {
    "lookahead_count": "paragraphs synthesized ahead of the one that plays",
    "max_cache_size": "paragraphs whose audio and alignment are kept; none: unbounded",
    "after_eviction": "what is done after an eviction, beyond dropping the entry",
    "in_flight": "syntheses that may run at once; the app's lock lets one",
    "cancel_resumes": "waiters that cancel_all resumes: all (the app), or one after the other",
    "session_every": "drop and rebuild the engine's session every so many paragraphs; none: never",
    "sessions": "one engine session shared by all syntheses in flight, or one each",
    "voice_change_every": "change the voice every so many paragraphs; none: never",
    "voice_change": "build the new session before the old one is dropped (the app), or after",
    "cpu_mem_arena": "ONNX Runtime's CPU memory arena",
    "mem_pattern": "ONNX Runtime's memory pattern planner",
    "num_threads": "threads of the synthesis session",
    "max_num_sentences": "sentences that the engine synthesizes in one batch",
    "noise_scale_w": "randomness of the durations; 0: a text has the same length every time",
    "speed": "speaking speed, clamped to 0.5-2.0",
    "split_long_sentences": "split sentences above some 15 s at commas and words",
    "longest_sentence_s": "shorten longer sentences to some this many seconds; none: as written",
    "alignment": "recognizer, forced (CTC trellis), model loaded but unused, or off",
    "service_cache_size": "entries of the alignment service's in-memory LRU; none: unbounded",
    "alignment_disk_cache": "alignments also written to disk as JSON and read back",
    "player": "the player drops what was scheduled when it stops, or retains it",
    "reading": "paragraph after paragraph, or with a skip in every third",
}


# With 0, nothing could be synthesized, or "every so many" would have no meaning.
_AT_LEAST_ONE = frozenset(
    (
        "in_flight",
        "longest_sentence_s",
        "max_num_sentences",
        "num_threads",
        "session_every",
        "voice_change_every",
    )
)


def knobs_from(values: dict[str, object]) -> Knobs:
    """Check names and values, and fill in the defaults.

    Parameters
    ----------
    values
        Knob name to value, as JSON holds them.

    Returns
    -------
    Knobs
        The complete setting.

    Raises
    ------
    UnknownNameError
        A name is not a knob's; the message suggests the nearest.
    InputError
        A value is not one that the knob takes.
    """
    kinds = typing.get_type_hints(Knobs)
    for name, value in values.items():
        if name not in kinds:
            raise UnknownNameError("knob", name, kinds)
        _check(name, value, kinds[name])
    return Knobs(**values)  # type: ignore[arg-type] # just checked against the hints


def _check(name: str, value: object, kind: Any) -> None:
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in choices:
            raise InputError(f"knob {name!r} takes one of {', '.join(choices)}, not {value!r}")
        return
    allowed = choices or (kind,)
    if float in allowed:
        allowed = (*allowed, int)
    is_right = isinstance(value, tuple(allowed)) and (
        not isinstance(value, bool) or bool in allowed
    )
    if not is_right:
        words = " or ".join("none" if t is type(None) else t.__name__ for t in allowed)
        raise InputError(f"knob {name!r} takes {words}, not {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        least = 1 if name in _AT_LEAST_ONE else 0
        if not value >= least:  # so that NaN is refused as well
            raise InputError(f"knob {name!r} must be at least {least}, got {value}")
