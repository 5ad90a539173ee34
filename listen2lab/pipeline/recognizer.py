"""Alignment by a NeMo CTC recognizer that stays loaded: what it reads, matched onto the text."""

from __future__ import annotations

from typing import Any

import numpy as np

from listen2lab.errors import EngineError, VoiceError
from listen2lab.models.features import MEL_BINS, RECOGNIZER_RATE, resample
from listen2lab.pipeline.alignment import match_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from listen2lab.models.voices import RecognizerFiles
    from listen2lab.pipeline.alignment import Alignment
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["RecognizerAligner", "floats_of", "heard_characters"]

_HEADER_BYTES = 44
_LONGEST_TOKEN_S = 0.5  # a token that a pause follows does not last to the pause's end


class RecognizerAligner:
    """Reads speech with sherpa-onnx, and finds the text's words in what it read."""

    def __init__(self, recognizer: RecognizerFiles) -> None:
        import sherpa_onnx  # the engine is loaded when a model is

        self.trellis_bytes = self.peak_trellis_bytes = 0  # it has none
        try:
            self._engine: Any = sherpa_onnx.OfflineRecognizer.from_nemo_ctc(
                model=recognizer.model,
                tokens=recognizer.tokens,
                num_threads=1,
                sample_rate=RECOGNIZER_RATE,
                feature_dim=MEL_BINS,
            )
        except (AssertionError, RuntimeError, ValueError) as error:
            raise VoiceError(
                f"the engine does not accept the recognizer {recognizer.model} ({error}); "
                "nothing was loaded"
            ) from error

    def align(self, text: str, speech: Speech) -> Alignment:
        """Return the text's words as heard; one that was not lies between its neighbours."""
        engine = self._engine
        if engine is None:
            raise EngineError("the recognizer was closed; build another one")
        stream = engine.create_stream()
        stream.accept_waveform(RECOGNIZER_RATE, floats_of(speech))
        engine.decode_stream(stream)
        result = stream.result
        heard = heard_characters(result.tokens, result.timestamps, speech.seconds)
        return match_words(text, heard, speech.seconds)

    def close(self) -> None:
        """Drop the model."""
        self._engine = None


def floats_of(speech: Speech) -> Any:
    """Return speech as float32 in -1..1 at 16 kHz, as a recognizer wants it.

    The engine takes other rates, and prints four lines a stream.
    """
    pcm = np.frombuffer(speech.wav, dtype="<i2", offset=_HEADER_BYTES)
    samples = pcm.astype(np.float32)
    samples /= 32768.0
    return resample(samples, speech.sample_rate, RECOGNIZER_RATE)


def heard_characters(
    tokens: list[str], starts_s: list[float], duration_s: float
) -> list[tuple[str, float, float]]:
    """Give each character of the tokens a beginning and an end in seconds.

    A token lasts until the next one, but no longer than half a second; the characters of one token
    share its time evenly.
    """
    heard = []
    for token, start, following in zip(tokens, starts_s, [*starts_s[1:], duration_s], strict=True):
        length = min(following - start, _LONGEST_TOKEN_S) / max(1, len(token))
        heard += [(c, start + k * length, start + (k + 1) * length) for k, c in enumerate(token)]
    return heard
