"""What grew between two steps, and who holds it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import number, rate, size
from listen2lab.units import MIB

if TYPE_CHECKING:
    from typing import TypeGuard

    from listen2lab.account.growth import Growth

__all__ = ["HEADS", "coverage", "cut", "first", "is_worth_telling", "not_freed", "rows", "title"]

HEADS = ("owner", "in", "called at", "MiB", "share", "a step", "blocks a step")
"""Heads of the table of `rows`."""

_WORTH_BYTES = 4096
_FIRST = 3
_LONGEST = 48


def title(found: Growth) -> str:
    """Return the title of the table."""
    between = f"between steps {found.since} and {found.until}"
    return f"What grew {between} (traced run): {size(found.seen)}"


def rows(found: Growth, most: int) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    steps = found.until - found.since
    return [
        (
            _cut(row.owner),
            _cut(row.function),
            _cut(row.line),
            number(row.bytes / MIB, 2),
            f"{100 * row.share:.0f} %",
            rate(row.bytes / steps),
            number(row.blocks / steps),
        )
        for row in found.rows[:most]
    ]


def cut(shown: int, all_of_them: int) -> str:
    """Say where a list is cut, behind its title; nothing where it is not."""
    return "" if shown == all_of_them else f" ({shown} of {all_of_them})"


def not_freed(held: int, blocks: int, per_step: int) -> str:
    """Say what a stack has not freed; see `listen2lab.account.owners.fingerprints`."""
    each = f", {per_step:,} with each step" if per_step else ""
    return f"{size(held)} in {blocks:,} blocks{each}"


def is_worth_telling(found: Growth | None) -> TypeGuard[Growth]:
    """Return whether anything grew of which a reader can make something."""
    return found is not None and (
        found.is_unseen or any(row.bytes >= _WORTH_BYTES for row in found.rows[:1])
    )


def first(found: Growth) -> list[str]:
    """Say who the first three owners are, a line each."""
    steps = found.until - found.since
    return [
        f"{row.share:4.0%} {row.owner}, in {row.function}, called at {row.line}: "
        f"{rate(row.bytes / steps)} a step in {number(row.blocks / steps)} blocks"
        for row in found.rows[:_FIRST]
        if row.bytes >= _WORTH_BYTES
    ]


def coverage(found: Growth) -> str:
    """Say how much of the growth was allocated past the trace, or nothing."""
    if found.grown is None or not found.is_unseen:
        return ""
    return (
        f"The trace saw {size(max(0, found.seen))} of {size(found.grown)} of growth; the rest was "
        "allocated past it: by a function that was looked up at run time (ctypes, dlopen), or "
        "within the C library. Who is named here may not be who leaks."
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
