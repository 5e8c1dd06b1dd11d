"""``ReplyOnPause`` without a session: ``receive`` and ``emit`` as FastRTC has them, for scripts and for subclasses that
override one of them.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from fastrtc.audio import PCM, mono_int16
from fastrtc.handlers.attention import Attention
from fastrtc.handlers.endpoint import Endpoint
from fastrtc.handlers.hearing import Ear
from fastrtc.handlers.listening import judge_all
from fastrtc.handlers.reply import values_of
from fastrtc.handlers.wake import UTTERANCE_S, Heard, WakeListener
from fastrtc.media.ring import AudioRing
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import CancelReply, Decision, Floor, HoldReply, StartReply, TurnMachine
from fastrtc.turns.user_turn import AskDetector, UserState

if TYPE_CHECKING:
    from fastrtc.handlers.base import AudioFrame
    from fastrtc.handlers.reply_on_pause import ReplyOnPause
    from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords

T = TypeVar("T")


class StandaloneTurns:
    """Everything at once and on the calling thread; speech over a reply ends it at once (nothing could be resumed).

    ``receive`` and ``emit`` may come from two threads. A reply that is interrupted in the middle of a step is closed by
    the thread that takes the step, and what the step gave is dropped.

    Args:
        handler: Whose function is called.
    """

    memory_s = 1.0

    def __init__(self, handler: ReplyOnPause) -> None:
        self._handler = handler
        self._rate_hz = handler.input_sample_rate
        self._ring = AudioRing(self._rate_hz)
        self._endpoint = Endpoint.of(handler)
        self._machine = TurnMachine(self._endpoint.settings, self._endpoint.policy)
        self._ear = Ear(
            handler,
            self,
            self._judged,
            _raise,
            lambda: self._machine.user_state,
            memory_s=self._endpoint.memory_s,
        )
        self._due: tuple[int, Callable[[], Any]] | None = None
        self._values: Iterator[Any] | AsyncIterator[Any] | None = None
        self._stepping = False
        self._turn = 0
        self._lock = threading.RLock()
        self._greet()

    def receive(self, frame: AudioFrame) -> None:
        """Take audio, of any length, at the handler's input rate."""
        _, pcm = mono_int16(frame)
        with self._lock:
            self._ring.append(pcm)
            self._ear.hear(pcm)
            if self._ear.listener is not None:
                judge_all([self._ear.listener])
            keep = self._ring.end - self._endpoint.settings.pre_roll_samples - round(self.memory_s * self._rate_hz)
            needed = self._machine.needed_from
            self._ring.keep_from(keep if needed is None else min(keep, needed))

    def trigger(self) -> None:
        """Reply now."""
        with self._lock:
            self._carry_out(self._machine.trigger(self._ring.end))

    def emit(self) -> Any:
        """The reply's next value, None while there is none."""
        with self._lock:
            due, self._due = self._due, None
        if due is not None:
            self._call(*due)
        with self._lock:
            values = self._values
            if values is None:
                return None
            self._stepping = True
        try:
            value = self._next(values)
        except (StopIteration, StopAsyncIteration):
            self._finish(values)
            return None
        finally:
            self._stepping = False
        with self._lock:
            if self._values is values:
                self._machine.reply_audible(self._turn)
                return value
        self._shut(values)
        return None

    def _call(self, turn: int, call: Callable[[], Any]) -> None:
        values = None
        try:
            values = self._begin(call)
        finally:
            if values is None:
                self._machine.reply_finished(turn)
        with self._lock:
            if self._machine.has_floor(turn):
                self._turn, self._values = turn, values
                return
        self._shut(values)

    def _finish(self, values: Iterator[Any] | AsyncIterator[Any]) -> None:
        with self._lock:
            if self._values is values:
                self._values = None
                self._machine.reply_finished(self._turn)
                self._handler.reset()

    def _greet(self) -> None:
        startup_fn = self._handler.startup_fn
        if startup_fn is not None:
            self._machine.greet(0)
            self._due = self._machine.turn, lambda: self._handler.call_unasked(startup_fn)

    def compute(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Part of ``Computer``: at once, and an error reaches the caller of ``receive``."""
        then(work())

    def recognise(
        self, key: Hashable, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Part of ``Computer``, the same."""
        self.compute(work, then, failed)

    def _judged(self, window: SpeechWindow) -> None:
        self._carry_out(self._machine.hear(window, self._ring.end))

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case StartReply():
                    audio = self._ring.slice(max(decision.start, self._ring.start), decision.end)
                    self._due = decision.turn, self._call_with(audio)
                case AskDetector():
                    seconds = (decision.end - decision.start) / self._rate_hz
                    heard = self._ear.recent(min(seconds, self._endpoint.memory_s))
                    answer = self._endpoint.detector.probability(heard, decision.silence_ms)
                    self._carry_out(self._machine.answered(decision, answer, self._ring.end))
                case HoldReply():
                    self._carry_out(self._machine.cancel("user"))
                case CancelReply():
                    self._close()
                    self._handler.clear_queue()

    def _call_with(self, audio: PCM) -> Callable[[], Any]:
        handler = self._handler

        def call() -> Any:
            if handler.needs_inputs and not handler.phone_mode and handler.channel is not None:
                handler.wait_for_args_sync()
            return handler.call_with(self._rate_hz, audio)

        return call

    def _begin(self, call: Callable[[], Any]) -> Iterator[Any] | AsyncIterator[Any]:
        result = call()
        if inspect.isawaitable(result):
            result = asyncio.run_coroutine_threadsafe(_await(result), self._handler.loop).result()
        return result if isinstance(result, AsyncIterator) else values_of(result)

    def _next(self, values: Iterator[Any] | AsyncIterator[Any]) -> Any:
        if isinstance(values, AsyncIterator):
            return asyncio.run_coroutine_threadsafe(_anext(values), self._handler.loop).result()
        return next(values)

    def _close(self) -> None:
        self._due = None
        values, self._values = self._values, None
        if values is not None and not self._stepping:
            self._shut(values)

    def _shut(self, values: Iterator[Any] | AsyncIterator[Any]) -> None:
        close = getattr(values, "close", None)
        if close is not None:
            close()
        elif isinstance(values, AsyncIterator):
            aclose = getattr(values, "aclose", None)
            if aclose is not None:
                asyncio.run_coroutine_threadsafe(aclose(), self._handler.loop)


async def _await(result: Awaitable[Any]) -> Any:
    return await result


async def _anext(values: AsyncIterator[Any]) -> Any:
    return await anext(values)


def _raise(error: BaseException) -> None:
    raise error


class StandaloneStopWords(StandaloneTurns):
    """The same for ``ReplyOnStopWords``: a turn is taken only after a stop word.

    Args:
        handler: Whose recogniser and function are called.
    """

    memory_s = UTTERANCE_S

    def __init__(self, handler: ReplyOnStopWords) -> None:
        super().__init__(handler)
        settings = self._endpoint.settings
        self._attention = Attention(settings, handler.stop_word_options)
        self._send_stopword = handler.send_stopword
        self._wake = WakeListener(
            handler, self._ring, settings.gate, self, self._stop_word_spotted, self._stop_word_heard, _raise
        )

    def receive(self, frame: AudioFrame) -> None:
        super().receive(frame)
        with self._lock:
            if self._attention.given_up(self._ring.end, self._machine.user_state is not UserState.SILENT):
                self._wake.begin(self._ring.end)

    def _finish(self, values: Iterator[Any] | AsyncIterator[Any]) -> None:
        super()._finish(values)
        with self._lock:
            if not self._attention.awake and not self._machine.busy and self._attention.stay(self._ring.end):
                self._wake.begin(self._ring.end)

    def _judged(self, window: SpeechWindow) -> None:
        if self._attention.awake:
            for heard in self._attention.take(window):
                super()._judged(heard)
        elif self._machine.floor is Floor.FREE or self._handler.can_interrupt:
            self._wake.hear(window)

    def _stop_word_spotted(self) -> None:
        self._send_stopword()
        self._carry_out(self._machine.cancel("stopword"))

    def _stop_word_heard(self, heard: Heard) -> None:
        self._attention.wake(heard)
        for window in heard.missed:
            self._judged(window)

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            super()._carry_out([self._without_stop_word(decision) if isinstance(decision, StartReply) else decision])

    def _without_stop_word(self, start: StartReply) -> StartReply:
        if not self._attention.awake:
            return start
        self._attention.sleep()
        self._wake.begin(self._ring.end)
        return self._attention.shaped(start)
