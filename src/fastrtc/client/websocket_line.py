"""A call over the WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from fastrtc.audio import PCM
from fastrtc.client.line import LineEvents
from fastrtc.client.packetizer import Packetizer
from fastrtc.client.playback import Playback
from fastrtc.client.signaling import HTTP_TIMEOUT_S, NOT_MOUNTED
from fastrtc.errors import ConfigurationError, ProtocolError, SignalingError
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.wire import websocket as wire
from fastrtc.wire.messages import ClientHello, ServerHello, SessionEvent, encode_client_message, parse_server_message

HELLO_TIMEOUT_S = 1.0
REPORT_TICKS = 5  # of 20 ms, between reports of what has been played


class WebSocketLine:
    """A call over FastRTC's WebSocket protocol, with a playback buffer as a page has one."""

    def __init__(
        self,
        url: str,
        session_id: str,
        events: LineEvents,
        rate_in_hz: int,
        rate_out_hz: int,
        token: str | None = None,
    ) -> None:
        self._token = token
        parts = urlsplit(f"{url}/websocket/offer")
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        self._url = urlunsplit(parts._replace(scheme=scheme))
        self._session_id = session_id
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._socket: ClientConnection | None = None
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(maxsize=500)
        self._tasks: list[asyncio.Task[None]] = []
        self._greeted = asyncio.Event()
        self._refusal: SignalingError | None = None
        self._playback = Playback()
        self._ticks = 0
        self._understood = False  # whether the server knows our own messages; the original FastRTC breaks off at them
        self._packetizer = Packetizer()
        self._closed = False
        self.rate_in_hz = rate_in_hz
        self.rate_out_hz = rate_out_hz

    async def open(self, hello: bool) -> None:
        """Connect and start; with ``hello``, learn the server's rates from its own hello."""
        try:
            self._socket = await open_websocket(self._url, open_timeout=HTTP_TIMEOUT_S, max_size=None)
        except InvalidStatus as error:
            raise ConnectionError(f"{self._url} answered {error.response.status_code}: {NOT_MOUNTED}") from None
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise ConnectionError(f"no WebSocket server answers at {self._url}: {error}") from None
        self._tasks = [self._loop.create_task(self._receive()), self._loop.create_task(self._send())]
        self._put(wire.encode_frame(wire.Start(self._session_id, token=self._token)))
        if hello:
            self._put(encode_client_message(ClientHello()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._greeted.wait(), HELLO_TIMEOUT_S)
        if self._refusal is not None:
            raise self._refusal
        if self._tasks[0].done():
            raise ConnectionError(f"{self._url} hung up at once")

    def read(self) -> PCM | None:
        """One tick of the playback buffer."""
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self._report_playout()
        return self._playback.take(self.rate_in_hz // 50)

    def write(self, pcm: PCM | None) -> None:
        """Say one tick."""
        tick = np.zeros(self.rate_out_hz // 50, np.int16) if pcm is None else pcm
        packet = self._packetizer.push(tick)
        if packet is not None:
            self.send(wire.encode_frame(wire.Media(encode_ulaw(packet))))

    def send(self, text: str) -> None:
        """Send a frame."""
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._put, text)

    async def restart_ice(self) -> None:
        """TCP has no other path.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("a call over a WebSocket cannot restart ICE: only WebRTC has it")

    async def close(self) -> None:
        """Hang up."""
        self._closed = True
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(wire.encode_frame(wire.Stop()))
            await self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _put(self, text: str) -> None:
        if self._outgoing.full():
            self._outgoing.get_nowait()
        self._outgoing.put_nowait(text)

    async def _send(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.send(await self._outgoing.get())

    async def _receive(self) -> None:
        assert self._socket is not None
        reason = "closed"
        try:
            async for text in self._socket:
                self._take(text if isinstance(text, str) else text.decode("utf-8", "replace"))
        except ConnectionClosed as error:
            reason = str(error)
        except SignalingError as error:
            self._refusal = error
            reason = f"refused: {error.code}"
        self._greeted.set()
        self._events.on_closed(reason)

    def _take(self, text: str) -> None:
        try:
            frame = wire.parse_server_frame(text)
        except ProtocolError:
            frame = wire.DataMessage(text)
        match frame:
            case wire.Media(payload):
                self._playback.push(decode_ulaw(payload))
            case wire.Clear():
                self._playback.clear()
                self._report_playout()
            case wire.Failed(meta):
                details = dict(meta)
                raise SignalingError(str(details.pop("error", "unknown")), **details)
            case wire.DataMessage(message):
                self._learn(message)
                self._events.on_message(message)
            case wire.Pong():
                pass

    def _learn(self, text: str) -> None:
        with contextlib.suppress(ProtocolError):
            message = parse_server_message(text)
            if isinstance(message, ServerHello):
                self.rate_out_hz, self.rate_in_hz = message.input_sample_rate, message.output_sample_rate
                self._understood = True
                self._greeted.set()
            elif isinstance(message, SessionEvent) and message.event.get("name") == "reply_started":
                turn = message.event.get("turn")
                self._playback.start_turn(turn if isinstance(turn, int) else 0)

    def _report_playout(self) -> None:
        """Tell the server how much of its reply has been heard; only the client knows that over a WebSocket."""
        report = self._playback.report(self.rate_in_hz) if self._understood else None
        if report is not None:
            self.send(encode_client_message(report))
