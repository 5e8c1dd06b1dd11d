"""What hostile clients cost the others: reasons, times, memory, and the audio of a caller beside them, as JSON.

    python bench/hostile.py [--seconds 4] [--only messages,audio]

A server in a process of its own plays a steady tone to everybody. One good caller listens over a WebSocket; beside it
come, one kind after the other, clients that flood messages, send huge or endless ones, send audio as fast as they can,
never read, never start, flood offers, or flood a data channel. For each kind: how the server ended it, after how many
seconds its session was gone (null: it was only slowed down), the server's growth in resident MB, and how far the good
caller's audio was behind its schedule.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import WebSocketException

from fastrtc.client import connect
from fastrtc.media.g711 import decode_ulaw, encode_ulaw

RATE = 24_000
FRAME = base64.b64encode(encode_ulaw(np.zeros(RATE // 50, np.int16))).decode()


def serve(port: int) -> None:
    """The server: a tone for everybody."""
    import uvicorn
    from fastapi import FastAPI

    from fastrtc import AsyncStreamHandler, Stream

    class Tone(AsyncStreamHandler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
            self._second = (4000 * np.sin(np.arange(RATE) * 0.1)).astype(np.int16).reshape(1, -1)

        def copy(self) -> Tone:
            return Tone()

        async def receive(self, frame: Any) -> None: ...

        async def emit(self) -> Any:
            await asyncio.sleep(0.9)
            return RATE, self._second

        async def shutdown(self) -> None: ...

    app = FastAPI()
    stream = Stream(Tone(), modality="audio", concurrency_limit=20, verbose=False)
    stream.mount(app)

    @app.get("/sessions")
    def sessions() -> list[str]:
        return list(stream.connections)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


async def listen(url: str) -> None:
    """A caller that only listens, in a process of its own; for each line on stdin, how late its audio was since."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    late_ms: list[float] = []
    start_s, heard_ms = 0.0, 0.0

    async def answer() -> None:
        while await lines.readline():
            late = np.array(late_ms or [0.0])
            late_ms.clear()
            late -= late.min()
            ranks = (("p50", 50), ("p99", 99), ("max", 100))
            print(json.dumps({name: round(float(np.percentile(late, q)), 1) for name, q in ranks}), flush=True)

    answering = asyncio.create_task(answer())
    async with open_socket(f"{url}/websocket/offer", max_size=None) as line:
        await line.send(json.dumps({"event": "start", "websocket_id": "good"}))
        async for text in line:
            message = json.loads(text)
            if message.get("event") == "media":
                now_s = time.perf_counter()
                if not start_s:
                    start_s = now_s
                    print("ready", flush=True)
                late_ms.append((now_s - start_s) * 1000.0 - heard_ms)
                heard_ms += decode_ulaw(base64.b64decode(message["media"]["payload"])).size * 1000.0 / RATE
    await answering


class Good:
    """The process of the good caller."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, __file__, "--listen", url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == "ready"

    def take(self) -> dict[str, float]:
        """How late its audio was since the last time, beside the best of that time."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        late: dict[str, float] = json.loads(self._read())
        return late

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


_sent = [0]


async def flood(line: ClientConnection, make: Callable[[int], str], seconds: float) -> None:
    """Send as fast as the server reads."""
    end_s = time.perf_counter() + seconds
    _sent[0] = 0
    with suppress(WebSocketException, OSError):
        while time.perf_counter() < end_s:
            await line.send(make(_sent[0]))
            _sent[0] += 1
            if _sent[0] % 50 == 0:
                await asyncio.sleep(0)


async def over_websocket(
    url: str, make: Callable[[int], str], seconds: float, *, reads: bool = True, compression: str | None = None
) -> dict[str, Any]:
    """One client that floods; how it ended."""
    options: dict[str, Any] = {"max_size": None, "compression": compression, "max_queue": None if reads else 1}
    async with open_socket(f"{url}/websocket/offer", **options) as line:
        begin_s = time.perf_counter()
        await line.send(json.dumps({"event": "start", "websocket_id": "bad"}))
        gone = asyncio.create_task(line.wait_closed() if reads else session_gone(url))
        flooding = asyncio.create_task(flood(line, make, seconds))
        await asyncio.wait([gone], timeout=seconds + 1.0)
        gone_s = round(time.perf_counter() - begin_s, 2) if gone.done() else None
        ended = (line.close_code, line.close_reason) if line.close_code is not None else None
        flooding.cancel()
        gone.cancel()
        line.transport.abort()
        return {"sent": _sent[0], "ended": ended, "gone_after_s": gone_s}


