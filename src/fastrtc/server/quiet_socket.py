"""uvicorn's WebSocket protocol, without tracebacks in the log for what a client sends.

uvicorn takes it for its own mistake if a request that asks for a WebSocket is none by RFC 6455 (a POST, too many
headers, a key that is no ASCII), if a client breaks the protocol or says goodbye before its handshake is answered, and
if a text is no UTF-8; some of them it never answers.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.http11 import Request

logger = logging.getLogger(__name__)

PROTOCOL_ERROR, INVALID_DATA = 1002, 1007  # RFC 6455, section 7.4.1
READ_HEADERS = ("connection", "upgrade", "host", "origin", "sec-websocket-")


class QuietWebSocketProtocol(WebSocketsSansIOProtocol):
    """See the module; arguments are uvicorn's."""

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse()

    def send_receive_event_to_app(self) -> None:
        """See uvicorn; a text that is no UTF-8 ends the connection."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.break_off(INVALID_DATA, "a text must be UTF-8")
                return
        super().send_receive_event_to_app()

    def break_off(self, code: int, reason: str) -> None:
        """End the connection of a client that does what it must not."""
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def handle_connect(self, event: Request) -> None:
        """See uvicorn; the headers that websockets reads must be ASCII."""
        read = (value for name, value in event.headers.raw_items() if name.lower().startswith(READ_HEADERS))
        if all(value.isascii() for value in read):
            super().handle_connect(event)
        else:
            self._refuse()

    def handle_close(self, event: Frame) -> None:
        """See uvicorn; a client may go before it was let in."""
        if self.handshake_complete:
            super().handle_close(event)
        else:
            self._refuse()

    def handle_parser_exception(self) -> None:
        """See uvicorn; also for connections that are not open yet, which cannot be closed with a code."""
        if self.conn.close_sent is not None:
            super().handle_parser_exception()
        else:
            self._refuse()

    def _refuse(self) -> None:
        """End a connection that is not open."""
        if self.disconnected:
            return
        logger.debug(
            "a WebSocket client broke the protocol before it was let in: %s",
            self.conn.handshake_exc or self.conn.parser_exc,
        )
        if not self.handshake_initiated:
            answer = self.conn.reject(HTTPStatus.BAD_REQUEST, "This is no WebSocket handshake.\n")
            self.transport.write(answer.serialize())
        self.disconnected = self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": PROTOCOL_ERROR})
        self.transport.close()
