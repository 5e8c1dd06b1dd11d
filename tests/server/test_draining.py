"""A server that is about to stop: sessions finish, new ones hear why not, platforms see it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.observe.observer import SessionObserver
from fastrtc.server.termination import Termination
from fastrtc.stream import Stream


def reply(audio: object) -> object:
    yield audio


def make(**options: object) -> tuple[FastAPI, Stream]:
    app, stream = FastAPI(), Stream(ReplyOnPause(reply), modality="audio", verbose=False, **options)  # type: ignore[arg-type]
    stream.mount(app)
    return app, stream


class Refusals(SessionObserver):
    """Keeps the reasons."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def session_refused(self, code: str) -> None:
        self.codes.append(code)


def test_health_and_readiness_beside_an_app_s_own_routes() -> None:
    app, _ = make()

    @app.get("/health")
    async def health() -> str:
        return "the app's own"

    with TestClient(app) as client:
        assert client.get("/health").json() == "the app's own"
        assert client.get("/webrtc/health").json() == {"status": "ok"}
        while (answer := client.get("/webrtc/ready")).status_code == 503:
            assert answer.json() == {"status": "starting"}
        assert answer.json() == {"status": "ready"}
        assert answer.headers["cache-control"] == "no-store"


def test_a_draining_stream_refuses_with_its_reason_and_ends_when_the_last_one_does() -> None:
    refusals = Refusals()
    app, stream = make(observers=[refusals])
    with TestClient(app) as client:
        assert client.portal is not None
        with client.websocket_connect("/websocket/offer") as running:
            running.send_json({"event": "start", "websocket_id": "running"})
            running.send_json({"event": "ping"})
            assert running.receive_json() == {"event": "pong"}
            draining = client.portal.start_task_soon(stream.drain, 60.0)
            while client.get("/webrtc/ready").json() != {"status": "draining"}:
                assert not draining.done()
            with client.websocket_connect("/websocket/offer") as late:
                late.send_json({"event": "start", "websocket_id": "late"})
                assert late.receive_json() == {"status": "failed", "meta": {"error": "server_draining"}}
            running.send_json({"event": "ping"})
            assert running.receive_json() == {"event": "pong"}
            assert not draining.done()
            running.send_json({"event": "stop"})
            draining.result(20)
    assert refusals.codes == ["server_draining"]
    assert stream.connections == {}


def test_the_deadline_ends_what_still_runs() -> None:
    app, stream = make()
    with TestClient(app) as client, client.websocket_connect("/websocket/offer") as running:
        assert client.portal is not None
        running.send_json({"event": "start", "websocket_id": "running"})
        running.send_json({"event": "ping"})
        running.receive_json()
        client.portal.call(stream.drain, 0.0)
        assert stream.connections == {}


def test_an_app_that_starts_again_takes_sessions_again() -> None:
    app, stream = make()
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(stream.drain, 0.0)
    with TestClient(app) as client, client.websocket_connect("/websocket/offer") as running:
        running.send_json({"event": "start", "websocket_id": "again"})
        running.send_json({"event": "ping"})
        assert running.receive_json() == {"event": "pong"}


def test_sigterm_is_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def scenario() -> None:
        termination = Termination()

        async def drain() -> None:
            return

        async with termination.draining(drain):
            assert signal.getsignal(signal.SIGTERM) == termination._handle
        assert signal.getsignal(signal.SIGTERM) == before

    import asyncio

    asyncio.run(scenario())


def test_a_drain_that_fails_keeps_nobody_from_stopping() -> None:
    import asyncio

    async def scenario() -> None:
        termination, stopped = Termination(), asyncio.Event()
        before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())

        async def drain() -> None:
            raise RuntimeError("a session did not close")

        try:
            async with termination.draining(drain):
                asyncio.get_running_loop().set_exception_handler(lambda *_: None)
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(stopped.wait(), 20)
        finally:
            signal.signal(signal.SIGTERM, before)

    asyncio.run(scenario())


SERVED = """
import asyncio, sys, uvicorn
from fastapi import FastAPI
from fastrtc import ReplyOnPause, Stream
def reply(audio):
    yield audio
app = FastAPI()
for path in ("/one", "/two"):
    Stream(ReplyOnPause(reply), modality="audio", verbose=False, drain_timeout=30).mount(app, path)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="error")).run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM on Windows")
def test_sigterm_waits_for_the_sessions_of_all_streams_of_an_app(tmp_path: Path) -> None:
    import json

    from websockets.sync.client import connect

    (tmp_path / "served.py").write_text(SERVED)
    process = subprocess.Popen([sys.executable, "served.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())

        def ask(path: str, message: object) -> object:
            with connect(f"ws://127.0.0.1:{port}{path}/websocket/offer", compression=None) as socket:
                socket.send(json.dumps(message))
                return json.loads(socket.recv(timeout=20))

        with connect(f"ws://127.0.0.1:{port}/one/websocket/offer", compression=None) as running:
            running.send(json.dumps({"event": "start", "websocket_id": "a"}))
            running.send(json.dumps({"event": "ping"}))
            running.recv(timeout=20)
            os.kill(process.pid, signal.SIGTERM)
            start = {"event": "start", "websocket_id": "b"}
            refused = {"status": "failed", "meta": {"error": "server_draining"}}
            assert ask("/two", start) == refused
            assert ask("/one", start) == refused
            running.send(json.dumps({"event": "ping"}))
            assert json.loads(running.recv(timeout=20)) == {"event": "pong"}
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
