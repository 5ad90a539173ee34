"""One formatter: bytes, rates, times and counts, for terminal, page, card and axis alike."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, Any

from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["DASH", "fill", "number", "rate", "rates", "seconds", "size", "span"]

DASH = "–"
"""Stands for a number that there is not."""


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with thousands apart, or a dash.

    Examples
    --------
    >>> number(2825.71)
    '2,825.7'
    >>> number(-0.01), number(None)
    ('0.0', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no minus before a zero


def size(value: float | None) -> str:
    """Return bytes in the unit that fits: KiB below 0.1 MiB, no decimals from 100 MiB on.

    Examples
    --------
    >>> size(2884 * 2**20), size(3.8 * 2**20), size(12 * 2**10)
    ('2,884 MiB', '3.8 MiB', '12 KiB')
    """
    if value is None or not math.isfinite(value):
        return "an unknown amount"
    amount = abs(value)
    if round(amount / MIB, 1) >= 100:
        return f"{value / MIB:,.0f} MiB"
    if amount >= 0.1 * MIB or amount < 512:
        return f"{value / MIB + 0.0:,.1f} MiB"
    return f"{value / KIB:,.0f} KiB"


def span(low: float, high: float, *, between: str = " and ") -> str:
    """Return the bounds of an interval in MiB, from bytes, with as many digits as they need.

    Examples
    --------
    >>> span(2588 * 2**20, 2764 * 2**20)
    '2,588 and 2,764'
    """
    digits = 0 if round(max(abs(low), abs(high)) / MIB, 1) >= 100 else 1
    first, last = (number(bound / MIB, digits) for bound in (low, high))
    return f"{first}{between}{last}"


def rate(value: float | None) -> str:
    """Return bytes a step in the unit that fits.

    Examples
    --------
    >>> rate(16 * 2**10), rate(3.5 * 2**20), rate(250.0), rate(18.4)
    ('16 KiB', '3.50 MiB', '0.244 KiB', '18 B')
    """
    if value is None or not math.isfinite(value):
        return "an unknown amount"
    if abs(value) >= MIB:
        return f"{value / MIB:,.2f} MiB"
    kib = value / KIB
    if abs(value) < _FEW_BYTES:
        return f"{value:.0f} B"
    return f"{kib:,.0f} KiB" if abs(kib) >= 100 else f"{kib:,.3g} KiB"


_FEW_BYTES = 100.0


def rates(values: Sequence[float]) -> list[str]:
    """Return a rate with the bounds of its interval: one unit, and digits enough to differ.

    Examples
    --------
    >>> rates([16384.0, 16380.0, 16389.0])
    ['16.000 KiB', '15.996 KiB', '16.005 KiB']
    >>> rates([3.5 * 2**20, 3 * 2**20, 4 * 2**20])
    ['3.50 MiB', '3.00 MiB', '4.00 MiB']
    """
    largest = max(map(abs, values))
    unit, name = (MIB, "MiB") if largest >= MIB else (KIB, "KiB")
    digits = max(0, 2 - math.floor(math.log10(max(largest / unit, 0.1))))
    for more in range(digits, digits + 4):
        said = [f"{number(value / unit, more)} {name}" for value in values]
        if len(set(said)) == len(set(values)):
            break
    return said


def seconds(value: float | None) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> seconds(0.0123), seconds(8.31), seconds(754)
    ('12 ms', '8.3 s', '12 min 34 s')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


class _Fields(string.Formatter):
    """Fills a template whose fields may name a formatter: ``{held:size}``."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in _FORMATS:
            return _FORMATS[format_spec](value)
        if value is None:
            return "unknown"
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return str(format(value, format_spec))


def _bounds(value: Sequence[float]) -> str:
    return span(value[0], value[1])


def _effect(value: Sequence[float]) -> str:
    """Return an effect, and its bounds where they are known, all in bytes."""
    if len(value) < 3:
        return size(value[0])
    return f"{size(value[0])} (95 % between {span(value[1], value[2])})"


def _listed(value: Sequence[Any], each: Callable[[Any], str]) -> str:
    *first, last = map(each, value)
    return f"{', '.join(first)} and {last}" if first else last


_FORMATS: dict[str, Callable[[Any], str]] = {
    "size": size,
    "rate": rate,
    "seconds": seconds,
    "number": number,
    "span": _bounds,
    "percent": lambda value: f"{100 * value:.0f} %",
    "count": lambda value: f"{value:,.0f}",
    "effect": _effect,
    "sizes": lambda value: _listed(value, size),
    "counts": lambda value: _listed(value, lambda each: f"{each:,.0f}"),
}


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template's fields, ``{name}`` or ``{name:FORMAT}``.

    Parameters
    ----------
    template
        FORMAT is ``size``, ``rate`` (bytes), ``seconds``, ``number``, ``span`` (two bytes),
        ``effect`` (bytes, and maybe two bounds), ``percent``, ``count``, ``sizes`` and ``counts``
        (several), or Python's own.
    values
        By name.

    Examples
    --------
    >>> fill("{held:size} in {n} caches", {"held": 3 * 2**20, "n": 2})
    '3.0 MiB in 2 caches'
    """
    return _Fields().vformat(template, (), values)
