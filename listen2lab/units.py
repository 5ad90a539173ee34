"""Bytes inside, MiB at the edge: the conversions, once."""

from __future__ import annotations

import re

from listen2lab.errors import InputError

__all__ = ["KIB", "MIB", "mib", "parse_bytes", "parse_seconds"]

KIB = 1024
MIB = 1024 * 1024

_FACTORS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


def mib(size: float) -> float:
    """Return bytes as MiB, to three decimals (a page is 0.004)."""
    return round(float(size) / MIB, 3)  # numpy's floats are no JSON


def parse_bytes(text: str) -> int:
    """Read a size such as ``2.5GB`` or ``800MiB``.

    Parameters
    ----------
    text
        A number and a unit; GB is 10⁹ bytes, GiB 2³⁰.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InputError
        This is no size, or it is not positive.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b)\s*", text, re.IGNORECASE)
    factor = None if match is None else _FACTORS.get(match[2].lower())
    if match is None or factor is None:
        raise InputError(f"{text!r} is no size; write it as 2.5GB (10⁹) or 800MiB (2²⁰)")
    size = int(float(match[1]) * factor)
    if size <= 0:
        raise InputError(f"a size of {text!r} is no limit; leave the option out for none")
    return size


def parse_seconds(text: str) -> float:
    """Read a time such as ``60s``, ``5m`` or ``2h``; a bare number is of seconds.

    Parameters
    ----------
    text
        A number and a unit.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    InputError
        This is no time, or it is zero.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text)
    seconds = 0.0 if match is None else float(match[1]) * {"m": 60, "h": 3600}.get(match[2], 1)
    if not seconds:
        raise InputError(f"{text!r} is no time; write it as 60s, 5m or 2h")
    return seconds
