"""How text becomes a voice's units, by the engine's version, which is found without loading it."""

from __future__ import annotations

import os
import re
import sys
from typing import Literal

from listen2lab.errors import VoiceError

__all__ = ["Route", "espeak_route", "sherpa_version"]

Route = Literal["characters", "espeak-data", "phonemes"]

_FIRST_WITHOUT_ESPEAK = (2,)
_ESPEAK_FILES = ("phontab", "phonindex", "phondata", "intonations")
# Where packages of Linux and of Homebrew put espeak-ng's data.
_SYSTEM_ESPEAK = (
    "/usr/lib/x86_64-linux-gnu/espeak-ng-data",
    "/usr/lib/aarch64-linux-gnu/espeak-ng-data",
    "/usr/share/espeak-ng-data",
    "/usr/local/share/espeak-ng-data",
    "/opt/homebrew/share/espeak-ng-data",
)


def sherpa_version() -> str:
    """Return the installed sherpa-onnx's version, without loading it.

    Returns
    -------
    str
        ``2.0.1``. Read from the name of the package's ``dist-info`` folder, because
        importlib.metadata would cost a worker 6.6 MiB.

    Raises
    ------
    VoiceError
        sherpa-onnx is not installed.
    """
    loaded = getattr(sys.modules.get("sherpa_onnx"), "__version__", None)
    if isinstance(loaded, str):
        return loaded
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec("sherpa_onnx")
    if spec is None or not spec.submodule_search_locations:
        raise VoiceError("sherpa-onnx is not installed; install it: pip install sherpa-onnx")
    site = os.path.dirname(next(iter(spec.submodule_search_locations)))  # noqa: PTH120
    for entry in os.listdir(site):  # noqa: PTH208
        if found := re.fullmatch(r"sherpa_onnx-(\d[^-]*)\.dist-info", entry):
            return found[1]
    from importlib.metadata import version  # noqa: PLC0415 - an unusual installation

    return version("sherpa-onnx")


def espeak_route(
    folder: str, name: str, engine_version: str | None, *, needs_route: bool
) -> tuple[Route, str]:
    """Choose between espeak-ng inside the engine (before 2.0) and phonemes from outside.

    Parameters
    ----------
    folder, name
        Of the voice.
    engine_version
        sherpa-onnx's; the installed one unless given.
    needs_route
        Whether it is an error if what the route needs is not there.

    Returns
    -------
    route
        ``"phonemes"`` or ``"espeak-data"``.
    data_dir
        espeak-ng's data for the second, or empty.

    Raises
    ------
    VoiceError
        espeak-ng or its data is missing.
    """
    from listen2lab.pipeline import phonemes  # noqa: PLC0415 - real Piper voices only

    version = engine_version or sherpa_version()
    if _release(version) >= _FIRST_WITHOUT_ESPEAK:
        if needs_route and not phonemes.is_available():
            raise VoiceError(
                f"the voice {name} speaks espeak-ng's phonemes, and sherpa-onnx {version} has no "
                f"espeak-ng of its own; install it: {phonemes.HOW_TO_INSTALL} (a GPL package)"
            )
        return "phonemes", ""
    own = os.path.join(folder, "espeak-ng-data")  # noqa: PTH118
    for data in (own, phonemes.espeak_data(), *_SYSTEM_ESPEAK):
        if data and all(os.path.isfile(os.path.join(data, file)) for file in _ESPEAK_FILES):  # noqa: PTH113, PTH118
            return "espeak-data", data
    if needs_route:
        raise VoiceError(
            f"the voice {name} needs espeak-ng's data, and neither {own} nor the system has it "
            f"whole ({', '.join(_ESPEAK_FILES)}); unpack the voice again, or "
            f"{phonemes.HOW_TO_INSTALL}"
        )
    return "espeak-data", ""


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
