"""Text messages on their way to a data channel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

MAX_QUEUED = 2_000
MAX_QUEUED_CHARS = 4_000_000


class Outbox:
    """Keeps messages in order until the channel is open, and hands them over on the loop's thread.

    Args:
        loop: Where the channel may be used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[str] = deque()
        self._chars = 0
        self._deliver: Callable[[str], None] | None = None
        self._closed = False
        self._warned = False

    def send(self, text: str) -> None:
        """Queue a message. Any thread; after :meth:`close` it is dropped."""
        if self._closed:
            return
        if len(self._queue) >= MAX_QUEUED or self._chars + len(text) > MAX_QUEUED_CHARS:
            self.warn("%d messages are waiting", len(self._queue))
            return
        self._queue.append(text)
        self._chars += len(text)
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop has ended, and the connection with it
            self.close()

    def warn(self, why: str, *facts: object) -> None:
        """Say, once for each connection, that messages are dropped."""
        if not self._warned:
            self._warned = True
            _log.warning(f"a client does not take its messages, some are dropped: {why}", *facts)

    def open(self, deliver: Callable[[str], None]) -> None:
        """Start to deliver. Loop thread."""
        self._deliver = deliver
        self._drain()

    def close(self) -> None:
        """Drop what is waiting and all that comes. Any thread."""
        self._closed = True
        self._deliver = None
        self._queue.clear()
        self._chars = 0

    def _drain(self) -> None:
        while self._deliver is not None and self._queue:
            text = self._queue.popleft()
            self._chars -= len(text)
            self._deliver(text)
        if not self._queue:
            # Threads that add to it at the same moment may have miscounted.
            self._chars = 0
