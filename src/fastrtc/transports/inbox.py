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
    """

    def __init__(self, rate_hz: int, max_ms: int = 5_000) -> None:
        self._max_samples = rate_hz * max_ms // 1000
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
        with self._lock:
            self._blocks.append(pcm)
            self._samples += pcm.size
            while self._samples > self._max_samples and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._samples -= oldest.size
                self._dropped += oldest.size

    def take(self) -> PCM | None:
        """Everything since the last call, or None."""
        if not self._blocks:
            return None
        with self._lock:
            blocks, self._blocks = self._blocks, deque()
            self._samples = 0
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
