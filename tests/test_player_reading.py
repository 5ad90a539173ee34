"""The player on a virtual clock, and the reading session above it."""

from __future__ import annotations

import asyncio

import pytest

from listen2lab.errors import EngineError, InputError
from listen2lab.pipeline.knobs import Knobs
from listen2lab.pipeline.log import AppLog
from listen2lab.pipeline.player import AudioPlayer, InstantClock, RealClock
from listen2lab.pipeline.queue import SynthesisQueue
from listen2lab.pipeline.reading import ReadingSession
from listen2lab.pipeline.synthesis import Speech, wav_bytes

RATE = 100


def speech(seconds, name=b"x"):
    """Make speech of a length; its bytes begin with the name."""
    n = int(seconds * RATE)
    pcm = (name + bytes(2 * n))[: 2 * n]
    return Speech(wav_bytes([pcm], RATE), n, RATE, (n,))


def test_the_clock_moves_by_what_is_played():
    """Nothing waits for real, and the time is the audio's."""

    async def main():
        clock = InstantClock()
        player = AudioPlayer(clock)
        assert await player.play(speech(112.5))
        assert clock.now == pytest.approx(112.5)
        assert player.position_s == pytest.approx(112.5)
        assert not player.is_playing

    asyncio.run(main())


def test_the_real_clock_waits():
    """With it, playing takes as long as it sounds."""

    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await AudioPlayer(RealClock()).play(speech(0.05))
        return loop.time() - began

    assert 0.05 <= asyncio.run(main()) < 2.0


@pytest.mark.parametrize("chunk_s", [None, 1.0])
@pytest.mark.parametrize("until_s", [None, 2.0])
def test_what_is_held_after_playing_and_stopping(until_s, chunk_s):
    """A player that drops holds nothing, one that retains holds all that was scheduled."""

    async def main():
        held = {}
        for retains in (False, True):
            player = AudioPlayer(InstantClock(), retains=retains, chunk_s=chunk_s)
            for seconds in (5.0, 3.5):
                await player.play(speech(seconds), until_s=until_s)
                player.stop()
            held[retains] = player.node.n_bytes
        header = 0 if chunk_s else 2 * 44
        assert held == {False: 0, True: 2 * int(8.5 * RATE) + header}

    asyncio.run(main())


def test_chunks_are_the_audio_without_its_header():
    """Joined they are the samples, in order; the whole WAV is scheduled uncopied."""

    async def main():
        said = speech(2.5, b"abcd")
        streaming = AudioPlayer(InstantClock(), chunk_s=1.0)
        await streaming.play(said, until_s=1.0)
        assert [len(chunk) for chunk in streaming.node.scheduled] == [200, 200, 100]
        assert b"".join(streaming.node.scheduled) == said.wav[44:]
        plain = AudioPlayer(InstantClock())
        await plain.play(said, until_s=1.0)
        assert plain.node.scheduled[0] is said.wav

    asyncio.run(main())


class StepClock:
    """A clock that the test moves on, one sleep at a time."""

    def __init__(self):
        self.waiting = []

    async def sleep(self, seconds):
        """Wait for `move`."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        await future

    async def move(self, times=1):
        """End so many sleeps."""
        for _ in range(times):
            await settle()
            future = self.waiting.pop(0)
            if not future.done():  # unless its sleeper was cancelled
                future.set_result(None)
        await settle()


async def settle():
    """Let every task run until all of them wait."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_pause_and_resume_keep_the_position():
    """While it is paused no time passes; then it goes on to the end."""

    async def main():
        clock = StepClock()
        player = AudioPlayer(clock)
        playing = asyncio.ensure_future(player.play(speech(1.0)))
        await clock.move()
        player.pause()
        await clock.move()  # the sleep that was under way
        assert not clock.waiting
        assert player.position_s == pytest.approx(0.5)
        assert not player.is_playing
        player.resume()
        await clock.move(2)
        assert playing.result() is True

    asyncio.run(main())


def test_a_stop_ends_playing_also_while_paused():
    """The caller learns that it was not played to the end, and the player can play again."""

    async def main():
        clock = StepClock()
        player = AudioPlayer(clock)
        playing = asyncio.ensure_future(player.play(speech(1.0)))
        await settle()
        with pytest.raises(InputError, match="plays already"):
            await player.play(speech(1.0))
        player.pause()
        await clock.move()
        player.stop()
        await settle()
        assert not clock.waiting
        assert playing.result() is False
        assert player.node.n_bytes == 0
        again = asyncio.ensure_future(player.play(speech(0.25)))
        await clock.move()
        assert again.result() is True

    asyncio.run(main())


def test_what_was_cancelled_does_not_stop_what_plays_after_it():
    """A skip cancels one and plays the next, before the cancelled one has noticed."""

    async def main():
        clock = StepClock()
        player = AudioPlayer(clock)
        old = asyncio.ensure_future(player.play(speech(1.0)))
        await settle()
        old.cancel()
        player.stop()
        mover = asyncio.ensure_future(clock.move(3))
        assert await player.play(speech(0.5)) is True  # plays before the old one runs again
        assert old.cancelled()
        await mover

    asyncio.run(main())


