"""Every way by which bytes of strangers, and values of user code, come in; each as a function of a fuzzer's bytes.

A target returns what became of its input. The errors that it may meet are the package's own, with a message; any other
is a finding, and so is anything that is logged as an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from starlette.requests import HTTPConnection, Request
from tests.fuzz.loop import LOOP
from tests.fuzz.seeds import CALLS, CANDIDATES, FORMS, FRAMES, HEADS, MESSAGES, OFFERS, SDP, SERVER, TURN_MESSAGES
from tests.fuzz.sockets import paced_socket
from tests.fuzz.source import WEIRD, Source, any_json, as_text, mutated_json, mutated_lines
from tests.handlers.kit import QUICK, VAD
from tests.transports.conftest import FakeSocket, FakeSwitchboard

from fastrtc.clock import Ticker
from fastrtc.errors import AccessDeniedError, AudioFormatError, EngineError, ProtocolError
from fastrtc.handlers.base import AsyncStreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.voice import Voice
from fastrtc.limits import Limits
from fastrtc.outputs import AdditionalOutputs, CloseStream, Spoken
from fastrtc.server.entrance import Entrance
from fastrtc.server.host import SessionHost
from fastrtc.server.origins import Origins
from fastrtc.server.routes import read_json
from fastrtc.server.signaling import Signaling
from fastrtc.server.telephone import incoming_call, may_stream
from fastrtc.session import Session
from fastrtc.tokens import SessionTokens
from fastrtc.transports.memory import MemoryLink
from fastrtc.transports.telephone import TelephoneConversation
from fastrtc.transports.webrtc import sdp as sdp_tools
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import PeerState, PeerStats
from fastrtc.transports.websocket import WebSocketConversation
from fastrtc.wire import messages, offer, twilio, websocket
from fastrtc.workers.request import END_OF_HEAD, is_offer, parse_head, session_id_of

Target = Callable[[bytes], str]


def outcome(code: Callable[[], object], *allowed: type[Exception]) -> str:
    """``accepted``, or the name of the error of ours that it was refused with."""
    try:
        code()
    except allowed as error:
        assert str(error), "an error says something"
        return type(error).__name__
    return "accepted"


# ---------------------------------------------------------------- parsers


def offer_body(raw: bytes) -> str:
    source = Source(raw)
    text = as_text(source, mutated_json(source, OFFERS))
    request = _request(text.encode("utf-8", "surrogatepass"))

    def read() -> None:
        coroutine = read_json(request)
        try:
            coroutine.send(None)
        except StopIteration as done:
            offer.parse_offer_body(done.value)

    return outcome(read, ProtocolError)


def candidate(raw: bytes) -> str:
    source = Source(raw)
    value = mutated_json(source, CANDIDATES[:4]) if not source.one_in(3) else source.pick(CANDIDATES[4:])
    if isinstance(value, dict) and isinstance(value.get("candidate"), str):
        value["candidate"] = mutated_lines(source, value["candidate"])

    def read() -> None:
        found = IceCandidate.from_json(value)
        assert found.is_end or (found.address and found.protocol)
        assert found.component >= 0
        assert IceCandidate.from_json(json.loads(json.dumps(found.as_json()))).line == found.line

    return outcome(read, ProtocolError)


def description(raw: bytes) -> str:
    source = Source(raw)
    text = mutated_lines(source, SDP)

    def read() -> None:
        checked = sdp_tools.check_description(text)
        sdp_tools.sent_kinds(checked)
        sdp_tools.fingerprints(checked)
        sdp_tools.candidate_addresses(checked)
        changed = sdp_tools.with_opus_parameters(checked, sdp_tools.speech_parameters(32_000))
        assert sdp_tools.with_media_stream(changed)

    return outcome(read, EngineError)


def client_message(raw: bytes) -> str:
    source = Source(raw)
    text = as_text(source, mutated_json(source, MESSAGES))
    return outcome(lambda: messages.encode_client_message(messages.parse_client_message(text)), ProtocolError)


def client_frame(raw: bytes) -> str:
    source = Source(raw)
    text = as_text(source, mutated_json(source, FRAMES))
    return outcome(lambda: websocket.encode_frame(websocket.parse_client_frame(text)), ProtocolError)


def call_message(raw: bytes) -> str:
    source = Source(raw)
    text = as_text(source, mutated_json(source, CALLS))
    return outcome(lambda: twilio.parse_call_message(text), ProtocolError)


def server_message(raw: bytes) -> str:
    source = Source(raw)
    text = as_text(source, mutated_json(source, SERVER))
    first = outcome(lambda: messages.parse_server_message(text), ProtocolError)
    second = outcome(lambda: websocket.parse_server_frame(text), ProtocolError)
    return f"{first}, {second}"


_TOKENS = SessionTokens("s" * 32, now=lambda: 1_000.0)
_TOKEN = _TOKENS.mint({"name": "ann"}, webrtc_id="a")


def token(raw: bytes) -> str:
    source = Source(raw)
    parts = _TOKEN.split(".")
    for _ in range(source.below(3)):
        at = source.below(len(parts))
        cut = source.below(len(parts[at]) + 1)
        parts[at] = parts[at][:cut] + source.rest(source.below(8)).decode("latin-1") + parts[at][cut:]
    text = source.pick([".", ".", ".", "", ".."]).join(parts)
    user: list[Any] = []
    became = outcome(lambda: user.append(_TOKENS.verify(text, webrtc_id="a")), AccessDeniedError)
    assert not user or text.rpartition(".")[0] == _TOKEN.rpartition(".")[0], "a forged token was accepted"
    return became


_ORIGINS = (Origins(), Origins(["https://app.example.org"]), Origins(["*"]))


def headers(raw: bytes) -> str:
    """Of a WebSocket's handshake and of Twilio's requests."""
    source = Source(raw)
    names = ("origin", "host", "x-forwarded-host", "x-forwarded-proto", "content-type", "x-twilio-signature", "cookie")
    given = [
        (source.pick(names).encode(), source.pick([source.rest(24), *_HEADER_VALUES])) for _ in range(source.below(6))
    ]
    scope = {"type": "websocket", "headers": given, "query_string": source.rest(16), "path": "/x", "app": None}
    connection = HTTPConnection({**scope, "server": ("127.0.0.1", 80), "scheme": "ws", "client": None})
    origins = source.pick(_ORIGINS)
    allowed = origins.allow_socket(connection), origins.allow_post(connection)
    signed = may_stream(connection, "a token of twilio")
    assert not signed
    return f"origin {allowed}"


_HEADER_VALUES = tuple(
    value.encode()
    for value in (
        *("https://app.example.org", "http://localhost:3000", "null", "https://[::1", "https://a:b", "//", "voice:443"),
        *("voice.example.org", "[::1]:80", "application/json", "https", ",", "a=b; token=c"),
    )
)


def incoming(raw: bytes) -> str:
    """Twilio's webhook."""
    source = Source(raw)
    body = source.pick(FORMS).encode() + source.rest(source.below(40))

    async def ask() -> int:
        answer = await incoming_call(_request(body), source.pick([None, "a token of twilio"]))
        return answer.status_code

    coroutine = ask()
    try:
        coroutine.send(None)
    except StopIteration as done:
        assert done.value in (200, 403, 413)
        return f"HTTP {done.value}"
    raise AssertionError("it waited for something")


