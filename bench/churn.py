"""Connections that come and go in every way: does anything stay behind? JSON.

    python bench/churn.py [--cycles 1000] [--at-once 10] [--warm-up 500] [--bare]

A cycle is one client's life, one of: ``clean`` (WebRTC: connects, is answered, hangs up), ``stopped`` (the same over
WebSocket), ``killed`` (its TCP connection breaks), ``half_open`` (an offer, and nothing more), ``refused`` (an id that
is taken, or an offer that is none), ``mid_reply`` (gone while the reply plays), ``blocked`` (gone while the function
blocks).

The server says what it has before and after: sessions, tasks, threads, file descriptors, memory, and how often each
handler's ``shutdown()`` was called. ``memory_mb`` is resident memory after the C library has given back what is free
(``malloc_trim``): pages in use. ``memory_with_free_pages_mb`` is that before. ``allocated_mb`` is what the C library
has given out and not got back (glibc's ``malloc_info``): a leak is seen there; the rest of the memory is pages of its
pools that hold little.

"Before" is after ``--warm-up`` cycles of the same kinds, and after every thread of asyncio's pool (its size is fixed,
its threads come as they are needed) has been started. ``series`` is (cycles, ``memory_mb``, ``allocated_mb``) after
each fifth of them (or 20), when all their sessions are over: a leak goes on rising with ``--cycles``, pools do not.

``--bare``: the same offers go to the engine with nothing above it (kinds ``clean`` and ``half_open``).
``MALLOC_ARENA_MAX=1 python bench/churn.py`` takes the C library's pools out of the picture.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any
from xml.etree import ElementTree

import numpy as np
import psutil
from _crowd import Crowd, get, load, post, serving
from engine_bare import _Clock, _Watcher
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from fastrtc.transports.webrtc.engine import PeerOptions, PeerState, load_engine
from fastrtc.wire.messages import ClientHello, TriggerResponse, encode_client_message

BARE_KINDS = ("clean", "half_open")
KINDS = ("clean", "stopped", "killed", "half_open", "refused", "mid_reply", "blocked")
WARM_UP = 500
PENDING_S = 3.0
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
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
        return {
            **await process_counts(),
            "sessions": len(stream.connections),
            "opened": len(opened),
            "without_shutdown": len(opened - set(shutdowns)),
            "shutdown_twice": len(shutdowns) - len(set(shutdowns)),
        }

    uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical")).run()


def serve_bare(port: int) -> None:
    """The engine, a tick, the least of an HTTP server, and ``GET /counts``."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    engine = load_engine()
    peers: set[Any] = set()

    def tick() -> None:
        for peer in list(peers):
            peer.read()
            peer.write(None)

    async def forget(peer: Any, observer: _Bare) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(observer.connected.wait(), PENDING_S)
            await observer.over.wait()
        peers.discard(peer)
        await peer.close()

    async def offer(request: Request) -> JSONResponse:
        observer = _Bare()
        peer = await engine.answer((await request.json())["sdp"], PeerOptions(), observer)
        peers.add(peer)
        observer.ending = asyncio.create_task(forget(peer, observer))
        return JSONResponse({"sdp": peer.answer_sdp, "type": "answer"})

    async def counts(_request: Request) -> JSONResponse:
        return JSONResponse({**await process_counts(), "sessions": len(peers)})

    _Clock(tick).start()
    app = Starlette(routes=[Route("/webrtc/offer", offer, methods=["POST"]), Route("/counts", counts)])
    uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical")).run()


async def process_counts() -> dict[str, Any]:
    """What this process has."""
    loop = asyncio.get_running_loop()
    # Threads of the loop's pool start as they are needed; they are no growth.
    hold = threading.Barrier(POOL_THREADS)
    await asyncio.gather(*(loop.run_in_executor(None, hold.wait) for _ in range(POOL_THREADS)))
    gc.collect()
    process = psutil.Process()
    before_trim = process.memory_info().rss
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "thread_names": sorted(thread.name for thread in threading.enumerate()),
        "native_threads": process.num_threads(),
        "descriptors": process.num_fds(),
        "memory_mb": round(process.memory_info().rss / 2**20, 2),
        "memory_with_free_pages_mb": round(before_trim / 2**20, 2),
        "allocated_mb": allocated_mb(),
    }


