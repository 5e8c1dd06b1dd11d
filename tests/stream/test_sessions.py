"""Sessions of a real server with a real WebSocket client: what FastRTC's applications count on."""

import base64
import json
import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette

from fastrtc.context import get_current_context
from fastrtc.errors import ConfigurationError
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.outputs import AdditionalOutputs, CloseStream
from fastrtc.stream import Stream

RATE = 16_000
TONE = (6000 * np.sin(np.arange(RATE) * 0.05)).astype(np.int16)
CONNECTED = "session_started"


class Life:
    """What happened to the copies of a handler, for the test's thread."""

    def __init__(self) -> None:
        self.events: Queue[Any] = Queue()
        self.shutdowns = 0

    def next(self) -> Any:
        return self.events.get(timeout=20)


class Echo(StreamHandler):
    """Echoes; reports its life."""

    def __init__(self, life: Life) -> None:
        super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
        self.life = life
        self.queue: Queue[Any] = Queue()

    def copy(self) -> "Echo":
        return Echo(self.life)

    def start_up(self) -> None:
        self.life.events.put(("start_up", get_current_context().webrtc_id, self.phone_mode))

    def receive(self, frame: Any) -> None:
        self.queue.put(frame)

    def emit(self) -> Any:
        return self.queue.get()

    def shutdown(self) -> None:
        self.life.shutdowns += 1
        self.life.events.put("shutdown")


def start(name: str) -> dict[str, str]:
    return {"event": "start", "websocket_id": name}


def media(pcm: Any) -> dict[str, Any]:
    return {"event": "media", "media": {"payload": base64.b64encode(encode_ulaw(pcm)).decode()}}


def is_media(message: dict[str, Any]) -> bool:
    return message.get("event") == "media"


def hear_audio(socket: Any, samples: int) -> Any:
    heard = np.zeros(0, np.int16)
    while heard.size < samples:
        message = socket.wait_for(is_media)
        heard = np.concatenate([heard, decode_ulaw(base64.b64decode(message["media"]["payload"]))])
    return heard


def app_of(stream: Stream) -> Starlette:
    app = Starlette()
    stream.mount(app)
    return app


def test_an_echo_comes_back_whole(serve: Any) -> None:
    life = Life()
    with serve(app_of(Stream(Echo(life), verbose=False))) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        assert life.next() == ("start_up", "ann", False)
        for position in range(0, RATE, 320):
            socket.say(media(TONE[position : position + 320]))
        heard = hear_audio(socket, RATE)
        np.testing.assert_array_equal(heard[:RATE], decode_ulaw(encode_ulaw(TONE)))
        socket.say({"event": "stop"})
        assert life.next() == "shutdown"
    assert life.shutdowns == 1


@pytest.mark.parametrize("ending", ["stop", "disconnect", "server"])
def test_shutdown_is_called_exactly_once(serve: Any, ending: str) -> None:
    life = Life()
    stream = Stream(Echo(life), verbose=False)
    with serve(app_of(stream)) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        life.next()
        if ending == "stop":
            socket.say({"event": "stop"})
        elif ending == "disconnect":
            socket.close()
        if ending != "server":
            assert life.next() == "shutdown"
    assert life.shutdowns == 1
    assert not stream.connections
    assert not stream.handlers


FULL = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 2}}


def test_websockets_and_telephones_share_the_limit(serve: Any) -> None:
    life = Life()
    with (
        serve(app_of(Stream(Echo(life), concurrency_limit=2, verbose=False))) as server,
        server.socket("/websocket/offer") as first,
        server.socket("/telephone/handler") as call,
        server.socket("/websocket/offer") as third,
        server.socket("/telephone/handler") as fourth,
    ):
        first.say(start("ann"))
        assert life.next() == ("start_up", "ann", False)
        call.say({"event": "start", "streamSid": "MZ1"})
        assert life.next() == ("start_up", "MZ1", True)
        third.say(start("bob"))
        assert third.hear() == FULL
        fourth.say({"event": "start", "streamSid": "MZ2"})
        assert fourth.hear() == FULL
    assert life.shutdowns == 2


def test_a_place_becomes_free(serve: Any) -> None:
    life = Life()
    with serve(app_of(Stream(Echo(life), verbose=False))) as server:
        with server.socket("/websocket/offer") as first:
            first.say(start("ann"))
            assert life.next() == ("start_up", "ann", False)
        assert life.next() == "shutdown"
        accepted = False
        while not accepted:
            # The session is over a moment after its handler is.
            with server.socket("/websocket/offer") as second:
                second.say(start("bob"))
                second.say({"event": "ping"})
                accepted = second.hear() == {"event": "pong"}
        assert life.next() == ("start_up", "bob", False)
    assert life.shutdowns == 2


def test_an_id_in_use_is_refused(serve: Any) -> None:
    life = Life()
    with (
        serve(app_of(Stream(Echo(life), concurrency_limit=5, verbose=False))) as server,
        server.socket("/websocket/offer") as first,
        server.socket("/websocket/offer") as second,
    ):
        first.say(start("ann"))
        life.next()
        second.say(start("ann"))
        assert second.hear()["meta"] == {"error": "connection_already_exists"}


