"""A socket, a session and a switchboard that the tests hold in their hands."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect, WebSocketState

from fastrtc.context import Context
from fastrtc.errors import AccessDeniedError, ProtocolError, SignalingError
from fastrtc.limits import Limits
from fastrtc.transports.lobby import Lobby
from fastrtc.visitor import Visitor
from fastrtc.wire.messages import ClientMessage, encode_client_message


class FakeSocket:
    """The server's side of a WebSocket; ``say`` and ``vanish`` are the client."""

    def __init__(self) -> None:
        self.application_state = WebSocketState.CONNECTING
        self.client_state = WebSocketState.CONNECTED
        self.sent: list[dict[str, Any]] = []
        self.closed_with: tuple[int, str | None] | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()

    def say(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "bytes": data})

    def vanish(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message that the client was sent and that is ``wanted``."""
        seen = 0
        while True:
            for message in self.sent[seen:]:
                if wanted(message):
                    return message
            seen = len(self.sent)
            self._news.clear()
            await self._news.wait()

    async def accept(self) -> None:
        self.application_state = WebSocketState.CONNECTED

    async def receive(self) -> dict[str, Any]:
        message = await self._incoming.get()
        if message["type"] == "websocket.disconnect":
            self.client_state = WebSocketState.DISCONNECTED
        return message

    async def send_text(self, text: str) -> None:
        if self.client_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnect(1006)
        if self.application_state is not WebSocketState.CONNECTED:
            raise RuntimeError("the socket is not open")
        await self.reads.wait()
        self.sent.append(json.loads(text))
        self._news.set()

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        if self.application_state is WebSocketState.DISCONNECTED:
            raise RuntimeError("the socket is closed already")
        self.application_state = WebSocketState.DISCONNECTED
        self.closed_with = (code, reason)
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})


class FakeHandler:
    def __init__(self) -> None:
        self.input_sample_rate = 16_000
        self.output_sample_rate = 24_000
        self.phone_mode: bool | None = None


@dataclass
class FakeSession:
    link: Any
    context: Context
    handler: FakeHandler
    start_error: Exception | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    closes: list[str] = field(default_factory=list)

    async def start(self) -> None:
        if self.start_error is not None:
            raise self.start_error
        self.started.set()

    def receive_message(self, text: str) -> None:
        if "refuse" in text:
            raise ProtocolError("no such field")
        self.messages.append(text)

    def take_message(self, message: ClientMessage) -> None:
        self.receive_message(encode_client_message(message))

    def press_key(self, digit: str) -> None:
        self.keys.append(digit)

    async def close(self, reason: str) -> None:
        self.closes.append(reason)
        if len(self.closes) == 1:
            await self.link.close()


class FakeSwitchboard:
    def __init__(self) -> None:
        self.sessions: dict[str, FakeSession] = {}
        self.opened = asyncio.Event()
        self.refusal: SignalingError | None = None
        self.start_error: Exception | None = None
        self.limits = Limits()
        self.lobby = Lobby(8)
        self.visitors: list[Visitor] = []
        self.denial: SignalingError | None = None
        self.thinking: asyncio.Event | None = None
        self.foreign = False

    def check_socket(self, connection: Any) -> None:
        if self.foreign:
            raise AccessDeniedError(status=403)

    async def admit(self, visitor: Visitor) -> Any:
        self.visitors.append(visitor)
        if self.thinking is not None:
            await self.thinking.wait()
        if self.denial is not None:
            raise self.denial
        return f"user of {visitor.webrtc_id}"

    def session_id(self, given: str) -> str:
        return given or "minted"

    async def new_handler(self) -> FakeHandler:
        return FakeHandler()

    def open(self, session_id: str, handler: FakeHandler, link: Any, context: Context) -> FakeSession:
        if self.refusal is not None:
            raise self.refusal
        session = FakeSession(link, context, handler, self.start_error)
        self.sessions[session_id] = session
        self.opened.set()
        return session


@dataclass
class Line:
    """One client and what serves it."""

    socket: FakeSocket
    switchboard: FakeSwitchboard
    serving: asyncio.Task[None]

    async def session(self) -> FakeSession:
        await self.switchboard.opened.wait()
        return next(iter(self.switchboard.sessions.values()))


Scenario = Callable[[Line], Coroutine[Any, Any, None]]


@pytest.fixture
def with_line() -> Callable[[Any, Scenario], None]:
    """Serve a socket with a conversation class while a scenario plays; both must end within ten seconds."""

    def run(conversation: Any, scenario: Scenario) -> None:
        async def play() -> None:
            socket, switchboard = FakeSocket(), FakeSwitchboard()
            async with asyncio.timeout(10):
                serving = asyncio.create_task(conversation(socket, switchboard).run())
                await scenario(Line(socket, switchboard, serving))
                await serving

        asyncio.run(play())

    return run
