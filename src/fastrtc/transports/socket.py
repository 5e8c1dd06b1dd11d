"""What all links over a text socket share: the link, and the conversation that reads the socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from starlette.websockets import WebSocketDisconnect, WebSocketState

from fastrtc.audio import PCM
from fastrtc.context import Context
from fastrtc.errors import AccessDeniedError, ProtocolError, SignalingError
from fastrtc.limits import Limits
from fastrtc.media.g711 import decode_ulaw
from fastrtc.transports.inbox import Inbox
from fastrtc.transports.lobby import Lobby
from fastrtc.transports.meter import Meter
from fastrtc.transports.outbox import Outbox
from fastrtc.visitor import Visitor
from fastrtc.wire.messages import EndStream, ErrorMessage, encode_server_message
from fastrtc.wire.websocket import Failed, encode_frame

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from fastrtc.handlers.base import StreamHandlerBase
    from fastrtc.link import MediaLink
    from fastrtc.session import Session

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 2.0

# Nobody speaks faster than time passes; whoever sends so is read this much faster. A frame counts as at least so much
# audio, and so do so many bytes: a thousand frames or a megabyte in a second.
_FASTER_THAN_TIME = 2.0
_MIN_FRAME_MS = 2.0
_BYTES_PER_MS = 500.0

# A client's share of the event loop for what it sends: the thread's seconds a second, and at once. Audio takes a
# hundredth of it. Nothing is charged beyond what a message that starts a session may well take.
_SHARE = 0.1
_SHARE_AT_ONCE_S = 0.02
_MOST_CHARGED_S = 0.05
# Others get their turn at least so often.
_TURN_S = 0.002

# RFC 6455, section 7.4.1, and from 3000 IANA's registry of WebSocket close codes; all other ends are normal (1000).
_CLOSE_CODES = {
    "unauthorized": 3000,
    "forbidden": 3003,
    "start_timeout": 3008,
    "too_many_messages": 1008,
    "client_not_reading": 1008,
    "message_too_long": 1009,
    "error": 1011,
    "authorization_failed": 1011,
    "concurrency_limit_reached": 1013,
    "server_draining": 1012,
    "too_many_offers": 1013,
    "too_many_pending_connections": 1013,
    "server_overloaded": 1013,
}

CUT_OFF = {
    "too_many_messages": "You sent more messages than this server takes, so the session was ended.",
    "message_too_long": "You sent a message longer than this server takes, so the session was ended.",
}
"""What the person at the other end is told."""


class Switchboard(Protocol):
    """Where a transport gets its sessions from.

    Attributes:
        limits: What one client may cost.
        lobby: Of the sockets that have not started.
    """

    @property
    def limits(self) -> Limits: ...

    @property
    def lobby(self) -> Lobby: ...

    def check_socket(self, connection: HTTPConnection) -> None:
        """Whether a WebSocket may be accepted.

        Raises:
            AccessDeniedError: It may not.
        """
        ...

    async def admit(self, visitor: Visitor) -> Any:
        """The user of somebody who asks for a session.

        Raises:
            SignalingError: It may not have one.
        """
        ...

    def session_id(self, given: str) -> str:
        """The id of a new session: what the client chose, or a new one.

        Raises:
            SignalingError: A client may not choose this one.
        """
        ...

    async def new_handler(self) -> StreamHandlerBase:
        """A handler for one new session, once the models that it needs have been loaded.

        Raises:
            SignalingError: The app's handler cannot serve this kind of connection.
        """
        ...

    def open(self, session_id: str, handler: StreamHandlerBase, link: MediaLink, context: Context) -> Session:
        """A session that has its place and is not started yet.

        Raises:
            SignalingError: The id is taken, or the server is full.
        """
        ...


class SocketLink(ABC):
    """A :class:`fastrtc.link.MediaLink` over a WebSocket that carries mu-law in JSON.

    Subclasses say how audio is written (:meth:`encode_audio`) and how the peer's buffer is cleared (:meth:`flush`).
    Create it on the app's loop.

    Args:
        websocket: An accepted connection.
        rate_in_hz: Of the client's audio.
        rate_out_hz: Of ours.
        on_lost: Called once, on the app's loop, with the reason why the socket is of no more use.
        limits: What may wait in either direction.

    Attributes:
        received_ms: Audio that the client has sent in all.
        end_reason: Why the socket is closed; decides its close code.
    """

    lead_ms = 200
    client_delay_ms = 50.0
    """From the socket to the client's ear: the network one way and the client's own buffer; nobody tells us."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        rate_in_hz: int,
        rate_out_hz: int,
        on_lost: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.received_ms = 0.0
        self.end_reason = ""
        self.rate_in_hz = rate_in_hz
        self.rate_out_hz = rate_out_hz
        self._websocket = websocket
        self._on_lost = on_lost
        self._is_lost = False
        self._inbox = Inbox(rate_in_hz, limits.max_received_ms)
        self._outbox = Outbox(
            websocket.send_text,
            self.encode_audio,
            rate_out_hz,
            max_backlog_ms=limits.max_unsent_ms,
            max_backlog_bytes=limits.max_unsent_bytes,
        )
        self._outbox.overflow.add_done_callback(self._on_overflow)
        self._sender = asyncio.create_task(self._send_all(), name="fastrtc-socket-sender")
        self._closing: asyncio.Task[None] | None = None

    @abstractmethod
    def encode_audio(self, pcm: PCM) -> str:
        """The text frame that carries this audio."""

    def receive_ulaw(self, payload: bytes) -> None:
        """Take audio from the client, one mu-law byte a sample."""
        if payload:
            self.received_ms += len(payload) * 1000.0 / self.rate_in_hz
            self._inbox.put(decode_ulaw(payload))

    def read(self) -> PCM | None:
        return self._inbox.take()

    def write(self, pcm: PCM | None) -> None:
        if pcm is not None:
            self._outbox.put_audio(pcm)

    @abstractmethod
    def flush(self) -> bool:
        """See :class:`fastrtc.link.MediaLink`."""

    def send(self, message: str) -> None:
        self._outbox.put_text(message)

    def playout_delay_ms(self) -> float:
        return self.client_delay_ms

    async def close(self) -> None:
        """Let the client hear what it has been sent, then close the socket."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="fastrtc-socket-close")
        await asyncio.shield(self._closing)

    def mark_lost(self, reason: str) -> None:
        """The socket is of no more use: nothing is sent any more. App loop."""
        self._outbox.close()
        if not self._is_lost:
            self._is_lost = True
            self._on_lost(reason)

    def abandon(self) -> None:
        """Stop without touching the socket: there will be no session."""
        self._is_lost = True
        self._outbox.close()
        self._sender.cancel()

    async def _close(self) -> None:
        if not self._is_lost and self._websocket.client_state is not WebSocketState.DISCONNECTED:
            finishing = asyncio.create_task(self._finish(), name="fastrtc-socket-finish")
            await asyncio.wait([finishing, self._sender], timeout=_CLOSE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            finishing.cancel()
        self._outbox.close()
        self._sender.cancel()
        await asyncio.wait([self._sender])
        await close_socket(self._websocket, self.end_reason)
        self.mark_lost("closed")

    async def _finish(self) -> None:
        await self._outbox.drained()
        # Clients stop their loudspeaker when the socket closes.
        await asyncio.sleep(min(self._outbox.ahead_ms(), float(self.lead_ms)) / 1000.0)

    async def _send_all(self) -> None:
        try:
            await self._outbox.run()
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            logger.debug("the socket broke while sending: %r", error)
            self.mark_lost("disconnected")

    def _on_overflow(self, overflow: asyncio.Future[None]) -> None:
        if not overflow.cancelled():
            logger.info("a WebSocket client has stopped reading; its session ends")
            self.mark_lost("client_not_reading")


class SocketConversation(ABC):
    """One accepted socket from its first message to the end of its session.

    Subclasses give meaning to the messages (:meth:`take`).

    Args:
        websocket: A connection that is not accepted yet.
        switchboard: Where sessions come from.
    """

    def __init__(self, websocket: WebSocket, switchboard: Switchboard) -> None:
        self.websocket = websocket
        self.switchboard = switchboard
        self.session: Session | None = None
        self._link: SocketLink | None = None
        limits = switchboard.limits
        self._limits = limits
        self._messages = Meter(limits.messages_per_s, limits.message_burst)
        self._frames = Meter(1000.0 * _FASTER_THAN_TIME, limits.max_received_ms / 2)
        self._share = Meter(_SHARE, _SHARE_AT_ONCE_S)
        self._starting: asyncio.Task[None] | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def take(self, text: str) -> None:
        """Handle one text frame.

        Raises:
            ProtocolError: It cannot be understood; the client is told and the conversation goes on.
            SignalingError: The session is refused; the client is told and the socket closed.
        """

    @abstractmethod
    async def reply(self, text: str) -> None:
        """Send a text frame, in order with what the session sends."""

    async def run(self) -> None:
        """Serve the socket; returns when the session has been shut down."""
        try:
            self.switchboard.check_socket(self.websocket)
        except AccessDeniedError:
            # Before it is accepted, so that the handshake fails with HTTP 403 and no script learns more.
            await self.websocket.close()
            return
        await self.websocket.accept()
        self.switchboard.lobby.enter(self, self.hang_up)
        self._deadline = self._over.get_loop().call_later(self._limits.start_timeout_s, self.hang_up, "start_timeout")
        receiving = asyncio.create_task(self._receive(), name="fastrtc-socket-receiver")
        reason = "cancelled"
        try:
            await asyncio.wait([receiving, self._over], return_when=asyncio.FIRST_COMPLETED)
            reason = self._over.result() if self._over.done() else receiving.result()
        finally:
            await self._end(receiving, reason)

    def hang_up(self, reason: str) -> None:
        """End the conversation."""
        if not self._over.done():
            self._over.set_result(reason)

    async def admit(
        self,
        via: Literal["websocket", "telephone"],
        session_id: str,
        *,
        token: str | None = None,
        call: Mapping[str, Any] | None = None,
    ) -> Any:
        """The user who asks for this session.

        Raises:
            SignalingError: It may not have one.
        """
        self._deadline.cancel()
        visitor = Visitor(via=via, webrtc_id=session_id, given_token=token, call=call, connection=self.websocket)
        user = await self.switchboard.admit(visitor)
        if self._over.done():
            raise SignalingError(self._over.result())
        return user

    def count_message(self) -> None:
        """The client sent something that is no audio.

        Raises:
            CutOffError: It sends too many.
        """
        if not self._messages.take():
            raise CutOffError("too_many_messages")

    def begin(self, session: Session) -> None:
        """Start a session beside the reading of the socket."""
        self.session = session
        self.switchboard.lobby.leave(self)
        self._starting = asyncio.create_task(session.start(), name="fastrtc-session-start")
        self._starting.add_done_callback(self._on_started)

    def _on_started(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and (error := starting.exception()) is not None:
            logger.error("the session could not start", exc_info=error)
            if self.session is not None:
                message = ErrorMessage(f"The session could not start: {error}")
                self.session.link.send(encode_server_message(message))
            self.hang_up("error")

    async def _receive(self) -> str:
        try:
            return await self._receive_all()
        except (WebSocketDisconnect, OSError):
            return "disconnected"

    async def _receive_all(self) -> str:
        turn_s = 0.0
        while not self._over.done():
            message = await self.websocket.receive()
            if message["type"] == "websocket.disconnect":
                return "disconnected"
            size, heard_ms, begin_s = self._size(message), self._heard_ms, time.thread_time()
            try:
                await self._take(message, size)
            except CutOffError as error:
                return await self._cut_off(error.reason)
            except SignalingError as error:
                await self.reply(encode_frame(Failed({"error": error.code, **error.detail})))
                return error.code
            # Who sends faster than anybody speaks is not read meanwhile: it waits, and nobody else does.
            took_s = min(time.thread_time() - begin_s, _MOST_CHARGED_S)
            turn_s += took_s
            debt_s = max(
                self._frames.owe(max(_MIN_FRAME_MS, self._heard_ms - heard_ms, size / _BYTES_PER_MS)),
                self._share.owe(took_s),
            )
            if debt_s > 0 or turn_s > _TURN_S:
                # What has been received already is given out without a pause for anybody else.
                turn_s = 0.0
                await asyncio.sleep(debt_s)
        return self._over.result()

    @staticmethod
    def _size(message: Mapping[str, Any]) -> int:
        return len(message.get("text") or message.get("bytes") or "")

    async def _take(self, message: Mapping[str, Any], size: int) -> None:
        text = message.get("text")
        if size > self._limits.max_message_bytes:
            raise CutOffError("message_too_long")
        try:
            if text is None:
                raise ProtocolError("send text frames with JSON; binary frames have no meaning here")
            await self.take(text)
        except ProtocolError as error:
            self.count_message()
            await self.reply(encode_server_message(ErrorMessage(str(error))))

    @property
    def _heard_ms(self) -> float:
        return 0.0 if self._link is None else self._link.received_ms

    async def _cut_off(self, reason: str) -> str:
        logger.info("a WebSocket client is cut off: %s", reason)
        if self.session is None:
            await self.reply(encode_frame(Failed({"error": reason})))
        else:
            await self.reply(encode_server_message(ErrorMessage(CUT_OFF[reason])))
            await self.reply(encode_server_message(EndStream(reason)))
        return reason

    async def _end(self, receiving: asyncio.Task[str], reason: str) -> None:
        self._deadline.cancel()
        self.switchboard.lobby.leave(self)
        # First, so that no session begins any more.
        receiving.cancel()
        # Not awaited itself: whatever it failed with, the session has to be closed.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([receiving])
        if self._link is not None:
            self._link.end_reason = reason
        if self.session is not None:
            await self.session.close(reason)
        if self._starting is not None:
            self._starting.cancel()
        await close_socket(self.websocket, reason)


class CutOffError(Exception):
    """A client is beyond a limit, and its session ends.

    Args:
        reason: The limit.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def close_socket(websocket: WebSocket, reason: str = "") -> None:
    """Close a socket that may be closed already; waits at most two seconds for a peer that does not read.

    Args:
        websocket: The socket.
        reason: Why; some reasons have a close code.
    """
    if WebSocketState.DISCONNECTED in (websocket.application_state, websocket.client_state):
        return
    with contextlib.suppress(TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            code = _CLOSE_CODES.get(reason, 1000)
            await websocket.close(code, reason if code > 1000 else None)
