"""Bytes of a connection to ``fastrtc serve``, from the request on: what the paced socket makes of them.

The app must get the same messages as without a pace, in the same order; the pace may only take time.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from tests.fakes.transport import FakeTransport
from tests.fuzz.loop import LOOP
from tests.fuzz.source import Source, mutated_lines
from uvicorn.server import ServerState

from fastrtc.server.paced_socket import MAX_UNSENT_BYTES, SLICE_BYTES, PacedWebSocketProtocol
from fastrtc.server.quiet_socket import QuietWebSocketProtocol
from fastrtc.serving import ServeSettings, uvicorn_config

HANDSHAKE = "\r\n".join(
    (
        "GET /websocket/offer?token=t HTTP/1.1",
        "Host: voice.example.org",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: a, b",
        "Origin: https://voice.example.org",
        "",
        "",
    )
)
HEADS = (HANDSHAKE, HANDSHAKE, HANDSHAKE, HANDSHAKE.replace("GET", "POST"), HANDSHAKE.replace("13", "8"))
HEADS += (HANDSHAKE.replace("Origin:", "X-Long: " + "a" * 9_000 + "\r\nOrigin:"),)
HEADS += (HANDSHAKE.replace("Origin:", "X-Many: a\r\n" * 200 + "Origin:"),)
# Continuation, text, binary, close, ping, pong; and what RFC 6455 reserves.
OPCODES = (1, 1, 1, 1, 1, 9, 9, 10, 2, 0, 8, 3)
PAYLOADS = (b"hello", b"", b"close", "\u00e9\U0001f600".encode(), b"\xff\xfe", b"\xc3", b"\x03\xe8", b"\x03\xe8bye")
PAYLOADS += (b"\x00\x01no", b"\xff", b"x" * 126, b'{"event":"ping"}')
FLOOD = 3 * SLICE_BYTES
TURNS = 30
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())  # not to stderr


class Transport(FakeTransport):
    """A connection whose other side is the fuzzer."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None

    def write(self, data: Any) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def close(self) -> None:
        if not self.closed:
            super().close()
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        self.protocol.connection_lost(None)


class Line:
    """A connection to an app that takes what comes, until it is told to close."""

    def __init__(self, kind: type[QuietWebSocketProtocol], refuses: bool) -> None:
        self.received: list[Any] = []
        self._refuses = refuses
        config: uvicorn.Config = uvicorn_config(self._app, ServeSettings())  # type: ignore[arg-type]
        config.ws = kind
        config.ws_ping_interval = None
        config.log_config = None
        config.lifespan = "off"
        config.interface = "asgi3"
        config.load()
        self.state = ServerState()
        self.transport = Transport()
        self.transport.protocol = config.http_protocol_class(config, self.state, {})  # type: ignore[call-arg]
        self.transport.protocol.connection_made(self.transport)

    async def _app(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"not here"})
            return
        await receive()
        await send({"type": "websocket.close" if self._refuses else "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.received.append(message)
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 1000})
                return

    async def feed(self, chunk: bytes) -> None:
        """Give it some bytes when it wants them."""
        async with asyncio.timeout(20):
            while not self.transport.reading and not self.transport.closed:  # noqa: ASYNC110 - whatever changes here
                await asyncio.sleep(0)
        if not self.transport.closed:
            self.transport.protocol.data_received(chunk)

    async def settle(self) -> None:
        """Wait until all bytes have been taken apart and the app has got what is in them."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while getattr(self.transport.protocol, "_waiting", None) or not self._is_idle():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)

    def _is_idle(self) -> bool:
        queue = getattr(self.transport.protocol, "queue", None)
        return queue is None or queue.empty() or not self.state.tasks

    @property
    def is_broken(self) -> bool:
        """Whether the client broke the protocol."""
        conn = getattr(self.transport.protocol, "conn", None)
        return getattr(conn, "parser_exc", None) is not None

    async def vanish(self) -> None:
        """The connection is gone; the app ends."""
        self.transport.close()
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while self.state.tasks:
                await asyncio.wait(self.state.tasks)
        assert not self.state.connections
        assert not getattr(self.transport.protocol, "_waiting", None)


def _frames(source: Source) -> list[bytes]:
    """One frame, mostly right and mostly text, or a flood of it."""
    payload = source.pick(PAYLOADS) if not source.one_in(6) else source.rest(source.below(24))
    opcode = source.pick(OPCODES)
    flags = source.pick([0x80] * 9 + [0x00, 0xC0])
    mask = source.pick([bytes(4)] * 6 + [b"abcd", None])
    length = source.pick([len(payload)] * 16 + [0, 2**16, 2**40, 2**63 + 1])
    head = struct.pack("!B", flags | opcode)
    if length < 126:
        head += struct.pack("!B", length | (0 if mask is None else 0x80))
    elif length < 2**16:
        head += struct.pack("!BH", 126 | (0 if mask is None else 0x80), length)
    else:
        head += struct.pack("!BQ", 127 | (0 if mask is None else 0x80), length)
    masked = bytes(byte ^ (mask or bytes(4))[at % 4] for at, byte in enumerate(payload))
    frame = head + (mask or b"") + masked
    return [frame] * (FLOOD // len(frame) if source.one_in(8) else 1)


def paced_socket(raw: bytes) -> str:
    """A whole connection: a request, and frames that flood, stop in the middle, or are none."""
    source = Source(raw)
    head = source.pick(HEADS)
    if source.one_in(4):
        head = mutated_lines(source, head)
    floods = [_frames(source) for _ in range(1 + source.below(6))]
    at_once, refuses, clogged, abrupt, early = (source.one_in(size) for size in (4, 8, 8, 4, 8))
    chunks = [b"".join(flood) for flood in floods]
    if at_once:
        chunks = [b"".join(chunks)]

    async def play(line: Line, chunks: list[bytes], *, to_the_end: bool) -> Line:
        await line.feed(head.encode("latin-1", "replace"))
        if not early:
            await line.settle()
        for chunk in chunks:
            await line.feed(chunk)
            if clogged:
                line.transport.unsent_bytes = 0 if line.transport.unsent_bytes else MAX_UNSENT_BYTES + 1
        line.transport.unsent_bytes = 0
        if to_the_end:
            await line.settle()
        await line.vanish()
        return line

    async def both() -> list[Any]:
        paced = await play(Line(PacedWebSocketProtocol, refuses), chunks, to_the_end=not abrupt)
        got = paced.received
        if early:  # whether the handshake is answered before the first frame is a matter of time
            return got
        one_by_one = [frame for flood in floods for frame in flood]
        plain = await play(Line(QuietWebSocketProtocol, refuses), one_by_one, to_the_end=True)
        # What comes in one piece with a mistake is not received.
        is_part = abrupt or paced.is_broken or plain.is_broken
        assert got == (plain.received[: len(got)] if is_part else plain.received), "the pace changed what was received"
        return got

    received = LOOP.run(both())
    return f"{min(len(received), 3)} messages{', refused' if refuses else ''}"
