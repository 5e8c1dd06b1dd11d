"""Applications written for FastRTC with clients of their own, in Chromium: nothing in them knows this project."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fakes.openai_http import OpenAiHttp
from tests.fakes.serving import serving
from tests.fakes.sound import COMPARE_HZ, Clip, read_clip, windowed_likeness
from tests.interop.browser.camera import write_camera
from tests.migration.conftest import WAIT_S, at_compare_hz, heard_by, write_microphone

from fastrtc.audio import PCM

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]


def test_echo(serve_app: Any, open_page: Any, clips: list[Clip], tmp_path: Path) -> None:
    app, served = serve_app("echo")
    page = open_page(served.url, write_microphone(tmp_path / "mic.wav", 1.0, clips[0], 10.0))
    page.click("#start")
    page.wait_for_function("window.messages?.some((message) => message.data === 'response_starting')")
    page.wait_for_timeout(2500)
    assert page.text_content("#state") == "connected"
    logs = [message["data"] for message in page.evaluate("window.messages") if message["type"] == "log"]
    assert logs == ["started_talking", "pause_detected", "response_starting"]
    heard = heard_by(page)
    assert windowed_likeness(heard, clips[0].speech()) > 0.5
    page.goto("about:blank")
    _until_empty(app.stream)


def test_echo_refuses_the_third_caller(serve_app: Any, open_page: Any, tmp_path: Path) -> None:
    _, served = serve_app("echo")
    microphone = write_microphone(tmp_path / "mic.wav", 5.0)
    pages = [open_page(served.url, microphone) for _ in range(3)]
    for page in pages[:2]:
        page.click("#start")
        page.wait_for_function("document.getElementById('state').textContent === 'connected'")
    pages[2].click("#start")
    pages[2].wait_for_function("document.getElementById('state').textContent === 'full: 2'")


def test_echo_over_a_websocket_with_mu_law(serve_app: Any, open_page: Any, clips: list[Clip], tmp_path: Path) -> None:
    app, served = serve_app("echo_websocket")
    page = open_page(served.url, write_microphone(tmp_path / "mic.wav", 1.0, clips[1], 10.0))
    page.click("#start")
    page.wait_for_function("window.messages.some((message) => message.data === 'response_starting')")
    page.wait_for_timeout(2000)
    received = at_compare_hz(np.array(page.evaluate("window.received"), np.int16), 24_000)
    assert windowed_likeness(received, clips[1].speech()) > 0.5
    # Nothing of this project's own messages reaches a client that does not ask for them.
    assert {message["type"] for message in page.evaluate("window.messages")} == {"log"}
    page.evaluate("window.stop()")
    page.wait_for_function("document.getElementById('state').textContent === 'closed'")
    _until_empty(app.stream)


ANSWERS = {"What is the time?": "It is noon.", "And now?": "One minute past."}


def test_talk_to_an_llm(
    serve_app: Any,
    open_page: Any,
    clips: list[Clip],
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openai")
    texts = iter(ANSWERS)
    voice = read_clip(speech / "fleurs-mini" / "fleurs-en-004.flac").speech(24_000)[: 2 * 24_000]
    voice = (voice * (16_000 / np.abs(voice).max())).astype(np.int16)
    recordings: list[tuple[int, PCM]] = []

    def transcribe(audio: tuple[int, PCM]) -> str:
        recordings.append(audio)
        return next(texts)

    service = OpenAiHttp(transcribe, lambda messages: ANSWERS[messages[-1]["content"]], lambda text: voice)
    with serving(service.app) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-good")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        app, served = serve_app("talk_to_llm")
        page = open_page(served.url, write_microphone(tmp_path / "mic.wav", 1.0, clips[0], 5.0, clips[1], 10.0))
        page.click("#start")
        page.wait_for_function("document.querySelectorAll('#chat .assistant').length === 2")
        heard = heard_by(page)
        page.goto("about:blank")
        _until_empty(app.stream)
    lines = [line for pair in ANSWERS.items() for line in pair]
    # The second chat held the first, which the page had sent as its input.
    assert [message["content"] for message in service.chats[1]] == lines[:3]
    assert service.spoken == list(ANSWERS.values())
    assert len(set(app.seen_ids)) == 1
    assert windowed_likeness(heard, at_compare_hz(voice, 24_000)) > 0.8
    for (rate_hz, pcm), clip in zip(recordings, clips, strict=False):
        assert rate_hz == 16_000
        assert windowed_likeness(at_compare_hz(pcm, rate_hz), clip.speech()) > 0.5


def test_hello_computer(serve_app: Any, open_page: Any, clips: list[Clip], computer: Clip, tmp_path: Path) -> None:
    pytest.importorskip("moonshine_voice", reason="there is no recogniser (pip install 'fastrtc[stt]')")
    app, served = serve_app("hello_computer")
    microphone = write_microphone(tmp_path / "mic.wav", 1.0, clips[1], 2.0, computer, clips[0], 10.0)
    page = open_page(served.url, microphone)
    page.click("#start")
    page.wait_for_function("document.getElementById('heard').textContent")
    page.wait_for_function("document.getElementById('state').textContent === 'Speaking'")
    page.wait_for_timeout(1500)
    order = page.evaluate("window.order")
    assert order == ["stopword", "started_talking", "pause_detected", "response_starting"]
    assert "operator" in page.text_content("#heard").lower()
    heard = heard_by(page).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * COMPARE_HZ / len(heard) == pytest.approx(440, abs=5)
    page.goto("about:blank")
    _until_empty(app.stream)


PIXELS = """(places) => {
  const video = document.getElementById("video-output");
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  canvas.getContext("2d").drawImage(video, 0, 0, 640, 480);
  return places.map(([x, y]) => Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data.slice(0, 3)));
}"""


def test_object_detection(serve_app: Any, open_page: Any, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    scene = np.zeros((480, 640, 3), np.uint8)
    scene[120:360, 80:240] = (150, 30, 30)  # left, and on the right after the flip
    app, served = serve_app("object_detection")
    page = open_page(served.url, camera=write_camera(tmp_path / "camera.y4m", scene))
    page.click("#start")
    page.wait_for_function("document.getElementById('state').textContent === 'connected'")
    page.wait_for_function("document.getElementById('video-output').videoWidth === 640")
    frame, inside, outside = [403, 240], [480, 240], [160, 240]
    seen = f"(at) => {{ const [[, g], [red], [dark]] = ({PIXELS})(at); return g > 180 && red > 90 && dark < 60; }}"
    page.wait_for_function(seen, arg=[frame, inside, outside])
    # The slider reaches the running function: nothing is as bright as that.
    page.evaluate("threshold.value = 0.9; threshold.dispatchEvent(new Event('change'));")
    gone = f"(at) => {{ const [[, green], [red]] = ({PIXELS})(at); return green < 90 && red > 90; }}"
    page.wait_for_function(gone, arg=[frame, inside])
    assert {0.3, 0.9} <= set(app.seen_thresholds)
    assert page.evaluate("messages.filter((message) => message.type === 'error')") == []
    page.goto("about:blank")
    _until_empty(app.stream)


def _until_empty(stream: Any) -> None:
    """Wait until the application's sessions are over."""
    deadline_s = time.monotonic() + WAIT_S
    while stream.connections:
        assert time.monotonic() < deadline_s, "the session outlives its page"
        time.sleep(0.05)
