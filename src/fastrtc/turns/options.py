"""What a user can say about turn-taking, and the settings that the machines run on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias

from fastrtc.errors import ConfigurationError
from fastrtc.turns.detector import TurnDetector
from fastrtc.turns.interruption import InterruptionFilter

SOUND_END_S = 0.128
DOUBT_END_S = 0.3
CONTINUED_S = 1.5
COUNT_EVERY_S = 0.32

Interruption: TypeAlias = Literal["hold", "cancel"]
TurnDetection: TypeAlias = Literal["auto", "manual"]


@dataclass
class AlgoOptions:
    """How ``ReplyOnPause`` decides that somebody talks and that a turn is over.

    The first four fields are FastRTC's, with its meaning; they are evaluated over a window that slides every 32 ms,
    not on a grid of chunks.

    Attributes:
        audio_chunk_duration: Length of the sliding window, in seconds.
        started_talking_threshold: The user has started once the window holds more than this many seconds of speech
            (padded by ``SileroVadOptions.speech_pad_ms``, as FastRTC counts them).
        speech_threshold: A pause is one for certain once the window holds less than this many seconds of speech.
            ``audio_chunk_duration - speech_threshold`` is therefore the silence that ends a turn without a detector;
            with one, the silences that it chooses from grow and shrink with it.
        max_continuous_speech_s: A turn is answered after this many seconds even without a pause.
        pre_roll_s: Audio before the detected start that the reply function gets as well, so that no onset is lost,
            nor the breath before it.
        shortest_silence_s: Never answer sooner than this after speech. None: 0.12 s, for the usual thresholds.
        longest_silence_s: Never wait longer than this after speech. None: about 1.4 s, for the usual thresholds, and
            longer for a speaker who makes long pauses.
        turn_detector: Judges by the sound whether the user is done: ``"sound"``, a small model that comes with the
            package; ``"silence"``: silence alone, by FastRTC's thresholds; or your own, for example
            :class:`fastrtc.speech.smart_turn.SmartTurn`.
        interruption: What speech over a reply does. ``"hold"``: the reply falls silent at once, and goes on if it was
            only a cough or a "mm-hm". ``"cancel"``: the first sound ends the reply.
        hold_speech_s: Speech over a reply that makes it fall silent; by default one window of the built-in detector. A
            window or less also lets a hiss do so that a voice seems to follow, as in "six"; not where an echo is heard.
        interrupt_speech_s: Speech over a reply that ends it.
        resume_silence_s: Silence after which a held reply goes on.
        continue_unheard_turn: When the user goes on speaking before any of the reply was heard, the next call gets the
            whole utterance from its first start, and not only its second half.
        turn_detection: ``"auto"``, or ``"manual"``: a turn ends only on ``trigger_response`` (push to talk).
        idle_timeout_s: With nobody speaking for this long, ``idle_fn`` is called, or the session ends.
        interruption_filter: Tells, while a reply is held, an interruption from a "mm-hm"; it is given each sound over a
            reply. ``"sound"``: the built-in one, by the sound alone. None: only ``interrupt_speech_s`` counts. Or your
            own (see :class:`fastrtc.turns.interruption.InterruptionFilter`).
        interrupt_words: Words over a reply that it takes to end it; "yeah" and the like do not count while they are
            all. 0: no words are counted. They are recognised by the handler's ``captions``, else by
            ``get_stt_model()``, about every 0.3 s while the user goes on, and instead of the built-in filter.
        longest_backchannel_s: Speech over a reply that ends it whatever the filter says; not where words are counted.
        echo_guard: Whether the bot's own voice, come back through the user's microphone, is kept from counting as the
            user's speech. It costs nothing while nothing is played.
        detector_gain_db: How much louder the detector may hear a quiet caller; 0 leaves everything as it is. What the
            reply function gets is never changed.
    """

    audio_chunk_duration: float = 0.6
    started_talking_threshold: float = 0.2
    speech_threshold: float = 0.1
    max_continuous_speech_s: float = math.inf
    pre_roll_s: float = 0.9
    shortest_silence_s: float | None = None
    longest_silence_s: float | None = None
    turn_detector: TurnDetector | Literal["sound", "silence"] = "sound"
    interruption: Interruption = "hold"
    hold_speech_s: float = 0.03
    interrupt_speech_s: float = 0.3
    resume_silence_s: float = 0.5
    continue_unheard_turn: bool = True
    turn_detection: TurnDetection = "auto"
    idle_timeout_s: float = math.inf
    interruption_filter: InterruptionFilter | Literal["sound"] | None = "sound"
    interrupt_words: int = 0
    longest_backchannel_s: float = 0.8
    echo_guard: bool = True
    detector_gain_db: float = 20.0

    def __post_init__(self) -> None:
        _positive("audio_chunk_duration", self.audio_chunk_duration)
        _positive("max_continuous_speech_s", self.max_continuous_speech_s)
        _positive("idle_timeout_s", self.idle_timeout_s)
        for name in (
            "started_talking_threshold",
            "speech_threshold",
            "pre_roll_s",
            "hold_speech_s",
            "interrupt_speech_s",
            "resume_silence_s",
            "longest_backchannel_s",
            "detector_gain_db",
        ):
            _not_negative(name, getattr(self, name))
        if self.speech_threshold >= self.audio_chunk_duration:
            raise ConfigurationError(
                f"speech_threshold ({self.speech_threshold}) must be less than audio_chunk_duration "
                f"({self.audio_chunk_duration}): the window could never hold that much speech"
            )
        for name in ("shortest_silence_s", "longest_silence_s"):
            if (silence_s := getattr(self, name)) is not None:
                _not_negative(name, silence_s)
        if (self.longest_silence_s or math.inf) < (self.shortest_silence_s or 0.0):
            raise ConfigurationError(
                f"longest_silence_s ({self.longest_silence_s}) is less than shortest_silence_s "
                f"({self.shortest_silence_s})"
            )
        if self.interruption not in ("hold", "cancel"):
            raise ConfigurationError(f'interruption must be "hold" or "cancel", got {self.interruption!r}')
        if self.turn_detector not in ("sound", "silence") and not _is_a(TurnDetector, self.turn_detector):
            raise ConfigurationError(
                'turn_detector must be "sound", "silence" or an object with a method probability(audio, silence_ms), '
                f"got {self.turn_detector!r}"
            )
        if self.interruption_filter not in ("sound", None) and not _is_a(InterruptionFilter, self.interruption_filter):
            raise ConfigurationError(
                'interruption_filter must be "sound", None or an object with a method weigh(sound), '
                f"got {self.interruption_filter!r}"
            )
        if self.turn_detection not in ("auto", "manual"):
            raise ConfigurationError(f'turn_detection must be "auto" or "manual", got {self.turn_detection!r}')
        self._check_words()

    def _check_words(self) -> None:
        if not isinstance(self.interrupt_words, int) or self.interrupt_words < 0:
            raise ConfigurationError(f"interrupt_words must be a whole number from 0 on, got {self.interrupt_words!r}")
        if self.interrupt_words and (self.interruption, self.interruption_filter) != ("hold", "sound"):
            raise ConfigurationError(
                'interrupt_words are counted while a reply is held, by a filter of their own: leave interruption="hold"'
                ' and interruption_filter="sound" as they are'
            )


def _is_a(protocol: type, value: object) -> bool:
    return isinstance(value, protocol) and not isinstance(value, type)


def _positive(name: str, value: object) -> None:
    if not (isinstance(value, Real) and float(value) > 0):
        raise ConfigurationError(f"{name} must be a positive number of seconds, got {value!r}")


def _not_negative(name: str, value: object) -> None:
    if not (isinstance(value, Real) and float(value) >= 0):
        unit = "decibels" if name.endswith("_db") else "seconds"
        raise ConfigurationError(f"{name} must be zero or a positive number of {unit}, got {value!r}")


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What counts as speech.

    Attributes:
        threshold: A window at or above this probability is speech.
        release: Speech goes on until a window falls below this (hysteresis).
        window_samples: Length of the sliding window.
        min_speech_samples: Speech in the window that makes a start.
    """

    threshold: float
    release: float
    window_samples: int
    min_speech_samples: int


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """Everything the turn machine needs to know, in samples of the session's input rate."""

    rate_hz: int
    gate: GateSettings
    pre_roll_samples: int
    max_speech_samples: float
    can_interrupt: bool
    interruption: Interruption
    hold_samples: int
    interrupt_samples: int
    resume_samples: int
    doubt_end_samples: int
    continue_unheard: bool
    manual: bool
    weigh: bool = False
    weigh_again_samples: float = math.inf
    longest_backchannel_samples: float = math.inf
    sound_end_samples: int = 0
    continued_samples: int = 0
    min_turn_samples: int = 0

    def ms(self, samples: float) -> float:
        """Samples as milliseconds."""
        return 1000.0 * samples / self.rate_hz


