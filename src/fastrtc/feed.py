"""What a client is told that has said ``hello``: events and additional outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastrtc.wire.messages import ServerMessage, ServerOutput, SessionEvent, encode_server_message

MAX_WAITING = 64


class Feed:
    """Keeps messages until the client has said hello; all methods may be called on any thread.

    Over WebRTC media and messages come to life one after the other: a greeting may begin before the client's ``hello``
    arrives. Clients of FastRTC never say it; of what would have been theirs the first message alone is kept once there
    are more than ``MAX_WAITING``.

    Args:
        send: Takes a text message for the client; any thread, without waiting.
    """

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._waiting: list[ServerMessage] = []
        self._greeted = self._wants_events = self._full = False

    def tell(self, message: SessionEvent | ServerOutput) -> None:
        """Send a message, or keep it until the client has said hello."""
        with self._lock:
            if self._greeted:
                self._pass_on(message)
            elif not self._full:
                self._waiting.append(message)
                if len(self._waiting) > MAX_WAITING:
                    self._full = True
                    del self._waiting[1:]

    def greet(self, *, events: bool) -> None:
        """The client has said hello: it gets outputs from now on, and ``events`` too if it wants them or once did."""
        with self._lock:
            self._greeted = True
            self._wants_events = events or self._wants_events
            waiting, self._waiting = self._waiting, []
            for message in waiting:
                self._pass_on(message)

    def _pass_on(self, message: ServerMessage) -> None:
        if self._wants_events or not isinstance(message, SessionEvent):
            self._send(encode_server_message(message))
