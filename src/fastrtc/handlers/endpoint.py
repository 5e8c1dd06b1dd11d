"""What decides about turns for one handler: thresholds, patience and detector, from the options that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastrtc.audio import PCM
from fastrtc.turns.options import TurnSettings, turn_settings
from fastrtc.turns.patience import EndpointPolicy, FixedPatience
from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.protocol import StreamingModel

if TYPE_CHECKING:
    from fastrtc.handlers.reply_on_pause import ReplyOnPause

DEFAULT_THRESHOLD = 0.5
DEFAULT_MIN_SPEECH_MS = 64.0
DEFAULT_PAD_MS = 400.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parts of turn-taking that depend on a handler's options.

    Attributes:
        settings: For the turn machine.
        policy: How long a pause may grow.
        memory_samples: How much of a turn the detector wants to hear.
    """

    settings: TurnSettings
    policy: EndpointPolicy
    memory_samples: int

    @classmethod
    def of(cls, handler: ReplyOnPause) -> Endpoint:
        """Read a handler's options.

        Raises:
            ConfigurationError: Options that cannot work.
        """
        options = handler.algo_options
        streaming = handler.model is None or isinstance(handler.model, StreamingModel)
        silero = handler.model_options if isinstance(handler.model_options, SileroVadOptions) else None
        settings = turn_settings(
            options,
            rate_hz=handler.input_sample_rate,
            threshold=silero.threshold if silero else DEFAULT_THRESHOLD,
            min_speech_ms=_min_speech_ms(silero) if streaming else 0.0,
            speech_pad_ms=silero.speech_pad_ms if silero else DEFAULT_PAD_MS,
            can_interrupt=handler.can_interrupt,
            weigh=options.interruption_filter is not None,
        )
        return cls(settings, FixedPatience(300.0 if streaming else 0.0), memory_samples=8 * handler.input_sample_rate)

    def probability(self, audio: PCM, silence_ms: float) -> float:
        """Ask the detector about the turn so far."""
        return 0.5


def _min_speech_ms(silero: SileroVadOptions | None) -> float:
    return float(silero.min_speech_duration_ms) if silero else DEFAULT_MIN_SPEECH_MS
