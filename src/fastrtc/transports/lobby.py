"""Sockets that are open and have not said yet what they want."""

from __future__ import annotations

from collections.abc import Callable


class Lobby:
    """Holds the newest few; an older one has to go.

    Args:
        size: How many may wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: dict[object, Callable[[str], None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, socket: object, hang_up: Callable[[str], None]) -> None:
        """A socket waits; the oldest is hung up if it is one too many."""
        self._waiting[socket] = hang_up
        if len(self._waiting) > self._size:
            oldest = next(iter(self._waiting))
            self._waiting.pop(oldest)("too_many_pending_connections")

    def leave(self, socket: object) -> None:
        """It waits no more; one that does not wait is no error."""
        self._waiting.pop(socket, None)
