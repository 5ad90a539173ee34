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


class Sessions:
    """All engine sessions of a reading; `n_created` counts those built so far."""

    def __init__(self, voice: VoiceFiles, knobs: Knobs, scratch: str) -> None:
        self._voice = voice
        self._knobs = knobs
        self._scratch = scratch
        self._n_sessions = knobs.in_flight if knobs.sessions == "each" else 1
        self._all: list[Synthesizer] = []
        self._lock = threading.Lock()
        self.n_created = 0

    def create(self) -> None:
        """Build the sessions, unless they are there."""
        with self._lock:
            if not self._all:
                self._all = self._build()

    def drop(self) -> None:
        """Drop every session. One that a thread is still in goes when the thread leaves it."""
        with self._lock:
            _cleanup(self._all)
            self._all = []

    def change_voice(self) -> None:
        """Put new sessions in place of the old.

        As the app does it, the new provider is built before the old one is gone, so that twice
        the sessions are there for a moment.
        """
        with self._lock:
            old, self._all = self._all, self._build()
            _cleanup(old)

    def synthesize(self, text: str) -> Speech:
        """Make speech of a text in the session with the fewest threads in it.

        Every `session_every` texts of a session, and after a stretch above `recreate_after_s`, it
        is dropped and built anew, as soon as nobody is in it.
        """
        session = self._enter()
        try:
            return session.synthesize(text)
        finally:
            self._leave(session)

    def _enter(self) -> Synthesizer:
        with self._lock:
            if not self._all:
                raise EngineError("there is no engine session; create() builds one")
            session = min(self._all, key=lambda each: each.n_users)
            session.n_users += 1
            return session

    def _leave(self, session: Synthesizer) -> None:
        every, longest_s = self._knobs.session_every, self._knobs.recreate_after_s
        with self._lock:
            session.n_users -= 1
            is_due = every is not None and session.n_done >= every
            is_due |= longest_s is not None and session.longest_s > longest_s
            if is_due and session.n_users == 0 and session in self._all:
                session.load()
                self.n_created += 1

    def _build(self) -> list[Synthesizer]:
        built = []
        for _ in range(self._n_sessions):
            built.append(Synthesizer(self._voice, self._knobs, self._scratch))
            built[-1].load()
            self.n_created += 1
        return built


def _cleanup(sessions: list[Synthesizer]) -> None:
    for session in sessions:
        session.cleanup()
