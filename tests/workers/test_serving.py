"""``fastrtc serve --workers 2`` with real clients: who serves whom, what a crash costs, how it ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fastrtc.client import connect as call

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="connections cannot be handed over on Windows"),
    pytest.mark.xdist_group("workers"),  # one server for all of them
]

PATIENCE_S = 60.0
APP = """
import os
from fastapi import FastAPI, Request
from fastrtc import AdditionalOutputs, ReplyOnPause, Stream

def reply(audio):
    yield audio

stream = Stream(ReplyOnPause(reply), modality="audio", concurrency_limit=50, verbose=False)
app = FastAPI()
stream.mount(app)

@app.get("/where")
async def where(webrtc_id: str = ""):
    return {"pid": os.getpid(), "here": webrtc_id in stream.connections}

@app.post("/input")
async def take(request: Request):
    body = await request.json()
    stream.set_input(body["webrtc_id"], body["value"])
    handler = stream.handlers.get(body["webrtc_id"])
    return {"pid": os.getpid(), "args": handler.latest_args[1:] if handler else None}

@app.get("/crash")
async def crash(webrtc_id: str):
    os._exit(9)
"""


class Front:
    """The command and its address."""

    def __init__(self, process: Any, port: int) -> None:
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=PATIENCE_S)

    def where(self, session_id: str = "") -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/where", params={"webrtc_id": session_id}).json()
        return answer

    @contextmanager
    def session(self, session_id: str) -> Iterator[ClientConnection]:
        with connect(f"ws://{self.address}/websocket/offer", compression=None) as socket:
            socket.send(json.dumps({"event": "start", "websocket_id": session_id}))
            yield socket


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def until_closed(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=PATIENCE_S)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Front]:
    (folder / "voice_app.py").write_text(APP)
    command = [sys.executable, "-m", "fastrtc.cli", "serve", "voice_app:app", "--workers", "2", "--port", "0", *options]
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r":(\d+)/", process.stdout.readline())
        assert address is not None, (folder / "log.txt").read_text()
        yield Front(process, int(address[1]))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        log.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serving(tmp_path_factory.mktemp("front"), "--metrics", "--log", "json") as running:
        yield running


def test_all_requests_of_a_session_reach_its_worker(front: Front) -> None:
    with front.session("one"), front.session("two"):
        until(lambda: front.where("one")["here"] and front.where("two")["here"])
        places = {name: front.where(name)["pid"] for name in ("one", "two")}
        assert places["one"] != places["two"], "the load was not spread"
        for name, pid in places.items():
            answer = front.http.post("/input", json={"webrtc_id": name, "value": name}).json()
            assert answer == {"pid": pid, "args": [name]}


def test_webrtc_with_its_candidates(front: Front) -> None:
    async def scenario() -> None:
        async with call(f"http://{front.address}", session_id="over-udp") as made:
            await made.wait_for(lambda message: message.event == "session_started", timeout_s=PATIENCE_S)
            assert (await asyncio.to_thread(front.where, "over-udp"))["here"]

    asyncio.run(scenario())
    until(lambda: not front.where("over-udp")["here"])


def test_an_id_is_not_used_twice_though_the_workers_differ(front: Front) -> None:
    with front.session("mine"):
        until(lambda: front.where("mine")["here"])
        pid = front.where("mine")["pid"]
        for _ in range(3):
            with front.session("mine") as thief:
                until_closed(thief)
        assert front.where("mine") == {"pid": pid, "here": True}


def test_the_metrics_are_those_of_all_workers(front: Front) -> None:
    with front.session("seen"):
        until(lambda: front.where("seen")["here"])
        text = front.http.get("/metrics").text
    values = re.findall(r'^fastrtc_sessions\{worker="(\d)"\} (\S+)$', text, re.MULTILINE)
    assert sorted(worker for worker, _ in values) == ["0", "1"]
    assert sum(float(value) for _, value in values) >= 1
    assert text.count("# TYPE fastrtc_sessions gauge") == 1


def test_a_request_that_is_none_is_refused(front: Front) -> None:
    import socket

    host, port = front.address.split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_crash_takes_only_its_own_sessions(front: Front) -> None:
    with contextlib.ExitStack() as several:
        lost = several.enter_context(front.session("lost"))
        until(lambda: front.where("lost")["here"])
        # Sessions of the tests before may still count for a moment, on either worker.
        for number in range(10):
            name = f"kept-{number}"
            kept = several.enter_context(front.session(name))
            until(lambda name=name: front.where(name)["here"])  # type: ignore[misc]
            pids = front.where("lost")["pid"], front.where(name)["pid"]
            if pids[0] != pids[1]:
                break
        assert pids[0] != pids[1]
        with pytest.raises(httpx.HTTPError):
            front.http.get("/crash", params={"webrtc_id": "lost"})
        until_closed(lost)
        kept.send(json.dumps({"event": "ping"}))
        assert json.loads(kept.recv(timeout=PATIENCE_S)) == {"event": "pong"}
        assert front.where(name) == {"pid": pids[1], "here": True}
        with front.session("lost"):
            until(lambda: front.where("lost")["here"])
    until(lambda: len({front.where()["pid"] for _ in range(4)}) == 2)


def test_sigterm_lets_sessions_finish(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain", "600") as front:
        with front.session("running") as running:
            until(lambda: front.where("running")["here"])
            # Of the worker that has the session: the other one ends at once, and answers first or not at all.
            about = {"webrtc_id": "running"}
            front.process.send_signal(signal.SIGTERM)
            until(lambda: front.http.get("/webrtc/ready", params=about).json() == {"status": "draining"})
            assert front.http.get("/webrtc/ready", params=about).status_code == 503
            with front.session("late") as late:
                assert json.loads(late.recv(timeout=PATIENCE_S))["meta"] == {"error": "server_draining"}
            running.send(json.dumps({"event": "ping"}))
            assert json.loads(running.recv(timeout=PATIENCE_S)) == {"event": "pong"}
            assert front.process.poll() is None
        assert front.process.wait(PATIENCE_S) == 0


def test_a_worker_that_cannot_start_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("stream = 7\n")
    command = [sys.executable, "-m", "fastrtc.cli", "serve", "broken:stream", "--workers", "2", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no Stream but of type int" in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_end_with_their_front(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain", "0") as front:
        pids = {front.where()["pid"] for _ in range(4)}
        assert len(pids) == 2
        front.process.kill()
        front.process.wait(PATIENCE_S)
        until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().split(") ")[1].startswith("Z"))
