"""The synthesis queue, player and reading, with a hand-driven engine and clock: no timing."""

from __future__ import annotations

import asyncio
import functools
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listen2lab.errors import EngineError, InputError
from listen2lab.pipeline.alignment import Alignment, Word
from listen2lab.pipeline.knobs import Knobs
from listen2lab.pipeline.log import AppLog
from listen2lab.pipeline.player import AudioPlayer, ReadingSession
from listen2lab.pipeline.queue import Permits, SynthesisQueue
from listen2lab.pipeline.synthesis import Speech

MIB = 1024 * 1024
OF_THE_TEXT = object()


def in_loop(test):
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


async def settle():
    """Let every task run until all of them wait."""
    for _ in range(20):
        await asyncio.sleep(0)


def texts(n, name="p"):
    """Make paragraphs that tell where they come from."""
    return [f"{name}{i}" for i in range(n)]


class Engine:
    """Starts a synthesis when asked, and ends it when the test says so."""

    def __init__(self):
        self.started = []  # texts, in the order in which they entered
        self.pending = []  # (text, future) of those that are in it
        self.peak = 0
        self.suffix = ""  # the voice's mark in what it makes

    async def synthesize(self, text):
        """Enter, and leave when the test finishes it."""
        entry = (text, asyncio.get_running_loop().create_future())
        wav = f"{text}{self.suffix}".encode()
        self.started.append(text)
        self.pending.append(entry)
        self.peak = max(self.peak, len(self.pending))
        try:
            await entry[1]
        finally:
            self.pending.remove(entry)
        return Speech(wav, len(wav), 10, (len(wav),))

    def finish(self, k=0, error=None):
        """End the k-th of those that are in it."""
        future = self.pending[k][1]
        if not future.done():
            future.set_result(None) if error is None else future.set_exception(error)


class World:
    """A queue, its engine, what reads it, the lines it logged, and a clock that stands still."""

    def __init__(self, align=None, trim=None, content=OF_THE_TEXT, *, retains=False, **knobs):
        self.engine = Engine()
        self.lines = []
        self.time = 0.0
        self.resident = 100 * MIB
        self.queue = SynthesisQueue(
            self.engine.synthesize,
            AppLog(self.lines.append, lambda: self.resident),
            Knobs(**knobs),
            align=align,
            trim=trim,
            now=lambda: self.time,
        )
        self.player = AudioPlayer(retains=retains)
        self.reading = ReadingSession(self.queue, self.player)
        self.queue.set_content(texts(9) if content is OF_THE_TEXT else content)

    def ask(self, paragraph):
        """Ask for a paragraph's audio in a task."""
        return asyncio.ensure_future(self.queue.get_audio(paragraph))

    async def get(self, paragraph):
        """Ask for a paragraph's audio, and let everything finish."""
        caller = self.ask(paragraph)
        await self.drain()
        return (await caller).wav.decode()

    async def drain(self):
        """Let everything finish in the order in which it entered."""
        for _ in range(200):
            await settle()
            if not self.engine.pending:
                return
            self.engine.finish()
        raise AssertionError("the queue never came to rest")

    def in_engine(self):
        """Return the texts that are in the engine."""
        return [text for text, _ in self.engine.pending]


@in_loop
async def test_audio_comes_and_the_next_paragraph_is_made_ahead():
    """Paragraph 0 is made on demand, 1 after it, and 1 is then there at once."""
    world = World()
    caller = world.ask(0)
    await settle()
    assert world.engine.started == ["p0"]
    world.engine.finish()
    await settle()
    assert caller.result().wav == b"p0"
    assert world.engine.started == ["p0", "p1"]
    await world.drain()
    assert (await world.queue.get_audio(1)).wav == b"p1"
    await world.drain()
    assert world.engine.started == ["p0", "p1", "p2"]


@in_loop
async def test_a_presynthesis_in_progress_is_waited_for():
    """Asking for what is being made does not make it twice."""
    world = World()
    first = world.ask(0)
    await settle()
    world.engine.finish()
    await settle()
    second = world.ask(1)
    await settle()
    assert not second.done()
    await world.drain()
    assert (first.result().wav, second.result().wav) == (b"p0", b"p1")
    assert world.engine.started.count("p1") == 1


