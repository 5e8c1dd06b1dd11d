"""Hears the sounds that words begin with before there is a voice: "s", "f", "sh", the puff of a "t"."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

HIGH_HZ, LOW_HZ = (2_500.0, 7_800.0), (80.0, 1_000.0)
OVER_FLOOR_DB = 15.0
OVER_LOW_DB = 6.0
QUIETEST_DBFS = -59.0
FLOOR_RISES_DB_S = 6.0
_NOTHING = 1e-11


class HissMeter:
    """Tells a hiss from voices, hums and steady noise, window by window.

    Both halves of the window have to be 15 dB above the noise between 2.5 and 7.8 kHz, and to have 6 dB more there than
    between 80 Hz and 1 kHz. The noise is the quietest window so far, rising by 6 dB a second, so that a fan that is
    switched on is a hiss for a few seconds only.

    Args:
        rate_hz: Rate of the windows; from 6 kHz up.
        window_samples: Their length.
    """

    def __init__(self, rate_hz: int, window_samples: int) -> None:
        half = window_samples // 2
        self._half = half
        self._window = np.hanning(half).astype(np.float32)
        hz = np.fft.rfftfreq(half, 1.0 / rate_hz)
        # Both sides of the spectrum, so that a sum is the mean square of what is in the band.
        scale = 2.0 / (half * float(self._window @ self._window))
        self._weights = np.stack([scale * ((low <= hz) & (hz < high)) for low, high in (HIGH_HZ, LOW_HZ)], axis=1)
        self._rises_db = FLOOR_RISES_DB_S * window_samples / rate_hz
        self._floor_db = math.inf

    def forget(self) -> None:
        """What follows does not follow what was heard so far."""
        self._floor_db = math.inf

    def hears(self, window: Float) -> bool:
        """Whether the next window is a hiss; ``float32`` in [-1, 1], shape ``(window_samples,)``."""
        spectra = np.fft.rfft(window[: 2 * self._half].reshape(2, self._half) * self._window, axis=1)
        powers = (spectra.real**2 + spectra.imag**2) @ self._weights + _NOTHING
        levels: list[list[float]] = (10.0 * np.log10(powers)).tolist()
        (high_a, low_a), (high_b, low_b) = levels
        high = min(high_a, high_b)
        floor = min(self._floor_db, high)
        self._floor_db = floor + self._rises_db
        return high > max(floor + OVER_FLOOR_DB, QUIETEST_DBFS) and min(high_a - low_a, high_b - low_b) > OVER_LOW_DB
