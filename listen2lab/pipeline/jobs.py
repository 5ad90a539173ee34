"""One paragraph on its way through the engine, and how its task is awaited."""

from __future__ import annotations

import asyncio
from typing import TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from listen2lab.pipeline.synthesis import Speech

__all__ = ["Job", "retrieve", "to_the_end"]

_T = TypeVar("_T")


class Job:
    """A synthesis that was asked for.

    Parameters
    ----------
    paragraph, text
        What is synthesized.
    epoch
        The queue's count of changes to content, speed and voice when it was asked for.
    is_on_demand
        Whether somebody asked for it, rather than the look-ahead.

    Attributes
    ----------
    is_awaited : bool
        Whether somebody waits for it by now.
    is_running : bool
        Whether it has its permit; the engine cannot be interrupted any more.
    task : asyncio.Task
        Its way through the engine.
    """

    __slots__ = (
        "epoch", "is_awaited", "is_on_demand", "is_running", "paragraph", "task", "text",
    )  # fmt: skip

    def __init__(self, paragraph: int, text: str, epoch: int, *, is_on_demand: bool) -> None:
        self.paragraph = paragraph
        self.text = text
        self.epoch = epoch
        self.is_on_demand = is_on_demand
        self.is_awaited = is_on_demand
        self.is_running = False
        self.task: asyncio.Task[Speech | None]


async def to_the_end(work: Awaitable[_T]) -> _T:
    """Await what a thread does. A cancellation waits for it: the thread cannot be stopped."""
    future = asyncio.ensure_future(work)
    is_cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    return future.result()


def retrieve(task: asyncio.Task[Speech | None]) -> None:
    """Look at what ended a task, so that asyncio does not complain when nobody waited for it."""
    if not task.cancelled():
        task.exception()
