"""What the command ``voice bound`` prints: what was written, and what was verified on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import seconds, size

if TYPE_CHECKING:
    from listen2lab.models.bound import BoundReport, LengthCheck

__all__ = ["bounded"]

_HEAD = ("sentence", "difference", "end", "peak", "CPU", "ratio")


def bounded(report: BoundReport) -> str:
    """Say what `listen2lab.models.bound.bound` wrote and verified."""
    done = report.rewriting
    window = f"{done.window} frames ({seconds(done.window * done.hop / report.sample_rate)})"
    reach = f"margin {done.margin} (a frame's samples depend on {done.reach} frames each way)"
    path = f"path by Gather in the place of {done.products} products"
    nodes = f"{done.nodes_after:,} nodes, were {done.nodes_before:,}"
    attention = f"attention by blocks of rows in {done.attentions} layers"
    if not done.attentions:
        attention = "attention left as it was: a part of the memory grows with the square of tokens"
    lines = [
        report.model,
        "",
        f"decoder in windows of {window}, {reach}",
        f"{path}; {nodes}",
        attention,
    ]
    if report.windows:
        costs = ", ".join(f"{window}: {cost:.2f}" for window, cost in report.windows.items())
        lines.append(f"CPU at 25 s by window, the original being 1: {costs}")
    rows = [_HEAD, *map(_row, report.checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines.append("")
    lines += [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.append("")
    if report.difference == 0.0:
        lines.append("every sample is the same to the last bit, on the file that was written")
    else:
        lines.append(f"samples differ by at most {report.difference:.1g}, on the written file")
    lines.append("both noises 0; plain ONNX Runtime, one thread, a fresh process each")
    return "\n".join(lines)


def _row(check: LengthCheck) -> tuple[str, ...]:
    was, now = check.before, check.after
    return (
        seconds(check.seconds),
        "none" if check.difference == 0.0 else f"{check.difference:.1g}",
        f"{size(was.end)} -> {size(now.end)}",
        f"{size(was.peak)} -> {size(now.peak)}",
        f"{seconds(was.cpu_s)} -> {seconds(now.cpu_s)}",
        f"{now.cpu_s / was.cpu_s:.2f}" if was.cpu_s > 0 else "",
    )
