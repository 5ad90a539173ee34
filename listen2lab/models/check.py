"""Voice and recognizer folders, checked before the engine sees them.

sherpa-onnx ends the process, with status 255 and no exception, on a missing file, on metadata
that lack a key, and on a line of tokens.txt that it does not expect. So everything it would exit
on is looked at here first, in the parent, and said as a `VoiceError`. A voice is the lab's own
(``model.onnx``, ``tokens.txt``), a Piper voice packed for sherpa-onnx (``espeak-ng-data/`` too),
or a raw Piper voice (``x.onnx`` with ``x.onnx.json``), of which a copy with metadata is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from listen2lab.errors import VoiceError
from listen2lab.models.onnx_file import read_model
from listen2lab.models.phonemes import choose_route
from listen2lab.models.piper import ready_copy
from listen2lab.models.voices import RecognizerFiles, VoiceFiles, read_tokens

if TYPE_CHECKING:
    import os

    from listen2lab.models.onnx_file import ModelFacts
    from listen2lab.models.voices import Route

__all__ = ["VOICE_INPUTS", "check_recognizer", "check_voice"]

VOICE_INPUTS = ("input", "input_lengths", "scales")
"""A Piper graph's first inputs, in order."""
# Piper puts pad, begin and end around phonemes, and the engine looks them up unchecked.
_PIPER_FRAME = ("_", "^", "$")
# As the engine looks for the blank, in this order.
_BLANKS = ("<blk>", "<eps>", "<blank>")
# The app loads the int8 model of a package that has both.
_RECOGNIZER_MODELS = ("model.int8.onnx", "model.onnx")
_RATES = (8_000, 96_000)


def check_voice(
    folder: str | os.PathLike[str],
    engine_version: str | None = None,
    *,
    needs_route: bool = True,
    cache: Path | None = None,
) -> VoiceFiles:
    """Check a voice folder and choose its route.

    `engine_version` is that of the sherpa-onnx that will load it, the installed one unless given;
    without `needs_route` it is no error if espeak-ng, which a real Piper voice needs, is not
    installed. The copy of a raw Piper voice is kept in `cache`, or else in the user's cache folder.
    """
    where = _folder(folder, "voice")
    model = _one_model(where, ("model.onnx",), "voice")
    tokens = where / "tokens.txt"
    config = model.with_name(model.name + ".json")
    if not tokens.exists() and config.exists():
        copy = ready_copy(model, config, cache)
        model, tokens = copy / "model.onnx", copy / "tokens.txt"
    facts = read_model(model)
    rate = _number(facts, model, "sample_rate", *_RATES)
    speakers = _number(facts, model, "n_speakers", 0, 100_000)
    language = _text(facts, model, "language")
    comment = _text(facts, model, "comment")
    for key in ("add_blank", "blank_id", "bos_id", "eos_id", "pad_id", "use_eos_bos", "version"):
        if key in facts.metadata:
            _number(facts, model, key, 0, 2**31 - 1)
    if "piper" not in comment:
        raise VoiceError(
            f"{model} is no Piper voice (its comment is {comment!r}), and the lab's pipeline "
            "speaks with Piper's inputs; take a Piper voice"
        )
    if facts.inputs[:3] != VOICE_INPUTS:
        raise VoiceError(
            f"{model} takes {', '.join(facts.inputs) or 'no inputs'} and a Piper voice takes "
            f"{', '.join(VOICE_INPUTS)}; the engine could not run it"
        )
    ids = read_tokens(str(tokens), single_characters=True)
    if " " not in ids:
        raise VoiceError(f"{tokens} lists no space, so no word would end; is it this voice's?")
    route: Route = "characters"
    data_dir = espeak_voice = ""
    if facts.metadata.get("frontend") != "characters":
        if missing := [token for token in _PIPER_FRAME if token not in ids]:
            raise VoiceError(
                f"{tokens} lacks {', '.join(missing)}, which frame a Piper voice's phonemes; is "
                "it this voice's?"
            )
        espeak_voice = facts.metadata.get("voice", "")
        if not espeak_voice:
            raise VoiceError(f"{model}: its metadata name no espeak-ng voice (key 'voice')")
        route, data_dir = choose_route(str(where), engine_version, needs_route=needs_route)
    return VoiceFiles(
        folder=str(where),
        model=str(model),
        model_bytes=facts.n_bytes,
        tokens=str(tokens),
        route=route,
        data_dir=data_dir,
        espeak_voice=espeak_voice,
        sample_rate=rate,
        n_speakers=speakers,
        language=language,
    )


