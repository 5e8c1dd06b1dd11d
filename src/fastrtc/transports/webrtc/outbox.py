"""Text messages on their way to a data channel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

MAX_QUEUED = 2_000


class Outbox:
    """Keeps messages in order until the channel is open, and hands them over on the loop's thread.

    Args:
        loop: Where the channel may be used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[str] = deque()
        self._deliver: Callable[[str], None] | None = None
        self._closed = False
        self._warned = False

    def send(self, text: str) -> None:
        """Queue a message. Any thread; after :meth:`close` it is dropped."""
        if self._closed:
            return
        if len(self._queue) >= MAX_QUEUED:
            if not self._warned:
                self._warned = True
                _log.warning("a client does not take its messages: %d are waiting, more are dropped", MAX_QUEUED)
            return
        self._queue.append(text)
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop has ended, and the connection with it
            self.close()

    def open(self, deliver: Callable[[str], None]) -> None:
        """Start to deliver. Loop thread."""
        self._deliver = deliver
        self._drain()

    def close(self) -> None:
        """Drop what is waiting and all that comes. Any thread."""
        self._closed = True
        self._deliver = None
        self._queue.clear()

    def _drain(self) -> None:
        while self._deliver is not None and self._queue:
            self._deliver(self._queue.popleft())
