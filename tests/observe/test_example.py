"""The example of an app that can be operated, from its first request to what it leaves."""

import json
import time
import wave
from pathlib import Path

import httpx
from tests.examples.running import running
from websockets.sync.client import connect


def test_the_observed_example_counts_logs_and_records(tmp_path: Path) -> None:
    calls, log = tmp_path / "calls", tmp_path / "example.log"
    with running("observed", log, RECORDINGS=str(calls)) as example:
        with connect(example.url.replace("http", "ws") + "/websocket/offer", compression=None) as socket:
            socket.send(json.dumps({"event": "start", "websocket_id": "seen"}))
            socket.send(json.dumps({"event": "media", "media": {"payload": "/////w=="}}))
            socket.send(json.dumps({"event": "ping"}))
            assert json.loads(socket.recv(timeout=20)) == {"event": "pong"}
            assert "fastrtc_sessions 1.0" in httpx.get(example.url + "/metrics").text
            socket.send(json.dumps({"event": "stop"}))
        deadline = time.monotonic() + 20
        while "fastrtc_sessions 0.0" not in httpx.get(example.url + "/metrics").text:
            assert time.monotonic() < deadline
    (events,) = calls.glob("*-seen.jsonl")
    assert [json.loads(line).get("name") for line in events.read_text().splitlines()][1:] == [
        "session_started",
        "session_closed",
    ]
    with wave.open(str(events.with_suffix(".wav")), "rb") as sound:
        assert sound.getnchannels() == 2
    logged = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {"session_opened", "session_closed"} <= {line.get("event") for line in logged}
    assert all(line["session_id"] == "seen" for line in logged if line.get("event"))