def allocated_mb() -> float | None:
    """What the C library has given out and not got back, in all its arenas; None with another C library than glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_info"):
        return None
    libc.fopen.restype = ctypes.c_void_p
    libc.fclose.argtypes = [ctypes.c_void_p]
    libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    with tempfile.NamedTemporaryFile() as report:
        stream = libc.fopen(report.name.encode(), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        totals = ElementTree.parse(report.name).getroot()
    size = {item.get("type"): int(item.get("size", 0)) for item in totals if item.tag in ("total", "system")}
    return round((size["current"] + size["mmap"] - size["fast"] - size["rest"]) / 2**20, 2)


class Cycles:
    """The clients."""

    def __init__(self, port: int, bare: bool = False) -> None:
        self.port = port
        self.bare = bare
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
            if self.bare:
                return
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
        peer = await self.crowd.engine.offer(PeerOptions(), _Watcher())
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


class _Bare(_Watcher):
    """What becomes of a peer that nothing stands above."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()
        self.ending: asyncio.Task[None] | None = None

    def on_state(self, state: PeerState) -> None:
        super().on_state(state)
        if state in (PeerState.FAILED, PeerState.CLOSED):
            self.over.set()


async def churn(
    port: int, cycles: int, at_once: int, kinds: Sequence[str], warm_up: int, bare: bool = False
) -> dict[str, Any]:
    """Warm up, count, run, count."""
    clients = Cycles(port, bare)
    room = asyncio.Semaphore(at_once)
    began_s = time.monotonic()

    async def one(number: int) -> None:
        async with room:
            await clients.run(kinds[number % len(kinds)], number)

    await asyncio.gather(*(one(number) for number in range(warm_up)))
    before = await settled(port)
    series = []
    step = max(20, cycles // 5)
    for start in range(warm_up, warm_up + cycles, step):
        await asyncio.gather(*(one(number) for number in range(start, min(start + step, warm_up + cycles))))
        counts = await settled(port)
        series.append((start + step - warm_up, counts["memory_mb"], counts["allocated_mb"]))
        sys.stderr.write(f"{time.monotonic() - began_s:6.0f} s, {series[-1][0]} cycles: {counts}\n")
    after = counts
    clients.crowd.stop()
    names = [name for name, value in before.items() if isinstance(value, int | float)]
    return {
        "seconds": round(time.monotonic() - began_s),
        "failed": clients.failed,
        "before": before,
        "after": after,
        "growth": {name: round(after[name] - before[name], 2) for name in names if name != "opened"},
        "series": [(0, before["memory_mb"], before["allocated_mb"]), *series],
        "new_threads": sorted(set(after["thread_names"]) - set(before["thread_names"])),
        "without_shutdown": after.get("without_shutdown"),
        "shutdown_twice": after.get("shutdown_twice"),
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
        (serve_bare if "bare" in sys.argv else serve)(int(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=WARM_UP)
    parser.add_argument("--kinds", nargs="+", choices=KINDS)
    parser.add_argument("--bare", action="store_true")
    options = parser.parse_args()
    kinds = options.kinds or list(BARE_KINDS if options.bare else KINDS)
    if options.bare and not set(kinds) <= set(BARE_KINDS):
        parser.error(f"--bare knows {' and '.join(BARE_KINDS)} only")
    # Callers of their own die with their sockets; what they print about it is of no interest.
    os.environ["PYTHONWARNINGS"] = "ignore"
    with serving(__file__, *(["bare"] if options.bare else [])) as (port, _):
        figures = asyncio.run(churn(port, options.cycles, options.at_once, kinds, options.warm_up, options.bare))
    report = {"cycles": options.cycles, "warm_up": options.warm_up, "bare": options.bare, "kinds": kinds, **figures}
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
