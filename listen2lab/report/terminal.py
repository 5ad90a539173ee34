"""What the terminal shows of a study: verdicts with their reasons, a curve in blocks, a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listen2lab.report.text.study import endings, number, verdict
from listen2lab.report.text.verdicts import REASONS, contrast
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from listen2lab.facade import Study
    from listen2lab.selftest import Finding

__all__ = ["blocks", "nothing_measured", "selftest_table", "sparkline", "watched"]


def watched(study: Study, answer: dict[str, Any]) -> str:
    """Return what ``listen2lab watch`` prints: verdict, reasons, numbers and curve.

    Parameters
    ----------
    study
        A study of a workload's file.
    answer
        What `listen2lab.facade.Study.answer` gives.
    """
    (item,) = study.summary()["experiments"].values()
    lines = []
    for name, numbers in item["conditions"].items():
        title = f"{name}: " if len(item["conditions"]) > 1 else ""
        lines.append(f"{title}{verdict(numbers, item['unit'])}")
        lines += [f"  - {code}: {REASONS[code]}" for code in numbers["reasons"]]
        lines.append(f"  {sparkline(study, name)}")
    for name, difference in item["contrasts"].items():
        if difference is not None:
            what = f"from {difference['to']} to {name}"
            lines.append(f"{what}: {difference['verdict']}. {contrast(name, difference)}")
    if "thinned" in answer:
        lines.append(f"  {answer['thinned']}")
    lines += endings(study.runs)
    lines.append(f"report: {study.folder.report_path}")
    return "\n".join(lines)


def selftest_table(findings: Sequence[Finding]) -> str:
    """Return the table planted / found / rate error, and what it comes to."""
    lines = [f"{'planted':<17}{'KiB/step':>10}{'found':>14}{'KiB/step':>10}{'error':>8}"]
    for each in findings:
        error = "" if each.error is None else f"{100 * each.error:+.1f} %"
        planted = f"{each.planted_kib:.1f}" if each.planted_kib else "–"
        lines.append(
            f"{each.fault:<17}{planted:>10}{each.verdict:>14}{number(each.found_kib):>10}"
            f"{error:>8}  {'right' if each.is_right else 'WRONG'}: {each.meaning}"
        )
    right = sum(each.is_right for each in findings)
    return "\n".join([*lines, f"{right} of {len(findings)} right"])


def sparkline(study: Study, condition: str, width: int = 60) -> str:
    """Return a condition's anonymous memory as a row of blocks, mean of the repeats."""
    samples = study.samples
    plain = samples[(samples["condition"] == condition) & ~samples["traced"].astype(bool)]
    curve = plain[plain["phase"] == "step"].groupby("step")["anonymous"].mean().to_numpy(float)
    return blocks(curve, width)


def blocks(curve: NDArray[np.float64], width: int = 60) -> str:
    """Return a curve of bytes as a row of blocks, with its lowest and highest value.

    Parameters
    ----------
    curve
        Bytes after each step.
    width
        Blocks, at most.
    """
    if not len(curve):
        return "(no samples)"
    picked = curve[np.linspace(0, len(curve) - 1, min(width, len(curve))).astype(int)]
    low, high = float(picked.min()), float(picked.max())
    span = max(high - low, 64 * KIB)  # a few pages up and down are flat to the eye
    bars = "".join(_BLOCKS[int((value - low) / span * (len(_BLOCKS) - 1))] for value in picked)
    return f"{bars}  {low / MIB:.1f} to {high / MIB:.1f} MiB"


_BLOCKS = "▁▂▃▄▅▆▇█"


def nothing_measured(study: Study) -> str:
    """Say that no run was complete, and how they ended."""
    ends = endings(study.runs)
    first = f" (the first: {ends[0]})" if ends else ""
    return f"no run was complete, so nothing was measured{first}; what there is lies in the study"
