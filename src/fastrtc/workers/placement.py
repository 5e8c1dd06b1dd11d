"""Which worker serves which session. Pure: time is an argument, in seconds.

::

    claim      made by                              ends
    expected   the front sent an offer, or asked    when the session opens; else after EXPECTED_S
    open       the worker: the session was made     when the worker says that it is over, or is gone itself
    left       the session is over                  after LEFT_S, in which its last outputs can be fetched
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

EXPECTED_S = 60.0
LEFT_S = 15.0
ARRIVING_S = 5.0
MAX_CLAIMS = 20_000


class State(Enum):
    """See the module."""

    EXPECTED = "expected"
    OPEN = "open"
    LEFT = "left"


@dataclass(slots=True)
class _Claim:
    worker: int
    state: State
    until_s: float | None
    counts: bool


class Placement:
    """The claims of workers on session ids, and the load that they are."""

    def __init__(self) -> None:
        self._claims: dict[str, _Claim] = {}
        self._open: dict[int, int] = {}
        self._arriving: dict[int, deque[float]] = {}
        self._last_used: dict[int, int] = {}
        self._uses = 0

    def __len__(self) -> int:
        return len(self._claims)

    def owner(self, session_id: str, now_s: float) -> int | None:
        """The worker that has, expects or has just had this session."""
        claim = self._claims.get(session_id)
        if claim is None:
            return None
        if claim.until_s is not None and claim.until_s <= now_s:
            self._drop(session_id)
            return None
        return claim.worker

    def sessions(self, worker: int) -> int:
        """How many sessions a worker has."""
        return self._open.get(worker, 0)

    def load(self, worker: int, now_s: float) -> int:
        """How many sessions a worker has or is about to get."""
        arriving = self._arriving.get(worker)
        while arriving and arriving[0] <= now_s:
            arriving.popleft()
        return self.sessions(worker) + (len(arriving) if arriving else 0)

    def place(self, workers: Iterable[int], now_s: float, session_id: str | None = None, *, opens: bool = True) -> int:
        """Choose the worker with the least load, among equals the one that was not chosen for longest.

        Args:
            workers: Those that may be chosen; at least one.
            now_s: The time.
            session_id: What the request is about; the worker is expected to open it.
            opens: Whether the request is likely to become a session, and counts as one for a while.
        """
        chosen = min(workers, key=lambda worker: (self.load(worker, now_s), self._last_used.get(worker, 0)))
        self._uses += 1
        self._last_used[chosen] = self._uses
        if session_id is not None:
            self._make_room(now_s)
            self._claims[session_id] = _Claim(chosen, State.EXPECTED, now_s + EXPECTED_S, opens)
        if opens:
            self._arriving.setdefault(chosen, deque()).append(now_s + ARRIVING_S)
        return chosen

    def opened(self, worker: int, session_id: str, now_s: float) -> bool:
        """A worker has made a session; False if another worker has one of that id, which then has to be ended."""
        claim = self._claims.get(session_id)
        if claim is not None and claim.state is State.OPEN:
            return claim.worker == worker
        if claim is None or claim.counts or claim.worker != worker:
            arriving = self._arriving.get(worker)
            if arriving:
                arriving.popleft()
        self._claims[session_id] = _Claim(worker, State.OPEN, None, True)
        self._open[worker] = self.sessions(worker) + 1
        return True

    def closed(self, worker: int, session_id: str, now_s: float) -> None:
        """A worker's session is over."""
        claim = self._claims.get(session_id)
        if claim is None or claim.worker != worker or claim.state is not State.OPEN:
            return
        self._open[worker] -= 1
        self._claims[session_id] = _Claim(worker, State.LEFT, now_s + LEFT_S, False)

    def forget(self, worker: int) -> int:
        """A worker is gone; the number of sessions that went with it."""
        for session_id in [key for key, claim in self._claims.items() if claim.worker == worker]:
            del self._claims[session_id]
        self._arriving.pop(worker, None)
        return self._open.pop(worker, 0)

    def _make_room(self, now_s: float) -> None:
        if len(self._claims) < MAX_CLAIMS:
            return
        idle = [key for key, claim in self._claims.items() if claim.until_s is not None]
        over = [key for key in idle if (self._claims[key].until_s or 0.0) <= now_s]
        for session_id in over or idle[: MAX_CLAIMS // 10]:
            self._drop(session_id)

    def _drop(self, session_id: str) -> None:
        del self._claims[session_id]
