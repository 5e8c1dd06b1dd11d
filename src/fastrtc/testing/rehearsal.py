"""A whole session of a ``ReplyOnPause`` in virtual time: one thread, no clock, no network."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fastrtc.audio import PCM, float_to_int16
from fastrtc.clock import TICK_MS, Ticker
from fastrtc.context import Context, current_channel, current_context
from fastrtc.errors import ConfigurationError
from fastrtc.events import Event
from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.handlers.drivers import takes_turns, turn_driver_for
from fastrtc.handlers.listening import Listener
from fastrtc.handlers.ports import ReplyRun
from fastrtc.handlers.reply import values_of
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.supervisor import run_supervised
from fastrtc.handlers.voice import Voice
from fastrtc.media.resample import LiveResampler
from fastrtc.mouth import Mouth
from fastrtc.outputs import AdditionalOutputs
from fastrtc.transports.memory import MemoryLink

T = TypeVar("T")
_END = object()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the reply function.

    Attributes:
        position: Input samples received when it was called.
        audio: What it was given, ``int16`` of shape ``(n,)``.
    """

    position: int
    audio: PCM


class Rehearsal:
    """Drives a handler tick by tick; everything that a session does on threads happens inside :meth:`hear`.

    Args:
        handler: A ``ReplyOnPause``; it is used itself, not a copy.
        rate_hz: Rate of what :meth:`hear` takes.
        reply_ahead_ms: As in ``SessionSettings``.
        link: The connection; its ``take()`` gives what was played.

    Attributes:
        calls: Each call of the reply function.
        events: Each event.
        outputs: Each ``AdditionalOutputs``.
        errors: What user code raised.

    Raises:
        ConfigurationError: The handler is no ``ReplyOnPause`` whose turns a session drives.
    """

    def __init__(
        self,
        handler: StreamHandlerBase,
        rate_hz: int,
        *,
        reply_ahead_ms: float = 1000.0,
        link: MemoryLink | None = None,
    ) -> None:
        if not isinstance(handler, ReplyOnPause) or not takes_turns(handler):
            raise ConfigurationError("only a ReplyOnPause whose receive and emit are its own can be rehearsed")
        self.link = link or MemoryLink(rate_hz, handler.output_sample_rate)
        self.calls: list[Call] = []
        self.events: list[Event] = []
        self.outputs: list[AdditionalOutputs] = []
        self.errors: list[BaseException] = []
        self.hung_up: str | None = None
        self._handler = handler
        self._rate_hz = rate_hz
        self._received = 0
        self._variables = copy_context()
        self._variables.run(current_context.set, Context(webrtc_id="rehearsal"))
        self._variables.run(current_channel.set, self.link)
        self._posted: list[Callable[[], None]] = []
        self._runs: list[_InlineRun] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resampler = (
            None if rate_hz == handler.input_sample_rate else LiveResampler(rate_hz, handler.input_sample_rate)
        )
        self._mouth = Mouth(self.link, reply_ahead_ms, self)
        self.driver = turn_driver_for(handler, self, self._mouth, self, watch=self._watch)
        self._ticker = Ticker()
        self._ticker.add(self)
        handler.set_channel(self.link)
        self.driver.start()

    # ---- the test's side --------------------------------------------------------------------------------------

    def hear(self, pcm: PCM) -> None:
        """Let the user's microphone give ``pcm``, tick by tick; a last part of a tick is left out."""
        size = self._rate_hz * TICK_MS // 1000
        for at in range(0, pcm.size - size + 1, size):
            self.link.push(pcm[at : at + size])
            self._received += size
            self._ticker.tick()

    def silence(self, seconds: float) -> None:
        """Let the microphone give digital silence."""
        self.hear(np.zeros(int(seconds * self._rate_hz), np.int16))

    def nothing(self, seconds: float) -> None:
        """Let time pass while nothing at all arrives from the client."""
        for _ in range(round(1000 * seconds / TICK_MS)):
            self._ticker.tick()

    def close(self) -> None:
        """End the session: running replies are closed."""
        self.driver.close()
        self._mouth.playout.close()
        if self._loop is not None:
            self._loop.close()

    # ---- member of the ticker ---------------------------------------------------------------------------------

    @property
    def listener(self) -> Listener | None:
        return self.driver.listener

    @property
    def idle(self) -> bool:
        """Never, so that what is rehearsed happens at its own tick."""
        return False

    def pull(self) -> None:
        self._run_posted()
        heard = self.link.read()
        if heard is not None:
            self.driver.hear(heard if self._resampler is None else float_to_int16(self._resampler.process(heard)))

    def push(self) -> None:
        self._run_posted()
        if self._runs:
            for run in list(self._runs):
                run.pump()
        self._mouth.push()
        self.driver.tick()

    def _run_posted(self) -> None:
        while self._posted:
            self._posted.pop(0)()

    # ---- speaker ----------------------------------------------------------------------------------------------

    @property
    def rate_hz(self) -> int:
        return self._mouth.rate_hz

    def say(self, turn: int, pcm: PCM) -> bool:
        return self._mouth.playout.put(turn, pcm)

    def wait_for_room(self, turn: int) -> bool:
        return self._mouth.playout.has_room(turn)

    def when_room(self, turn: int, call: Callable[[], None]) -> None:
        self._mouth.playout.when_room(turn, call)

    def done(self, turn: int) -> None:
        self._mouth.playout.finish(turn)

    def give(self, outputs: AdditionalOutputs) -> None:
        self.outputs.append(outputs)

    def hang_up(self, message: str) -> None:
        self.hung_up = message

    def report(self, error: BaseException, turn: int | None) -> None:
        self.errors.append(error)

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def audible(self, turn: int) -> None:
        self.driver.reply_audible(turn)

    def heard_first(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        self.driver.reply_heard(turn, ago_s, acknowledged)

    def heard_out(self, turn: int, heard_s: float) -> None:
        self.driver.reply_finished(turn, heard_s)

    # ---- home -------------------------------------------------------------------------------------------------

    def post(self, call: Callable[[], None]) -> None:
        self._posted.append(call)

    def on_loop(self, call: Callable[[], None]) -> None:
        call()

    def compute(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        result: list[T] = []
        if run_supervised(lambda: result.append(work()), failed):
            then(result[0])

    def recognise(
        self, key: Hashable, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        self.compute(work, then, failed)

    def run_callback(self, call: Callable[[], Any], *, is_async: bool) -> None:
        result = self._variables.copy().run(call)
        if is_async:
            self.loop.run_until_complete(result)

    def run_reply(
        self,
        call: Callable[[], Any],
        voice: Voice,
        *,
        is_async: bool,
        before: Callable[[], Awaitable[None]] | None,
        finished: Callable[[], None],
    ) -> ReplyRun:
        run = _InlineRun(self, self._variables.copy().run, call, voice, finished)
        self._runs.append(run)
        return run

    def ended(self, run: _InlineRun) -> None:
        """A reply function is over."""
        if run in self._runs:
            self._runs.remove(run)

    def has_room(self, turn: int) -> bool:
        """Whether a reply may yield more now."""
        return self._mouth.playout.has_room(turn)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Runs async reply functions, a step at a time."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def _watch(self, audio: PCM) -> None:
        self.calls.append(Call(self._received, audio))


class _InlineRun:
    """One run of a reply function, stepped by :meth:`pump` as long as there is room."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        inside: Callable[..., Any],
        call: Callable[[], Any],
        voice: Voice,
        finished: Callable[[], None],
    ) -> None:
        self._rehearsal = rehearsal
        self._inside = inside
        self._call = call
        self._voice = voice
        self._finished = finished
        self._values: Iterator[Any] | None = None
        self._value: Any = None
        self._wanted = False
        self._over = False

    def pump(self) -> None:
        """Take values while there is room for their audio; a reply that yields None thinks until the next tick."""
        while not self._over and self._rehearsal.has_room(self._voice.turn):
            if not self._inside(self._step):
                break

    def cancel(self) -> None:
        if not self._over:
            self._inside(self._end)

    def _step(self) -> bool:
        self._value, self._wanted = None, False
        run_supervised(self._take_next, self._report)
        if not self._wanted:
            self._end()
        return self._value is not None

    def _take_next(self) -> None:
        if self._values is None:
            self._values = self._begin()
        value = next(self._values, _END)
        if value is not _END:
            self._value = value
            self._wanted = self._voice.take(value)

    def _report(self, error: BaseException) -> None:
        self._rehearsal.report(error, self._voice.turn)

    def _begin(self) -> Iterator[Any]:
        result = self._call()
        if isinstance(result, AsyncIterator):
            return _stepped(result, self._rehearsal.loop)
        if inspect.iscoroutine(result):
            result = self._rehearsal.loop.run_until_complete(result)
        return values_of(result)

    def _end(self) -> None:
        self._over = True
        close = getattr(self._values, "close", None)
        if close is not None:
            run_supervised(close, self._report)
        self._voice.drain()
        self._finished()
        self._rehearsal.ended(self)
        self._rehearsal.done(self._voice.turn)


def _stepped(values: AsyncIterator[Any], loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    async def step() -> Any:
        return await anext(values)

    try:
        while True:
            try:
                yield loop.run_until_complete(step())
            except StopAsyncIteration:
                return
    finally:
        close = getattr(values, "aclose", None)
        if close is not None:
            loop.run_until_complete(close())
