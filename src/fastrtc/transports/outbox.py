"""Messages and audio on their way to a text socket, in the order in which they were given."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np

from fastrtc.audio import PCM

# Audio beyond this much of a head start is collected for a moment: fewer, larger messages.
_HEAD_START_S = 0.1
_COLLECT_S = 0.04
_MAX_BATCH_MS = 200


class Outbox:
    """Collects from any thread, sends from one task on the app loop.

    Args:
        send_text: Writes one text frame; may wait for as long as the peer does not read.
        encode_audio: Makes the text frame of some PCM (``int16``, 1-D).
        rate_hz: Sample rate of the audio.
        max_backlog_ms: Audio that may wait. More means that the peer does not read.
        max_backlog_bytes: The same for text messages.
    """

    def __init__(
        self,
        send_text: Callable[[str], Awaitable[None]],
        encode_audio: Callable[[PCM], str],
        rate_hz: int,
        *,
        max_backlog_ms: int = 10_000,
        max_backlog_bytes: int = 4_000_000,
    ) -> None:
        self._send_text = send_text
        self._encode_audio = encode_audio
        self._rate_hz = rate_hz
        self._max_samples = rate_hz * max_backlog_ms // 1000
        self._max_bytes = max_backlog_bytes
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._items: deque[str | PCM] = deque()
        self._samples = 0
        self._bytes = 0
        self._call_pending = False
        self._closed = False
        self._play_until_s = 0.0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.overflow: asyncio.Future[None] = self._loop.create_future()

    def put_text(self, text: str) -> None:
        """Queue a message. Any thread."""
        with self._lock:
            if self._closed:
                return
            self._items.append(text)
            self._bytes += len(text)
            too_much = self._bytes > self._max_bytes
        self._call(self._overflow if too_much else self._wake_up)

    def put_audio(self, pcm: PCM) -> None:
        """Queue audio. Any thread."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return
            ahead_s = self._play_until_s - now
            self._play_until_s = max(now, self._play_until_s) + pcm.size / self._rate_hz
            self._items.append(pcm)
            self._samples += pcm.size
            too_much = self._samples > self._max_samples
            if self._call_pending and not too_much:
                return
            self._call_pending = True
        if too_much:
            self._call(self._overflow)
        else:
            self._call(self._wake_up if ahead_s < _HEAD_START_S else self._wake_later)

    def drop_audio(self) -> int:
        """Take back the audio that has not been sent; the peer is being told to drop the rest. Any thread.

        Returns:
            Samples that were still here.
        """
        with self._lock:
            dropped, self._samples = self._samples, 0
            self._items = deque(item for item in self._items if isinstance(item, str))
            self._call_pending = False
            self._play_until_s = 0.0
        return dropped

    def ahead_ms(self) -> float:
        """How long a peer that plays at once still has audio, from now on."""
        return max(0.0, self._play_until_s - time.monotonic()) * 1000.0

    async def run(self) -> None:
        """Send until cancelled. What ``send_text`` raises is raised here."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (text := self._next()) is not None:
                await self._send_text(text)
            self._empty.set()

    async def drained(self) -> None:
        """Wait until everything has been handed to the socket."""
        self._wake_up()
        await self._empty.wait()

    def close(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._closed = True

    def _next(self) -> str | None:
        with self._lock:
            self._call_pending = False
            if not self._items:
                return None
            first = self._items.popleft()
            if isinstance(first, str):
                self._bytes -= len(first)
                return first
            blocks = [first]
            size, most = first.size, self._rate_hz * _MAX_BATCH_MS // 1000
            while self._items and isinstance(block := self._items[0], np.ndarray) and size + block.size <= most:
                blocks.append(block)
                size += block.size
                self._items.popleft()
            self._samples -= size
        return self._encode_audio(np.concatenate(blocks) if len(blocks) > 1 else first)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The app's loop is gone, and with it the socket.
            self.close()

    def _wake_up(self) -> None:
        self._empty.clear()
        self._wake.set()

    def _wake_later(self) -> None:
        self._loop.call_later(_COLLECT_S, self._wake_up)

    def _overflow(self) -> None:
        if not self.overflow.done():
            self.overflow.set_result(None)
