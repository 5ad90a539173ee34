"""The engine sessions of a reading: one or several, recreated as the knobs say."""

from __future__ import annotations

import threading

from listen2lab.errors import EngineError
from listen2lab.pipeline.synthesis import Synthesizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from listen2lab.models.voices import VoiceFiles
    from listen2lab.pipeline.knobs import Knobs
    from listen2lab.pipeline.synthesis import Speech

__all__ = ["Sessions"]


class _Slot:
    """A synthesizer, and how many threads are in it."""

    __slots__ = ("n_users", "synthesizer")

    def __init__(self, synthesizer: Synthesizer) -> None:
        self.synthesizer = synthesizer
        self.n_users = 0


class Sessions:
    """All engine sessions of a reading; `n_created` counts those built so far."""

    def __init__(self, voice: VoiceFiles, knobs: Knobs, scratch: str) -> None:
        self._voice = voice
        self._knobs = knobs
        self._scratch = scratch
        self._n_slots = knobs.in_flight if knobs.sessions == "each" else 1
        self._slots: list[_Slot] = []
        self._lock = threading.Lock()
        self.n_created = 0

    def create(self) -> None:
        """Build the sessions, unless they are there."""
        with self._lock:
            if not self._slots:
                self._slots = self._build()

    def drop(self) -> None:
        """Drop every session. One that a thread is still in goes when the thread leaves it."""
        with self._lock:
            _cleanup(self._slots)
            self._slots = []

    def change_voice(self) -> None:
        """Put new sessions in place of the old.

        As the app does it, the new provider is built before the old one is gone, so that twice
        the sessions are there for a moment.
        """
        with self._lock:
            old, self._slots = self._slots, self._build()
            _cleanup(old)

    def synthesize(self, text: str) -> Speech:
        """Make speech of a text in the session with the fewest threads in it.

        Every `session_every` texts of a session, and after a stretch above `recreate_after_s`, it
        is dropped and built anew, as soon as nobody is in it.
        """
        slot = self._enter()
        try:
            return slot.synthesizer.synthesize(text)
        finally:
            self._leave(slot)

    def _enter(self) -> _Slot:
        with self._lock:
            if not self._slots:
                raise EngineError("there is no engine session; create() builds one")
            slot = min(self._slots, key=lambda each: each.n_users)
            slot.n_users += 1
            return slot

    def _leave(self, slot: _Slot) -> None:
        every, longest_s = self._knobs.session_every, self._knobs.recreate_after_s
        with self._lock:
            slot.n_users -= 1
            is_due = every is not None and slot.synthesizer.n_done >= every
            is_due |= longest_s is not None and slot.synthesizer.longest_s > longest_s
            if is_due and slot.n_users == 0 and slot in self._slots:
                slot.synthesizer.load()
                self.n_created += 1

    def _build(self) -> list[_Slot]:
        slots = []
        for _ in range(self._n_slots):
            synthesizer = Synthesizer(self._voice, self._knobs, self._scratch)
            synthesizer.load()
            self.n_created += 1
            slots.append(_Slot(synthesizer))
        return slots


def _cleanup(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.synthesizer.cleanup()
