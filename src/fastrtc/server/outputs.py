"""Additional outputs on their way from handlers to the app: one bounded queue for each session."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from fastrtc.outputs import AdditionalOutputs

MAX_OUTPUTS = 1_000
UNKNOWN_SESSION_TIMEOUT_S = 60.0
KEEP_LEFT_S = 10.0
_REMEMBERED_ENDS = 256


class OutputQueue:
    """The outputs of one session. :meth:`put` and :meth:`end` from any thread, the rest on the app's loop.

    Args:
        max_items: What is kept while nobody fetches; the oldest goes first.
    """

    def __init__(self, max_items: int = MAX_OUTPUTS) -> None:
        self._items: deque[AdditionalOutputs] = deque(maxlen=max_items)
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._ended = False
        self.has_session = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def ended(self) -> bool:
        """Whether the session is over and nothing more will come."""
        return self._ended

    def put(self, outputs: AdditionalOutputs) -> None:
        """Append the outputs of one yield."""
        with self._lock:
            self._items.append(outputs)
        self._wake()

    def end(self) -> None:
        """Nothing more will come; whoever waits is told."""
        self._ended = True
        self._wake()

    async def get(self) -> AdditionalOutputs | None:
        """The oldest outputs, as soon as there are any; None once the session is over and all were taken."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(waiter)
        try:
            while True:
                waiter[1].clear()
                with self._lock:
                    if self._items:
                        return self._items.popleft()
                if self._ended:
                    return None
                await waiter[1].wait()
        finally:
            with self._lock:
                self._waiting.discard(waiter)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


class QueuedOutputs:
    """Puts outputs where ``output_stream`` and ``fetch_latest_output`` find them; any thread may call it.

    Args:
        queues: Of the sessions.
        session_id: Whose queue is meant; without that session, outputs are dropped.
    """

    def __init__(self, queues: Mapping[str, OutputQueue], session_id: str) -> None:
        self._queues = queues
        self._session_id = session_id

    def __call__(self, outputs: AdditionalOutputs) -> None:
        queue = self._queues.get(self._session_id)
        if queue is not None:
            queue.put(outputs)


async def pass_on(outputs: AsyncIterator[AdditionalOutputs], take: Callable[[AdditionalOutputs], None]) -> None:
    """Give each to ``take`` as it comes."""
    async for one in outputs:
        take(one)


class OutputQueues(Mapping[str, OutputQueue]):
    """The queues by session id; an app may listen before the session exists."""

    def __init__(
        self, unknown_session_timeout_s: float = UNKNOWN_SESSION_TIMEOUT_S, keep_left_s: float = KEEP_LEFT_S
    ) -> None:
        self._queues: dict[str, OutputQueue] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_ENDS)
        self._left: dict[str, OutputQueue] = {}
        self._unknown_session_timeout_s = unknown_session_timeout_s
        self._keep_left_s = keep_left_s

    def __getitem__(self, session_id: str) -> OutputQueue:
        return self._queues[session_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queues)

    def __len__(self) -> int:
        return len(self._queues)

    def open(self, session_id: str) -> OutputQueue:
        """The queue of a session that begins."""
        if session_id in self._ended:
            self._ended.remove(session_id)
        self._left.pop(session_id, None)
        queue = self._queues.get(session_id)
        if queue is not None and queue.has_session:
            # Of a session that is being given up: whoever has its id now is somebody else.
            queue.end()
            queue = None
        queue = OutputQueue() if queue is None else queue
        queue.has_session = True
        self._queues[session_id] = queue
        return queue

    def close(self, session_id: str) -> None:
        """The session is over: what it left can still be read by those who listen, and once by who asks soon after."""
        queue = self._queues.pop(session_id, None)
        if queue is not None:
            queue.end()
            self._ended.append(session_id)
            if len(queue) and not queue.wanted:
                self._left[session_id] = queue
                asyncio.get_running_loop().call_later(self._keep_left_s, self._drop_left, session_id, queue)

    async def listen(self, session_id: str) -> AsyncIterator[AdditionalOutputs]:
        """The outputs of a session until it ends; of one that has ended, those that nobody has read.

        For an id without a session it waits a minute for one to begin.
        """
        left = self._left.pop(session_id, None)
        if session_id in self._ended and left is None:
            return
        queue = self._queues.setdefault(session_id, OutputQueue()) if left is None else left
        try:
            while True:
                timeout_s = None if queue.has_session else self._unknown_session_timeout_s
                try:
                    async with asyncio.timeout(timeout_s):
                        outputs = await queue.get()
                except TimeoutError:
                    if queue.has_session:
                        continue
                    return
                if outputs is None:
                    return
                yield outputs
        finally:
            self._forget_unused(session_id, queue)

    async def fetch(self, session_id: str, timeout_s: float) -> AdditionalOutputs:
        """The oldest outputs that were not fetched yet.

        Raises:
            TimeoutError: None came in time, or the session is over.
        """
        if session_id in self._ended:
            raise TimeoutError(f"the session {session_id!r} is over")
        queue = self._queues.setdefault(session_id, OutputQueue())
        try:
            async with asyncio.timeout(timeout_s):
                outputs = await queue.get()
        finally:
            self._forget_unused(session_id, queue)
        if outputs is None:
            raise TimeoutError(f"the session {session_id!r} is over")
        return outputs

    def _drop_left(self, session_id: str, queue: OutputQueue) -> None:
        if self._left.get(session_id) is queue:
            del self._left[session_id]

    def _forget_unused(self, session_id: str, queue: OutputQueue) -> None:
        if not queue.has_session and not queue.wanted and self._queues.get(session_id) is queue:
            del self._queues[session_id]