class Talker(AsyncStreamHandler):
    """Waits for its input, gives it back as an output, and hangs up."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
        self.turn = 0

    def copy(self) -> "Talker":
        return Talker()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        self.turn += 1
        if self.turn == 1:
            await self.wait_for_args()
            return AdditionalOutputs(*self.latest_args)
        if self.turn == 2:
            return (RATE, TONE.reshape(1, -1)[:, :3200])
        return CloseStream("that is all")


def test_inputs_outputs_and_the_end(serve: Any) -> None:
    stream, app = Stream(Talker(), verbose=False), FastAPI()
    stream.mount(app)

    @app.post("/input")
    async def set_input(body: dict[str, Any]) -> None:
        stream.set_input(body["webrtc_id"], body["value"], 2)

    @app.get("/outputs")
    async def outputs(webrtc_id: str) -> StreamingResponse:
        async def lines() -> Any:
            async for output in stream.output_stream(webrtc_id):
                yield json.dumps(output.args) + "\n"

        return StreamingResponse(lines())

    got: list[list[Any]] = []

    def listen(server: Any) -> None:
        with server.http.stream("GET", "/outputs", params={"webrtc_id": "ann"}) as response:
            got.extend(json.loads(line) for line in response.iter_lines())

    with serve(app) as server, server.socket("/websocket/offer") as socket:
        listener = threading.Thread(target=listen, args=(server,))
        listener.start()
        socket.say(start("ann"))
        socket.wait_for(lambda message: message == {"type": "send_input", "data": []})
        server.http.post("/input", json={"webrtc_id": "ann", "value": "one"})
        socket.wait_for(lambda message: message == {"type": "fetch_output", "data": []})
        assert hear_audio(socket, 3200).size == 3200
        end = socket.wait_for(lambda message: message.get("type") == "end_stream")
        assert end["data"] == "that is all"
        listener.join(20)
        assert not listener.is_alive()
    assert got == [["__webrtc_value__", "one", 2]]


def test_fetch_latest_output(serve: Any) -> None:
    stream, app = Stream(Talker(), verbose=False), FastAPI()
    stream.mount(app)

    @app.get("/output")
    async def output() -> Any:
        return (await stream.fetch_latest_output("ann")).args

    with serve(app) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        socket.wait_for(lambda message: message.get("type") == "send_input")
        stream.set_input("ann", "x")
        assert server.http.get("/output").json() == ["__webrtc_value__", "x"]


def test_a_client_that_says_hello_gets_events_and_outputs(serve: Any) -> None:
    seen: Queue[tuple[str, str]] = Queue()
    stream = Stream(Talker(), verbose=False, on_event=lambda session_id, event: seen.put((session_id, repr(event))))
    with serve(app_of(stream)) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        socket.say({"type": "hello", "data": {"version": 1, "events": True}})
        hello = socket.wait_for(lambda message: message.get("type") == "hello")
        assert hello["data"] == {
            "version": 1,
            "session_id": "ann",
            "input_sample_rate": RATE,
            "output_sample_rate": RATE,
        }
        socket.say({"type": "input", "data": ["typed"]})
        output = socket.wait_for(lambda message: message.get("type") == "output")
        assert output["data"] == ["__webrtc_value__", "typed"]
        socket.wait_for(lambda message: message.get("type") == "end_stream")
    session_id, event = seen.get(timeout=20)
    assert session_id == "ann"
    assert "SessionStarted" in event


def test_a_session_ends_after_the_time_limit(serve: Any) -> None:
    life = Life()
    stream = Stream(Echo(life), time_limit=0.3, verbose=False)
    with serve(app_of(stream)) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        life.next()
        end = socket.wait_for(lambda message: message.get("type") == "end_stream")
        assert end["data"] == "time_limit_reached"
        assert life.next() == "shutdown"


def broken_copy(self: Echo) -> Any:
    raise RuntimeError("no copy today")


def no_copy(self: Echo) -> Any:
    return None


@pytest.mark.parametrize(("copy", "wanted"), [(broken_copy, "no copy today"), (no_copy, "must return a handler")])
def test_a_handler_that_cannot_be_copied(
    serve: Any, copy: Callable[[Echo], Any], wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler = type("Broken", (Echo,), {"copy": copy})(Life())
    with serve(app_of(Stream(handler, verbose=False))) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        meta = socket.hear()["meta"]
        assert meta["error"] == "handler_failed"
        assert wanted in meta["detail"]


def test_a_handler_whose_options_cannot_work(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ConfigurationError("the pause must be longer than nothing")

    monkeypatch.setattr("fastrtc.server.host.Session", refuse)
    stream = Stream(Echo(Life()), verbose=False)
    with serve(app_of(stream)) as server, server.socket("/websocket/offer") as socket:
        socket.say(start("ann"))
        meta = socket.hear()["meta"]
        assert meta == {"error": "handler_failed", "detail": "the pause must be longer than nothing"}
    assert not stream.connections
    assert not stream.additional_outputs
