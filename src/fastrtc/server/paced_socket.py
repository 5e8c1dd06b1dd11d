"""uvicorn's WebSocket protocol, with a share of the event loop for every client instead of as much as it asks for.

uvicorn reads 256 kB from a connection at once and takes all frames in it apart before anything else happens on the
loop: for tiny frames that is 43,000 of them and a third of a second, in which nobody's audio is sent. Here a client's
bytes are taken apart in slices. A client that keeps within its share never waits for that; the slices of all others go
through one :class:`Turnstile`, in turns, and together have a quarter of the loop's time.

``fastrtc serve`` uses it; for an app that you serve with uvicorn yourself::

    uvicorn app:app --ws fastrtc.server.paced_socket:PacedWebSocketProtocol --ws-per-message-deflate false
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fastrtc.server.quiet_socket import QuietWebSocketProtocol
from fastrtc.transports.meter import Meter

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport

# 340 frames of the smallest kind, three milliseconds; six frames of 20 ms of audio at 24 kHz.
SLICE_BYTES = 2_048
# A client's share of the loop: the thread's seconds a second, and at once. A real-time client takes a tenth of it.
SHARE = 0.05
BURST_S = 0.005
# For every second that the turnstile's clients take, others have this many.
REST = 3.0
MAX_UNSENT_BYTES = 262_144
UNSENT_WAIT_S = 0.05
MAX_FRAGMENTS = 10_000
CLOSE_TIMEOUT_S = 2.0
POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class Turnstile:
    """Lets one through at a time, and rests for longer than that took. One loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Callable[[], None]] = deque()
        self._is_due = False

    def enter(self, call: Callable[[], None]) -> None:
        """Call when all who came before have been called."""
        self._queue.append(call)
        self._go_on(0.0)

    def _go_on(self, rest_s: float) -> None:
        if self._queue and not self._is_due:
            self._is_due = True
            self._loop.call_later(rest_s, self._next)

    def _next(self) -> None:
        self._is_due = False
        begin_s = time.thread_time()
        try:
            self._queue.popleft()()
        finally:
            self._go_on(REST * (time.thread_time() - begin_s))


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()


class _Transport:
    """A transport that is read while both uvicorn and the pace want it."""

    def __init__(self, inner: Any, on_resume: Callable[[], None]) -> None:
        self._inner = inner
        self._on_resume = on_resume
        self._is_reading = True
        self.is_wanted = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def pause_reading(self) -> None:
        self.is_wanted = False
        self.read(False)

    def resume_reading(self) -> None:
        self.is_wanted = True
        self._on_resume()

    def read(self, wanted: bool) -> None:
        """Read from the connection, or leave what comes in the system's buffer."""
        if wanted != self._is_reading and not self._inner.is_closing():
            self._is_reading = wanted
            (self._inner.resume_reading if wanted else self._inner.pause_reading)()


class PacedWebSocketProtocol(QuietWebSocketProtocol):
    """See the module; arguments are uvicorn's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.close_timeout = CLOSE_TIMEOUT_S
        self._paced: _Transport | None = None
        self._waiting = bytearray()
        self._share = Meter(SHARE, BURST_S)
        self._is_queued = False
        self._turnstile = _turnstiles.get(self.loop) or _turnstiles.setdefault(self.loop, Turnstile(self.loop))

    def connection_made(self, transport: BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        self._paced = _Transport(transport, self._go_on)
        self.transport = self._paced  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._waiting.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if not self._waiting and len(data) <= SLICE_BYTES and self._share.owe(0.0) == 0.0 and not self.close_sent:
            self._take_apart(data)
        else:
            self._waiting += data
            self._go_on()

    def _go_on(self) -> None:
        """Read on, or have the next slice taken apart when it is this client's turn."""
        paced = self._paced
        if paced is None or self._is_queued:
            return
        if not self._waiting:
            paced.read(paced.is_wanted)
            return
        paced.read(False)
        if paced.is_wanted:
            self._is_queued = True
            if self.close_sent or paced.get_write_buffer_size() > MAX_UNSENT_BYTES:
                # Nobody waits for it, or it does not take the answers to what it sends.
                self.loop.call_later(UNSENT_WAIT_S, self._next_slice)
            else:
                self._turnstile.enter(self._next_slice)

    def _next_slice(self) -> None:
        self._is_queued = False
        data = bytes(self._waiting[:SLICE_BYTES])
        del self._waiting[:SLICE_BYTES]
        if data:
            self._take_apart(data)
        self._go_on()

    def _take_apart(self, data: bytes) -> None:
        begin_s = time.thread_time()
        super().data_received(data)
        self._share.owe(time.thread_time() - begin_s)
        if len(self.frames) > MAX_FRAGMENTS and not self.close_sent:
            self._waiting.clear()
            self.break_off(POLICY_VIOLATION, "too many fragments")
