"""Options of the Silero detector."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from fastrtc.errors import ConfigurationError


@dataclass
class SileroVadOptions:
    """How speech probabilities become stretches of speech. Names and defaults are FastRTC's.

    Attributes:
        threshold: Speech begins where the probability reaches this, and ends where it falls 0.15 below it. From 0 to 1.
        min_speech_duration_ms: Shorter stretches are dropped.
        max_speech_duration_s: Longer stretches are cut: at their last pause of more than 98 ms, or hard where they have
            none.
        min_silence_duration_ms: A pause must be this long to separate two stretches.
        window_size_samples: Grid of the answer, in samples at 16 kHz. The model judges windows of 512 samples; a grid
            of several of them takes the highest of their probabilities. Rounded to whole windows.
        speech_pad_ms: Each stretch is made longer by this on both sides, as far as its neighbours leave room.

    Raises:
        ConfigurationError: A value that cannot work.
    """

    threshold: float = 0.5
    min_speech_duration_ms: int = 250
    max_speech_duration_s: float = inf
    min_silence_duration_ms: int = 2000
    window_size_samples: int = 1024
    speech_pad_ms: int = 400

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ConfigurationError(f"threshold must be from 0 to 1, got {self.threshold!r}")
        for name in ("min_speech_duration_ms", "min_silence_duration_ms", "speech_pad_ms"):
            if not 0 <= getattr(self, name) < inf:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)!r}")
        if not self.max_speech_duration_s > 0:
            raise ConfigurationError(f"max_speech_duration_s must be more than 0, got {self.max_speech_duration_s!r}")
        if not 0 < self.window_size_samples < inf:
            raise ConfigurationError(f"window_size_samples must be more than 0, got {self.window_size_samples!r}")
