"""The synthesis queue's logic, with a hand-driven engine and a fake clock: no thread, no timing."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listen2lab.errors import EngineError, InputError
from listen2lab.pipeline.alignment import Alignment, Word
from listen2lab.pipeline.knobs import Knobs
from listen2lab.pipeline.log import AppLog
from listen2lab.pipeline.permits import Permits
from listen2lab.pipeline.queue import SynthesisQueue
from listen2lab.pipeline.synthesis import Speech

MIB = 1024 * 1024


class Engine:
    """Starts a synthesis when asked, and ends it when the test says so."""

    def __init__(self):
        self.started = []  # texts, in the order in which they entered
        self.pending = []  # (text, speed, future) of those that are in it
        self.peak = 0

    async def synthesize(self, text, speed):
        """Enter, and leave when the test finishes it."""
        future = asyncio.get_running_loop().create_future()
        entry = (text, speed, future)
        self.started.append(text)
        self.pending.append(entry)
        self.peak = max(self.peak, len(self.pending))
        try:
            await future
        finally:
            self.pending.remove(entry)
        wav = f"{text}@{speed}".encode()
        return Speech(wav, len(wav), 10, (len(wav),))

    def finish(self, k=0, error=None):
        """End the k-th of those that are in it."""
        future = self.pending[k][2]
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class World:
    """A queue, its engine, the lines it logged, and a clock that stands still."""

    def __init__(self, align=None, trim=None, **knobs):
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

    async def drain(self):
        """Let everything finish in the order in which it entered."""
        for _ in range(200):
            await settle()
            if not self.engine.pending:
                return
            self.engine.finish()
        raise AssertionError("the queue never came to rest")


async def settle():
    """Let every task run until all of them wait."""
    for _ in range(20):
        await asyncio.sleep(0)


def texts(n, name="p"):
    """Make paragraphs that tell where they come from."""
    return [f"{name}{i}" for i in range(n)]


def test_audio_comes_and_the_next_paragraph_is_made_ahead():
    """Paragraph 0 is made on demand, 1 after it, and 1 is then there at once."""

    async def main():
        world = World()
        world.queue.set_content(texts(5))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        assert world.engine.started == ["p0"]
        world.engine.finish()
        await settle()
        assert caller.result().wav == b"p0@1.0"
        assert world.engine.started == ["p0", "p1"]
        await world.drain()
        assert (await world.queue.get_audio(1)).wav == b"p1@1.0"
        assert world.engine.started[:2] == ["p0", "p1"]
        await world.drain()
        assert world.engine.started == ["p0", "p1", "p2"]

    asyncio.run(main())


def test_a_presynthesis_in_progress_is_waited_for():
    """Asking for what is being made does not make it twice."""

    async def main():
        world = World()
        world.queue.set_content(texts(5))
        first = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.engine.finish()
        await settle()
        second = asyncio.ensure_future(world.queue.get_audio(1))
        await settle()
        assert not second.done()
        await world.drain()
        assert (first.result().wav, second.result().wav) == (b"p0@1.0", b"p1@1.0")
        assert world.engine.started.count("p1") == 1

    asyncio.run(main())


def test_waiters_enter_in_the_order_in_which_they_came():
    """The lock is first come, first served, and no more than one is in the engine."""

    async def main():
        world = World(lookahead_count=0, max_cache_size=None)
        world.queue.set_content(texts(9))
        order = [4, 1, 8, 0, 5]
        callers = [asyncio.ensure_future(world.queue.get_audio(i)) for i in order]
        await world.drain()
        assert world.engine.started == [f"p{i}" for i in order]
        assert [c.result().wav for c in callers] == [f"p{i}@1.0".encode() for i in order]
        assert world.engine.peak == world.queue.peak_in_flight == 1

    asyncio.run(main())


@pytest.mark.parametrize("in_flight", [1, 2, 3])
def test_in_flight_is_reached_and_not_exceeded(in_flight):
    """The knob sets how many are in the engine at once."""

    async def main():
        world = World(lookahead_count=5, in_flight=in_flight, max_cache_size=None)
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await world.drain()
        await caller
        assert world.engine.peak == world.queue.peak_in_flight == in_flight

    asyncio.run(main())


@pytest.mark.parametrize(
    ("size", "kept"), [(1, {2}), (2, {2, 3}), (3, {2, 3, 4}), (None, {0, 1, 2, 3, 4}), (0, set())]
)
def test_the_window_that_is_kept(size, kept):
    """After a synthesis, only [current, current + size - 1] stays."""

    async def main():
        world = World(lookahead_count=2, max_cache_size=size)
        world.queue.set_content(texts(9))
        for i in range(3):
            caller = asyncio.ensure_future(world.queue.get_audio(i))
            await world.drain()
            assert caller.result().wav == f"p{i}@1.0".encode()
        assert set(world.queue.cached) == kept
        evicted = sum("Evicted audio" in line for line in world.lines)
        assert world.queue.n_evictions == evicted == len(world.engine.started) - len(kept)

    asyncio.run(main())


def test_alignments_are_made_with_the_audio_and_leave_with_it():
    """The alignment of a paragraph is there when its audio is, and is evicted like it."""

    async def align(paragraph, text, speech):
        await asyncio.sleep(0)
        return Alignment([Word(text, 0.0, speech.seconds)])

    async def main():
        world = World(align=align)
        world.queue.set_content(texts(9))
        for i in range(4):
            caller = asyncio.ensure_future(world.queue.get_audio(i))
            await world.drain()
            await caller
            assert world.queue.alignment(i).words[0].text == f"p{i}"
        assert set(world.queue.alignments) == set(world.queue.cached) == {3, 4}
        assert "[SynthesisQueue] 🗑️ Evicted alignment cache for paragraph 2" in world.lines

    asyncio.run(main())


@pytest.mark.parametrize("what", ["nothing", "gc", "clear", "clear+trim"])
def test_what_is_done_after_an_eviction(what):
    """Each value of the knob does what it says, and only once something was evicted."""
    trims = []

    async def main():
        world = World(after_eviction=what, trim=lambda: trims.append(1))
        world.queue.set_content(texts(9))
        for i in range(2):
            caller = asyncio.ensure_future(world.queue.get_audio(i))
            await world.drain()
            await caller
            if i == 0:
                assert set(world.queue.cached) == {0, 1}
                assert not trims
        return set(world.queue.cached)

    assert asyncio.run(main()) == (set() if what.startswith("clear") else {1, 2})
    assert len(trims) == (what == "clear+trim")


def _skip_and_ask_again(cancel_resumes):
    async def main():
        world = World(cancel_resumes=cancel_resumes, lookahead_count=2, max_cache_size=None)
        world.queue.set_content(texts(9))
        callers = [asyncio.ensure_future(world.queue.get_audio(0))]
        await settle()  # 0 is in the engine; 1 and 2 wait
        world.queue.cancel_all()
        callers.append(asyncio.ensure_future(world.queue.get_audio(3)))
        await settle()
        at_once = [text for text, _, _ in world.engine.pending]
        await world.drain()
        assert [c.result().wav for c in callers] == [b"p0@1.0", b"p3@1.0"]
        return at_once, world.engine.started, world.queue.peak_in_flight

    return asyncio.run(main())


def test_cancel_all_of_the_app_lets_every_waiter_in():
    """Every waiter is resumed and the lock counts as free: four in the engine at once."""
    at_once, _, peak = _skip_and_ask_again("all")
    assert at_once == ["p0", "p1", "p2", "p3"]
    assert peak == 4


def test_cancel_all_cured_keeps_the_lock():
    """What was only to be made ahead is dropped, and one is in the engine at a time."""
    at_once, started, peak = _skip_and_ask_again("one")
    assert at_once == ["p0"]
    assert started == ["p0", "p3", "p4", "p5"]
    assert peak == 1


def test_cancel_all_cured_keeps_the_places_of_those_that_are_awaited():
    """A waiter that somebody listens to is neither dropped nor overtaken."""

    async def main():
        world = World(cancel_resumes="one", lookahead_count=1, max_cache_size=None)
        world.queue.set_content(texts(9))
        first = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        second = asyncio.ensure_future(world.queue.get_audio(1))  # waits for a pre-synthesis
        await settle()
        world.queue.cancel_all()
        third = asyncio.ensure_future(world.queue.get_audio(5))
        await world.drain()
        assert world.engine.started[:3] == ["p0", "p1", "p5"]
        assert second.result().wav == b"p1@1.0"
        assert first.done()
        assert third.done()

    asyncio.run(main())


def test_the_lock_closes_again_after_the_apps_fault():
    """When those that were let in are out, one is in the engine at a time as before."""

    async def main():
        world = World(cancel_resumes="all", lookahead_count=3, max_cache_size=None)
        world.queue.set_content(texts(9))
        first = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.queue.cancel_all()
        await world.drain()
        await first
        assert world.queue.peak_in_flight == 4
        world.queue.peak_in_flight = 0
        second = asyncio.ensure_future(world.queue.get_audio(5))
        await world.drain()
        await second
        assert world.queue.peak_in_flight == 1

    asyncio.run(main())


def test_what_was_overtaken_by_a_new_speed_does_not_hold_it_up():
    """With a free permit the new one starts while the old one is in the engine, and only once."""

    async def main():
        world = World(cancel_resumes="one", lookahead_count=0, in_flight=2)
        world.queue.set_content(texts(9))
        callers = [asyncio.ensure_future(world.queue.get_audio(0))]
        await settle()
        world.queue.set_speed(1.5)
        callers.append(asyncio.ensure_future(world.queue.get_audio(0)))
        await settle()
        assert [speed for _, speed, _ in world.engine.pending] == [1.0, 1.5]
        world.engine.finish()  # the old one; the new one is still known to be in progress
        await settle()
        callers.append(asyncio.ensure_future(world.queue.get_audio(0)))
        await world.drain()
        assert {caller.result().wav for caller in callers} == {b"p0@1.5"}
        assert world.engine.started == ["p0", "p0"]

    asyncio.run(main())


def test_an_alignment_of_the_old_speed_is_not_kept():
    """A change while the words are aligned leaves neither audio nor alignment."""

    async def align(paragraph, text, speech):
        await settle()
        return Alignment([Word(speech.wav.decode(), 0.0, 1.0)])

    async def main():
        world = World(align=align, cancel_resumes="one", lookahead_count=0)
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.engine.finish()
        for _ in range(5):
            await asyncio.sleep(0)
        assert world.queue.cached
        assert not caller.done()  # the alignment is under way
        world.queue.set_speed(1.5)
        for _ in range(30):
            await asyncio.sleep(0)
        assert world.queue.alignments == {}
        for _ in range(3):
            await world.drain()
        await caller
        assert world.queue.alignment(0).words[0].text == "p0@1.5"

    asyncio.run(main())


def test_an_error_that_nobody_waits_for_is_silent():
    """Asyncio has nothing to complain about when the caller of a failing synthesis has left."""
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        world = World()
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        caller.cancel()
        await settle()
        world.engine.finish(error=EngineError("no sound"))
        await world.drain()
        del caller  # its cancellation holds on to the job
        gc.collect()

    asyncio.run(main())
    assert complaints == []


def test_a_new_speed_drops_the_cache_and_starts_the_awaited_again():
    """Nobody gets audio of the old speed."""

    async def main():
        world = World(cancel_resumes="one")
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.queue.set_speed(1.5)
        await world.drain()
        assert caller.result().wav == b"p0@1.5"
        assert {s.wav for s in world.queue.cached.values()} == {b"p0@1.5", b"p1@1.5"}
        started = len(world.engine.started)
        world.queue.set_speed(1.5)
        assert len(world.queue.cached) == 2
        assert started == len(world.engine.started)

    asyncio.run(main())


def test_replacing_the_content_answers_the_old_callers_with_none():
    """An old caller must not get the new text's audio under the old number."""

    async def main():
        world = World()
        world.queue.set_content(texts(9))
        old = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.queue.set_content(texts(9, "q"), start=3)
        new = asyncio.ensure_future(world.queue.get_audio(0))
        await world.drain()
        assert old.result() is None
        assert new.result().wav == b"q0@1.0"
        assert all(s.wav.startswith(b"q") for s in world.queue.cached.values())

    asyncio.run(main())


