"""Who may enter a served stream, and what stays between one client and its session."""

import argparse
import asyncio
import base64
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Queue
from socket import SHUT_RDWR
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from tests.fakes.serving import serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as open_socket

from fastrtc.client import command, connect
from fastrtc.context import get_current_context
from fastrtc.errors import AccessDeniedError, ConfigurationError, SignalingError
from fastrtc.events import SessionClosed
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler
from fastrtc.limits import Limits
from fastrtc.media.g711 import encode_ulaw
from fastrtc.outputs import AdditionalOutputs
from fastrtc.server.body import Body
from fastrtc.stream import Stream
from fastrtc.tokens import SessionTokens

SECRET = "a secret of at least 32 bytes, for tests"
TOKENS = SessionTokens(SECRET)
WAIT_S = 20.0


class Greeter(AsyncStreamHandler):
    """Tells who its user is, again and again, as an additional output."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=16_000, output_sample_rate=16_000)

    def copy(self) -> "Greeter":
        return Greeter()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        await asyncio.sleep(0.1)
        return AdditionalOutputs(get_current_context().user)

    async def shutdown(self) -> None: ...


def app_of(stream: Stream) -> Starlette:
    app = Starlette()
    stream.mount(app)
    return app


def guarded(**options: Any) -> Starlette:
    return app_of(Stream(Greeter(), modality="audio", concurrency_limit=4, verbose=False, **options))


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_the_python_client_enters_with_a_token_and_not_without(transport: Any) -> None:
    async def play(url: str) -> None:
        async with connect(url, transport, token=TOKENS.mint({"name": "ann"})) as call:
            output = await call.wait_for(lambda message: message.type == "output", WAIT_S)
            assert output.data["data"] == [{"name": "ann"}]
        for token, code in ((None, "unauthorized"), (TOKENS.mint("ann", webrtc_id="other"), "forbidden")):
            with pytest.raises(SignalingError) as refused:
                async with connect(url, transport, token=token):
                    pass
            assert refused.value.code == code

    with serving(guarded(authorize=TOKENS)) as server:
        asyncio.run(play(server.url))


def test_refusals_on_the_wire() -> None:
    body = {"type": "offer", "webrtc_id": "a", "sdp": "v=0"}
    with serving(guarded(authorize=TOKENS)) as server:
        answer = httpx.post(f"{server.url}/webrtc/offer", json=body)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json() == {
            "status": "failed",
            "meta": {"error": "unauthorized", "detail": "a session token is needed"},
        }
        token = TOKENS.mint("ann", webrtc_id="b")
        answer = httpx.post(f"{server.url}/webrtc/offer", json={**body, "token": token})
        assert (answer.status_code, answer.json()["meta"]["error"]) == (403, "forbidden")
        # With a token, the offer gets as far as its description.
        bearer = {"Authorization": f"Bearer {TOKENS.mint('ann')}"}
        answer = httpx.post(f"{server.url}/webrtc/offer", json=body, headers=bearer)
        assert answer.json()["meta"]["error"] == "invalid_sdp"
        socket_url = server.url.replace("http", "ws")
        for path, start, code in (
            ("/websocket/offer", {"event": "start", "websocket_id": "a"}, 3000),
            ("/websocket/offer", {"event": "start", "websocket_id": "a", "token": token}, 3003),
            ("/telephone/handler", {"event": "start", "streamSid": "MZ1"}, 3000),
        ):
            with open_socket(socket_url + path) as socket:
                socket.send(json.dumps(start))
                refusal = json.loads(socket.recv(WAIT_S))
                assert refusal["meta"]["error"] == {3000: "unauthorized", 3003: "forbidden"}[code]
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv(WAIT_S)
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, refusal["meta"]["error"])
        # A query is the only place where a browser's WebSocket could have a token before the first message.
        with open_socket(f"{socket_url}/websocket/offer?token={TOKENS.mint('ann')}") as socket:
            socket.send(json.dumps({"event": "start", "hello": True}))
            hello = json.loads(socket.recv(WAIT_S))
            assert hello["data"]["session_id"].startswith("s.")


def test_cookies_and_a_database_in_a_coroutine() -> None:
    async def look_up(visitor: Any) -> Any:
        await asyncio.sleep(0)
        if visitor.cookies.get("login") != "7":
            raise HTTPException(403, "log in first")
        return f"user {visitor.cookies['login']} from {visitor.host} over {visitor.via}"

    with serving(guarded(authorize=look_up)) as server:
        url = server.url.replace("http", "ws") + "/websocket/offer"
        with open_socket(url, additional_headers={"Cookie": "login=7"}) as socket:
            for frame in ({"event": "start", "websocket_id": "a"}, {"type": "hello", "data": {"version": 1}}):
                socket.send(json.dumps(frame))
            while (message := json.loads(socket.recv(WAIT_S))).get("type") != "output":
                pass
            assert message["data"] == ["user 7 from 127.0.0.1 over websocket"]
        with open_socket(url) as socket:
            socket.send(json.dumps({"event": "start", "websocket_id": "a"}))
            assert json.loads(socket.recv(WAIT_S))["meta"] == {"error": "forbidden", "detail": "log in first"}


def test_a_route_of_ones_own_lets_in_whom_it_knows() -> None:
    stream = Stream(Greeter(), modality="audio", verbose=False, authorize=TOKENS)
    app = FastAPI()

    @app.post("/mine")
    async def mine(body: Body, request: Request) -> Any:
        if request.headers.get("x-user") is None:
            return await stream.offer(body)
        return await stream.offer_for(body, request.headers["x-user"])

    body = {"type": "offer", "webrtc_id": "a", "sdp": "v=0"}
    with serving(app) as server:
        answer = httpx.post(f"{server.url}/mine", json=body)
        assert (answer.status_code, answer.json()["detail"]["meta"]["error"]) == (401, "unauthorized")
        answer = httpx.post(f"{server.url}/mine", json=body, headers={"x-user": "ann"})
        assert answer.json()["meta"]["error"] == "invalid_sdp"
        answer = httpx.post(f"{server.url}/mine", json={**body, "token": TOKENS.mint("ann")})
        assert answer.json()["meta"]["error"] == "invalid_sdp"


@pytest.mark.parametrize("path", ["/websocket/offer", "/telephone/handler"])
def test_a_hostile_page_opens_no_socket(path: str, caplog: pytest.LogCaptureFixture) -> None:
    def status(server: Any, origin: str | None) -> int:
        try:
            with open_socket(server.url.replace("http", "ws") + path, origin=origin):  # type: ignore[arg-type]
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    with serving(guarded()) as server:
        assert status(server, None) == 101
        assert status(server, server.url) == 101
        assert status(server, "http://localhost:5173") == 101
        assert status(server, "https://evil.example") == 403
        assert status(server, "null") == 403
    assert "allowed_origins" in caplog.text
    with serving(guarded(allowed_origins=["https://app.example.org"])) as server:
        assert status(server, "https://app.example.org") == 101
        assert status(server, "https://evil.example") == 403
    app = guarded()
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.org"])
    with serving(app) as server:
        assert status(server, "https://app.example.org") == 101
        assert status(server, "https://evil.example") == 403


def test_a_hostile_page_posts_no_offer() -> None:
    body = json.dumps({"type": "offer", "webrtc_id": "a", "sdp": "v=0"})
    foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    with serving(guarded()) as server:
        answer = httpx.post(f"{server.url}/webrtc/offer", content=body, headers=foreign)
        assert (answer.status_code, answer.json()["meta"]["error"]) == (403, "forbidden")
        asked = {**foreign, "Content-Type": "application/json"}
        assert httpx.post(f"{server.url}/webrtc/offer", content=body, headers=asked).status_code == 200
    with serving(guarded(allowed_origins=[])) as server:
        assert httpx.post(f"{server.url}/webrtc/offer", content=body, headers=asked).status_code == 403


def hear_out(socket: Any) -> None:
    """Read until the server closes."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(WAIT_S)


