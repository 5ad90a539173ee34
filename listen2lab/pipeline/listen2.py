"""The workload ``listen2``: the reading pipeline, one paragraph a step."""

from __future__ import annotations

import asyncio
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from listen2lab.errors import EngineError, InputError, UnknownNameError
from listen2lab.pipeline.alignment import AlignmentService, LateAligner
from listen2lab.pipeline.log import AppLog
from listen2lab.pipeline.player import AudioPlayer, ReadingSession
from listen2lab.pipeline.queue import SynthesisQueue
from listen2lab.pipeline.session_options import ignored_options, loaded_libraries, session_options
from listen2lab.pipeline.sessions import Sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listen2lab.models.voices import RecognizerFiles, VoiceFiles
    from listen2lab.pipeline.alignment import Aligner, Alignment
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["Listen2"]

_SKIP_EVERY = 3
_SKIP_AT = 0.5  # of the paragraph's audio

_MANY_THREADS = 32
# Where the app's fault lets every waiter in, the pool must not be what holds them back. Elsewhere
# there are as many threads as permits, so that their number is the same in every run.


class Listen2:
    """The app's reading pipeline as a workload.

    Making one loads the code and libraries, `setup` the models, so that a run can tell what each
    of them weighs. Voice and recognizer were checked, because the engine would end the process on
    bad ones; there may be no recognizer where `knobs.alignment` is off. Steps beyond the last
    paragraph read the book again. For `log`, `resident` and `account` see `AppLog`.
    """

    def __init__(
        self,
        paragraphs: Sequence[str],
        *,
        voice: VoiceFiles,
        recognizer: RecognizerFiles | None,
        knobs: Knobs,
        log: Callable[[str], None],
        resident: Callable[[], int],
        scratch: str,
        account: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        import numpy  # noqa: F401, ICN001 - the libraries' weight, apart from the models'
        import sherpa_onnx  # noqa: F401

        from listen2lab.models.voices import require_unchanged  # as what needs it

        if not paragraphs:
            raise InputError("there is no paragraph to read; give a text with at least one")
        self._recognizer: RecognizerFiles | None = None
        if knobs.alignment != "off":
            if recognizer is None:
                raise InputError(
                    f"knob 'alignment' is {knobs.alignment!r}, which needs a recognizer; "
                    "give its folder, or set the knob to 'off'"
                )
            require_unchanged(recognizer)
            self._recognizer = recognizer
        if knobs.alignment == "forced":
            import onnxruntime  # noqa: F401
        self._paragraphs = _shortened(paragraphs, knobs)
        self._knobs = knobs
        self._log = AppLog(log, resident, account)
        require_unchanged(voice)
        if voice.espeak_voice:  # the engine here may be of another version than the parent's
            from listen2lab.models.phonemes import choose_route  # real voices only

            route, data_dir = choose_route(voice.folder, None, needs_route=True)
            voice = voice._replace(route=route, data_dir=data_dir)
        self._unchecked = _check_options(knobs)
        self._sessions = Sessions(voice, knobs, str(scratch))
        self._aligner: Aligner | None = None
        self._service: AlignmentService | None = None
        self._lengths = _SeenLengths()
        self._made: list[tuple[int, ...]] = []  # stretches of this step's syntheses
        self._n_words = 0
        self._sample_rate = 1
        self._sized_step = -1
        self._size_s = 0.0

    def setup(self) -> None:
        """Start the loop, build the engine's session, load the aligner."""
        self._loop = asyncio.new_event_loop()
        n_threads = _MANY_THREADS if self._knobs.reading == "skips" else self._knobs.in_flight
        self._executor = ThreadPoolExecutor(n_threads, thread_name_prefix="engine")
        self._sessions.create()
        self._aligner = self._make_aligner()
        if self._aligner is not None and self._knobs.alignment != "loaded":
            size, executor = self._knobs.service_cache_size, self._executor
            self._service = AlignmentService(
                self._aligner, self._log, max_size=size, executor=executor
            )
        align = None if self._service is None else self._align
        self._queue = SynthesisQueue(
            self._synthesize, self._log, self._knobs, align=align, trim=_trim
        )
        self._player = AudioPlayer(retains=self._knobs.player == "retains")
        self._reading = ReadingSession(self._queue, self._player)

    def step(self, i: int) -> dict[str, Any]:
        """Play paragraph ``i``, and wait until what it began ahead of playback is done.

        `paragraph`, `audio_s` (of what was played), `characters`, `longest_s` (the longest stretch
        that the engine made in one go in this step), `made_s`, `syntheses`, `evictions`,
        `in_flight_peak`, `new_lengths` (stretches of a length that the engine had not made before),
        `sessions_created`, `is_skipped`, `words_aligned`, `trellis_bytes` (the largest trellis of
        this step), `cache_entries` and `service_entries` (paragraphs in the queue's cache,
        alignments in the service's), and `cache_capacity` and `service_capacity` (-1: no limit; 0:
        no such cache); of what was played: `waited_s` until its audio was there, `stretches` that
        it was made in, and `audio_crc`, which tells its samples from others. Where it could not be
        checked that the engine takes the condition's session options, `unchecked_options` names
        them.
        """
        return self._loop.run_until_complete(self._step(i))

    def size(self, i: int) -> float | None:
        """Return the seconds of the longest stretch made in step ``i``; known after the step."""
        return self._size_s if i == self._sized_step else None

    def components(self) -> dict[str, int]:
        """Return the bytes that the pipeline knows it holds, by `sys.getsizeof` and once each.

        `audio_cache` (WAV files in the queue), `player` (what is scheduled and not in the cache as
        well), `alignments` (in the queue), `service_cache` (keys, and alignments not in the queue
        as well), `trellis` (0 between steps: it lives as long as an alignment is made).
        """
        audio = {id(each.wav): sys.getsizeof(each.wav) for each in self._queue.cached.values()}
        player = {id(each): sys.getsizeof(each) for each in self._player.scheduled}
        words = {id(each): each.n_bytes for each in self._queue.alignments.values()}
        kept: dict[int, int] = {}
        keys = 0
        if self._service is not None:
            kept = {id(each): each.n_bytes for each in self._service.kept.values()}
            keys = self._service.key_bytes
        return {
            "audio_cache": sum(audio.values()),
            "player": sum(size for key, size in player.items() if key not in audio),
            "alignments": sum(words.values()),
            "service_cache": keys + sum(size for key, size in kept.items() if key not in words),
            "trellis": 0 if self._aligner is None else self._aligner.trellis_bytes,
        }

    def held_audio(self) -> list[bytes]:
        """Return the WAV files in the queue's cache, the current paragraph's first."""
        return [each.wav for _, each in sorted(self._queue.cached.items())]

    def enter(self, phase: str) -> None:
        """Do what an experiment asks for after its steps.

        ``stopped`` (as the app's ``stop()``: the queue is cleared), ``session-dropped`` or
        ``created-again``.
        """
        phases = {
            "stopped": lambda: self._loop.run_until_complete(self._stop()),
            "session-dropped": self._sessions.drop,
            "created-again": self._sessions.create,
        }
        if phase not in phases:
            raise UnknownNameError("phase", phase, phases)
        phases[phase]()

    def teardown(self) -> None:
        """Drop everything: what is cached, sessions, models, threads, loop."""
        self._loop.run_until_complete(self._stop())
        self._player.scheduled.clear()
        self._sessions.drop()
        if self._aligner is not None:
            self._aligner.close()
        self._executor.shutdown()
        self._loop.close()
        self._aligner = self._service = None
        del self._queue, self._player, self._reading, self._executor, self._loop

    def _make_aligner(self) -> Aligner | None:
        files = self._recognizer
        if files is None:
            return None
        kind: Callable[[RecognizerFiles], Aligner]
        if self._knobs.alignment == "forced":
            from listen2lab.pipeline.forced import ForcedAligner  # its own weight

            kind = ForcedAligner
        else:
            from listen2lab.pipeline.recognizer import RecognizerAligner

            kind = RecognizerAligner
        when = self._knobs.recognizer_loaded
        if when == "at-setup":
            return kind(files)
        return LateAligner(lambda: kind(files), keeps=when == "at-first-use")

    async def _synthesize(self, text: str) -> Speech:
        loop = asyncio.get_running_loop()
        speech = await loop.run_in_executor(self._executor, self._sessions.synthesize, text)
        self._made.append(speech.stretches)
        self._sample_rate = speech.sample_rate
        return speech

    async def _align(self, paragraph: int, text: str, speech: Speech) -> Alignment:
        assert self._service is not None
        alignment = await self._service.align(paragraph, text, speech)
        self._n_words += len(alignment.words)
        return alignment

    async def _stop(self) -> None:
        self._reading.stop()
        await self._queue.idle()

    async def _step(self, i: int) -> dict[str, Any]:
        paragraph = i % len(self._paragraphs)
        created, evictions = self._sessions.n_created, self._queue.n_evictions
        every = self._knobs.voice_change_every
        if every and i and i % every == 0:
            self._queue.drop_audio()
            self._sessions.change_voice()
        if not self._reading.is_open or self._reading.current != paragraph:
            self._reading.open(self._paragraphs, paragraph)
        self._queue.peak_in_flight = 0
        self._made.clear()
        self._n_words = 0
        is_skipped = self._knobs.reading == "skips" and i % _SKIP_EVERY == _SKIP_EVERY - 1
        asked = time.perf_counter()
        try:
            speech = await self._reading.play_one(skip_at=_SKIP_AT if is_skipped else None)
            waited_s = time.perf_counter() - asked
        finally:
            await self._queue.idle()
        assert speech is not None  # nothing replaces the book during a step
        lengths = [n for stretches in self._made for n in stretches]
        self._sized_step = i
        self._size_s = max(lengths, default=0) / self._sample_rate
        facts: dict[str, Any] = {
            "paragraph": paragraph,
            "audio_s": round(speech.seconds, 3),
            "characters": len(self._paragraphs[paragraph]),
            "longest_s": round(self._size_s, 3),
            "made_s": round(sum(lengths) / self._sample_rate, 3),
            "syntheses": len(self._made),
            "evictions": self._queue.n_evictions - evictions,
            "in_flight_peak": self._queue.peak_in_flight,
            "new_lengths": sum(map(self._lengths.add, lengths)),
            "sessions_created": self._sessions.n_created - created,
            "is_skipped": is_skipped,
            "waited_s": round(waited_s, 4),
            "stretches": len(speech.stretches),
            "audio_crc": zlib.crc32(speech.wav),
            "words_aligned": self._n_words,
            "trellis_bytes": self._take_peak_trellis(),
            "cache_entries": len(self._queue.cached),
            "cache_capacity": _limit(self._knobs.max_cache_size),
            "service_entries": 0 if self._service is None else len(self._service.kept),
            "service_capacity": 0
            if self._service is None
            else _limit(self._knobs.service_cache_size),
        }
        if self._unchecked:
            facts["unchecked_options"] = self._unchecked
        return facts

    def _take_peak_trellis(self) -> int:
        if self._aligner is None:
            return 0
        peak = self._aligner.peak_trellis_bytes
        self._aligner.peak_trellis_bytes = 0
        return peak


class _SeenLengths:
    """Lengths made so far, each a new input shape to the engine, in constant memory.

    A set would grow with the run, and be measured. One bit for each multiple of 256 samples, which
    is a Piper voice's hop: 64 KiB for all lengths up to 1.6 hours.
    """

    _BITS = 1 << 19
    _HOP = 256

    def __init__(self) -> None:
        self._seen = bytearray(self._BITS // 8)

    def add(self, n_samples: int) -> bool:
        """Note a length; True when it is new."""
        bit = n_samples // self._HOP % self._BITS
        is_new = not self._seen[bit // 8] & 1 << bit % 8
        self._seen[bit // 8] |= 1 << bit % 8
        return is_new


def _check_options(knobs: Knobs) -> list[str]:
    """Return the session options that could not be checked; one that is ignored is an error."""
    options = session_options(knobs)
    found = ignored_options(options, loaded_libraries()) if options else {}
    ignored = [option for option, code in found.items() if code != "option-unchecked"]
    if ignored:
        raise EngineError(
            f"the engine at hand ignores the session options {', '.join(ignored)}: the condition "
            "would not be what it is called, and nothing was run; sherpa-onnx passes options on "
            "from 1.12.39, and entries must be ones that its ONNX Runtime knows"
        )
    return list(found)


def _limit(size: int | None) -> int:
    return -1 if size is None else size


def _shortened(paragraphs: Sequence[str], knobs: Knobs) -> tuple[str, ...]:
    """Shorten sentences where the knob asks for it."""
    if knobs.longest_sentence_s is None:
        return tuple(paragraphs)
    from listen2lab.pipeline.synthesis import CHARACTERS_PER_SECOND  # a knob's
    from listen2lab.texts.sentences import shorten

    limit = int(knobs.longest_sentence_s * CHARACTERS_PER_SECOND)
    return tuple(shorten(text, limit) for text in paragraphs)


def _trim() -> None:
    """Ask glibc to give free pages back; elsewhere nothing happens."""
    import ctypes  # only for one level of one knob

    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(ctypes.c_size_t(0))
