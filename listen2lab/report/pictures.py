"""Each picture of a study as a file: PNG for a chat, SVG for a paper."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listen2lab.report.phases import phase_table
from listen2lab.report.plots import plot_curves, plot_heap, plot_levels, plot_phases
from listen2lab.report.style import to_png, to_svg_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from listen2lab.facade import Study

__all__ = ["pictures"]


def pictures(study: Study) -> Iterator[tuple[str, str | bytes]]:
    """Draw every picture of a study.

    Parameters
    ----------
    study
        Which.

    Yields
    ------
    name : str
        Of the file: experiment and kind, such as ``baseline-curves.svg``.
    content : str or bytes
        An SVG or a PNG.
    """
    for name, label, figure in _figures(study):
        yield f"{name}.svg", to_svg_file(figure, label=label)
        yield f"{name}.png", to_png(figure)


def _figures(study: Study) -> Iterator[tuple[str, str, Figure]]:
    samples = study.samples
    traced = samples[samples["traced"].astype(bool)]
    for item in study.plan.experiments:
        stem = _file_name(item.name)
        yield (
            f"{stem}-curves",
            f"Resident memory over the steps, {item.name}",
            plot_curves(study, item.name),
        )
        yield f"{stem}-levels", f"Levels by condition, {item.name}", plot_levels(study, item.name)
        for level in item.levels:
            of_level = f"{stem}-{_file_name(level.name)}"
            phases = phase_table(study, item.name, level.name)
            if phases is not None:
                label = f"Memory after each phase, {item.name}, {level.name}"
                yield f"{of_level}-phases", label, plot_phases(phases)
            heap = study.heap(item.name, level.name)
            if heap is not None:
                mine = (traced["experiment"] == item.name) & (traced["condition"] == level.name)
                label = f"Heap trace, {item.name}, {level.name}"
                yield f"{of_level}-heap", label, plot_heap(heap, traced[mine])


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_+-]+", "-", name).strip("-") or "unnamed"
