"""The lock around the engine: n permits, waiters first come first served, handed over."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Permits"]


class Permits:
    """Permits to synthesize.

    A release hands its permit to the longest waiter; it is never free in between, so nobody can
    overtake. asyncio's own semaphore cannot be used: `resume_all`, the app's fault, has no
    counterpart in it.

    Parameters
    ----------
    n
        How many may be held at once. The app's flag is one permit.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._taken = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Take a permit, waiting for one if all are taken."""
        if self._taken < self._n:
            self._taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # it had just been handed over: the next one gets it
            raise  # otherwise the next release passes over this waiter

    def release(self) -> None:
        """Hand the permit to the longest waiter, or free it if nobody waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        # After resume_all more releases come than permits were counted.
        self._taken = max(0, self._taken - 1)

    def resume_all(self) -> None:
        """Resume every waiter and count every permit as free: the app's fault.

        Those resumed run beside the holders, and the next to come finds the lock open, too.
        """
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
        self._taken = 0
