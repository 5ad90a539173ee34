"""Alignment by force: the text is known, and a CTC model's emissions say when it sounds.

The best path through a trellis of frames and labels, as the app has it: Viterbi's recursion over
CTC's states (Graves et al., 2006: labels with blanks between, before and after them), in log
probabilities. The whole trellis is kept for the way back: frames x (2 x labels + 1) float32 cells,
which is why long paragraphs are expensive.

sherpa-onnx does not hand out emissions, so the recognizer's model runs through onnxruntime,
which is a second engine in the process and is loaded for this kind of alignment only.
"""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

import numpy as np

from listen2lab.errors import EngineError, VoiceError
from listen2lab.models.features import FRAME_SHIFT_S, log_mel
from listen2lab.models.voices import read_tokens
from listen2lab.pipeline.alignment import place_words
from listen2lab.pipeline.recognizer import floats_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from listen2lab.models.voices import RecognizerFiles
    from listen2lab.pipeline.alignment import Alignment
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["ForcedAligner", "Label", "best_path", "can_align", "labels_of", "spans", "trellis"]

_SPACE = "▁"
_ALIKE = str.maketrans("‘’ʼ′“”„«»″–―‐‑−", '\'\'\'\'""""""——---')


class Label(NamedTuple):
    """A token of the text."""

    number: int
    first: int
    """Its first character in the text, counted without spaces."""
    n_characters: int
    """How many it stands for; 0 for a space of its own."""


