"""The speech gate: speech probabilities of successive windows in, "speech" and "how much of it lately" out."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from fastrtc.turns.options import GateSettings


class SpeechWindow(NamedTuple):
    """One window that the VAD has judged; every session makes 31 of them a second.

    Attributes:
        start: Position of its first sample, in received samples.
        end: Position after its last sample.
        probability: That it holds speech, in [0, 1].
        doubtful: Whether the speech may be an echo of the reply: it may hold the reply, but not end it.
        beginning: Whether a word without a voice at its beginning may have begun: it may hold the reply for a moment.
    """

    start: int
    end: int
    probability: float
    doubtful: bool = False
    beginning: bool = False


class SpeechGate:
    """Two states, ``speech`` and silence, with hysteresis, and a memory of one sliding window.

    =========  ==========================  =========
    state      window                      next
    =========  ==========================  =========
    silence    probability >= threshold    speech
    silence    below                       silence
    speech     probability >= release      speech
    speech     below                       silence
    =========  ==========================  =========
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._spans: deque[tuple[int, int]] = deque()
        self.speech = False
        self.last_speech_end = 0

    def step(self, window: SpeechWindow) -> None:
        """Take the next window; windows come in order and without gaps."""
        level = self._settings.release if self.speech else self._settings.threshold
        self.speech = window.probability >= level
        if self.speech:
            self.last_speech_end = window.end
            self._extend(window)
        horizon = window.end - self._settings.window_samples
        while self._spans and self._spans[0][1] <= horizon:
            self._spans.popleft()

    def _extend(self, window: SpeechWindow) -> None:
        if self._spans and self._spans[-1][1] == window.start:
            self._spans[-1] = (self._spans[-1][0], window.end)
        else:
            self._spans.append((window.start, window.end))

    @property
    def recent_speech_samples(self) -> int:
        """Speech inside the sliding window (a span that began before it counts whole)."""
        return sum(end - start for start, end in self._spans)

    @property
    def recent_onset(self) -> int | None:
        """Where the earliest speech still in the window began."""
        return self._spans[0][0] if self._spans else None

    @property
    def started(self) -> bool:
        """Whether the window holds enough speech for a start."""
        return self.speech and self.recent_speech_samples >= self._settings.min_speech_samples

    def forget(self) -> None:
        """Forget the speech so far, so that only what follows can start a turn."""
        self._spans.clear()
        self.speech = False
