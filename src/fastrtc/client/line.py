"""The two lines a call may go over, WebRTC and WebSocket, behind one interface."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from fastrtc.audio import PCM
from fastrtc.client.packetizer import Packetizer
from fastrtc.client.playback import Playback
from fastrtc.errors import ConfigurationError, EngineError, ProtocolError, SignalingError
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import RATE_HZ, OfferingPeer, PeerOptions, PeerState, RtcEngine
from fastrtc.transports.webrtc.sdp import candidate_addresses
from fastrtc.wire import websocket as wire
from fastrtc.wire.messages import ClientHello, ServerHello, SessionEvent, encode_client_message, parse_server_message

_log = logging.getLogger(__name__)

HTTP_TIMEOUT_S = 10.0
HELLO_TIMEOUT_S = 1.0
PATH_TIMEOUT_S = 5.0
HEAL_S = 2.0  # in which a path that broke may come back by itself
RESTARTS = 5
RETRY_S = 1.0
MAX_BODY_BYTES = 1_000_000
REPORT_TICKS = 5  # of 20 ms, between reports of what has been played


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

    async def restart_ice(self) -> None:
        """Look for another path to the server."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


def checked_url(url: str) -> str:
    """The address of a service, without a slash at its end.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        is_address = False
    if not is_address or not url.isprintable() or " " in url:
        raise ConfigurationError(f"the address of a service is like https://voice.example.org; got {url!r}")
    return url.rstrip("/")


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
        detail = error.read(MAX_BODY_BYTES).decode("utf-8", "replace")
        error.close()
        refusal = _read_refusal(detail)
        if refusal is not None:
            return refusal
        raise ConnectionError(f"{url} answered {error.code} {error.reason}: {_advise(error.code, detail)}") from None
    except (urllib.error.URLError, OSError) as error:
        raise ConnectionError(f"no server answers at {url}: {getattr(error, 'reason', error)}") from None
    except http.client.HTTPException as error:
        raise ConnectionError(f"what answers at {url} is no HTTP server: {error!r}") from None
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} did not answer with a JSON object: is it the address of a FastRTC server?")
    return answer


def _advise(status: int, detail: str) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "no Stream is mounted there (stream.mount(app) does; a path given to it is part of the address)"
    return detail[:500]


def _read_refusal(text: str) -> dict[str, Any] | None:
    """A refusal in the body of an HTTP error, or in its ``detail`` where the app has a route of its own."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    for found in (answer, answer.get("detail")) if isinstance(answer, dict) else ():
        if isinstance(found, dict) and found.get("status") == "failed":
            return found
    return None