class Inputs(StreamHandler):
    """Tells which inputs it was given, and when it is over."""

    def __init__(self, told: "Queue[Any]") -> None:
        super().__init__(input_sample_rate=16_000, output_sample_rate=16_000)
        self.told = told

    def copy(self) -> "Inputs":
        return Inputs(self.told)

    def start_up(self) -> None:
        self.wait_for_args_sync()
        self.told.put((get_current_context().webrtc_id, self.latest_args[1:]))

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return None

    def shutdown(self) -> None:
        self.told.put((get_current_context().webrtc_id, "shutdown"))


def test_one_client_cannot_reach_into_the_session_of_another() -> None:
    told: Queue[Any] = Queue()
    stream = Stream(Inputs(told), modality="audio", concurrency_limit=4, verbose=False, authorize=lambda v: v.token)
    with serving(app_of(stream)) as server:
        url = server.url.replace("http", "ws") + "/websocket/offer"
        with open_socket(url) as ann, open_socket(url) as eve:
            ann.send(json.dumps({"event": "start", "websocket_id": "ann", "token": "t1"}))
            ann.send(json.dumps({"type": "hello", "data": {"version": 1}}))
            while json.loads(ann.recv(WAIT_S)).get("type") != "hello":
                pass
            # The same id over any transport is refused while ann is there.
            eve.send(json.dumps({"event": "start", "websocket_id": "ann", "token": "t2"}))
            assert json.loads(eve.recv(WAIT_S))["meta"]["error"] == "connection_already_exists"
            body = {"webrtc_id": "ann", "token": "t2"}
            offer = httpx.post(f"{server.url}/webrtc/offer", json={**body, "type": "offer", "sdp": "v=0"})
            assert offer.json()["meta"]["error"] == "connection_already_exists"
            candidate = httpx.post(f"{server.url}/webrtc/offer", json={**body, "type": "ice-candidate"})
            assert candidate.json()["meta"]["error"] == "unknown_connection"
            assert stream.user_of("ann") == "t1"
            assert stream.user_of("nobody") is None
        # Eve's own session: what she says is hers, whatever id she writes into it.
        with open_socket(url) as eve:
            eve.send(json.dumps({"event": "start", "websocket_id": "eve", "token": "t2"}))
            eve.send(json.dumps({"type": "input", "data": [1], "webrtc_id": "ann", "websocket_id": "ann"}))
            seen = [told.get(timeout=WAIT_S)]
            while seen[-1][0] != "eve":
                seen.append(told.get(timeout=WAIT_S))
            assert seen[-1] == ("eve", [1])
            assert ("ann", [1]) not in seen
            eve.send(json.dumps({"event": "stop", "websocket_id": "ann"}))


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_client_that_floods_is_cut_off_and_told_while_another_goes_on(transport: Any) -> None:
    async def play(url: str) -> None:
        async with connect(url, "websocket") as good, connect(url, transport) as bad:
            for number in range(2_000):
                bad.send_message({"type": "input", "data": ["x" * 100, number]})
            end = await bad.wait_for(lambda message: message.type == "end_stream", WAIT_S)
            assert end.data["data"] == "too_many_messages"
            while bad.ended is None:
                await asyncio.wait_for(anext(aiter(bad.stream_messages())), WAIT_S)
                await asyncio.sleep(0.01)
            good.send_message({"type": "hello", "data": {"version": 1}})
            count = len(good.messages)
            await good.wait_for(lambda message: len(good.messages) > count, WAIT_S)
            assert good.ended is None

    with serving(guarded(limits=Limits(messages_per_s=20, message_burst=50))) as server:
        asyncio.run(play(server.url))


