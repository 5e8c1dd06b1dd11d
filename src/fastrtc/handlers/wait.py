"""Waiting for a queue without waiting for ever."""

from __future__ import annotations

import asyncio
from typing import TypeVar

Item = TypeVar("Item")


async def wait_for_item(queue: asyncio.Queue[Item], timeout: float = 0.1) -> Item | None:
    """Take the next item of a queue, or give up.

    For an ``async def emit`` that must come back now and then although it has nothing to play. An item is never lost:
    one that arrives as the time runs out is either returned or stays in the queue.

    Args:
        queue: Where the items come from.
        timeout: Longest wait, in seconds.

    Returns:
        The item, or None when there was none in time.
    """
    try:
        async with asyncio.timeout(timeout):
            return await queue.get()
    except TimeoutError:
        return None
