"""The app's reading service: start, pause, resume, skip, stop; on a paragraph's end, the next."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.pipeline.player import AudioPlayer
    from listen2lab.pipeline.queue import SynthesisQueue
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["ReadingSession"]


class ReadingSession:
    """Reads a document aloud, paragraph by paragraph.

    Parameters
    ----------
    queue
        Gives the audio.
    player
        Plays it.

    Attributes
    ----------
    current : int
        The paragraph that plays or is played next.
    """

    def __init__(self, queue: SynthesisQueue, player: AudioPlayer) -> None:
        self._queue = queue
        self._player = player
        self._n_paragraphs = 0
        self._task: asyncio.Task[None] | None = None
        self.current = 0

    @property
    def is_reading(self) -> bool:
        """Whether paragraphs follow one another; a pause does not end that."""
        return self._task is not None and not self._task.done()

    @property
    def is_open(self) -> bool:
        """Whether there is a document."""
        return self._n_paragraphs > 0

    def open(self, paragraphs: Sequence[str], start: int = 0) -> None:
        """Take a document without reading it yet; `play_one` reads it step by step.

        Parameters
        ----------
        paragraphs
            The texts.
        start
            The paragraph to begin with.
        """
        self._halt()
        self._queue.set_content(paragraphs, start)
        self._n_paragraphs = len(paragraphs)
        self.current = start

    def start(self, paragraphs: Sequence[str], start: int = 0) -> None:
        """Read a document from a paragraph on, in the background."""
        self.open(paragraphs, start)
        self._go_on()

    async def play_one(self, *, skip_at: float | None = None) -> Speech | None:
        """Play the current paragraph and move on to the next one.

        Parameters
        ----------
        skip_at
            Skip to the next paragraph when this share of the audio has been played. As in the
            app, its audio is asked for at once.

        Returns
        -------
        Speech or None
            What was played; None when the document was replaced in the meantime.
        """
        speech = await self._queue.get_audio(self.current)
        if speech is None:
            return None
        until_s = None if skip_at is None else skip_at * speech.seconds
        if await self._player.play(speech, until_s=until_s):
            self.current += 1
            if until_s is not None:
                self._player.stop()
                self._queue.cancel_all()
                if self.current < self._n_paragraphs:
                    await self._queue.get_audio(self.current)
        return speech

    def pause(self) -> None:
        """Hold the audio where it is."""
        self._player.pause()

    def resume(self) -> None:
        """Go on from there."""
        self._player.resume()

    def skip_to_next(self) -> None:
        """Stop the audio and read the next paragraph; at the last one, reading ends."""
        self._skip_to(self.current + 1)

    def skip_to_previous(self) -> None:
        """Stop the audio and read the paragraph before; at the first one, that one again."""
        self._skip_to(max(0, self.current - 1))

    def stop(self) -> None:
        """Stop reading and clear the queue."""
        self._halt()
        self._queue.clear_all()
        self._n_paragraphs = 0

    async def finished(self) -> None:
        """Wait until the document has been read or reading was stopped.

        Raises
        ------
        LabError
            What ended the reading, if it was an error.
        """
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])  # a skip puts another task in its place
        if self._task is not None and not self._task.cancelled():
            self._task.result()

    def _skip_to(self, paragraph: int) -> None:
        was_reading = self.is_reading
        self._halt()
        self._queue.cancel_all()
        self.current = min(paragraph, self._n_paragraphs)
        if was_reading:
            self._go_on()

    def _go_on(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._read())

    def _halt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._player.stop()

    async def _read(self) -> None:
        while self.current < self._n_paragraphs:
            if await self.play_one() is None:
                return
