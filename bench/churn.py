"""Connections that come and go in every way: does anything stay behind? JSON.

    python bench/churn.py [--cycles 1000] [--at-once 10]

A cycle is one client's life, one of: ``clean`` (WebRTC: connects, is answered, hangs up), ``stopped`` (the same over
WebSocket), ``killed`` (its TCP connection breaks), ``half_open`` (an offer, and nothing more), ``refused`` (an id that
is taken, or an offer that is none), ``mid_reply`` (gone while the reply plays), ``blocked`` (gone while the function
blocks).

The server says what it has before and after: sessions, tasks, threads, file descriptors, memory, and how often each
handler's ``shutdown()`` was called. ``memory_mb`` is resident memory after the C library has given back what is free
(``malloc_trim``): what is in use. ``memory_with_free_pages_mb`` is that before.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import psutil
from _crowd import Crowd, get, load, post, serving
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from fastrtc.transports.webrtc.engine import PeerOptions
from fastrtc.wire.messages import ClientHello, TriggerResponse, encode_client_message

KINDS = ("clean", "stopped", "killed", "half_open", "refused", "mid_reply", "blocked")
WARM_UP = 140
PENDING_S = 3.0
BLOCK_S = 1.0
SETTLE_S = 60.0


def serve(port: int) -> None:
    """The server, and ``GET /counts``."""
    import uvicorn
    from fastapi import FastAPI

    from fastrtc import ReplyOnPause, Stream, get_current_context
    from fastrtc.observe import SessionObserver
    from fastrtc.server import registry

    # Half-open connections are dropped after 30 s otherwise, and the bench would wait for them.
    registry.Registry.__init__.__kwdefaults__["pending_timeout_s"] = PENDING_S
    tone = (6000 * np.sin(np.arange(2400) * 2 * np.pi * 440 / 24_000)).astype(np.int16).reshape(1, -1)
    numbers = count()
    opened: set[int] = set()
    shutdowns: list[int] = []

    def reply(_audio: Any) -> Any:
        yield 24_000, tone
        if get_current_context().webrtc_id.startswith("blocked"):
            time.sleep(BLOCK_S)
        for _ in range(19):
            yield 24_000, tone

    class Counted(ReplyOnPause):
        number = 0

        def copy(self) -> Any:
            made = Counted(reply)
            made.number = next(numbers)
            return made

        def start_up(self) -> None:
            pass

        def shutdown(self) -> None:
            shutdowns.append(self.number)

    class Opened(SessionObserver):
        def session_opened(self, session: Any) -> None:
            opened.add(session.handler.number)

    app = FastAPI()
    stream = Stream(Counted(reply), modality="audio", concurrency_limit=1000, verbose=False, observers=[Opened()])
    stream.mount(app)

    @app.get("/counts")
    async def counts() -> dict[str, Any]:
        gc.collect()
        process = psutil.Process()
        before_trim = process.memory_info().rss
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        return {
            "sessions": len(stream.connections),
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "native_threads": process.num_threads(),
            "descriptors": process.num_fds(),
            "memory_mb": round(process.memory_info().rss / 2**20, 2),
            "memory_with_free_pages_mb": round(before_trim / 2**20, 2),
            "opened": len(opened),
            "without_shutdown": len(opened - set(shutdowns)),
            "shutdown_twice": len(shutdowns) - len(set(shutdowns)),
        }

    uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical")).run()


class Cycles:
    """The clients."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.crowd = Crowd(port)
        self.failed: dict[str, int] = {}

    async def run(self, kind: str, number: int) -> None:
        """One client's life; what goes wrong is counted."""
        try:
            await getattr(self, f"_{kind}")(f"{kind}-{number}")
        except (OSError, RuntimeError, TimeoutError, WebSocketException) as error:
            sys.stderr.write(f"{kind}-{number}: {error!r}\n")
            self.failed[kind] = self.failed.get(kind, 0) + 1

    async def _clean(self, session_id: str) -> None:
        member = await self.crowd.join(session_id)
        try:
            if await member.wait_for("session_started", 0, 10) is None:
                raise TimeoutError("it did not start")
            member.peer.send(encode_client_message(TriggerResponse()))
            if await member.wait_for("first_audio", 0, 10) is None:
                raise TimeoutError("no reply")
        finally:
            await self.crowd.leave(member)

    async def _begin(self, socket: Any, session_id: str) -> None:
        await socket.send(json.dumps({"event": "start", "websocket_id": session_id}))
        await socket.send(encode_client_message(ClientHello()))
        await self._hear(socket, "session_started")
        await socket.send(encode_client_message(TriggerResponse()))
        await self._hear(socket, "first_audio")

    async def _hear(self, socket: Any, name: str) -> None:
        async with asyncio.timeout(10):
            while True:
                data = json.loads(await socket.recv()).get("data")
                if isinstance(data, dict) and data.get("name") == name:
                    return

    def _socket(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/websocket/offer", compression=None)

    async def _stopped(self, session_id: str) -> None:
        async with self._socket() as socket:
            await self._begin(socket, session_id)
            await self._hear_some(socket, 2.0)
            await socket.send(json.dumps({"event": "stop", "websocket_id": session_id}))

    async def _mid_reply(self, session_id: str) -> None:
        async with self._socket() as socket:
            await self._begin(socket, session_id)

    async def _killed(self, session_id: str) -> None:
        async with self._socket() as socket:
            await self._begin(socket, session_id)
            socket.transport.abort()

    async def _blocked(self, session_id: str) -> None:
        async with self._socket() as socket:
            await self._begin(socket, session_id)
            await self._hear_some(socket, 0.2)

    async def _hear_some(self, socket: Any, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await socket.recv()
        except TimeoutError:
            pass

    async def _half_open(self, session_id: str) -> None:
        peer = await self.crowd.engine.offer(PeerOptions(), _Nobody())
        body = {"sdp": peer.offer_sdp, "type": "offer", "webrtc_id": session_id}
        answer = await asyncio.to_thread(post, self.port, "/webrtc/offer", body)
        await peer.close()
        if "sdp" not in answer:
            raise RuntimeError(f"refused: {answer}")

    async def _refused(self, session_id: str) -> None:
        async with self._socket() as socket, self._socket() as second:
            await self._begin(socket, session_id)
            await second.send(json.dumps({"event": "start", "websocket_id": session_id}))
            if json.loads(await second.recv())["meta"]["error"] != "connection_already_exists":
                raise RuntimeError("the second of an id was not refused")
        body = {"sdp": "v=0", "type": "offer", "webrtc_id": session_id + "-2"}
        if (await asyncio.to_thread(post, self.port, "/webrtc/offer", body))["status"] != "failed":
            raise RuntimeError("a bad offer was not refused")


class _Nobody:
    def on_state(self, state: object) -> None:
        pass

    def on_channel_open(self) -> None:
        pass

    def on_message(self, text: str) -> None:
        pass

    def on_candidate(self, candidate: object) -> None:
        pass


async def churn(port: int, cycles: int, at_once: int, kinds: Sequence[str], warm_up: int) -> dict[str, Any]:
    """Warm up, count, run, count."""
    clients = Cycles(port)
    room = asyncio.Semaphore(at_once)
    began_s = time.monotonic()

    async def one(number: int) -> None:
        async with room:
            await clients.run(kinds[number % len(kinds)], number)

    await asyncio.gather(*(one(number) for number in range(warm_up)))
    before = await settled(port)
    series = []
    step = max(1, cycles // 5)
    for start in range(warm_up, warm_up + cycles, step):
        await asyncio.gather(*(one(number) for number in range(start, min(start + step, warm_up + cycles))))
        counts = await asyncio.to_thread(get, port, "/counts")
        series.append({"cycles": start + step - warm_up, **counts})
        sys.stderr.write(f"{time.monotonic() - began_s:6.0f} s  {series[-1]}\n")
    after = await settled(port)
    clients.crowd.stop()
    names = ("sessions", "tasks", "threads", "native_threads", "descriptors", "memory_mb", "memory_with_free_pages_mb")
    return {
        "seconds": round(time.monotonic() - began_s),
        "failed": clients.failed,
        "before": before,
        "after": after,
        "growth": {name: round(after[name] - before[name], 2) for name in names},
        "without_shutdown": after["without_shutdown"],
        "shutdown_twice": after["shutdown_twice"],
        "load": load(),
    }


async def settled(port: int) -> dict[str, Any]:
    """What the server has when all sessions are over, as soon as two counts agree."""
    deadline_s = time.monotonic() + SETTLE_S
    last: dict[str, Any] = {}
    while time.monotonic() < deadline_s:
        await asyncio.sleep(1.0)
        counts: dict[str, Any] = await asyncio.to_thread(get, port, "/counts")
        if counts["sessions"] == 0 and all(
            counts[name] == last.get(name) for name in ("threads", "descriptors", "tasks")
        ):
            return counts
        last = counts
    return last


def main() -> int:
    """Run server and clients; the exit status says whether anything stayed behind."""
    if sys.argv[1:2] == ["server"]:
        serve(int(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=WARM_UP)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    options = parser.parse_args()
    # Callers of their own die with their sockets; what they print about it is of no interest.
    os.environ["PYTHONWARNINGS"] = "ignore"
    with serving(__file__) as (port, _):
        figures = asyncio.run(churn(port, options.cycles, options.at_once, options.kinds, options.warm_up))
    print(json.dumps({"cycles": options.cycles, "kinds": options.kinds, **figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