def check_recognizer(folder: str | os.PathLike[str]) -> RecognizerFiles:
    """Check a folder with a NeMo CTC recognizer: a model (int8 or not) and ``tokens.txt``."""
    where = _folder(folder, "recognizer")
    model = _one_model(where, _RECOGNIZER_MODELS, "recognizer")
    tokens = where / "tokens.txt"
    facts = read_model(model)
    stated = _number(facts, model, "vocab_size", 1, 10_000_000)
    subsampling = _number(facts, model, "subsampling_factor", 1, 64)
    normalize_type = facts.metadata.get("normalize_type", "")
    if normalize_type not in ("per_feature", "NA"):
        raise VoiceError(
            f"{model}: its metadata's normalize_type is {normalize_type!r}; the engine knows "
            "'per_feature' and 'NA' (none), exits on others, and without one hears nothing"
        )
    if len(facts.inputs) < 2:
        raise VoiceError(f"{model} takes {len(facts.inputs)} inputs; a CTC model takes two")
    ids = read_tokens(str(tokens), single_characters=False)
    blank = next((token for token in _BLANKS if token in ids), None)
    if blank is None:
        raise VoiceError(
            f"{tokens} lists no blank ({', '.join(_BLANKS)}), on which the engine would end the "
            "process; is it a CTC recognizer's?"
        )
    if sorted(ids.values()) != list(range(len(ids))):
        raise VoiceError(f"{tokens}: its numbers are not 0 to {len(ids) - 1}, each once")
    # NeMo's own count leaves the blank out, other exporters count it.
    if len(ids) not in (stated, stated + 1):
        raise VoiceError(
            f"{tokens} lists {len(ids)} tokens, and the model's vocab_size is {stated}; they "
            "are not of the same recognizer"
        )
    return RecognizerFiles(
        model=str(model),
        model_bytes=facts.n_bytes,
        tokens=str(tokens),
        blank_id=ids[blank],
        subsampling_factor=subsampling,
        normalize_type="" if normalize_type == "NA" else normalize_type,
    )


def _folder(given: str | os.PathLike[str], kind: str) -> Path:
    where = Path(given).absolute()
    if not where.is_dir():
        what = "is a file" if where.exists() else "does not exist"
        raise VoiceError(f"{where} {what}; give the folder of the {kind}")
    return where


def _one_model(folder: Path, preferred: tuple[str, ...], kind: str) -> Path:
    try:
        found = sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx")
    except OSError as error:
        raise VoiceError(f"{folder} cannot be listed: {error.strerror}") from error
    chosen = next((name for name in preferred if name in found), None)
    if chosen is None and len(found) == 1:
        chosen = found[0]
    if chosen is None:
        what = f"several models ({', '.join(found[:4])}, ...)" if found else "no .onnx model"
        raise VoiceError(f"{folder} holds {what}; a {kind}'s folder has one")
    return folder / chosen


def _text(facts: ModelFacts, model: Path, key: str) -> str:
    value = facts.metadata.get(key, "")
    if not value:
        raise VoiceError(
            f"{model}: its metadata lack {key!r}, without which the engine would end the process. "
            "Was it exported for sherpa-onnx? (A raw Piper voice needs its .onnx.json beside it, "
            "and no tokens.txt)"
        )
    return value


def _number(facts: ModelFacts, model: Path, key: str, least: int, most: int) -> int:
    value = _text(facts, model, key)
    if not re.fullmatch(r"\d{1,10}", value, re.ASCII) or not least <= int(value) <= most:
        raise VoiceError(
            f"{model}: its metadata's {key} is {value!r}, and a number from {least} to {most} is "
            "needed"
        )
    return int(value)
