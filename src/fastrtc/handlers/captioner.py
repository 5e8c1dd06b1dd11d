"""Live captions: what the user says as text, while it is being said and once more when the turn is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from fastrtc.audio import PCM
from fastrtc.events import UserTranscript
from fastrtc.handlers.ports import Computer
from fastrtc.media.ring import AudioRing
from fastrtc.speech.protocol import SpeechToText
from fastrtc.turns.machine import Decision, StartReply
from fastrtc.turns.user_turn import Paused, Started, UserState

STEP_S = 0.4  # of new audio between two questions to the recogniser
SHARE = 0.25  # of one core that partial transcripts of one session may take
SHORTEST_S = 0.1  # of audio that can hold a word
SAME_S = 0.1  # between two places that are taken for the same beginning
SPOKEN_REASONS = frozenset({"silence", "complete", "max_speech", "trigger"})


@dataclass(frozen=True, slots=True)
class _Final:
    """A turn that has been committed."""

    turn: int
    speech_end: int
    audio: PCM
    transcript: Future[str]


@dataclass(slots=True)
class _Utterance:
    """What the user is saying, or has said and is not told about for the last time.

    Attributes:
        start: Its first sample.
        onset: Its first sound.
        covered: How far the newest question to the recogniser reached, and ...
        known: ... the newest answer.
        text: That answer.
        shown: Whether a partial transcript of it was told.
        final: The turn that it became.
    """

    start: int
    onset: int
    covered: int
    known: int = 0
    text: str = ""
    shown: bool = False
    final: _Final | None = None


class Captioner:
    """Asks the recogniser about one turn at a time, once at a time, about more and more of it.

    ============================  ===========================================================================
    input                         effect
    ============================  ===========================================================================
    ``Started``                   an utterance begins
    ``Paused``, or more audio     a question about all of it so far, unless one is under way: a partial
    ``StartReply``                the final transcript: the newest partial if it holds all the speech, else one
                                  more question
    the turn came to nothing      an empty final transcript, if a partial was told
    ============================  ===========================================================================

    All methods are for the media clock's thread; the recogniser runs where ``computer`` runs it.

    Args:
        recogniser: Makes text of audio.
        ring: The session's audio; it keeps a turn's until the turn is over.
        rate_hz: Its rate.
        pre_roll_samples: What a turn's audio has before its first sound.
        earliest: Where a turn may begin now; what is before that is no part of it.
        computer: Runs the recogniser away from the clock.
        tell: Publishes a transcript.
        failed: Told when the recogniser raises.
    """

    def __init__(
        self,
        recogniser: SpeechToText,
        ring: AudioRing,
        rate_hz: int,
        pre_roll_samples: int,
        earliest: Callable[[], int],
        computer: Computer,
        tell: Callable[[UserTranscript], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._recogniser = recogniser
        self._ring = ring
        self._rate_hz = rate_hz
        self._pre_roll = pre_roll_samples
        self._earliest = earliest
        self._computer = computer
        self._tell = tell
        self._failed = failed
        self._current: _Utterance | None = None
        self._asking = False
        self._ended: list[_Utterance] = []
        self._rest_samples = 0
        self._transcript: Future[str] = Future()

    def follow(self, decision: Decision) -> None:
        """Take a decision of the turn machine; of ``StartReply`` the one that is carried out."""
        match decision:
            case Started(onset):
                if self._current is None:
                    # The recogniser needs some speech: of its first moments it only guesses.
                    self._current = _Utterance(max(onset - self._pre_roll, self._earliest()), onset, covered=onset)
            case Paused():
                self._ask_about_current()
            case StartReply():
                self._finish(decision)

    @property
    def transcript(self) -> Future[str]:
        """Will hold the text of the turn that :meth:`follow` was given last."""
        return self._transcript

    def close(self) -> None:
        """Nothing more is told; who waits for a transcript waits in vain."""
        for one in self._ended:
            if one.final is not None:
                one.final.transcript.cancel()
        self._ended.clear()
        self._current = None

    def tick(self, state: UserState) -> None:
        """20 ms have passed."""
        current = self._current
        if current is None:
            return
        if state is UserState.SILENT:
            self._current = None
            if current.shown:
                self._tell_about(current, "", self._ring.end, final=True)
        elif self._ring.end - current.covered >= STEP_S * self._rate_hz + self._rest_samples:
            self._ask_about_current()

    def _finish(self, reply: StartReply) -> None:
        self._transcript = Future()
        if reply.reason not in SPOKEN_REASONS or reply.end - reply.start < SHORTEST_S * self._rate_hz:
            self._transcript.set_result("")
            return
        current, self._current = self._current, None
        # Between the start and the onset there is no speech that another beginning could leave out.
        earliest = reply.start + SAME_S * self._rate_hz
        ended = current if current is not None and current.start <= earliest and reply.start <= current.onset else None
        if ended is None:
            ended = _Utterance(reply.start, reply.start, covered=reply.start)
        audio = self._ring.slice(max(reply.start, self._ring.start), reply.end)
        ended.final = _Final(reply.turn, reply.speech_end, audio, self._transcript)
        self._ended.append(ended)
        self._go_on()

    def _go_on(self) -> None:
        """Tell what is final, and ask about what is not."""
        while self._ended and not self._asking:
            one = self._ended[0]
            final = one.final
            assert final is not None
            if one.known >= final.speech_end:
                self._ended.pop(0)
                final.transcript.set_result(one.text)
                self._tell_about(one, one.text, final.speech_end, final=True, turn=final.turn)
            else:
                self._ask(one, final.audio, max(final.speech_end, one.start + 1))

    def _ask_about_current(self) -> None:
        current = self._current
        if current is not None and not self._asking:
            self._ask(current, self._ring.slice(max(current.start, self._ring.start), self._ring.end), self._ring.end)

    def _ask(self, utterance: _Utterance, audio: PCM, end: int) -> None:
        self._asking = True
        utterance.covered = end

        def recognise() -> tuple[str, float]:
            began_s = time.perf_counter()
            text = self._recogniser.stt((self._rate_hz, audio.reshape(1, -1)))
            return text.strip(), time.perf_counter() - began_s

        def take(result: tuple[str, float]) -> None:
            text, took_s = result
            self._asking = False
            self._rest_samples = round(max(0.0, took_s / SHARE - STEP_S) * self._rate_hz)
            utterance.known = end
            if utterance.final is None and utterance is self._current and text != utterance.text:
                utterance.shown = True
                self._tell_about(utterance, text, end, final=False)
            utterance.text = text
            self._go_on()

        def failed(error: BaseException) -> None:
            self._asking = False
            if utterance.final is not None:
                utterance.known = end  # Not asked again: it would fail again.
            self._failed(error)
            self._go_on()

        self._computer.recognise("captions", recognise, take, failed)

    def _tell_about(self, utterance: _Utterance, text: str, end: int, *, final: bool, turn: int | None = None) -> None:
        self._tell(
            UserTranscript(
                at_s=self._ring.end / self._rate_hz,
                text=text,
                final=final,
                start_s=utterance.start / self._rate_hz,
                end_s=end / self._rate_hz,
                turn=turn,
            )
        )
