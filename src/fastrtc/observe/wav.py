"""A WAV file that can be read at any time while it grows, and after its process was killed."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from fastrtc.audio import PCM

HEADER_BYTES = 44
MAX_BYTES = 2**32 - 1 - HEADER_BYTES


class WavFile:
    """16-bit PCM (RIFF/WAVE, format 1).

    Args:
        file: Open for binary writing; it is closed by :meth:`close`.
        rate_hz: Sample rate.
        channels: How many.
    """

    def __init__(self, file: Any, rate_hz: int, channels: int) -> None:
        self._file = file
        self._rate_hz = rate_hz
        self._channels = channels
        self._bytes = 0
        self._write_header()

    def append(self, samples: PCM) -> None:
        """Write ``int16`` samples of shape ``(n, channels)``; what does not fit into 4 GB is left out."""
        data = np.ascontiguousarray(samples, "<i2").tobytes()
        if self._bytes + len(data) > MAX_BYTES:
            return
        self._file.seek(HEADER_BYTES + self._bytes)
        self._file.write(data)
        self._bytes += len(data)
        self._write_header()
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_header(self) -> None:
        block = 2 * self._channels
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF", HEADER_BYTES - 8 + self._bytes, b"WAVE",
            b"fmt ", 16, 1, self._channels, self._rate_hz, self._rate_hz * block, block, 16,
            b"data", self._bytes,
        )  # fmt: skip
        self._file.seek(0)
        self._file.write(header)
