"""One connection's life: its handler is started, driven by the media clock, and shut down exactly once."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

from fastrtc.audio import PCM, float_to_int16
from fastrtc.clock import TICK_S, MediaClock, the_clock
from fastrtc.context import Context, WebRTCError, current_channel, current_context
from fastrtc.errors import AudioFormatError
from fastrtc.events import DtmfReceived, Event, HandlerFailed, SessionClosed, SessionStarted, event_as_json
from fastrtc.feed import Feed
from fastrtc.handlers.base import StreamHandler, StreamHandlerBase
from fastrtc.handlers.driver import Driver
from fastrtc.handlers.drivers import driver_for, takes_turns
from fastrtc.handlers.flag import ThreadSafeEvent
from fastrtc.handlers.keypad import Keypad
from fastrtc.handlers.listening import Listener
from fastrtc.handlers.ports import ReplyRun
from fastrtc.handlers.reply import AsyncReply, SyncReply
from fastrtc.handlers.supervisor import await_supervised, run_supervised
from fastrtc.handlers.video_driver import video_driver_for
from fastrtc.handlers.voice import Voice
from fastrtc.handlers.worker import Worker
from fastrtc.link import MediaLink
from fastrtc.media.resample import LiveResampler
from fastrtc.mouth import Mouth
from fastrtc.outputs import AdditionalOutputs
from fastrtc.speech.recognition_pool import recognition_pool
from fastrtc.wire import messages as wire

logger = logging.getLogger(__name__)

T = TypeVar("T")
SHUTDOWN_S = 5.0
REPORT_EVERY_S = 1.0
FREE_TEXT_SHOWN = 200


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Limits of a session.

    Attributes:
        time_limit_s: The session ends after this long; None: never.
        reply_ahead_ms: Audio that a reply function may be ahead of what is played before it has to wait.
        stream_ahead_ms: The same for ``emit``, whose handlers count on being emptied (they clear what is queued with
            ``clear_queue``).
    """

    time_limit_s: float | None = None
    reply_ahead_ms: float = 1000.0
    stream_ahead_ms: float = 120_000.0


