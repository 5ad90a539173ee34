"""The app's audio player, on a clock: what is scheduled, what has played, what is still held."""

from __future__ import annotations

import asyncio

from listen2lab.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from listen2lab.pipeline.synthesis import Speech

    class Clock(Protocol):
        """What the player waits with."""

        async def sleep(self, seconds: float) -> None:
            """Wait."""


__all__ = ["AudioPlayer", "InstantClock", "PlayerNode", "RealClock"]

_HEADER_BYTES = 44


class RealClock:
    """Time as it passes."""

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        await asyncio.sleep(seconds)


class InstantClock:
    """Time that passes as soon as somebody waits: memory does not depend on how long it sounds.

    Attributes
    ----------
    now : float
        Seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        """Move the clock on, and let the others run once."""
        self.now += seconds
        await asyncio.sleep(0)


class PlayerNode:
    """What a player schedules its chunks on.

    Stopping a node does not by itself drop what is scheduled on it: that is `reset`.
    """

    def __init__(self) -> None:
        self.scheduled: list[bytes] = []

    @property
    def n_bytes(self) -> int:
        """Bytes of what is held."""
        return sum(map(len, self.scheduled))

    def schedule(self, chunk: bytes) -> None:
        """Put a chunk behind the others."""
        self.scheduled.append(chunk)

    def reset(self) -> None:
        """Drop what is scheduled, played or not."""
        self.scheduled.clear()


class AudioPlayer:
    """Plays one WAV at a time.

    Parameters
    ----------
    clock
        `RealClock` or `InstantClock`.
    retains
        Leave what was scheduled on the node when playback ends or is stopped: the fault that a
        streaming player can have. Otherwise it is dropped.
    chunk_s
        Schedule copies of so many seconds each, as a streaming player does; None: the WAV as it
        is, uncopied.
    tick_s
        How soon a pause or a stop is noticed.

    Attributes
    ----------
    node : PlayerNode
        What holds the audio.
    position_s : float
        How far it has played.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        retains: bool = False,
        chunk_s: float | None = None,
        tick_s: float = 0.25,
    ) -> None:
        self._clock = clock
        self._retains = retains
        self._chunk_s = chunk_s
        self._tick_s = tick_s
        self._playing: object | None = None
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self.node = PlayerNode()
        self.position_s = 0.0

    @property
    def is_playing(self) -> bool:
        """Whether something plays and is not paused."""
        return self._playing is not None and self._may_go_on.is_set()

    async def play(self, speech: Speech, *, until_s: float | None = None) -> bool:
        """Play from the beginning to the end.

        Parameters
        ----------
        speech
            What to play. Something else that plays must have been stopped before.
        until_s
            Return at this position, still playing, so that the caller can do something mid-way.

        Returns
        -------
        bool
            Whether it came there; False when it was stopped.

        Raises
        ------
        InputError
            Something else plays.
        """
        if self._playing is not None:
            raise InputError("the player plays already; stop() it first")
        this = self._playing = object()  # after a stop, something else may play
        self.position_s = 0.0
        self._schedule(speech)
        end_s = speech.seconds if until_s is None else min(until_s, speech.seconds)
        try:
            while self.position_s < end_s:
                await self._may_go_on.wait()
                if self._playing is not this:
                    return False
                tick_s = min(self._tick_s, end_s - self.position_s)
                await self._clock.sleep(tick_s)
                if self._playing is not this:
                    return False
                self.position_s = min(self.position_s + tick_s, end_s)
        except asyncio.CancelledError:
            if self._playing is this:
                self.stop()
            raise
        if until_s is None:
            self.stop()
        return True

    def pause(self) -> None:
        """Hold playback where it is."""
        self._may_go_on.clear()

    def resume(self) -> None:
        """Go on from there."""
        self._may_go_on.set()

    def stop(self) -> None:
        """End playback, and drop what was scheduled unless the player retains it."""
        self._playing = None
        self._may_go_on.set()
        if not self._retains:
            self.node.reset()

    def _schedule(self, speech: Speech) -> None:
        if self._chunk_s is None:
            self.node.schedule(speech.wav)
            return
        step = 2 * max(1, int(self._chunk_s * speech.sample_rate))
        for at in range(_HEADER_BYTES, len(speech.wav), step):
            self.node.schedule(speech.wav[at : at + step])
