"""A scripted server for the page, and Chromium with a recorded file as its microphone.

The scripted server speaks the WebSocket protocol and says only what a test tells it to, so that every state of the page
can be reached; sound and turn-taking are tested against the real server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (pip install 'fastrtc[dev]')")

import uvicorn
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastrtc.ui import PageConfig, page_routes

WAIT_S = 15.0
expect.set_options(timeout=WAIT_S * 1000)
RATE_IN_HZ, RATE_OUT_HZ = 16_000, 24_000

CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
    "--mute-audio",
)


class UvicornThread:
    """An ASGI application on a port of 127.0.0.1, in a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()  # who connects before the server runs waits for it
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app, log_level="warning", ws="websockets-sansio", lifespan="on", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="test-server", daemon=True)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        self._socket.close()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            runner.run(self._server.serve(sockets=[self._socket]))


class Conversation:
    """One WebSocket client of the scripted server."""

    def __init__(self, websocket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        self._websocket = websocket
        self._loop = loop
        self._changed = threading.Condition()
        self.frames: list[dict[str, Any]] = []
        self.audio = bytearray()
        self.closed = False

    def took(self, frame: dict[str, Any]) -> None:
        with self._changed:
            if frame.get("event") == "media":
                self.audio += base64.b64decode(frame["media"]["payload"])
            else:
                self.frames.append(frame)
            self._changed.notify_all()

    def hung_up(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on ``frames``, ``audio`` and ``closed`` holds."""
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S), f"the client did not do that; it sent {self.frames}"

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type that the client has sent."""
        return [frame for frame in self.frames if frame.get("type") == kind]

    def say(self, message: dict[str, Any]) -> None:
        """Send a frame to the page."""
        sending = self._websocket.send_text(json.dumps(message))
        asyncio.run_coroutine_threadsafe(sending, self._loop).result(WAIT_S)

    def event(self, name: str, **fields: Any) -> None:
        """Send an event of the session."""
        self.say({"type": "event", "data": {"name": name, "at_s": 0.0, **fields}})

    def play(self, ulaw: bytes) -> None:
        """Send audio."""
        self.say({"event": "media", "media": {"payload": base64.b64encode(ulaw).decode()}})

    def close(self) -> None:
        """Break the connection off."""
        asyncio.run_coroutine_threadsafe(self._websocket.close(), self._loop).result(WAIT_S)


class ScriptedServer:
    """The page and a WebSocket endpoint that says what a test tells it to.

    Attributes:
        refuse: Answer of both endpoints instead of a session, as ``meta``.
    """

    def __init__(self, config: PageConfig | None = None) -> None:
        self.refuse: dict[str, Any] | None = None
        self.says_hello = True
        self._arrived = threading.Condition()
        self.conversations: list[Conversation] = []
        routes = [
            Route("/webrtc/offer", self._offer, methods=["POST"]),
            WebSocketRoute("/websocket/offer", self._socket),
            *page_routes(config),
        ]
        self._server = UvicornThread(Starlette(routes=routes))
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def conversation(self, number: int = 0) -> Conversation:
        """Wait for the client that came as the ``number``-th."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.conversations) > number, WAIT_S), "no client came"
            return self.conversations[number]

    async def _offer(self, _request: Request) -> Response:
        meta = self.refuse or {"error": "no_webrtc_here"}
        return JSONResponse({"status": "failed", "meta": meta})

    async def _socket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        start = await websocket.receive_json()
        if self.refuse is not None:
            await websocket.send_json({"status": "failed", "meta": self.refuse})
            await websocket.close()
            return
        conversation = Conversation(websocket, asyncio.get_running_loop())
        conversation.took(start)
        if self.says_hello:
            hello = {"version": 1, "session_id": start["websocket_id"]}
            rates = {"input_sample_rate": RATE_IN_HZ, "output_sample_rate": RATE_OUT_HZ}
            await websocket.send_json({"type": "hello", "data": hello | rates})
            await websocket.send_json({"type": "event", "data": {"name": "session_started", "at_s": 0.0}})
        with self._arrived:
            self.conversations.append(conversation)
            self._arrived.notify_all()
        try:
            while True:
                frame = await websocket.receive_json()
                if frame.get("event") == "ping":
                    await websocket.send_json({"event": "pong"})
                conversation.took(frame)
        except (WebSocketDisconnect, RuntimeError):
            conversation.hung_up()


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Serve an application; gives its address."""
    servers: list[UvicornThread] = []

    def start(app: ASGIApp) -> str:
        servers.append(UvicornThread(app))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """The scripted server."""
    scripted = ScriptedServer(PageConfig(title="Echo", subtitle="Says what you said", time_limit_s=120))
    yield scripted
    scripted.stop()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # Not for longer: as long as it runs, no other event loop can run in this thread.
    with sync_playwright() as running:
        yield running


@pytest.fixture
def launch(playwright: Playwright, chromium: str) -> Iterator[Callable[..., Browser]]:
    """Start a Chromium: ``launch(*more_flags, without=flag, microphone=file, camera=file)``."""
    browsers: list[Browser] = []

    def start(
        *flags: str, without: str | None = None, microphone: Path | None = None, camera: Path | None = None
    ) -> Browser:
        usual = [flag for flag in CHROMIUM_FLAGS if flag != without]
        heard = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
        seen = [f"--use-file-for-fake-video-capture={camera}"] if camera else []
        browser = playwright.chromium.launch(executable_path=chromium, args=[*usual, *heard, *seen, *flags])
        browsers.append(browser)
        return browser

    yield start
    for browser in browsers:
        browser.close()


@pytest.fixture
def open_tab() -> Iterator[Callable[..., Page]]:
    """Open a tab of a browser; the test fails if a script of the page raises.

    The page's sessions are in ``window.sessions``, what goes through them can be had with
    ``window.takeAudio("inputStream" | "outputStream")``.
    """
    errors: list[str] = []

    def start(browser: Browser, **context: Any) -> Page:
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(WAIT_S * 1000)
        page.add_init_script(TAP)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield start
    assert errors == []


@pytest.fixture
def tab(launch: Callable[..., Browser], open_tab: Callable[..., Page]) -> Page:
    """A tab with Chromium's beeping test microphone."""
    return open_tab(launch())


# What the page hears and says in every session, from its public streams, as 16-bit samples at 48 kHz. The client's own
# AudioWorklet takes it down: unlike anything on the main thread it loses nothing while the machine is busy.
TAP = """
window.sessions = [];
window.taps = { inputStream: [], outputStream: [] };
document.addEventListener("fastrtc:session", ({ detail: session }) => {
  window.sessions.push(session);
  const context = new AudioContext({ sampleRate: 48000 });
  const module = context.audioWorklet.addModule("client/capture-worklet.js");
  session.on("connected", async () => {
    await module;
    for (const [name, taken] of Object.entries(window.taps)) {
      if (!session[name]?.getAudioTracks().length) continue;
      const tap = new AudioWorkletNode(context, "fastrtc-capture");
      tap.port.onmessage = ({ data }) =>
        taken.push(Int16Array.from(data, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768)))));
      context.createMediaStreamSource(session[name]).connect(tap).connect(context.destination);
    }
  });
});
window.takeAudio = (name) => {
  let text = "";
  for (const samples of window.taps[name]) text += String.fromCharCode(...new Uint8Array(samples.buffer));
  return btoa(text);
};
"""
