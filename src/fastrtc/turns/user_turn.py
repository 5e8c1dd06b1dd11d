"""One speaker's turn: when it starts, where it pauses, when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from fastrtc.turns.gate import SpeechGate, SpeechWindow
from fastrtc.turns.options import TurnSettings
from fastrtc.turns.patience import PHRASE_PAUSE_MS, EndpointPolicy, Pause

REMEMBERED_PAUSES = 16


class UserState(Enum):
    """See the table of :class:`UserTurn`."""

    SILENT = "silent"
    SPEAKING = "speaking"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Started:
    """The user has begun to speak, at ``onset``."""

    onset: int


@dataclass(frozen=True, slots=True)
class Paused:
    """The user fell silent at ``end``; the turn may go on."""

    end: int


@dataclass(frozen=True, slots=True)
class AskDetector:
    """Ask the end-of-turn detector about the audio from ``start`` to ``end``; answer with ``answered``."""

    start: int
    end: int
    silence_ms: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over.

    Attributes:
        start: Where its speech began.
        speech_end: Where its speech ended.
        at: Where it was decided.
        reason: ``silence``, ``complete`` or ``max_speech``.
        probability: Last answer of the detector.
    """

    start: int
    speech_end: int
    at: int
    reason: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Discarded:
    """What the user has said since the last turn is forgotten.

    Attributes:
        reason: ``too_short``, ``requested`` or ``muted``.
    """

    reason: str


UserOutput: TypeAlias = Started | Paused | AskDetector | Ended | Discarded


class UserTurn:
    """Follows the speech of one user.

    ==========  ==================================  ==========  ===========================
    state       input                               next        output
    ==========  ==================================  ==========  ===========================
    SILENT      enough speech in the window         SPEAKING    Started
    SPEAKING    window without speech               PAUSED      Paused
    SPEAKING    turn longer than the maximum        SILENT      Ended(max_speech)
    PAUSED      window with speech                  SPEAKING
    PAUSED      silence at an asking point          PAUSED      AskDetector
    PAUSED      silence >= what the policy asks     SILENT      Ended(silence or complete)
    PAUSED      the same, too little speech         SILENT      Discarded(too_short)
    any         ``discard()``                       SILENT
    ==========  ==================================  ==========  ===========================
    """

    def __init__(self, settings: TurnSettings, policy: EndpointPolicy) -> None:
        self._settings = settings
        self._policy = policy
        self.gate = SpeechGate(settings.gate)
        self.state = UserState.SILENT
        self._start = 0
        self._speech_samples = 0
        self._paused_at = 0
        self._answers: list[tuple[float, float]] = []
        self._asked = 0
        self._earlier_ms: tuple[float, ...] = ()
        self._phrase_start = 0
        self._had_pause = False

    def step(self, window: SpeechWindow, at: int, *, may_end: bool = True) -> list[UserOutput]:
        """Take the next judged window.

        Args:
            window: The window.
            at: Samples received so far.
            may_end: False while somebody else decides what becomes of this speech (a held reply).
        """
        self.gate.step(window)
        if self.gate.speech:
            self._speech_samples += window.end - window.start
        if self.state is UserState.SILENT:
            return self._while_silent()
        if self.gate.speech:
            return self._while_speaking(window, at, may_end)
        return self._while_paused(at, may_end)

    def answered(self, ask: AskDetector, probability: float) -> None:
        """The detector's answer to an ``AskDetector`` of the pause that is going on (ignored if it is over)."""
        if self.state is UserState.PAUSED and ask.end > self._paused_at:
            self._answers.append((ask.silence_ms, probability))

    def discard(self) -> None:
        """Forget the speech so far: it was no turn."""
        self.state = UserState.SILENT
        self._speech_samples = 0
        self.gate.forget()

    @property
    def start(self) -> int | None:
        """Where the turn's speech began, None while silent."""
        return None if self.state is UserState.SILENT else self._start

    def _while_silent(self) -> list[UserOutput]:
        if not self.gate.started:
            if self.gate.recent_onset is None:
                self._speech_samples = 0
            return []
        self.state = UserState.SPEAKING
        onset = self.gate.recent_onset
        self._start = 0 if onset is None else onset
        self._phrase_start = self._start
        self._had_pause = False
        return [Started(self._start)]

    def _while_speaking(self, window: SpeechWindow, at: int, may_end: bool) -> list[UserOutput]:
        if self.state is UserState.PAUSED:
            self._resume(window, at)
        if may_end and at - self._start >= self._settings.max_speech_samples:
            return [self._end(at, "max_speech")]
        return []

    def _resume(self, window: SpeechWindow, at: int) -> None:
        silence_ms = self._settings.ms(at - self._paused_at)
        if self._settings.ms(window.start - self._paused_at) >= PHRASE_PAUSE_MS:
            self._phrase_start = window.start
            self._had_pause = True
        self._earlier_ms = (*self._earlier_ms, silence_ms)[-REMEMBERED_PAUSES:]
        self._answers = []
        self.state = UserState.SPEAKING

    def _while_paused(self, at: int, may_end: bool) -> list[UserOutput]:
        outputs: list[UserOutput] = []
        if self.state is UserState.SPEAKING:
            self.state = UserState.PAUSED
            self._paused_at = self.gate.last_speech_end
            self._answers = []
            self._asked = 0
            outputs.append(Paused(self._paused_at))
        silence_ms = self._settings.ms(at - self._paused_at)
        due = sum(ask_ms <= silence_ms for ask_ms in self._policy.asks_ms)
        if due > self._asked:
            self._asked = due
            outputs.append(AskDetector(self._start, at, silence_ms))
        elif may_end and (ended := self.decide(at)):
            outputs.append(ended)
        return outputs

    def decide(self, at: int) -> Ended | Discarded | None:
        """What ends the turn, if the pause is long enough now: an answer, or too little speech for one."""
        if self.state is not UserState.PAUSED:
            return None
        pause = self.pause(at)
        if pause.silence_ms < self._policy.required_silence_ms(pause):
            return None
        if self._speech_samples < self._settings.min_turn_samples:
            self.discard()
            return Discarded("too_short")
        return self._end(at, "complete" if self._answers else "silence")

    def pause(self, at: int) -> Pause:
        """What is known about the pause that is going on."""
        return Pause(
            silence_ms=self._settings.ms(at - self._paused_at),
            speech_ms=self._settings.ms(self._speech_samples),
            answers=tuple(self._answers),
            earlier_ms=self._earlier_ms,
            phrase_ms=self._settings.ms(max(0, self._paused_at - self._phrase_start)),
            paused=self._had_pause,
        )

    def end_now(self, at: int, reason: str) -> Ended:
        """End the turn on request, wherever it stands; without speech so far it spans nothing."""
        if self.state is UserState.SILENT:
            onset = self.gate.recent_onset
            self._start = at if onset is None else onset
        return self._end(at, reason)

    def _end(self, at: int, reason: str) -> Ended:
        probability = self._answers[-1][1] if self._answers else None
        speech_end = min(max(self._start, self.gate.last_speech_end), at)
        ended = Ended(self._start, speech_end, at, reason, probability)
        self.discard()
        self._answers = []
        return ended
