"""Tells a word from a "mm-hm", a "uh-huh", a laugh, by how much its spectrum changes.

A word is made of different sounds: its spectrum's shape changes from phone to phone. A backchannel, a hum or a laugh is
one sound, held or repeated. Four figures say so, a logistic model weighs them (``bench/false_interruptions.py`` prints
its confusions; the words it was fitted to are recorded, the backchannels synthetic). "Yeah" and "okay" are words to it;
:class:`WordFilter` knows them by a recogniser.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastrtc.media.resample import resample_clip
from fastrtc.speech.protocol import SpeechToText
from fastrtc.turns.interruption import InterruptionFilter, Sound
from fastrtc.turns.odds import logistic

RATE_HZ = 16_000
FRAME_SAMPLES, STEP_SAMPLES = 512, 160
AUDIBLE_DB = 25.0
FLOOR_DB = 40.0
SILENT_PEAK = 32
MIN_FRAMES = 4
MIN_AUDIBLE = 0.05
BAND_EDGES_HZ = (90, 400, 800, 1300, 2000, 3000, 4500)
LOW_HZ, HIGH_HZ = 800, 2500

BACKCHANNELS = frozenset(
    {"mm", "mhm", "mmhmm", "mmhm", "hmm", "hm", "uh", "huh", "uhhuh", "ah", "aha", "oh", "yeah", "yep", "yes", "ok"}
    | {"okay", "right", "sure", "really", "wow", "nice", "cool", "great", "i", "see", "haha", "ha"}
)

_MARKS = re.compile("[-'\u2019]")
_MOST_WORDS = 3


@dataclass(frozen=True, slots=True)
class SoundShape:
    """The figures of one sound, blind to what is 40 dB below its loudest frame.

    Attributes:
        speech_s: What the detector took for speech.
        shape_db: How far the levels of six bands, against their mean, vary over the sound (standard deviation).
        flux_db: How far they move in 10 ms, on average.
        highest_db: Level above 2.5 kHz against that below 800 Hz, in the brightest frames (98th percentile).
    """

    speech_s: float
    shape_db: float
    flux_db: float
    highest_db: float


class SoundFilter:
    """The built-in filter: no recogniser, no download, about a millisecond a sound.

    Its weights belong to the figures of :class:`SoundShape`; the last is the bias.
    """

    WEIGHTS = (2.3343, 1.2599, 3.9349, -0.0426, -5.98)

    def weigh(self, sound: Sound) -> float | None:
        shape = sound_shape(sound)
        if shape is None:
            return None
        figures = (math.log(max(shape.speech_s, 0.032)), shape.shape_db, shape.flux_db, shape.highest_db, 1.0)
        score = sum(weight * figure for weight, figure in zip(self.WEIGHTS, figures, strict=True))
        return logistic(score)


class WordFilter:
    """Lets a reply go on over "yeah", "okay" and the like, as a recogniser hears them; other words interrupt.

    Args:
        recogniser: Anything with ``stt((rate, array)) -> str``.
        words: Words, in small letters without marks, of which a backchannel may consist (three at most).
        otherwise: Asked where the recogniser heard no word, and before the sound has ended.
        least_words: Fewer words never interrupt, nor does a sound without any; words are counted while the sound goes
            on, and ``otherwise`` is not asked. 0: any word that is no backchannel interrupts.
    """

    def __init__(
        self,
        recogniser: SpeechToText,
        words: frozenset[str] = BACKCHANNELS,
        otherwise: InterruptionFilter | None = None,
        least_words: int = 0,
    ) -> None:
        self._recogniser = recogniser
        self._words = words
        self._otherwise = otherwise or SoundFilter()
        self._least_words = least_words

    def weigh(self, sound: Sound) -> float | None:
        if sound.ended or self._least_words:
            text = self._recogniser.stt((sound.rate_hz, sound.pcm.reshape(1, -1)))
            words = re.findall(r"\w+", _MARKS.sub("", text.lower()))
            if len(words) < self._least_words:
                return 0.0
            if words:
                return 0.0 if len(words) <= _MOST_WORDS and self._words.issuperset(words) else 1.0
        weight = self._otherwise.weigh(sound)
        # Until the words are known no sound is certain to interrupt.
        return weight if sound.ended or weight is None else min(weight, 0.5)


def sound_shape(sound: Sound) -> SoundShape | None:
    """Measure a sound; None where there is too little of it to say anything."""
    if not sound.pcm.size or int(np.abs(sound.pcm.astype(np.int32)).max()) < SILENT_PEAK:
        return None
    samples = resample_clip(sound.pcm, sound.rate_hz, RATE_HZ)
    if samples.size < FRAME_SAMPLES + MIN_FRAMES * STEP_SAMPLES:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::STEP_SAMPLES] * _WINDOW
    powers = np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-12
    total = powers[:, 3:].sum(axis=1)
    if total.sum() < MIN_AUDIBLE * powers.sum():
        return None
    floor = float(total.max()) * 10.0 ** (-FLOOR_DB / 10.0)
    powers = powers[total > total.max() * 10.0 ** (-AUDIBLE_DB / 10.0)]
    if len(powers) < MIN_FRAMES:
        return None
    bands = np.stack([_band(powers, low, high) for low, high in pairwise(BAND_EDGES_HZ)], axis=1)
    levels = 10.0 * np.log10(bands + floor)
    levels -= levels.mean(axis=1, keepdims=True)
    high, low = _band(powers, HIGH_HZ, 7900), _band(powers, BAND_EDGES_HZ[0], LOW_HZ)
    bright = 10.0 * np.log10((high + floor) / (low + floor))
    return SoundShape(
        speech_s=sound.speech_s,
        shape_db=float(levels.std(axis=0).mean()),
        flux_db=float(np.abs(np.diff(levels, axis=0)).mean()),
        highest_db=float(np.quantile(bright, 0.98)),
    )


def _band(powers: NDArray[np.float64], low_hz: int, high_hz: int) -> NDArray[np.float64]:
    step_hz = RATE_HZ / FRAME_SAMPLES
    inside = slice(round(low_hz / step_hz), round(high_hz / step_hz))
    power: NDArray[np.float64] = powers[:, inside].sum(axis=1)
    return power


_WINDOW = np.hanning(FRAME_SAMPLES + 2)[1:-1]
