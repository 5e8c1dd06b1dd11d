"""Cuts a session's audio into the 20 ms frames that ``receive`` gets."""

from __future__ import annotations

from collections import deque

import numpy as np

from fastrtc.audio import PCM
from fastrtc.handlers.base import FRAMES_PER_SECOND, AudioFrame, Layout

MAX_WAITING_FRAMES = 2 * FRAMES_PER_SECOND


class FrameQueue:
    """Frames that wait for ``receive``; when it cannot keep up, the oldest are dropped and counted.

    One thread adds, another takes.
    """

    def __init__(self, rate_hz: int, layout: Layout) -> None:
        self._rate_hz = rate_hz
        self._layout = layout
        self._size = rate_hz // FRAMES_PER_SECOND
        self._left: PCM = np.zeros(0, np.int16)
        self._frames: deque[PCM] = deque(maxlen=MAX_WAITING_FRAMES)
        self.dropped = 0

    def add(self, pcm: PCM) -> bool:
        """Add samples; whether a frame is waiting now."""
        left = np.concatenate([self._left, pcm]) if self._left.size else pcm
        whole = left.size // self._size
        for i in range(whole):
            if len(self._frames) == MAX_WAITING_FRAMES:
                self.dropped += 1
            self._frames.append(left[i * self._size : (i + 1) * self._size])
        self._left = left[whole * self._size :]
        return bool(self._frames)

    def take(self) -> AudioFrame | None:
        """The oldest frame, ``(rate, int16 array of shape (1, n))``; ``(2, n)`` for the layout ``"stereo"``."""
        try:
            frame = self._frames.popleft()
        except IndexError:
            return None
        channels = 2 if self._layout == "stereo" else 1
        return self._rate_hz, np.repeat(frame.reshape(1, -1), channels, axis=0)
