"""The detector's gain."""

from __future__ import annotations

import numpy as np
import pytest

from fastrtc.media.gain import SILENT_PEAK, DetectorGain

WINDOW_S = 0.032


def tone(peak: float) -> np.ndarray:
    return (peak * np.sin(np.arange(512) * 0.3)).astype(np.float32)


def gain_of(gain: DetectorGain, window: np.ndarray) -> float:
    return float(np.abs(gain.amplify(window)).max() / np.abs(window).max())


def test_the_first_word_is_amplified() -> None:
    gain = DetectorGain(WINDOW_S, 20.0)
    for _ in range(10):
        gain.amplify(tone(1e-4))
    assert gain_of(gain, tone(10 ** (-50 / 20))) == pytest.approx(10 ** (17 / 20), rel=0.05)


def test_the_loudest_peak_is_what_the_detector_needs_and_no_more() -> None:
    gain = DetectorGain(WINDOW_S, 20.0)
    gain.amplify(tone(1e-4))
    assert gain_of(gain, tone(0.2)) == 1.0
    assert gain_of(gain, tone(0.01)) == 1.0


def test_noise_is_not_lifted_into_sight() -> None:
    gain = DetectorGain(WINDOW_S, 20.0)
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(512) * 10 ** (-52 / 20)).astype(np.float32)
    assert gain_of(gain, noise) == 1.0


def test_a_window_that_the_detector_sleeps_through_stays_as_it_is() -> None:
    window = tone(0.9 * SILENT_PEAK)
    assert DetectorGain(WINDOW_S, 20.0).amplify(window) is window


def test_a_loud_sound_is_forgotten_slowly() -> None:
    gain = DetectorGain(WINDOW_S, 20.0)
    gain.amplify(tone(1e-4))
    gain.amplify(tone(0.05))
    soft = tone(0.004)
    early = gain_of(gain, soft)
    for _ in range(round(30 / WINDOW_S)):
        gain.amplify(tone(1e-4))
    assert early == 1.0
    assert gain_of(gain, soft) > 2.0
