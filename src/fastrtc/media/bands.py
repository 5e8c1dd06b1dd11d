"""Band powers of audio, frame by frame: how loud it is in each part of the speech spectrum."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.016
BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 125.0, 3_875.0
_SILENCE = 1e-12

Powers = NDArray[np.float64]


class BandMeter:
    """Measures frames of 16 ms in 16 bands from 125 Hz to 3875 Hz, equally wide on a logarithmic scale.

    The bands are the same for every sample rate from 8 kHz up, so that what was played at one rate can be compared with
    what was heard at another.

    Args:
        rate_hz: Rate of the audio.
    """

    def __init__(self, rate_hz: int) -> None:
        self.frame_samples = round(rate_hz * FRAME_S)
        self._window, self._weights = _tables(rate_hz, self.frame_samples)

    def measure(self, frames: NDArray[np.float32]) -> Powers:
        """The mean power density in each band.

        Args:
            frames: In [-1, 1], shape ``(n, frame_samples)``.

        Returns:
            Shape ``(n, BANDS)``, ``float64``, all above zero.
        """
        spectra = np.fft.rfft(frames * self._window, axis=1)[:, : len(self._weights) // 2]
        parts = spectra.view(spectra.real.dtype)
        powers: Powers = (np.square(parts) @ self._weights).astype(np.float64)
        powers += _SILENCE
        return powers


@lru_cache(maxsize=8)
def _tables(rate_hz: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    step_hz = rate_hz / size
    edges = [round(edge / step_hz) for edge in np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)]
    for i in range(1, len(edges)):
        edges[i] = max(edges[i], edges[i - 1] + 1)
    weights = np.zeros((size // 2 + 1, BANDS), np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        weights[low:high, band] = 4.0 / (size * size * (high - low))
    # A row for the real and one for the imaginary part.
    return window, np.repeat(weights[: edges[-1]], 2, axis=0)
