"""Sessions over FastRTC's WebSocket protocol (:mod:`fastrtc.wire.websocket`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastrtc.audio import PCM
from fastrtc.context import Context
from fastrtc.errors import ProtocolError
from fastrtc.media.g711 import encode_ulaw
from fastrtc.transports.socket import SocketConversation, SocketLink, Switchboard
from fastrtc.wire import websocket as wire
from fastrtc.wire.messages import ClientHello, ClientMessage, parse_client_message

if TYPE_CHECKING:
    from starlette.websockets import WebSocket


class WebSocketLink(SocketLink):
    """The audio of one WebSocket client, at the handler's rates in both directions."""

    _client_clears = False

    def encode_audio(self, pcm: PCM) -> str:
        return wire.encode_frame(wire.Media(encode_ulaw(pcm)))

    def flush(self) -> bool:
        # A client that knows no "clear" plays what it has, so nothing is taken out of the middle of it.
        if self._client_clears:
            self._outbox.drop_audio()
            self._outbox.put_text(wire.encode_frame(wire.Clear()))
        return self._client_clears

    def learn(self, message: ClientMessage) -> None:
        """Note what the client's messages tell about it: one that says hello understands ``clear``."""
        if isinstance(message, ClientHello):
            self._client_clears = True


class WebSocketConversation(SocketConversation):
    """One WebSocket client."""

    def __init__(self, websocket: WebSocket, switchboard: Switchboard) -> None:
        super().__init__(websocket, switchboard)
        self._link: WebSocketLink | None = None

    async def take(self, text: str) -> None:
        match wire.parse_client_frame(text):
            case wire.Media(payload):
                self._started().receive_ulaw(payload)
            case wire.Start() as start:
                await self._start(start)
                if start.hello:
                    self._take_message(ClientHello())
            case wire.Ping():
                await self.reply(wire.encode_frame(wire.Pong()))
            case wire.Stop():
                self.hang_up("stopped")
            case wire.DataMessage(message, fields):
                self.count_message()
                self._started()
                self._take_message(parse_client_message(message, fields))

    async def reply(self, text: str) -> None:
        if self._link is not None:
            self._link.send(text)
        else:
            await self.websocket.send_text(text)

    async def _start(self, start: wire.Start) -> None:
        if self._link is not None:
            raise ProtocolError("this connection has started already; open another one for another session")
        session_id = self.switchboard.session_id(start.websocket_id)
        user = await self.admit("websocket", session_id, token=start.token)
        handler = await self.switchboard.new_handler()
        handler.phone_mode = False
        link = WebSocketLink(
            self.websocket,
            rate_in_hz=handler.input_sample_rate,
            rate_out_hz=handler.output_sample_rate,
            on_lost=self.hang_up,
            limits=self._limits,
        )
        context = Context(webrtc_id=session_id, websocket=self.websocket, user=user)
        try:
            session = self.switchboard.open(session_id, handler, link, context)
        except BaseException:
            link.abandon()
            raise
        self._link = link
        self.begin(session)

    def _take_message(self, message: ClientMessage) -> None:
        self._started().learn(message)
        if self.session is not None:
            self.session.take_message(message)

    def _started(self) -> WebSocketLink:
        if self._link is None:
            raise ProtocolError('send {"event": "start", "websocket_id": "<any id>"} first')
        return self._link
