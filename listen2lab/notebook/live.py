"""A study while it runs, in a notebook and the panel: what is left, and the curves so far."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from markupsafe import Markup

from listen2lab.errors import RunStoppedError
from listen2lab.experiment.progress import Progress
from listen2lab.report.text.live import progress, under_way
from listen2lab.report.text.study import ended
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from listen2lab.study.plan import Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["Live", "in_notebook"]

_WIDTH, _HEIGHT, _LEFT = 640, 150, 70
_EVERY_S = 0.5  # between two drawings
_KNOWN = 0.03  # of the work must be done before the time left means anything
_DASHES = ("", "7 3", "2 2", "8 3 2 3")


class Live(Progress):
    """Draws how a study goes, each time something has happened.

    Parameters
    ----------
    show
        Takes HTML, in place of what it was given before.
    """

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self.is_stopped = False
        self._total = self._first = self._done = 0
        self._began = self._drawn = time.monotonic()
        self._curves: dict[str, list[float]] = {}
        self._running: dict[str, tuple[float, str]] = {}  # the share that is done, and in words
        self._bad: list[str] = []
        self._most_steps = 2

    def begin(self, total: int, done: int) -> None:
        """Begin, with what was there before."""
        self._total, self._first, self._done = total, done, done
        self._began = time.monotonic()
        self._draw()

    def sample(self, run: Run, sample: Sample) -> None:
        """Add a point; leave the study where stopping was asked for."""
        if self.is_stopped:
            raise RunStoppedError("stopped on request")
        curve = self._curves.setdefault(run.key, [])
        if sample.step is not None and sample.rss is not None:
            curve.append(sample.rss / MIB)
        steps = run.experiment.steps + run.experiment.warmup
        self._most_steps = max(self._most_steps, len(curve))
        self._running[run.key] = min(1.0, len(curve) / max(1, steps)), under_way(run.key, sample)
        if time.monotonic() - self._drawn >= _EVERY_S:
            self._draw()

    def end(self, run: Run, result: RunRecord) -> None:
        """Count the run; say so if it did not end well."""
        self._running.pop(run.key, None)
        self._done += 1
        if result.outcome != "complete":
            self._bad.append(f"{run.key}: {ended(result)}")
        self._draw()

    def close(self) -> None:
        """Draw it as it stands."""
        self._draw()

    def left_s(self) -> float | None:
        """Return the seconds that are left, at the pace so far; None where that is not known."""
        finished = self._done - self._first + sum(share for share, _ in self._running.values())
        whole = self._total - self._first
        if self._done == self._total or finished < _KNOWN * whole:
            return None
        return (time.monotonic() - self._began) / finished * (whole - finished)

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        lines = [progress(self._done, self._total, self.left_s())]
        lines += [said for _, said in self._running.values()] + self._bad
        said = Markup("<br>").join(lines)
        self._show(str(Markup("<div>{}</div>{}").format(said, self._picture())))

    def _picture(self) -> Markup:
        """Return the curves so far: those under way thick, those that have ended thin."""
        most = max((max(curve) for curve in self._curves.values() if curve), default=0.0)
        if not most:
            return Markup("")
        conditions = list(dict.fromkeys(key.rpartition("/")[0] for key in self._curves))
        lines = Markup("").join(
            self._line(curve, most, key in self._running, conditions.index(key.rpartition("/")[0]))
            for key, curve in self._curves.items()
        )
        return Markup(
            '<svg viewBox="0 0 {0} {1}" style="max-width: {0}px; display: block" role="img" '
            'aria-label="Resident memory so far"><g fill="none" stroke="currentColor" '
            'stroke-linejoin="round">{2}<path d="M{3} 8V{4}H{0}" opacity=".5"/></g>'
            '<g fill="currentColor" font-size="12"><text x="{5}" y="16" text-anchor="end">'
            '{6} MiB</text><text x="{5}" y="{4}" text-anchor="end">0</text></g></svg>'
        ).format(_WIDTH, _HEIGHT, lines, _LEFT, _HEIGHT - 8, _LEFT - 6, f"{most:,.0f}")

    def _line(self, curve: Sequence[float], most: float, is_running: bool, nth: int) -> Markup:  # noqa: FBT001 - of one drawing
        across = (_WIDTH - _LEFT - 4) / (self._most_steps - 1)
        points = " ".join(
            f"{_LEFT + at * across:.1f},{8 + (_HEIGHT - 16) * (1 - value / most):.1f}"
            for at, value in enumerate(curve)
        )
        return Markup(
            '<polyline points="{}" stroke-width="{}" opacity="{}" stroke-dasharray="{}"/>'
        ).format(
            points,
            2.2 if is_running else 1,
            1 if is_running else 0.45,
            _DASHES[nth % len(_DASHES)],
        )


def in_notebook() -> Live | None:
    """Return what draws below the cell that runs, or None outside of a notebook."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    shown = display.display(display.HTML(""), display_id=True)
    return Live(lambda html: shown.update(display.HTML(html)))
