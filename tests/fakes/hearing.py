"""Hears when somebody talks, by loudness: what the fake services use in place of their own detectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastrtc.audio import PCM

FRAME_S = 0.02
START_S, END_S = 0.1, 0.5
FLOOR = 100.0  # RMS below which nothing counts, of 32768


@dataclass(slots=True)
class Hearing:
    """Takes audio as it comes and says where speech starts and ends.

    Speech is what is louder than a tenth of the loudest so far.

    Attributes:
        rate_hz: Of the audio.
        speaking: Whether somebody talks.
        samples: Received so far.
        start: First sample of the last stretch of speech.
        end: After its last sample.
    """

    rate_hz: int
    speaking: bool = False
    samples: int = 0
    start: int = 0
    end: int = 0
    heard: list[PCM] = field(default_factory=list)
    _rest: PCM = field(default_factory=lambda: np.zeros(0, np.int16))
    _loudest: float = FLOOR
    _loud_s: float = 0.0
    _quiet_s: float = 0.0

    def hear(self, pcm: PCM) -> list[str]:
        """Take audio; ``started`` and ``ended`` as they happen."""
        self.heard.append(pcm)
        size = round(FRAME_S * self.rate_hz)
        audio = np.concatenate([self._rest, pcm])
        whole = len(audio) // size * size
        self._rest = audio[whole:]
        news = []
        for frame in audio[:whole].reshape(-1, size):
            self.samples += size
            if (said := self._frame(frame)) is not None:
                news.append(said)
        return news

    def _frame(self, frame: PCM) -> str | None:
        loudness = float(np.sqrt(np.mean(np.square(frame, dtype=np.float64))))
        self._loudest = max(self._loudest, loudness)
        loud = loudness >= max(FLOOR, self._loudest / 10)
        self._loud_s = self._loud_s + FRAME_S if loud else 0.0
        self._quiet_s = 0.0 if loud else self._quiet_s + FRAME_S
        if not self.speaking and self._loud_s >= START_S:
            self.speaking = True
            self.start = self.samples - round(START_S * self.rate_hz)
            return "started"
        if self.speaking and self._quiet_s >= END_S:
            self.speaking = False
            self.end = self.samples - round(END_S * self.rate_hz)
            return "ended"
        return None

    @property
    def audio(self) -> PCM:
        """Everything that was heard."""
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)
