"""The bounded voice: the same audio from a graph whose memory no longer follows the sentence.

A Piper voice's memory is that of its exported graph: the decoder makes all samples of a sentence
at once, and a matrix of frames x tokens says which frame belongs to which token. Rewritten, the
decoder runs over windows and the matrix is gone; app and engine stay as they are. What is handed
out was compared with the original on the very file.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import onnx
from onnx import TensorProto

from listen2lab.errors import InputError, VoiceError, known_keywords
from listen2lab.models.bounding.attention import find_attention, put_in_blocks
from listen2lab.models.bounding.comparison import (
    Cost,
    LengthCheck,
    Speaker,
    compare,
    window_costs,
)
from listen2lab.models.bounding.decoder import find_decoder, put_in_windows
from listen2lab.models.bounding.path import find_path, gather_path
from listen2lab.models.bounding.structure import Structure, not_understood
from listen2lab.models.check import VOICE_INPUTS, check_voice
from listen2lab.models.onnx_file import read_model
from listen2lab.models.voices import read_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "LENGTHS_S", "MARK", "BoundReport", "Cost", "LengthCheck", "Rewriting", "bound",
    "bounded_model",
]  # fmt: skip

MARK = "listen2lab_bounded"
"""The metadata's key that says that a graph is bounded already."""
LENGTHS_S = (5.0, 25.0, 110.0)
WINDOWS = (128, 192, 256, 512, 1024)
"""That are tried when none is given, in frames."""

# Rows of an attention's step: its matrices are as many rows of all tokens.
_ROWS = 256
# A shorter window takes less memory: so much CPU, relative to the original's, is worth it as long
# as the voice costs no more than the original, and so much where it does.
_WORTH, _WORTH_DEARER = 0.05, 0.02
_ALLOWED_DIFFERENCE = 1e-6
_SMALLEST, _LARGEST = 32, 1 << 20
_LEAST_OPSET = 13
_QUANTIZED = frozenset({
    "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear",
})  # fmt: skip


class Rewriting(msgspec.Struct, frozen=True):
    """What was done to a graph."""

    window: int
    """The most frames of one step of the decoder."""
    margin: int
    """Frames more that a step reads, on either side."""
    reach: int
    """Frames on either side that a frame's samples depend on."""
    hop: int
    """Samples a frame."""
    products: int
    """With the path's matrix, replaced by a Gather."""
    attentions: int
    """Layers that go by blocks of rows; 0 where they were not found, and memory has a part that
    grows with the square of the tokens."""
    nodes_before: int
    nodes_after: int


class BoundReport(msgspec.Struct, frozen=True):
    """What `bound` wrote, and what it verified on that very file."""

    model: str
    """The written file's path."""
    sample_rate: int
    speakers: int
    rewriting: Rewriting
    windows: dict[int, float]
    """CPU time at 25 s relative to the original, of each window tried; empty if one was given."""
    checks: tuple[LengthCheck, ...]

    @property
    def difference(self) -> float:
        """The largest difference of two samples, over all lengths: 0.0 is the same bits."""
        return max((check.difference for check in self.checks), default=0.0)


@known_keywords
def bound(
    voice: Path,
    out: Path,
    *,
    window: int | None = None,
    lengths_s: Sequence[float] = LENGTHS_S,
) -> BoundReport:
    """Write a voice folder like the one given whose graph is bounded, and verify it.

    Parameters
    ----------
    voice
        A voice's folder; it stays as it is.
    out
        The folder to make; it must not exist.
    window
        Frames of a step; chosen by measured cost unless given.
    lengths_s
        Of the sentences that are compared, in seconds.

    Returns
    -------
    BoundReport
        Of the written file.

    Raises
    ------
    VoiceError
        The voice cannot be used, its graph is not understood, or the rewritten graph speaks
        otherwise; nothing was written then.
    InputError
        The folder or the window cannot be taken.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.bound("voices/en_US-amy-medium", "bounded").difference  # doctest: +SKIP
    0.0
    """
    voice, out = voice.resolve(), out.absolute()
    _check_out(voice, out)
    if window is not None and not _SMALLEST <= window <= _LARGEST:
        raise InputError(
            f"a window of {window} frames cannot be taken; give {_SMALLEST} to {_LARGEST}, or none"
        )
    source, model, speaker = _opened(voice)
    with _fresh_folder(out) as fresh:
        scratch = fresh / "scratch"
        scratch.mkdir()
        costs: dict[int, float] = {}
        if window is None:
            costs = _tried(model, speaker, scratch)
            window = _chosen(costs)
        folder = fresh / "voice"
        shutil.copytree(voice, folder, ignore=lambda _, names: {n for n in names if n == source})
        changed, rewriting = bounded_model(model, window)
        _write(changed, folder / source)
        _restamp(folder, source)
        checks = tuple(compare(speaker, folder / source, lengths_s, scratch))
        _refuse_differences(checks, window)
        folder.rename(out)
    return BoundReport(
        model=str(out / source),
        sample_rate=speaker.sample_rate,
        speakers=speaker.speakers,
        rewriting=rewriting,
        windows=costs,
        checks=checks,
    )