def front(raw: bytes) -> str:
    """What the process in front of several workers reads of a request."""
    source = Source(raw)
    text = mutated_lines(source, source.pick(HEADS))
    body = as_text(source, mutated_json(source, OFFERS)).encode("utf-8", "replace")
    if source.one_in(2):
        sizes = (f"{len(body):x}", "-5", "0x1", "ffffffffffffffff", "", "+3;a=b", "1_0")
        body = source.pick(sizes).encode() + b"\r\n" + body + b"\r\n0\r\n\r\n"

    def read() -> None:
        head = parse_head(text.encode("latin-1", "replace") + END_OF_HEAD)
        assert head.for_one_request().endswith(END_OF_HEAD)
        assert 0 <= head.body_bytes <= 1_000_000
        found = session_id_of(head, body)
        assert found is None or 0 < len(found) <= 1_024
        is_offer(head, body)

    return outcome(read, ProtocolError)


def _request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/telephone/incoming", "query_string": b"", "headers": []}
    return Request({**scope, "server": ("127.0.0.1", 80), "scheme": "http"}, receive)


# ---------------------------------------------------------------- values of user code


class _Speaker:
    """A session's mouth that keeps nothing."""

    rate_hz = 48_000

    def say(self, turn: int, pcm: Any) -> bool:
        assert pcm.dtype == np.int16
        assert pcm.ndim == 1
        return True

    def give(self, outputs: AdditionalOutputs) -> None:
        json.loads(messages.encode_server_message(messages.ServerOutput(outputs.args)))

    def hang_up(self, message: str) -> None:
        json.loads(messages.create_message("end_stream", message))


