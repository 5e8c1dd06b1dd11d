"""What all links over a text socket share: the link, and the conversation that reads the socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from starlette.websockets import WebSocketDisconnect, WebSocketState

from fastrtc.audio import PCM
from fastrtc.context import Context
from fastrtc.errors import ProtocolError, SignalingError
from fastrtc.media.g711 import decode_ulaw
from fastrtc.transports.inbox import Inbox
from fastrtc.transports.outbox import Outbox
from fastrtc.wire.messages import ErrorMessage, encode_server_message
from fastrtc.wire.websocket import Failed, encode_frame

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from fastrtc.handlers.base import StreamHandlerBase
    from fastrtc.link import MediaLink
    from fastrtc.session import Session

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 2.0


class Switchboard(Protocol):
    """Where a transport gets its sessions from."""

    def new_handler(self) -> StreamHandlerBase:
        """A handler for one new session.

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


class SocketLink:
    """A :class:`fastrtc.link.MediaLink` over a WebSocket that carries mu-law in JSON.

    Subclasses say how audio is written (:meth:`encode_audio`) and how the peer's buffer is cleared (:meth:`flush`).
    Create it on the app's loop.

    Args:
        websocket: An accepted connection.
        rate_in_hz: Of the client's audio.
        rate_out_hz: Of ours.
        on_lost: Called once, on the app's loop, with the reason why the socket is of no more use.
    """

    lead_ms = 200
    client_delay_ms = 50.0
    """From the socket to the client's ear: the network one way and the client's own buffer; nobody tells us."""

    def __init__(
        self, websocket: WebSocket, *, rate_in_hz: int, rate_out_hz: int, on_lost: Callable[[str], None]
    ) -> None:
        self.rate_in_hz = rate_in_hz
        self.rate_out_hz = rate_out_hz
        self._websocket = websocket
        self._on_lost = on_lost
        self._is_lost = False
        self._inbox = Inbox(rate_in_hz)
        self._outbox = Outbox(websocket.send_text, self.encode_audio, rate_out_hz)
        self._outbox.overflow.add_done_callback(self._on_overflow)
        self._sender = asyncio.create_task(self._send_all(), name="fastrtc-socket-sender")
        self._closing: asyncio.Task[None] | None = None

    def encode_audio(self, pcm: PCM) -> str:
        """The text frame that carries this audio."""
        raise NotImplementedError

    def receive_ulaw(self, payload: bytes) -> None:
        """Take audio from the client, one mu-law byte a sample."""
        if payload:
            self._inbox.put(decode_ulaw(payload))

    def read(self) -> PCM | None:
        return self._inbox.take()

    def write(self, pcm: PCM | None) -> None:
        if pcm is not None:
            self._outbox.put_audio(pcm)

    def flush(self) -> bool:
        """See :class:`fastrtc.link.MediaLink`."""
        raise NotImplementedError

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
        await close_socket(self._websocket)
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
            logger.warning("a WebSocket client has stopped reading; its session ends")
            self.mark_lost("client_not_reading")


class SocketConversation:
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
        self._starting: asyncio.Task[None] | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def take(self, text: str) -> None:
        """Handle one text frame.

        Raises:
            ProtocolError: It cannot be understood; the client is told and the conversation goes on.
            SignalingError: The session is refused; the client is told and the socket closed.
        """
        raise NotImplementedError

    async def reply(self, text: str) -> None:
        """Send a text frame, in order with what the session sends."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve the socket; returns when the session has been shut down."""
        await self.websocket.accept()
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

    def begin(self, session: Session) -> None:
        """Start a session beside the reading of the socket."""
        self.session = session
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
        while not self._over.done():
            message = await self.websocket.receive()
            if message["type"] == "websocket.disconnect":
                return "disconnected"
            text = message.get("text")
            try:
                if text is None:
                    raise ProtocolError("send text frames with JSON; binary frames have no meaning here")
                await self.take(text)
            except ProtocolError as error:
                await self.reply(encode_server_message(ErrorMessage(str(error))))
            except SignalingError as error:
                await self.reply(encode_frame(Failed({"error": error.code, **error.detail})))
                return error.code
        return self._over.result()

    async def _end(self, receiving: asyncio.Task[str], reason: str) -> None:
        if self.session is not None:
            await self.session.close(reason)
        if self._starting is not None:
            self._starting.cancel()
        await close_socket(self.websocket)
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError, OSError, WebSocketDisconnect):
            await receiving


async def close_socket(websocket: WebSocket) -> None:
    """Close a socket that may be closed already; waits at most two seconds for a peer that does not read."""
    if WebSocketState.DISCONNECTED in (websocket.application_state, websocket.client_state):
        return
    with contextlib.suppress(TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await websocket.close()
