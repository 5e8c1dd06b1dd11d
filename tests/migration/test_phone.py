"""An application of FastRTC that people call: Twilio's webhook and its media stream, with recorded calls."""

from __future__ import annotations

import base64
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tests.fakes.sound import Clip, likeness
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fastrtc.audio import PCM
from fastrtc.media.g711 import decode_ulaw, encode_ulaw

pytestmark = pytest.mark.speech

LINE_HZ = 8_000
FRAME = LINE_HZ // 50


class Phone:
    """Twilio's end of a media stream."""

    def __init__(self, socket: ClientConnection, sid: str) -> None:
        self._socket = socket
        self.sid = sid
        self.heard: list[PCM] = []
        self.marks: list[str] = []

    def begin(self) -> None:
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "streamSid": self.sid,
            "accountSid": "AC1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": LINE_HZ, "channels": 1},
            "customParameters": {},
        }
        self._send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.sid})

    def say(self, pcm: PCM) -> None:
        """Say something in real time."""
        begun_s = time.monotonic()
        for number, at in enumerate(range(0, len(pcm) - FRAME + 1, FRAME)):
            time.sleep(max(0.0, begun_s + at / LINE_HZ - time.monotonic()))
            payload = base64.b64encode(encode_ulaw(pcm[at : at + FRAME])).decode()
            media = {"track": "inbound", "chunk": str(number), "timestamp": str(20 * number), "payload": payload}
            self._send({"event": "media", "media": media, "streamSid": self.sid})

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=20))
        return message

    def listen(self, seconds: float) -> PCM:
        """Hear so much more."""
        wanted = len(self.pcm) + round(seconds * LINE_HZ)
        before = len(self.pcm)
        while len(self.pcm) < wanted:
            message = self.receive()
            assert message["streamSid"] == self.sid
            if message["event"] == "media":
                self.heard.append(decode_ulaw(base64.b64decode(message["media"]["payload"])))
            elif message["event"] == "mark":
                self.marks.append(message["mark"]["name"])
                self._send({"event": "mark", "mark": message["mark"], "streamSid": self.sid})
        return self.pcm[before:]

    def listen_for(self, sound: PCM) -> None:
        """Hear more until that was heard."""
        while likeness(self.pcm, sound) < 0.9:
            self.listen(0.1)

    def hang_up(self) -> None:
        self._send({"event": "stop", "stop": {"accountSid": "AC1", "callSid": "CA1"}, "streamSid": self.sid})

    @property
    def pcm(self) -> PCM:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))


@contextmanager
def called(url: str, sid: str) -> Iterator[Phone]:
    """What Twilio does when somebody calls: ask the webhook, then open the stream that it names."""
    answer = httpx.post(f"{url}/telephone/incoming", data={"CallSid": "CA1", "From": "+4930123", "To": "+1555"})
    assert answer.headers["content-type"].startswith("application/xml")
    stream = ET.fromstring(answer.text).find("./Connect/Stream")
    assert stream is not None
    address = urlsplit(stream.attrib["url"])
    assert (address.scheme, address.hostname) == ("wss", "127.0.0.1")
    with connect(f"ws://{urlsplit(url).netloc}{address.path}", compression=None, max_queue=None) as socket:
        yield Phone(socket, sid)


def test_a_call_of_two_turns(serve_app: Any, clips: list[Clip]) -> None:
    app, served = serve_app("phone")
    silence = np.zeros(LINE_HZ, np.int16)
    with called(served.url, "MZ1") as phone:
        phone.begin()
        greeting = phone.listen(0.45)
        assert np.median(np.abs(greeting)) == pytest.approx(3000, rel=0.1)
        for clip in clips[:2]:
            phone.say(np.concatenate([clip.at(LINE_HZ), silence]))
            phone.listen_for(clip.speech()[: LINE_HZ // 2])
        assert list(app.stream.connections) == ["MZ1"]

        # Everybody else hears that the line is busy, and the call goes on.
        with called(served.url, "MZ2") as other:
            other.begin()
            refusal = {"error": "concurrency_limit_reached", "limit": 1}
            assert other.receive() == {"status": "failed", "meta": refusal}
            with pytest.raises(ConnectionClosed):
                other.receive()
        assert list(app.stream.connections) == ["MZ1"]
        phone.hang_up()
    assert [(call[0], call[1], call[2]) for call in app.calls] == [("MZ1", 1, 16_000), ("MZ1", 2, 16_000)]
    assert phone.marks