_DTYPES = ("int16", "float32", "float64", "uint8", "int32", "int64", "bool", "complex64", "U3", "O", "float16")
_SHAPES = ((0,), (480,), (1, 480), (2, 480), (480, 1), (1, 0), (0, 1), (3, 5), (1, 1, 480), (), (480, 2))


def any_yield(source: Source, depth: int = 2) -> Any:
    """What a handler might give."""
    kind = source.below(12)
    if kind < 5:
        array = np.zeros(source.pick(_SHAPES), source.pick(_DTYPES))
        if array.dtype in (np.float32, np.float64) and array.size:
            array[(0,) * array.ndim] = source.pick([0.5, -2.0, float("nan"), float("inf"), -1e30])
        rate = source.pick(
            [24_000, 48_000, 4_000, 384_000, 16_000.0, 0, -1, None, True, np.int32(8_000), 2**70, "24000"]
        )
        return (rate, array, source.pick(["mono", "stereo", None, array])) if source.one_in(4) else (rate, array)
    if not depth:
        return source.pick(WEIRD)
    if kind == 5:
        return Spoken(any_yield(source, depth - 1), source.pick(["text", "", None, 5]))
    if kind == 6:
        return AdditionalOutputs(*(any_yield(source, depth - 1) for _ in range(source.below(3))))
    if kind == 7:
        return CloseStream(source.pick(["over", "", None, 7, {"a": 1}, object(), b"bytes", "\ud800"]))
    if kind == 8:
        return tuple(any_yield(source, depth - 1) for _ in range(source.below(4)))
    if kind == 9:
        return source.pick([object(), int, lambda: None, {1, 2}, b"x", memoryview(b"x"), np.float32(1), 1j, range(3)])
    if kind == 10:
        return {source.pick(["a", 1, None, (1, 2)]): any_yield(source, depth - 1)}
    return any_json(source)


def yielded(raw: bytes) -> str:
    source = Source(raw)
    voice = Voice(_Speaker(), 1)  # type: ignore[arg-type]
    became = ""
    for _ in range(1 + source.below(3)):
        value = any_yield(source)
        became = outcome(lambda given=value: voice.take(given), AudioFormatError)  # type: ignore[misc]
    voice.drain()
    return became


# ---------------------------------------------------------------- whole conversations


def _conversation(kind: Any, seeds: Any, raw: bytes) -> str:
    source = Source(raw)

    async def play() -> str:
        socket, switchboard = FakeSocket(), FakeSwitchboard()
        for _ in range(1 + source.below(8)):
            if source.one_in(12):
                socket.say_bytes(source.rest(8))
            else:
                socket.say(as_text(source, mutated_json(source, seeds)))
        socket.vanish()
        await kind(socket, switchboard).run()
        assert len(switchboard.sessions) <= 1
        assert len(switchboard.lobby) == 0
        for session in switchboard.sessions.values():
            assert len(session.closes) == 1
        return "a session" if switchboard.sessions else "no session"

    became: str = LOOP.run(play())
    return became


def websocket_conversation(raw: bytes) -> str:
    return _conversation(WebSocketConversation, FRAMES, raw)


def telephone_conversation(raw: bytes) -> str:
    return _conversation(TelephoneConversation, CALLS, raw)


class _Peer:
    """A WebRTC connection that never comes up."""

    state = PeerState.NEW
    answer_sdp = "v=0"
    is_gathering = False

    def __init__(self, observer: Any) -> None:
        self.observer = observer

    async def add_candidate(self, found: Any) -> None: ...

    async def answer_restart(self, sdp: str) -> None: ...

    def send(self, text: str) -> None: ...

    async def stats(self) -> PeerStats:
        return PeerStats()

    async def close(self) -> None: ...


class _Engine:
    name = "fake"

    async def answer(self, sdp: str, options: Any, observer: Any) -> _Peer:
        sdp_tools.check_description(sdp)
        return _Peer(observer)


class _Silent(AsyncStreamHandler):
    def copy(self) -> _Silent:
        return _Silent()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        return None

    async def shutdown(self) -> None: ...


