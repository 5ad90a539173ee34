"""How a study goes, while it goes: who follows it, and a bar that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm.std import tqdm

from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.study.plan import Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["Bar", "Progress"]


class Progress:
    """Follows how a study goes, one call at a time; this one passes over all of it."""

    def begin(self, total: int, done: int) -> None:
        """Hear that there are ``total`` runs, of which ``done`` were there before."""

    def sample(self, run: Run, sample: Sample) -> None:
        """Hear of a sample that a run has written."""

    def end(self, run: Run, result: RunRecord) -> None:
        """Hear how a run has ended."""

    def close(self) -> None:
        """Hear that nothing more will come."""


class Bar(Progress):
    """Shows which run is under way, its step and its resident memory; says how bad ones ended.

    Parameters
    ----------
    ending
        Says how a run ended, in words.
    """

    def __init__(self, ending: Callable[[RunRecord], str]) -> None:
        self._ending = ending
        self._bar: tqdm[Any] | None = None

    def begin(self, total: int, done: int) -> None:
        """Draw the bar."""
        self._bar = tqdm(total=total, initial=done, unit="run", dynamic_ncols=True)

    def sample(self, run: Run, sample: Sample) -> None:
        """Show where the run is."""
        assert self._bar is not None
        where = sample.phase if sample.step is None else f"step {sample.step:.0f}"
        rss = "" if sample.rss is None else f", {sample.rss / MIB:.0f} MiB"
        self._bar.set_postfix_str(f"{run.key} {where}{rss}", refresh=False)
        self._bar.update(0)

    def end(self, run: Run, result: RunRecord) -> None:
        """Count the run; say so if it did not end well."""
        assert self._bar is not None
        self._bar.update(1)
        if result.outcome != "complete":
            self._bar.write(f"{run.key}: {self._ending(result)}")
        if self._bar.n >= (self._bar.total or 0):
            self.close()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