@in_loop
async def test_waiters_enter_in_the_order_in_which_they_came():
    """The lock is first come, first served, and no more than one is in the engine."""
    world = World(lookahead_count=0, max_cache_size=None)
    order = [4, 1, 8, 0, 5]
    callers = [world.ask(i) for i in order]
    await world.drain()
    assert world.engine.started == [f"p{i}" for i in order]
    assert [c.result().wav for c in callers] == [f"p{i}".encode() for i in order]
    assert world.engine.peak == world.queue.peak_in_flight == 1


@pytest.mark.parametrize("in_flight", [1, 2, 3])
@in_loop
async def test_in_flight_is_reached_and_not_exceeded(in_flight):
    """The knob sets how many are in the engine at once."""
    world = World(lookahead_count=5, in_flight=in_flight, max_cache_size=None)
    await world.get(0)
    assert world.engine.peak == world.queue.peak_in_flight == in_flight


@pytest.mark.parametrize(
    ("size", "kept"), [(1, {2}), (2, {2, 3}), (3, {2, 3, 4}), (None, {0, 1, 2, 3, 4}), (0, set())]
)
@in_loop
async def test_the_window_that_is_kept(size, kept):
    """After a synthesis, only [current, current + size - 1] stays."""
    world = World(lookahead_count=2, max_cache_size=size)
    assert [await world.get(i) for i in range(3)] == ["p0", "p1", "p2"]
    assert set(world.queue.cached) == kept
    evicted = sum("Evicted audio" in line for line in world.lines)
    assert world.queue.n_evictions == evicted == len(world.engine.started) - len(kept)


@in_loop
async def test_alignments_are_made_with_the_audio_and_leave_with_it():
    """The alignment of a paragraph is there when its audio is, and is evicted like it."""

    async def align(paragraph, text, speech):
        await asyncio.sleep(0)
        return Alignment([Word(text, 0.0, speech.seconds)])

    world = World(align=align)
    for i in range(4):
        await world.get(i)
        assert world.queue.alignments[i].words[0].text == f"p{i}"
    assert set(world.queue.alignments) == set(world.queue.cached) == {3, 4}
    assert "[SynthesisQueue] 🗑️ Evicted alignment cache for paragraph 2" in world.lines


@pytest.mark.parametrize("what", ["nothing", "gc", "clear", "clear+trim"])
@in_loop
async def test_what_is_done_after_an_eviction(what):
    """Each value of the knob does what it says, and only once something was evicted."""
    trims = []
    world = World(after_eviction=what, trim=lambda: trims.append(1))
    await world.get(0)
    assert set(world.queue.cached) == {0, 1}
    assert not trims
    await world.get(1)
    assert set(world.queue.cached) == (set() if what.startswith("clear") else {1, 2})
    assert len(trims) == (what == "clear+trim")


@in_loop
async def test_cancel_all_lets_every_waiter_in_and_the_lock_closes_again():
    """The app's fault: all waiters and the next caller run at once; later, one at a time."""
    world = World(lookahead_count=2, max_cache_size=None)
    callers = [world.ask(0)]
    await settle()  # 0 is in the engine; 1 and 2 wait
    world.queue.cancel_all()
    callers.append(world.ask(3))
    await settle()
    assert world.in_engine() == ["p0", "p1", "p2", "p3"]
    await world.drain()
    assert [c.result().wav for c in callers] == [b"p0", b"p3"]
    assert world.queue.peak_in_flight == 4
    world.queue.peak_in_flight = 0
    await world.get(7)
    assert world.queue.peak_in_flight == 1


@in_loop
async def test_a_new_voice_starts_the_awaited_again_beside_the_old():
    """What is in the engine cannot be stopped; nobody gets it, and the new is made once."""
    world = World(lookahead_count=0, in_flight=2)
    callers = [world.ask(0)]
    await settle()
    world.engine.suffix = " new"
    world.queue.drop_audio()
    callers.append(world.ask(0))
    await settle()
    assert world.in_engine() == ["p0", "p0"]
    world.engine.finish()  # the old one; the new one is still known to be in progress
    await settle()
    callers.append(world.ask(0))
    await world.drain()
    assert {caller.result().wav for caller in callers} == {b"p0 new"}
    assert world.engine.started == ["p0", "p0"]
    assert {s.wav for s in world.queue.cached.values()} == {b"p0 new"}


