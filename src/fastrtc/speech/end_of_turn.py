"""Is the user done, or only pausing? A small model that comes with the package.

The model hears the last 2.4 s before the user fell silent: the spectrum in 32 mel bands of the telephone's range, the
loudness, the pitch and how voiced the sound is, each relative to the speaker's own level and median pitch, in steps of
20 ms. A convolutional network of three layers, run in numpy, turns that into a probability. It knows how speech sounds
when it is finished (final lowering of the pitch, lengthening, fading) and when it breaks off; it knows no words.

What it was trained on, and the licences: ``weights/README.md``; how: ``bench/_train_end_of_turn.py``.

Sources: mel scale: O'Shaughnessy, Speech Communication (1987); pitch by the autocorrelation of the windowed signal
divided by that of the window: Boersma, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound" (1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastrtc.turns.odds import logistic

Float = NDArray[np.float32]

RATE_HZ = 16_000
FRAMES, HOP, WINDOW = 120, 320, 512
MEL_BANDS, LOW_HZ, HIGH_HZ = 32, 120.0, 3800.0
FEATURES = MEL_BANDS + 3
AFTER_MS = 96.0
"""Silence that the model hears; what follows it says nothing about how the speech ended."""

HEARD_SAMPLES = WINDOW + HOP * (FRAMES - 1)
_DECIMATION, _FINER = 4, 2
_PITCH_WINDOW, _PITCH_HOP, _PITCH_FFT = 192, HOP // _DECIMATION, 512
_SHORTEST_LAG, _LONGEST_LAG = 20, 134
_LAG_COST = 0.001
_FLOOR, _MEL_CEILING, _LOUDNESS_CEILING = -2.5, 0.7, 0.5
_WEIGHTS = Path(__file__).with_name("weights") / "end_of_turn.npz"


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer of every network of the ensemble.

    Attributes:
        weight: Shape ``(networks, inputs, outputs)``.
        bias: Shape ``(networks, 1, outputs)``.
        width: Frames that one output sees (0: a dense layer, which sees everything).
    """

    weight: Float
    bias: Float
    width: int


