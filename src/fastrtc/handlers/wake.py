"""Listens for a stop word in judged windows: the recogniser is asked about speech only, and about the newest of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastrtc.handlers.ports import Computer
from fastrtc.media.ring import AudioRing
from fastrtc.turns.gate import SpeechGate, SpeechWindow
from fastrtc.turns.options import GateSettings, TurnSettings

if TYPE_CHECKING:
    from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords

STEP_S = 0.3  # of new speech between two questions to the recogniser
LONGEST_S = 2.0  # of audio in one question: shorter costs less, and finds more where others speak, too
UTTERANCE_S = 3.0  # of speech up to the stop word that may be wanted with it
LEAD_S, TAIL_S = 0.3, 0.2  # of audio before and after detected speech, so that nothing is cut off
FORGET_S = 1.0  # of silence after which what is said next has nothing to do with what was said before
MEMORY_S = 8.0  # how long a recogniser may take before what followed the stop word is lost
MORE_S = 0.5  # of audio behind that in which a stop word was found, to find its end in
EARLIER_S = 0.1  # that the end may lie before what a question without an answer reached to


@dataclass(frozen=True, slots=True)
class Heard:
    """A stop word was heard.

    Attributes:
        phrase: It; empty where the recogniser does not say.
        start: Where the speech that holds it began, as far back as was listened to.
        end: Where it ended, and ...
        rest: ... how many samples later it may have.
        missed: The windows after that, in order.
    """

    phrase: str
    start: int
    end: int
    rest: int
    missed: list[SpeechWindow]


class WakeListener:
    """One session's ear for stop words, while it waits for one.

    Args:
        handler: Makes the spotter.
        ring: The session's recent audio.
        gate: What counts as speech.
        computer: Where the recogniser runs.
        on_spotted: Told about a stop word as soon as possible, and ...
        on_heard: ... once more when it is known where it ended.
        on_error: Told when the recogniser raises; listening goes on.

    Raises:
        MissingExtraError: The handler has no recogniser.
    """

    def __init__(
        self,
        handler: ReplyOnStopWords,
        ring: AudioRing,
        gate: GateSettings,
        computer: Computer,
        on_spotted: Callable[[], None],
        on_heard: Callable[[Heard], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._spotter = handler.spotter()
        self._rate_hz = handler.input_sample_rate
        self._ring = ring
        self._gate = SpeechGate(gate)
        self._computer = computer
        self._on_spotted = on_spotted
        self._on_heard = on_heard
        self._on_error = on_error
        self._windows: deque[SpeechWindow] = deque()
        self._speech_start: int | None = None
        self._asked_upto = 0
        self._known_upto = 0
        self._spotted: _Spotted | None = None
        self._from = 0
        self._round = 0

    def begin(self, at: int) -> None:
        """Listen to what comes after ``at``; an answer that is still to come about what was before is dropped."""
        self._round += 1
        self._windows.clear()
        self._spotted = None
        self._from = self._known_upto = at
        self._forget(at)

    def hear(self, window: SpeechWindow) -> None:
        """Take the next judged window."""
        self._windows.append(window)
        while self._windows[0].end < window.end - MEMORY_S * self._rate_hz:
            self._windows.popleft()
        self._gate.step(window)
        if self._spotted is not None:
            if window.end >= self._spotted.at + round(MORE_S * self._rate_hz):
                self._locate(self._spotted, window.end)
            return
        if self._gate.speech and self._speech_start is None:
            self._speech_start = self._asked_upto = window.start
        if self._speech_start is None:
            return
        news = self._gate.last_speech_end - self._asked_upto
        if news >= STEP_S * self._rate_hz or (not self._gate.speech and news > 0):
            self._ask(self._speech_start, min(window.end, self._gate.last_speech_end + round(TAIL_S * self._rate_hz)))
        elif window.end - self._gate.last_speech_end > FORGET_S * self._rate_hz:
            self._forget(window.end)

    def _forget(self, at: int) -> None:
        self._gate.forget()
        self._speech_start = None
        self._asked_upto = at

    def _ask(self, speech_start: int, at: int) -> None:
        earliest = max(at - round(LONGEST_S * self._rate_hz), self._from, self._ring.start)
        lead = round(LEAD_S * self._rate_hz)
        start = max(speech_start - lead, earliest)
        if start >= at:
            return  # Windows are judged a little later than their audio comes, so this one may lie before `begin`.
        audio = self._ring.slice(start, at)
        self._asked_upto = at
        number = self._round

        def take(phrase: str | None) -> None:
            if number != self._round or self._spotted is not None:
                return
            if phrase is None:
                self._known_upto = at
                return
            began = max(speech_start - lead, at - round(UTTERANCE_S * self._rate_hz), self._from)
            self._spotted = _Spotted(phrase, began, start, at)
            self._on_spotted()

        def failed(error: BaseException) -> None:
            if number == self._round:
                self._known_upto = at
            self._on_error(error)

        self._computer.recognise("stop words", lambda: self._spotter.spot(self._rate_hz, audio), take, failed)

    def _locate(self, spotted: _Spotted, upto: int) -> None:
        """Ask where it ended: a recogniser may know a word before that, so some more audio has been waited for."""
        if spotted.asked:
            return
        spotted.asked = True
        start = max(spotted.start, self._ring.start)
        audio = self._ring.slice(start, min(upto, self._ring.end))
        known = max(0, self._known_upto - round(EARLIER_S * self._rate_hz) - start)
        number = self._round

        def take(end: int) -> None:
            if number == self._round:
                missed = [window for window in self._windows if window.start >= start + end]
                rest = round(self._spotter.rest_s * self._rate_hz)
                self._on_heard(Heard(spotted.phrase, min(spotted.began, start), start + end, rest, missed))

        def failed(error: BaseException) -> None:
            self._on_error(error)
            take(len(audio))

        self._computer.recognise(
            "stop words", lambda: self._spotter.end_of(self._rate_hz, audio, spotted.phrase, known), take, failed
        )


@dataclass(slots=True)
class _Spotted:
    """A stop word whose end is not known yet: the speech and the audio that hold it, and whether it was asked for."""

    phrase: str
    began: int
    start: int
    at: int
    asked: bool = False


class RestOfWord:
    """Keeps the last sounds of the stop word, which a recogniser knows before it ends, from starting a turn.

    Speech that goes on without a break for longer than a rest could is what the user says next, all of it; what breaks
    off sooner was the rest.

    Args:
        end: Where the recogniser says that the word ended.
        longest: How long the rest may be.
        settings: Of the turn: rate, and what counts as speech.

    Attributes:
        end: Where it ended, as far as it is known now.
    """

    def __init__(self, end: int, longest: int, settings: TurnSettings) -> None:
        self.end = end
        self._release = settings.gate.release
        self._longest = longest
        self._kept: list[SpeechWindow] | None = []

    def take(self, window: SpeechWindow) -> list[SpeechWindow]:
        """The windows that are to be heard now."""
        if self._kept is None:
            return [window]
        if window.probability < self._release:
            self.end = window.start if self._kept else self.end
            self._kept = None
            return [window]
        self._kept.append(window)
        if window.end - self.end <= self._longest:
            return []
        kept, self._kept = self._kept, None
        return kept