@in_loop
async def test_an_alignment_of_the_old_voice_is_not_kept():
    """A change while the words are aligned leaves neither audio nor alignment."""

    async def align(paragraph, text, speech):
        await settle()
        return Alignment([Word(speech.wav.decode(), 0.0, 1.0)])

    world = World(align=align, lookahead_count=0)
    caller = world.ask(0)
    await settle()
    world.engine.finish()
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.queue.cached
    assert not caller.done()  # the alignment is under way
    world.engine.suffix = " new"
    world.queue.drop_audio()
    for _ in range(30):
        await asyncio.sleep(0)
    assert world.queue.alignments == {}
    for _ in range(3):
        await world.drain()
    await caller
    assert world.queue.alignments[0].words[0].text == "p0 new"


@in_loop
async def test_replacing_the_content_answers_the_old_callers_with_none():
    """An old caller must not get the new text's audio under the old number."""
    world = World()
    old = world.ask(0)
    await settle()
    world.queue.set_content(texts(9, "q"), start=3)
    assert await world.get(0) == "q0"
    assert old.result() is None
    assert all(s.wav.startswith(b"q") for s in world.queue.cached.values())


@in_loop
async def test_clear_all_leaves_nothing():
    """Stopping empties the caches, and what was in the engine is not kept when it comes out."""
    world = World()
    caller = world.ask(0)
    await settle()
    world.queue.clear_all()
    await world.drain()
    await world.queue.idle()
    assert caller.result() is None
    assert world.queue.cached == {}
    with pytest.raises(InputError, match="there is no paragraph 0"):
        await world.queue.get_audio(0)


@in_loop
async def test_a_failing_presynthesis_is_logged_and_tried_again_on_demand():
    """An error ahead of playback does not stop the reading."""
    world = World()
    caller = world.ask(0)
    await settle()
    world.engine.finish()
    await settle()
    assert caller.done()
    waiting = world.ask(1)
    await settle()
    world.time += 2.5
    world.engine.finish(error=EngineError("no sound"))
    await world.drain()
    assert waiting.result().wav == b"p1"
    failed = "[SynthesisQueue] ❌ Pre-synthesis failed for paragraph 1 after 2.50s: no sound"
    assert failed in world.lines


@in_loop
async def test_a_failing_synthesis_on_demand_is_raised_and_the_queue_lives_on():
    """The caller learns of it, and the next one is served."""
    world = World()
    caller = world.ask(0)
    await settle()
    world.engine.finish(error=EngineError("no sound"))
    await world.drain()
    with pytest.raises(EngineError, match="no sound"):
        caller.result()
    assert await world.get(0) == "p0"


@pytest.mark.parametrize("error", [None, EngineError("no sound")])
def test_a_caller_that_leaves_does_not_stop_the_synthesis(error):
    """What was begun for it is cached; if it fails, asyncio has nothing to complain about."""
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        world = World()
        caller = world.ask(0)
        await settle()
        caller.cancel()
        await settle()
        world.engine.finish(error=error)
        await world.drain()
        assert caller.cancelled()
        assert (0 in world.queue.cached) == (error is None)
        del caller  # its cancellation holds on to the job
        gc.collect()

    asyncio.run(main())
    assert complaints == []


