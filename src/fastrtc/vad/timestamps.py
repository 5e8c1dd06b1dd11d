"""From probabilities to stretches of speech: Silero's published algorithm, as a pure function.

Source: ``get_speech_timestamps`` of https://github.com/snakers4/silero-vad (MIT), described there by its parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.protocol import AudioChunk

_HYSTERESIS = 0.15
_CUT_PAUSE_MS = 98


def find_speech(
    probabilities: Iterable[float], options: SileroVadOptions, *, window_samples: int, total_samples: int, rate_hz: int
) -> list[AudioChunk]:
    """Find the stretches of speech.

    Args:
        probabilities: One for each window.
        options: Thresholds and durations; their ``window_size_samples`` is not used.
        window_samples: Samples that a probability stands for.
        total_samples: Length of the audio; the last window may go beyond it.
        rate_hz: Sample rate of the three above.

    Returns:
        Stretches in order, not overlapping, inside ``[0, total_samples]``.
    """
    finder = _Finder(options, window_samples, rate_hz)
    for index, probability in enumerate(probabilities):
        finder.feed(index * window_samples, probability)
    return _padded(finder.finish(total_samples), int(options.speech_pad_ms * rate_hz / 1000), total_samples)


@dataclass(slots=True)
class _Finder:
    """The stretch being collected; ``None`` stands for "not yet".

    Attributes:
        start: Where the current stretch began.
        pause: Where the probability last fell below the lower threshold.
        cut: Start of the latest pause that is long enough to cut an overlong stretch at.
        resumed: Where speech went on after ``cut``.
    """

    options: SileroVadOptions
    window_samples: int
    rate_hz: int
    start: int | None = None
    pause: int | None = None
    cut: int | None = None
    resumed: int | None = None
    found: list[tuple[int, int]] = field(default_factory=list)

    def feed(self, position: int, probability: float) -> None:
        speaking = probability >= self.options.threshold
        if speaking and self.pause is not None:
            self.pause = None
            if self.cut is not None and self.resumed is None:
                self.resumed = position
        if self.start is None:
            if speaking:
                self.start = position
            return
        if position - self.start > self._max_samples() and not self._cut(position):
            return
        if probability < self.options.threshold - _HYSTERESIS and self.start is not None:
            self._silent(position, self.start)

    def _max_samples(self) -> float:
        pad_samples = self.options.speech_pad_ms * self.rate_hz / 1000
        return self.options.max_speech_duration_s * self.rate_hz - self.window_samples - 2 * pad_samples

    def _cut(self, position: int) -> bool:
        """End the overlong stretch; whether this window has still to be looked at."""
        assert self.start is not None
        if self.cut is None:
            self.found.append((self.start, position))
            self._begin(None)
            return False
        self.found.append((self.start, self.cut))
        self._begin(self.resumed)
        return True

    def _silent(self, position: int, start: int) -> None:
        if self.pause is None:
            self.pause = position
        silence = position - self.pause
        if silence * 1000 > _CUT_PAUSE_MS * self.rate_hz and self.cut != self.pause:
            self.cut, self.resumed = self.pause, None
        if silence * 1000 >= self.options.min_silence_duration_ms * self.rate_hz:
            self._keep(start, self.pause)
            self._begin(None)

    def _keep(self, start: int, end: int) -> None:
        if (end - start) * 1000 > self.options.min_speech_duration_ms * self.rate_hz:
            self.found.append((start, end))

    def _begin(self, start: int | None) -> None:
        self.start, self.pause, self.cut, self.resumed = start, None, None, None

    def finish(self, total_samples: int) -> list[tuple[int, int]]:
        if self.start is not None:
            self._keep(self.start, total_samples)
        return self.found


def _padded(found: list[tuple[int, int]], pad_samples: int, total_samples: int) -> list[AudioChunk]:
    """Lengthen each stretch on both sides; neighbours share a gap that is too short for both."""
    chunks: list[AudioChunk] = [{"start": start, "end": end} for start, end in found]
    if not chunks:
        return chunks
    chunks[0]["start"] = max(0, chunks[0]["start"] - pad_samples)
    chunks[-1]["end"] = min(total_samples, chunks[-1]["end"] + pad_samples)
    for left, right in pairwise(chunks):
        gap = right["start"] - left["end"]
        share = gap // 2 if gap < 2 * pad_samples else pad_samples
        left["end"] += share
        right["start"] -= share
    return chunks
