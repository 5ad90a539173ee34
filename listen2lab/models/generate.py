"""The laboratory's own models: voices and a recognizer, generated from a seed, cached on disk.

A generated voice has a real Piper voice's inputs, shapes and operators, so the engine's memory
behaves as with a real one; what it says is tones, a pair for each character, which the generated
recognizer reads. So nothing needs a network, and every time in a recording is known.

Building imports onnx, onnxruntime and kaldi_native_fbank, and happens in a child process;
looking up what is there imports none of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import filelock

from listen2lab.errors import UnknownNameError, VoiceError
from listen2lab.models.alphabet import ALPHABET, BLANK_FRAMES, CHARACTER_FRAMES, HOP, SAMPLE_RATE

__all__ = ["NAMES", "VOICES", "build_recognizer", "build_voice", "content_hash", "ensure"]

#: The voices among them, smallest first.
VOICES = ("tiny", "medium", "high")
#: The models that `ensure` can make.
NAMES = (*VOICES, "recognizer")

# Raised whenever the same seed gives other bytes than before, so that caches are rebuilt.
FORMAT_VERSION = 4
_SEED = 0
_FILES = ("model.onnx", "tokens.txt")
_READ_VOICE = "tiny"  # that the recognizer is fitted on; it reads the others as well
_BUILD_TIMEOUT_S = 600.0
_BLOCK_BYTES = 1 << 20


def build_voice(
    size: str,
    folder: Path,
    seed: int = 0,
    route: Literal["characters", "codepoints"] = "characters",
) -> None:
    """Write a voice (``tiny``, ``medium`` or ``high``): model, tokens and ``voice.json``.

    The same seed gives the same bytes with the same version of onnx. On the route ``codepoints``
    the metadata ``frontend=characters`` is left out, as in a Piper voice; sherpa-onnx from 2.0 on
    then takes ``GenerationConfig.phoneme_codepoints``, and only then. The graph is the same.
    """
    from listen2lab.models import vits as _vits  # onnx, only where models are built

    if size not in _vits.SIZES:
        raise UnknownNameError("voice", size, _vits.SIZES)
    model = _vits.voice_model(_vits.SIZES[size], seed, takes_text=route == "characters")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    lines = (f"{character} {number}\n" for character, number in ALPHABET.items())
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    facts = {
        "name": size,
        "route": route,
        "parameters": _vits.parameter_count(model),
        "sample_rate": SAMPLE_RATE,
        "hop": HOP,
        "character_frames": CHARACTER_FRAMES,
        "blank_frames": BLANK_FRAMES,
    }
    _write_stamp(folder, "voice.json", seed, facts)


def build_recognizer(folder: Path, voice_folder: Path, seed: int = 0) -> None:
    """Write a recognizer that is fitted on a voice's audio: model, tokens, ``recognizer.json``."""
    from listen2lab.models import ctc as _ctc  # onnx, only where models are built

    folder.mkdir(parents=True, exist_ok=True)
    voice = voice_folder / "model.onnx"
    facts = _ctc.write_recognizer(folder, voice, seed)
    facts |= {"name": "recognizer", "voice_sha256": _file_hash(voice)}
    _write_stamp(folder, "recognizer.json", seed, facts)


def ensure(name: str, root: Path) -> Path:
    """Return a generated model's folder; build it if it is missing, outdated or damaged.

    It is built beside ``root / name`` and renamed, so that a build that is killed leaves nothing
    half made. Two processes may ask at once: the second one waits.
    """
    if name not in NAMES:
        raise UnknownNameError("generated model", name, NAMES)
    folder = root / name
    voice = ensure(_READ_VOICE, root) if name == "recognizer" else None
    if _is_sound(folder, voice):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / ".lock"):
            if not _is_sound(folder, voice):  # another process may just have built it
                _rebuild(name, folder, voice)
    except OSError as error:
        raise VoiceError(
            f"the {name} model cannot be built in {root}: {error.strerror}; "
            "what was begun is removed; give a folder with space that can be written to"
        ) from error
    return folder


def content_hash(folder: Path) -> str:
    """Return one SHA-256 over names and bytes of a model folder's files, hidden ones left out."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            total.update(f"{name}\n{_file_hash(path)}\n".encode())
    return total.hexdigest()


def _file_hash(path: Path) -> str:
    # in blocks: a worker that checks its voice must not grow by the voice's size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _files_of(folder: Path) -> dict[str, Any]:
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": _file_hash(folder / name)}
        for name in _FILES
    }


def _write_stamp(folder: Path, stamp: str, seed: int, facts: dict[str, Any]) -> None:
    stated = {"format_version": FORMAT_VERSION, "seed": seed, "files": _files_of(folder)}
    whole = {**facts, **stated}
    text = json.dumps(whole, indent=2, sort_keys=True) + "\n"
    (folder / stamp).write_text(text, encoding="utf-8")


def _is_sound(folder: Path, voice: Path | None) -> bool:
    """Tell whether the folder holds what its stamp says, of this version, seed and voice."""
    stamp = "voice.json" if voice is None else "recognizer.json"
    try:
        facts = json.loads((folder / stamp).read_text(encoding="utf-8"))
        if (facts["format_version"], facts["seed"]) != (FORMAT_VERSION, _SEED):
            return False
        if voice is not None and facts["voice_sha256"] != _file_hash(voice / "model.onnx"):
            return False
        return bool(facts["files"] == _files_of(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _rebuild(name: str, folder: Path, voice: Path | None) -> None:
    """Build beside, then take the old folder's place; only one process is here at a time."""
    for left in folder.parent.glob(f".{name}-*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        _build_in_child(name, fresh, voice)
        fresh.chmod(0o755)  # mkdtemp lets only this user in
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _build_in_child(name: str, folder: Path, voice: Path | None) -> None:
    command = [sys.executable, "-m", __name__, name, str(folder), *([str(voice)] if voice else [])]
    # the child finds this very package, however this process came by it
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True,
            timeout=_BUILD_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise VoiceError(
            f"building the {name} model took more than {_BUILD_TIMEOUT_S:.0f} s and was stopped; "
            "nothing was kept; try again on a machine with less to do"
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VoiceError(
            f"building the {name} model failed ({last}); nothing was kept; it needs free disk "
            "space and the packages onnx, onnxruntime and kaldi-native-fbank"
        )


if __name__ == "__main__":
    _model, *_folders = sys.argv[1:]
    if _model == "recognizer":
        build_recognizer(Path(_folders[0]), Path(_folders[1]), _SEED)
    else:
        build_voice(_model, Path(_folders[0]), _SEED)