class Session:
    """See the module.

    Args:
        session_id: The client's id for it.
        handler: This session's own copy.
        link: The connection.
        context: What ``get_current_context()`` gives inside user code.
        settings: Limits.
        on_outputs: Gets what user code yields as ``AdditionalOutputs``; any thread.
        on_closed: Called once, on the app loop, when the session is over.
        on_event: Gets every event; app loop.
        clock: Drives the session.

    Raises:
        ConfigurationError: The handler is of no known kind, or its options cannot work.
    """

    def __init__(
        self,
        session_id: str,
        handler: StreamHandlerBase,
        link: MediaLink,
        *,
        context: Context | None = None,
        settings: SessionSettings | None = None,
        on_outputs: Callable[[AdditionalOutputs], None] | None = None,
        on_closed: Callable[[Session], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        clock: MediaClock | None = None,
    ) -> None:
        self.id = session_id
        self.handler = handler
        self.link = link
        self.context = context or Context(webrtc_id=session_id)
        self.settings = settings or SessionSettings()
        self._on_outputs = on_outputs
        self._on_closed = on_closed
        self._on_event = on_event
        self._clock = clock or the_clock
        self._loop = asyncio.get_running_loop()
        self._variables = copy_context()
        self._variables.run(current_context.set, self.context)
        self._variables.run(current_channel.set, link)
        self._posted: deque[Callable[[], None]] = deque()
        self._worker: Worker | None = None
        self._resampler = (
            None
            if link.rate_in_hz == handler.input_sample_rate
            else LiveResampler(link.rate_in_hz, handler.input_sample_rate)
        )
        ahead_ms = self.settings.reply_ahead_ms if takes_turns(handler) else self.settings.stream_ahead_ms
        self._mouth = Mouth(link, ahead_ms, self)
        self._driver: Driver = driver_for(handler, self, self._mouth, self, self._loop, self._variables, session_id)
        self._video = video_driver_for(handler, link, self, self, self._loop, self._variables, session_id)
        self._keypad = Keypad(handler, self, self._variables, session_id, lambda error: self.report(error, None))
        self._ticks = 0
        self._ending: str | None = None
        self._closing: asyncio.Task[None] | None = None
        self._last_report = 0.0
        self._feed = Feed(link.send)

    # ---- life (app loop) --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the handler and join the media clock; a session whose end has begun does not start any more."""
        if self.closed:
            return
        handler = self.handler
        handler.bind(self._loop, self._mouth.clear)
        handler.set_channel(self.link)
        self._driver.start()
        if self._video is not None:
            self._video.start()
        self.tell(SessionStarted())
        self._clock.join(self)

    async def close(self, reason: str) -> None:
        """End the session; whoever comes second waits for the first. The handler's ``shutdown`` runs exactly once."""
        if self._closing is None:
            # A task of its own, so that who gives up waiting for the end does not prevent it.
            self._closing = self._loop.create_task(self._close(reason))
        await asyncio.shield(self._closing)

    async def _close(self, reason: str) -> None:
        try:
            self._clock.leave(self)
            self.tell(SessionClosed(at_s=self._now_s(), reason=reason))
            self._mouth.playout.close()
            self._driver.close()
            if self._video is not None:
                self._video.close()
            if isinstance(self.handler.args_set, ThreadSafeEvent):
                self.handler.args_set.abort()
            await self._shut_down_handler()
            await self._release()
            await self.link.close()
        finally:
            if self._on_closed is not None:
                self._on_closed(self)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has begun."""
        return self._closing is not None

    @property
    def queued_ms(self) -> float:
        """Audio that waits to be played, in milliseconds."""
        return 1000 * self._mouth.playout.queued_samples / self._mouth.rate_hz

    def receive_message(self, text: str) -> None:
        """Take a text message of the client.

        Raises:
            ProtocolError: A known message with fields it may not have.
        """
        self.take_message(wire.parse_client_message(text))

    def take_message(self, message: wire.ClientMessage) -> None:
        """Take a message of the client that has been read."""
        match message:
            case wire.ClientHello(_, events):
                self._greet_client(events)
            case wire.ClientInput(data):
                if data:
                    self._supervised(lambda: self.set_args(list(data)))
            case wire.ClientText(typed):
                self.post(lambda: self._driver.text(typed))
            case wire.TriggerResponse():
                self.trigger_response()
            case wire.Mute(muted):
                self.post(lambda: self._driver.mute(muted))
            case wire.PlayoutReport(turn, played_ms):
                self.post(lambda: self._mouth.acknowledge(turn, played_ms))
            case wire.DiscardTurn():
                self.discard_turn()
            case wire.StopReply():
                self.post(lambda: self._driver.interrupt("client"))
            case wire.FreeText(text):
                # FastRTC's clients get an answer to "handshake"; nobody needs a megabyte back.
                self.link.send(wire.create_message("log", f"Server received: {text[:FREE_TEXT_SHOWN]}"))

    def set_args(self, args: list[Any]) -> None:
        """Give the handler the client's inputs; any thread."""
        self.handler.set_args(args)

    def trigger_response(self) -> None:
        """Reply now; any thread."""
        self.post(self._driver.trigger)

    def discard_turn(self) -> None:
        """Take back what the user has said since the last turn; any thread."""
        self.post(self._driver.discard)

    def press_key(self, digit: str) -> None:
        """The caller pressed a key of the telephone; app loop."""
        self.tell(DtmfReceived(at_s=self._now_s(), digit=digit))
        self._keypad.press(digit)

    # ---- clock ------------------------------------------------------------------------------------------------

    @property
    def listener(self) -> Listener | None:
        return self._driver.listener

    @property
    def idle(self) -> bool:
        """Whether nobody speaks, nothing is played, and nothing waits to be done."""
        return self._driver.idle and not self._posted and self._mouth.silent and self._video is None

    def pull(self) -> None:
        """Take in what arrived since the last tick."""
        run_supervised(self._listen, self._broken)
        self._run_posted()

    def _listen(self) -> None:
        heard = self.link.read()
        if heard is not None and heard.size:
            self._supervised(lambda: self._driver.hear(self._at_input_rate(heard)))
        if self.settings.time_limit_s is not None and self._now_s() >= self.settings.time_limit_s:
            self.hang_up("time_limit_reached")
            self._mouth.playout.close()

    def push(self) -> None:
        """Give out the next 20 ms."""
        self._ticks += 1
        run_supervised(self._mouth.push, self._broken)
        self._supervised(self._driver.tick)
        if self._video is not None:
            run_supervised(self._video.tick, self._broken)
        if self._ending is not None and self._mouth.silent:
            self._end(self._ending)

    def _run_posted(self) -> None:
        while self._posted:
            self._supervised(self._posted.popleft())

    def _at_input_rate(self, pcm: PCM) -> PCM:
        return pcm if self._resampler is None else float_to_int16(self._resampler.process(pcm))

    # ---- speaker: any thread ----------------------------------------------------------------------------------

    @property
    def rate_hz(self) -> int:
        return self._mouth.rate_hz

    def say(self, turn: int, pcm: PCM) -> bool:
        """Queue audio."""
        return self._mouth.playout.put(turn, pcm)

    def wait_for_room(self, turn: int) -> bool:
        """Block until the queue has room."""
        return self._mouth.playout.wait_for_room(turn)

    def when_room(self, turn: int, call: Callable[[], None]) -> None:
        """Call once the queue has room."""
        self._mouth.playout.when_room(turn, call)

    def done(self, turn: int) -> None:
        """No more audio will come for this turn."""
        self._mouth.playout.finish(turn)

    def give(self, outputs: AdditionalOutputs) -> None:
        """Pass outputs on."""
        if self._on_outputs is not None:
            self._on_outputs(outputs)
        self.link.send(wire.create_message("fetch_output", []))
        self._feed.tell(wire.ServerOutput(outputs.args))

    def hang_up(self, message: str) -> None:
        """End the session once everything queued has been played."""
        self.post(lambda: self._arm(message))

    def report(self, error: BaseException, turn: int | None) -> None:
        """Log an error of user code with its traceback and tell the client; outside replies at most once a second."""
        now = time.monotonic()
        if turn is None and now - self._last_report < REPORT_EVERY_S:
            return
        self._last_report = now
        if isinstance(error, AudioFormatError) and error.origin:  # a traceback would show our own lines only
            logger.error("session %s: %s gave something that cannot be played: %s", self.id, error.origin, error)
        else:
            logger.error("session %s: %s in its handler", self.id, type(error).__name__, exc_info=error)
        message = str(error) or type(error).__name__
        if not isinstance(error, WebRTCError):
            self.link.send(wire.encode_server_message(wire.ErrorMessage(message)))
        self.tell(HandlerFailed(at_s=self._now_s(), message=message, turn=turn))

    def tell(self, event: Event) -> None:
        """Publish an event to the app and to a client that asked for events."""
        if self._on_event is not None:
            on_event = self._on_event
            self.on_loop(lambda: on_event(event))
        self._feed.tell(wire.SessionEvent(event_as_json(event)))

    # ---- audience: clock --------------------------------------------------------------------------------------

    def audible(self, turn: int) -> None:
        """The first audio of a turn went out."""
        self._driver.reply_audible(turn)

    def heard_first(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        """The first sound of a turn was heard."""
        self._driver.reply_heard(turn, ago_s, acknowledged)

    def heard_out(self, turn: int, heard_s: float) -> None:
        """All audio of a turn has been heard."""
        self._driver.reply_finished(turn, heard_s)

    # ---- home -------------------------------------------------------------------------------------------------

    def post(self, call: Callable[[], None]) -> None:
        """Run on the media clock's thread at its next tick; any thread."""
        self._posted.append(call)
        self._clock.wake()

    def on_loop(self, call: Callable[[], None]) -> None:
        """Run on the app's loop; any thread."""
        self._clock.on_loop(self._loop, call)

    def compute(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run ``work`` on the process's small pool."""
        _compute_pool().submit(self._reporting(work, then, failed))

    def recognise(
        self, key: Hashable, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run ``work`` on the process's threads for speech recognition, in place of the one of this key that waits."""
        recognition_pool().submit((self.id, key), self._reporting(work, then, failed))

    def _reporting(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> Callable[[], None]:
        def run() -> None:
            result: list[T] = []
            if run_supervised(lambda: result.append(work()), lambda error: self.post(lambda: failed(error))):
                self.post(lambda: then(result[0]))

        return partial(self._variables.copy().run, run)

    def run_callback(self, call: Callable[[], Any], *, is_async: bool) -> None:
        """Run user code that is no reply."""
        if is_async:
            self.on_loop(
                lambda: _keep(self._loop.create_task(self._await_callback(call), context=self._variables.copy()))
            )
            return
        worker = Worker(f"fastrtc-{self.id}-callback", self._variables)
        worker.submit(lambda: self._supervised(call))
        worker.stop()

    def run_reply(
        self,
        call: Callable[[], Any],
        voice: Voice,
        *,
        is_async: bool,
        before: Callable[[], Awaitable[None]] | None,
        finished: Callable[[], None],
    ) -> ReplyRun:
        """Run a reply function: on the loop, or on the session's worker (a new one while that is in an old reply)."""
        if is_async:
            reply = AsyncReply(call, voice, self, finished, before)
            reply.start(self._loop, self._variables)
            return reply
        if self._worker is None or self._worker.busy:
            if self._worker is not None:
                self._worker.stop()
            self._worker = Worker(f"fastrtc-{self.id}-reply", self._variables)
        plain = SyncReply(call, voice, self, finished)
        plain.start(self._worker)
        return plain

    # ---- inside -----------------------------------------------------------------------------------------------

    def _greet_client(self, events: bool) -> None:
        hello = wire.ServerHello(self.id, self.handler.input_sample_rate, self.handler.output_sample_rate)
        self.link.send(wire.encode_server_message(hello))
        self._feed.greet(events=events)

    def _broken(self, error: BaseException) -> None:
        logger.error("session %s: its connection failed", self.id, exc_info=error)
        self._clock.leave(self)
        self.on_loop(lambda: _keep(self._loop.create_task(self.close("the connection failed"))))

    def _arm(self, message: str) -> None:
        self._ending = self._ending or message

    def _end(self, message: str) -> None:
        self._ending = None
        self._clock.leave(self)
        self.link.send(wire.create_message("end_stream", message))
        self.on_loop(lambda: _keep(self._loop.create_task(self.close(message))))

    async def _shut_down_handler(self) -> None:
        handler = self.handler
        if isinstance(handler, StreamHandler) and not inspect.iscoroutinefunction(handler.shutdown):
            worker = Worker(f"fastrtc-{self.id}-shutdown", self._variables)
            over = self._loop.create_future()
            worker.submit(lambda: self._supervised(handler.shutdown))
            worker.submit(lambda: self._loop.call_soon_threadsafe(_resolve, over))
            worker.stop()
        else:
            over = self._loop.create_task(self._await_shutdown(), context=self._variables.copy())
        done, _ = await asyncio.wait([over], timeout=SHUTDOWN_S)
        if not done:
            logger.warning("session %s: shutdown() still runs after %g s", self.id, SHUTDOWN_S)

    async def _await_callback(self, call: Callable[[], Any]) -> None:
        await await_supervised(call(), lambda error: self.report(error, None))

    async def _await_shutdown(self) -> None:
        async def run() -> None:
            result = self.handler.shutdown()
            if inspect.isawaitable(result):
                await result

        await await_supervised(run(), lambda error: self.report(error, None))

    async def _release(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._keypad.close()
        await asyncio.to_thread(self._driver.release)
        if self._video is not None:
            await asyncio.to_thread(self._video.release)

    def _supervised(self, code: Callable[[], None]) -> None:
        run_supervised(code, lambda error: self.report(error, None))

    def _now_s(self) -> float:
        return self._ticks * TICK_S


@lru_cache(maxsize=1)
def _compute_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="fastrtc-compute")


_tasks: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    """Hold a task until it is over; the loop itself keeps only weak references."""
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