class World:
    """A reading session over a queue whose engine is instant."""

    def __init__(self, clock=None, failing=(), **knobs):
        self.made = []
        self.failing = set(failing)
        self.played = []
        self.lines = []
        log = AppLog(self.lines.append, lambda: 0)
        self.queue = SynthesisQueue(self.synthesize, log, Knobs(**knobs))
        self.player = AudioPlayer(clock or InstantClock())
        inner = self.player.play

        async def play(said, **kwargs):
            self.played.append(said.wav[44:46].decode())
            return await inner(said, **kwargs)

        self.player.play = play
        self.reading = ReadingSession(self.queue, self.player)

    async def synthesize(self, text, speed):
        """Make a second of speech that begins with the text."""
        await asyncio.sleep(0)
        if text in self.failing:
            raise EngineError("planted")
        self.made.append(text)
        return speech(1.0, text.encode())


TEXTS = [f"p{i}" for i in range(5)]


def test_reading_goes_through_the_document():
    """Each paragraph is played once and in order, and made once."""

    async def main():
        world = World()
        world.reading.start(TEXTS)
        await world.reading.finished()
        assert world.played == TEXTS
        assert world.made == TEXTS
        assert world.reading.current == 5
        assert not world.reading.is_reading

    asyncio.run(main())


def test_skipping_forth_and_back():
    """Next and previous stop what plays and go on from there, within the document."""

    async def main():
        clock = StepClock()
        world = World(clock, max_cache_size=None)
        world.reading.start(TEXTS, start=1)
        await settle()
        world.reading.skip_to_next()
        await settle()
        world.reading.skip_to_next()
        await settle()
        world.reading.skip_to_previous()
        await settle()
        assert world.played == ["p1", "p2", "p3", "p2"]
        assert world.reading.current == 2
        assert world.player.node.n_bytes == len(speech(1.0).wav)
        for _ in range(3):
            world.reading.skip_to_previous()
            await settle()
        assert world.reading.current == 0
        for _ in range(6):
            world.reading.skip_to_next()
            await settle()
        assert world.reading.current == 5
        await asyncio.wait_for(world.reading.finished(), 1)
        assert world.player.node.n_bytes == 0

    asyncio.run(main())


def test_pausing_the_session():
    """A pause holds the paragraph, and reading is not over."""

    async def main():
        clock = StepClock()
        world = World(clock)
        world.reading.start(TEXTS)
        await settle()
        world.reading.pause()
        await clock.move()
        assert not clock.waiting
        assert world.reading.is_reading
        assert world.reading.current == 0
        world.reading.resume()
        await clock.move(3)
        assert world.reading.current == 1
        world.reading.stop()

    asyncio.run(main())


def test_stop_clears_the_queue():
    """Nothing is cached, scheduled or under way after it."""

    async def main():
        clock = StepClock()
        world = World(clock)
        world.reading.start(TEXTS)
        await settle()
        assert world.queue.cached
        world.reading.stop()
        await world.queue.idle()
        assert world.queue.cached == {}
        assert world.player.node.n_bytes == 0
        assert not world.reading.is_reading
        await asyncio.wait_for(world.reading.finished(), 1)

    asyncio.run(main())


def test_a_new_document_replaces_the_old_one():
    """Starting again while one is read reads the new one only."""

    async def main():
        clock = StepClock()
        world = World(clock)
        world.reading.start(TEXTS)
        await settle()
        world.reading.start(["q0", "q1"])
        await clock.move()  # the sleep of the old one, whose task is gone
        await settle()
        for _ in range(20):
            if clock.waiting:
                await clock.move()
        await world.reading.finished()
        assert world.played == ["p0", "q0", "q1"]

    asyncio.run(main())


def test_an_error_ends_the_reading_and_is_told():
    """A paragraph that cannot be spoken is named by the engine's error."""

    async def main():
        world = World(failing={"p2"})
        world.reading.start(TEXTS)
        with pytest.raises(EngineError, match="planted"):
            await world.reading.finished()
        assert world.played == ["p0", "p1"]
        assert any("Pre-synthesis failed for paragraph 2" in line for line in world.lines)

    asyncio.run(main())


@pytest.mark.parametrize(("cancel_resumes", "made"), [("all", 2), ("one", 1)])
def test_a_skip_mid_way(cancel_resumes, made):
    """With the app's fault the next paragraph is made twice at once, cured it is waited for."""

    async def main():
        clock = InstantClock()
        world = World(clock, cancel_resumes=cancel_resumes)
        world.reading.open(TEXTS)
        world.player._tick_s = 10.0
        await world.reading.play_one(skip_at=0.5)
        await world.queue.idle()
        assert clock.now == pytest.approx(0.5)
        assert world.reading.current == 1
        assert world.made.count("p1") == made
        assert world.queue.peak_in_flight == made
        await world.reading.play_one()
        assert world.played == ["p0", "p1"]

    asyncio.run(main())