def test_clear_all_leaves_nothing():
    """Stopping empties the caches, and what was in the engine is not kept when it comes out."""

    async def main():
        world = World()
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.queue.clear_all()
        await world.drain()
        await world.queue.idle()
        assert caller.result() is None
        assert world.queue.cached == {}
        assert world.queue.n_tasks == 0
        with pytest.raises(InputError, match="there is no paragraph 0"):
            await world.queue.get_audio(0)

    asyncio.run(main())


def test_a_failing_presynthesis_is_logged_and_tried_again_on_demand():
    """An error ahead of playback does not stop the reading."""

    async def main():
        world = World()
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.engine.finish()
        await settle()
        assert caller.done()
        waiting = asyncio.ensure_future(world.queue.get_audio(1))
        await settle()
        world.time += 2.5
        world.engine.finish(error=EngineError("no sound"))
        await world.drain()
        assert waiting.result().wav == b"p1@1.0"
        assert (
            "[SynthesisQueue] ❌ Pre-synthesis failed for paragraph 1 after 2.50s: no sound"
            in world.lines
        )

    asyncio.run(main())


def test_a_failing_synthesis_on_demand_is_raised_and_the_queue_lives_on():
    """The caller learns of it, and the next one is served."""

    async def main():
        world = World()
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.engine.finish(error=EngineError("no sound"))
        await world.drain()
        with pytest.raises(EngineError, match="no sound"):
            caller.result()
        again = asyncio.ensure_future(world.queue.get_audio(0))
        await world.drain()
        assert again.result().wav == b"p0@1.0"

    asyncio.run(main())


