"""The two lines a call may go over, WebRTC and WebSocket, behind one interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from fastrtc.audio import PCM
from fastrtc.errors import ProtocolError, SignalingError
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import RATE_HZ, OfferingPeer, PeerOptions, PeerState, RtcEngine
from fastrtc.wire import websocket as wire
from fastrtc.wire.messages import ClientHello, ServerHello, encode_client_message, parse_server_message

_log = logging.getLogger(__name__)

HTTP_TIMEOUT_S = 10.0
HELLO_TIMEOUT_S = 1.0
MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Whom a line tells what happens; all are called on the loop."""

    on_message: Callable[[str], None]
    on_closed: Callable[[str], None]


class Line(Protocol):
    """A connection to a server; :meth:`read` and :meth:`write` are called by the call's clock, every 20 ms."""

    rate_in_hz: int
    rate_out_hz: int

    def read(self) -> PCM | None:
        """What is to be heard in this tick, at ``rate_in_hz``."""
        ...

    def write(self, pcm: PCM | None) -> None:
        """Say one tick, at ``rate_out_hz``; None is silence."""
        ...

    def send(self, text: str) -> None:
        """Send a message. Any thread."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


async def post_json(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST a JSON object.

    Raises:
        ConnectionError: No server answers, or its answer is no JSON object.
        SignalingError: The server refused; ``code`` is its ``meta.error``.
    """
    answer = await asyncio.to_thread(_post, url, json.dumps(body).encode())
    if answer.get("status") == "failed":
        meta = dict(answer.get("meta") or {})
        raise SignalingError(str(meta.pop("error", "unknown")), **meta)
    return answer


def _post(url: str, body: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:
            text = response.read(MAX_BODY_BYTES)
    except urllib.error.HTTPError as error:
        detail = error.read(500).decode("utf-8", "replace")
        error.close()
        raise ConnectionError(f"{url} answered {error.code} {error.reason}: {detail}") from None
    except (urllib.error.URLError, OSError) as error:
        raise ConnectionError(f"no server answers at {url}: {getattr(error, 'reason', error)}") from None
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} did not answer with a JSON object: is it the address of a FastRTC server?")
    return answer


class WebRtcLine:
    """A call over WebRTC; also the observer of its own peer."""

    rate_in_hz = RATE_HZ
    rate_out_hz = RATE_HZ

    def __init__(self, url: str, session_id: str, events: LineEvents) -> None:
        self._url = f"{url}/webrtc/offer"
        self._session_id = session_id
        self._events = events
        self._peer: OfferingPeer | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self._trickling: set[asyncio.Task[None]] = set()

    async def open(self, engine: RtcEngine, options: PeerOptions) -> None:
        """Offer, and wait until audio and messages can flow."""
        self._peer = await engine.offer(options, self)
        body = {"sdp": self._peer.offer_sdp, "type": "offer", "webrtc_id": self._session_id}
        answer = await post_json(self._url, body)
        sdp = answer.get("sdp")
        if not isinstance(sdp, str):
            raise ConnectionError(f"{self._url} gave no answer to the offer: {str(answer)[:200]}")
        await self._peer.set_answer(sdp)
        self._peer.send(encode_client_message(ClientHello()))
        await self._connected

    def read(self) -> PCM | None:
        """What arrived."""
        return self._peer.read() if self._peer is not None else None

    def write(self, pcm: PCM | None) -> None:
        """Say one tick."""
        if self._peer is not None:
            self._peer.write(pcm)

    def send(self, text: str) -> None:
        """Send over the data channel."""
        if self._peer is not None:
            self._peer.send(text)

    async def close(self) -> None:
        """Hang up."""
        for task in self._trickling:
            task.cancel()
        await asyncio.gather(*self._trickling, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()
        if not self._connected.done():
            self._connected.cancel()

    def on_state(self, state: PeerState) -> None:
        """From the peer."""
        if state in (PeerState.FAILED, PeerState.CLOSED):
            if not self._connected.done():
                self._connected.set_exception(ConnectionError(f"the WebRTC connection is {state.value}"))
            self._events.on_closed(state.value)

    def on_channel_open(self) -> None:
        """From the peer."""
        if not self._connected.done():
            self._connected.set_result(None)

    def on_message(self, text: str) -> None:
        """From the peer."""
        self._events.on_message(text)

    def on_candidate(self, candidate: IceCandidate) -> None:
        """From the peer: trickle it."""
        task = asyncio.get_running_loop().create_task(self._trickle(candidate))
        self._trickling.add(task)
        task.add_done_callback(self._trickling.discard)

    async def _trickle(self, candidate: IceCandidate) -> None:
        body = {"candidate": candidate.as_json(), "webrtc_id": self._session_id, "type": "ice-candidate"}
        try:
            await post_json(self._url, body)
        except (ConnectionError, SignalingError) as error:
            _log.debug("a candidate was not taken: %s", error)


class WebSocketLine:
    """A call over FastRTC's WebSocket protocol, with a playback buffer as a page has one."""

    def __init__(self, url: str, session_id: str, events: LineEvents, rate_in_hz: int, rate_out_hz: int) -> None:
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
        self._playing: deque[PCM] = deque()
        self._closed = False
        self.rate_in_hz = rate_in_hz
        self.rate_out_hz = rate_out_hz

    async def open(self, hello: bool) -> None:
        """Connect and start; with ``hello``, learn the server's rates from its own hello."""
        try:
            self._socket = await open_websocket(self._url, open_timeout=HTTP_TIMEOUT_S, max_size=None)
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise ConnectionError(f"no WebSocket server answers at {self._url}: {error}") from None
        self._tasks = [self._loop.create_task(self._receive()), self._loop.create_task(self._send())]
        self._put(wire.encode_frame(wire.Start(self._session_id)))
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
        wanted = self.rate_in_hz // 50
        parts: list[PCM] = []
        while wanted and self._playing:
            head = self._playing.popleft()
            parts.append(head[:wanted])
            if len(head) > wanted:
                self._playing.appendleft(head[wanted:])
            wanted -= len(parts[-1])
        return np.concatenate(parts) if parts else None

    def write(self, pcm: PCM | None) -> None:
        """Say one tick."""
        tick = np.zeros(self.rate_out_hz // 50, np.int16) if pcm is None else pcm
        self.send(wire.encode_frame(wire.Media(encode_ulaw(tick))))

    def send(self, text: str) -> None:
        """Send a frame."""
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._put, text)

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
                self._playing.append(decode_ulaw(payload))
            case wire.Clear():
                self._playing.clear()
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
                self._greeted.set()


def new_session_id() -> str:
    """A random id."""
    return uuid.uuid4().hex[:12]
