"""What a Stream is before anybody has connected: its arguments, its routes, its answers to nonsense."""

import asyncio
import contextlib
import functools
import inspect
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.stream import Body, Stream

PATHS = ["/webrtc/offer", "/websocket/offer", "/telephone/incoming", "/telephone/handler"]


class Silent(StreamHandler):
    def receive(self, frame: Any) -> None: ...

    def emit(self) -> None:
        return None

    def copy(self) -> "Silent":
        return Silent()


class SilentAsync(AsyncStreamHandler):
    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        return None

    def copy(self) -> "SilentAsync":
        return SilentAsync()


def test_the_parameters_are_those_of_fastrtc() -> None:
    parameters = inspect.signature(Stream).parameters
    assert {name: parameter.default for name, parameter in list(parameters.items())[1:16]} == {
        "additional_outputs_handler": None,
        "mode": "send-receive",
        "modality": "video",
        "concurrency_limit": "default",
        "time_limit": None,
        "allow_extra_tracks": False,
        "rtp_params": None,
        "rtc_configuration": None,
        "server_rtc_configuration": None,
        "track_constraints": None,
        "additional_inputs": None,
        "additional_outputs": None,
        "ui_args": None,
        "verbose": True,
        "engine": None,
    }
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in list(parameters.values())[1:])


@pytest.mark.parametrize(("given", "limit"), [("default", 1), (None, 1), (1, 1), (40, 40)])
def test_the_default_limit_is_one(given: Any, limit: int) -> None:
    stream = Stream(Silent(), concurrency_limit=given)
    assert stream.concurrency_limit == limit
    assert stream.concurrency_limit_gradio == given


@pytest.mark.parametrize("handler", [Silent(), SilentAsync()])
def test_a_handler_of_audio_is_served_as_audio(handler: Any) -> None:
    assert Stream(handler).modality == "audio"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"mode": "both"}, "mode"),
        ({"modality": "smell"}, "modality"),
        ({"concurrency_limit": 0}, "concurrency_limit"),
        ({"concurrency_limit": "many"}, "concurrency_limit"),
        ({"concurrency_limit": True}, "concurrency_limit"),
        ({"additional_outputs": [object()]}, "additional_outputs_handler"),
    ],
)
def test_arguments_that_cannot_work_are_refused(options: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=wanted):
        Stream(Silent(), **options)


def test_a_text_box_makes_the_reply_wait_for_its_text() -> None:
    handler = Silent()
    handler.needs_args = False  # type: ignore[attr-defined]
    Stream(handler, ui_args={"variant": "textbox"})  # type: ignore[typeddict-unknown-key]
    assert handler.needs_args  # type: ignore[attr-defined]


CONFIGURATION = {"iceServers": [{"urls": "stun:stun.example.org"}]}


def plain() -> dict[str, Any]:
    return CONFIGURATION


async def coroutine() -> dict[str, Any]:
    return CONFIGURATION


def with_argument(urls: str) -> dict[str, Any]:
    return {"iceServers": [{"urls": urls}]}


class Maker:
    def __call__(self) -> dict[str, Any]:
        return CONFIGURATION


class AsyncMaker:
    async def __call__(self) -> dict[str, Any]:
        return CONFIGURATION


@pytest.mark.parametrize(
    "source",
    [
        CONFIGURATION,
        plain,
        coroutine,
        functools.partial(with_argument, "stun:stun.example.org"),
        functools.partial(coroutine),
        lambda: coroutine(),
        Maker(),
        AsyncMaker(),
    ],
)
def test_the_rtc_configuration_may_come_from_anywhere(source: Any) -> None:
    stream = Stream(Silent(), rtc_configuration=source)
    assert asyncio.run(stream.get_rtc_configuration()) == CONFIGURATION
    assert asyncio.run(stream.resolve_rtc_configuration()) == CONFIGURATION


