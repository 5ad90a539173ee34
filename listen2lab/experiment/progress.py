"""A progress bar over the runs of a study, in a terminal or a notebook."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from tqdm.std import tqdm

from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.study.plan import Run

__all__ = ["Bar"]


class Bar:
    """Shows which run is under way, its step and its resident memory; says how bad ones ended."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def begin(self, total: int, done: int) -> None:
        """Draw the bar: a widget in a notebook that has widgets, text elsewhere."""
        kind: Any = tqdm
        if importlib.util.find_spec("ipywidgets") is not None:
            from tqdm.auto import tqdm as kind  # noqa: PLC0415 - it warns where there are none
        self._bar = kind(total=total, initial=done, unit="run", dynamic_ncols=True)

    def sample(self, run: Run, line: dict[str, Any]) -> None:
        """Show where the run is."""
        assert self._bar is not None
        where = f"step {line['step']}" if "step" in line else line["phase"]
        level = f", {line['rss'] / MIB:.0f} MiB" if "rss" in line else ""
        self._bar.set_postfix_str(f"{run.key} {where}{level}", refresh=False)
        self._bar.update(0)

    def end(self, run: Run, result: dict[str, Any]) -> None:
        """Count the run; say so if it did not end well."""
        assert self._bar is not None
        self._bar.update(1)
        if result["outcome"] != "complete":
            self._bar.write(f"{run.key}: {result['outcome']}: {result['because']}")
        if self._bar.n >= (self._bar.total or 0):
            self.close()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
