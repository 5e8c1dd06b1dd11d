"""Makes a quiet caller loud enough for a detector; never what anybody is to hear.

Detectors were trained on speech of usual levels: every recorded word that peaks at -30 dBFS is answered, but 62 % of
those at -50 dBFS (``bench/false_interruptions.py``). The level of the caller is not known before the first word, so the
gain begins at its most, and gives way at once: to anything loud, and to background noise that it would lift into what a
detector looks at.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

PEAK_DBFS = -33.0
NOISE_DBFS = -55.0
SILENT_PEAK = 32 / 32768
_QUIETEST_NOISE_DBFS = -75.0
_PEAK_FALLS_DB_S = 0.5
_NOISE_RISES_DB_S = 3.0


def peak_of(window: Float) -> float:
    """The highest absolute sample; 0 of nothing."""
    return max(float(np.maximum.reduce(window)), -float(np.minimum.reduce(window))) if window.size else 0.0


def is_silent(window: Float) -> bool:
    """Whether every sample is below -60 dBFS."""
    # The peak is at least the root mean square: often that says enough.
    return float(np.dot(window, window)) < window.size * SILENT_PEAK**2 and peak_of(window) < SILENT_PEAK


def _ratio(decibels: float) -> float:
    return float(10.0 ** (decibels / 20.0))


_WANTED_PEAK, _LOUDEST_NOISE, _QUIETEST_NOISE = map(_ratio, (PEAK_DBFS, NOISE_DBFS, _QUIETEST_NOISE_DBFS))


class DetectorGain:
    """The gain of one stream, window by window.

    It is the least of: ``most_db``; what brings the loudest peak so far (forgotten by 0.5 dB a second) to -33 dBFS; and
    what brings the noise (the quietest window so far, rising by 3 dB a second) to -55 dBFS; but never below 0 dB.
    Windows that peak below -60 dBFS stay as they are, so that a detector may sleep through them.

    Args:
        window_s: Length of a window.
        most_db: Gain at most.
    """

    def __init__(self, window_s: float, most_db: float) -> None:
        self._most = _ratio(most_db)
        self._peak_falls = _ratio(-_PEAK_FALLS_DB_S * window_s)
        self._noise_rises = _ratio(_NOISE_RISES_DB_S * window_s)
        self._peak = 0.0
        self._noise: float | None = None

    def amplify(self, window: Float) -> Float:
        """The next window, amplified; ``float32`` in [-1, 1], shape ``(n,)``."""
        energy, size = float(window.dot(window)), max(1, window.size)
        self._peak *= self._peak_falls
        level = max(math.sqrt(energy / size), _QUIETEST_NOISE)
        self._noise = level if self._noise is None else min(level, self._noise * self._noise_rises)
        # The peak is at least the root mean square and at most the root of the energy: often that says enough.
        if energy < SILENT_PEAK**2 and energy <= self._peak**2:
            return window
        if energy > self._peak**2 or energy < size * SILENT_PEAK**2:
            peak = peak_of(window)
            self._peak = max(peak, self._peak)
            if peak < SILENT_PEAK:
                return window
        gain = min(self._most, _WANTED_PEAK / self._peak, _LOUDEST_NOISE / self._noise)
        return window * np.float32(gain) if gain > 1.0 else window
