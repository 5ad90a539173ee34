"""One engine session, and speech from it: the app's provider of Piper voices.

Bad files make the engine end the process, so a `Synthesizer` takes only files that
`listen2lab.models.check` has looked at.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

from listen2lab.errors import EngineError, TextError, VoiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from listen2lab.models.voices import VoiceFiles
    from listen2lab.pipeline.knobs import Knobs

__all__ = ["MAX_SENTENCE_S", "MAX_TEXT_BYTES", "SPEED_RANGE", "Speech", "Synthesizer", "wav_bytes"]

MAX_TEXT_BYTES = 10_000
"""The longest text of one call, as in the app."""

SPEED_RANGE = (0.5, 2.0)
"""Speeds outside are clamped, as in the app."""

MAX_SENTENCE_S = 15.0
"""The longest sentence that the knob ``split_long_sentences`` leaves whole, in seconds."""

CHARACTERS_PER_SECOND = 12.0
# The pace of the generated voices. Read speech is somewhat faster, so its pieces are shorter.

_NOISE_SCALE = 0.667  # the engine's own default
_CONTINUE = 1  # what a generate callback returns so that the engine goes on


class Speech(NamedTuple):
    """What one synthesis made.

    Attributes
    ----------
    wav
        A WAV file: one channel, 16 bits.
    n_samples
        Its length.
    sample_rate
        In Hz.
    stretches
        Samples that the engine made in one go each: a sentence, with ``max_num_sentences=1``.
        Their largest is what memory follows.
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
    """An engine session, and what is asked of it.

    Parameters
    ----------
    voice
        Checked files of a voice.
    knobs
        The session's knobs; `split_long_sentences` as well.
    scratch
        A folder for the file of session options, which lives only while a session is built.
    silence_scale
        The engine shortens pauses longer than 0.2 s to this share, by default to 0.2. Here they
        stay as the model made them, so that the number of samples is the model's.

    Attributes
    ----------
    n_sessions : int
        Sessions built so far.
    n_done : int
        Texts synthesized with the present session.
    """

    def __init__(
        self, voice: VoiceFiles, knobs: Knobs, scratch: str, *, silence_scale: float = 1.0
    ) -> None:
        self._voice = voice
        self._knobs = knobs
        self._scratch = scratch
        self._silence_scale = silence_scale
        self._session: Any = None
        self.n_sessions = 0
        self.n_done = 0

    @property
    def is_loaded(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def load(self) -> None:
        """Build the session; one that is there is dropped first.

        Raises
        ------
        VoiceError
            The engine does not accept the files.
        """
        import sherpa_onnx  # noqa: PLC0415 - the engine is loaded when a session is built

        self.cleanup()
        options = self._write_options()
        try:
            config = sherpa_onnx.OfflineTtsConfig(
                model=sherpa_onnx.OfflineTtsModelConfig(
                    vits=sherpa_onnx.OfflineTtsVitsModelConfig(
                        model=self._voice.model,
                        tokens=self._voice.tokens,
                        data_dir=self._voice.data_dir,
                        noise_scale=_NOISE_SCALE,
                        noise_scale_w=self._knobs.noise_scale_w,
                    ),
                    num_threads=self._knobs.num_threads,
                    provider=f"cpu:{options}" if options else "cpu",
                ),
                max_num_sentences=self._knobs.max_num_sentences,
                silence_scale=self._silence_scale,
            )
            if not config.validate():
                raise VoiceError(
                    f"the engine does not accept the voice {self._voice.model}; no session was "
                    "built; the engine's own lines on stderr say why"
                )
            self._session = sherpa_onnx.OfflineTts(config)
        finally:
            if options:
                os.remove(options)  # noqa: PTH107 - pathlib would cost a worker 1 MiB
        self.n_sessions += 1

    def synthesize(self, text: str, speed: float = 1.0) -> Speech:
        """Make speech of a text, in one call of the engine as the app does.

        With the knob ``split_long_sentences`` it is a call a piece instead. May be called from
        several threads.

        Parameters
        ----------
        text
            A paragraph, at most `MAX_TEXT_BYTES` in UTF-8.
        speed
            Clamped to `SPEED_RANGE`.

        Returns
        -------
        Speech
            The WAV file and what is known about it.

        Raises
        ------
        TextError
            The text is empty or too long.
        EngineError
            There is no session, or the engine made no sound of the text.
        """
        _check_text(text)
        session = self._session
        if session is None:
            raise EngineError("there is no engine session; load() builds one")
        speed = min(max(speed, SPEED_RANGE[0]), SPEED_RANGE[1])
        chunks: list[bytes] = []
        for piece in _split(text, speed) if self._knobs.split_long_sentences else [text]:
            self._generate(session, piece, speed, chunks)
        stretches = tuple(len(chunk) // 2 for chunk in chunks)
        n_samples = sum(stretches)
        if not n_samples:
            raise EngineError(
                f"the engine made no sound of {text[:60]!r}; nothing was cached; see whether the "
                "text holds any character that the voice's tokens.txt lists"
            )
        rate = int(session.sample_rate)
        self.n_done += 1
        return Speech(wav_bytes(chunks, rate), n_samples, rate, stretches)

    def cleanup(self) -> None:
        """Drop the session."""
        self._session = None
        self.n_done = 0

    def _generate(self, session: Any, text: str, speed: float, chunks: list[bytes]) -> None:
        """Run the engine on one text, and add 16-bit PCM for each stretch that it makes."""
        import sherpa_onnx  # noqa: PLC0415

        config = sherpa_onnx.GenerationConfig()
        config.speed = speed
        config.silence_scale = self._silence_scale
        if self._voice.route == "phonemes":
            from listen2lab.models.phonemes import phonemize  # noqa: PLC0415 - GPL extra

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
        lines = [
            *([] if self._knobs.cpu_mem_arena else ["EnableCpuMemArena=0"]),
            *([] if self._knobs.mem_pattern else ["EnableMemPattern=0"]),
        ]
        if not lines:
            return ""
        path = os.path.join(self._scratch, f"session-{os.getpid()}-{id(self)}.options")  # noqa: PTH118
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write("\n".join(lines) + "\n")
        return path


def wav_bytes(chunks: list[bytes], sample_rate: int) -> bytes:
    """Put 16-bit PCM into a WAV file.

    Parameters
    ----------
    chunks
        The samples, little endian, one channel.
    sample_rate
        In Hz.

    Returns
    -------
    bytes
        A 44-byte header and the chunks.
    """
    n_bytes = sum(map(len, chunks))
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + n_bytes, b"WAVE",
        b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16,
        b"data", n_bytes,
    )  # fmt: skip
    return b"".join([header, *chunks])


def _check_text(text: str) -> None:
    if not text.strip():
        raise TextError("the paragraph is empty; nothing was synthesized; leave it out")
    n_bytes = len(text.encode())
    if n_bytes > MAX_TEXT_BYTES:
        raise TextError(
            f"the paragraph has {n_bytes:,} bytes, and one synthesis takes {MAX_TEXT_BYTES:,}; "
            "nothing was synthesized; split it into paragraphs"
        )


def _split(text: str, speed: float) -> list[str]:
    """Cut a text that holds a long sentence; another one stays whole, as without the knob."""
    from listen2lab.texts.paragraphs import longest_sentence, split_long  # noqa: PLC0415 - a knob's

    limit = int(MAX_SENTENCE_S * CHARACTERS_PER_SECOND * speed)
    return split_long(text, limit) if longest_sentence(text) > limit else [text]


def _pcm_16(samples: Any) -> bytes:
    """Turn float samples (an array of the caller's own) into 16-bit PCM."""
    import numpy as np  # noqa: PLC0415 - not before the engine

    np.clip(samples, -1.0, 1.0, out=samples)
    samples *= 32767.0
    return bytes(samples.astype("<i2").tobytes())
