"""One call: a clock that speaks and listens in real time, on whichever line."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fastrtc.audio import PCM, AnyPCM, float_to_int16
from fastrtc.client.line import Line, LineEvents, new_session_id
from fastrtc.client.record import CallRecord, Message, Sound, Spoken
from fastrtc.client.signaling import checked_url
from fastrtc.client.webrtc_line import WebRtcLine
from fastrtc.client.websocket_line import WebSocketLine
from fastrtc.errors import ConfigurationError, EngineError, MissingExtraError, SignalingError
from fastrtc.media.resample import resample_clip
from fastrtc.transports.webrtc.engine import IceServer, PeerOptions, load_engine

_log = logging.getLogger(__name__)

FINAL_REFUSALS = ("concurrency_limit_reached", "unauthorized", "forbidden", "server_draining")
TICK_S = 0.02
LATE_S = 0.06  # by which received audio may lag behind the clock before the gap counts as silence
INPUT_RATE_HZ, OUTPUT_RATE_HZ = 48_000, 24_000  # of FastRTC's handlers


@dataclass(slots=True)
class _Utterance:
    ticks: deque[PCM]
    done: asyncio.Future[Spoken]
    start_s: float = -1.0


class Call:
    """A call in progress; made by :func:`connect`.

    Args:
        session_id: The id that the server knows it by.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.messages: list[Message] = []
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._started_s = time.monotonic()
        self._utterances: deque[_Utterance] = deque()
        self._spoken: list[Spoken] = []
        self._said: list[PCM] = []
        self._heard: list[PCM] = []
        self._heard_samples = 0
        self._ticks = 0
        self._listeners: list[tuple[int, asyncio.Future[None]]] = []
        self._stop = threading.Event()
        self._clock: threading.Thread | None = None
        self._news = asyncio.Condition()
        self._announcing: set[asyncio.Task[None]] = set()
        self._end: str | None = None

    @property
    def now_s(self) -> float:
        """Seconds of the call: the time of the sample that is said and heard now; 0 until the line is up."""
        if self._clock is None:
            return 0.0
        return time.monotonic() - self._started_s

    @property
    def ended(self) -> str | None:
        """Why the call is over (``closed``, ``failed``...); None while it is not."""
        return self._end

    @property
    def heard(self) -> Sound:
        """What was heard so far; silence where nothing came."""
        return Sound(_joined(self._heard), self._the_line.rate_in_hz)

    @property
    def said(self) -> Sound:
        """What was said so far, silence included."""
        return Sound(_joined(self._said), self._the_line.rate_out_hz)

    def record(self) -> CallRecord:
        """The call so far."""
        return CallRecord(self.said, self.heard, tuple(self._spoken), tuple(self.messages))

    async def speak(self, pcm: AnyPCM, rate_hz: int) -> Spoken:
        """Say something in real time; what is said meanwhile by another task follows it.

        Args:
            pcm: ``int16`` or ``float32``, shape ``(n,)`` or ``(1, n)``.
            rate_hz: Its sample rate.

        Returns:
            When it was said, once it is.

        Raises:
            ConnectionError: The call ended before.
            AudioFormatError: Another dtype or shape.
        """
        samples: AnyPCM = pcm[0] if pcm.ndim == 2 and pcm.shape[0] == 1 else pcm
        line = self._the_line
        resampled = float_to_int16(resample_clip(samples, rate_hz, line.rate_out_hz))
        tick = line.rate_out_hz // 50
        padded = np.concatenate([resampled, np.zeros(-len(resampled) % tick, np.int16)])
        utterance = _Utterance(deque(padded.reshape(-1, tick)), self._loop.create_future())
        if self._end is not None or not utterance.ticks:
            return self._nothing_said()
        self._utterances.append(utterance)
        return await utterance.done

    async def listen(self, seconds: float) -> Sound:
        """Say nothing more for so long, beyond what is being said already.

        Returns:
            What was heard meanwhile.

        Raises:
            ConnectionError: The call ended before.
        """
        start_s = self._ticks * TICK_S
        reached = self._loop.create_future()
        self._listeners.append((self._ticks + round(seconds / TICK_S), reached))
        if self._end is not None:
            raise ConnectionError(f"the call has ended ({self._end})")
        await reached
        heard = self.heard
        return Sound(heard.between(start_s, start_s + seconds), heard.rate_hz)

    def send_message(self, message: str | dict[str, Any]) -> None:
        """Send text, or an object as JSON, to the session."""
        self._the_line.send(message if isinstance(message, str) else json.dumps(message))

    def trigger_response(self) -> None:
        """End the user's turn now, without waiting for a pause."""
        self.send_message({"type": "trigger_response"})

    def discard_turn(self) -> None:
        """Take back what was said since the last turn: it will not be answered."""
        self.send_message({"type": "discard_turn"})

    def stop_reply(self) -> None:
        """Silence the reply that is being given."""
        self.send_message({"type": "stop_reply"})

    async def wait_for(
        self, predicate: Callable[[Message], bool], timeout_s: float = 10.0, after_s: float = 0.0
    ) -> Message:
        """The first message that satisfies the predicate, whether it has come already or is yet to come.

        Args:
            predicate: Called once with every message.
            timeout_s: How long to wait.
            after_s: Pass over messages that came before this second of the call.

        Raises:
            TimeoutError: None came in time.
            ConnectionError: The call ended first.
        """
        try:
            async with asyncio.timeout(timeout_s):
                async for message in self.stream_messages():
                    if message.at_s >= after_s and predicate(message):
                        return message
        except TimeoutError:
            types = [message.event or message.type or str(message.data)[:40] for message in self.messages]
            raise TimeoutError(f"no such message within {timeout_s} s; there were {types}") from None
        raise ConnectionError(f"the call ended ({self._end}) before the message came")

    async def stream_messages(self) -> AsyncIterator[Message]:
        """Every message from the first on, as they come, until the call ends."""
        position = 0
        while True:
            async with self._news:
                while position >= len(self.messages) and self._end is None:
                    await self._news.wait()
            if position >= len(self.messages):
                return
            yield self.messages[position]
            position += 1

    def __aiter__(self) -> AsyncIterator[Message]:
        """The same as :meth:`stream_messages`."""
        return self.stream_messages()

    async def restart_ice(self) -> None:
        """Look for another network path under the same session (WebRTC).

        It is done by itself two seconds after a path broke.

        Raises:
            ConnectionError: No server answers, or no path was found.
            SignalingError: The server cannot restart (its engine is ``aiortc``, or it is the original FastRTC).
            EngineError: This side's engine cannot (``aiortc``).
            ConfigurationError: The call goes over a WebSocket.
        """
        await self._the_line.restart_ice()

    async def close(self) -> None:
        """Hang up; idempotent. What was heard and the messages stay."""
        self._stop.set()
        if self._clock is not None:
            await asyncio.to_thread(self._clock.join)
        if self._line is not None:
            await self._line.close()
        self._over("closed")
        await asyncio.gather(*self._announcing, return_exceptions=True)

    # What connect() uses.

    def events(self) -> LineEvents:
        """Where a line reports to."""
        return LineEvents(self._take_message, self._over)

    def adopt(self, line: Line) -> None:
        """Take over a line: :meth:`close` closes it."""
        self._line = line

    @property
    def started(self) -> bool:
        """Whether the line was up."""
        return self._clock is not None

    def start(self) -> None:
        """Begin to speak and listen: the line is up."""
        self._started_s = time.monotonic()
        self._clock = threading.Thread(target=self._run, name="fastrtc-caller", daemon=True)
        self._clock.start()

    @property
    def _the_line(self) -> Line:
        if self._line is None:
            raise ConnectionError("the call is not connected")
        return self._line

    def _take_message(self, text: str) -> None:
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        self.messages.append(Message(self.now_s, data))
        self._announce()

    def _over(self, reason: str) -> None:
        if self._end is None:
            self._end = reason
            waiting: list[asyncio.Future[Any]] = [utterance.done for utterance in self._utterances.copy()]
            waiting += [reached for _, reached in self._listeners.copy()]
            for future in waiting:
                if not future.done():
                    future.set_exception(ConnectionError(f"the call ended ({reason})"))
            self._announce()

    def _announce(self) -> None:
        async def notify() -> None:
            async with self._news:
                self._news.notify_all()

        task = self._loop.create_task(notify())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    def _nothing_said(self) -> Spoken:
        if self._end is not None:
            raise ConnectionError(f"the call has ended ({self._end})")
        now_s = self.now_s
        return Spoken(now_s, now_s)

    # The clock's thread.

    def _run(self) -> None:
        line = self._the_line
        while not self._stop.is_set():
            self._listen(line)
            self._say(line)
            self._ticks += 1
            self._tell_listeners()
            self._stop.wait(max(0.0, self._started_s + self._ticks * TICK_S - time.monotonic()))

    def _tell_listeners(self) -> None:
        for listener in [one for one in self._listeners if one[0] <= self._ticks]:
            with suppress(ValueError):  # the call ended meanwhile
                self._listeners.remove(listener)
            self._tell(listener[1], None)

    def _tell(self, future: asyncio.Future[Any], result: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(_finish, future, result)

    def _listen(self, line: Line) -> None:
        pcm = line.read()
        due = round(self._ticks * TICK_S * line.rate_in_hz)
        if pcm is None and self._heard_samples < due - LATE_S * line.rate_in_hz:
            pcm = np.zeros(due - self._heard_samples, np.int16)
        if pcm is not None:
            self._heard.append(pcm)
            self._heard_samples += len(pcm)

    def _say(self, line: Line) -> None:
        tick: PCM | None = None
        if self._utterances:
            utterance = self._utterances[0]
            if utterance.start_s < 0:
                utterance.start_s = self._ticks * TICK_S
            tick = utterance.ticks.popleft()
            if not utterance.ticks:
                self._utterances.popleft()
                spoken = Spoken(utterance.start_s, (self._ticks + 1) * TICK_S)
                self._spoken.append(spoken)
                self._tell(utterance.done, spoken)
        line.write(tick)
        self._said.append(np.zeros(line.rate_out_hz // 50, np.int16) if tick is None else tick)


def _finish(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _joined(parts: Sequence[PCM]) -> PCM:
    return np.concatenate(parts[:]) if parts else np.zeros(0, np.int16)


@asynccontextmanager
async def connect(
    url: str,
    transport: Literal["auto", "webrtc", "websocket"] = "webrtc",
    *,
    engine: str | None = None,
    ice_servers: Sequence[IceServer] = (),
    ice_transport_policy: Literal["all", "relay"] = "all",
    session_id: str | None = None,
    token: str | None = None,
    hello: bool = True,
    input_rate_hz: int = INPUT_RATE_HZ,
    output_rate_hz: int = OUTPUT_RATE_HZ,
    timeout_s: float = 15.0,
) -> AsyncIterator[Call]:
    """Call a server and hang up at the end of the ``async with`` block.

    Args:
        url: Where the stream is mounted, for example ``http://127.0.0.1:7860``.
        transport: ``webrtc``, ``websocket``, or ``auto``: WebRTC, and the WebSocket where that finds no way.
        engine: WebRTC engine (``wrtc``, ``aiortc``); None for the default.
        ice_servers: STUN and TURN servers.
        ice_transport_policy: ``relay``: through a TURN server only.
        session_id: The session's id; None for a random one. A call that falls back to the WebSocket gets another.
        token: For a server that asks who may enter (:class:`fastrtc.tokens.SessionTokens`).
        hello: Over a WebSocket: ask the server for its rates and events. False for servers that do not know that.
        input_rate_hz: Over a WebSocket without hello: the handler's input rate.
        output_rate_hz: Over a WebSocket without hello: the handler's output rate.
        timeout_s: For connecting in all. WebRTC is given up five seconds after the server's answer.

    Raises:
        SignalingError: The server refused; ``code`` says why.
        ConnectionError: No server answers, or no connection came about; the message says what was tried.
        ConfigurationError: An address or a transport that cannot be.
    """
    if transport not in ("auto", "webrtc", "websocket"):
        raise ConfigurationError(f'the transport must be "auto", "webrtc" or "websocket", got {transport!r}')
    base = checked_url(url)
    call = Call(session_id or new_session_id())
    options = PeerOptions(ice_servers=tuple(ice_servers), ice_transport_policy=ice_transport_policy)
    try:
        async with asyncio.timeout(timeout_s):
            is_up = False
            if transport != "websocket":
                webrtc = WebRtcLine(base, call.session_id, call.events(), token)
                is_up = await _over_webrtc(call, webrtc, engine, options, may_fail=transport == "auto")
            if not is_up:
                line = WebSocketLine(base, call.session_id, call.events(), output_rate_hz, input_rate_hz, token)
                call.adopt(line)
                await line.open(hello)
        call.start()
        yield call
    except TimeoutError:
        if call.started:
            raise
        raise ConnectionError(f"no {transport} connection to {base} came about within {timeout_s} s") from None
    finally:
        await call.close()


async def _over_webrtc(
    call: Call, line: WebRtcLine, engine: str | None, options: PeerOptions, *, may_fail: bool
) -> bool:
    call.adopt(line)
    try:
        await line.open(load_engine(engine), options)
    except (ConnectionError, EngineError, MissingExtraError) as error:
        if not may_fail:
            raise
        _log.info("the WebSocket is used instead of WebRTC: %s", error)
    except SignalingError as error:
        if not may_fail or error.code in FINAL_REFUSALS:
            raise
        _log.info("the WebSocket is used instead of WebRTC, which the server refused: %s", error)
    else:
        return True
    await line.close()
    call.session_id = new_session_id()  # the server may still wait for the first one
    return False
