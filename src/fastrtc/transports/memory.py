"""A connection inside the process: for tests and simulations."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import Any

import numpy as np

from fastrtc.audio import PCM


class MemoryLink:
    """A :class:`fastrtc.link.MediaLink` whose other end is the test.

    Args:
        rate_in_hz: Of what :meth:`push` takes.
        rate_out_hz: Of what :meth:`take` gives.
        lead_ms: As of a link whose client buffers.
        delay_ms: What :meth:`playout_delay_ms` answers.

    Attributes:
        messages: Every text message that the session sent, in order.
        flushes: How often the session took back what the client had not heard.
        closed: Whether the session has ended the connection.
    """

    def __init__(
        self, rate_in_hz: int = 16_000, rate_out_hz: int = 24_000, *, lead_ms: int = 0, delay_ms: float = 0.0
    ) -> None:
        self.rate_in_hz = rate_in_hz
        self.rate_out_hz = rate_out_hz
        self.lead_ms = lead_ms
        self.messages: list[str] = []
        self.flushes = 0
        self.closed = False
        self._delay_ms = delay_ms
        self._lock = threading.Lock()
        self._incoming: deque[PCM] = deque()
        self._outgoing: list[PCM] = []
        self._silent_ticks = 0

    def push(self, pcm: PCM) -> None:
        """The client speaks: ``int16``, shape ``(n,)``, any length."""
        with self._lock:
            self._incoming.append(np.asarray(pcm, dtype=np.int16))

    def take(self) -> PCM:
        """Everything the session played since the last call; nothing for the ticks in which it played nothing."""
        with self._lock:
            blocks, self._outgoing = self._outgoing, []
            self._silent_ticks = 0
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    @property
    def silent_ticks(self) -> int:
        """Ticks without audio since the last :meth:`take`."""
        return self._silent_ticks

    def parsed_messages(self) -> list[dict[str, Any]]:
        """:attr:`messages` as JSON objects."""
        return [json.loads(message) for message in self.messages]

    def read(self) -> PCM | None:
        with self._lock:
            if not self._incoming:
                return None
            blocks, self._incoming = self._incoming, deque()
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]

    def write(self, pcm: PCM | None) -> None:
        with self._lock:
            if pcm is None:
                self._silent_ticks += 1
            else:
                self._outgoing.append(pcm.copy())

    def flush(self) -> bool:
        self.flushes += 1
        return False

    def send(self, message: str) -> None:
        self.messages.append(message)

    def playout_delay_ms(self) -> float:
        return self._delay_ms

    async def close(self) -> None:
        self.closed = True