@in_loop
async def test_the_lines_are_the_apps():
    """The whole log of two paragraphs, with the clock and the memory moved by hand."""

    async def align(paragraph, text, speech):
        world.time += 0.5
        return Alignment([Word(text, 0.0, speech.seconds)])

    world = World(align=align, content=["one@1.0", "two@1.0"])
    caller = world.ask(0)
    await settle()
    world.time += 3.214
    world.resident += 12 * MIB
    world.engine.finish()
    await settle()
    world.time += 1.0
    await world.drain()
    await caller
    await world.queue.get_audio(1)
    assert world.lines == [
        "📊 [MEMORY] Total: 100.0 MB",
        "📊 [MEMORY] Audio cache: 0 entries, 0.0 MB",
        "📊 [MEMORY] Alignment cache: 0 entries, ~0.0 MB estimated",
        "📊 [MEMORY] Synthesizing: 0 active",
        "📊 [MEMORY] Tasks: 0 active",
        "📊 [MEMORY] Unaccounted: ~100.0 MB (engine, frameworks, everything else)",
        "[SynthesisQueue] 🔄 Starting on-demand synthesis for paragraph 0, memory: 100.0 MB",
        "[PiperTTS] Synthesized 7 samples at 10 Hz",
        (
            "[SynthesisQueue] ✅ On-demand synthesis for paragraph 0 completed in 3.21s, "
            "memory: 112.0 MB (+12.0 MB)"
        ),
        "[SynthesisQueue] ✅ Alignment completed for paragraph 0: 1 words, 0.70s",
        (
            "[SynthesisQueue] 📊 Total time for paragraph 0: 3.71s "
            "(synthesis: 3.21s, alignment: 0.50s), final memory: 112.0 MB"
        ),
        "[SynthesisQueue] 🔄 Pre-synthesis paragraph 1, memory: 112.0 MB",
        "[PiperTTS] Synthesized 7 samples at 10 Hz",
        "[SynthesisQueue] ✅ Pre-synthesis paragraph 1 done - 1.00s, memory: 112.0 MB",
        "[SynthesisQueue] ✅ Alignment completed for paragraph 1: 1 words, 0.70s",
    ]


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("retains", [False, True])
@in_loop
async def test_what_a_player_holds_after_playing_and_stopping(share, retains):
    """One that drops holds nothing, one that retains holds all that was scheduled, uncopied."""
    player = AudioPlayer(retains=retains)
    said = [Speech(bytes(n), n, 10, (n,)) for n in (50, 35)]
    for each in said:
        await player.play(each, share=share)
        if share < 1.0:
            with pytest.raises(InputError, match="plays already"):
                await player.play(each)
        player.stop()
    held = [id(wav) for wav in player.scheduled]
    assert held == ([id(each.wav) for each in said] if retains else [])


@in_loop
async def test_reading_goes_through_the_document():
    """Each paragraph is played once and in order, and made once; stopping clears all."""
    world = World(retains=True)
    world.reading.open(texts(5))
    for _ in range(5):
        step = asyncio.ensure_future(world.reading.play_one())
        await world.drain()
        await step
    assert world.player.scheduled == [f"p{i}".encode() for i in range(5)]
    assert world.engine.started == texts(5)
    assert world.reading.current == 5
    world.reading.stop()
    await world.queue.idle()
    assert world.queue.cached == {}
    assert not world.reading.is_open


@in_loop
async def test_a_document_that_is_replaced_while_it_is_waited_for():
    """What was asked for comes to nothing, and the new one is read."""
    world = World()
    world.reading.open(texts(5))
    old = asyncio.ensure_future(world.reading.play_one())
    await settle()
    world.reading.open(["q0", "q1"], start=1)
    await world.drain()
    assert await old is None
    new = asyncio.ensure_future(world.reading.play_one())
    await world.drain()
    assert (await new).wav == b"q1"


@in_loop
async def test_a_skip_mid_way_makes_the_next_paragraph_twice_at_once():
    """The app's fault: what was being made ahead is forgotten, and made again beside it."""
    world = World(retains=True)
    world.reading.open(texts(5))
    skip = asyncio.ensure_future(world.reading.play_one(skip_at=0.5))
    await settle()
    world.engine.finish()  # paragraph 0 plays; 1 is in the engine, made ahead
    await settle()
    assert world.in_engine() == ["p1", "p1"]
    await world.drain()
    await skip
    assert world.reading.current == 1
    assert world.queue.peak_in_flight == 2
    again = asyncio.ensure_future(world.reading.play_one())
    await world.drain()
    await again
    assert world.player.scheduled == [b"p0", b"p1"]