def test_a_cancelled_task_keeps_the_engine_locked_until_it_is_out():
    """A thread cannot be stopped, so its permit is not given away before it has ended."""

    async def main():
        world = World(lookahead_count=0, max_cache_size=None)
        world.queue.set_content(texts(9))
        first = asyncio.ensure_future(world.queue.get_audio(0))
        second = asyncio.ensure_future(world.queue.get_audio(1))
        await settle()
        world.queue._jobs[0].task.cancel()
        await settle()
        assert world.engine.started == ["p0"]
        world.engine.finish()
        await world.drain()
        assert "p1" in world.engine.started
        assert first.result().wav == b"p0@1.0"  # tried again
        assert second.result().wav == b"p1@1.0"
        assert world.engine.peak == 1

    asyncio.run(main())


def test_a_cancelled_caller_does_not_stop_the_synthesis():
    """What was begun for a caller that left is cached."""

    async def main():
        world = World()
        world.queue.set_content(texts(9))
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        caller.cancel()
        await world.drain()
        assert caller.cancelled()
        assert 0 in world.queue.cached

    asyncio.run(main())


def test_the_lines_are_the_apps():
    """The whole log of two paragraphs, with the clock and the memory moved by hand."""

    async def align(paragraph, text, speech):
        world.time += 0.5
        return Alignment([Word(text, 0.0, speech.seconds)])

    async def main():
        nonlocal world
        world = World(align=align)
        world.queue.set_content(["one", "two"])
        caller = asyncio.ensure_future(world.queue.get_audio(0))
        await settle()
        world.time += 3.214
        world.resident += 12 * MIB
        world.engine.finish()
        await settle()
        world.time += 1.0
        await world.drain()
        await caller
        await world.queue.get_audio(1)
        return world.lines

    world = None
    assert asyncio.run(main()) == [
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


class Schedule(World):
    """A world in which operations come in any order, and every answer is judged on arrival."""

    def __init__(self, **knobs):
        super().__init__(**knobs)
        self.knobs = Knobs(**knobs)
        self.content = self.n_contents = 0
        self.speed = 1.0
        self.has_cancelled = False
        self.callers = []
        self.wrong = []
        self.queue.set_content(texts(6, "c0-"))

    async def ask(self, i, content):
        """Right is: the caller's content at the speed that holds now, None for a gone content."""
        speech = await self.queue.get_audio(i)
        right = f"c{content}-{i}@{self.speed}".encode()
        if (speech is None) != (content != self.content) or (speech and speech.wav != right):
            self.wrong.append((i, content, speech))

    async def get(self, k):
        """Ask, and have asked before anything else happens."""
        if self.content is not None:
            self.callers.append(asyncio.ensure_future(self.ask(k, self.content)))
            await asyncio.sleep(0)

    async def finish(self, k):
        """Let a synthesis end."""
        if k < len(self.engine.pending):
            self.engine.finish(k)

    async def fail(self, k):
        """Let a synthesis end badly."""
        if k < len(self.engine.pending):
            self.engine.finish(k, EngineError("planted"))

    async def leave(self, k):
        """Cancel a caller."""
        if k < len(self.callers):
            self.callers[k].cancel()

    async def spin(self, k):
        """Let the loop turn so many times."""
        for _ in range(k):
            await asyncio.sleep(0)

    async def change_speed(self, k):
        """Set one of two speeds."""
        speed = (1.0, 1.5)[k % 2]
        self.has_cancelled |= speed != self.speed
        self.speed = speed
        self.queue.set_speed(speed)

    async def replace(self, _k):
        """Set a content that was never there before."""
        self.content = self.n_contents = self.n_contents + 1
        self.has_cancelled = True
        self.queue.set_content(texts(6, f"c{self.content}-"))

    async def clear(self, _k):
        """Clear all."""
        self.content, self.has_cancelled = None, True
        self.queue.clear_all()

    async def cancel(self, _k):
        """Cancel all."""
        self.has_cancelled = True
        self.queue.cancel_all()

    def check_bounds(self):
        """Hold the cache's size, and the lock unless the app's fault has opened it."""
        if self.knobs.max_cache_size is not None:
            assert len(self.queue.cached) <= self.knobs.max_cache_size
        if self.knobs.cancel_resumes == "one" or not self.has_cancelled:
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
        last = asyncio.ensure_future(self.queue.get_audio(2))
        await self.drain()
        assert last.result().wav == f"last-2@{self.speed}".encode()
        await self.queue.idle()
        assert self.queue.n_tasks == 0


OPERATIONS = st.tuples(
    # Asking and finishing twice as often as the others.
    st.sampled_from(
        ["get", "get", "finish", "finish", "fail", "leave", "spin", "change_speed", "replace"]
    )
    | st.sampled_from(["clear", "cancel"]),
    st.integers(0, 5),
)


@settings(max_examples=200, deadline=None)
@given(
    operations=st.lists(OPERATIONS, max_size=40),
    in_flight=st.integers(1, 3),
    lookahead_count=st.integers(0, 3),
    max_cache_size=st.sampled_from([0, 1, 2, None]),
    cancel_resumes=st.sampled_from(["all", "one"]),
    after_eviction=st.sampled_from(["nothing", "clear"]),
)
def test_any_interleaving(operations, **knobs):
    """Whatever happens in whatever order: right audio, bounds kept, nobody waits forever."""

    async def main():
        world = Schedule(**knobs)
        for name, k in operations:
            await getattr(world, name)(k)
            world.check_bounds()
        await world.check_end()

    asyncio.run(main())


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 3),
    operations=st.lists(st.tuples(st.sampled_from("acr"), st.integers(0, 9)), max_size=40),
)
def test_permits_are_first_come_first_served(n, operations):
    """Under cancellation at any moment: never more than n, in order, none lost."""

    async def main():
        permits = Permits(n)
        asked, held, granted, tasks = 0, [], [], {}

        async def take(number):
            await permits.acquire()
            granted.append(number)
            held.append(number)

        for name, k in operations:
            if name == "a":
                tasks[asked] = asyncio.ensure_future(take(asked))
                asked += 1
            elif name == "c" and k in tasks:
                tasks[k].cancel()
            elif name == "r" and held:
                held.pop(0)
                permits.release()
            if name == "a" or k % 2:  # whoever asks has asked before the next one does
                await settle()
            assert len(held) <= n
        for _ in range(asked + 1):
            await settle()
            if held:
                held.pop(0)
                permits.release()
        assert all(task.done() for task in tasks.values())
        assert granted == sorted(granted)
        assert permits._taken == 0

    asyncio.run(main())
