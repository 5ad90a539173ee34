"""A comparison, a rerun and a merge in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text import verdicts
from listen2lab.report.text.format import DASH, number
from listen2lab.report.text.notices import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.comparison.comparison import Change, Comparison, Pair
    from listen2lab.comparison.differences import Difference
    from listen2lab.comparison.reproduced import Point
    from listen2lab.comparison.rerun import Rerun
    from listen2lab.notice import Notice

__all__ = [
    "caveats", "change_row", "comparison_text", "difference_name", "difference_text", "merge_text",
    "outcome", "pair_name", "pair_text", "point_row", "quantities", "rerun_text",
]  # fmt: skip

_UNITS = {"end": " MiB", "rate": " KiB a step", "verdict": ""}
_ABOUT = {"rate": "rate", "level": "end"}


def rerun_text(done: Rerun) -> str:
    """Say what a rerun reproduced, point by point."""
    points = done.points
    same = sum(point.is_reproduced for point in points)
    if not points:
        answer = "Nothing to compare with: no memory at the end of the study before is known."
    elif done.is_reproduced:
        others = sum(
            not (point.is_within_share or point.is_within_interval)
            for point in points
            if point.quantity == "rate"
        )
        answer = f"Reproduced: {len(points) - others} ends, rates and verdicts" + (
            f"; other rates: {others}, in conditions that leak in neither study." if others else "."
        )
    else:
        answer = f"Not reproduced: {len(points) - same} of {len(points)} points differ."
    rows = [
        (f"{point.experiment} / {point.condition}", point.quantity, *point_row(point))
        for point in points
    ]
    lines = [answer, *_table(("", "", "before", "now", "difference", ""), rows)]
    if done.differences:
        lines.append("Not as before:")
        lines += [f"  {difference_text(each, 'before', 'now')}" for each in done.differences]
    elif points:
        lines.append("Machine, versions and settings are those of the study before.")
    lines += [f"note: {say(note)}" for note in done.notes]
    return "\n".join(lines)


def point_row(point: Point) -> tuple[str, str, str, str]:
    """Return before, now, difference and judgement of a point, as a table shows them."""
    unit = _UNITS[point.quantity]
    digits = 1 if point.quantity == "end" else 2
    before, now = (
        DASH if x is None else x if isinstance(x, str) else number(x, digits) + unit
        for x in (point.before, point.now)
    )
    if point.quantity == "verdict":
        return before, now, "", "the same" if point.is_reproduced else "ANOTHER VERDICT"
    if point.difference is None:
        return before, now, "", "NOT MEASURED"
    share = ""
    if point.quantity == "end" and point.share is not None:
        share = f" ({100 * point.share:+.1f} %)"
    difference = f"{_signed(point.difference, digits)}{share}{_between(point.interval, digits)}"
    if point.is_within_share:
        return before, now, difference, "within 2 %" if share else "the same"
    if point.is_within_interval:
        return before, now, difference, "within the interval"
    if point.is_reproduced:
        return before, now, difference, "another rate, but no leak in either"
    return before, now, difference, "NOT REPRODUCED"


def comparison_text(comparison: Comparison) -> str:
    """Say how B differs from A: caveats first, then the numbers, then each outcome."""
    lines = [f"A: {comparison.a}", f"B: {comparison.b}", *caveats(comparison)]
    rows = []
    for pair in comparison.pairs:
        for k, (name, change, digits) in enumerate(quantities(pair)):
            rows.append(("" if k else pair_name(pair), name, *change_row(change, digits)))
        rows.append(("", "verdict", pair.verdict_a, pair.verdict_b, outcome(pair)))
    lines += _table(("", "", "A", "B", "B − A [95 %]"), rows)
    lines += [pair_text(pair) for pair in comparison.pairs]
    for name, conditions in (("A", comparison.only_a), ("B", comparison.only_b)):
        if conditions:
            lines.append(f"only in {name}: {', '.join(map(str, conditions))}")
    return "\n".join(lines)


def caveats(comparison: Comparison) -> list[str]:
    """Say what must be known before the numbers."""
    found = []
    for notice in comparison.caveats:
        kind = notice.code.removeprefix("other-")
        facts = [each for each in comparison.differences if each.about == kind]
        what = "; ".join(difference_text(each, "in A", "in B") for each in facts)
        sentence = say(notice)
        found.append(f"{sentence}: {what}. Memory may differ by that alone." if facts else sentence)
    return found


def difference_name(difference: Difference) -> str:
    """Say of what a difference is."""
    where = " / ".join(x for x in (difference.experiment, difference.condition) if x)
    return f"{where}, {difference.name}" if where else difference.name


def difference_text(difference: Difference, first: str, second: str) -> str:
    """Say a difference in words, ``first`` and ``second`` naming the two studies."""
    before, now = difference.before or "none", difference.now or "none"
    return f"{difference_name(difference)}: {before} {first}, {now} {second}"


def merge_text(notes: Sequence[Notice], path: object) -> str:
    """Say what a merge put together."""
    return "\n".join([*map(say, notes), f"study: {path}"])


def outcome(pair: Pair) -> str:
    """Say what became of A in B, in two words."""
    if pair.contrast is None:
        return "end: inconclusive"
    return f"{_ABOUT[pair.contrast.about]}: {pair.contrast.verdict}"


def pair_name(pair: Pair) -> str:
    """Return the name of what is compared: one where both are called the same."""
    return str(pair.a) if pair.a == pair.b else f"{pair.a} → {pair.b}"


def pair_text(pair: Pair) -> str:
    """Say in a sentence or two what became of A's leak or memory in B."""
    if pair.end.difference is None or pair.contrast is None:
        return f"{pair_name(pair)}: nothing to compare; one of them has no complete run."
    way = "above" if pair.end.difference > 0 else "below"
    between = _between(pair.end.interval, 1).strip()
    bounds = f" (95 %: {between[1:-1]})" if between else " (too few runs for an interval)"
    end = f"B ends {number(abs(pair.end.difference))} MiB {way} A{bounds}"
    if pair.contrast.about == "rate":
        became = verdicts.contrast("B", pair.contrast)
        return f"{pair_name(pair)}: {pair.contrast.verdict}. {became} {end}."
    return f"{pair_name(pair)}: {end}: {verdicts.MEANINGS[pair.contrast.verdict]}."


def quantities(pair: Pair) -> list[tuple[str, Change, int]]:
    """Return what is compared of a pair, each with its name and digits."""
    return [
        ("end, MiB", pair.end, 1),
        ("peak, MiB", pair.peak, 1),
        ("rate, KiB a step", pair.rate, 2),
    ]


def change_row(change: Change, digits: int) -> tuple[str, str, str]:
    """Return A, B, and B less A, as a table shows them."""
    difference = ""
    if change.difference is not None:
        difference = _signed(change.difference, digits) + _between(change.interval, digits)
    return number(change.a, digits), number(change.b, digits), difference


def _signed(value: float, digits: int) -> str:
    return f"{value:+,.{digits}f}".replace("-", "−")


def _between(interval: tuple[float, float] | None, digits: int) -> str:
    if interval is None:
        return ""
    return f" [{_signed(interval[0], digits)}, {_signed(interval[1], digits)}]"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of columns; a first column that repeats itself is said once."""
    if not rows:
        return []
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines, last = [], ""
    for row in [head, *rows]:
        first = "" if row[0] == last else row[0]
        last = row[0] or last
        cells = (first, *row[1:])
        lines.append(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        )
    return lines
