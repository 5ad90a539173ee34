"""Voice and recognizer folders, checked before the engine sees them.

sherpa-onnx ends the process, with status 255 and no exception, on a missing file, on metadata
that lack a key, and on a line of tokens.txt that it does not expect. So everything it would exit
on is looked at here first, with the standard library alone, and said as a `VoiceError`.

Three kinds of voice folder are understood: the lab's own (``model.onnx``, ``tokens.txt``;
characters are its units), a Piper voice packed for sherpa-onnx (one ``.onnx``, ``tokens.txt``,
``espeak-ng-data/``), and a raw Piper voice (``x.onnx`` with ``x.onnx.json``), of which a copy with
metadata is made. What turns text into units, the *route*, depends on the engine's version:
sherpa-onnx 2.0 has no espeak-ng any more and takes phonemes from outside.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from listen2lab.errors import VoiceError
from listen2lab.models.onnx_file import read_model
from listen2lab.models.route import espeak_route, sherpa_version
from listen2lab.models.tokens import read_tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from listen2lab.models.onnx_file import ModelFacts
    from listen2lab.models.route import Route

__all__ = ["RecognizerFiles", "VoiceFiles", "check_recognizer", "check_voice", "sherpa_version"]

_VOICE_INPUTS = ("input", "input_lengths", "scales")
# Piper puts pad, begin and end around phonemes, and the engine looks them up unchecked.
_PIPER_FRAME = ("_", "^", "$")
# As the engine looks for the blank, in this order.
_BLANKS = ("<blk>", "<eps>", "<blank>")
# The app loads the int8 model of a package that has both.
_RECOGNIZER_MODELS = ("model.int8.onnx", "model.onnx")
_RECOGNIZER_RATE = 16_000
_RATES = (8_000, 96_000)


class VoiceFiles(NamedTuple):
    """A checked voice: what the engine is given, and what it says about itself."""

    name: str
    model: str
    tokens: str
    data_dir: str
    """espeak-ng's data for the route ``espeak-data``, otherwise empty, as the engine wants it."""
    lexicon: str
    """Empty: no route of the lab uses one."""
    route: Route
    espeak_voice: str
    """espeak-ng's name of the language; empty on the route ``characters``."""
    sample_rate: int
    n_speakers: int
    language: str


class RecognizerFiles(NamedTuple):
    """A checked NeMo CTC recognizer."""

    name: str
    model: str
    tokens: str
    vocab_size: int
    """Classes of the model's output, the blank included."""
    blank_id: int
    subsampling_factor: int
    normalize_type: str
    """``per_feature``, or empty for none."""
    sample_rate: int


def check_voice(
    folder: str | os.PathLike[str],
    engine_version: str | None = None,
    *,
    needs_route: bool = True,
    cache: str | None = None,
) -> VoiceFiles:
    """Check a voice folder and choose its route.

    Parameters
    ----------
    folder
        The folder.
    engine_version
        sherpa-onnx's version that will load it; the installed one unless given.
    needs_route
        Whether it is an error if espeak-ng, which a real Piper voice needs, is not installed.
    cache
        Where the copy of a raw Piper voice is kept; the user's cache folder unless given.

    Returns
    -------
    VoiceFiles
        Files that the engine does not exit on.

    Raises
    ------
    VoiceError
        A file is missing, empty, truncated or of another kind, or no route can be taken.
    """
    where = _folder(folder, "voice")
    name = os.path.basename(where)  # noqa: PTH119 - pathlib would cost a worker 1 MiB
    model = _one_model(where, ("model.onnx",), "voice")
    tokens = os.path.join(where, "tokens.txt")  # noqa: PTH118
    if not os.path.exists(tokens) and os.path.exists(model + ".json"):  # noqa: PTH110
        from listen2lab.models.piper import ready_copy  # noqa: PLC0415 - raw voices only

        copy = ready_copy(model, model + ".json", cache)
        model = os.path.join(copy, "model.onnx")  # noqa: PTH118
        tokens = os.path.join(copy, "tokens.txt")  # noqa: PTH118
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
    if facts.inputs[:3] != _VOICE_INPUTS:
        raise VoiceError(
            f"{model} takes {', '.join(facts.inputs) or 'no inputs'} and a Piper voice takes "
            f"{', '.join(_VOICE_INPUTS)}; the engine could not run it"
        )
    ids = read_tokens(tokens, single_characters=True).ids
    if " " not in ids:
        raise VoiceError(f"{tokens} lists no space, so no word would end; is it this voice's?")
    is_by_character = facts.metadata.get("frontend") == "characters"
    espeak_voice = "" if is_by_character else facts.metadata.get("voice", "")
    route: Route = "characters"
    data_dir = ""
    if not is_by_character:
        _check_frame(ids, tokens)
        if not espeak_voice:
            raise VoiceError(f"{model}: its metadata name no espeak-ng voice (key 'voice')")
        route, data_dir = espeak_route(where, name, engine_version, needs_route=needs_route)
    return VoiceFiles(
        name, model, tokens, data_dir, "", route, espeak_voice, rate, speakers, language
    )  # fmt: skip


