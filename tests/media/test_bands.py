"""Band powers."""

from __future__ import annotations

import numpy as np
import pytest

from fastrtc.media.bands import BANDS, BandMeter


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize(("hz", "band"), [(160, 1), (500, 6), (1000, 9), (3000, 14)])
def test_a_tone_is_in_its_band_at_every_rate(rate_hz: int, hz: float, band: int) -> None:
    meter = BandMeter(rate_hz)
    tone = np.sin(2 * np.pi * hz * np.arange(meter.frame_samples) / rate_hz).astype(np.float32)
    powers = meter.measure(tone[None])
    assert powers.shape == (1, BANDS)
    assert abs(int(powers[0].argmax()) - band) <= 1


def test_the_same_sound_measures_the_same_at_two_rates() -> None:
    levels = []
    for rate_hz in (16_000, 48_000):
        meter = BandMeter(rate_hz)
        times = np.arange(meter.frame_samples) / rate_hz
        sound = sum(np.sin(2 * np.pi * hz * times) for hz in (210, 440, 900, 1700, 3100))
        levels.append(10 * np.log10(meter.measure(np.asarray(sound, np.float32)[None])[0]))
    loud = levels[0] > levels[0].max() - 15
    assert np.abs(levels[0] - levels[1])[loud].max() < 1.5


def test_silence_is_above_zero() -> None:
    meter = BandMeter(16_000)
    assert (meter.measure(np.zeros((2, meter.frame_samples), np.float32)) > 0).all()
