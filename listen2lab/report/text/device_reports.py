"""What reports of memory say, in words: snapshots, their difference, live and lost blocks."""

from __future__ import annotations

from typing import Any

from listen2lab.report.text.device import signed, size

__all__ = [
    "app_sentence",
    "difference_lines",
    "growth_lines",
    "heap_lines",
    "leaks_sentence",
    "of_app",
    "owner_table",
    "snapshot_sentences",
]

_REACHABLE = "Memory that something still refers to is no leak to this tool, however much it grows."
"""What zero leaks does not mean."""


def snapshot_sentences(snapshot: dict[str, Any], limit: int) -> list[str]:
    """Say what a snapshot holds, in lines."""
    who = snapshot["process"] or "a process without a name"
    counted, resident = snapshot["counted"], snapshot["resident"]
    lines = []
    if counted is not None:
        quantity = "footprint" if snapshot["tool"] != "dumpsys" else "private dirty and swapped"
        peak = "" if snapshot["peak"] is None else f" (peak {size(snapshot['peak'])})"
        lines.append(f"{who}, by {snapshot['tool']}: {quantity} {size(counted)} MiB{peak}.")
        if snapshot["tool"] != "dumpsys":
            left = limit - counted
            lines.append(
                f"The kill limit counts just this: {size(abs(left))} MiB "
                f"{'below' if left >= 0 else 'above'} the {limit / 1e9:.1f} GB of the test phone."
            )
    if resident is not None and counted is not None:
        gap = counted - resident
        swapped = sum(c["swapped"] or 0 for c in snapshot["categories"])
        lines.append(
            f"Resident size is {size(resident)} MiB, {size(abs(gap))} "
            f"{'less' if gap > 0 else 'more'}: it counts clean pages and not the "
            f"{size(swapped)} MiB compressed or swapped."
        )
    return lines


def of_app(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the snapshots to show: of several processes (there may be hundreds), the app's."""
    app = answer.get("app")
    return [s for s in answer["snapshots"] if app is None or s["process"] == app]


def app_sentence(answer: dict[str, Any]) -> str:
    """Say which of several processes was taken as the app; empty where there is one."""
    app = answer.get("app")
    if app is None:
        return ""
    many = len({s["process"] for s in answer["snapshots"]})
    name = app or "the one without a name"
    return (
        f"The reports hold {many:,} processes; {name} was taken as the app. "
        "Name another with --process."
    )


def owner_table(snapshot: dict[str, Any]) -> list[str]:
    """Return a snapshot's owners as lines of a table, in MiB."""
    columns = ("counted", "dirty", "swapped", "clean", "reclaimable")
    lines = [f"  {'MiB':<24}" + "".join(f"{name:>12}" for name in columns)]
    for owner, values in snapshot["owners"].items():
        cells = "".join(f"{size(values[name]):>12}" for name in columns)
        lines.append(f"  {owner:<24}{cells}")
    return lines


def difference_lines(change: dict[str, Any]) -> list[str]:
    """Say what changed between two snapshots."""
    resident = change["resident"]
    beside_it = "" if resident is None else f", resident {signed(resident)} MiB"
    lines = [
        (
            f"From {change['before']['source']} to {change['after']['source']}: counted "
            f"{signed(change['counted'])} MiB{beside_it}."
        )
    ]
    moved = {o: v["counted"] for o, v in change["owners"].items() if v["counted"]}
    largest = sorted(moved.items(), key=lambda item: -abs(item[1]))
    lines += [f"  {owner:<24}{signed(by):>12} MiB" for owner, by in largest[:8]]
    return lines


def heap_lines(heap: dict[str, Any]) -> list[str]:
    """Say what is live in a process, in lines."""
    blocks = "?" if heap["blocks"] is None else f"{heap['blocks']:,}"
    lines = [
        (
            f"heap of {heap['process'] or '?'}: {size(heap['size'])} MiB live in {blocks} blocks; "
            "largest:"
        )
    ]
    lines += [
        f"  {size(c['size']):>10} MiB {c['count']:>10,} × {c['name'][:60]}"
        for c in heap["classes"][:6]
    ]
    return lines


def growth_lines(growth: list[dict[str, Any]]) -> list[str]:
    """Say which classes grew from the first heap to the last, in lines."""
    if not growth:
        return []
    rows = [
        f"  {signed(row['size']):>10} MiB {row['blocks']:>+10,} × {row['name'][:60]}"
        for row in growth[:6]
    ]
    return ["Grew most from the first heap to the last:", *rows]


def leaks_sentence(leaks: dict[str, Any]) -> str:
    """Say what nothing refers to, and what that does not mean."""
    guess = " The tool could not read all of the process: a guess." if leaks["limited"] else ""
    found = f"leaks: {leaks['count']:,} unreachable blocks, {size(leaks['size'])} MiB."
    return f"{found}{guess} {_REACHABLE}"
