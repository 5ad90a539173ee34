"""Which lengths the engine has made before: each new one is a new input shape to it."""

from __future__ import annotations

__all__ = ["SeenLengths"]


class SeenLengths:
    """Lengths seen so far, in constant memory: a set would grow with the run, and be measured.

    One bit for each multiple of 256 samples, which is a Piper voice's hop: 64 KiB for all lengths
    up to 1.6 hours.
    """

    _BITS = 1 << 19
    _HOP = 256

    def __init__(self) -> None:
        self._seen = bytearray(self._BITS // 8)

    def add(self, n_samples: int) -> bool:
        """Note a length; True when it is new."""
        place = n_samples // self._HOP % self._BITS
        byte, bit = place // 8, 1 << place % 8
        is_new = not self._seen[byte] & bit
        self._seen[byte] |= bit
        return is_new
