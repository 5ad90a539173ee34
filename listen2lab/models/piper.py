"""A Piper voice as Piper's own project hands it out: a model and its ``.onnx.json``.

sherpa-onnx needs two things more, a tokens.txt and metadata inside the model. Both follow from
the JSON, so a ready copy is made once, in the user's cache folder; the given folder stays as it
was.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from hashlib import sha256
from typing import Any

from listen2lab.errors import VoiceError
from listen2lab.models.onnx_file import metadata_entries, read_model

__all__ = ["ready_copy", "user_cache"]

_MAX_CONFIG_BYTES = 2**22
# Raw VITS exports of Piper before 2023 wrote this by mistake.
_MISWRITTEN_RATE = 22_500


def user_cache() -> str:
    """Return the folder for copies that can be made again.

    Returns
    -------
    str
        ``$XDG_CACHE_HOME/listen2lab``, or the system's usual place.
    """
    if given := os.environ.get("XDG_CACHE_HOME"):
        return os.path.join(given, "listen2lab")  # noqa: PTH118 - pathlib costs a worker 1 MiB
    home = os.path.expanduser("~")  # noqa: PTH111
    is_mac = os.path.isdir(os.path.join(home, "Library", "Caches"))  # noqa: PTH112, PTH118
    return os.path.join(home, *(("Library", "Caches") if is_mac else (".cache",)), "listen2lab")  # noqa: PTH118


def ready_copy(model: str, config_path: str, cache: str | None = None) -> str:
    """Make a folder that sherpa-onnx can load of a raw Piper voice, or find the one made before.

    Parameters
    ----------
    model
        The ``.onnx`` file.
    config_path
        Its ``.onnx.json``.
    cache
        Where copies are kept; `user_cache` unless given.

    Returns
    -------
    str
        A folder with the same model, metadata appended, and a tokens.txt.

    Raises
    ------
    VoiceError
        The JSON is not one of Piper's, the model is damaged, or the copy cannot be written.
    """
    config, raw = _read_config(config_path)
    tokens = _tokens(config, config_path)
    facts = read_model(model)
    wanted = _metadata(config, config_path)
    missing = {key: value for key, value in wanted.items() if not facts.metadata.get(key)}
    status = os.stat(model)  # noqa: PTH116
    # Path, size and time tell copies apart; hashing 60 MB at every start would not be light.
    key = f"{os.path.realpath(model)}|{status.st_size}|{status.st_mtime_ns}|"
    name = os.path.basename(model).removesuffix(".onnx")  # noqa: PTH119
    root = os.path.join(cache or user_cache(), "piper")  # noqa: PTH118
    folder = os.path.join(root, f"{name}-{sha256(key.encode() + raw).hexdigest()[:16]}")  # noqa: PTH118
    if os.path.isdir(folder):  # noqa: PTH112
        return folder
    try:
        os.makedirs(root, exist_ok=True)  # noqa: PTH103
        with tempfile.TemporaryDirectory(dir=root, prefix=".making-") as making:
            copy = os.path.join(making, "voice")  # noqa: PTH118
            os.mkdir(copy)  # noqa: PTH102
            target = os.path.join(copy, "model.onnx")  # noqa: PTH118
            shutil.copyfile(model, target)
            with open(target, "ab") as stream:  # noqa: PTH123
                stream.write(metadata_entries(missing))
            with open(os.path.join(copy, "tokens.txt"), "w", encoding="utf-8") as stream:  # noqa: PTH118, PTH123
                stream.write(tokens)
            try:
                os.rename(copy, folder)  # noqa: PTH104
            except OSError:
                if not os.path.isdir(folder):  # noqa: PTH112 - another process was quicker
                    raise
    except OSError as error:
        raise VoiceError(
            f"{os.path.basename(model)} is a raw Piper voice, of which a copy with metadata is "  # noqa: PTH119
            f"needed, and the copy could not be written to {root}: {error.strerror or error}; "
            "free some room, or set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    return folder


def _read_config(path: str) -> tuple[dict[str, Any], bytes]:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            raw = stream.read(_MAX_CONFIG_BYTES + 1)
        config = json.loads(raw[:_MAX_CONFIG_BYTES])
    except OSError as error:
        raise VoiceError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise VoiceError(f"{path} is not JSON ({error}); fetch the voice again") from error
    if not isinstance(config, dict):
        raise VoiceError(f"{path} is not a Piper voice's settings: it holds no JSON object")
    return config, raw


def _field(config: dict[str, Any], path: str, *keys: str) -> Any:
    value: Any = config
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise VoiceError(
                f"{path} is not a Piper voice's settings: {'.'.join(keys)} is missing; "
                "fetch the voice again"
            )
        value = value[key]
    return value


def _metadata(config: dict[str, Any], path: str) -> dict[str, str]:
    kind = config.get("phoneme_type", "espeak")
    if kind != "espeak":
        raise VoiceError(
            f"{path}: its phonemes are of type {kind!r}; the lab speaks Piper voices with "
            "espeak-ng's phonemes. Take another voice"
        )
    rate = _field(config, path, "audio", "sample_rate")
    voice = _field(config, path, "espeak", "voice")
    speakers = config.get("num_speakers", 1)
    if not isinstance(rate, int) or not isinstance(speakers, int) or not isinstance(voice, str):
        raise VoiceError(f"{path}: sample_rate, num_speakers or espeak.voice has the wrong type")
    language = config.get("language")
    english = language.get("name_english") if isinstance(language, dict) else None
    return {
        "model_type": "vits",
        "comment": "piper",
        "language": str(english or voice),
        "voice": voice,
        "version": "1",
        "has_espeak": "1",
        "n_speakers": str(speakers),
        "sample_rate": str(22_050 if rate == _MISWRITTEN_RATE else rate),
    }


def _tokens(config: dict[str, Any], path: str) -> str:
    """Write the map's single characters; the engine exits on keys of several."""
    entries = _field(config, path, "phoneme_id_map")
    if not isinstance(entries, dict):
        raise VoiceError(f"{path}: phoneme_id_map is no map")
    lines = []
    for key, ids in entries.items():
        number = ids[0] if isinstance(ids, list) and ids else ids
        if not isinstance(number, int) or number < 0:
            raise VoiceError(f"{path}: phoneme_id_map has no number for {key!r}")
        # Other ASCII whitespace cannot be written in the engine's format.
        is_half = "\ud800" <= key <= "\udfff"  # JSON can hold half a character, a file cannot
        if key == " " or (len(key) == 1 and not is_half and not (key.isascii() and key.isspace())):
            lines.append(f"{key} {number}\n")
    return "".join(lines)
