"""What came over a WebSocket and is to be heard, and how much of it has been."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from fastrtc.audio import PCM
from fastrtc.wire.messages import PlayoutReport


class Playback:
    """A playback buffer that knows whose turn it plays, as a page has one. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chunks: deque[tuple[int, PCM]] = deque()
        self._turn = 0
        self._playing = 0
        self._played_samples = 0
        self._told = (0, 0)

    def start_turn(self, turn: int) -> None:
        """All that is pushed from now on belongs to this reply."""
        with self._lock:
            self._turn = turn

    def push(self, pcm: PCM) -> None:
        """Play it after all that came before."""
        with self._lock:
            self._chunks.append((self._turn, pcm))

    def clear(self) -> None:
        """Drop what has not been played."""
        with self._lock:
            self._chunks.clear()

    def take(self, samples: int) -> PCM | None:
        """What is to be heard next, at most so much; None if there is nothing."""
        parts: list[PCM] = []
        with self._lock:
            while samples and self._chunks:
                turn, pcm = self._chunks.popleft()
                part, rest = pcm[:samples], pcm[samples:]
                if len(rest):
                    self._chunks.appendleft((turn, rest))
                if turn != self._playing:
                    self._playing, self._played_samples = turn, 0
                self._played_samples += len(part)
                samples -= len(part)
                parts.append(part)
        return np.concatenate(parts) if parts else None

    def report(self, rate_hz: int) -> PlayoutReport | None:
        """What the server is to know about the reply that was played last; None if it knows it.

        Args:
            rate_hz: Of the samples.
        """
        with self._lock:
            played = self._playing, self._played_samples
            if played == self._told or not self._playing:
                return None
            self._told = played
        return PlayoutReport(played[0], round(1000 * played[1] / rate_hz, 1))
