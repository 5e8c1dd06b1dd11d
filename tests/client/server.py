"""A small server for the caller's tests: FastRTC's two endpoints, an echo behind each."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from fastrtc.media.g711 import decode_ulaw
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import PeerOptions, load_engine

RATES = {"input_sample_rate": 16_000, "output_sample_rate": 8_000}


class EchoPeer:
    """The server's side of a WebRTC call: plays back what it hears, answers ``hello`` and echoes messages."""

    def __init__(self):
        self.peer = None
        self.stop = threading.Event()

    def on_state(self, state):
        if state in ("closed", "failed"):
            self.stop.set()

    def on_channel_open(self):
        pass

    def on_candidate(self, candidate):
        pass

    def on_message(self, text):
        message = json.loads(text)
        if message.get("type") == "hello":
            hello = {"session_id": "x", "version": 1, **RATES}
            self.peer.send(json.dumps({"type": "hello", "data": hello}))
        else:
            self.peer.send(json.dumps({"type": "echo", "data": message}))

    def run(self):
        due = time.monotonic()
        while not self.stop.is_set():
            pcm = self.peer.read()
            self.peer.write(pcm[:960] if pcm is not None and len(pcm) >= 960 else None)
            due += 0.02
            self.stop.wait(max(0.0, due - time.monotonic()))


class EchoServer:
    """What the tests may look at and change."""

    def __init__(self):
        self.candidates = []
        self.refuse = None
        self.answer = None
        self.sockets = 0
        self.frames = []
        self._engine = load_engine("wrtc")
        self._echoes = []

    async def offer(self, request):
        body = await request.json()
        if body["type"] == "ice-candidate":
            self.candidates.append((body["webrtc_id"], IceCandidate.from_json(body["candidate"])))
            return JSONResponse({"status": "success"})
        if self.refuse is not None:
            return JSONResponse({"status": "failed", "meta": self.refuse})
        if self.answer is not None:
            return JSONResponse(self.answer)
        echo = EchoPeer()
        echo.peer = await self._engine.answer(body["sdp"], PeerOptions(), echo)
        thread = threading.Thread(target=echo.run)
        thread.start()
        self._echoes.append((echo, thread))
        return JSONResponse({"sdp": echo.peer.answer_sdp, "type": "answer"})

    async def websocket(self, client):
        await client.accept()
        self.sockets += 1
        if self.refuse is not None:
            await client.send_json({"status": "failed", "meta": self.refuse})
            await client.close()
            return
        async for text in client.iter_text():
            frame = json.loads(text)
            self.frames.append(frame)
            match frame:
                case {"event": "media", "media": media}:
                    await client.send_json({"event": "media", "media": media})
                case {"event": "stop"}:
                    return
                case {"type": "hello"}:
                    hello = {"session_id": "x", "version": 1, **RATES}
                    await client.send_json({"type": "hello", "data": hello})
                case {"type": "reply", "turn": turn, "seconds": seconds}:
                    started = {"name": "reply_started", "turn": turn, "at_s": 1.0}
                    await client.send_json({"type": "event", "data": started})
                    loud = base64.b64encode(b"\x10" * 160).decode()
                    for _ in range(round(50 * seconds)):
                        await client.send_json({"event": "media", "media": {"payload": loud}})
                case {"type": "clear"}:
                    await client.send_json({"event": "clear"})
                case {"type": _}:
                    await client.send_json({"type": "echo", "data": frame})

    async def close(self):
        for echo, thread in self._echoes:
            echo.stop.set()
            await asyncio.to_thread(thread.join)
            await echo.peer.close()

    def reports(self):
        """What the client has said about what it played: turn and milliseconds."""
        said = [frame["data"] for frame in self.frames if frame.get("type") == "playout"]
        return [(report["turn"], report["played_ms"]) for report in said]

    def spoken_pcm(self):
        media = [frame["media"]["payload"] for frame in self.frames if frame.get("event") == "media"]
        return [decode_ulaw(base64.b64decode(payload)) for payload in media]


@contextmanager
def serving():
    """Run an :class:`EchoServer` on a free port, in a thread of its own; yields it and its address."""
    ready, made = threading.Event(), {}

    async def main():
        echo = made["echo"] = EchoServer()
        app = Starlette(
            routes=[
                Route("/webrtc/offer", echo.offer, methods=["POST"]),
                WebSocketRoute("/websocket/offer", echo.websocket),
            ]
        )
        config = uvicorn.Config(app, port=0, log_level="error", ws="websockets-sansio")
        server = made["server"] = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))  # connections wait here until the server is up
        made["port"] = listener.getsockname()[1]
        ready.set()
        with listener:
            await server.serve([listener])
        await echo.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert ready.wait(20)
        yield made["echo"], f"http://127.0.0.1:{made['port']}"
    finally:
        made["server"].should_exit = True
        thread.join()
