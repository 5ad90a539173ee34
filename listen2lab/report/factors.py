"""An experiment of two factors as the grid that it is: which condition stands in which cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listen2lab.pipeline.knobs import EARLIER_NAMES, Knobs, knobs_from

if TYPE_CHECKING:
    from listen2lab.study.plan import Experiment

__all__ = ["Grid", "grid"]


@dataclass(frozen=True)
class Grid:
    """Two factors, crossed.

    Attributes
    ----------
    across, down
        Names of the factors.
    columns, rows
        Their values in words.
    cells
        (row, column) to the name of a condition; a crossing that was not run is missing.
    """

    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: dict[tuple[int, int], str]


def grid(item: Experiment) -> Grid | None:
    """Return the grid of an experiment whose factor is ``one x another``, both of them knobs.

    Parameters
    ----------
    item
        Any experiment.

    Returns
    -------
    Grid or None
        None where there are not two factors, or only one of them varies.
    """
    names = [EARLIER_NAMES.get(name, name) for name in (item.factor or "").split(" x ")]
    if len(names) != 2 or not set(names) <= set(Knobs._fields):
        return None
    values = {
        level.name: [_words(getattr(knobs_from(item.settings(level)), name)) for name in names]
        for level in item.levels
    }
    columns, rows = (tuple(dict.fromkeys(pair[k] for pair in values.values())) for k in (0, 1))
    cells = {
        (rows.index(down), columns.index(across)): name for name, (across, down) in values.items()
    }
    if len(cells) < len(values) or min(len(columns), len(rows)) < 2:
        return None
    return Grid(names[0], names[1], columns, rows, cells)


def _words(value: Any) -> str:
    if value is None:
        return "no limit"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
