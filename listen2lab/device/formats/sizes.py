"""Numbers as people's tools print them: units B, K, M, G, thousands and decimal commas."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["MOST_BYTES", "read_count", "read_number", "read_size"]

MOST_BYTES = 2**50
"""More than a pebibyte is no size of anything here: it is a damaged number. Reserved address space
reaches some tebibytes, so the limit is not lower."""

_FACTORS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = re.compile(
    r"([+-]?[\d.,'\u2019\u00a0\u202f]*\d)\s?([BKMGTP]?)(?:i?B)?(?:ytes)?\Z", re.IGNORECASE
)
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_GROUPS = re.compile(r"\d{1,3}(?:([.,'\u2019\u00a0\u202f])\d{3})(?:\1\d{3})*\Z")


def read_number(text: str) -> float | None:
    """Return a number written with a point or a comma, with or without thousands marks.

    Parameters
    ----------
    text
        ``1234.5``, ``1,234.5``, ``1.234,5``, ``1 234,5`` (no-break spaces) or ``2290,0``. A single
        comma before three digits marks thousands, as in ``12,345``; a single point is a decimal
        point always.

    Returns
    -------
    float or None
        None for anything that is no number.
    """
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    body = text.lstrip("+-")
    if not body or len(body) > 40 or not body[0].isdigit():
        return None
    for mark in "'\u2019\u00a0\u202f":
        body = body.replace(mark, "")
    if "," in body and "." in body:
        thousands = "," if body.rindex(".") > body.rindex(",") else "."
        body = body.replace(thousands, "")
    elif "," in body and (body.count(",") > 1 or _GROUPS.match(body)):
        if not _GROUPS.match(body):
            return None
        body = body.replace(",", "")
    elif body.count(".") > 1:
        if not _GROUPS.match(body):
            return None
        body = body.replace(".", "")
    body = body.replace(",", ".")
    return sign * float(body) if _PLAIN.match(body) else None


def read_count(text: str) -> int | None:
    """Return a count as an integer, or None for anything that is none, or negative."""
    value = read_number(text)
    return None if value is None or value < 0 else int(value)


@lru_cache(maxsize=8192)  # a report prints few sizes many times
def read_size(text: str, unit: str = "") -> int | None:
    """Return bytes, or None for anything that is no size between 0 and `MOST_BYTES`.

    Parameters
    ----------
    text
        A number with B, K, M, G, T or P, or ``KB``, ``MiB``, ...; every unit is a power of 1024, as
        in the tools of macOS and Android.
    unit
        What a number without a unit is in.
    """
    match = _SIZE.match(text.strip())
    if match is None:
        return None
    value = read_number(match[1])
    if value is None:
        return None
    size = value * _FACTORS[(match[2] or unit).upper()]
    return round(size) if 0 <= size <= MOST_BYTES else None