def signaling(raw: bytes) -> str:
    source = Source(raw)

    async def play() -> str:
        limits = Limits(offers_per_s=1e9, offer_burst=10**6)
        host = SessionHost(
            _Silent(), concurrency_limit=2, entrance=Entrance(lambda visitor: visitor.token, limits=limits)
        )
        desk = Signaling(host, engine=_Engine(), modality=source.pick(["audio", "audio-video"]))  # type: ignore[arg-type]
        became = set()
        for _ in range(1 + source.below(5)):
            body = mutated_json(source, OFFERS)
            if isinstance(body, dict) and isinstance(body.get("sdp"), str) and source.one_in(3):
                body["sdp"] = mutated_lines(source, body["sdp"])
            try:
                answer = await desk.handle(body)
                became.add(answer.get("meta", {}).get("error", "answered"))
            except (ProtocolError, AccessDeniedError) as error:
                assert str(error)
                became.add(type(error).__name__)
        for call in list(desk._calls.values()):
            call.on_message(as_text(source, mutated_json(source, MESSAGES)))
        await host.close_all("over")
        assert not host.sessions
        return ", ".join(sorted(became))

    became: str = LOOP.run(play())
    return became


class _Clock:
    """A media clock that the fuzzer ticks."""

    def join(self, session: Any) -> None: ...

    def leave(self, session: Any) -> None: ...

    def wake(self, *_: Any) -> None: ...

    def on_loop(self, loop: Any, call: Callable[[], None]) -> None:
        loop.call_soon(call)


def session_messages(raw: bytes) -> str:
    """Messages, audio and ticks in a session of a live handler."""
    source = Source(raw)

    async def play() -> str:
        link = MemoryLink(48_000, 24_000)
        session = Session("a", _Silent(), link, clock=_Clock())  # type: ignore[arg-type]
        became = set()
        for _ in range(1 + source.below(8)):
            text = as_text(source, mutated_json(source, MESSAGES))
            became.add(outcome(lambda given=text: session.receive_message(given), ProtocolError))  # type: ignore[misc]
            if source.one_in(3):
                link.push(np.zeros(source.pick([0, 1, 960, 48_000]), np.int16))
            session.pull()
            session.push()
        await session.close("over")
        for message in link.messages:
            json.loads(message)
        return ", ".join(sorted(became))

    became: str = LOOP.run(play())
    return became


_LOUD = (8_000 * np.sin(np.arange(48_000) * 0.05)).astype(np.int16)


async def _answer(audio: Any) -> Any:
    for _ in range(3):
        yield 24_000, _LOUD[None, :4_800]
        await asyncio.sleep(0)


def turn_messages(raw: bytes) -> str:
    """Messages in the middle of turns: speech, typed turns, replies, and reports about replies that never were."""
    source = Source(raw)

    async def play() -> str:
        link = MemoryLink(48_000, 24_000)
        handler = ReplyOnPause(_answer, algo_options=QUICK, model=VAD)
        session = Session("a", handler, link, clock=_Clock())  # type: ignore[arg-type]
        await session.start()
        ticker = Ticker()
        ticker.add(session)
        became = set()
        for _ in range(1 + source.below(8)):
            text = as_text(source, mutated_json(source, TURN_MESSAGES))
            became.add(outcome(lambda given=text: session.receive_message(given), ProtocolError))  # type: ignore[misc]
            sound = source.pick([_LOUD, 0 * _LOUD])
            for _ in range(source.below(16)):
                link.push(sound[:960])
                ticker.tick()
                await asyncio.sleep(0)
        await session.close("over")
        replied = any("first_audio" in message or "response_starting" in message for message in link.messages)
        return ", ".join(sorted(became)) + (", replied" if replied else "")

    became: str = LOOP.run(play())
    return became


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(offer_body, candidate, description, client_message, client_frame, call_message, server_message, token),
        *(headers, incoming, front, yielded, websocket_conversation, telephone_conversation, signaling),
        *(session_messages, turn_messages, paced_socket),
    )
}


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


@contextmanager
def no_errors_logged() -> Iterator[None]:
    """Fail if the package logs an error, for example of a task that nobody awaits."""
    complaints = _Complaints()
    loggers = [logging.getLogger(name) for name in ("fastrtc", "asyncio", "uvicorn.error")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.addHandler(complaints)
        one.setLevel(logging.ERROR)
    try:
        yield
        assert not complaints.records, complaints.records[0]
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.removeHandler(complaints)
            one.setLevel(level)
