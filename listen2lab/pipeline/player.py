"""The app's audio player and reading service: what is scheduled, what is held, what comes next."""

from __future__ import annotations

import asyncio

from listen2lab.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.pipeline.queue import SynthesisQueue
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["AudioPlayer", "ReadingSession"]


class AudioPlayer:
    """Plays one WAV at a time, on a clock that moves as soon as somebody waits.

    Memory does not depend on how long it sounds, so nothing waits for real. `retains`: leave what
    was scheduled when playback ends or is stopped, because stopping a player's node does not by
    itself drop what is scheduled on it.
    """

    def __init__(self, *, retains: bool = False) -> None:
        self._retains = retains
        self._is_playing = False
        self.scheduled: list[bytes] = []

    async def play(self, speech: Speech, *, share: float = 1.0) -> None:
        """Play to the end, or return, still playing, when this share of it has played."""
        if self._is_playing:
            raise InputError("the player plays already; stop() it first")
        self._is_playing = True
        self.scheduled.append(speech.wav)
        await asyncio.sleep(0)  # while it plays, what was begun ahead goes on
        if share >= 1.0:
            self.stop()

    def stop(self) -> None:
        """End playback, and drop what was scheduled unless the player retains it."""
        self._is_playing = False
        if not self._retains:
            self.scheduled.clear()


class ReadingSession:
    """Reads a document aloud, paragraph by paragraph; `current` is played next."""

    def __init__(self, queue: SynthesisQueue, player: AudioPlayer) -> None:
        self._queue = queue
        self._player = player
        self._n_paragraphs = 0
        self.current = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a document."""
        return self._n_paragraphs > 0

    def open(self, paragraphs: Sequence[str], start: int = 0) -> None:
        """Take a document, and begin with paragraph `start`."""
        self._player.stop()
        self._queue.set_content(paragraphs, start)
        self._n_paragraphs = len(paragraphs)
        self.current = start

    async def play_one(self, *, skip_at: float | None = None) -> Speech | None:
        """Play the current paragraph and move on; None when the document was replaced meanwhile.

        `skip_at`: skip to the next paragraph when this share of the audio has been played. As in
        the app, its audio is asked for at once.
        """
        speech = await self._queue.get_audio(self.current)
        if speech is None:
            return None
        await self._player.play(speech, share=1.0 if skip_at is None else skip_at)
        self.current += 1
        if skip_at is not None:
            self._player.stop()
            self._queue.cancel_all()
            if self.current < self._n_paragraphs:
                await self._queue.get_audio(self.current)
        return speech

    def stop(self) -> None:
        """Stop reading and clear the queue."""
        self._player.stop()
        self._queue.clear_all()
        self._n_paragraphs = 0
