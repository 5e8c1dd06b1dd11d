"""What decides about turns for one handler: thresholds, patience and detector, from the options that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from fastrtc.speech.end_of_turn import EndOfTurnModel
from fastrtc.turns.detector import TurnDetector
from fastrtc.turns.endpointing import AdaptivePatience
from fastrtc.turns.options import AlgoOptions, TurnSettings, turn_settings
from fastrtc.turns.patience import EndpointPolicy, FixedPatience
from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.protocol import StreamingModel

if TYPE_CHECKING:
    from fastrtc.handlers.reply_on_pause import ReplyOnPause

DEFAULT_THRESHOLD = 0.6
"""Without hysteresis: a window that is let go of sooner ends the turn sooner, and pauses are judged anyway."""
DEFAULT_MIN_SPEECH_MS = 64.0
DEFAULT_MIN_TURN_MS = 144.0
"""Music and clicks have shorter stretches that sound like speech; none of the recorded words was as short."""
DEFAULT_PAD_MS = 400.0
DETECTOR_MEMORY_S = 8.0
OWN_DETECTOR_ASKS_MS = (96.0, 192.0, 384.0, 768.0)
"""The built-in detector is asked once a pause; one that hears the silence may change its mind as that grows."""
USUAL_PAUSE_S = 0.5
"""``audio_chunk_duration - speech_threshold`` of the default options, for which the patience below was chosen."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parts of turn-taking that depend on a handler's options.

    Attributes:
        settings: For the turn machine.
        policy: How long a pause may grow.
        detector: Asked about pauses, where the policy wants that.
        memory_s: How much of a turn the detector gets to hear.
    """

    settings: TurnSettings
    policy: EndpointPolicy
    detector: TurnDetector
    memory_s: float

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
            release=None if silero else DEFAULT_THRESHOLD,
            min_speech_ms=_min_speech_ms(silero) if streaming else 0.0,
            speech_pad_ms=silero.speech_pad_ms if silero else DEFAULT_PAD_MS,
            min_turn_ms=DEFAULT_MIN_TURN_MS if streaming and silero is None else 0.0,
            can_interrupt=handler.can_interrupt,
            weigh=options.interruption_filter is not None,
        )
        policy = patience(options) if streaming else FixedPatience(0.0)
        detector = options.turn_detector
        chosen = _built_in() if isinstance(detector, str) else detector
        return cls(settings, policy, chosen, DETECTOR_MEMORY_S if policy.asks_ms else 0.0)


def patience(options: AlgoOptions) -> EndpointPolicy:
    """How long a pause may grow.

    FastRTC's two thresholds say what a pause is: ``audio_chunk_duration - speech_threshold`` of silence. Without a
    detector that is the rule. With one, all silences of the adaptive rule grow and shrink with it. Manual turns end by
    no pause, and ask nobody about it.
    """
    pause_s = options.audio_chunk_duration - options.speech_threshold
    if options.turn_detector == "silence" or options.turn_detection == "manual":
        return FixedPatience(1000.0 * pause_s)
    usual = AdaptivePatience()
    scale = pause_s / USUAL_PAUSE_S
    shortest_ms = _ms(options.shortest_silence_s, scale * usual.shortest_ms)
    longest_ms = _ms(options.longest_silence_s, scale * usual.longest_ms)
    if shortest_ms >= longest_ms:
        return FixedPatience(shortest_ms)
    return AdaptivePatience(
        shortest_ms=shortest_ms,
        longest_ms=longest_ms,
        shortest_long_ms=min(max(scale * usual.shortest_long_ms, shortest_ms), longest_ms),
        shortest_paused_ms=min(max(scale * usual.shortest_paused_ms, shortest_ms), longest_ms),
        brief_silence_ms=min(max(scale * usual.brief_silence_ms, shortest_ms), longest_ms),
        longest_factor=usual.longest_factor if options.longest_silence_s is None else 1.0,
        asks_ms=usual.asks_ms if isinstance(options.turn_detector, str) else OWN_DETECTOR_ASKS_MS,
    )


def _ms(seconds: float | None, usual_ms: float) -> float:
    return usual_ms if seconds is None else 1000.0 * seconds


@lru_cache(maxsize=1)
def _built_in() -> TurnDetector:
    return EndOfTurnModel()


def _min_speech_ms(silero: SileroVadOptions | None) -> float:
    return float(silero.min_speech_duration_ms) if silero else DEFAULT_MIN_SPEECH_MS
