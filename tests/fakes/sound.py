"""Recorded speech, and how alike two sounds are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM, float_to_int16
from fastrtc.client import read_audio
from fastrtc.media.resample import resample_clip

COMPARE_HZ = 8_000


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of speech.

    Attributes:
        pcm: ``int16``, shape ``(n,)``.
        rate_hz: Its rate.
        start_s: Where the speech starts.
        end_s: Where it ends.
    """

    pcm: PCM
    rate_hz: int
    start_s: float
    end_s: float

    def at(self, rate_hz: int) -> PCM:
        """The recording at another rate."""
        return float_to_int16(resample_clip(self.pcm, self.rate_hz, rate_hz))

    def speech(self, rate_hz: int = COMPARE_HZ) -> PCM:
        """The speech alone."""
        return self.at(rate_hz)[round(self.start_s * rate_hz) : round(self.end_s * rate_hz)]


def read_clip(path: Path, start_s: float | None = None, end_s: float | None = None) -> Clip:
    """Read a recording; without labels its speech is what is louder than a tenth of its loudest."""
    rate_hz, pcm = read_audio(path)
    if start_s is None or end_s is None:
        size = rate_hz // 50
        frames = pcm[: len(pcm) // size * size].astype(np.float64).reshape(-1, size)
        loudness = np.sqrt(np.mean(np.square(frames), axis=1))
        loud = np.flatnonzero(loudness > loudness.max() / 10)
        start_s, end_s = float(loud[0]) / 50, float(loud[-1] + 1) / 50
    return Clip(pcm, rate_hz, start_s, end_s)


def labelled_clips(speech: Path, kind: str = "word") -> list[Clip]:
    """Clips of telephone speech whose start and end are labelled."""
    with (speech / "turns.tsv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]
    return [read_clip(speech / row["file"], float(row["true_start"]), float(row["true_end"])) for row in rows[:4]]


def likeness(heard: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The best normalized correlation of ``wanted`` anywhere in ``heard``, 1 for a copy; both at one rate."""
    if len(heard) < len(wanted):
        return 0.0
    heard, wanted = heard.astype(np.float64), wanted.astype(np.float64)
    size = 1 << (len(heard) + len(wanted)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    sums = np.fft.irfft(product, size)[: len(heard) - len(wanted) + 1]
    squares = np.concatenate([[0.0], np.cumsum(np.square(heard))])
    energy = squares[len(wanted) :] - squares[: -len(wanted)]
    return float(np.max(sums / np.sqrt(np.maximum(energy, 1.0) * np.dot(wanted, wanted))))


def windowed_likeness(heard: NDArray[Any], wanted: NDArray[Any], window_s: float = 0.2) -> float:
    """The median likeness of short windows: for sound that came through a jitter buffer, which stretches time."""
    size = round(window_s * COMPARE_HZ)
    windows = [wanted[start : start + size] for start in range(0, len(wanted) - size + 1, size)]
    return float(np.median([likeness(heard, window) for window in windows]))