def bounded_model(
    model: onnx.ModelProto, window: int, *, margin: int | None = None
) -> tuple[onnx.ModelProto, Rewriting]:
    """Return a rewritten copy of a voice's graph, and what was done to it.

    Parameters
    ----------
    model
        A VITS voice with Piper's inputs; it stays as it is.
    window
        The most frames of one step of the decoder.
    margin
        Frames more that a step reads; the decoder's reach and one more unless given.

    Raises
    ------
    VoiceError
        The graph is not understood: the sentence says what was looked for.
    """
    _check_operators(model)
    changed = copy.deepcopy(model)
    s = Structure(changed)
    before = len(s.nodes)
    decoder = find_decoder(s)
    path = find_path(s, decoder.frames)
    margin = decoder.reach + 1 if margin is None else margin
    gather_path(s, path)
    put_in_windows(s, find_decoder(s), window, margin)
    layers = find_attention(s)
    for number, layer in enumerate(layers):
        put_in_blocks(s, layer, _ROWS, f"attention{number}")
    s.finish()
    changed.metadata_props.add(key=MARK, value=f"window={window} margin={margin}")
    rewriting = Rewriting(
        window=window,
        margin=margin,
        reach=decoder.reach,
        hop=decoder.hop,
        products=len(path.products),
        attentions=len(layers),
        nodes_before=before,
        nodes_after=len(s.nodes),
    )
    return changed, rewriting


def _check_out(voice: Path, out: Path) -> None:
    resolved = out.resolve()
    if resolved == voice or voice in resolved.parents:
        raise InputError(
            f"{out} is the voice itself or lies in it, and the original stays untouched; name "
            "another folder with --out"
        )
    if out.exists() or out.is_symlink():
        raise InputError(
            f"{out} exists and was left as it is; name a new folder with --out, or remove it first"
        )


def _opened(voice: Path) -> tuple[str, onnx.ModelProto, Speaker]:
    """Return the model's file name, the model, and what makes it speak."""
    given = sorted(voice.glob("*.onnx"))
    for file in given[:1]:
        facts = read_model(file)
        if facts.inputs[:3] != VOICE_INPUTS:
            raise VoiceError(
                f"{file} is no Piper voice: it takes {', '.join(facts.inputs) or 'no inputs'} "
                f"where {', '.join(VOICE_INPUTS)} were looked for (a recognizer, perhaps). "
                "Nothing was written; give a voice's folder"
            )
        if MARK in facts.metadata:
            raise VoiceError(
                f"{file} is bounded already ({facts.metadata[MARK]}); nothing was written; bound "
                "the voice that it was made of to have another window"
            )
    files = check_voice(voice, needs_route=False)
    # a raw Piper voice is checked as a copy with metadata; what is rewritten is its own file
    path = Path(files.model) if Path(files.model).parent == voice else given[0]
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own errors have no public base
        raise VoiceError(f"{path} cannot be read as an ONNX model: {error}") from error
    ids = read_tokens(files.tokens, single_characters=True)
    symbols = tuple(sorted(set(ids.values())))
    return path.name, model, Speaker(path, symbols, files.sample_rate, files.n_speakers)


def _check_operators(model: onnx.ModelProto) -> None:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset < _LEAST_OPSET:
        raise not_understood(
            f"its operators are of opset {opset}, and {_LEAST_OPSET} or later was looked for "
            "(Piper exports 15)"
        )
    if any(each.key == MARK for each in model.metadata_props):
        raise not_understood("it is bounded already")
    kinds = sorted({node.op_type for node in model.graph.node} & _QUANTIZED)
    is_int8 = any(w.data_type in (TensorProto.INT8, TensorProto.UINT8) and len(w.dims) > 1
                  for w in model.graph.initializer)  # fmt: skip
    if kinds or is_int8:
        raise not_understood(
            f"it is quantized ({', '.join(kinds) or 'weights of 8 bits'}), and a graph of floats "
            "was looked for; bound the voice before it is quantized"
        )


def _tried(model: onnx.ModelProto, speaker: Speaker, scratch: Path) -> dict[int, float]:
    candidates = {}
    for window in WINDOWS:
        candidates[window] = scratch / f"{window}.onnx"
        _write(bounded_model(model, window)[0], candidates[window])
    costs = window_costs(speaker, candidates)
    for path in candidates.values():
        path.unlink()
    return costs


def _chosen(costs: dict[int, float]) -> int:
    """Choose the smallest window that hardly costs more than the cheapest."""
    least = min(costs.values())
    limit = max(least + _WORTH_DEARER, min(least + _WORTH, 1.0))
    return min(window for window, cost in costs.items() if cost <= limit)


def _refuse_differences(checks: Sequence[LengthCheck], window: int) -> None:
    worst = max(checks, key=lambda check: check.difference)
    if worst.difference > _ALLOWED_DIFFERENCE:
        raise VoiceError(
            f"the bounded voice speaks otherwise: with windows of {window} frames a sentence of "
            f"{worst.seconds:.1f} s differs by {worst.difference:.2g}, and at most "
            f"{_ALLOWED_DIFFERENCE:g} is allowed. It was deleted and the original is untouched; "
            "this voice cannot be bounded"
        )


def _write(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


def _restamp(folder: Path, source: str) -> None:
    """Let a generated voice's own stamp, if there is one, say what the folder holds now."""
    stamp = folder / "voice.json"
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        facts = json.loads(stamp.read_text(encoding="utf-8"))
        data = (folder / source).read_bytes()
        facts["files"][source] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}
        stamp.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _fresh_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside the one to make, which is gone afterwards whatever happens."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as fresh:
            yield Path(fresh)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise VoiceError(
            f"the bounded voice cannot be written beside {out}: {error.strerror or error}; what "
            "was begun is removed and the original is untouched; "
            f"{'free some room' if is_full else 'name a folder that can be written'}, and try again"
        ) from error
