"""The knobs of the reading pipeline: every suspicious place of the app, as a setting.

A *condition* is one complete `Knobs`. The defaults are what the app does; the other values are
the cures and the faults that experiments compare with it. This module imports nothing of weight,
so that a catalog, a command line and a worker can all read it.
"""

from __future__ import annotations

import functools
import math
import typing
from typing import Any, Literal, NamedTuple

from listen2lab.errors import InputError, UnknownNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEASURED_WITH", "Knobs", "knobs_from"]


class Knobs(NamedTuple):
    """One complete setting of the pipeline. `listen2lab.KNOB_MEANINGS` says each in words.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.Knobs().max_cache_size
    2
    >>> lab.KNOB_MEANINGS["split_sentences_s"]
    'split sentences above so many seconds at commas and words; none: never'
    """

    # the queue
    lookahead_count: int = 1
    max_cache_size: int | None = 2
    after_eviction: Literal["nothing", "gc", "clear", "clear+trim"] = "nothing"
    in_flight: int = 1
    # the voice
    voice_graph: Literal["exported", "bounded"] = "exported"
    # the session
    session_every: int | None = None
    recreate_after_s: float | None = None
    sessions: Literal["shared", "each"] = "shared"
    voice_change_every: int | None = None
    cpu_mem_arena: bool = True
    mem_pattern: bool = True
    session_config: tuple[tuple[str, str], ...] = ()
    num_threads: int = 1
    max_num_sentences: int = 1
    noise_scale: float = 0.667
    noise_scale_w: float = 0.8
    # the text
    split_sentences_s: float | None = None
    longest_sentence_s: int | None = None
    # alignment
    alignment: Literal["recognizer", "forced", "loaded", "off"] = "recognizer"
    recognizer_loaded: Literal["at-setup", "at-first-use", "each-use"] = "at-setup"
    service_cache_size: int | None = 100
    # playback
    player: Literal["drops", "retains"] = "drops"
    reading: Literal["straight", "skips"] = "straight"


MEASURED_WITH = frozenset({"noise_scale", "noise_scale_w"})
"""Knobs that say how a condition is measured, not what the app would be like: with both at 0 a
text sounds and lasts the same in every run, and conditions differ in nothing else."""

# With 0, nothing could be synthesized, or "every so many" would have no meaning.
_AT_LEAST_ONE = frozenset(
    (
        "in_flight", "longest_sentence_s", "max_num_sentences", "num_threads", "session_every",
        "split_sentences_s", "voice_change_every",
    )
)  # fmt: skip


@functools.cache
def _kinds() -> dict[str, Any]:
    return typing.get_type_hints(Knobs)


def knobs_from(values: Mapping[str, Any]) -> Knobs:
    """Check names and values, and fill in the defaults.

    As JSON holds them: ``session_config`` is an object of its entries. An unknown name is an
    UnknownNameError, a value that the knob does not take an InputError.
    """
    kinds = _kinds()
    given = dict(values)
    for name, value in given.items():
        if name not in kinds:
            raise UnknownNameError("knob", name, kinds)
        if name == "session_config":
            given[name] = _entries(value)
        else:
            _check(name, value, kinds[name])
    knobs = Knobs(**given)
    if knobs.alignment == "loaded" and knobs.recognizer_loaded != "at-setup":
        raise InputError(
            f"knob 'recognizer_loaded' is {knobs.recognizer_loaded!r}, and with 'alignment' "
            "'loaded' nothing uses the recognizer: it would never be loaded; leave one of them out"
        )
    return knobs


def _entries(value: Any) -> tuple[tuple[str, str], ...]:
    """Return session configuration entries in one order, so that equal ones are equal."""
    try:
        entries = {
            key: str(int(each)) if isinstance(each, bool) else str(each)
            for key, each in dict(value).items()
        }
        is_right = all(
            key and not set(key) & set("=\n\r ") and not set(each) & set("\n\r")
            for key, each in entries.items()
        )
    except (TypeError, ValueError):
        is_right = False
    if not is_right:
        raise InputError(
            "knob 'session_config' takes entries of ONNX Runtime's session configuration, such as "
            f'{{"session.disable_prepacking": "1"}}, not {value!r}'
        )
    return tuple(sorted(entries.items()))


def _check(name: str, value: object, kind: Any) -> None:
    if isinstance(value, list | tuple | range) or (isinstance(value, str) and "," in value):
        raise InputError(
            f"knob {name!r} takes one value, not {value!r}; to compare several, "
            f"lab.run(lab.vary({name!r}, [...])), or on the command line --vary {name}=A,B"
        )
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
        if not (least <= value and math.isfinite(value)):  # NaN is refused as well
            raise InputError(f"knob {name!r} must be at least {least} and finite, got {value}")
