"""Received audio on its way from the app's event loop to the media clock."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from fastrtc.audio import PCM


class Inbox:
    """A bounded first-in-first-out buffer of PCM; safe between threads.

    Args:
        rate_hz: Sample rate of what is put in.
        max_ms: What is kept while nobody takes; older audio is dropped.
        max_take_ms: The most that is taken at once: what came in a burst must not cost the media clock one long tick.
    """

    def __init__(self, rate_hz: int, max_ms: int = 5_000, max_take_ms: int = 200) -> None:
        self._max_samples = rate_hz * max_ms // 1000
        self._max_taken = rate_hz * max_take_ms // 1000
        self._lock = threading.Lock()
        self._blocks: deque[PCM] = deque()
        self._samples = 0
        self._dropped = 0

    @property
    def dropped_samples(self) -> int:
        """Samples that were lost because nobody took them in time."""
        return self._dropped

    def put(self, pcm: PCM) -> None:
        """Append ``int16`` samples of shape ``(n,)``."""
        if pcm.size > self._max_samples:
            self._dropped += pcm.size - self._max_samples
            pcm = pcm[-self._max_samples :]
        with self._lock:
            self._blocks.append(pcm)
            self._samples += pcm.size
            while self._samples > self._max_samples:
                oldest = self._blocks.popleft()
                self._samples -= oldest.size
                self._dropped += oldest.size

    def take(self) -> PCM | None:
        """What came since the last call, as far as it may be taken at once, or None."""
        if not self._blocks:
            return None
        taken: list[PCM] = []
        room = self._max_taken
        with self._lock:
            while self._blocks and room > 0:
                block = self._blocks.popleft()
                if block.size > room:
                    self._blocks.appendleft(block[room:])
                    block = block[:room]
                taken.append(block)
                room -= block.size
            self._samples -= self._max_taken - room
        return np.concatenate(taken) if len(taken) > 1 else taken[0]
