"""The app's log grammar, written through a sink that the caller gives.

The lab's own pipeline logs exactly as the phone does, so one parser reads both.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["BREAKDOWN_EVERY", "AppLog"]

BREAKDOWN_EVERY = 5
"""Paragraphs between two breakdowns, as in the app."""

_MIB = 1024 * 1024

_QUEUE_LINES = {
    "on-demand-started": "🔄 Starting on-demand synthesis for paragraph {n}, memory: {memory}",
    "on-demand-done": "✅ On-demand synthesis for paragraph {n} completed in {seconds:.2f}s, "
    "memory: {memory} ({grown_mib:+.1f} MB)",
    "total-time": "📊 Total time for paragraph {n}: {total_s:.2f}s (synthesis: {synthesis_s:.2f}s, "
    "alignment: {alignment_s:.2f}s), final memory: {memory}",
    "pre-started": "🔄 Pre-synthesis paragraph {n}, memory: {memory}",
    "pre-done": "✅ Pre-synthesis paragraph {n} done - {seconds:.2f}s, memory: {memory}",
    "pre-skipped": "⏭️  Skipping pre-synthesis - paragraph {n} is {why}",
    "pre-failed": "❌ Pre-synthesis failed for paragraph {n} after {seconds:.2f}s: {error}",
    "evicted-audio": "🗑️ Evicted audio cache for paragraph {n}",
    "evicted-alignment": "🗑️ Evicted alignment cache for paragraph {n}",
    # As in the app, the seconds are the audio's, not the time that it took.
    "aligned": "✅ Alignment completed for paragraph {n}: {words} words, {audio_s:.2f}s",
}
_LINES = {
    **{code: f"[SynthesisQueue] {line}" for code, line in _QUEUE_LINES.items()},
    "synthesized": "[PiperTTS] Synthesized {samples} samples at {rate} Hz",
    "alignment-hit": "[PhonemeAlign] ✅ Cache hit for paragraph {n} "
    "(hits: {hits}, misses: {misses}, rate: {percent:.1f}%)",
}


class AppLog:
    """Writes the lines that the app writes, in the event loop's thread only.

    `resident` returns the process's resident bytes, which the app logs and not the footprint.
    `account` returns them by kind, ``unaccounted`` among them (see
    `listen2lab.probes.readings.split`), or nothing where they cannot be told.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        resident: Callable[[], int],
        account: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._write = write
        self.resident = resident
        self._account = account

    def line(self, code: str, **values: object) -> None:
        """Write a line by its code and values; its ``memory`` is what is resident now."""
        line = _LINES[code]
        if "{memory}" in line:
            values.setdefault("memory", f"{self.resident() / _MIB:.1f} MB")
        self._write(line.format_map(values))

    def on_demand_done(self, paragraph: int, seconds: float, before: int) -> None:
        """Log the end of a synthesis on demand; `before` is what was resident at its start."""
        now = self.resident()
        grown_mib, memory = (now - before) / _MIB, f"{now / _MIB:.1f} MB"
        self.line(
            "on-demand-done", n=paragraph, seconds=seconds, grown_mib=grown_mib, memory=memory
        )

    def breakdown(
        self, audio: Sequence[int], alignments: Sequence[int], n_synthesizing: int, n_tasks: int
    ) -> None:
        """Log the app's memory breakdown, of the caches by their entries' bytes.

        What is unaccounted is what the account cannot name; where there is no account, as in the
        app, it is all but the caches.
        """
        total, audio_bytes, words_bytes = self.resident(), sum(audio), sum(alignments)
        parts = {} if self._account is None else self._account()
        rest = parts.get("unaccounted", total - audio_bytes - words_bytes)
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
            f"Audio cache: {len(audio)} entries, {audio_bytes / _MIB:.1f} MB",
            f"Alignment cache: {len(alignments)} entries, ~{words_bytes / _MIB:.1f} MB estimated",
            f"Synthesizing: {n_synthesizing} active",
            f"Tasks: {n_tasks} active",
            f"Unaccounted: ~{rest / _MIB:.1f} MB ({known})",
        ):
            self._write(f"📊 [MEMORY] {line}")
