"""The app's synthesis queue: audio ahead of playback, a window of it kept, one engine.

Everything here runs in one event loop's thread; only `synthesize` and `align`, which the caller
gives, may use others. The names and the order of events are the app's.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from listen2lab.errors import InputError
from listen2lab.pipeline.log import BREAKDOWN_EVERY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from listen2lab.pipeline.alignment import Alignment
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.pipeline.log import AppLog
    from listen2lab.pipeline.synthesis import Speech

    Synthesize = Callable[[str], Awaitable[Speech]]
    Align = Callable[[int, str, Speech], Awaitable[Alignment]]

__all__ = ["Permits", "SynthesisQueue"]


class Permits:
    """The lock around the engine: n permits (the app's flag is one), first come first served.

    A release hands its permit to the longest waiter; it is never free in between, so nobody can
    overtake. asyncio's own semaphore cannot be used: `resume_all`, the app's fault, has no
    counterpart in it.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._taken = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Take a permit, waiting for one if all are taken."""
        if self._taken < self._n:
            self._taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def release(self) -> None:
        """Hand the permit to the longest waiter, or free it if nobody waits."""
        if self._waiters:
            self._waiters.popleft().set_result(None)
        else:  # after resume_all more releases come than permits were counted
            self._taken = max(0, self._taken - 1)

    def resume_all(self) -> None:
        """Resume every waiter and count every permit as free: the app's fault.

        Those resumed run beside the holders, and the next to come finds the lock open, too.
        """
        while self._waiters:
            self._waiters.popleft().set_result(None)
        self._taken = 0


@dataclass(eq=False)
class _Job:
    """A synthesis that was asked for: by somebody, or by the look-ahead."""

    paragraph: int
    text: str
    epoch: int
    is_on_demand: bool
    task: asyncio.Task[Speech | None] = field(init=False)


class SynthesisQueue:
    """Paragraphs in, audio out: the one that is asked for, and those after it in advance.

    `synthesize` makes speech of a text, `align` an alignment of a paragraph's number, text and
    speech; `trim` gives the allocator's free memory back, for ``after_eviction="clear+trim"``.
    `peak_in_flight` may be set back to 0; `n_evictions` counts paragraphs' audio.
    """

    def __init__(
        self,
        synthesize: Synthesize,
        log: AppLog,
        knobs: Knobs,
        *,
        align: Align | None = None,
        trim: Callable[[], object] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        if knobs.in_flight < 1:
            raise InputError("knob 'in_flight' is 0: nothing could ever be synthesized; use 1")
        self._synthesize = synthesize
        self._align = align
        self._log = log
        self._knobs = knobs
        self._trim = trim
        self._now = now
        self._permits = Permits(knobs.in_flight)
        self._paragraphs: Sequence[str] = ()
        self._current = 0
        self._content = 0  # counts what was put in: an answer for older content is none
        self._epoch = 0  # counts content and voice: audio of an older one is not kept
        self.cached: dict[int, Speech] = {}
        self.alignments: dict[int, Alignment] = {}
        self._jobs: dict[int, _Job] = {}  # those that get_audio may wait for
        self._tasks: set[asyncio.Task[Speech | None]] = set()  # these, and the forgotten ones
        self._n_in_engine = 0
        self.peak_in_flight = 0
        self.n_evictions = 0

    # What it reads

    def set_content(self, paragraphs: Sequence[str], start: int = 0) -> None:
        """Replace what is read; whatever was under way for the old content comes to nothing."""
        self.clear_all()
        self._paragraphs = paragraphs
        self._current = start

    def drop_audio(self) -> None:
        """Drop what is cached and under way, and keep the content: the voice changed."""
        self._epoch += 1
        self.cancel_all()
        self.cached.clear()
        self.alignments.clear()

    def clear_all(self) -> None:
        """Drop content and caches; a `get_audio` that waits returns None."""
        self._content += 1
        self._paragraphs = ()
        self.drop_audio()

    def cancel_all(self) -> None:
        """Give up what was to be synthesized in advance.

        The engine cannot be interrupted: what is in it runs to its end. As in the app, *every*
        waiter is let into the engine at once and the lock counts as free, so that several
        syntheses run together.
        """
        self._jobs.clear()
        self._permits.resume_all()

    # What it gives

    async def get_audio(self, paragraph: int) -> Speech | None:
        """Return a paragraph's audio, and begin the ones after it; None when content was replaced.

        Cached audio comes at once. A pre-synthesis in progress is waited for rather than done
        twice; if it fails, the paragraph is tried again on demand, and what that raises is raised
        here. A cancelled caller does not stop the synthesis: its result is cached.
        """
        if not 0 <= paragraph < len(self._paragraphs):
            raise InputError(
                f"there is no paragraph {paragraph}; the text has {len(self._paragraphs)}, from 0"
            )
        content = self._content
        self._current = paragraph
        if paragraph % BREAKDOWN_EVERY == 0:
            audio = [sys.getsizeof(each.wav) for each in self.cached.values()]
            words = [each.n_bytes for each in self.alignments.values()]
            self._log.breakdown(audio, words, self._n_in_engine, len(self._tasks))
        looked_ahead = -1  # in which epoch
        while True:
            speech = self.cached.get(paragraph)
            job = None
            if speech is None:
                job = self._jobs.get(paragraph) or self._start(paragraph, is_on_demand=True)
            if looked_ahead != self._epoch:
                self._look_ahead()  # after the start: the current paragraph comes first
                looked_ahead = self._epoch
            if job is not None:
                # wait, unlike shield, neither cancels the job with its caller nor raises here.
                await asyncio.wait([job.task])
                if content != self._content:
                    return None
                if job.epoch != self._epoch:
                    continue  # made with another voice
                speech = job.task.result()
            if speech is not None:
                return speech

    async def idle(self) -> None:
        """Wait until nothing runs or waits, whatever comes of it."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # How it works

    def _look_ahead(self) -> None:
        first = self._current + 1
        last = min(self._current + self._knobs.lookahead_count, len(self._paragraphs) - 1)
        for paragraph in range(first, last + 1):
            if paragraph in self.cached:
                self._log.line("pre-skipped", n=paragraph, why="cached")
            elif paragraph in self._jobs:
                self._log.line("pre-skipped", n=paragraph, why="in progress")
            else:
                self._start(paragraph, is_on_demand=False)

    def _start(self, paragraph: int, *, is_on_demand: bool) -> _Job:
        job = _Job(paragraph, self._paragraphs[paragraph], self._epoch, is_on_demand)
        self._jobs[paragraph] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(job.task)
        job.task.add_done_callback(self._tasks.discard)
        job.task.add_done_callback(_retrieve)
        return job

    async def _run(self, job: _Job) -> Speech | None:
        """Take a job through the engine; None when it failed in advance."""
        try:
            await self._permits.acquire()
            try:
                work = self._on_demand if job.is_on_demand else self._in_advance
                speech = await work(job)
            finally:
                self._permits.release()
        finally:
            if self._jobs.get(job.paragraph) is job:
                del self._jobs[job.paragraph]
        return speech

    async def _on_demand(self, job: _Job) -> Speech:
        before = self._log.resident()
        self._log.line("on-demand-started", n=job.paragraph)
        began = self._now()
        speech = await self._through_engine(job)
        synthesis_s = self._now() - began
        self._log.on_demand_done(job.paragraph, synthesis_s, before)
        began = self._now()
        await self._keep(job, speech)
        alignment_s = self._now() - began
        self._log.line(
            "total-time",
            n=job.paragraph,
            total_s=synthesis_s + alignment_s,
            synthesis_s=synthesis_s,
            alignment_s=alignment_s,
        )
        return speech

    async def _in_advance(self, job: _Job) -> Speech | None:
        self._log.line("pre-started", n=job.paragraph)
        began = self._now()
        try:
            speech = await self._through_engine(job)
            self._log.line("pre-done", n=job.paragraph, seconds=self._now() - began)
            await self._keep(job, speech)
        except Exception as error:  # noqa: BLE001 - reading goes on; on demand it will be raised
            seconds = self._now() - began
            self._log.line("pre-failed", n=job.paragraph, seconds=seconds, error=error)
            return None
        return speech

    async def _through_engine(self, job: _Job) -> Speech:
        self._n_in_engine += 1
        self.peak_in_flight = max(self.peak_in_flight, self._n_in_engine)
        try:
            speech = await self._synthesize(job.text)
        finally:
            self._n_in_engine -= 1
        self._log.line("synthesized", samples=speech.n_samples, rate=speech.sample_rate)
        return speech

    async def _keep(self, job: _Job, speech: Speech) -> None:
        """Cache, align, evict: what follows each synthesis, before the next may begin."""
        if job.epoch == self._epoch:
            self.cached[job.paragraph] = speech
            if self._align is not None:
                alignment = await self._align(job.paragraph, job.text, speech)
                words, audio_s = len(alignment.words), speech.seconds
                self._log.line("aligned", n=job.paragraph, words=words, audio_s=audio_s)
                if job.epoch == self._epoch:
                    self.alignments[job.paragraph] = alignment
        self._evict()

    def _evict(self) -> None:
        size = self._knobs.max_cache_size
        if size is None:
            return
        window = range(self._current, self._current + size)
        outside = [paragraph for paragraph in self.cached if paragraph not in window]
        for paragraph in outside:
            del self.cached[paragraph]
            self._log.line("evicted-audio", n=paragraph)
        for paragraph in [key for key in self.alignments if key not in window]:
            del self.alignments[paragraph]
            self._log.line("evicted-alignment", n=paragraph)
        self.n_evictions += len(outside)
        if outside:
            self._after_eviction()

    def _after_eviction(self) -> None:
        what = self._knobs.after_eviction
        if what == "gc":
            gc.collect()
        elif what != "nothing":
            self.cached.clear()
            self.alignments.clear()
            if what == "clear+trim" and self._trim is not None:
                self._trim()


def _retrieve(task: asyncio.Task[Speech | None]) -> None:
    """Look at what ended a task, so that asyncio does not complain when nobody waited for it."""
    if not task.cancelled():  # as a loop that ends does with what is left
        task.exception()
