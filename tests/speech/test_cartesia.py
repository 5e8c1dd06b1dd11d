"""Cartesia's voices against a local service that speaks its protocol and is as strict about it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from fastrtc import CartesiaTTSOptions, KokoroTTSOptions, get_tts_model
from fastrtc.errors import ConfigurationError, SpeechServiceError
from fastrtc.speech.cartesia import CartesiaTTSModel

KEY = "sk_car_local"
SECONDS_A_WORD = 0.1


@dataclass
class Service:
    """What the fake was asked, and what it waits for before the second half of an answer."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)


class Fake(BaseHTTPRequestHandler):
    """``POST /tts/bytes``: JSON in, raw PCM in chunks out; errors are JSON with the status of the real service."""

    protocol_version = "HTTP/1.1"
    service: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("X-API-Key") != KEY:
            self.refuse(401, "Invalid API key")
        elif self.path != "/tts/bytes" or not self.headers.get("Cartesia-Version"):
            self.refuse(400, "missing or unknown version")
        elif body["output_format"].get("container") != "raw" or body["output_format"].get("encoding") != "pcm_s16le":
            self.refuse(400, "bad output_format")
        elif body["voice"].get("mode") != "id":
            self.refuse(400, "voice needs a mode")
        else:
            self.service.asked.append({**body, "version": self.headers["Cartesia-Version"]})
            self.speak(body)

    def speak(self, body: dict[str, Any]) -> None:
        count = round(len(body["transcript"].split()) * SECONDS_A_WORD * body["output_format"]["sample_rate"])
        pcm = np.full(count, 1000, "<i2").tobytes()
        self.send_response(200)
        self.send_header("Content-Type", "audio/pcm")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        half = len(pcm) // 2 | 1  # An odd number of bytes: samples are cut in two, as in the wild.
        try:
            self.chunk(pcm[:half])
            if "wait" in body["transcript"]:
                self.service.go_on.wait(10)
                for _ in range(1000):
                    self.chunk(pcm[half:])
            self.chunk(pcm[half:])
            self.chunk(b"")
        except OSError:
            self.service.hung_up.set()
            self.close_connection = True

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def refuse(self, status: int, title: str) -> None:
        body = json.dumps({"title": title}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("OwnFake", (Fake,), {"service": one})) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        one.url = f"http://127.0.0.1:{http.server_port}"
        yield one
        http.shutdown()
        thread.join()


@pytest.fixture
def model(service: Service) -> Iterator[CartesiaTTSModel]:
    pytest.importorskip("httpx", reason="httpx is not installed (extra cartesia)")
    made = CartesiaTTSModel(KEY, base_url=service.url)
    yield made
    made.close()


def test_every_option_reaches_the_service(service: Service, model: CartesiaTTSModel) -> None:
    options = CartesiaTTSOptions("voice-id", "fr", ["positivity:high"], "2025-04-16", "sonic-3", 16_000)
    rate_hz, pcm = model.tts("Bonjour le monde. Au revoir.", options)
    assert (rate_hz, pcm.dtype, pcm.size) == (16_000, np.int16, round(5 * SECONDS_A_WORD * 16_000))
    assert np.all(pcm == 1000), "no sample was cut in two"
    assert [asked["transcript"] for asked in service.asked] == ["Bonjour le monde.", "Au revoir."]
    assert service.asked[0] == {
        "model_id": "sonic-3",
        "transcript": "Bonjour le monde.",
        "voice": {"mode": "id", "id": "voice-id", "__experimental_controls": {"emotion": ["positivity:high"]}},
        "language": "fr",
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000},
        "version": "2025-04-16",
    }


def test_the_defaults_are_fastrtcs(service: Service, model: CartesiaTTSModel) -> None:
    rate_hz, _ = model.tts("Hello.")
    (asked,) = service.asked
    assert (rate_hz, asked["model_id"], asked["language"]) == (22_050, "sonic-2", "en")
    assert asked["voice"] == {"mode": "id", "id": "71a7ad14-091c-4e8e-a314-022ece01c121"}


def test_the_first_audio_comes_before_the_service_has_finished(service: Service, model: CartesiaTTSModel) -> None:
    stream = model.stream_tts_sync("wait for it")
    _, first = next(stream)
    assert first.size > 0
    service.go_on.set()
    assert sum(pcm.size for _, pcm in stream) > first.size


def test_closing_a_stream_hangs_up(service: Service, model: CartesiaTTSModel) -> None:
    stream = model.stream_tts_sync("wait for it")
    next(stream)
    stream.close()
    service.go_on.set()
    assert service.hung_up.wait(10)


def test_the_asynchronous_stream_gives_the_same_and_hangs_up_when_it_is_closed(
    service: Service, model: CartesiaTTSModel
) -> None:
    async def scenario() -> int:
        samples = 0
        async for rate_hz, pcm in model.stream_tts("Two words. Three more words."):
            assert rate_hz == 22_050
            samples += pcm.size
        stream = model.stream_tts("wait for it")
        await anext(stream)
        await stream.aclose()
        service.go_on.set()
        return samples

    assert asyncio.run(scenario()) == 2 * round(0.1 * 22_050) + 3 * round(0.1 * 22_050)
    assert service.hung_up.wait(10)


def test_refusals_are_told(service: Service, free_port: int) -> None:
    pytest.importorskip("httpx", reason="httpx is not installed (extra cartesia)")
    wrong = CartesiaTTSModel("wrong", base_url=service.url)
    with pytest.raises(SpeechServiceError, match=r"Cartesia answers 401: .*Invalid API key.*is the key right"):
        wrong.tts("Hello.")
    wrong.close()
    nowhere = CartesiaTTSModel(KEY, base_url=f"http://127.0.0.1:{free_port}")

    async def ask() -> None:
        async for _ in nowhere.stream_tts("Hello."):
            pass

    with pytest.raises(SpeechServiceError, match=r'cannot be reached at .*get_tts_model\("hibari"\)'):
        nowhere.tts("Hello.")
    with pytest.raises(SpeechServiceError, match="cannot be reached"):
        asyncio.run(ask())
    nowhere.close()


def test_a_key_is_needed_and_taken_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"cartesia_api_key=.*CARTESIA_API_KEY"):
        get_tts_model("cartesia")
    with pytest.raises(ConfigurationError, match="takes no argument voice"):
        get_tts_model("cartesia", cartesia_api_key=KEY, voice="x")
    monkeypatch.setenv("CARTESIA_API_KEY", KEY)
    model = get_tts_model("cartesia", base_url=service.url)
    assert isinstance(model, CartesiaTTSModel)
    with pytest.raises(ConfigurationError, match="takes CartesiaTTSOptions, got KokoroTTSOptions"):
        model.tts("Hello.", KokoroTTSOptions())  # type: ignore[arg-type]
    assert model.tts("Hello.")[1].size
    model.close()