def check_recognizer(folder: str | os.PathLike[str]) -> RecognizerFiles:
    """Check a folder with a NeMo CTC recognizer.

    Parameters
    ----------
    folder
        The folder: ``model.int8.onnx`` or ``model.onnx``, and ``tokens.txt``.

    Returns
    -------
    RecognizerFiles
        Files that the engine does not exit on.

    Raises
    ------
    VoiceError
        A file is missing, empty, truncated or of another kind.
    """
    where = _folder(folder, "recognizer")
    model = _one_model(where, _RECOGNIZER_MODELS, "recognizer")
    tokens = os.path.join(where, "tokens.txt")  # noqa: PTH118
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
    ids = read_tokens(tokens, single_characters=False).ids
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
        name=os.path.basename(where),  # noqa: PTH119
        model=model,
        tokens=tokens,
        vocab_size=len(ids),
        blank_id=ids[blank],
        subsampling_factor=subsampling,
        normalize_type="" if normalize_type == "NA" else normalize_type,
        sample_rate=_RECOGNIZER_RATE,
    )


def _folder(folder: str | os.PathLike[str], kind: str) -> str:
    where = os.path.abspath(folder)  # noqa: PTH100
    if not os.path.isdir(where):  # noqa: PTH112
        what = "is a file" if os.path.exists(where) else "does not exist"  # noqa: PTH110
        raise VoiceError(f"{where} {what}; give the folder of the {kind}")
    return where


def _one_model(folder: str, preferred: tuple[str, ...], kind: str) -> str:
    try:
        found = sorted(entry for entry in os.listdir(folder) if entry.endswith(".onnx"))  # noqa: PTH208
    except OSError as error:
        raise VoiceError(f"{folder} cannot be listed: {error.strerror}") from error
    chosen = next((name for name in preferred if name in found), None)
    if chosen is None and len(found) == 1:
        chosen = found[0]
    if chosen is None:
        what = f"several models ({', '.join(found[:4])}, ...)" if found else "no .onnx model"
        raise VoiceError(f"{folder} holds {what}; a {kind}'s folder has one")
    return os.path.join(folder, chosen)  # noqa: PTH118


def _text(facts: ModelFacts, model: str, key: str) -> str:
    value = facts.metadata.get(key, "")
    if not value:
        raise VoiceError(
            f"{model}: its metadata lack {key!r}, without which the engine would end the process. "
            "Was it exported for sherpa-onnx? (A raw Piper voice needs its .onnx.json beside it, "
            "and no tokens.txt)"
        )
    return value


def _number(facts: ModelFacts, model: str, key: str, least: int, most: int) -> int:
    value = _text(facts, model, key)
    if not re.fullmatch(r"\d{1,10}", value, re.ASCII) or not least <= int(value) <= most:
        raise VoiceError(
            f"{model}: its metadata's {key} is {value!r}, and a number from {least} to {most} is "
            "needed"
        )
    return int(value)


def _check_frame(ids: dict[str, int], tokens: str) -> None:
    missing = [token for token in _PIPER_FRAME if token not in ids]
    if missing:
        raise VoiceError(
            f"{tokens} lacks {', '.join(missing)}, which frame a Piper voice's phonemes; is it "
            "this voice's?"
        )
