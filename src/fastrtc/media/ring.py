"""The recent past of a call, addressed by sample position."""

from __future__ import annotations

import numpy as np

from fastrtc.audio import PCM


class AudioRing:
    """Append-only ``int16`` history. Positions count every sample ever appended, so a span stays valid as time goes on.

    Appending costs amortised constant time: the buffer has twice the room that it needs, and grows for a long turn and
    shrinks after it.

    Args:
        rate_hz: Samples per second.
        seconds: Room to begin with, and to come back to.
        max_seconds: Never more than this is held; the oldest samples go first.

    Raises:
        ValueError: ``max_seconds`` is less than one sample.
    """

    __slots__ = ("_buffer", "_end", "_initial", "_max_samples", "_offset", "_start")

    def __init__(self, rate_hz: int, seconds: float = 2.0, max_seconds: float = 600.0) -> None:
        self._max_samples = int(rate_hz * max_seconds)
        if self._max_samples < 1:
            raise ValueError(f"an AudioRing must hold at least one sample, got max_seconds={max_seconds!r}")
        self._initial = max(1, min(int(rate_hz * seconds), self._max_samples))
        self._buffer: PCM = np.empty(self._initial, np.int16)
        self._offset = 0
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample that is still held."""
        return self._start

    @property
    def end(self) -> int:
        """Position after the newest sample: how many were ever appended."""
        return self._end

    def append(self, pcm: PCM) -> None:
        """Add samples, shape ``(n,)``; they are copied."""
        size = pcm.size
        if self._end + size - self._start > self._max_samples:
            pcm = pcm[-self._max_samples :]
            self._end += size - pcm.size
            size = pcm.size
            self.keep_from(self._end + size - self._max_samples)
        filled = self._offset + self._end - self._start
        if filled + size > self._buffer.size:
            filled = self._make_room(size)
        self._buffer[filled : filled + size] = pcm
        self._end += size

    def slice(self, start: int, end: int) -> PCM:
        """Copy the samples from ``start`` to before ``end``.

        What is no longer held is left out at the beginning, so the copy may be shorter than ``end - start``.

        Raises:
            ValueError: ``end`` is before ``start`` or has not been received yet.
        """
        if not start <= end <= self._end:
            raise ValueError(f"no samples from {start} to {end}: {self._end} have been received")
        first = self._offset - self._start
        return self._buffer[first + max(start, self._start) : first + max(end, self._start)].copy()

    def keep_from(self, position: int) -> None:
        """Let go of everything before ``position``; one that is already gone or still to come is brought into range."""
        position = min(max(position, self._start), self._end)
        self._offset += position - self._start
        self._start = position

    def _make_room(self, extra: int) -> int:
        """Move what is held to the front, into a buffer of another size where that is due; where it then ends."""
        held = self._end - self._start
        live = self._buffer[self._offset : self._offset + held]
        wanted = max(self._initial, 2 * (held + extra))
        if not wanted <= self._buffer.size <= 4 * wanted:
            self._buffer = np.empty(wanted, np.int16)
        self._buffer[:held] = live
        self._offset = 0
        return held