class WebRtcLine:
    """A call over WebRTC; also the observer of its own peer."""

    rate_in_hz = RATE_HZ
    rate_out_hz = RATE_HZ

    def __init__(self, url: str, session_id: str, events: LineEvents, token: str | None = None) -> None:
        self._url = f"{url}/webrtc/offer"
        self._session_id = session_id
        self._token: dict[str, Any] = {} if token is None else {"token": token}
        self._events = events
        self._peer: OfferingPeer | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self._connected.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may wait for it
        self._reachable = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._healing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def open(self, engine: RtcEngine, options: PeerOptions) -> None:
        """Offer, and wait until audio and messages can flow.

        Raises:
            ConnectionError: No server answers, or there is no way to it: it is given up 5 s after the answer.
            SignalingError: The server refused.
            EngineError: The engine failed.
        """
        self._peer = await engine.offer(options, self)
        answer = await self._negotiate(self._peer)
        self._peer.send(encode_client_message(ClientHello()))
        try:
            await asyncio.wait_for(asyncio.shield(self._connected), PATH_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError(_no_way(self._url, answer)) from None

    async def restart_ice(self) -> None:
        """Look for another path under the same session.

        Raises:
            ConnectionError: No server answers, or no path was found.
            SignalingError: The server refused; it may be unable to.
            EngineError: This side's engine cannot.
        """
        peer = self._peer
        if peer is None:
            raise ConnectionError("the call is not connected")
        async with self._restarting:
            await peer.offer_restart()
            await self._negotiate(peer)
        try:
            await asyncio.wait_for(self._reachable.wait(), PATH_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError(f"no other path was found within {PATH_TIMEOUT_S:.0f} s") from None

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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()
        if not self._connected.done():
            self._connected.cancel()

    def on_state(self, state: PeerState) -> None:
        """From the peer."""
        if state is PeerState.CONNECTED:
            self._reachable.set()
        else:
            self._reachable.clear()
        was_up = self._connected.done()
        if not was_up and state in (PeerState.FAILED, PeerState.CLOSED):
            self._connected.set_exception(ConnectionError(f"the WebRTC connection to {self._url} is {state.value}"))
        elif state is PeerState.CLOSED:
            self._events.on_closed(state.value)
        elif was_up and state in (PeerState.DISCONNECTED, PeerState.FAILED) and _is_over(self._healing):
            self._healing = self._spawn(self._heal(HEAL_S if state is PeerState.DISCONNECTED else 0.0))

    def on_channel_open(self) -> None:
        """From the peer."""
        if not self._connected.done():
            self._connected.set_result(None)

    def on_message(self, text: str) -> None:
        """From the peer."""
        self._events.on_message(text)

    def on_candidate(self, candidate: IceCandidate | None) -> None:
        """From the peer: trickle it."""
        if candidate is not None:
            self._spawn(self._trickle(candidate))

    async def _negotiate(self, peer: OfferingPeer) -> str:
        offer = {"sdp": peer.offer_sdp, "type": "offer", "webrtc_id": self._session_id, **self._token}
        answer = await post_json(self._url, offer)
        sdp = answer.get("sdp")
        if not isinstance(sdp, str):
            raise ConnectionError(f"{self._url} gave no answer to the offer: {str(answer)[:200]}")
        await peer.set_answer(sdp)
        if answer.get("more_candidates") is True and _is_over(self._following):
            self._following = self._spawn(self._follow_candidates(peer))
        return sdp

    async def _heal(self, wait_s: float) -> None:
        """Give the path a moment to come back, then look for another one; hang up if there is none."""
        if await self._is_reachable_within(wait_s):
            return
        for _ in range(RESTARTS):
            try:
                await self.restart_ice()
            except (SignalingError, EngineError) as error:
                _log.info("ICE was not restarted: %s", error)
                break
            except ConnectionError:  # no network: neither signaling nor media; it may come back
                if await self._is_reachable_within(RETRY_S):
                    return
            else:
                return
        if not self._reachable.is_set():
            self._events.on_closed(PeerState.FAILED.value)

    async def _is_reachable_within(self, wait_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reachable.wait(), wait_s)
        return self._reachable.is_set()

    async def _trickle(self, candidate: IceCandidate) -> None:
        ours: dict[str, Any] = {"webrtc_id": self._session_id, **self._token}
        body = {"candidate": candidate.as_json(), "type": "ice-candidate", **ours}
        try:
            await post_json(self._url, body)
        except (ConnectionError, SignalingError) as error:
            _log.debug("a candidate was not taken: %s", error)

    async def _follow_candidates(self, peer: OfferingPeer) -> None:
        """Ask for the server's candidates that came after its answer, until there are no more."""
        more = True
        with contextlib.suppress(ConnectionError, SignalingError, ProtocolError):
            while more:
                answer = await post_json(
                    self._url, {"type": "local-candidates", "webrtc_id": self._session_id, **self._token}
                )
                more = answer.get("more_candidates") is True
                for value in answer.get("candidates") or []:
                    await peer.add_candidate(IceCandidate.from_json(value))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()


def _no_way(url: str, answer_sdp: str) -> str:
    offered = ", ".join(candidate_addresses(answer_sdp)) or "no address"
    base = url.removesuffix("/webrtc/offer")
    return (
        f"WebRTC found no way to {base} within {PATH_TIMEOUT_S:.0f} s: its UDP packets may be blocked. "
        f"The server offered {offered}. The WebSocket needs no UDP; `fastrtc doctor {base}` says more"
    )


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


def new_session_id() -> str:
    """A random id."""
    return uuid.uuid4().hex[:12]
