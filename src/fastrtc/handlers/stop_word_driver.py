"""Runs a ``ReplyOnStopWords``: sleeps until a stop word is heard, then takes one turn as ``ReplyOnPause`` would."""

from __future__ import annotations

from collections.abc import Callable

from fastrtc.audio import PCM
from fastrtc.handlers.attention import Attention
from fastrtc.handlers.ports import Floorkeeper, Home, Speaker
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.turn_driver import TurnDriver
from fastrtc.handlers.wake import Heard, WakeListener
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import Floor, StartReply
from fastrtc.turns.user_turn import UserState


class StopWordDriver(TurnDriver):
    """What a ``TurnDriver`` does, in every second state.

    ========  ===============================  ========  =========================
    state     input                            next      effect
    ========  ===============================  ========  =========================
    asleep    a stop word is heard             awake     ``stopword``, CancelReply
    awake     speech and a pause               asleep    StartReply
    awake     no speech in time                asleep    ``log``
    asleep    a reply is over, and its         awake
              handler has a follow-up window
    any       the microphone is switched off   asleep
    ========  ===============================  ========  =========================
    """

    memory_s = 8.0

    def __init__(
        self,
        handler: ReplyOnStopWords,
        speaker: Speaker,
        floor: Floorkeeper,
        home: Home,
        watch: Callable[[PCM], None] | None = None,
    ) -> None:
        super().__init__(handler, speaker, floor, home, watch)
        settings = self._endpoint.settings
        self._attention = Attention(settings, handler.stop_word_options)
        self._wake = WakeListener(
            handler, self._ring, settings.gate, home, self._stop_word_spotted, self._stop_word_heard, self._failed
        )
        self._send_stopword = handler.send_stopword

    def mute(self, muted: bool) -> None:
        super().mute(muted)
        self._sleep()

    def tick(self) -> None:
        super().tick()
        if self._attention.given_up(self._ring.end, self._machine.user_state is not UserState.SILENT):
            self._log("stopword_timeout")
            self._wake.begin(self._ring.end)

    def reply_finished(self, turn: int, heard_s: float) -> None:
        super().reply_finished(turn, heard_s)
        if not self._attention.awake and not self._machine.busy and self._attention.stay(self._ring.end):
            self._wake.begin(self._ring.end)

    def _judged(self, window: SpeechWindow) -> None:
        if self._closed:
            return
        if self._deaf and not self._attention.awake:
            self._wake.begin(window.end)
        else:
            self._listen(window, self._ring.end)

    @property
    def _deaf(self) -> bool:
        return self._machine.floor is not Floor.FREE and not self._handler.can_interrupt

    def _stop_word_spotted(self) -> None:
        if self._closed:
            return
        self._send_stopword()
        self._carry_out(self._machine.cancel("stopword"))

    def _stop_word_heard(self, heard: Heard) -> None:
        if self._closed or self._attention.awake:
            return
        self._attention.wake(heard)
        self._wake.begin(self._ring.end)
        for window in heard.missed:
            # At the time of each, as if the recogniser had known at once: a pause is judged by its own length.
            self._listen(window, window.end)

    def _listen(self, window: SpeechWindow, at: int) -> None:
        if self._attention.awake:
            self._hear_command(window, at)
        else:
            self._wake.hear(window)

    def _hear_command(self, window: SpeechWindow, at: int) -> None:
        """Pass on what is no longer the stop word itself."""
        for heard in self._attention.take(window):
            self._carry_out(self._machine.hear(heard, max(heard.end, at) if heard is window else heard.end))

    def _earliest(self) -> int:
        return max(super()._earliest(), self._attention.after)

    def _start_reply(self, start: StartReply) -> None:
        if self._attention.awake:
            start = self._attention.shaped(start)
            self._sleep()
        super()._start_reply(start)

    def _sleep(self) -> None:
        self._attention.sleep()
        self._wake.begin(self._ring.end)