def turn_settings(
    options: AlgoOptions,
    *,
    rate_hz: int,
    threshold: float,
    release: float | None = None,
    min_speech_ms: float,
    speech_pad_ms: float,
    can_interrupt: bool,
    weigh: bool = False,
    min_turn_ms: float = 0.0,
) -> TurnSettings:
    """Translate the options of a user into samples.

    Args:
        options: The user's ``AlgoOptions``.
        rate_hz: The session's input rate.
        threshold: Speech probability that counts as speech.
        release: Probability below which speech ends; None: 0.15 less, as Silero has it.
        min_speech_ms: Speech shorter than this does not start a turn.
        speech_pad_ms: Padding that FastRTC adds to speech before it compares with ``started_talking_threshold``.
        can_interrupt: Whether speech over a reply does anything.
        weigh: Whether somebody answers the machine's questions about sounds over a held reply.
        min_turn_ms: What falls silent with less speech than this was no turn.
    """

    def samples(seconds: float) -> int:
        return round(seconds * rate_hz)

    wanted_ms = max(min_speech_ms, 1000.0 * options.started_talking_threshold - speech_pad_ms)
    return TurnSettings(
        rate_hz=rate_hz,
        gate=GateSettings(
            threshold=threshold,
            release=max(threshold - 0.15, 0.01) if release is None else release,
            window_samples=samples(options.audio_chunk_duration),
            min_speech_samples=samples(wanted_ms / 1000.0),
        ),
        pre_roll_samples=samples(options.pre_roll_s),
        max_speech_samples=options.max_continuous_speech_s * rate_hz,
        can_interrupt=can_interrupt,
        interruption=options.interruption,
        hold_samples=samples(options.hold_speech_s),
        interrupt_samples=samples(options.interrupt_speech_s),
        resume_samples=samples(options.resume_silence_s),
        doubt_end_samples=samples(min(DOUBT_END_S, options.resume_silence_s)),
        continue_unheard=options.continue_unheard_turn,
        manual=options.turn_detection == "manual",
        weigh=weigh,
        weigh_again_samples=(COUNT_EVERY_S if options.interrupt_words else math.inf) * rate_hz,
        longest_backchannel_samples=(
            math.inf
            if options.interrupt_words
            else max(options.longest_backchannel_s, options.interrupt_speech_s) * rate_hz
        ),
        sound_end_samples=samples(min(SOUND_END_S, options.resume_silence_s)),
        continued_samples=samples(CONTINUED_S),
        min_turn_samples=samples(min_turn_ms / 1000.0),
    )
