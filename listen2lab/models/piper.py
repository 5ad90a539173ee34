"""A Piper voice as Piper's own project hands it out: a model and its ``.onnx.json``.

sherpa-onnx needs two things more, a tokens.txt and metadata inside the model. Both follow from
the JSON, so a ready copy is made once, in the user's cache folder; the given folder stays as it
was.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from listen2lab.errors import VoiceError
from listen2lab.models.onnx_file import metadata_entries, read_model

__all__ = ["ready_copy"]

_MAX_CONFIG_BYTES = 2**22
# Raw VITS exports of Piper before 2023 wrote this by mistake.
_MISWRITTEN_RATE = 22_500


class _Audio(msgspec.Struct, frozen=True):
    sample_rate: int


class _Espeak(msgspec.Struct, frozen=True):
    voice: str


class _Config(msgspec.Struct, frozen=True):
    """What of Piper's JSON is needed."""

    audio: _Audio
    espeak: _Espeak
    phoneme_id_map: dict[str, int | list[int]]
    num_speakers: int = 1
    phoneme_type: str = "espeak"
    language: Any = None


def ready_copy(model: Path, config_path: Path, cache: Path | None = None) -> Path:
    """Make a folder that sherpa-onnx can load of a raw Piper voice, or find the one made before.

    The same model with metadata appended, and a tokens.txt, in `cache` or else the user's cache
    folder.
    """
    config, raw = _read_config(config_path)
    tokens = _tokens(config, config_path)
    facts = read_model(model)
    wanted = _metadata(config)
    missing = {key: value for key, value in wanted.items() if not facts.metadata.get(key)}
    # Path, size and time tell copies apart; hashing 60 MB at every start would be slow.
    status = model.stat()
    key = f"{model.resolve()}|{status.st_size}|{status.st_mtime_ns}|"
    root = (cache or platformdirs.user_cache_path("listen2lab")) / "piper"
    folder = root / f"{model.stem}-{sha256(key.encode() + raw).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".making-") as making:
            copy = Path(making, "voice")
            copy.mkdir()
            shutil.copyfile(model, copy / "model.onnx")
            with (copy / "model.onnx").open("ab") as stream:
                stream.write(metadata_entries(missing))
            (copy / "tokens.txt").write_text(tokens, encoding="utf-8", newline="\n")
            try:
                copy.rename(folder)
            except OSError:
                if not folder.is_dir():  # another process was quicker
                    raise
    except OSError as error:
        raise VoiceError(
            f"{model.name} is a raw Piper voice, of which a copy with metadata is needed, and the "
            f"copy could not be written to {root}: {error.strerror or error}; "
            "free some room, or set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    return folder


def _read_config(path: Path) -> tuple[_Config, bytes]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_CONFIG_BYTES + 1)
        config = msgspec.convert(json.loads(raw[:_MAX_CONFIG_BYTES]), _Config)
    except OSError as error:
        raise VoiceError(f"{path} cannot be read: {error.strerror or error}") from error
    except msgspec.ValidationError as error:
        raise VoiceError(
            f"{path} is not a Piper voice's settings ({error}); fetch the voice again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise VoiceError(f"{path} is not JSON ({error}); fetch the voice again") from error
    if config.phoneme_type != "espeak":
        raise VoiceError(
            f"{path}: its phonemes are of type {config.phoneme_type!r}; the lab speaks Piper "
            "voices with espeak-ng's phonemes. Take another voice"
        )
    return config, raw


def _metadata(config: _Config) -> dict[str, str]:
    rate, voice, language = config.audio.sample_rate, config.espeak.voice, config.language
    english = language.get("name_english") if isinstance(language, dict) else None
    return {
        "model_type": "vits",
        "comment": "piper",
        "language": str(english or voice),
        "voice": voice,
        "version": "1",
        "has_espeak": "1",
        "n_speakers": str(config.num_speakers),
        "sample_rate": str(22_050 if rate == _MISWRITTEN_RATE else rate),
    }


def _tokens(config: _Config, path: Path) -> str:
    """Write the map's single characters; the engine exits on keys of several."""
    lines = []
    for key, ids in config.phoneme_id_map.items():
        number = next(iter(ids), -1) if isinstance(ids, list) else ids
        if number < 0:
            raise VoiceError(f"{path}: phoneme_id_map has no number for {key!r}")
        # Other ASCII whitespace cannot be written in the engine's format.
        is_half = "\ud800" <= key <= "\udfff"  # JSON can hold half a character, a file cannot
        if key == " " or (len(key) == 1 and not is_half and not (key.isascii() and key.isspace())):
            lines.append(f"{key} {number}\n")
    return "".join(lines)