async def session_gone(url: str) -> None:
    """Wait until the bad client's session, which is there, is over."""
    async with httpx.AsyncClient(base_url=url.replace("ws", "http", 1), timeout=30) as client:
        while "bad" not in (await client.get("/sessions")).json():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        while "bad" in (await client.get("/sessions")).json():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def message(size: int) -> Callable[[int], str]:
    filler = "x" * size
    return lambda number: json.dumps({"type": "input", "data": [number, filler]})


async def silent(url: str, seconds: float) -> dict[str, Any]:
    """Opens 300 sockets and says nothing."""
    lines = [await open_socket(f"{url}/websocket/offer") for _ in range(300)]
    await asyncio.sleep(seconds / 4)
    closed = [line for line in lines if line.close_code is not None]
    for line in lines:
        await line.close()
    return {"sent": len(lines), "ended": (closed[0].close_code, closed[0].close_reason), "closed": len(closed)}


async def offers(url: str, seconds: float) -> dict[str, Any]:
    """Posts offers as fast as they are answered, eight at a time."""
    http_url = url.replace("ws", "http", 1)
    outcomes: dict[str, int] = {}
    end_s = time.perf_counter() + seconds

    async def post(client: httpx.AsyncClient) -> None:
        while time.perf_counter() < end_s:
            answer = await client.post(f"{http_url}/webrtc/offer", json={"type": "offer", "sdp": "v=0\r\nm=audio\r\n"})
            name = answer.json().get("meta", {}).get("error", "answered")
            outcomes[name] = outcomes.get(name, 0) + 1

    async with httpx.AsyncClient(timeout=30) as client:
        await asyncio.gather(*(post(client) for _ in range(8)))
    return {"sent": sum(outcomes.values()), "ended": outcomes}


async def data_channel(url: str, seconds: float) -> dict[str, Any]:
    """Floods a data channel."""
    begin_s = time.perf_counter()
    async with connect(url.replace("ws", "http", 1)) as call:
        for number in range(20_000):
            call.send_message({"type": "input", "data": [number, "x" * 100]})
        end = await call.wait_for(lambda message: message.type == "end_stream", 4 * seconds)
        reason = end.data["data"]
    return {"sent": 20_000, "ended": reason, "after_s": round(time.perf_counter() - begin_s, 2)}


Attack = Callable[[str, float], Awaitable[dict[str, Any]]]
ATTACKS: dict[str, Attack] = {
    "nobody": lambda _, seconds: _wait(seconds),
    "messages": lambda url, seconds: over_websocket(url, message(10), seconds),
    "huge_messages": lambda url, seconds: over_websocket(url, message(900_000), seconds),
    "deflated_messages": lambda url, seconds: over_websocket(url, message(900_000), seconds, compression="deflate"),
    "endless_message": lambda url, seconds: over_websocket(url, message(2_000_000), seconds),
    "nonsense": lambda url, seconds: over_websocket(url, lambda _: "[" * 1000, seconds),
    "audio": lambda url, seconds: over_websocket(
        url, lambda _: json.dumps({"event": "media", "media": {"payload": FRAME}}), seconds
    ),
    "empty_audio": lambda url, seconds: over_websocket(
        url, lambda _: json.dumps({"event": "media", "media": {"payload": ""}}), seconds
    ),
    "never_reads": lambda url, seconds: over_websocket(
        url, lambda _: json.dumps({"type": "handshake", "x": "x" * 100_000}), 5 * seconds, reads=False
    ),
    "never_starts": silent,
    "offers": offers,
    "data_channel": data_channel,
}


async def _wait(seconds: float) -> dict[str, Any]:
    await asyncio.sleep(seconds)
    return {}


def resident_mb(pid: int) -> float:
    """Of another process; 0 where the system does not tell."""
    with suppress(OSError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


async def measure(url: str, pid: int, names: list[str], seconds: float) -> dict[str, Any]:
    report: dict[str, Any] = {}
    good = Good(url)
    await asyncio.sleep(1.0)
    for name in names:
        before_mb = resident_mb(pid)
        good.take()
        outcome = await ATTACKS[name](url, seconds)
        late = good.take()
        await asyncio.sleep(1.0)
        report[name] = {**outcome, "grown_mb": round(resident_mb(pid) - before_mb, 1), "good_caller_late_ms": late}
        print(name, json.dumps(report[name]), file=sys.stderr)
    good.close()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each attack")
    parser.add_argument("--only", help="some of the attacks, separated by commas")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--listen", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen is not None:
        with suppress(KeyboardInterrupt):
            asyncio.run(listen(options.listen))
        return
    if options.serve is not None:
        serve(options.serve)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        names = options.only.split(",") if options.only else list(ATTACKS)
        load = os.getloadavg()[0]
        report = asyncio.run(measure(f"ws://127.0.0.1:{port}", server.pid, names, options.seconds))
        print(json.dumps({"load_before": round(load, 2), "attacks": report}, indent=1))
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
