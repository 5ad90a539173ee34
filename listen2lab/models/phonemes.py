"""Phonemes of a real Piper voice: where they come from, by the engine's version, and making them.

sherpa-onnx before 2.0 has espeak-ng inside and needs its data. From 2.0 on it takes phonemes from
outside: from the espeak-ng that the extra ``listen2lab[piper]`` brings.

piper-tts is GPL, so it is an extra and never bundled. Only its small bridge to espeak-ng is
loaded: importing the package itself would load a second ONNX Runtime, 38 MiB that an experiment
about memory must not have. (The bridge and its data: 2.4 MiB.)
"""

from __future__ import annotations

import os
import re
import sys
import threading
import unicodedata

from listen2lab.errors import EngineError, TextError, VoiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from listen2lab.models.voices import Route

__all__ = ["choose_route", "espeak_data", "is_available", "phonemize", "sherpa_version"]

_HOW_TO_INSTALL = "pip install 'listen2lab[piper]'"

# espeak-ng marks words of another language with the language's name in parentheses.
_LANGUAGE_SWITCH = re.compile(r"\([^)]*\)")
_BRIDGE = "espeakbridge"
_ESPEAK_FILES = ("phontab", "phonindex", "phondata", "intonations")
# Where packages of Linux and of Homebrew put espeak-ng's data.
SYSTEM_ESPEAK = (
    "/usr/lib/x86_64-linux-gnu/espeak-ng-data",
    "/usr/lib/aarch64-linux-gnu/espeak-ng-data",
    "/usr/share/espeak-ng-data",
    "/usr/local/share/espeak-ng-data",
    "/opt/homebrew/share/espeak-ng-data",
)

# espeak-ng has one voice, one text and one thread at a time for the whole process.
_lock = threading.Lock()
_bridge: ModuleType | None = None
_voice_now = ""


def sherpa_version() -> str:
    """Return the installed sherpa-onnx's version, without loading it."""
    loaded = getattr(sys.modules.get("sherpa_onnx"), "__version__", None)
    if isinstance(loaded, str):
        return loaded
    # A worker has it loaded, and importlib.metadata would cost it 6.6 MiB.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sherpa-onnx")
    except PackageNotFoundError as error:
        raise VoiceError(
            "sherpa-onnx is not installed; install it: pip install sherpa-onnx"
        ) from error


def choose_route(
    folder: str, engine_version: str | None, *, needs_route: bool
) -> tuple[Route, str]:
    """Choose between espeak-ng inside the engine (before 2.0) and phonemes from outside.

    Returns the route and espeak-ng's data for it, or "". A worker's `engine_version` may be another
    than its parent's; without `needs_route` it is no error if something is missing.
    """
    version = engine_version or sherpa_version()
    if int(version.split(".")[0]) >= 2:
        if needs_route and not is_available():
            raise VoiceError(
                f"the voice {folder} speaks espeak-ng's phonemes, and sherpa-onnx {version} "
                f"has no espeak-ng of its own; install it: {_HOW_TO_INSTALL} (a GPL package)"
            )
        return "phonemes", ""
    own = f"{folder}/espeak-ng-data"
    for data in (own, espeak_data(), *SYSTEM_ESPEAK):
        if data and all(os.path.isfile(f"{data}/{file}") for file in _ESPEAK_FILES):
            return "espeak-data", data
    if needs_route:
        raise VoiceError(
            f"the voice {folder} needs espeak-ng's data, and neither {own} nor the system "
            f"has it whole ({', '.join(_ESPEAK_FILES)}); unpack the voice again, or "
            f"{_HOW_TO_INSTALL}"
        )
    return "espeak-data", ""


def is_available() -> bool:
    """Tell whether the bridge to espeak-ng is installed, without loading it."""
    return _paths() is not None


def espeak_data() -> str | None:
    """Return the folder of espeak-ng's data that piper-tts brings, or None."""
    paths = _paths()
    return paths[1] if paths else None


def phonemize(text: str, espeak_voice: str) -> list[list[int]]:
    """Turn a text into the codepoints of its phonemes, a list for each sentence that sounds.

    `espeak_voice` is espeak-ng's name of a language: ``en-us``. Clauses keep their marks, and
    combining characters stand apart (Unicode's NFD), as Piper's voices were trained. May be called
    from several threads; they take turns.
    """
    if "\0" in text:
        raise TextError("the text holds a zero character, which espeak-ng cannot read; remove it")
    with _lock:
        clauses = _clauses(text, espeak_voice)
    sentences: list[list[int]] = []
    held = ""
    for phonemes, mark, is_end in (*clauses, ("", "", True)):
        held += _LANGUAGE_SWITCH.sub("", phonemes) + mark + ("" if is_end else " ")
        if is_end:
            if any(map(str.isalpha, held)):
                sentences.append([*map(ord, unicodedata.normalize("NFD", held))])
            held = ""
    return sentences


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


def _paths() -> tuple[str, str] | None:
    """Find the bridge and espeak-ng's data without importing the package."""
    from importlib.machinery import EXTENSION_SUFFIXES
    from importlib.util import find_spec

    spec = find_spec("piper")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        data = os.path.join(folder, "espeak-ng-data")
        for suffix in (*EXTENSION_SUFFIXES, ".so"):
            bridge = os.path.join(folder, _BRIDGE + suffix)
            if os.path.isfile(bridge) and os.path.isdir(data):
                return bridge, data
    return None


def _load() -> ModuleType:
    global _bridge  # noqa: PLW0603 - one library for the process
    if _bridge is not None:
        return _bridge
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    paths = _paths()
    if paths is None:
        raise VoiceError(
            "this voice speaks phonemes, which need espeak-ng; nothing was spoken. "
            f"Install it: {_HOW_TO_INSTALL}"
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
            f"espeak-ng could not be loaded ({error}); install it again: {_HOW_TO_INSTALL}"
        ) from error
    _bridge = module
    return module
