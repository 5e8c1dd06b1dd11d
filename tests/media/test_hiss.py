"""What counts as a hiss."""

from __future__ import annotations

import numpy as np
import pytest

from fastrtc.media.hiss import HissMeter

RATE, SIZE = 16_000, 512


def band(seconds: float, low_hz: float, high_hz: float, dbfs: float, rate_hz: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise of one band."""
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / rate_hz)
    sound = np.fft.irfft(np.where((hz >= low_hz) & (hz < high_hz), spectrum, 0), count)
    return (sound / np.sqrt((sound**2).mean()) * 10 ** (dbfs / 20)).astype(np.float32)


def heard(meter: HissMeter, sound: np.ndarray, size: int = SIZE) -> list[bool]:
    return [meter.hears(sound[i : i + size]) for i in range(0, sound.size - size + 1, size)]


def quiet(seconds: float = 0.5, dbfs: float = -70.0) -> np.ndarray:
    return band(seconds, 0, RATE / 2, dbfs, seed=1)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_a_hiss_after_quiet_is_heard_at_every_rate(rate_hz: int) -> None:
    meter, size = HissMeter(rate_hz, rate_hz * 32 // 1000), rate_hz * 32 // 1000
    assert not any(heard(meter, band(0.5, 0, rate_hz / 2, -70, rate_hz), size))
    assert all(heard(meter, band(0.15, 2_600, 3_900, -40, rate_hz, seed=2), size))


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "dbfs"),
    [(100, 900, -20), (100, 7_800, -20), (2_600, 7_000, -64)],
    ids=["a hum", "all of the spectrum", "too soft"],
)
def test_what_is_no_hiss(low_hz: float, high_hz: float, dbfs: float) -> None:
    meter = HissMeter(RATE, SIZE)
    heard(meter, quiet(dbfs=-85))
    sound = band(0.2, low_hz, high_hz, dbfs)
    if low_hz < 1_000 < high_hz:
        sound = sound + band(0.2, 100, 900, dbfs)
    assert not any(heard(meter, sound))


def test_a_click_shorter_than_a_window_is_none() -> None:
    meter = HissMeter(RATE, SIZE)
    heard(meter, quiet())
    window = quiet(0.032)
    window[:200] += band(200 / RATE, 2_600, 7_000, -20)
    assert not meter.hears(window)


def test_a_fan_that_is_switched_on_soon_belongs_to_the_noise() -> None:
    meter = HissMeter(RATE, SIZE)
    heard(meter, quiet())
    verdicts = heard(meter, band(8.0, 2_600, 7_000, -40))
    assert verdicts[0]
    assert not any(verdicts[-round(2.5 * RATE / SIZE) :])


def test_silence_is_no_noise_to_be_above_by_much() -> None:
    meter = HissMeter(RATE, SIZE)
    assert not any(heard(meter, np.zeros(10 * SIZE, np.float32)))
    assert all(heard(meter, band(0.1, 2_600, 7_000, -40)))


def test_forget_begins_anew() -> None:
    meter = HissMeter(RATE, SIZE)
    heard(meter, quiet())
    meter.forget()
    assert not meter.hears(band(0.032, 2_600, 7_000, -40)), "there is nothing that it is louder than"
