"""Phonemes for a real Piper voice, from the espeak-ng that the extra ``listen2lab[piper]`` brings.

piper-tts is GPL, so it is an extra and never bundled. Only its small bridge to espeak-ng is
loaded: importing the package itself would load a second ONNX Runtime, 38 MiB that an experiment
about memory must not have. (The bridge and its data: 2.4 MiB.)
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata

from listen2lab.errors import EngineError, TextError, VoiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["HOW_TO_INSTALL", "espeak_data", "is_available", "phonemize"]

HOW_TO_INSTALL = "pip install 'listen2lab[piper]'"

# espeak-ng marks words of another language with the language's name in parentheses.
_LANGUAGE_SWITCH = re.compile(r"\([^)]*\)")
_BRIDGE = "espeakbridge"

# espeak-ng has one voice, one text and one thread at a time for the whole process.
_lock = threading.Lock()
_bridge: ModuleType | None = None
_voice_now = ""


def is_available() -> bool:
    """Tell whether the bridge to espeak-ng is installed, without loading it."""
    return _paths() is not None


def espeak_data() -> str | None:
    """Return the folder of espeak-ng's data that piper-tts brings, or None."""
    paths = _paths()
    return paths[1] if paths else None


def phonemize(text: str, espeak_voice: str) -> list[list[int]]:
    """Turn a text into the codepoints of its phonemes, a list for each sentence.

    Clauses keep their marks, and combining characters stand apart (Unicode's NFD), as Piper's
    voices were trained. May be called from several threads; they take turns.

    Parameters
    ----------
    text
        A paragraph.
    espeak_voice
        espeak-ng's name of a language: ``en-us``.

    Returns
    -------
    list of list of int
        Sentences without a sound are left out.

    Raises
    ------
    VoiceError
        The extra is not installed, or espeak-ng does not know the voice.
    TextError
        The text holds a zero character.
    """
    if "\0" in text:
        raise TextError("the text holds a zero character, which espeak-ng cannot read; remove it")
    with _lock:
        clauses = _clauses(text, espeak_voice)
    sentences: list[list[int]] = []
    held = ""
    for phonemes, mark, is_end in clauses:
        held += _LANGUAGE_SWITCH.sub("", phonemes) + mark
        if is_end:
            sentences += _sounding(held)
            held = ""
        else:
            held += " "
    return sentences + _sounding(held)


def _clauses(text: str, espeak_voice: str) -> list[tuple[str, str, bool]]:
    """Return (phonemes, mark, whether a sentence ends) for each clause."""
    global _voice_now  # noqa: PLW0603 - espeak-ng's own state is one for the process
    bridge = _load()
    if espeak_voice != _voice_now:
        try:
            bridge.set_voice(espeak_voice)
        except RuntimeError as error:
            raise VoiceError(
                f"espeak-ng has no voice {espeak_voice!r}, which the model's metadata name; "
                "correct the metadata, or take another voice"
            ) from error
        _voice_now = espeak_voice
    return list(bridge.get_phonemes(text))


def _sounding(sentence: str) -> list[list[int]]:
    """Return the sentence's codepoints in a list, or nothing if it has no letter."""
    if not any(character.isalpha() for character in sentence):
        return []
    return [[ord(character) for character in unicodedata.normalize("NFD", sentence)]]


def _paths() -> tuple[str, str] | None:
    """Find the bridge and espeak-ng's data without importing the package."""
    from importlib.machinery import EXTENSION_SUFFIXES  # noqa: PLC0415
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec("piper")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        data = os.path.join(folder, "espeak-ng-data")  # noqa: PTH118 - as in the whole worker
        for suffix in (*EXTENSION_SUFFIXES, ".so"):
            bridge = os.path.join(folder, _BRIDGE + suffix)  # noqa: PTH118
            if os.path.isfile(bridge) and os.path.isdir(data):  # noqa: PTH112, PTH113
                return bridge, data
    return None


def _load() -> ModuleType:
    global _bridge  # noqa: PLW0603 - one library for the process
    if _bridge is not None:
        return _bridge
    from importlib.machinery import ExtensionFileLoader  # noqa: PLC0415
    from importlib.util import module_from_spec, spec_from_loader  # noqa: PLC0415

    paths = _paths()
    if paths is None:
        raise VoiceError(
            "this voice speaks phonemes, which need espeak-ng; nothing was spoken. "
            f"Install it: {HOW_TO_INSTALL}"
        )
    loader = ExtensionFileLoader(_BRIDGE, paths[0])
    spec = spec_from_loader(_BRIDGE, loader)
    assert spec is not None
    try:
        module = module_from_spec(spec)
        loader.exec_module(module)
        module.initialize(paths[1])
    except (ImportError, RuntimeError) as error:
        raise EngineError(
            f"espeak-ng could not be loaded ({error}); install it again: {HOW_TO_INSTALL}"
        ) from error
    _bridge = module
    return module