class EndOfTurnModel:
    """The detector that comes with the package; about 2 ms of CPU an ask, no download, numpy alone.

    Args:
        path: Other weights, as ``bench/_train_end_of_turn.py`` writes them.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._layers = _load(path or _WEIGHTS)

    def probability(self, audio: Float, silence_ms: float) -> float:
        """Probability that the user is done; see :class:`TurnDetector`."""
        return logistic(self.log_odds(features(audio, silence_ms)))

    def log_odds(self, frames: Float) -> float:
        """The mean of the networks' outputs.

        Args:
            frames: Shape ``(FRAMES, FEATURES)``, from :func:`features`.
        """
        signal = np.repeat(frames[None], self._layers[0].weight.shape[0], axis=0)
        for number, layer in enumerate(self._layers):
            if layer.width:
                seen = np.lib.stride_tricks.sliding_window_view(signal, layer.width, axis=1)[:, ::2]
                signal = seen.reshape(seen.shape[0], seen.shape[1], -1)
            else:
                signal = signal.reshape(signal.shape[0], 1, -1)
            signal = signal @ layer.weight + layer.bias
            if number + 1 < len(self._layers):
                signal = np.maximum(signal, 0.0)
        return float(signal.mean())


def _load(path: Path) -> tuple[Layer, ...]:
    with np.load(path) as stored:
        count = int(stored["layers"])
        return tuple(
            Layer(
                stored[f"weight{i}"].astype(np.float32),
                stored[f"bias{i}"].astype(np.float32)[:, None, :],
                int(stored["widths"][i]),
            )
            for i in range(count)
        )


def features(audio: Float, silence_ms: float) -> Float:
    """What the model hears of the end of a turn.

    Args:
        audio: The turn with the silence at its end: 16 kHz, mono, shape ``(n,)``.
        silence_ms: Length of that silence.

    Returns:
        Shape ``(FRAMES, FEATURES)``: mel bands (relative to the speaker's level, 20 dB a unit), loudness, pitch (half
        octaves from the median) and voicing; frames before the turn are at the floor.
    """
    samples = _heard(audio, silence_ms)
    real = min(samples.size, HEARD_SAMPLES)
    if real < HEARD_SAMPLES:
        samples = np.concatenate([np.zeros(HEARD_SAMPLES - real, np.float32), samples])
    tables = _tables()
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * tables.window
    spectrum = np.fft.rfft(windows, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    # In pieces so small that the BLAS library does not wake its threads, which cost more than they save.
    bands = np.concatenate([power[i : i + 30] @ tables.filters.T for i in range(0, FRAMES, 30)])
    mel = 10.0 * np.log10(bands + 1e-9)
    loudness = 10.0 * np.log10(power[:, 4:122].mean(axis=1) + 1e-9)
    level = float(np.sort(loudness)[-12:].mean())
    pitch, voicing = _pitch(samples)
    voiced = np.clip((voicing - 0.4) / 0.4, 0.0, 1.0) * (loudness > level - 30.0)
    result = np.empty((FRAMES, FEATURES), np.float32)
    result[:, :MEL_BANDS] = np.clip((mel - level) / 20.0, _FLOOR, _MEL_CEILING)
    result[:, MEL_BANDS] = np.clip((loudness - level) / 20.0, _FLOOR, _LOUDNESS_CEILING)
    result[:, MEL_BANDS + 1] = 2.0 * np.clip(pitch - _median(pitch, voiced), -1.0, 1.0) * voiced
    result[:, MEL_BANDS + 2] = voiced
    result[: (HEARD_SAMPLES - real) // HOP] = [_FLOOR] * (MEL_BANDS + 1) + [0.0, 0.0]
    return result


def _heard(audio: Float, silence_ms: float) -> Float:
    end = min(audio.size, audio.size - round((silence_ms - AFTER_MS) * RATE_HZ / 1000.0))
    return np.asarray(audio[max(0, end - HEARD_SAMPLES) : max(0, end)], np.float32)


def _pitch(samples: Float) -> tuple[Float, Float]:
    """Octaves above 1 Hz and strength in about [0, 1] of the best period in 60-400 Hz: shapes ``(FRAMES,)``."""
    tables = _tables()
    around = tables.lowpass.size // 2
    low = np.lib.stride_tricks.sliding_window_view(np.pad(samples, around), tables.lowpass.size)[::_DECIMATION]
    low = np.pad(low @ tables.lowpass, (32, 32))
    windows = np.lib.stride_tricks.sliding_window_view(low, _PITCH_WINDOW)[::_PITCH_HOP][:FRAMES] * tables.pitch_window
    correlation = _correlation(windows)[:, : tables.window_correlation.size]
    normal = correlation / (correlation[:, :1] + 1e-8) / tables.window_correlation
    lags = np.arange(_SHORTEST_LAG, _LONGEST_LAG, dtype=np.float32)
    best = (normal[:, _SHORTEST_LAG:_LONGEST_LAG] - _LAG_COST * lags).argmax(axis=1) + _SHORTEST_LAG
    rows = np.arange(FRAMES)
    before, at, after = normal[rows, best - 1], normal[rows, best], normal[rows, best + 1]
    bend = before - 2.0 * at + after
    flat = np.abs(bend) < 1e-6
    shift = np.where(flat, 0.0, 0.5 * (before - after) / np.where(flat, 1.0, bend))
    period = best + np.clip(shift, -1.0, 1.0)
    return np.log2(RATE_HZ / _DECIMATION * _FINER / period).astype(np.float32), at.astype(np.float32)


def _correlation(windows: Float) -> Float:
    """Autocorrelation at every half sample: high voices have periods of few samples."""
    spectrum = np.fft.rfft(windows, _PITCH_FFT)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(np.fft.irfft(power, _FINER * _PITCH_FFT), np.float32)


def _median(pitch: Float, weight: Float) -> float:
    """The weighted median; a speaker of whom nothing voiced was heard gets 147 Hz."""
    total = np.cumsum(weight[order := np.argsort(pitch)])
    if total[-1] <= 2.0:
        return 7.2
    return float(pitch[order][np.searchsorted(total, total[-1] / 2.0)])


@dataclass(frozen=True, slots=True)
class _Tables:
    window: Float
    filters: Float
    lowpass: Float
    pitch_window: Float
    window_correlation: Float


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    edges_mel = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), MEL_BANDS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(WINDOW, 1.0 / RATE_HZ)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.maximum(0.0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    taps = np.arange(31) - 15
    lowpass = np.hamming(31) * np.sinc(0.9 * taps / _DECIMATION)
    pitch_window = np.hanning(_PITCH_WINDOW + 2)[1:-1]
    correlation = _correlation(pitch_window.astype(np.float32))[: _LONGEST_LAG + 2]
    return _Tables(
        window=np.hanning(WINDOW + 1)[:-1].astype(np.float32),
        filters=(filters / filters.sum(axis=1, keepdims=True)).astype(np.float32),
        lowpass=(lowpass / lowpass.sum()).astype(np.float32),
        pitch_window=pitch_window.astype(np.float32),
        window_correlation=(correlation / correlation[0]).astype(np.float32),
    )


def _mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))
