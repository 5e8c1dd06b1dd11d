"""Who has the floor: puts one user's turns and the bot's replies together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.interruption import WeighSound, is_interruption
from fastrtc.turns.options import TurnSettings
from fastrtc.turns.patience import EndpointPolicy
from fastrtc.turns.user_turn import AskDetector, Discarded, Ended, Paused, Started, UserOutput, UserState, UserTurn


class Floor(Enum):
    """See the table of :class:`TurnMachine`."""

    FREE = "free"
    THINKING = "thinking"
    REPLYING = "replying"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class StartReply:
    """Call the reply function with the audio from ``start`` to ``end``.

    Attributes:
        turn: Number of the turn, from 1.
        start: First sample for the function (speech onset less the pre-roll).
        end: After its last sample.
        speech_end: Where the user's speech ended.
        reason: ``silence``, ``complete``, ``max_speech``, ``trigger``, ``text``, ``greeting`` or ``idle``.
        probability: The detector's last answer.
    """

    turn: int
    start: int
    end: int
    speech_end: int
    reason: str
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Be silent at once; the reply may go on later."""

    turn: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """It was no interruption: go on where the reply stopped."""

    turn: int


@dataclass(frozen=True, slots=True)
class CancelReply:
    """End the reply: close the generator, drop its audio."""

    turn: int
    reason: str


Decision: TypeAlias = (
    Started | Paused | AskDetector | Discarded | WeighSound | StartReply | HoldReply | ResumeReply | CancelReply
)


