"""The servers that ``sessions.py`` measures, one a process: ``python _servers.py KIND MODE PORT``.

Kinds: ``bare`` (the engine alone, nothing above it), ``fastrtc`` (whatever package of that name the interpreter has:
this one, or FastRTC 0.0.34 in an environment of its own).

Modes: ``idle`` and ``websocket`` (a ``ReplyOnPause`` that never has to reply), ``echo`` (what is heard is said at once,
and the voice activity detector listens all the time).
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any

import uvicorn

PLACES = 1000
LIVE_FROM_TICKS = 50


def reply(audio: Any) -> Iterator[Any]:
    """Say what was said."""
    yield audio


def bare_app(mode: str) -> Any:
    """The engine, a tick, and the least of an HTTP server."""
    from engine_bare import _Clock, _next_tick, _Watcher
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from fastrtc.transports.webrtc.candidate import IceCandidate
    from fastrtc.transports.webrtc.engine import PeerOptions, load_engine

    engine = load_engine()
    peers: dict[str, tuple[Any, deque[Any]]] = {}

    def tick() -> None:
        for peer, held in list(peers.values()):
            heard = peer.read()
            peer.write(_next_tick(held, heard) if mode == "echo" else None)

    async def offer(request: Request) -> JSONResponse:
        body = await request.json()
        if body["type"] != "offer":
            await peers[body["webrtc_id"]][0].add_candidate(IceCandidate.from_json(body["candidate"]))
            return JSONResponse({"status": "success"})
        peer = await engine.answer(body["sdp"], PeerOptions(), _Watcher())
        peers[body["webrtc_id"]] = (peer, deque())
        return JSONResponse({"sdp": peer.answer_sdp, "type": "answer"})

    async def read(websocket: WebSocket) -> None:
        await websocket.accept()
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    if mode != "websocket":
        _Clock(tick).start()
    return Starlette(routes=[Route("/webrtc/offer", offer, methods=["POST"]), WebSocketRoute("/websocket/offer", read)])


def fastrtc_app(mode: str) -> Any:
    """A stream of the installed ``fastrtc``."""
    from fastapi import FastAPI

    from fastrtc import ReplyOnPause, Stream

    if mode == "echo":
        handler = live_echo()
    else:
        handler = ReplyOnPause(reply)
    stream = Stream(handler, modality="audio", mode="send-receive", concurrency_limit=PLACES)
    app = FastAPI()
    stream.mount(app)
    return app


def live_echo() -> Any:
    """An echo without delay that also takes turns, so that the detector has to listen to everything."""
    from fastrtc import ReplyOnPause

    try:
        from fastrtc import session
        from fastrtc.handlers.turn_driver import TurnDriver
    except ImportError:
        return _original_echo()

    class EchoDriver(TurnDriver):
        ticks = 0

        def hear(self, pcm: Any) -> None:
            super().hear(pcm)
            # What queued while the connection came up would stay a delay: a turn-taker hears it all, an echo need not.
            if self.ticks >= LIVE_FROM_TICKS:
                self._speaker.say(0, pcm)

        def tick(self) -> None:
            self.ticks += 1
            super().tick()

    def driver_for(handler: Any, *rest: Any) -> EchoDriver:
        return EchoDriver(handler, *rest[:3])

    session.driver_for = driver_for  # type: ignore[assignment]
    return ReplyOnPause(_never, can_interrupt=False)


def _original_echo() -> Any:
    from fastrtc import ReplyOnPause

    class Echo(ReplyOnPause):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.heard: SimpleQueue[Any] = SimpleQueue()

        def receive(self, frame: Any) -> None:
            super().receive(frame)
            self.heard.put(frame)

        def emit(self) -> Any:
            try:
                return self.heard.get(timeout=0.1)
            except Empty:
                return None

        def copy(self) -> Any:
            return Echo(_never, output_sample_rate=48000)

    return Echo(_never, output_sample_rate=48000)


def _never(audio: Any) -> Iterator[Any]:
    return
    yield audio


def main() -> None:
    """Serve until killed."""
    kind, mode, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "original":
        _use_local_vad(sys.argv[4])
    app = bare_app(mode) if kind == "bare" else fastrtc_app(mode)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
    asyncio.run(uvicorn.Server(config).serve())


def _use_local_vad(path: str) -> None:
    """FastRTC 0.0.34 downloads its detector; give it the file instead."""
    from fastrtc.pause_detection import silero

    silero.SileroVADModel.download_model = staticmethod(lambda: path)


if __name__ == "__main__":
    main()
