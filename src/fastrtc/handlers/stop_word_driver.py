"""Runs a ``ReplyOnStopWords``: sleeps until a stop word is heard, then takes one turn as ``ReplyOnPause`` would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastrtc.audio import PCM
from fastrtc.handlers.ports import Floorkeeper, Home, Speaker
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.turn_driver import TurnDriver
from fastrtc.handlers.wake import RestOfWord, WakeListener
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import Floor, StartReply


class StopWordDriver(TurnDriver):
    """What a ``TurnDriver`` does, in every second state.

    ========  ===============================  ========  =========================
    state     input                            next      effect
    ========  ===============================  ========  =========================
    asleep    a stop word is heard             awake     ``stopword``, CancelReply
    awake     speech and a pause               asleep    StartReply
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
        gate = self._endpoint.settings.gate
        self._wake = WakeListener(handler, self._ring, gate, home, self._stop_word_heard, self._failed)
        self._send_stopword = handler.send_stopword
        self._awake = False
        self._rest = RestOfWord(0, self._endpoint.settings)
        self._after = 0  # Where the stop word ended: nothing before that is for the reply function.

    def mute(self, muted: bool) -> None:
        super().mute(muted)
        self._sleep()

    def _judged(self, window: SpeechWindow) -> None:
        if self._closed:
            return
        if self._awake:
            self._hear_command(window, self._ring.end)
        elif self._deaf:
            self._wake.begin(window.end)
        else:
            self._wake.hear(window)

    @property
    def _deaf(self) -> bool:
        return self._machine.floor is not Floor.FREE and not self._handler.can_interrupt

    def _stop_word_heard(self, end: int, missed: list[SpeechWindow]) -> None:
        if self._closed or self._awake or self._deaf:
            return
        self._send_stopword()
        self._carry_out(self._machine.cancel("stopword"))
        self._awake = True
        self._after = end
        self._rest = RestOfWord(end, self._endpoint.settings)
        self._wake.begin(self._ring.end)
        for window in missed:
            # At the time of each, as if the recogniser had known at once: a pause is judged by its own length.
            if self._awake:
                self._hear_command(window, window.end)
            else:
                self._wake.hear(window)

    def _hear_command(self, window: SpeechWindow, at: int) -> None:
        """Pass on what is no longer the stop word itself."""
        for heard in self._rest.take(window):
            self._carry_out(self._machine.hear(heard, max(heard.end, at) if heard is window else heard.end))
        self._after = max(self._after, self._rest.end)

    def _earliest(self) -> int:
        return max(super()._earliest(), self._after)

    def _start_reply(self, start: StartReply) -> None:
        if self._awake:
            start = replace(start, start=min(max(start.start, self._after), start.end))
            self._sleep()
        super()._start_reply(start)

    def _sleep(self) -> None:
        self._awake = False
        self._wake.begin(self._ring.end)