class Talker(Greeter):
    """Has a megabyte to tell, ten times a second."""

    def copy(self) -> "Talker":
        return Talker()

    async def emit(self) -> Any:
        await asyncio.sleep(0.1)
        self.send_message_sync("x" * 1_000_000)


def test_a_client_that_never_reads_is_cut_off() -> None:
    closed: Queue[Any] = Queue()
    stream = Stream(
        Talker(),
        modality="audio",
        verbose=False,
        limits=Limits(max_unsent_bytes=2_000_000),
        on_event=lambda name, event: closed.put((name, event)),
    )
    with serving(app_of(stream)) as server:
        url = server.url.replace("http", "ws") + "/websocket/offer"
        # The buffers of the kernel take a few megabytes before anybody notices.
        with open_socket(url, max_queue=1, compression=None, close_timeout=0.1) as socket:
            socket.send(json.dumps({"event": "start", "websocket_id": "deaf"}))
            while not isinstance((told := closed.get(timeout=WAIT_S))[1], SessionClosed):
                pass
            assert (told[0], told[1].reason) == ("deaf", "client_not_reading")
            socket.socket.shutdown(SHUT_RDWR)


SPOKEN = "my PIN is 4711"


def test_nothing_that_users_say_or_type_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastrtc")
    audio = base64.b64encode(encode_ulaw((8000 * np.sin(np.arange(320) * 0.1)).astype(np.int16))).decode()
    with serving(guarded()) as server:
        with open_socket(server.url.replace("http", "ws") + "/websocket/offer") as socket:
            for frame in (
                {"event": "start", "websocket_id": "a", "token": [SPOKEN]},
                {"event": "start", "websocket_id": "a", "token": SPOKEN},
                {"event": "media", "media": {"payload": audio}},
                {"type": "input", "data": [SPOKEN]},
                {"type": "input", "data": SPOKEN},
                {"type": "text", "data": SPOKEN},
                {"event": SPOKEN},
                SPOKEN,
                {"event": "media", "media": {"payload": SPOKEN}},
                {"event": "stop"},
            ):
                socket.send(json.dumps(frame))
            hear_out(socket)
        with open_socket(server.url.replace("http", "ws") + "/telephone/handler") as socket:
            for frame in (
                {"event": "start", "streamSid": "MZ1", "start": {"customParameters": {"pin": SPOKEN}}},
                {"event": "media", "media": {"payload": audio}},
                {"event": "media", "media": {"payload": [SPOKEN]}},
                {"event": "dtmf", "dtmf": {"digit": "4711"}},
                {"event": "dtmf", "dtmf": {"digit": [4711]}},
                {"event": "mark", "mark": SPOKEN},
                f"{SPOKEN} {audio}",
                {"event": "stop"},
            ):
                socket.send(frame if isinstance(frame, str) else json.dumps(frame))
            hear_out(socket)
        httpx.post(f"{server.url}/webrtc/offer", json={"type": SPOKEN, "webrtc_id": "a", "sdp": SPOKEN})
        offer = {"type": "offer", "webrtc_id": "a", "sdp": SPOKEN, "token": SPOKEN}
        httpx.post(f"{server.url}/webrtc/offer", json=offer)
    ours = [record for record in caplog.records if record.name.startswith("fastrtc")]
    assert ours, "nothing was logged at all, so this would not notice"
    shown = "\n".join(logging.Formatter().format(record) for record in ours)
    assert "4711" not in shown
    assert audio[:20] not in shown


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"authorize": "me"}, "authorize"),
        ({"allowed_origins": "https://a.example"}, "allowed_origins"),
        ({"allowed_origins": ["a.example"]}, "origin"),
    ],
)
def test_wrong_arguments_are_said_at_once(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Stream(Greeter(), **wrong)


def test_a_denied_visitor_leaves_nothing_behind() -> None:
    def nobody(_: Any) -> Callable[[], None]:
        raise AccessDeniedError("closed", status=403)

    stream = Stream(Greeter(), modality="audio", verbose=False, authorize=nobody)
    with serving(app_of(stream)) as server:
        url = server.url.replace("http", "ws") + "/websocket/offer"
        for number in range(5):
            with open_socket(url) as socket:
                socket.send(json.dumps({"event": "start", "websocket_id": str(number)}))
                assert json.loads(socket.recv(WAIT_S))["meta"]["detail"] == "closed"
        assert not stream.connections
        assert not stream.handlers
        assert not stream.additional_outputs


def test_the_command_takes_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with serving(guarded(authorize=TOKENS)) as server:
        words = [server.url, "--transport", "websocket", "--seconds", "0.2"]
        assert command.main(parser.parse_args(words)) != 0
        assert "unauthorized" in capsys.readouterr().err
        command.main(parser.parse_args([*words, "--token", TOKENS.mint("ann")]))
        assert "connected" in capsys.readouterr().err