def test_without_an_rtc_configuration() -> None:
    stream = Stream(Silent())
    assert asyncio.run(stream.get_rtc_configuration()) is None
    assert asyncio.run(stream.resolve_rtc_configuration()) == {}


def test_the_gradio_page_is_the_users_own() -> None:
    stream = Stream(Silent())
    page = object()
    stream.ui = page
    assert stream.ui is page
    with pytest.raises(ConfigurationError, match="not the stream's"):
        _ = stream.webrtc_component


def test_before_anybody_connects_everything_is_empty() -> None:
    stream = Stream(Silent())
    assert not stream.connections
    assert not stream.handlers
    assert not stream.additional_outputs
    stream.set_input("nobody", 1)
    stream.trigger_response("nobody")
    asyncio.run(stream.update_connection("nobody", "closed"))
    asyncio.run(stream.close())


@pytest.mark.parametrize("make_app", [FastAPI, Starlette])
@pytest.mark.parametrize("prefix", ["", "/voice"])
def test_mount_adds_the_endpoints(serve: Any, make_app: Any, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    stream, app = Stream(Silent()), make_app()
    stream.mount(app, prefix)
    with serve(app) as server:
        assert f"{prefix}/webrtc/offer" in capsys.readouterr().err
        assert server.http.post(f"{prefix}/webrtc/offer", json={}).status_code == 422
        assert server.http.get(f"{prefix}/webrtc/offer").status_code == 405
        with server.socket(f"{prefix}/websocket/offer") as socket:
            socket.say({"event": "ping"})
            assert socket.hear() == {"event": "pong"}
        with server.socket(f"{prefix}/telephone/handler") as socket:
            socket.say({"event": "dance"})
            assert socket.hear()["type"] == "error"
        twiml = server.http.post(
            f"{prefix}/telephone/incoming", data={"From": "+49 30", "To": "+1"}, headers={"host": "example.org"}
        )
        assert twiml.headers["content-type"].startswith("application/xml")
        assert f'<Stream url="wss://example.org{prefix}/telephone/handler">' in twiml.text
        assert '<Parameter name="from" value="+49 30" />' in twiml.text


def test_a_quiet_stream_prints_nothing(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    app = Starlette()
    Stream(Silent(), verbose=False).mount(app)
    with serve(app) as server:
        assert server.http.get("/").status_code == 404
    assert capsys.readouterr() == ("", "")


def test_mount_keeps_the_apps_own_lifespan(serve: Any) -> None:
    events = []

    async def lifespan(app: Any) -> Any:
        events.append("up")
        yield {"key": "value"}
        events.append("down")

    async def show(request: Request) -> Response:
        return JSONResponse(request.state.key)

    app = Starlette(lifespan=contextlib.asynccontextmanager(lifespan), routes=[Route("/state", show)])
    Stream(Silent(), verbose=False).mount(app)
    with serve(app) as server:
        assert server.http.get("/state").json() == "value"
        assert events == ["up"]
    assert events == ["up", "down"]


def test_the_endpoints_are_in_fastapis_documentation() -> None:
    app = FastAPI()
    Stream(Silent()).mount(app, "/voice", tags=["speech"])
    offer = app.openapi()["paths"]["/voice/webrtc/offer"]["post"]
    assert offer["tags"] == ["speech"]
    schema = offer["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"type", "webrtc_id", "sdp", "candidate", "token"}


@pytest.mark.parametrize(("app", "path"), [(object(), ""), (Starlette(), "voice"), (Starlette(), "/voice/")])
def test_mount_refuses_what_cannot_work(app: Any, path: str) -> None:
    with pytest.raises(ConfigurationError):
        Stream(Silent()).mount(app, path)


BAD_BODIES = {
    b"{": "JSON",
    b"": "JSON",
    b"[]": "object",
    b'{"type": "ice-candidate"}': "webrtc_id",
    b'{"type": "offer", "webrtc_id": "a"}': "sdp",
    b"x" * 1_100_000: "longer",
}


@pytest.mark.parametrize("make_app", [FastAPI, Starlette])
def test_a_bad_body_is_unprocessable(serve: Any, make_app: Any) -> None:
    app = make_app()
    Stream(Silent(), verbose=False).mount(app)
    with serve(app) as server:
        for body, wanted in BAD_BODIES.items():
            answer = server.http.post("/webrtc/offer", content=body)
            assert answer.status_code == 422
            assert wanted in answer.json()["detail"][0]["msg"]


def test_an_app_may_have_a_route_of_its_own(serve: Any) -> None:
    app, stream = FastAPI(), Stream(Silent())
    app.post("/my-offer")(stream.offer)
    app.websocket("/my-socket")(stream.websocket_offer)

    @app.post("/other-offer")
    async def other(body: Body) -> Any:
        return await stream.offer(body)

    candidate = {"type": "ice-candidate", "webrtc_id": "a", "candidate": {"candidate": ""}}
    unknown = {"status": "failed", "meta": {"error": "unknown_connection"}}
    with serve(app) as server:
        for path in ("/my-offer", "/other-offer"):
            assert server.http.post(path, json=candidate).json() == unknown
            incomplete = server.http.post(path, json={"type": "offer", "webrtc_id": "a"})
            assert incomplete.status_code == 422
            assert "sdp" in incomplete.json()["detail"][0]["msg"]
        with server.socket("/my-socket") as socket:
            socket.say({"event": "ping"})
            assert socket.hear() == {"event": "pong"}


@pytest.mark.parametrize(("modality", "extra"), [("video", "audio"), ("audio", "video")])
def test_what_the_modality_has_no_use_for_is_refused(modality: Any, extra: str) -> None:
    stream = Stream(lambda frame: frame, modality=modality)
    sdp = f"v=0\r\nm={modality} 9 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\nm={extra} 9 UDP/TLS/RTP/SAVPF 97\r\n"
    body: Any = {"type": "offer", "webrtc_id": "a", "sdp": sdp}
    answer = asyncio.run(stream.offer(body))
    assert answer["meta"]["error"] == "unsupported_track"
    assert f"also sends {extra}" in answer["meta"]["detail"]
    listening = Stream(lambda frame: frame, modality=modality)
    for answer in (
        asyncio.run(Stream(lambda frame: frame, modality=modality, allow_extra_tracks=True).offer(body)),
        asyncio.run(listening.offer({**body, "sdp": sdp + "a=recvonly\r\n"})),
    ):
        assert answer["meta"]["error"] in ("invalid_sdp", "unsupported_handler"), "these get as far as the engine"


def plain(audio: Any) -> Any:
    return audio


@pytest.mark.parametrize(
    ("handler", "remedy"), [(plain, "give ReplyOnPause(plain)"), (ReplyOnPause, "give it an object, ReplyOnPause(")]
)
def test_a_plain_function_is_no_handler_of_audio(
    serve: Any, handler: Any, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette()
    Stream(handler, modality="audio", verbose=False).mount(app)
    with serve(app) as server, server.socket("/websocket/offer") as socket:
        socket.say({"event": "start", "websocket_id": "a"})
        meta = socket.hear()["meta"]
    assert meta["error"] == "unsupported_handler"
    assert remedy in meta["detail"]
    assert remedy in caplog.text, "whoever starts the server sees it before the first caller does"


def test_what_is_missing_is_said_when_the_app_starts(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_model() -> Any:
        raise MissingExtraError("voice activity detection", "vad")

    monkeypatch.setattr("fastrtc.server.host.get_silero_model", no_model)
    app = Starlette()
    Stream(ReplyOnPause(lambda audio: None), engine="no such engine", verbose=False).mount(app)
    with serve(app):
        pass
    assert "no WebRTC, only WebSocket and telephone: no WebRTC engine is called" in caplog.text
    assert "no session can start: voice activity detection needs" in caplog.text
