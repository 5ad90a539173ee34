"""The pipeline's knobs, conditions made of them, and the selftest's faults in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listen2lab.study.plan import KnobValue

__all__ = ["FAULT_MEANINGS", "KNOB_MEANINGS", "in_words"]

KNOB_MEANINGS: dict[str, str] = {
    "lookahead_count": "paragraphs synthesized ahead of the one that plays",
    "max_cache_size": "paragraphs whose audio and alignment are kept; none: unbounded",
    "after_eviction": "what is done after an eviction, beyond dropping the entry",
    "in_flight": "syntheses that may run at once; the app's lock lets one",
    "voice_graph": "the voice's graph as it was exported, or rewritten so that memory no longer "
    "follows the sentence (`listen2lab voice bound`)",
    "session_every": "drop and rebuild the engine's session every so many paragraphs; none: never",
    "recreate_after_s": "drop and rebuild it after a sentence above so many seconds; none: never",
    "sessions": "one engine session shared by all syntheses in flight, or one each",
    "voice_change_every": "change the voice every so many paragraphs; none: never",
    "cpu_mem_arena": "ONNX Runtime's CPU memory arena",
    "mem_pattern": "ONNX Runtime's memory pattern planner",
    "session_config": "further entries of ONNX Runtime's session configuration, key to value",
    "num_threads": "threads of the synthesis session",
    "max_num_sentences": "sentences that the engine synthesizes in one batch",
    "noise_scale": "randomness of the voice; 0, with noise_scale_w 0: a text always sounds alike",
    "noise_scale_w": "randomness of the durations; 0: a text has the same length every time",
    "split_sentences_s": "split sentences above so many seconds at commas and words; none: never",
    "longest_sentence_s": "shorten longer sentences to some this many seconds; none: as written",
    "alignment": "recognizer, forced (CTC trellis), model loaded but unused, or off",
    "recognizer_loaded": "the recognizer is loaded at the setup and kept, at its first use and "
    "kept, or for each use and dropped after it",
    "service_cache_size": "entries of the alignment service's in-memory LRU; none: unbounded",
    "player": "the player drops what was scheduled when it stops, or retains it",
    "reading": "paragraph after paragraph, or with a skip in every third",
}
"""Each knob of `listen2lab.pipeline.knobs.Knobs`, in its order."""

FAULT_MEANINGS: dict[str, str] = {
    "clean": "nothing",
    "native-leak": "a block of malloc that is never freed, each step",
    "python-leak": "a list that keeps each paragraph's audio",
    "player-retains": "the player keeps what was scheduled on it",
    "alignment-cache": "an alignment cache without a limit",
    "child": "a process below this one that keeps a block each step",
    "shared-memory": "a file in memory (/dev/shm) that stays, each step",
    "doubling-pool": "a native pool that is used ever more, and doubles when it is full",
    "late-touch": "memory of the setup that is first touched later",
    "cycle": "audio in a reference cycle that only the collector frees",
    "filling-cache": "a cache of audio that fills and stops",
    "one-off": "one large block, kept",
}
"""Each of `listen2lab.pipeline.planted.FAULTS`."""


def in_words(knobs: Mapping[str, KnobValue]) -> str:
    """Say how a condition differs from the app."""
    said = []
    if (knobs.get("cpu_mem_arena"), knobs.get("mem_pattern")) == (False, False):
        said.append("no arena and no memory pattern")
        knobs = {name: v for name, v in knobs.items() if name not in _BOTH_OFF}
    for name, value in knobs.items():
        if name == "lookahead_count" and "in_flight" in knobs:
            continue  # only there so that several are wanted at once
        exact = (name, value) if not isinstance(value, dict) else (name,)
        words = _KNOB_WORDS.get(exact) or _KNOB_WORDS.get((name,))
        said.append(f"{name} = {value}" if words is None else words.format(value=value))
    return ", ".join(said) or "as the app does"


_BOTH_OFF = ("cpu_mem_arena", "mem_pattern")

_KNOB_WORDS: dict[tuple[object, ...], str] = {
    ("split_sentences_s", None): "no sentence split",
    ("split_sentences_s", 15.0): "long sentences split",
    ("split_sentences_s",): "sentences split at {value:g} s",
    ("longest_sentence_s",): "no sentence above {value} s",
    ("voice_graph", "bounded"): "the bounded voice",
    ("recreate_after_s",): "a new session after a sentence above {value:g} s",
    ("recognizer_loaded", "each-use"): "the recognizer loaded for each use",
    ("recognizer_loaded", "at-first-use"): "the recognizer loaded at its first use",
    ("session_every", 1): "a new session every paragraph",
    ("session_every",): "a new session every {value} paragraphs",
    ("voice_change_every",): "another voice every {value} paragraphs",
    ("cpu_mem_arena",): "no arena",
    ("mem_pattern",): "no memory pattern",
    ("max_cache_size", None): "an unbounded cache",
    ("max_cache_size",): "a cache of {value}",
    ("alignment", "off"): "no alignment",
    ("alignment",): "alignment {value}",
    ("after_eviction",): "{value} after each eviction",
    ("in_flight",): "{value} in flight",
    ("sessions",): "a session each",
}
