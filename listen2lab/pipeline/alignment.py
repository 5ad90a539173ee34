"""Words and when they sound: the result, and the app's service that keeps the latest of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import OrderedDict
from itertools import accumulate
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from typing import Protocol

    from listen2lab.pipeline.log import AppLog
    from listen2lab.pipeline.synthesis import Speech

    class Aligner(Protocol):
        """What finds the words of a text in its speech."""

        @property
        def trellis_bytes(self) -> int:
            """What a trellis takes now; 0 for aligners without one."""

        peak_trellis_bytes: int
        """The largest one since it was set back to 0."""

        def align(self, text: str, speech: Speech) -> Alignment:
            """Return the words with their times; runs in a thread of its own."""

        def close(self) -> None:
            """Drop the model."""


__all__ = ["Alignment", "AlignmentService", "LateAligner", "Word", "match_words", "place_words"]


class Word(NamedTuple):
    """A word of the text, and when it sounds."""

    text: str
    start_s: float
    end_s: float


class Alignment:
    """The words of a paragraph in time.

    `is_estimated`: nothing of the text was found in the speech. `n_bytes` (objects, strings,
    numbers) is counted once, here, so that asking a large cache for its size costs little.
    """

    __slots__ = ("is_estimated", "n_bytes", "words")

    def __init__(self, words: Iterable[Word], *, is_estimated: bool = False) -> None:
        self.words = tuple(words)
        self.is_estimated = is_estimated
        self.n_bytes = sys.getsizeof(self) + sys.getsizeof(self.words)
        for word in self.words:
            self.n_bytes += sys.getsizeof(word) + sum(map(sys.getsizeof, word))


class AlignmentService:
    """Alignments, the latest of them in memory under ``"<paragraph>:<text>"`` as in the app.

    The key does not hold the audio. A text that is synthesized again, with other durations, gets
    the times of the first time; that is the app's behaviour. `max_size`: None keeps all, 0 none.
    """

    def __init__(
        self,
        aligner: Aligner,
        log: AppLog,
        *,
        max_size: int | None = 100,
        executor: Executor | None = None,
    ) -> None:
        self._aligner = aligner
        self._log = log
        self._max_size = max_size
        self._executor = executor
        self.kept: OrderedDict[str, Alignment] = OrderedDict()  # the least recently used first
        self.hits = 0
        self.misses = 0

    @property
    def key_bytes(self) -> int:
        """Bytes of the keys; each holds a paragraph's whole text."""
        return sum(map(sys.getsizeof, self.kept)) + sys.getsizeof(self.kept)

    async def align(self, paragraph: int, text: str, speech: Speech) -> Alignment:
        """Return a paragraph's alignment: kept, or made now."""
        key = f"{paragraph}:{text}"
        kept = self.kept.get(key)
        if kept is not None:
            self.kept.move_to_end(key)
            self.hits += 1
            percent = 100 * self.hits / (self.hits + self.misses)
            self._log.line(
                "alignment-hit", n=paragraph, hits=self.hits, misses=self.misses, percent=percent
            )
            return kept
        self.misses += 1
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._executor, self._aligner.align, text, speech)
        self.kept[key] = made
        while self._max_size is not None and len(self.kept) > self._max_size:
            self.kept.popitem(last=False)
        return made


class LateAligner:
    """An aligner that is loaded when needed, and kept from then on or dropped after each use."""

    def __init__(self, load: Callable[[], Aligner], *, keeps: bool) -> None:
        self._load = load
        self._keeps = keeps
        self._kept: Aligner | None = None
        self._lock = threading.Lock()
        self.peak_trellis_bytes = 0

    @property
    def trellis_bytes(self) -> int:
        """What a kept aligner's trellis takes now."""
        return 0 if self._kept is None else self._kept.trellis_bytes

    def align(self, text: str, speech: Speech) -> Alignment:
        """Load what is not there, and align; see `Aligner`."""
        if self._keeps:
            with self._lock:
                aligner = self._kept = self._kept or self._load()
        else:
            aligner = self._load()
        try:
            return aligner.align(text, speech)
        finally:
            self.peak_trellis_bytes = max(self.peak_trellis_bytes, aligner.peak_trellis_bytes)
            aligner.peak_trellis_bytes = 0
            if not self._keeps:
                aligner.close()

    def close(self) -> None:
        """Drop the model, if one is there."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def match_words(
    text: str, heard: Sequence[tuple[str, float, float]], duration_s: float
) -> Alignment:
    """Find a text's words in what a recognizer heard, which may have misread or missed some.

    What was heard is characters with their begin and end in seconds. They are matched in blocks,
    the longest first (Ratcliff and Obershelp's method, as difflib has it).
    """
    import difflib  # only where words are aligned

    spoken = [_plain(character) for word in text.split() for character in word]
    found = [(_plain(c), start, end) for c, start, end in heard if not c.isspace()]
    matcher = difflib.SequenceMatcher(None, spoken, [c for c, _, _ in found], autojunk=False)
    times = {
        block.a + k: found[block.b + k][1:]
        for block in matcher.get_matching_blocks()
        for k in range(block.size)
    }
    return place_words(text, times, duration_s)


def place_words(
    text: str, times: Mapping[int, tuple[float, float]], duration_s: float
) -> Alignment:
    """Give each word the time from its first character to its last.

    `times` holds begin and end in seconds of the characters that are known, in order and counted
    without spaces; the others are interpolated. Beginnings do not decrease, and all times lie
    within the speech.
    """
    import numpy as np  # not before the engine

    words = text.split()
    n_characters = sum(map(len, words))
    at = [-1, *times, n_characters]
    places = np.arange(n_characters)
    begin = np.interp(places, at, [0.0, *(start for start, _ in times.values()), duration_s])
    end = np.interp(places, at, [0.0, *(end for _, end in times.values()), duration_s])
    begin = np.clip(begin, 0.0, duration_s)
    end = np.clip(end, begin, duration_s)
    behind = [*accumulate(map(len, words))]
    placed = [
        Word(word, float(begin[last - len(word)]), float(end[last - 1]))
        for word, last in zip(words, behind, strict=True)
    ]
    return Alignment(placed, is_estimated=not times)


def _plain(character: str) -> str:
    """Return a character without case and accents."""
    import unicodedata

    return unicodedata.normalize("NFD", character.casefold())[:1]