class TurnMachine:
    """Decides who speaks.

    ==================  ==========================================  ==========  =======================
    floor               input                                       next        output
    ==================  ==========================================  ==========  =======================
    FREE                the user's turn ended                       THINKING    StartReply
    THINKING            ``reply_audible``                           REPLYING
    THINKING, REPLYING  speech for ``hold_samples``, "hold"         HELD        HoldReply
    THINKING, REPLYING  speech for ``hold_samples``, "cancel"       FREE        CancelReply
    HELD                speech for ``interrupt_samples``            FREE        CancelReply
    HELD                ... and with ``weigh``: "an interruption"   FREE        CancelReply
    HELD                silence for ``resume_samples``              as before   ResumeReply
    HELD                less, if all of the sound was doubtful      as before   ResumeReply
    THINKING, REPLYING  a word may begin, "hold"                    HELD        HoldReply
    HELD                no speech for ``doubt_end_samples`` after   as before   ResumeReply
    any but FREE        ``reply_finished``                          FREE
    any but FREE        ``trigger``                                 THINKING    CancelReply, StartReply
    any but FREE        ``cancel``                                  FREE        CancelReply
    HELD                ``discard`` or ``mute``                     as before   ResumeReply
    any                 the same, the user having begun to speak    as before   Discarded
    THINKING, REPLYING  the user fell silent before a hold          as before   Discarded, if he had begun to speak
    ==================  ==========================================  ==========  =======================

    With ``weigh``, a filter is asked (``WeighSound``) when the speech over a reply reaches ``interrupt_samples`` and
    when it pauses, and again after every ``weigh_again_samples`` of speech; ``longest_backchannel_samples`` of it end
    the reply without an answer. What was let pass belongs to the user's turn all the same if that follows within
    ``continued_samples``.

    Doubtful speech (``SpeechWindow.doubtful``) holds a reply, and ends none; where there is none, it is not heard.

    Speech over a reply ends no turn before it has interrupted the reply, and interrupts none before it is enough for a
    turn to start: until then the reply is held, also with "cancel", so that no reply is lost to a sound. Without
    ``can_interrupt``, speech while the floor is not FREE is not heard at all.
    """

    def __init__(self, settings: TurnSettings, policy: EndpointPolicy) -> None:
        self._settings = settings
        self._user = UserTurn(settings, policy)
        self.floor = Floor.FREE
        self.turn = 0
        self._audible = False
        self._spoken_over = 0
        self._sound_start = 0
        self._certain = True
        self._expected_at = 0
        self._weighed: WeighSound | None = None
        self._weighing = False
        self._swallowed: tuple[int, int] | None = None
        self._reply_start: int | None = None
        self._carried_start: int | None = None
        self._muted = False

    @property
    def user_state(self) -> UserState:
        """What the user is doing."""
        return self._user.state

    @property
    def busy(self) -> bool:
        """Whether somebody is in the middle of something: the user speaks, or a reply is being made or played."""
        return self.floor is not Floor.FREE or self._user.state is not UserState.SILENT

    def has_floor(self, turn: int) -> bool:
        """Whether the reply to ``turn`` is being made, played or held."""
        return turn == self.turn and self.floor is not Floor.FREE

    @property
    def needed_from(self) -> int | None:
        """Oldest sample that a decision may still name; None: only the pre-roll before what is judged next."""
        unheard = None if self.floor is Floor.FREE or self._audible else self._reply_start
        swallowed = None if self._swallowed is None else self._swallowed[0]
        candidates = (self._user.start, self._user.gate.recent_onset, self._carried_start, unheard, swallowed)
        starts = [start for start in candidates if start is not None]
        return min(starts) - self._settings.pre_roll_samples if starts else None

    def hear(self, window: SpeechWindow, at: int) -> list[Decision]:
        """Take the next judged window of the user's audio.

        Args:
            window: The window.
            at: Samples received so far.
        """
        if self._muted or (self.floor is not Floor.FREE and not self._settings.can_interrupt):
            self._user.discard()
            return []
        self._forget_swallowed(at)
        over_reply = self.floor is not Floor.FREE
        if window.doubtful and not over_reply:
            window = window._replace(probability=0.0)
        may_end = not over_reply and not self._settings.manual
        decisions = self._follow(self._user.step(window, at, may_end=may_end), at)
        if over_reply:
            decisions += self._while_spoken_over(window, at)
        return decisions

    def answered(self, ask: AskDetector, probability: float, at: int) -> list[Decision]:
        """The end-of-turn detector's answer."""
        self._user.answered(ask, probability)
        if self.floor is not Floor.FREE or self._settings.manual:
            return []
        ended = self._user.decide(at)
        return self._follow([ended], at) if ended else []

    def weighed(self, question: WeighSound, probability: float | None, at: int) -> list[Decision]:
        """The interruption filter's answer; None: it cannot say."""
        if self.floor is not Floor.HELD or question is not self._weighed:
            return []
        self._weighing = False
        if not is_interruption(question, probability):
            return []
        ended = None if self._settings.manual else self._user.decide(at)
        return self._cancel("user") + (self._follow([ended], at) if ended else [])

    def trigger(self, at: int, reason: str = "trigger") -> list[Decision]:
        """Reply now, to whatever was said so far (nothing, if the user is silent)."""
        decisions = self._cancel(reason) if self.floor is not Floor.FREE else []
        return decisions + self._follow([self._user.end_now(at, reason)], at)

    def cancel(self, reason: str) -> list[Decision]:
        """End the reply, if there is one."""
        return [] if self.floor is Floor.FREE else self._cancel(reason)

    def mute(self, muted: bool) -> list[Decision]:
        """While muted the user is not heard; what was said before is forgotten, and holds no reply any more."""
        self._muted = muted
        return self._take_back("muted") if muted else []

    def discard(self) -> list[Decision]:
        """Forget what the user has said since the last turn; what follows can be a turn again."""
        decisions = self._take_back("requested")
        self._swallowed = self._carried_start = None
        return decisions

    def _take_back(self, reason: str) -> list[Decision]:
        told: list[Decision] = [] if self._user.state is UserState.SILENT else [Discarded(reason)]
        return told + self._let_go()

    def greet(self, at: int, reason: str = "greeting") -> list[Decision]:
        """The bot takes the floor without being asked; nothing happens while somebody else has it."""
        return [] if self.busy else self._start(Ended(at, at, at, reason, None), at)

    def reply_audible(self, turn: int) -> None:
        """The first audio of the reply went out."""
        if self.has_floor(turn):
            self._audible = True
            if self.floor is Floor.THINKING:
                self.floor = Floor.REPLYING

    def reply_finished(self, turn: int) -> None:
        """The reply's function has returned and its audio has been played."""
        if self.has_floor(turn):
            self.floor = Floor.FREE
            self._forget_sound()

    def _follow(self, outputs: list[UserOutput], at: int) -> list[Decision]:
        decisions: list[Decision] = []
        for output in outputs:
            if isinstance(output, Ended):
                decisions += self._start(output, at)
            else:
                decisions.append(output)
        return decisions

    def _start(self, ended: Ended, at: int) -> list[Decision]:
        start = self._with_swallowed(ended.start)
        if self._carried_start is not None:
            start = min(start, self._carried_start)
        self.turn += 1
        self.floor = Floor.THINKING
        self._audible = False
        self._forget_sound()
        self._swallowed = None
        self._reply_start = start if start < at else None
        self._carried_start = None
        first = max(0, start - self._settings.pre_roll_samples) if start < at else at
        return [StartReply(self.turn, first, at, ended.speech_end, ended.reason, ended.probability)]

    def _with_swallowed(self, start: int) -> int:
        """Where a turn that started at ``start`` really began: with what was taken for a backchannel just before."""
        if self._swallowed is None:
            return start
        began, ended = self._swallowed
        return min(start, began) if start - ended <= self._settings.continued_samples else start

    def _forget_swallowed(self, at: int) -> None:
        if self._swallowed is None:
            return
        settings, start = self._settings, self._user.start
        if start is None:
            over = at - self._swallowed[1] > settings.continued_samples + settings.gate.window_samples
        else:
            over = start - self._swallowed[1] > settings.continued_samples
        if over:
            self._swallowed = None

    def _while_spoken_over(self, window: SpeechWindow, at: int) -> list[Decision]:
        gate = self._user.gate
        if window.beginning and not gate.speech and (expected := self._expect_word(window)):
            return expected
        if gate.speech:
            if not self._spoken_over:
                self._sound_start = window.start
                self._certain = False
            self._certain = self._certain or not window.doubtful
            self._spoken_over += window.end - window.start
        elif at - max(gate.last_speech_end, self._expected_at) >= self._silence_to_resume and not self._weighing:
            # Of a held reply its going on says the same.
            return self._let_go() if self.floor is Floor.HELD else self._take_back("too_short")
        held, cancels = self.floor is Floor.HELD, self._settings.interruption == "cancel"
        if self._certain and held and not cancels and self._settings.weigh:
            return self._weigh(at)
        enough = self._settings.interrupt_samples if held and not cancels else self._settings.hold_samples
        if not gate.speech or self._spoken_over < enough:
            return []
        if self._certain and (held or cancels) and self._user.state is not UserState.SILENT:
            return self._cancel("user")
        return [] if held else self._hold()

    def _expect_word(self, window: SpeechWindow) -> list[Decision]:
        """Hold the reply for a word whose voice has not been heard yet, where the first speech would hold it."""
        settings = self._settings
        if settings.interruption != "hold" or settings.hold_samples > window.end - window.start:
            return []
        self._expected_at = window.end
        return [] if self.floor is Floor.HELD else self._hold()

    @property
    def _silence_to_resume(self) -> int:
        doubtful = not self._certain or not self._spoken_over
        return self._settings.doubt_end_samples if doubtful else self._settings.resume_samples

    def _hold(self) -> list[Decision]:
        self.floor = Floor.HELD
        return [HoldReply(self.turn)]

    def _weigh(self, at: int) -> list[Decision]:
        """Let the filter judge the sound: once when it could be an interruption, and whenever it pauses."""
        gate, settings, last = self._user.gate, self._settings, self._weighed
        if gate.speech and self._spoken_over >= settings.longest_backchannel_samples:
            return [] if self._user.state is UserState.SILENT else self._cancel("user")
        if self._weighing or self._user.state is UserState.SILENT or self._spoken_over < settings.interrupt_samples:
            return []
        if gate.speech:
            due = last is None or self._spoken_over - last.speech_samples >= settings.weigh_again_samples
        else:
            paused = at - gate.last_speech_end >= settings.sound_end_samples
            due = paused and not (last is not None and last.ended and last.speech_samples == self._spoken_over)
        if not due:
            return []
        self._weighing = True
        self._weighed = WeighSound(self._sound_start, at, self._spoken_over, not gate.speech)
        return [self._weighed]

    def _forget_sound(self) -> None:
        self._spoken_over = 0
        self._weighed = None
        self._weighing = False

    def _let_go(self) -> list[Decision]:
        if self.floor is Floor.HELD and self._user.start is not None:
            self._swallowed = (self._user.start, self._user.gate.last_speech_end)
        self._forget_sound()
        self._user.discard()
        if self.floor is not Floor.HELD:
            return []
        self.floor = Floor.REPLYING if self._audible else Floor.THINKING
        return [ResumeReply(self.turn)]

    def _cancel(self, reason: str) -> list[Decision]:
        if reason == "user" and not self._audible and self._settings.continue_unheard:
            self._carried_start = self._reply_start
        self.floor = Floor.FREE
        self._forget_sound()
        return [CancelReply(self.turn, reason)]
