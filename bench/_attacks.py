"""The hostile clients of ``hostile.py``: ``python _attacks.py NAME URL SECONDS`` attacks and prints JSON.

Whoever is thrown out comes again at once under another id, until the time is over. Most write ready-made bytes to a
bare TCP connection, so that a little of an attacker's time costs as much of the server's as it can.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import WebSocketException

from fastrtc.client import connect

TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9
HANDSHAKE = (
    "GET /websocket/offer HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CHUNK_BYTES = 262_144
NICE = 10
_numbers = count()


def new_id() -> str:
    return f"bad-{os.getpid()}-{next(_numbers)}"


def frame(payload: bytes, opcode: int = TEXT, last: bool = True) -> bytes:
    """A client's frame (RFC 6455, section 5.2), masked with zeros."""
    first = opcode | (0x80 if last else 0)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


def message(value: Any) -> bytes:
    return frame(json.dumps(value).encode())


class Line:
    """A WebSocket as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.ended: tuple[int, str] | None = None
        self.sent_bytes = 0

    @classmethod
    async def open(cls, url: str) -> Line:
        host = urlsplit(url).netloc
        name, _, port = host.partition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        writer.write(HANDSHAKE.format(host=host).encode())
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self.sent_bytes += len(data)

    async def pour(self, data: bytes) -> None:
        """Send the same again and again."""
        while True:
            await self.send(data)

    async def read_to_end(self) -> None:
        """Read until the server closes, and note how."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await self._reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
                payload = await self._reader.readexactly(size)
                if first & 15 == CLOSE:
                    self.ended = (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")
                    return

    def abort(self) -> None:
        self._writer.transport.abort()


class Tally:
    """How the visits of one attack ended."""

    def __init__(self, seconds: float) -> None:
        self.until_s = time.monotonic() + seconds
        self.visits = 0
        self.ends: Counter[str] = Counter()
        self.longest_s = 0.0
        self.sent_bytes = 0

    @property
    def left_s(self) -> float:
        return self.until_s - time.monotonic()

    def note(self, end: str, after_s: float) -> None:
        """A visit is over; the last one may only have run out of time."""
        self.visits += 1
        self.ends[end] += 1
        self.longest_s = max(self.longest_s, after_s)

    def report(self) -> dict[str, Any]:
        return {
            "visits": self.visits,
            "ended": dict(self.ends.most_common(4)),
            "longest_visit_s": round(self.longest_s, 2),
            "sent_mb": round(self.sent_bytes / 1e6, 1),
        }


async def flood(url: str, tally: Tally, data: bytes, starts: bool = True) -> None:
    """Pour bytes into WebSockets, one after the other."""
    while tally.left_s > 0:
        begin_s = time.monotonic()
        try:
            line = await Line.open(url)
            if starts:
                await line.send(message({"event": "start", "websocket_id": new_id()}))
        except (OSError, asyncio.IncompleteReadError):
            tally.note("refused", 0.0)
            await asyncio.sleep(0.01)
            continue
        pouring = asyncio.create_task(line.pour(data))
        reading = asyncio.create_task(line.read_to_end())
        await asyncio.wait([reading], timeout=tally.left_s)
        pouring.cancel()
        reading.cancel()
        await asyncio.gather(pouring, reading, return_exceptions=True)
        end = "not ended" if not reading.done() or reading.cancelled() else str(line.ended)
        tally.note(end, time.monotonic() - begin_s)
        tally.sent_bytes += line.sent_bytes
        line.abort()


def flooding(data: bytes, starts: bool = True, at_once: int = 1) -> Attack:
    """Pour a message, as often as it fits into what a server reads at once."""
    whole = data * max(1, CHUNK_BYTES // len(data))

    async def attack(url: str, tally: Tally) -> None:
        await asyncio.gather(*(flood(url, tally, whole, starts) for _ in range(at_once)))

    return attack


async def deflated(url: str, tally: Tally) -> None:
    """Messages that are short on the wire and long behind it, where the server inflates."""
    text = json.dumps({"type": "input", "data": ["x" * 900_000]})
    while tally.left_s > 0:
        begin_s = time.monotonic()
        async with open_socket(f"{url}/websocket/offer", max_size=None, compression="deflate") as line:
            await line.send(json.dumps({"event": "start", "websocket_id": new_id()}))
            with suppress(WebSocketException, OSError, TimeoutError):
                async with asyncio.timeout(max(0.0, tally.left_s)):
                    while True:
                        await line.send(text)
                        tally.sent_bytes += len(text)
            ended = (line.close_code, line.close_reason) if line.close_code is not None else "not ended"
            line.transport.abort()
        tally.note(str(ended), time.monotonic() - begin_s)


async def never_reads(url: str, tally: Tally) -> None:
    """Asks for as much as it can and reads nothing of it."""
    text = json.dumps({"type": "handshake", "x": "x" * 100_000})
    async with httpx.AsyncClient(base_url=url.replace("ws", "http", 1), timeout=30) as client:
        while tally.left_s > 0:
            begin_s, name = time.monotonic(), new_id()
            async with open_socket(f"{url}/websocket/offer", max_size=None, compression=None, max_queue=1) as line:
                await line.send(json.dumps({"event": "start", "websocket_id": name}))
                asking = asyncio.create_task(_repeat(line, text))
                there = True
                while there and tally.left_s > 0:
                    await asyncio.sleep(0.5)
                    there = name in (await client.get("/sessions")).json()
                asking.cancel()
                line.transport.abort()
            tally.note("not ended" if there else "ended", time.monotonic() - begin_s)


async def _repeat(line: Any, text: str) -> None:
    with suppress(WebSocketException, OSError):
        while True:
            await line.send(text)


async def never_starts(url: str, tally: Tally) -> None:
    """Opens sockets and says nothing, fifty a second."""
    lines: list[Line] = []
    readings = []
    while tally.left_s > 0:
        with suppress(OSError, asyncio.IncompleteReadError):
            lines.append(await Line.open(url))
            readings.append(asyncio.create_task(lines[-1].read_to_end()))
        await asyncio.sleep(0.02)
    for line, reading in zip(lines, readings, strict=True):
        tally.note(str(line.ended) if reading.done() else "not ended", 0.0)
        reading.cancel()
        line.abort()


async def offers(url: str, tally: Tally) -> None:
    """Posts offers as fast as they are answered, four at a time."""

    async def post(client: httpx.AsyncClient) -> None:
        while tally.left_s > 0:
            body = {"type": "offer", "sdp": "v=0\r\nm=audio\r\n"}
            answer = await client.post(f"{url.replace('ws', 'http', 1)}/webrtc/offer", json=body)
            tally.note(answer.json().get("meta", {}).get("error", "answered"), 0.0)

    async with httpx.AsyncClient(timeout=30) as client:
        await asyncio.gather(*(post(client) for _ in range(4)))


async def data_channel(url: str, tally: Tally) -> None:
    """Floods data channels."""
    while tally.left_s > 0:
        begin_s = time.monotonic()
        async with connect(url.replace("ws", "http", 1)) as call:
            for number in range(20_000):
                call.send_message({"type": "input", "data": [number, "x" * 100]})
            end = await call.wait_for(lambda message: message.type == "end_stream", 10)
            tally.note(str(end.data["data"]), time.monotonic() - begin_s)


async def nobody(_url: str, tally: Tally) -> None:
    await asyncio.sleep(tally.left_s)


Attack = Callable[[str, Tally], Awaitable[None]]
VALUES = '{"type": "input", "data": [' + "{}," * 300_000 + "0]}"
ATTACKS: dict[str, Attack] = {
    "nobody": nobody,
    "messages": flooding(message({"type": "input", "data": [1, "xxxxxxxxxx"]})),
    "ten_messages": flooding(message({"type": "input", "data": [1, "xxxxxxxxxx"]}), at_once=10),
    "tiny_messages": flooding(frame(b"{}")),
    "pings": flooding(frame(b"", PING)),
    "empty_frames": flooding(frame(b"", TEXT, last=False) + frame(b"", CONTINUATION, last=False) * 10_000),
    "huge_messages": flooding(message({"type": "input", "data": ["x" * 900_000]})),
    "values": flooding(frame(VALUES.encode())),
    "deflated_messages": deflated,
    "endless_message": flooding(message({"type": "input", "data": ["x" * 30_000_000]})),
    "nonsense": flooding(frame(b"[" * 1000)),
    "binary": flooding(frame(bytes(100), BINARY)),
    "audio": flooding(message({"event": "media", "media": {"payload": base64.b64encode(bytes(480)).decode()}})),
    "empty_audio": flooding(message({"event": "media", "media": {"payload": ""}})),
    "never_reads": never_reads,
    "never_starts": never_starts,
    "offers": offers,
    "data_channel": data_channel,
}


async def main(name: str, url: str, seconds: float) -> None:
    if hasattr(os, "sched_setscheduler"):  # a bench that is run with priority does not hand it to its attackers
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(NICE)
    tally = Tally(seconds)
    await ATTACKS[name](url, tally)
    print(json.dumps(tally.report()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
