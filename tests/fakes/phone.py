"""Twilio's part of a telephone call: the webhook is asked, then the stream that it names is opened."""

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
from tests.fakes.sound import likeness
from websockets.sync.client import ClientConnection, connect

from fastrtc.audio import PCM
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.wire.twilio import sign

LINE_HZ = 8_000
FRAME = LINE_HZ // 50
FORM = {"CallSid": "CA1", "AccountSid": "AC1", "From": "+4930123", "To": "+1555", "CallerName": ""}


class Phone:
    """Twilio's end of a media stream."""

    def __init__(self, socket: ClientConnection, sid: str, parameters: dict[str, str]) -> None:
        self._socket = socket
        self.sid = sid
        self.parameters = parameters
        self.heard: list[PCM] = []
        self.marks: list[str] = []
        self.clears = 0

    def begin(self) -> None:
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "streamSid": self.sid,
            "accountSid": "AC1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": LINE_HZ, "channels": 1},
            "customParameters": self.parameters,
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
            self._take(self.receive())
        return self.pcm[before:]

    def hear_out(self, pause_s: float = 1.0) -> PCM:
        """Hear more until nothing has come for so long; silence is not sent over this line."""
        before = len(self.pcm)
        self.listen(0.1)
        while True:
            try:
                message = self._socket.recv(timeout=pause_s)
            except TimeoutError:
                return self.pcm[before:]
            self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == self.sid
        if message["event"] == "media":
            self.heard.append(decode_ulaw(base64.b64decode(message["media"]["payload"])))
        elif message["event"] == "mark":
            self.marks.append(message["mark"]["name"])
            self._send({"event": "mark", "mark": message["mark"], "streamSid": self.sid})
        elif message["event"] == "clear":
            self.clears += 1

    def listen_for(self, sound: PCM) -> None:
        """Hear more until that was heard."""
        while likeness(self.pcm, sound) < 0.9:
            self.listen(0.1)

    def press(self, digits: str) -> None:
        """Press keys."""
        for digit in digits:
            dtmf = {"track": "inbound_track", "digit": digit}
            self._send({"event": "dtmf", "dtmf": dtmf, "streamSid": self.sid})

    def hang_up(self) -> None:
        self._send({"event": "stop", "stop": {"accountSid": "AC1", "callSid": "CA1"}, "streamSid": self.sid})

    @property
    def pcm(self) -> PCM:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))


@contextmanager
def called(url: str, sid: str, auth_token: str | None = None) -> Iterator[Phone]:
    """Somebody calls.

    Args:
        url: Where the app is served.
        sid: Of the stream.
        auth_token: Twilio signs its requests with it, for the address that a proxy in front has.
    """
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example"} if auth_token else {}
    webhook = "/telephone/incoming"
    signature = sign(auth_token, f"https://voice.example{webhook}", FORM.items()) if auth_token else ""
    answer = httpx.post(url + webhook, data=FORM, headers={**forwarded, "X-Twilio-Signature": signature})
    assert answer.headers["content-type"].startswith("application/xml")
    stream = ET.fromstring(answer.text).find("./Connect/Stream")
    assert stream is not None
    address = urlsplit(stream.attrib["url"])
    assert (address.scheme, address.hostname) == ("wss", "voice.example" if auth_token else "127.0.0.1")
    parameters = {item.attrib["name"]: item.attrib["value"] for item in stream.findall("Parameter")}
    if auth_token:
        forwarded["X-Twilio-Signature"] = sign(auth_token, stream.attrib["url"])
    at = f"ws://{urlsplit(url).netloc}{address.path}"
    with connect(at, additional_headers=forwarded, compression=None, max_queue=None) as socket:
        yield Phone(socket, sid, parameters)
