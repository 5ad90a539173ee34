"""One engine session, and speech from it: the app's provider of Piper voices.

Bad files make the engine end the process, so a `Synthesizer` takes only files that
`listen2lab.models.check` has looked at.
"""

from __future__ import annotations

import io
import os
import wave
from typing import Any, NamedTuple

from listen2lab.errors import EngineError, TextError, VoiceError
from listen2lab.pipeline.session_options import session_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from listen2lab.models.voices import VoiceFiles
    from listen2lab.pipeline.knobs import Knobs

__all__ = ["CHARACTERS_PER_SECOND", "MAX_TEXT_BYTES", "Speech", "Synthesizer", "wav_bytes"]

MAX_TEXT_BYTES = 10_000
"""The longest text of one call, as in the app."""

CHARACTERS_PER_SECOND = 12.0
"""The pace of the generated voices. Read speech is somewhat faster, so its pieces are shorter."""

_SILENCE_SCALE = 1.0
# The engine shortens pauses longer than 0.2 s to this share, by default to 0.2. Here they stay as
# the model made them, so that the number of samples is the model's.
_CONTINUE = 1  # what a generate callback returns so that the engine goes on


class Speech(NamedTuple):
    """What one synthesis made: a WAV file (one channel, 16 bits) and its number of samples.

    `stretches` are the samples that the engine made in one go each: a sentence, with
    ``max_num_sentences=1``. Their largest is what memory follows.
    """

    wav: bytes
    n_samples: int
    sample_rate: int
    stretches: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return self.n_samples / self.sample_rate


class Synthesizer:
    """An engine session on a checked voice, and what is asked of it.

    `scratch` holds the file of session options while a session is built. `n_done` texts were
    synthesized with the present session; `longest_s` is its longest stretch in seconds; `n_users`
    threads are in it, as `Sessions` counts.
    """

    def __init__(self, voice: VoiceFiles, knobs: Knobs, scratch: str) -> None:
        self._voice = voice
        self._knobs = knobs
        self._scratch = scratch
        self._session: Any = None
        self.n_users = 0
        self.n_done = 0
        self.longest_s = 0.0

    def load(self) -> None:
        """Build the session; one that is there is dropped first."""
        import sherpa_onnx  # the engine is loaded when a session is built

        self.cleanup()
        options = self._write_options()
        try:
            config = sherpa_onnx.OfflineTtsConfig(
                model=sherpa_onnx.OfflineTtsModelConfig(
                    vits=sherpa_onnx.OfflineTtsVitsModelConfig(
                        model=self._voice.model,
                        tokens=self._voice.tokens,
                        data_dir=self._voice.data_dir,
                        noise_scale=self._knobs.noise_scale,
                        noise_scale_w=self._knobs.noise_scale_w,
                    ),
                    num_threads=self._knobs.num_threads,
                    provider=f"cpu:{options}" if options else "cpu",
                ),
                max_num_sentences=self._knobs.max_num_sentences,
                silence_scale=_SILENCE_SCALE,
            )
            if not config.validate():
                raise VoiceError(
                    f"the engine does not accept the voice {self._voice.model}; no session was "
                    "built; the engine's own lines on stderr say why"
                )
            self._session = sherpa_onnx.OfflineTts(config)
        finally:
            if options:
                os.remove(options)

    def synthesize(self, text: str) -> Speech:
        """Make speech of a text, in one call of the engine as the app does.

        With the knob ``split_sentences_s`` it is a call a piece instead. May be called from several
        threads.
        """
        _check_text(text)
        session = self._session
        if session is None:
            raise EngineError("there is no engine session; load() builds one")
        chunks: list[bytes] = []
        for piece in _split(text, self._knobs.split_sentences_s):
            self._generate(session, piece, chunks)
        stretches = tuple(len(chunk) // 2 for chunk in chunks)
        n_samples = sum(stretches)
        if not n_samples:
            raise EngineError(
                f"the engine made no sound of {text[:60]!r}; nothing was cached; see whether the "
                "text holds any character that the voice's tokens.txt lists"
            )
        rate = int(session.sample_rate)
        self.n_done += 1
        self.longest_s = max(self.longest_s, max(stretches) / rate)
        return Speech(wav_bytes(chunks, rate), n_samples, rate, stretches)

    def cleanup(self) -> None:
        """Drop the session."""
        self._session = None
        self.n_done = 0
        self.longest_s = 0.0

    def _generate(self, session: Any, text: str, chunks: list[bytes]) -> None:
        """Run the engine on one text, and add 16-bit PCM for each stretch that it makes."""
        import sherpa_onnx

        config = sherpa_onnx.GenerationConfig()
        config.silence_scale = _SILENCE_SCALE
        if self._voice.route == "phonemes":
            from listen2lab.models.phonemes import phonemize  # GPL extra

            config.phoneme_codepoints = phonemize(text, self._voice.espeak_voice)
            text = ""

        # The result's own `samples` is a Python list, some 40 bytes a sample: with 110 s it would
        # add 100 MB to each peak, which the app does not have. The callback gets arrays.
        def take(samples: Any, _progress: float) -> int:
            chunks.append(_pcm_16(samples))
            return _CONTINUE

        session.generate(text, config, take)

    def _write_options(self) -> str:
        """Write the file of session options that differ from the default; "" when none does."""
        options = session_options(self._knobs)
        if not options:
            return ""
        path = os.path.join(self._scratch, f"session-{os.getpid()}-{id(self)}.options")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in options.items())
        return path


def wav_bytes(chunks: list[bytes], sample_rate: int) -> bytes:
    """Put 16-bit PCM (little endian, one channel) into a WAV file with a 44-byte header."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, sample_rate, sum(map(len, chunks)) // 2, "NONE", ""))
        file.writeframesraw(b"".join(chunks))
        return held.getvalue()


def _check_text(text: str) -> None:
    if not text.strip():
        raise TextError("the paragraph is empty; nothing was synthesized; leave it out")
    n_bytes = len(text.encode())
    if n_bytes > MAX_TEXT_BYTES:
        raise TextError(
            f"the paragraph has {n_bytes:,} bytes, and one synthesis takes {MAX_TEXT_BYTES:,}; "
            "nothing was synthesized; split it into paragraphs"
        )


def _split(text: str, longest_s: float | None) -> list[str]:
    """Cut a text that holds a long sentence; another one stays whole, as without the knob."""
    if longest_s is None:
        return [text]
    from listen2lab.texts.sentences import longest_sentence, split_long  # a knob's

    limit = max(1, int(longest_s * CHARACTERS_PER_SECOND))
    return split_long(text, limit) if longest_sentence(text) > limit else [text]


def _pcm_16(samples: Any) -> bytes:
    """Turn float samples (an array of the caller's own) into 16-bit PCM."""
    import numpy as np  # not before the engine

    np.clip(samples, -1.0, 1.0, out=samples)
    samples *= 32767.0
    return bytes(samples.astype("<i2").tobytes())