class ForcedAligner:
    """Aligns text with speech through a CTC trellis, as a version of the app did.

    `trellis_bytes` is the trellis that is there now; `peak_trellis_bytes`, the largest one, may be
    set back to 0.
    """

    def __init__(self, recognizer: RecognizerFiles) -> None:
        import onnxruntime  # a second engine, for this kind of alignment only

        if recognizer.normalize_type != "per_feature":
            raise VoiceError(
                f"the recognizer {recognizer.model} wants frames that are not normalised, which "
                "forced alignment does not make; nothing was loaded; align with 'recognizer'"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                recognizer.model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base but this
            raise VoiceError(
                f"onnxruntime does not accept the recognizer {recognizer.model} ({error}); "
                "nothing was loaded"
            ) from error
        self._ids = read_tokens(recognizer.tokens, single_characters=False)
        self._blank = recognizer.blank_id
        self._subsampling = recognizer.subsampling_factor
        self._frame_s = recognizer.subsampling_factor * FRAME_SHIFT_S
        self.trellis_bytes = 0
        self.peak_trellis_bytes = 0

    def align(self, text: str, speech: Speech) -> Alignment:
        """Return the text's words with the times of the best path.

        Words that hold no token of the model lie between their neighbours; when the speech has too
        few frames for the text, all times are estimated. On the generated voices, times are 5 ± 6
        ms late; that bias is left in, so that they agree with the times that sherpa-onnx gives.
        """
        labels = labels_of(text, self._ids)
        numbers = np.array([label.number for label in labels], dtype=np.int64)
        emissions = self._emissions(speech)
        if not labels or not can_align(len(emissions), numbers):
            return place_words(text, {}, speech.seconds)
        cells = trellis(emissions, numbers, self._blank)
        self.trellis_bytes = cells.nbytes
        self.peak_trellis_bytes = max(self.peak_trellis_bytes, cells.nbytes)
        path = best_path(cells, numbers)
        del cells
        self.trellis_bytes = 0
        times = {}
        for label, (start, end) in zip(labels, spans(path, len(labels)), strict=True):
            for place in range(label.first, label.first + label.n_characters):
                times[place] = (start * self._frame_s, end * self._frame_s)
        return place_words(text, times, speech.seconds)

    def close(self) -> None:
        """Drop the model."""
        self._session = None

    def _emissions(self, speech: Speech) -> Any:
        """Return float32 scores, shape (frames, classes)."""
        if self._session is None:
            raise EngineError("the aligner was closed; build another one")
        frames = log_mel(floats_of(speech))
        signal, length = (each.name for each in self._session.get_inputs()[:2])
        fed = {
            signal: np.ascontiguousarray(frames.T[np.newaxis]),
            length: np.array([len(frames)], dtype=np.int64),
        }
        return self._session.run(None, fed)[0][0, : len(frames) // self._subsampling]


def labels_of(text: str, ids: Mapping[str, int]) -> list[Label]:
    """Spell a text with a model's tokens, the longest that fits first; ``▁`` begins a word.

    A character that has no token, neither as a small letter nor without its accent, goes with the
    one before it, or at a word's beginning with the one after it.
    """
    has_pieces = any(token.startswith(_SPACE) and len(token) > 1 for token in ids)
    longest = max(map(len, ids))
    labels = []
    first = 0
    for k, word in enumerate(text.split()):
        # Models of characters hear the space between two words, models of pieces its lack.
        space = _SPACE if k or has_pieces else ""
        spelled = space + "".join(_known(character, ids) for character in word)
        voiced = []
        for number, start, end in _tokens_of(spelled, ids, longest):
            if end > len(space):
                voiced.append((number, start - len(space)))
            else:
                labels.append(Label(number, first, 0))
        bounds = [0, *(start for _, start in voiced[1:]), len(word)]
        for (number, _), start, end in zip(voiced, bounds, bounds[1:], strict=False):
            labels.append(Label(number, first + start, end - start))
        first += len(word)
    return labels


def _tokens_of(
    spelled: str, ids: Mapping[str, int], longest: int
) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each token, the longest that fits first."""
    start = 0
    while start < len(spelled):
        for end in range(min(start + longest, len(spelled)), start, -1):
            if spelled[start:end] in ids:
                yield ids[spelled[start:end]], start, end
                start = end
                break
        else:
            start += 1


def _known(character: str, ids: Mapping[str, int]) -> str:
    """Return the form of a character that the model knows; itself if it knows none."""
    small = character.lower()[:1]
    for form in (character, small, unicodedata.normalize("NFD", small)[:1]):
        for same in (form, form.translate(_ALIKE)):
            if same in ids:
                return same
    return small


def can_align(n_frames: int, labels: Any) -> bool:
    """Tell whether so many frames can hold the labels.

    Each label takes a frame, and two equal ones in a row a blank between them.
    """
    n_repeats = int((labels[1:] == labels[:-1]).sum())
    return bool(n_frames >= max(1, len(labels) + n_repeats))


def trellis(log_probs: Any, labels: Any, blank: int) -> Any:
    """Fill the trellis: the log probability of the best path that ends in each state at each frame.

    From log probabilities (frames, classes) to float32 (frames, 2 x labels + 1). Even states are
    blanks, state 2k + 1 is label k.
    """
    states = np.full(2 * len(labels) + 1, blank, dtype=np.int64)
    states[1::2] = labels
    n_frames = len(log_probs)
    cells = np.full((n_frames, len(states)), -np.inf, dtype=np.float32)
    cells[0, :2] = log_probs[0, states[:2]]
    # From label to next label without the blank between, unless they are equal.
    may_skip = np.full(len(states), -np.inf, dtype=np.float32)
    may_skip[3::2][states[3::2] != states[1:-2:2]] = 0.0
    best = np.empty(len(states), dtype=np.float32)
    for frame in range(1, n_frames):
        before = cells[frame - 1]
        best[:] = before
        np.maximum(best[1:], before[:-1], out=best[1:])
        np.maximum(best[2:], before[:-2] + may_skip[2:], out=best[2:])
        np.add(best, log_probs[frame, states], out=cells[frame])
    return cells


def best_path(cells: Any, labels: Any) -> list[int]:
    """Walk back through a trellis: the state at each frame. The labels fit, see `can_align`."""
    last = cells.shape[1] - 1
    state = max(range(last, max(last - 2, -1), -1), key=cells[-1].__getitem__)
    path = [state]
    for row in cells[-2::-1]:
        may_skip = state % 2 and state >= 3 and labels[state // 2] != labels[state // 2 - 1]
        came_from = range(state, max(state - (3 if may_skip else 2), -1), -1)
        state = max(came_from, key=row.__getitem__)
        path.append(state)
    return path[::-1]


def spans(path: list[int], n_labels: int) -> list[tuple[int, int]]:
    """Return the first frame of each label on a path, and the one behind its last."""
    states = 2 * np.arange(n_labels) + 1
    first, end = (np.searchsorted(path, states, side=side) for side in ("left", "right"))
    return list(zip(first.tolist(), end.tolist(), strict=True))
