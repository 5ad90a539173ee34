"""The app's log grammar: one method a line, written through a sink that the caller gives.

The lab's own pipeline logs exactly as the phone does, so one parser reads both.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BREAKDOWN_EVERY", "AppLog"]

BREAKDOWN_EVERY = 5
"""Paragraphs between two breakdowns, as in the app."""

_MIB = 1024 * 1024


class AppLog:
    """Writes the lines that the app writes."""

    def __init__(
        self,
        write: Callable[[str], None],
        resident: Callable[[], int],
        account: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._write = write
        self._resident = resident
        self._account = account

    def resident(self) -> int:
        """Return the process's resident bytes."""
        return self._resident()

    def _memory(self) -> str:
        return f"{self._resident() / _MIB:.1f} MB"

    def _queue(self, text: str) -> None:
        self._write(f"[SynthesisQueue] {text}")

    def on_demand_started(self, paragraph: int) -> None:
        """Log that a paragraph's synthesis starts because it is to be played now."""
        self._queue(
            f"🔄 Starting on-demand synthesis for paragraph {paragraph}, memory: {self._memory()}"
        )

    def on_demand_done(self, paragraph: int, seconds: float, before: int) -> None:
        """Log the end of it; `before` is what was resident at its start, in bytes."""
        now = self._resident()
        self._queue(
            f"✅ On-demand synthesis for paragraph {paragraph} completed in {seconds:.2f}s, "
            f"memory: {now / _MIB:.1f} MB ({(now - before) / _MIB:+.1f} MB)"
        )

    def total_time(self, paragraph: int, synthesis_s: float, alignment_s: float) -> None:
        """Log where an on-demand paragraph's time went."""
        self._queue(
            f"📊 Total time for paragraph {paragraph}: {synthesis_s + alignment_s:.2f}s "
            f"(synthesis: {synthesis_s:.2f}s, alignment: {alignment_s:.2f}s), "
            f"final memory: {self._memory()}"
        )

    def pre_started(self, paragraph: int) -> None:
        """Log that a paragraph's synthesis starts ahead of playback."""
        self._queue(f"🔄 Pre-synthesis paragraph {paragraph}, memory: {self._memory()}")

    def pre_done(self, paragraph: int, seconds: float) -> None:
        """Log the end of a pre-synthesis."""
        self._queue(
            f"✅ Pre-synthesis paragraph {paragraph} done - {seconds:.2f}s, "
            f"memory: {self._memory()}"
        )

    def pre_skipped(self, reason: str) -> None:
        """Log why a pre-synthesis was not started."""
        self._queue(f"⏭️  Skipping pre-synthesis - {reason}")

    def pre_failed(self, paragraph: int, seconds: float, error: BaseException) -> None:
        """Log an error that must not stop the reading."""
        self._queue(
            f"❌ Pre-synthesis failed for paragraph {paragraph} after {seconds:.2f}s: {error}"
        )

    def evicted_audio(self, paragraph: int) -> None:
        """Log that a paragraph's audio left the cache."""
        self._queue(f"🗑️ Evicted audio cache for paragraph {paragraph}")

    def evicted_alignment(self, paragraph: int) -> None:
        """Log that a paragraph's alignment left the cache."""
        self._queue(f"🗑️ Evicted alignment cache for paragraph {paragraph}")

    def aligned(self, paragraph: int, n_words: int, audio_s: float) -> None:
        """Log an alignment. As in the app, the seconds are the audio's, not the time it took."""
        self._queue(
            f"✅ Alignment completed for paragraph {paragraph}: {n_words} words, {audio_s:.2f}s"
        )

    def synthesized(self, n_samples: int, sample_rate: int) -> None:
        """Log what the engine returned."""
        self._write(f"[PiperTTS] Synthesized {n_samples} samples at {sample_rate} Hz")

    def alignment_hit(self, paragraph: int, hits: int, misses: int) -> None:
        """Log that the alignment service had a paragraph already."""
        rate = 100 * hits / (hits + misses)
        self._write(
            f"[PhonemeAlign] ✅ Cache hit for paragraph {paragraph} "
            f"(hits: {hits}, misses: {misses}, rate: {rate:.1f}%)"
        )

    def breakdown(
        self,
        *,
        n_audio: int,
        audio_bytes: int,
        n_alignments: int,
        alignment_bytes: int,
        n_synthesizing: int,
        n_tasks: int,
    ) -> None:
        """Log the app's memory breakdown.

        What is unaccounted is what the account cannot name; where there is no account, as in the
        app, it is all but the caches.
        """
        total = self._resident()
        parts = {} if self._account is None else self._account()
        rest = parts.get("unaccounted", total - audio_bytes - alignment_bytes)
        known = "engine, frameworks, everything else"
        if parts:
            code = parts["files"] + parts["library_data"]
            python = parts["python"] + parts["python_kept"]
            known = (
                f"named: native {parts['native'] / _MIB:.1f}, kept free "
                f"{parts['native_kept'] / _MIB:.1f}, code {code / _MIB:.1f}, "
                f"Python {python / _MIB:.1f}, stacks {parts['stacks'] / _MIB:.1f}"
            )
        for line in (
            f"Total: {total / _MIB:.1f} MB",
            f"Audio cache: {n_audio} entries, {audio_bytes / _MIB:.1f} MB",
            f"Alignment cache: {n_alignments} entries, ~{alignment_bytes / _MIB:.1f} MB estimated",
            f"Synthesizing: {n_synthesizing} active",
            f"Tasks: {n_tasks} active",
            f"Unaccounted: ~{rest / _MIB:.1f} MB ({known})",
        ):
            self._write(f"📊 [MEMORY] {line}")