class Schedule(World):
    """A world in which operations come in any order, and every answer is judged on arrival."""

    def __init__(self, **knobs):
        super().__init__(content=texts(6, "c0-"), **knobs)
        self.knobs = Knobs(**knobs)
        self.content = self.n_contents = 0
        self.has_cancelled = False
        self.callers = []
        self.wrong = []

    async def judged(self, i, content):
        """Right is: the caller's content in the voice that holds now, None for a gone content."""
        speech = await self.queue.get_audio(i)
        right = f"c{content}-{i}{self.engine.suffix}".encode()
        if (speech is None) != (content != self.content) or (speech and speech.wav != right):
            self.wrong.append((i, content, speech))

    async def apply(self, name, k):
        """Carry one operation out."""
        pending = self.engine.pending
        if name == "get" and self.content is not None:  # ask before anything else happens
            self.callers.append(asyncio.ensure_future(self.judged(k, self.content)))
            await asyncio.sleep(0)
        elif name in ("finish", "fail") and k < len(pending):
            self.engine.finish(k, EngineError("planted") if name == "fail" else None)
        elif name == "leave" and k < len(self.callers):
            self.callers[k].cancel()
        elif name == "spin":
            for _ in range(k):
                await asyncio.sleep(0)
        elif name in ("voice", "replace", "clear", "cancel"):
            self.has_cancelled = True
            self.change(name)

    def change(self, name):
        """Do what cancels what is under way."""
        if name == "voice":
            self.engine.suffix += "+"
            self.queue.drop_audio()
        elif name == "replace":
            self.content = self.n_contents = self.n_contents + 1
            self.queue.set_content(texts(6, f"c{self.content}-"))
        elif name == "clear":
            self.content = None
            self.queue.clear_all()
        else:
            self.queue.cancel_all()

    def check_bounds(self):
        """Hold the cache's size, and the lock unless the app's fault has opened it."""
        if self.knobs.max_cache_size is not None:
            assert len(self.queue.cached) <= self.knobs.max_cache_size
        if not self.has_cancelled:
            assert len(self.engine.pending) <= self.knobs.in_flight

    async def check_end(self):
        """All callers have an answer, all answers are right, and it reads on."""
        await self.drain()
        await asyncio.wait_for(self.queue.idle(), 1)
        assert all(caller.done() for caller in self.callers)
        errors = [caller.exception() for caller in self.callers if not caller.cancelled()]
        assert all(error is None or isinstance(error, EngineError) for error in errors)
        assert not self.wrong
        self.queue.set_content(texts(6, "last-"))
        assert await self.get(2) == f"last-2{self.engine.suffix}"
        await self.queue.idle()


OPERATIONS = st.tuples(
    # Asking and finishing twice as often as the others.
    st.sampled_from(["get", "get", "finish", "finish", "fail", "leave", "spin", "voice"])
    | st.sampled_from(["replace", "clear", "cancel"]),
    st.integers(0, 5),
)


@settings(max_examples=200, deadline=None)
@given(
    operations=st.lists(OPERATIONS, max_size=40),
    in_flight=st.integers(1, 3),
    lookahead_count=st.integers(0, 3),
    max_cache_size=st.sampled_from([0, 1, 2, None]),
    after_eviction=st.sampled_from(["nothing", "clear"]),
)
def test_any_interleaving(operations, **knobs):
    """Whatever happens in whatever order: right audio, bounds kept, nobody waits forever."""

    async def main():
        world = Schedule(**knobs)
        for name, k in operations:
            await world.apply(name, k)
            world.check_bounds()
        await world.check_end()

    asyncio.run(main())


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 3), operations=st.lists(st.sampled_from("ar"), max_size=40))
def test_permits_are_first_come_first_served(n, operations):
    """Never more than n, in order, none lost."""

    async def main():
        permits = Permits(n)
        held, granted, tasks = [], [], []

        async def take(number):
            await permits.acquire()
            granted.append(number)
            held.append(number)

        for name in operations:
            if name == "a":
                tasks.append(asyncio.ensure_future(take(len(tasks))))
            elif held:
                held.pop(0)
                permits.release()
            await settle()
            assert len(held) == min(n, len(held) + sum(not task.done() for task in tasks))
        for _ in tasks:
            if held:
                held.pop(0)
                permits.release()
            await settle()
        assert all(task.done() for task in tasks)
        assert granted == list(range(len(tasks)))

    asyncio.run(main())
