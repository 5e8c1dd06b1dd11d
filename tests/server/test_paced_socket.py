"""A client's bytes are taken apart in slices, and others get their turn between them."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from tests.fakes.transport import FakeTransport
from uvicorn.server import ServerState

from fastrtc.server.paced_socket import MAX_FRAGMENTS, MAX_UNSENT_BYTES, REST, SLICE_BYTES, PacedWebSocketProtocol
from fastrtc.server.paced_socket import Turnstile as RealTurnstile
from fastrtc.serving import ServeSettings, uvicorn_config

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING, TEXT, CONTINUATION = 9, 1, 0


def frame(payload: bytes, opcode: int = TEXT, last: bool = True) -> bytes:
    assert len(payload) < 126
    return struct.pack("!BB", opcode | (0x80 if last else 0), 0x80 | len(payload)) + bytes(4) + payload


class Line:
    """A connection with an app that takes messages only when it is told to."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.may_read = asyncio.Event()
        self.transport = FakeTransport()

        async def app(
            scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
        ) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while not self.received or self.received[-1]["type"] != "websocket.disconnect":
                await self.may_read.wait()
                self.received.append(await receive())

        config = uvicorn.Config(
            app, log_config=None, ws_per_message_deflate=False, ws_ping_interval=None, lifespan="off"
        )
        config.load()
        self.protocol = PacedWebSocketProtocol(config, ServerState(), {})

    async def open(self) -> None:
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(HANDSHAKE)
        await self.until(lambda: b"101 Switching" in self.transport.written)
        self.transport.written.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - whatever changes on this loop
                await asyncio.sleep(0)

    async def turns(self, count: int = 50) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.may_read.set()
        self.protocol.connection_lost(None)
        await self.until(lambda: bool(self.received) and self.received[-1]["type"] == "websocket.disconnect")
        await asyncio.gather(*self.protocol.tasks)


def with_line(scenario: Callable[[Line], Awaitable[None]]) -> None:
    async def run() -> None:
        line = Line()
        await line.open()
        await scenario(line)
        await line.close()

    asyncio.run(run())


def test_what_a_client_sends_in_real_time_is_there_at_once() -> None:
    async def scenario(line: Line) -> None:
        line.protocol.data_received(frame(b"hello"))
        assert line.protocol.queue.qsize() == 1
        line.may_read.set()
        await line.until(lambda: bool(line.received))
        assert line.received == [{"type": "websocket.receive", "text": "hello"}]
        assert line.transport.reading

    with_line(scenario)


def test_a_flood_is_answered_in_slices_and_not_read_meanwhile() -> None:
    async def scenario(line: Line) -> None:
        pings = 20_000
        line.protocol.data_received(frame(b"", PING) * pings)
        assert line.transport.written == b""
        assert not line.transport.reading
        sizes = [0]
        while sizes[-1] < 2 * pings:
            await asyncio.sleep(0)
            sizes.append(len(line.transport.written))
        assert max(after - before for before, after in pairwise(sizes)) <= 2 * SLICE_BYTES // 6 + 2
        await line.until(lambda: line.transport.reading)

    with_line(scenario)


def test_a_flood_of_one_client_leaves_room_for_another_one() -> None:
    async def scenario(line: Line) -> None:
        other = Line()
        await other.open()
        line.protocol.data_received(frame(b"", PING) * 20_000)
        await line.turns(5)
        other.protocol.data_received(frame(b"", PING))
        assert len(other.transport.written) == 2
        assert len(line.transport.written) < 20_000
        await other.close()

    with_line(scenario)


def test_messages_wait_until_the_app_takes_them() -> None:
    async def scenario(line: Line) -> None:
        messages = [str(number).encode() for number in range(3_000)]
        line.protocol.data_received(b"".join(map(frame, messages)))
        await line.turns()
        assert 0 < line.protocol.queue.qsize() <= SLICE_BYTES // 7
        assert not line.transport.reading
        line.may_read.set()
        await line.until(lambda: len(line.received) == len(messages))
        assert [message["text"] for message in line.received] == [text.decode() for text in messages]
        await line.until(lambda: line.transport.reading)

    with_line(scenario)


def test_a_client_that_does_not_take_its_answers_is_not_read() -> None:
    async def scenario(line: Line) -> None:
        line.transport.unsent_bytes = MAX_UNSENT_BYTES + 1
        line.protocol.data_received(frame(b"", PING) * 1_000)
        await line.turns()
        assert line.transport.written == b""
        assert not line.transport.reading
        line.transport.unsent_bytes = 0
        await line.until(lambda: len(line.transport.written) == 2_000)

    with_line(scenario)


def test_a_message_of_very_many_fragments_ends_the_connection() -> None:
    async def scenario(line: Line) -> None:
        line.may_read.set()
        line.protocol.data_received(
            frame(b"", TEXT, last=False) + frame(b"", CONTINUATION, last=False) * (MAX_FRAGMENTS + 1_000)
        )
        await line.until(lambda: line.transport.closed)
        assert line.transport.written == b"\x88\x14" + struct.pack("!H", 1008) + b"too many fragments"
        await line.until(lambda: bool(line.received))
        assert line.received[0]["code"] == 1008

    with_line(scenario)


class FakeLoop:
    """Notes who asked to be called, and after how long."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.calls.append((delay_s, call))


def test_a_turnstile_lets_one_through_at_a_time_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([0.0, 0.002, 0.002, 0.003])
    monkeypatch.setattr("fastrtc.server.paced_socket.time.thread_time", lambda: next(now_s))
    loop = FakeLoop()
    turnstile = RealTurnstile(loop)  # type: ignore[arg-type]
    passed: list[str] = []
    turnstile.enter(lambda: passed.append("ann"))
    turnstile.enter(lambda: passed.append("ben"))
    assert [delay_s for delay_s, _ in loop.calls] == [0.0]
    loop.calls.pop()[1]()
    assert passed == ["ann"]
    assert [delay_s for delay_s, _ in loop.calls] == [pytest.approx(REST * 0.002)]
    loop.calls.pop()[1]()
    assert passed == ["ann", "ben"]
    assert loop.calls == []


def test_fastrtc_serve_uses_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = uvicorn_config(app, ServeSettings())  # type: ignore[arg-type]
    config.load()
    assert config.ws_protocol_class is PacedWebSocketProtocol
