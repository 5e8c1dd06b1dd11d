"""Which sessions exist, and whether there is room for one more.

::

    state      takes a place of the limit   becomes
    pending    no                           connected (the connection is up), or is dropped after 30 s
    connected  yes                          lost, when nothing comes from the client; gone, when its session has closed
    lost       until somebody wants it      connected (the network came back), or gone

An offer is refused while all places are taken. Of two pending connections that race for the last place the first that
connects gets it. Pending ones are bounded, too: a flood of offers drops the oldest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastrtc.errors import SignalingError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PENDING_TIMEOUT_S = 30.0


@dataclass(slots=True)
class _Entry(Generic[T]):
    session: T
    connected: bool
    lost: bool = False
    timer: asyncio.TimerHandle | None = None


class Registry(Mapping[str, T]):
    """The live sessions by id; a read-only mapping to the outside. App loop only.

    Args:
        limit: Places.
        drop: Closes a session that never connected, or was lost and has to make room, with the reason.
        pending_limit: Pending connections that may exist at once.
        pending_timeout_s: How long one may stay pending.

    Attributes:
        admits: Whether new sessions may come; those that are connecting already may in either case.
    """

    def __init__(
        self,
        limit: int,
        drop: Callable[[T, str], Awaitable[None]],
        *,
        pending_limit: int | None = None,
        pending_timeout_s: float = PENDING_TIMEOUT_S,
    ) -> None:
        self.limit = limit
        self._drop = drop
        self._pending_limit = pending_limit if pending_limit is not None else limit + 32
        self._pending_timeout_s = pending_timeout_s
        self._entries: dict[str, _Entry[T]] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        self.admits = True

    def __getitem__(self, session_id: str) -> T:
        return self._entries[session_id].session

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def connected_ids(self) -> list[str]:
        """Ids of the sessions that take a place."""
        return [session_id for session_id, entry in self._entries.items() if entry.connected]

    def check(self, session_id: str) -> None:
        """Whether a new session may come.

        Raises:
            SignalingError: ``connection_already_exists``, ``server_draining`` or ``concurrency_limit_reached``.
        """
        if session_id in self._entries:
            raise SignalingError("connection_already_exists")
        if not self.admits:
            raise SignalingError("server_draining")
        if sum(entry.connected and not entry.lost for entry in self._entries.values()) >= self.limit:
            raise SignalingError("concurrency_limit_reached", limit=self.limit)

    def add_connected(self, session_id: str, session: T) -> None:
        """Give a place to a session whose connection is up.

        Raises:
            SignalingError: As of :meth:`check`.
        """
        self.check(session_id)
        self._make_room()
        self._entries[session_id] = _Entry(session, connected=True)

    def add_pending(self, session_id: str, session: T) -> None:
        """Note a session whose connection is being made.

        Raises:
            SignalingError: As of :meth:`check`.
        """
        self.check(session_id)
        pending = [other for other, entry in self._entries.items() if not entry.connected]
        for other in pending[: len(pending) - self._pending_limit + 1]:
            self._expire(other, "too_many_pending_connections")
        timer = asyncio.get_running_loop().call_later(
            self._pending_timeout_s, self._expire, session_id, "connection_timeout"
        )
        self._entries[session_id] = _Entry(session, connected=False, timer=timer)

    def connect(self, session_id: str) -> None:
        """A pending connection is up.

        Raises:
            SignalingError: ``concurrency_limit_reached``, when others were faster; or ``unknown_connection``.
        """
        entry = self._entries.get(session_id)
        if entry is None:
            raise SignalingError("unknown_connection")
        if entry.connected:
            return
        self._make_room()
        entry.connected = True
        self._stop_timer(entry)

    def mark_lost(self, session_id: str, lost: bool) -> None:
        """Nothing comes from a client any more, or it is there again; unknown ids are no error."""
        entry = self._entries.get(session_id)
        if entry is not None:
            entry.lost = lost

    async def dropped(self) -> None:
        """Wait until those that were dropped are closed."""
        if self._dropping:
            await asyncio.wait(self._dropping)

    def _make_room(self) -> None:
        """Take the place of a lost client if there is no free one.

        Raises:
            SignalingError: ``concurrency_limit_reached``.
        """
        taken = self.connected_ids
        if len(taken) < self.limit:
            return
        lost = next((session_id for session_id in taken if self._entries[session_id].lost), None)
        if lost is None:
            raise SignalingError("concurrency_limit_reached", limit=self.limit)
        self._expire(lost, "connection_lost")

    def remove(self, session_id: str) -> None:
        """Free the place; unknown ids are no error."""
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            self._stop_timer(entry)

    def _expire(self, session_id: str, reason: str) -> None:
        entry = self._entries.pop(session_id, None)
        if entry is None:
            return
        self._stop_timer(entry)
        logger.info("connection %s is dropped (%s)", session_id, reason)
        task = asyncio.ensure_future(self._drop(entry.session, reason))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    @staticmethod
    def _stop_timer(entry: _Entry[T]) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
